"""An object store as DuckDB reads it. Imported only where a lake is in one: it needs fsspec."""

from __future__ import annotations

from time import monotonic
from typing import Any

from fsspec import AbstractFileSystem

# DuckDB asks a store eight times what a file is before it reads it: an answer holds so long.
_SECONDS = 1.0


class Objects(AbstractFileSystem):
    """A store whose answers about an object hold for a second.

    Args:
        store: of fsspec; `protocol` is its.
    """

    cachable = False

    def __init__(self, store: Any) -> None:
        super().__init__()
        self.store, self.protocol = store, store.protocol
        self._answers: dict[str, tuple[float, dict[str, Any]]] = {}

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        now = monotonic()
        answers = {name: answer for name, answer in self._answers.items() if now - answer[0] < _SECONDS}
        if path not in answers:
            answers[path] = now, self.store.info(path)
        self._answers = answers
        return answers[path][1]

    def exists(self, path: str, **options: Any) -> bool:
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def glob(self, path: str, maxdepth: int | None = None, **options: Any) -> list[str]:
        # Files of the lake are named one by one.
        return [self.store._strip_protocol(path)] if self.exists(path) else []

    def size(self, path: str) -> int:
        return self.info(path)["size"]

    def modified(self, path: str) -> Any:
        return self.info(path).get("LastModified") or self.store.modified(path)

    def open(self, path: str, mode: str = "rb", *options: Any, **named: Any) -> Any:
        return self.store.open(path, mode, *options, **named)

    def unstrip_protocol(self, name: str) -> str:
        return self.store.unstrip_protocol(name)
