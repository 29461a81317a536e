"""A campaign's current files in object storage: a version beside the others, and an object that names it, written last.

    <url>/<campaign>/versions/<version>/long.parquet, ..., manifest.json
    <url>/<campaign>/current.json            the manifest of the current version

A reader gets `current.json` and then what it names, and sees one whole version, old or new. What lies in the restricted
folder is not copied. Versions that are no longer kept here are deleted there, so that what `forget` wrote again goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recs_assets.exports.rows import ExportError
from recs_assets.exports.versions import list_versions
from recs_assets.locations import name_package

POINTER, VERSIONS = "current.json", "versions"
RESTRICTED = "restricted/"
SETTING = "RECS_EXPORT_STORAGE"


def copy_files(folder: Path, url: str) -> dict[str, Any]:
    """Make the store hold what is current here, and no version that is not kept here.

    Args:
        folder: of the campaign's files.
        url: s3://bucket/prefix, or whatever else fsspec knows.

    Returns:
        version (None where none is current), files and bytes that were copied now.

    Raises:
        ExportError: the store cannot be reached or refuses; readers keep the version they had.
    """
    with _explain(url):
        store, top = _open(url)
        store.invalidate_cache()
        top = f"{top.rstrip('/')}/{folder.name}"
        kept = {path.name: manifest for path, manifest in list_versions(folder)}
        current = (folder / "current").resolve() if (folder / "current").is_symlink() else None
        copied: dict[str, Any] = {"version": current and current.name, "files": 0, "bytes": 0}
        if current is None:
            if store.exists(f"{top}/{POINTER}"):
                store.rm_file(f"{top}/{POINTER}")
        else:
            manifest = _describe(kept[current.name])
            if _read_pointer(store, top) != manifest:
                copied |= _copy_version(store, current, f"{top}/{VERSIONS}/{current.name}", manifest)
                _pipe(store, f"{top}/{POINTER}", manifest)
        for path in _list_folders(store, f"{top}/{VERSIONS}"):
            if path.rpartition("/")[2] not in kept:
                store.rm(path, recursive=True)
    return copied


def _copy_version(store: Any, source: Path, target: str, manifest: dict[str, Any]) -> dict[str, int]:
    """Copy the files that a manifest names, then it; how many, and their bytes."""
    size = 0
    for name, about in manifest["files"].items():
        remote = f"{target}/{name}"
        _make_folder(store, remote)
        store.put_file(str(source / name), remote)
        store.invalidate_cache()
        there = store.info(remote)["size"]
        if there != about["bytes"]:
            raise ExportError(
                f"{SETTING}: {name} has {there} of its {about['bytes']} bytes there; readers keep the version they had, "
                "materialise the asset again."
            )
        size += there
    _pipe(store, f"{target}/manifest.json", manifest)
    return {"files": len(manifest["files"]), "bytes": size}


def _describe(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest without the restricted files."""
    files = {name: about for name, about in manifest["files"].items() if not name.startswith(RESTRICTED)}
    return {**manifest, "folder": f"{VERSIONS}/{manifest['version']}", "files": files}


def _read_pointer(store: Any, top: str) -> dict[str, Any] | None:
    try:
        return json.loads(store.cat_file(f"{top}/{POINTER}"))
    except (FileNotFoundError, ValueError):
        return None


def _pipe(store: Any, path: str, value: dict[str, Any]) -> None:
    _make_folder(store, path)
    store.pipe_file(path, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")


def _make_folder(store: Any, path: str) -> None:
    """A folder of this machine has to be made; in a store there are none."""
    if "file" in (store.protocol if isinstance(store.protocol, tuple) else (store.protocol,)):
        store.makedirs(path.rpartition("/")[0], exist_ok=True)


def _list_folders(store: Any, path: str) -> list[str]:
    store.invalidate_cache()
    try:
        found = store.ls(path, detail=True)
    except FileNotFoundError:
        return []
    return [entry["name"].rstrip("/") for entry in found if entry["type"] == "directory"]


def _open(url: str) -> tuple[Any, str]:
    """The store and the path in it."""
    scheme = url.partition("://")[0]
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)
    except ImportError:
        raise ExportError(
            f"{SETTING}: what writes to such a store is not installed; run pip install {name_package(scheme)}."
        ) from None
    except ValueError:
        raise ExportError(f"{SETTING}: {scheme}:// is unknown; use s3://, gs:// or az://.") from None


@contextmanager
def _explain(url: str) -> Iterator[None]:
    """Say in a sentence what the store refuses."""
    try:
        yield
    except ExportError:
        raise
    except PermissionError:
        raise ExportError(
            f"{SETTING} {url}: the credentials may not list, write and delete there; grant them that."
        ) from None
    except FileNotFoundError:
        raise ExportError(
            f"{SETTING} {url}: there is no such bucket; make it, or correct the setting."
        ) from None
    except Exception as error:  # of every store its own
        kind = type(error).__name__
        what = (
            "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the store's own tools read"
            if "Credentials" in kind
            else f"the store cannot be reached or refuses ({kind}); look at AWS_ENDPOINT_URL and the network"
        )
        raise ExportError(f"{SETTING} {url}: {what}. Readers keep the version they had.") from None
