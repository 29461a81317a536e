"""Which deployment a home is, and the lakes that its weeks were built in: `deployment.json` in the home.

A home at another path than the file says is a copy, or was moved: it begins anew, with a lake of its own, and deletes nothing
of the lakes that the file names. At the same path a copy is known by the folder's inode and the machine; the number of the
device does not count, because it may change whenever a volume is mounted. What it is then, a copy or a backup that was
restored, only the operator knows: nothing goes on before they say it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
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
    if named != found["lakes"] or found["place"] is None:
        _write(home, found | {"lakes": named})


def _read(home: Path) -> dict[str, Any]:
    path, new = home.resolve() / FILE, {"home": str(home.resolve()), "id": "", "lakes": [], "place": None}
    found = _load(path)
    if found.get("home") != new["home"]:
        return new
    if _is_elsewhere(path.parent, found):
        raise WarehouseError(
            f"{path} was written in another folder of that path, or on another machine: where this home is a copy, delete the file, "
            "and a lake of its own begins; where it was restored or moved, and the first one is used no more, set 'place' in "
            "it to null."
        )
    return found


def is_elsewhere(home: Path) -> bool:
    """Whether a home may be a copy of another one under its path, so that nobody knows whose the lakes are."""
    found = _load(home.resolve() / FILE)
    return found.get("home") == str(home.resolve()) and _is_elsewhere(home, found)


def _is_elsewhere(home: Path, found: Mapping[str, Any]) -> bool:
    return bool(found["place"]) and found["place"] != _describe_place(home)


def _describe_place(home: Path) -> str:
    try:
        machine = Path("/etc/machine-id").read_text("utf-8")
    except OSError:  # containers may have none
        machine = ""
    return hashlib.sha256(f"{machine.strip()} {home.stat().st_ino}".encode()).hexdigest()[:16]


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        return {name: found[name] for name in ("home", "id", "lakes")} | {"place": found.get("place")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError(
            f"{path} cannot be read ({error}), which says in which lakes this home's weeks lie: put it back from a backup."
        ) from None


def _write(home: Path, content: dict[str, Any]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    # "" is never compared: somebody set it, where inodes change.
    content["place"] = _describe_place(home) if content["place"] is None else content["place"]
    write_whole(home.resolve() / FILE, json.dumps(content, indent=1) + "\n")
