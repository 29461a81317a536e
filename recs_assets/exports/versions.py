"""Versions of what is exported: written aside, synced, then switched by one rename. Of the cache:

    <cache>/current -> versions/<as_of>-<run_id>      (symlink, replaced atomically)
    <cache>/versions/<as_of>-<run_id>/manifest.json, recommendations.parquet, shards/...

A reader resolves `current` once and then sees one whole version, old or new. Callers keep to one
writer at a time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from recs_assets.exports import jsonl, parquet
from recs_assets.exports.rows import KEY, ExportError, check
from recs_assets.files import point, sha256, sync

SCHEMA_VERSION = 1
ASIDE = ".aside-"
# In the manifest of a version that was made after its week, in between: the week.
REFRESHES = "refreshes"
# What a manifest says of the version itself.
OWN = ("schema_version", "as_of", "run_id", "version", "files")


def publish(
    rows: pa.Table | pd.DataFrame,
    cache_dir: Path,
    *,
    as_of: date,
    run_id: str,
    keep: int = 3,
    shards: int = jsonl.SHARDS,
    columns: list[str] | None = None,
) -> dict:
    """Write a new version of every cache and make it the current one.

    On any failure the current version stays as it is and nothing new remains.

    Args:
        rows: columns customer_id, rank and whatever each recommendation should carry, sorted by
            customer_id (UTF-8 bytes), rank; no email address, no NaN or infinity.
        cache_dir: folder of the cache; made if absent.
        as_of: the week.
        run_id: of the run that made it; letters, digits, ".", "_", "-".
        keep: versions kept, the current one included; at least 1.
        shards: of the JSON Lines cache.
        columns: export only these besides customer_id and rank; None for all.

    Returns:
        The manifest: schema_version, as_of, run_id, version, rows, customers, columns,
        jsonl_shards, files (path -> rows, bytes, sha256).

    Raises:
        ExportError: the rows are refused (`rows.check`), or run_id, keep or shards is.
        OSError: the disk.
    """
    if shards < 1:
        raise ExportError(f"shards is {shards}; it must be at least 1.")
    table = check(rows, columns)
    write, about = _plan(table, shards)
    return switch_in(cache_dir, as_of=as_of, run_id=run_id, keep=keep, write=write, about=about)


def _plan(table: pa.Table, shards: int) -> tuple[Callable[[Path], dict[str, int]], dict[str, Any]]:
    """How a version of every cache is written, and what its manifest says of it."""

    def write(aside: Path) -> dict[str, int]:
        return {**parquet.write(table, aside), **jsonl.write(table, aside, shards)}

    return write, {
        "rows": table.num_rows,
        "customers": len(table[KEY].unique()),
        "columns": table.column_names,
        "jsonl_shards": shards,
    }


def switch_in(
    folder: Path,
    *,
    as_of: date,
    run_id: str,
    keep: int,
    write: Callable[[Path], dict[str, int]],
    about: dict[str, Any],
) -> dict:
    """Have a new version written and make it the current one.

    On any failure the current version stays as it is and nothing new remains.

    Args:
        folder: of all versions; made if absent.
        as_of: the week.
        run_id: letters, digits, ".", "_", "-".
        keep: versions kept, the current one included; at least 1.
        write: fills the empty folder that it is given and returns rows per file (path within it).
        about: what the manifest says beside schema_version, as_of, run_id, version and files.

    Returns:
        The manifest.

    Raises:
        ExportError: run_id or keep is refused, or `write` refuses.
        OSError: the disk.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", run_id):
        raise ExportError(f"run_id {run_id!r} may hold letters, digits, '.', '_' and '-' only.")
    if keep < 1:
        raise ExportError(f"keep is {keep}; it must be at least 1.")
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    target, manifest = _write(versions, as_of.isoformat(), run_id, write, about)
    try:
        point(folder / "current", target)
    except BaseException:
        if (folder / "current").resolve() != target.resolve():
            shutil.rmtree(target, ignore_errors=True)
        raise
    _prune(versions, target, keep)
    return manifest


def switch(cache_dir: Path, as_of: date, run_id: str) -> str | None:
    """Make the newest version of a week and run current; its name, or None where none is kept."""
    made = [
        path
        for path, manifest in list_versions(cache_dir)
        if (manifest["as_of"], manifest["run_id"]) == (as_of.isoformat(), run_id)
    ]
    if not made:
        return None
    point(cache_dir / "current", made[-1])
    return made[-1].name


