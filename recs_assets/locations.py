"""Where the lake is: a folder, or a part of an object store such as `s3://bucket/recs`.

A folder is a `Path`, a part of a store a `UPath` (universal_pathlib), which has the same words and asks fsspec. Here stands what
differs: a store has no folders, renames nothing and answers over a network. It finds the credentials where its own tools do, in
`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and so on.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from posixpath import commonpath
from typing import TYPE_CHECKING, Any

from recs_assets.files import name_aside, sync, write_whole
from recs_assets.schema import RecsError, SettingsError, WarehouseError

if TYPE_CHECKING:
    from upath import UPath

    Location = Path | UPath

_PACKAGES = {
    "s3": "'recs-assets[object-storage]'",
    "s3a": "'recs-assets[object-storage]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
}
# What a folder of many files is in a store: an object is there in whole or not at all.
_ARCHIVE = "folder.tar"
# Characters of a path with which Spark, Sail and DuckDB look for other files.
_PATTERN = "*?[]{}"


def name_package(scheme: str) -> str:
    """What pip installs for stores of a URL's scheme."""
    return _PACKAGES.get(scheme, f"what fsspec needs for {scheme}://")


def is_url(place: object) -> bool:
    """Whether a text names object storage and not a folder."""
    return isinstance(place, str) and re.match(r"[a-z][a-z0-9+.-]*://", place) is not None


def locate(place: str | Location) -> Location:
    """A folder or file, or a part or an object of a store, by its path or URL.

    Raises:
        SettingsError: what reads such a store is not installed, or nothing does.
    """
    if not isinstance(place, str):
        return place
    if not is_url(place):
        return Path(place)
    scheme = place.partition("://")[0]
    try:
        from upath import UPath

        # Others write there, too.
        found = UPath(place, use_listings_cache=False)
        found.fs  # noqa: B018 - imports what reads the store
    except ImportError:
        raise SettingsError(
            f"RECS_LAKE {place}: what reads such a store is not installed; run pip install {name_package(scheme)}."
        ) from None
    except ValueError:
        raise SettingsError(
            f"RECS_LAKE {place}: {scheme}:// is unknown; use s3://, gs://, az:// or a folder."
        ) from None
    return found


def list_stores(places: Iterable[Location]) -> list[Any]:
    """The file systems of fsspec that places lie in which are no folders."""
    stores = {id(place.fs): place.fs for place in places if not isinstance(place, Path)}
    return list(stores.values())


@contextmanager
def explain_refusal(lake: Location) -> Iterator[None]:
    """Say in a WarehouseError why the lake cannot be used."""
    if set(_PATTERN) & set(str(lake)):
        raise WarehouseError(
            f"The lake {lake} has one of {_PATTERN} in its path, which engines read as a pattern: name another folder "
            "(RECS_LAKE)."
        )
    try:
        yield
    except RecsError:
        raise
    except Exception as error:
        if not isinstance(lake, Path):
            raise WarehouseError(
                f"The lake {lake} cannot be used: {_explain_error(error)} (RECS_LAKE)."
            ) from None
        if not isinstance(error, OSError):
            raise
        raise WarehouseError(
            f"The lake {lake} cannot be used ({error.strerror}): make it a folder that can be written, or name another "
            "(RECS_LAKE)."
        ) from None


def _explain_error(error: Exception) -> str:
    kind = type(error).__name__  # of every store its own
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket; make it, or name another"
    if isinstance(error, PermissionError):
        return "the credentials may not list, read, write and delete there; grant them that"
    if "Credentials" in kind:
        return "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the store's own tools read"
    return f"the store cannot be reached or refuses ({kind}); look at AWS_ENDPOINT_URL and the network"


def require_usable(lake: Location) -> None:
    """Raise a WarehouseError where nothing can be written, listed and deleted in the lake."""
    with explain_refusal(lake):
        if isinstance(lake, Path):
            lake.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=lake).close()
        else:
            probe = lake / "can-be-used"
            probe.write_bytes(b"")
            list_files(lake)
            probe.unlink()


def make_folder(place: Location) -> None:
    """Make a folder and those above it; a store has none."""
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)


def list_files(place: Location) -> list[Location]:
    """All files below a place."""
    if isinstance(place, Path):
        return [path for path in place.rglob("*") if path.is_file()]
    with explain_refusal(place):
        found = place.fs.find(place.path)
    return [place / name.removeprefix(place.path).lstrip("/") for name in found]


