"""The files of a table, landed apart from each other, hold the rows that they hold together."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from helpers.sources import TINY
from recs_assets.schema import RAW_TABLES, SourceError
from recs_assets.sources import Parts, find_parts, land, land_part, resolve_source
from recs_assets.sources.suppression import Suppression

ZONE = "Europe/Berlin"
ORDERS = [
    f"from (values {values}) as t(order_id, customer_id, ordered_at, status)"
    for values in (
        "('o1', 'c1', timestamptz '2024-05-01 22:30:00+00', 'completed')",
        "('o2', 'c2', timestamptz '2024-05-02 10:00:00+00', 'completed')",
        "('o3', null::varchar, timestamptz '2024-05-03 10:00:00+00', null::varchar)",
    )
]
# Numbers of another type in each file.
ITEMS = [
    f"from (values {values}) as t(order_id, line_id, product_id, quantity, amount)"
    for values in (
        "('o1', '1', 'p1', 1::double, 2.5::float)",
        "('o2', '1', 'p1', 2, 5), ('o3', '1', 'p2', 1, 1), ('o3', '2', 'p1', 1, 3)",
    )
]


@pytest.fixture
def parquet_shop(con, shop) -> Path:
    """A canonical folder whose orders and lines are folders of Parquet files."""
    for table, selects in (("orders", ORDERS), ("order_items", ITEMS)):
        (shop / f"{table}.csv").unlink()
        (shop / table).mkdir()
        for number, select in enumerate(selects):
            write(con, select, shop / table / f"{number}.parquet")
    return shop


def write(con: duckdb.DuckDBPyConnection, select: str, path: Path) -> None:
    con.execute(f"copy ({select}) to '{path}' (format parquet)")


def find(con, shop: Path, table: str, erased: Suppression | None = None) -> Parts | None:
    return find_parts(con, resolve_source("auto", shop), RAW_TABLES[table], shop, ZONE, None, erased, shop)


def land_apart(con, parts: Parts, folder: Path) -> list[tuple]:
    """The rows of all parts, each landed from what JSON says of it, in the order of their numbers."""
    folder.mkdir()
    for number in reversed(range(len(parts.files))):
        land_part(Parts(**json.loads(json.dumps(asdict(parts)))), number, folder / f"{number}.parquet")
    return con.execute(
        f"select * exclude (file_row) from read_parquet('{folder}/*.parquet') order by file_row"
    ).fetchall()


def land_together(con, shop: Path, table: str, erased: Suppression | None = None) -> list[tuple]:
    land(con, resolve_source("auto", shop), table, shop, ZONE, erased=erased)
    return con.execute(f"from raw.{table}").fetchall()


@pytest.mark.parametrize("table", ["orders", "order_items"])
def test_apart_and_together_are_the_same_rows(con, parquet_shop, tmp_path, table):
    parts = find(con, parquet_shop, table)
    assert parts is not None
    assert [file["rows_before"] for file in parts.files] == ([0, 1, 2] if table == "orders" else [0, 1])
    rows = land_apart(con, parts, tmp_path / "apart")
    assert rows == land_together(con, parquet_shop, table)
    if table == "orders":
        # The shop's own time.
        assert rows[0][:3] == ("o1", "c1", datetime(2024, 5, 2, 0, 30))


@pytest.mark.parametrize(("table", "left"), [("orders", ["o1", "o3"]), ("order_items", ["o1", "o3", "o3"])])
def test_who_was_forgotten_is_in_no_part(con, parquet_shop, tmp_path, table, left):
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("c2", datetime(2024, 6, 1))
    parts = find(con, parquet_shop, table, erased)
    assert parts is not None
    rows = land_apart(con, parts, tmp_path / "apart")
    assert [row[0] for row in rows] == left
    assert rows == land_together(con, parquet_shop, table, erased)


def test_what_a_forgotten_visitor_did_is_in_no_part(con, parquet_shop, tmp_path):
    (parquet_shop / "browsing_events").mkdir()
    event = "select '{}' as event_id, '{}' as visitor_id, {} as customer_id, timestamptz '2024-05-01 10:00:00+00' as occurred_at, 'view' as event_type, 'p1' as product_id"
    for number, (visitor, customer) in enumerate([("v1", "'c2'"), ("v1", "null"), ("v2", "null")]):
        select = event.format(number, visitor, f"{customer}::varchar")
        write(con, select, parquet_shop / "browsing_events" / f"{number}.parquet")
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("c2", datetime(2024, 6, 1))
    parts = find(con, parquet_shop, "browsing_events", erased)
    assert parts is not None
    rows = land_apart(con, parts, tmp_path / "apart")
    assert rows == land_together(con, parquet_shop, "browsing_events", erased)
    assert len(rows) == 1


def test_a_part_that_is_not_as_declared_names_itself(con, parquet_shop, tmp_path):
    write(con, "select 'o2' as order_id, '1' as line_id, 'p1' as product_id, 1.0 as quantity, 'nan'::double as amount",
          parquet_shop / "order_items" / "1.parquet")  # fmt: skip
    parts = find(con, parquet_shop, "order_items")
    assert parts is not None
    land_part(parts, 0, tmp_path / "0.parquet")
    with pytest.raises(
        SourceError, match=r"^order_items/1\.parquet row 1: column 'amount' holds NaN or Infinity"
    ):
        land_part(parts, 1, tmp_path / "1.parquet")
    assert not list(tmp_path.glob("1.*"))


@pytest.mark.parametrize(
    ("select", "error"),
    [
        ("select 'o2' as order_id, 'p1' as product_id, 1.0 as quantity, 1.0 as amount",
         r"^order_items/1\.parquet: column 'line_id' is missing, which order_items/0\.parquet has"),
        (None, r"^order_items/1\.parquet: it is not a Parquet file"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused_at_once(con, parquet_shop, select, error):
    path = parquet_shop / "order_items" / "1.parquet"
    if select is None:
        path.write_text("no file of rows")
    else:
        write(con, select, path)
    with pytest.raises(SourceError, match=error):
        find(con, parquet_shop, "order_items")


def test_a_table_that_must_hold_rows_and_has_none_is_refused(con, parquet_shop):
    for path in (parquet_shop / "order_items").iterdir():
        write(con, f"{ITEMS[0]} limit 0", path)
    with pytest.raises(SourceError, match=r"^order_items: it declares columns but holds 0 rows"):
        find(con, parquet_shop, "order_items")


def test_what_must_be_seen_together_is_not_landed_apart(con, parquet_shop):
    """Text, withdrawals by address, tables that are not there, what the API acknowledged, and the rows of a shop's SQL."""
    for table in ("customers", "consents", "returns"):
        assert find(con, parquet_shop, table) is None
    write(con, "select 'c1' as customer_id, 'unsubscribed' as state, timestamp '2024-05-01' as changed_at",
          parquet_shop / "consents.parquet")  # fmt: skip
    assert find(con, parquet_shop, "consents") is None
    assert find(con, TINY, "orders") is None
    assert find(con, TINY, "order_items") is not None
