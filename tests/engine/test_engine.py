"""What an engine needs of this machine: its function of text, copies of tables, and a sentence where it is not there."""

from __future__ import annotations

import datetime as dt
import functools
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from helpers.sail import start_sail
from helpers.shops import ROOT
from recs_assets.engine.address import find_server
from recs_assets.engine.lake import Lake
from recs_assets.engine.session import in_duckdb, quote_literal, require_engine
from recs_assets.schema import EngineError


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("lower(strip_accents(x))", ["Ärmel", None, "ß"], ["armel", None, "ß"]),
        ("plain_text(x)", ["a &amp; <b>b</b>", ""], ["a & b", ""]),
        ("regexp_matches(x, '^\\p{L}+$')", ["abc", "a1"], ["true", "false"]),
        ("x", [], []),
    ],
)
def test_text_is_what_duckdb_makes_of_it(expression, values, expected):
    made = in_duckdb(pa.array([expression] * len(values), pa.string()), pa.array(values, pa.string()))
    assert made.to_pylist() == expected
    assert made.type == pa.string()


def test_a_worker_downloads_nothing_and_takes_one_thread():
    for setting, expected in (
        ("threads", "1"), ("autoinstall_known_extensions", "false"), ("autoload_known_extensions", "false"),
    ):  # fmt: skip
        expression = pa.array([f"current_setting('{setting}')"])
        assert in_duckdb(expression, pa.array(["x"])).to_pylist() == [expected]


def test_workers_need_nothing_of_this_project(tmp_path):
    sent = """
import sys; from pyspark import cloudpickle; from recs_assets.engine.session import in_duckdb, ship_functions
ship_functions(cloudpickle); open(sys.argv[1], "wb").write(cloudpickle.dumps(in_duckdb))
"""
    received = """
import pickle, sys; sys.modules["recs_assets"] = sys.modules["dbt"] = None
import pyarrow as pa; in_duckdb = pickle.load(open(sys.argv[1], "rb"))
print(in_duckdb(pa.array(["plain_text(x)"]), pa.array(["a &amp; <b>b</b>"])).to_pylist())
"""
    run = functools.partial(subprocess.run, cwd=ROOT, check=True, capture_output=True, text=True)
    run([sys.executable, "-W", "ignore", "-c", sent, tmp_path / "function"])
    assert run([sys.executable, "-c", received, tmp_path / "function"]).stdout == "['a & b']\n"


def test_a_row_is_written_as_duckdb_writes_it():
    rows = pa.array([{"id": "c1", "at": dt.datetime(2024, 3, 4, 10), "amount": 0.1, "note": None}])
    assert in_duckdb(pa.array(["cast(to_json(x) as varchar)"]), rows).to_pylist() == [
        '{"id":"c1","at":"2024-03-04 10:00:00","amount":0.1,"note":null}'
    ]


def test_a_build_finds_what_it_is_given_and_the_files_that_raw_tables_were_landed_from(tmp_path):
    lake = Lake(tmp_path / "1")
    lake.give(
        {"raw.orders": tmp_path / "0" / "given" / "raw.orders"}, [("orders", "orders.csv"), ("returns", "")]
    )
    assert list(lake.given) == ["raw.landed_from", "raw.orders"]
    assert lake.given["raw.orders"] == tmp_path / "0" / "given" / "raw.orders"
    assert parquet.read_table(lake.given["raw.landed_from"]).to_pylist() == [
        {"source_table": "orders", "names": "orders.csv"},
        {"source_table": "returns", "names": None},
    ]


def test_an_engine_that_is_not_there_is_said_at_once():
    with pytest.raises(EngineError) as refused:
        require_engine("sc://127.0.0.1:9")
    assert str(refused.value).startswith("No Spark Connect server answers at 127.0.0.1:9 (")
    assert str(refused.value).endswith("start it, or correct RECS_ENGINE, and run the week again.")


@pytest.mark.parametrize("address", ["sc://127.0.0.1;token=SECRET", "sc://127.0.0.1:15999/token=SECRET"])
def test_a_sentence_about_the_engine_never_holds_its_token(address):
    with pytest.raises(
        EngineError, match=r"^RECS_ENGINE is no address of Spark Connect: write sc://host:port"
    ) as refused:
        require_engine(address)
    assert "SECRET" not in str(refused.value)
    with pytest.raises(EngineError, match=r"answers at 127\.0\.0\.1:9 \(") as refused:
        require_engine("sc://127.0.0.1:9/;token=SECRET")
    assert "SECRET" not in str(refused.value)


def test_a_host_that_can_be_none_is_a_sentence_too():
    with pytest.raises(EngineError, match=r"^No Spark Connect server answers at a\.\.b:15002 \("):
        require_engine("sc://a..b")


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("sc://host", ("host", 15002)),
        ("sc://host/", ("host", 15002)),
        ("sc://host:15999", ("host", 15999)),
        (
            "sc://spark_1.example.internal:443/;token=a%3D%3D;x-databricks-cluster-id=1-2",
            ("spark_1.example.internal", 443),
        ),
        ("sc://host:65535/;", ("host", 65535)),
        ("sc://host:65536", None),
        ("sc://host:0", None),
        ("sc://host:", None),
        ("sc://host;token=a", None),
        ("sc://host:15999/token=a", None),
        ("sc://host/;token", None),
        ("sc://host/;token=a==", None),
        ("sc://host/;token=a/b", None),
        ("sc://host/;token=a;", None),
        ("sc://token@host", None),
        ("sc://host\n", None),
        ("http://host", None),
        ("", None),
    ],
)
def test_where_an_engine_is(address, server):
    assert find_server(address) == server


@pytest.mark.parametrize(
    ("text", "literal"),
    [("/mnt/o'brien", r"'/mnt/o\'brien'"), ("/mnt/a\\b", r"'/mnt/a\\b'"), ("/mnt/a b", "'/mnt/a b'")],
)
def test_a_path_is_a_literal_of_spark(text, literal):
    assert quote_literal(text) == literal


def test_a_lake_may_have_an_apostrophe_in_its_path(tmp_path):
    orders = tmp_path / "o'brien" / "given" / "raw.orders"
    orders.mkdir(parents=True)
    parquet.write_table(pa.table({"order_id": ["o1"]}), orders / "0.parquet")
    Lake(tmp_path / "o'brien" / "1").give({"raw.orders": orders}, [])
    read = """
import sys; from pathlib import Path
from pyspark.sql import SparkSession
from recs_assets.engine.lake import Lake; from recs_assets.engine.session import open_session
with open_session(sys.argv[1], Lake(Path(sys.argv[2])), "recs_quoted_"):
    print([tuple(row) for row in SparkSession.getActiveSession().sql("select * from recs_quoted_raw.orders").collect()])
"""
    sail = start_sail()
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", read, sail.url, orders.parents[1] / "1"],
            cwd=ROOT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    finally:
        sail.kill()
    assert done.stdout == "[('o1',)]\n", done.stderr


def test_an_engine_that_ends_at_work_is_why_whatever_else_failed(tmp_path):
    Lake(tmp_path).give({}, [])
    work = """
import sys; from pathlib import Path; sys.path.append("tests")
from helpers.sail import start_sail
from recs_assets.engine.lake import Lake; from recs_assets.engine.session import open_session
from recs_assets.schema import EngineError
sail = start_sail()
try:
    with open_session(sail.url, Lake(Path(sys.argv[1])), "recs_killed_") as finish:
        sail.kill()
        finish(["marts.baskets"])  # which has no file, so that the engine is asked
except EngineError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", work, tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("No Spark Connect server answers at 127.0.0.1:"), done.stderr