def purge(cache_dir: Path, customer_id: str) -> dict[str, str]:
    """Write every version that holds a customer again without them and delete the folder that did.

    Returns:
        New name by old name, in the order written.

    Raises:
        ExportError: a version cannot be read.
        OSError: the disk.
    """
    import pyarrow.parquet as pq

    renamed = {}
    for path, manifest in list_versions(cache_dir):
        table = pq.read_table(path / parquet.FILE)
        others = leave_out(table, customer_id)
        if others.num_rows < table.num_rows:
            write, about = _plan(check(others), manifest["jsonl_shards"])
            renamed[path.name] = rewrite(cache_dir, path, manifest, write, about)
    return renamed


def leave_out(table: pa.Table, customer_id: str) -> pa.Table:
    """The rows of a table that are not a customer's, whose id may have blanks around it, as `operations.search` finds it."""
    import pyarrow.compute as pc

    return table.filter(pc.not_equal(pc.utf8_trim_whitespace(table["customer_id"]), customer_id.strip()))


def rewrite(
    folder: Path, path: Path, manifest: dict, write: Callable[[Path], dict[str, int]], about: dict[str, Any]
) -> str:
    """Put a new version in the place of a kept one: current where that was, as old as that, under a name of
    its own.

    Args:
        folder: of all versions.
        path: of the one to be replaced, which is deleted.
        manifest: its own.
        write: as of `switch_in`.
        about: as of `switch_in`.

    Returns:
        The new name.
    """
    target, _ = _write(path.parent, manifest["as_of"], manifest["run_id"], write, about)
    written = (path / "manifest.json").stat()
    os.utime(target / "manifest.json", ns=(written.st_atime_ns, written.st_mtime_ns))
    if path == (folder / "current").resolve():
        point(folder / "current", target)
    shutil.rmtree(path)
    return target.name


def list_versions(cache_dir: Path) -> list[tuple[Path, dict]]:
    """Every whole version with its manifest, in the order written."""
    versions = []
    for path in (cache_dir / "versions").glob("[!.]*"):
        try:
            text = (path / "manifest.json").read_text(encoding="utf-8")
            versions.append(((path / "manifest.json").stat().st_mtime_ns, path.resolve(), json.loads(text)))
        except (OSError, ValueError) as error:
            raise ExportError(f"{path} is no whole version of the cache ({error}): delete it.") from error
    return [(path, manifest) for _, path, manifest in sorted(versions, key=lambda version: version[:2])]


def _write(
    versions: Path,
    as_of: str,
    run_id: str,
    write: Callable[[Path], dict[str, int]],
    about: dict[str, Any],
) -> tuple[Path, dict]:
    """Write one version, whole or not at all; its folder and its manifest."""
    for left in versions.glob(f"{ASIDE}*"):  # of a killed run; one writer, so nobody is writing there
        shutil.rmtree(left)
    target = _find_free_name(versions, f"{as_of}-{run_id}")
    aside = versions / f"{ASIDE}{target.name}"
    try:
        aside.mkdir()
        counts = write(aside)
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "as_of": as_of,
            "run_id": run_id,
            "version": target.name,
            **about,
            "files": {
                name: {
                    "rows": count,
                    "bytes": (aside / name).stat().st_size,
                    "sha256": sha256(aside / name),
                }
                for name, count in counts.items()
            },
        }
        text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
        (aside / "manifest.json").write_text(text, encoding="utf-8")
        for path in sorted(aside.rglob("*")):
            sync(path)
        sync(aside)
        aside.rename(target)
        sync(versions)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target, manifest


def _find_free_name(versions: Path, name: str) -> Path:
    """`name`, or `name-2`, `name-3`, ...: after every version of that name, so that none is ever reused."""
    taken = [
        int(path.name.removeprefix(name).removeprefix("-") or 1)
        for path in versions.glob(f"{name}*")
        if re.fullmatch(r"(-\d+)?", path.name.removeprefix(name))
    ]
    return versions / (f"{name}-{max(taken) + 1}" if taken else name)


def _prune(versions: Path, current: Path, keep: int) -> None:
    """Remove all but the current and the newest others, by when they were written; of what refreshes a week, all
    but the current: a rollback goes to weeks."""
    made = list_versions(versions.parent)
    weeks = [path for path, manifest in made if REFRESHES not in manifest]
    spare = [path for path, manifest in made if REFRESHES in manifest] + weeks[: max(0, len(weeks) - keep)]
    for path in spare:
        if path != current.resolve():
            shutil.rmtree(path)