@contextmanager
def write_whole_file(path: Location, scratch: Path) -> Iterator[Path]:
    """A file of this machine to fill, which is there as `path` in whole at the end; an error leaves `path` as it was. Several
    may fill it at once: the last that ends stays.

    Args:
        path: where; its folder is made.
        scratch: folder for a file on its way to a store.
    """
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = name_aside(path)
        try:
            yield aside
            sync(aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        aside = Path(folder) / path.name
        yield aside
        with explain_refusal(path):
            path.fs.put_file(str(aside), path.path)


def write_whole_text(path: Location, text: str) -> None:
    """Write a text file that is whole or not there, also where several write it; makes its folder."""
    with explain_refusal(path):
        if isinstance(path, Path):
            write_whole(path, text)
        else:
            path.write_text(text, "utf-8")


def read_text(path: Location) -> str:
    """The content of a text file of the lake."""
    with explain_refusal(path):
        return path.read_text("utf-8")


def list_parquet(folder: Location) -> list[Location]:
    """The Parquet files of a folder, in the order of their names."""
    with explain_refusal(folder):
        return sorted(folder.glob("*.parquet"))


@contextmanager
def fill_folder(place: Location, scratch: Path) -> Iterator[Path]:
    """A folder of this machine to fill for `open_folder`: the place itself, or what is there as one object at the end."""
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)
        yield place
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=scratch) as folder,
        write_whole_file(place / _ARCHIVE, scratch) as aside,
    ):
        yield Path(folder)
        with tarfile.open(aside, "w") as archive:
            archive.add(folder, ".")


@contextmanager
def open_folder(place: Location, scratch: Path | None = None) -> Iterator[Path]:
    """What was filled by `fill_folder`, as a folder of this machine: the place itself, or a copy that is gone at the end.

    Args:
        place: where it is.
        scratch: folder for the copy; None: of this machine's temporary files.
    """
    if isinstance(place, Path):
        yield place
        return
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder) / _ARCHIVE
        with explain_refusal(place):
            place.fs.get_file((place / _ARCHIVE).path, str(copy))
        with tarfile.open(copy) as archive:
            archive.extractall(folder, filter="data")
        copy.unlink()
        yield Path(folder)


@contextmanager
def copy_here(file: Location) -> Iterator[Path]:
    """A file of this machine with the content: itself, or a copy that is gone at the end."""
    if isinstance(file, Path):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        with explain_refusal(file):
            file.fs.get_file(file.path, str(copy))
        yield copy


def delete_files(paths: Collection[Location]) -> None:
    """Delete files, those of a store in few requests."""
    for path in paths:
        if isinstance(path, Path):
            path.unlink()
    for store in list_stores(paths):
        with explain_refusal(next(path for path in paths if not isinstance(path, Path))):
            store.rm([path.path for path in paths if not isinstance(path, Path) and path.fs is store])


def delete_folder(place: Location) -> None:
    """Delete what is below a place, as far as that can be done."""
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(WarehouseError):
            delete_files(list_files(place))


def delete_empty_folders(root: Path) -> None:
    """Delete the folders below a folder, and it, that hold nothing."""
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


def find_absent(paths: Iterable[str | Location]) -> Location | None:
    """Of the first file that is not there the highest folder that is not, else the file; None: all are there.

    A file of a store that cannot be reached is not there.
    """
    of_bucket: dict[tuple[int, str], list[UPath]] = {}
    for path in map(locate, paths):
        if not isinstance(path, Path):
            of_bucket.setdefault((id(path.fs), path.path.partition("/")[0]), []).append(path)
        elif not path.exists():
            return next((folder for folder in reversed(path.parents) if not folder.exists()), path)
    for named in of_bucket.values():
        top = commonpath([path.parent.path for path in named])
        try:  # a list of a thousand names is one request
            there = set(named[0].fs.find(top))
        except Exception:
            return named[0]
        for path in named:
            if path.path not in there:
                return path
    return None


def find_away(lakes: Iterable[Location]) -> Location | None:
    """The first lake that is not there, or does not answer; None: all are there. A store without files is there."""
    for lake in lakes:
        if isinstance(lake, Path):
            if absent := find_absent([lake]):
                return absent
            continue
        try:
            lake.fs.exists(lake.path)
        except Exception:
            return lake
    return None


def is_within(place: Location, folder: Location) -> bool:
    """Whether a place is a folder, or below it."""
    return type(place) is type(folder) and (place == folder or folder in place.parents)
