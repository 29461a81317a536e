"""Whom `forget` is about while it works through the ids of a person: a killed one goes on where it was.

The first id that is forgotten takes along what says whose the others are, and the addresses and orders that they are found by. So
all of it is written down before anything is touched, in a file that only the owner reads, and deleted with the last id.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from recs_assets.operations.traces import Traces
from recs_assets.schema import RecsError

# Beside the manifests; `search_files` passes it over.
FOLDER = Path("erasures", "unfinished")


def load_unfinished(home: Path, customer_id: str) -> tuple[list[Path], list[Traces]]:
    """The files about somebody with this id, and the traces in them, one per id.

    Raises:
        RecsError: a file cannot be read.
    """
    paths, found = [], {}
    for path in sorted((home / FOLDER).glob("*.json")):
        try:
            traces = [
                Traces(
                    **{
                        name: tuple(value) if isinstance(value, list) else value
                        for name, value in row.items()
                    }
                )
                for row in json.loads(path.read_text("utf-8"))
            ]
        except (OSError, ValueError, TypeError) as error:
            raise RecsError(
                f"{path} says which ids an interrupted forget is about and cannot be read ({type(error).__name__}): delete "
                "it, and forget the customer under each of their ids."
            ) from None
        if any(own.customer_id == customer_id for own in traces):
            paths.append(path)
            found |= {own.customer_id: own for own in traces}
    return paths, list(found.values())


def write_unfinished(home: Path, digest: str, traces: Sequence[Traces]) -> Path:
    """Write down whom a forget is about; the file."""
    path = home / FOLDER / f"{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".next")
    aside.unlink(missing_ok=True)
    with os.fdopen(
        os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump([asdict(own) for own in traces], file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    return path


def drop_unfinished(home: Path, paths: Sequence[Path]) -> None:
    """Delete the files, and what a killed writer left beside them."""
    for path in [*paths, *(home / FOLDER).glob("*.next")]:
        path.unlink(missing_ok=True)
    if (home / FOLDER).is_dir() and not any((home / FOLDER).iterdir()):
        (home / FOLDER).rmdir()
