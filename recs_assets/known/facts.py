"""What was counted of the whole shop, for those who know some of its customers only.

A fact is a plain array or a sparse matrix with a name, so that facts travel as files without pickle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy import sparse

from recs_assets.files import replace_folder, seal, sha256, unseal
from recs_assets.schema import ArtefactError, FactError

Fact: TypeAlias = np.ndarray | sparse.csr_matrix

PARTS = ("data", "indices", "indptr")


def look_up(facts: Mapping[str, Fact], name: str) -> Fact:
    """A fact by name.

    Raises:
        FactError: nobody counted it.
    """
    try:
        return facts[name]
    except KeyError:
        raise FactError(
            f"The fact {name!r} of the whole shop was not counted before its customers were cut into blocks, and one "
            "block cannot count it: ask the whole shop for it first."
        ) from None


def as_array(fact: Fact) -> np.ndarray:
    """The fact, which is no sparse matrix."""
    assert isinstance(fact, np.ndarray)
    return fact


def pack(values: Mapping[str, Fact]) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """Plain arrays by name, three for a sparse matrix, and the shapes of the sparse ones: what `unpack` takes."""
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, list[int]] = {}
    for name, value in sorted(values.items()):
        if isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            matrix = value.tocsr()
            arrays |= {f"{name}.{part}": getattr(matrix, part) for part in PARTS}
            shapes[name] = list(matrix.shape)
    return arrays, shapes


def unpack(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, list[int]], without: Collection[str] = ()
) -> dict[str, Fact]:
    """Arrays and sparse matrices by name; of a file, those `without` are not read."""
    parts = {f"{name}.{part}" for name in shapes for part in PARTS}
    values: dict[str, Fact] = {name: arrays[name] for name in arrays if name not in {*parts, *without}}
    for name, shape in shapes.items():
        if name in without:
            continue
        values[name] = sparse.csr_matrix(
            tuple(arrays[f"{name}.{part}"] for part in PARTS), shape=tuple(shape)
        )
    return values


def save_facts(facts: Mapping[str, Fact], folder: Path) -> str:
    """Write facts to `folder`, replaced in whole; returns the sha256.

    Raises:
        ArtefactError: a fact holds Python objects.
    """
    arrays, shapes = pack(facts)
    for name, array in arrays.items():
        if array.dtype == object:
            raise ArtefactError(f"The fact {name!r} holds Python objects, which cannot be stored safely.")
    with replace_folder(folder) as aside:
        np.savez(aside / "facts.npz", allow_pickle=False, **arrays)
        digest = sha256(aside / "facts.npz")
        (aside / "facts.json").write_text(seal({"sparse": shapes, "sha256": digest}))
    return digest


def load_facts(folder: Path) -> dict[str, Fact]:
    """What `save_facts` wrote.

    Raises:
        ArtefactError: the files are missing or were changed.
    """
    try:
        description = unseal((folder / "facts.json").read_text())
        changed = description["sha256"] != sha256(folder / "facts.npz")
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"The facts of the shop in {folder} cannot be read ({error}): run the week again."
        ) from error
    if changed:
        raise ArtefactError(
            f"The facts of the shop in {folder} are not what was written: run the week again."
        )
    with np.load(folder / "facts.npz", allow_pickle=False) as arrays:
        return unpack(arrays, description["sparse"])
