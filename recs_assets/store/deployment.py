"""Which deployment a home is, and the lakes that its weeks were built in: `deployment.json` in the home.

A home at another path than the file says is a copy, or was moved: it begins anew, with a lake of its own, and deletes nothing
of the lakes that the file names.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recs_assets.files import write_whole
from recs_assets.locations import locate
from recs_assets.schema import WarehouseError

if TYPE_CHECKING:
    from recs_assets.locations import Location

FILE = "deployment.json"


def name_deployment(home: Path) -> str:
    """What folders in a lake, and schemas on an engine, that others use too are called after; made up at the first call."""
    found = _read(home)
    if not found["id"]:
        found["id"] = secrets.token_hex(4)
        _write(home, found)
    return f"recs_{found['id']}"


def list_lakes(home: Path) -> list[Location]:
    """The lakes that weeks of a home were built in."""
    return [locate(path) for path in _read(home)["lakes"]]


def list_lakes_read(home: Path) -> list[Location]:
    """The lakes that files of a home may read, also where it is a copy of another one."""
    try:
        return [locate(path) for path in _load(home.resolve() / FILE).get("lakes", [])]
    except WarehouseError:  # whoever builds or deletes says it
        return []


def remember_lakes(home: Path, lakes: Iterable[Location]) -> None:
    """Keep which lakes weeks of a home were built in."""
    found = _read(home)
    named = sorted(str(path) for path in lakes)
    if named != found["lakes"]:
        _write(home, found | {"lakes": named})


def _read(home: Path) -> dict[str, Any]:
    path, new = home.resolve() / FILE, {"home": str(home.resolve()), "id": "", "lakes": []}
    found = _load(path)
    return found if found.get("home") == new["home"] else new


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        return {name: found[name] for name in ("home", "id", "lakes")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError(
            f"{path} cannot be read ({error}), which says in which lakes this home's weeks lie: put it back from a backup."
        ) from None


def _write(home: Path, content: dict[str, Any]) -> None:
    write_whole(home.resolve() / FILE, json.dumps(content, indent=1) + "\n")
