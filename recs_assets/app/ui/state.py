"""The state of a page: its query string, which can be shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode


class State:
    """The query string of a page; what is not understood counts as not said.

    Args:
        parameters: of the address, one value per name.
    """

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.parameters = {name: value for name, value in parameters.items() if value and name != "format"}

    def text(self, name: str, default: str = "", most: int = 200) -> str:
        return self.parameters.get(name, default).strip()[:most]

    def choice(self, name: str, options: Sequence[Any], default: Any = None) -> Any:
        """One of the options, which are compared as texts; the default, or the first, where none is named."""
        named = {str(option): option for option in options}
        fallback = default if default is not None or not options else options[0]
        return named.get(self.parameters.get(name, ""), fallback)

    def choices(self, name: str) -> list[str]:
        """The texts between commas."""
        return [part for part in (part.strip() for part in self.text(name, most=2_000).split(",")) if part]

    def number(self, name: str, default: float, low: float, high: float) -> float:
        try:
            value = float(self.parameters.get(name, default))
        except ValueError:
            return default
        return min(max(value, low), high) if value == value else default

    def count(self, name: str, default: int, low: int, high: int) -> int:
        return int(self.number(name, default, low, high))

    def day(self, name: str, options: Iterable[date]) -> date | None:
        """One of the days; the first where none of them is named, None where there is none."""
        return self.choice(name, list(options))

    def link(self, **changes: object) -> str:
        """The query string with some values changed; None or "" takes one out."""
        values = {
            **self.parameters,
            **{name: "" if value is None else str(value) for name, value in changes.items()},
        }
        return "?" + urlencode({name: value for name, value in values.items() if value != ""})
