"""Files that are whole or not there, and descriptions that say when they were changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

SEAL = "description_sha256"


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` at the end.

    A killed process leaves the old folder, the new one or none, never half of one; an error leaves the old one.
    """
    aside = folder.with_name(f".{folder.name}.next")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    aside.replace(folder)


@contextmanager
def add_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which is there as `folder` at the end, in whole. Where several fill it, also at once and on
    several machines, the first that ends stays."""
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    aside.mkdir(parents=True)
    try:
        yield aside
        try:
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def name_aside(path: Path) -> Path:
    """A name beside a file for what is on its way there, which nobody else uses and whoever reads the folder's files passes over."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def write_whole(path: Path, text: str) -> None:
    """Write a text file that is whole or not there, also where several machines write it; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = name_aside(path)
    try:
        aside.write_text(text, "utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def drop_on_error(unfinished: Path) -> Iterator[None]:
    """Delete a database that is not finished, and its log, where something fails."""
    try:
        yield
    except BaseException:
        for path in (unfinished, Path(f"{unfinished}.wal")):
            path.unlink(missing_ok=True)
        raise


def point(link: Path, target: Path) -> None:
    """Make a symlink name another target, below its own folder, in one rename."""
    aside = link.with_name(f".{link.name}.next")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target.relative_to(link.parent))
    aside.replace(link)
    sync(link.parent)


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder, before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(description: dict[str, Any]) -> str:
    """The description as JSON text with the sha256 of itself.

    Raises:
        ValueError: it holds NaN, an infinity, or what JSON has no word for.
    """
    return _dump({**description, SEAL: _hash(description)})


def unseal(text: str) -> dict[str, Any]:
    """What was sealed.

    Raises:
        ValueError: the text is no JSON, or was changed since.
    """
    description = json.loads(text)
    if not isinstance(description, dict) or description.pop(SEAL, None) != _hash(description):
        raise ValueError("its description was changed")
    return description


def _dump(description: dict[str, Any]) -> str:
    return json.dumps(description, indent=1, sort_keys=True, allow_nan=False)


def _hash(description: dict[str, Any]) -> str:
    return hashlib.sha256(_dump(description).encode()).hexdigest()


@cache
def read_sql(module: str, name: str) -> str:
    """The query `<name>.sql` beside a module (its `__file__`)."""
    return (Path(module).parent / f"{name}.sql").read_text("utf-8")
