"""What a function over a block returns comes back from its files as it was."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recs_assets.campaigns.blocks import Part
from recs_assets.schema import WarehouseError
from recs_assets.week.result_files import load_result, save_result


def travel(value: object, folder: Path) -> object:
    save_result(value, folder / "result")
    return load_result(folder / "result")


def test_frames_keep_their_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "customer": np.array([3, 4], np.int32),
            "rank": np.array([1, 2], np.int16),
            "score": np.array([0.1, np.nan], np.float32),
            "source": pd.Categorical(["b", "b"], categories=("a", "b", "")),
            "name": ["x", None],
            "text": pd.Series(["x", None], dtype=object),
            "told": pd.Series([np.nan, "x"], dtype=object),
            "nobody": pd.Series([None, None], dtype=object),
            "list": [np.array([1, 2]), np.array([3])],
            "day": [dt.date(2024, 3, 4), None],
            "at": pd.to_datetime(["2024-03-04 10:00", None]),
        }
    )
    back = travel({"new": frame, "none": frame.head(0), "cut": frame.tail(1)}, tmp_path)
    for name, expected in (("new", frame), ("none", frame.head(0)), ("cut", frame.tail(1))):
        pd.testing.assert_frame_equal(back[name], expected, check_exact=True)
    assert list(back["none"]["source"].cat.categories) == ["a", "b", ""]
    assert back["new"]["text"].tolist() == ["x", None]
    assert np.isnan(back["new"]["told"][0])


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0.1 + 0.2,
        [1, "a", [None]],
        (1, ("b",), {"c": (2.5,)}),
        {"week": dt.date(2024, 3, 4)},
        {},
    ],
)
def test_plain_values_come_back(tmp_path: Path, value: object) -> None:
    back = travel(value, tmp_path)
    assert back == value
    assert type(back) is type(value)


def test_arrays_and_numbers_of_numpy_come_back(tmp_path: Path) -> None:
    back = travel([np.array([[1, 2]], np.int8), np.float32(0.1), np.bool_(True), np.float64(0.5)], tmp_path)
    assert back[0].dtype == np.int8
    assert back[0].tolist() == [[1, 2]]
    assert back[1] == np.float32(0.1)
    assert type(back[1]) is np.float32
    assert back[2:] == [np.True_, 0.5]


def test_dataclasses_of_this_project_come_back(tmp_path: Path) -> None:
    back = travel(Part({"rows": pd.DataFrame({"a": [1]})}, {"seen": 3}), tmp_path)
    assert isinstance(back, Part)
    assert back.facts == {"seen": 3}
    assert back.tables["rows"]["a"].tolist() == [1]


@pytest.mark.parametrize("value", [object(), {1: 2}, {"x": {1, 2}}, lambda: 0, np.array([object()])])
def test_what_cannot_travel_is_refused_and_leaves_nothing(tmp_path: Path, value: object) -> None:
    with pytest.raises((WarehouseError, ValueError)):
        save_result(value, tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


def test_a_file_cannot_name_what_is_not_of_this_project(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(
        json.dumps({"recs type": "os:system", "value": {"command": "true"}, "scalar": False})
    )
    with pytest.raises(WarehouseError, match="result of a block"):
        load_result(tmp_path)
