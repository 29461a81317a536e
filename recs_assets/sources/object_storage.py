"""A shop's files in object storage (`RECS_DATA=s3://bucket/prefix`), as a folder of the home.

The folder has every file that is listed there by its name, size and time, as a file without content; a file gets its
content when it is read, and again when the store says that it changed. fsspec knows the stores, and finds the
credentials where their own tools do: in `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and so on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recs_assets.files import write_whole
from recs_assets.locations import name_package
from recs_assets.schema import SettingsError, SourceError
from recs_assets.sources.folder import OWN_FILES, is_harmless

# Under `landed` of the home.
_FOLDER, _STATE = "mirror", "mirror.json"
# What tells one version of a file from another, by the names that the stores use.
_VERSION = ("ETag", "etag", "md5Hash", "content_md5", "generation", "mtime")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


@dataclass(frozen=True)
class Mirror:
    """The folder of the home that stands for a shop's files in object storage.

    `url` is where they are, `kept` the home's folder `landed`.
    """

    url: str
    kept: Path

    @property
    def folder(self) -> Path:
        return self.kept / _FOLDER

    @property
    def is_known(self) -> bool:
        """Whether the store was listed before."""
        return (self.kept / _STATE).is_file()

    def refresh(self) -> None:
        """Make the folder list what the store lists now; what has changed there loses its content here.

        Raises:
            SettingsError: what reads such a store is not installed, or there are no credentials.
            SourceError: the store cannot be reached or refuses, or lists nothing.
        """
        store, top = self._open()
        with self._explain():
            store.invalidate_cache()
            listed = _list_files(store.find(top, detail=True), store._strip_protocol(top))
        if not listed:
            raise SourceError(
                f"{self.url}: there is no file; correct RECS_DATA, or put the shop's files there."
            )
        fetched = self._read_state()
        fetched = {name: version for name, version in fetched.items() if name in listed}
        for path in sorted(self.folder.rglob("*"), reverse=True):
            name = path.relative_to(self.folder).as_posix()
            if path.is_dir():
                with contextlib.suppress(OSError):  # it is not empty
                    path.rmdir()
            elif name not in listed:
                path.unlink()
        for name, info in listed.items():
            path = self.folder / name
            if path.is_file() and fetched.get(name) == _version(info):
                continue
            fetched.pop(name, None)
            _write_hollow(path, info)
        self._write_state(fetched)
        self.fetch(name for name in listed if name in OWN_FILES)

    def fetch(self, names: Iterable[str]) -> list[str]:
        """Give files their content.

        Args:
            names: of files that the folder has.

        Returns:
            Those that had none.

        Raises:
            SourceError: a file is gone, or comes shorter than the store says.
        """
        fetched = self._read_state()
        # One that is not there is missed by whoever reads it.
        wanted = [name for name in names if name not in fetched and (self.folder / name).is_file()]
        if not wanted:
            return []
        store, top = self._open()
        for name in wanted:
            path, remote = self.folder / name, f"{top.rstrip('/')}/{name}"
            aside = self.kept / f"{_FOLDER}.{os.getpid()}"
            try:
                with self._explain(name):
                    info = store.info(remote)
                    store.get_file(remote, str(aside))
                found, size = aside.stat().st_size, info.get("size")
                if size is not None and found != size:
                    raise SourceError(
                        f"{name}: {found} of its {size} bytes came from {self.url}; the file was cut off on its way or is being "
                        "written, run the week again."
                    )
                _set_time(aside, info)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
            fetched[name] = _version(info)
            self._write_state(fetched)
        return wanted

    def _open(self) -> tuple[Any, str]:
        """The store and the path in it."""
        scheme = self.url.partition("://")[0]
        try:
            import fsspec

            return fsspec.core.url_to_fs(self.url)
        except ImportError:
            raise SettingsError(
                f"RECS_DATA {self.url}: what reads such a store is not installed; run pip install {name_package(scheme)}."
            ) from None
        except ValueError:
            raise SettingsError(
                f"RECS_DATA {self.url}: {scheme}:// is unknown; use s3://, gs://, az:// or a folder."
            ) from None

    @contextlib.contextmanager
    def _explain(self, name: str | None = None) -> Iterator[None]:
        """Say in a sentence what the store refuses."""
        where = self.url if name is None else f"{name}: {self.url}"
        try:
            yield
        except FileNotFoundError:
            if name is None:
                raise SourceError(f"{where}: there is no such bucket or folder; correct RECS_DATA.") from None
            raise SourceError(
                f"{where} lists it no more: it was removed while it was read; run the week again."
            ) from None
        except PermissionError:
            raise SourceError(
                f"{where}: the credentials may not list or read it; grant them that, or set others."
            ) from None
        except Exception as error:  # of every store its own
            kind = type(error).__name__
            if "Credentials" in kind:
                raise SettingsError(
                    f"{where}: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the "
                    "store's own tools read."
                ) from None
            raise SourceError(
                f"{where}: the store cannot be reached or refuses ({kind}); look at AWS_ENDPOINT_URL and the network."
            ) from None

    def _read_state(self) -> dict[str, str]:
        """The version of each file whose content is here."""
        try:
            state = json.loads((self.kept / _STATE).read_text("utf-8"))
            fetched = state["fetched"] if state["url"] == self.url else {}
        except (OSError, ValueError, KeyError, TypeError):
            fetched = {}
        return {name: version for name, version in fetched.items() if (self.folder / name).is_file()}

    def _write_state(self, fetched: dict[str, str]) -> None:
        write_whole(self.kept / _STATE, json.dumps({"url": self.url, "fetched": fetched}, indent=1))


def _list_files(found: dict[str, dict], top: str) -> dict[str, dict]:
    """The files below a path by their names from there, without what is harmless."""
    prefix = f"{top.strip('/')}/"
    listed = {}
    for path, info in sorted(found.items()):
        name = path.lstrip("/").removeprefix(prefix)
        pieces = name.split("/")
        if info.get("type") != "file" or any(is_harmless(piece) for piece in pieces):
            continue
        if any(piece in ("", ".", "..") for piece in pieces):
            continue  # a key that is no path: the sign of a folder
        listed[name] = info
    return listed


def _version(info: dict[str, Any]) -> str:
    return json.dumps([info.get("size"), *(str(info.get(key)) for key in _VERSION)])


def _write_hollow(path: Path, info: dict[str, Any]) -> None:
    """A file of the right size and time without content, which takes no room."""
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, info.get("size") or 0)
    _set_time(path, info)


def _set_time(path: Path, info: dict[str, Any]) -> None:
    """The store's time of a file, so that the sensor sees a change there and none where content came or went."""
    when = next((info[key] for key in _TIMES if info.get(key) is not None), None)
    if isinstance(when, str):
        with contextlib.suppress(ValueError):
            when = datetime.fromisoformat(when)
    seconds = when.timestamp() if isinstance(when, datetime) else when
    if isinstance(seconds, int | float):
        os.utime(path, (seconds, seconds))
