"""Which deployment a home is, and the lakes that its weeks were built in: `deployment.json` in the home.

A home at another path than the file says is a copy, or was moved: it begins anew, with a lake of its own, and deletes nothing
of the lakes that the file names.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recs_assets.files import write_whole
from recs_assets.schema import WarehouseError

FILE = "deployment.json"


def name_deployment(home: Path) -> str:
    """What folders in a lake, and schemas on an engine, that others use too are called after; made up at the first call."""
    found = _read(home)
    if not found["id"]:
        found["id"] = secrets.token_hex(4)
        _write(home, found)
    return f"recs_{found['id']}"


def list_lakes(home: Path) -> list[Path]:
    """The lakes that weeks of a home were built in."""
    return [Path(path) for path in _read(home)["lakes"]]


def remember_lakes(home: Path, lakes: Iterable[Path]) -> None:
    """Keep which lakes weeks of a home were built in."""
    found = _read(home)
    named = sorted(str(path) for path in lakes)
    if named != found["lakes"]:
        _write(home, found | {"lakes": named})


def _read(home: Path) -> dict[str, Any]:
    path, new = home.resolve() / FILE, {"home": str(home.resolve()), "id": "", "lakes": []}
    if not path.exists():
        return new
    try:
        found = json.loads(path.read_text("utf-8"))
        return found if found["home"] == new["home"] else new
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError(
            f"{path} cannot be read ({error}), which says in which lakes this home's weeks lie: put it back from a backup."
        ) from None


def _write(home: Path, content: dict[str, Any]) -> None:
    write_whole(home.resolve() / FILE, json.dumps(content, indent=1) + "\n")
