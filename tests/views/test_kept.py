"""The kept files of a week, read without the build file."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from recs_assets.views.kept import Kept, map_arrays

WEEK = date(2024, 3, 4)


def test_mapped_arrays_are_the_stored_ones(tmp_path):
    stored = {
        "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "empty": np.empty((0, 3), dtype=np.int32),
        "number": np.asarray(7),
    }
    np.savez(tmp_path / "arrays.npz", **stored)
    mapped = map_arrays(tmp_path / "arrays.npz")
    assert set(mapped) == set(stored)
    for name, values in stored.items():
        np.testing.assert_array_equal(mapped[name], values)
        assert mapped[name].dtype == values.dtype
    assert isinstance(mapped["matrix"], np.memmap)


def test_what_is_compressed_or_no_number_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "small.npz", a=np.arange(3))
    with pytest.raises(ValueError, match="is compressed"):
        map_arrays(tmp_path / "small.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="holds objects"):
        map_arrays(tmp_path / "objects.npz")


def test_lists_and_anchors_are_found_by_their_names(tmp_path):
    for name in (
        "als-2024-03-04-all",
        "category_popularity-2024-03-04-all",
        "als-2024-03-04-new",
        "als-2024-02-05-all",
    ):
        (tmp_path / "candidates").mkdir(exist_ok=True)
        (tmp_path / "candidates" / f"{name}.parquet").touch()
    for day in ("2024-02-05", "2024-03-04"):
        (tmp_path / "ids").mkdir(exist_ok=True)
        (tmp_path / "ids" / f"customers-{day}.parquet").touch()
    kept = Kept(tmp_path, WEEK)
    assert list(kept.lists(WEEK, "all")) == ["als", "category_popularity"]
    assert kept.anchors() == [WEEK, date(2024, 2, 5)]


def test_what_is_not_there_is_empty(tmp_path):
    kept = Kept(tmp_path / "nowhere", WEEK)
    assert (kept.anchors(), kept.lists(WEEK, "all"), kept.facts("als"), kept.arrays("als")) == (
        [],
        {},
        {},
        {},
    )
