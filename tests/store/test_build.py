"""The build file of a week: tables written as declared, and errors of one sentence."""

from __future__ import annotations

import subprocess

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from helpers.warehouse import FIRST, build, read_line, start_python
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse


def test_replace_table_casts_to_the_declared_types(house: Warehouse) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "score": [1.5, np.nan], "extra": [1, 2]})
    assert house.build(FIRST).replace_table("scores", frame, {"score": "double", "id": "varchar"}) == 2
    assert house.build(FIRST).replace_table("scores", frame, {"score": "double", "id": "varchar"}) == 2
    with house.build(FIRST).read() as connection:
        assert connection.execute("select * from model.scores order by id").fetchall() == [
            (1.5, "a"),
            (None, "b"),
        ]


def test_replace_table_takes_rows_a_part_at_a_time(house: Warehouse) -> None:
    parts = [
        pa.record_batch({"score": pa.array([1.5, None]), "id": ["a", "b"]}),
        pa.record_batch({"score": [2.0], "id": ["c"]}),
    ]
    rows = pa.RecordBatchReader.from_batches(parts[0].schema, iter(parts))
    assert house.build(FIRST).replace_table("scores", rows, {"id": "varchar", "score": "double"}) == 3
    with house.build(FIRST).read() as connection:
        assert connection.execute("select * from model.scores").fetchall() == [
            ("a", 1.5),
            ("b", None),
            ("c", 2.0),
        ]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64", "Float64"])
def test_replace_table_refuses_infinity(house: Warehouse, value: float, dtype: str) -> None:
    frame = pd.DataFrame({"score": pd.Series([1.0, value], dtype=dtype)})
    with pytest.raises(WarehouseError, match=r"model\.scores\.score holds an infinite number"):
        house.build(FIRST).replace_table("scores", frame, {"score": "double"})
    with house.build(FIRST).read() as connection:
        assert connection.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]


def test_a_table_that_cannot_be_cast_leaves_the_one_before(house: Warehouse) -> None:
    house.build(FIRST).replace_table("scores", pd.DataFrame({"n": [1]}), {"n": "integer"})
    with pytest.raises(duckdb.ConversionException):
        house.build(FIRST).replace_table("scores", pd.DataFrame({"n": ["one"]}), {"n": "integer"})
    with house.build(FIRST).read() as connection:
        assert connection.execute("select * from model.scores").fetchall() == [(1,)]


def test_a_build_file_that_another_process_writes(house: Warehouse) -> None:
    build(house, FIRST)
    writer = start_python(
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()",
        house.build(FIRST).path,
        stdin=subprocess.PIPE,
    )
    try:
        assert read_line(writer) == "open"
        with pytest.raises(WarehouseError, match="Close whatever holds the file") as raised:
            house.build(FIRST).write().__enter__()
        assert "\n" not in str(raised.value)
    finally:
        writer.kill()
        writer.communicate()


def test_a_build_of_an_earlier_version_is_one_sentence(house: Warehouse) -> None:
    """A table that it does not have, and a column: what, where, what to do."""
    build(house, FIRST, [("c1", 1, "p1")])
    for sql, what in (
        ("select slot from recs.recommended", "Table with name recommended does not exist!"),
        (
            "select address_group from recs.email_recommendations",
            'Referenced column "address_group" not found in FROM clause!',
        ),
    ):
        with pytest.raises(WarehouseError) as raised, house.build(FIRST).read() as connection:
            connection.execute(sql)
        said = str(raised.value)
        assert said.startswith(
            f"The build file of {FIRST} is not complete, or an earlier version of recs_assets made it ("
        )
        assert what in said
        assert said.endswith(f": run the week again (python -m recs_assets run --as-of {FIRST}).")
