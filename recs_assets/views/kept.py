"""The kept files of a week: the recommenders' lists at its anchors, what the codes stand for, fitted arrays.

Arrays of a model are mapped, not read: a row of a matrix of gigabytes costs a page or two.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from datetime import date
from pathlib import Path

import numpy as np

from recs_assets.recommenders.artefacts import ids_path

_LISTS = re.compile(r"(?P<model>.+)-(?P<anchor>\d{4}-\d\d-\d\d)-(?P<view>all|new|repeat)")


class Kept:
    """The kept files of a week.

    Args:
        folder: of the week.
        week: its Monday.
    """

    def __init__(self, folder: Path, week: date) -> None:
        self.folder, self.week = folder, week

    def anchors(self) -> list[date]:
        """The anchors with lists and ids, latest first."""
        ids = self.folder / "ids"
        found = {date.fromisoformat(path.stem[-10:]) for path in ids.glob("customers-*.parquet")}
        return sorted(found, reverse=True)

    def lists(self, anchor: date, view: str) -> dict[str, Path]:
        """Model -> the file of its lists at an anchor, by name."""
        found = {}
        for path in sorted((self.folder / "candidates").glob(f"*-{anchor.isoformat()}-{view}.parquet")):
            if match := _LISTS.fullmatch(path.stem):
                found[match["model"]] = path
        return found

    def ids(self, kind: str, anchor: date | None = None) -> Path:
        """The file of the ids of "customer", "fit_customer" or "product" at an anchor (None: the week), row number = code."""
        return ids_path(self.folder / "ids", kind, anchor or self.week)

    def campaign(self, name: str, table: str) -> Path:
        """A file of what a campaign made."""
        return self.folder / "campaigns" / name / f"{table}.parquet"

    def facts(self, model: str, file: str = "model.json") -> dict:
        """What a model's folder says of it; empty where there is none."""
        try:
            return json.loads((self.folder / "models" / model / file).read_text("utf-8"))
        except (OSError, ValueError):
            return {}

    def arrays(self, model: str) -> dict[str, np.ndarray]:
        """The fitted arrays of a model as mapped files; empty where there is no such model."""
        try:
            return map_arrays(self.folder / "models" / model / "arrays.npz")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, struct.error):
            return {}


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed npz, mapped read-only where they lie in the file.

    Raises:
        ValueError: an array is compressed, or is none of plain numbers.
    """
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} of {path} is compressed")
            file.seek(entry.header_offset)
            local = struct.unpack("<4s5H3I2H", file.read(30))
            file.seek(entry.header_offset + 30 + local[-2] + local[-1])
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, kind = read[np.lib.format.read_magic(file)](file)
            if kind.hasobject:
                raise ValueError(f"{entry.filename} of {path} holds objects")
            name = entry.filename.removesuffix(".npy")
            if 0 in shape or not shape:
                arrays[name] = np.fromfile(file, kind, int(np.prod(shape))).reshape(shape)
            else:
                arrays[name] = np.memmap(path, kind, "r", file.tell(), shape, "F" if fortran else "C")
    return arrays
