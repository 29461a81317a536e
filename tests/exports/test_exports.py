import hashlib
import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.exports import jsonl, parquet, versions
from recs_assets.exports.jsonl import customer_hash, lookup
from recs_assets.exports.rows import ExportError
from recs_assets.exports.versions import publish

AS_OF = date(2017, 1, 2)


def rows(names=("c1", "c2"), score=0.5):
    return pd.DataFrame(
        [
            (name, rank, f"p{rank}", score / rank, "rules", date(2016, 12, 12) if rank == 1 else None)
            for name in names
            for rank in (1, 2)
        ],
        columns=["customer_id", "rank", "product_id", "score", "source", "because_at"],
    ).astype({"rank": np.int32, "source": "category"})


def put(cache, table=None, run_id="r1", **more):
    table = rows() if table is None else table
    return publish(table, cache, as_of=AS_OF, run_id=run_id, **({"shards": 3} | more))


def everything(folder):
    """Path -> bytes of every file, and where the link points."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files, (folder / "current").readlink() if (folder / "current").is_symlink() else None


def test_the_hash_is_the_documented_one():
    # echo -n c1 | sha256sum
    assert f"{customer_hash('c1'):016x}" == hashlib.sha256(b"c1").hexdigest()[:16] == "d0f631ca1ddba8db"


def test_written_looked_up_and_listed(tmp_path):
    manifest = put(tmp_path)
    assert (tmp_path / "current").readlink() == Path("versions/2017-01-02-r1")
    assert lookup(tmp_path, "c1") == [
        {"rank": 1, "product_id": "p1", "score": 0.5, "source": "rules", "because_at": "2016-12-12"},
        {"rank": 2, "product_id": "p2", "score": 0.25, "source": "rules", "because_at": None},
    ]
    assert lookup(tmp_path, "c3") is None
    current = tmp_path / "current"
    assert json.loads((current / "manifest.json").read_text()) == manifest
    assert {key: manifest[key] for key in list(manifest)[:-1]} == {
        "schema_version": 1,
        "as_of": "2017-01-02",
        "run_id": "r1",
        "version": "2017-01-02-r1",
        "rows": 4,
        "customers": 2,
        "columns": ["customer_id", "rank", "product_id", "score", "source", "because_at"],
        "jsonl_shards": 3,
    }
    on_disk = {str(path.relative_to(current.resolve())) for path in current.resolve().rglob("*.*")}
    assert set(manifest["files"]) == on_disk - {"manifest.json"}
    for name, facts in manifest["files"].items():
        content = (current / name).read_bytes()
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert facts["bytes"] == len(content)
    assert manifest["files"]["recommendations.parquet"]["rows"] == 4
    assert sum(facts["rows"] for name, facts in manifest["files"].items() if name.endswith(".jsonl")) == 4
    assert pq.read_table(current / parquet.FILE).column("product_id").to_pylist() == ["p1", "p2", "p1", "p2"]


def test_lines_are_json_in_the_order_of_the_rows(tmp_path):
    names = [f"c{number:03d}" for number in range(50)]
    put(tmp_path, rows(names), shards=1)
    lines = (tmp_path / "current/shards/0000.jsonl").read_text().splitlines()
    assert [json.loads(line)["customer_id"] for line in lines] == names
    assert lines[0] == (
        '{"customer_id": "c000", "recommendations": '
        '[{"rank": 1, "product_id": "p1", "score": 0.5, "source": "rules", "because_at": "2016-12-12"}, '
        '{"rank": 2, "product_id": "p2", "score": 0.25, "source": "rules", "because_at": null}]}'
    )


def test_same_rows_same_bytes_whatever_the_block(tmp_path, monkeypatch):
    table = rows([f"c{number:03d}" for number in range(30)])
    put(tmp_path / "a", table)
    monkeypatch.setattr(jsonl, "BLOCK_ROWS", 3)
    put(tmp_path / "b", table)
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(st.sets(ids, min_size=1, max_size=8), ids, st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_any_finite_number_come_back(tmp_path_factory, names, product, score):
    cache = tmp_path_factory.mktemp("cache")
    names = sorted(names, key=lambda name: name.encode())
    table = pa.table(
        {
            "customer_id": names,
            "rank": pa.array([1] * len(names), pa.int16()),
            "product_id": [product] * len(names),
            "score": [score] * len(names),
            "fine": [True] * len(names),
        }
    )
    put(cache, table)
    for name in names:
        assert lookup(cache, name) == [{"rank": 1, "product_id": product, "score": score, "fine": True}]


def test_colliding_hashes_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "customer_hash", lambda name: 7)
    put(tmp_path, rows(["a", "b", "c"]))
    assert lookup(tmp_path, "b")[0]["product_id"] == "p1"
    assert lookup(tmp_path, "d") is None


def test_columns_can_be_chosen(tmp_path):
    put(tmp_path, columns=["product_id"])
    assert lookup(tmp_path, "c1") == [{"rank": 1, "product_id": "p1"}, {"rank": 2, "product_id": "p2"}]


def test_no_rows_are_a_version_too(tmp_path):
    manifest = put(tmp_path, rows([]))
    assert (manifest["rows"], manifest["customers"]) == (0, 0)
    assert lookup(tmp_path, "c1") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(score=math.nan), "Column score holds 4 values that are NaN"),
        (lambda t: t.assign(score=[0, 1, -math.inf, 2]), "Column score holds 1 values"),
        (lambda t: pa.table({"customer_id": ["a"], "rank": [1], "x": [math.nan]}), "Column x holds 1"),
        (lambda t: t.drop(columns="rank"), r"lack the column\(s\) \['rank'\]"),
        (
            lambda t: t.assign(customer_id=[None, "c1", "c2", "c2"]),
            "customer_id of the rows .* holds 1 nulls",
        ),
        (lambda t: t.iloc[::-1], "not sorted by customer_id, rank"),
        (lambda t: t.assign(rank=1), "see row 1, customer_id 'c1', rank 1"),
        (lambda t: t.assign(email="a@b.c"), "Column email may hold email addresses"),
        (lambda t: t.assign(at=pd.Timestamp("2017-01-01")), "Column at is timestamp"),
    ],
)
def test_refused_rows_leave_everything_as_it_was(tmp_path, change, message):
    put(tmp_path)
    before = everything(tmp_path)
    with pytest.raises(ExportError, match=message):
        put(tmp_path, change(rows(score=9.0)), run_id="r2")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("more", [{"run_id": "../x"}, {"run_id": ""}, {"keep": 0}, {"shards": 0}])
def test_refused_arguments(tmp_path, more):
    with pytest.raises(ExportError):
        put(tmp_path, **more)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (jsonl, "_encode_lists"),
        (parquet, "write"),
        (versions, "sha256"),
        (versions, "sync"),
        (versions, "point"),
        (Path, "replace"),
    ],
)
def test_nothing_is_half_switched(tmp_path, monkeypatch, module, name):
    put(tmp_path)
    before = everything(tmp_path)

    def broken(*arguments):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, name, broken)
        with pytest.raises(OSError, match="no space left"):
            put(tmp_path, rows(score=9.0), run_id="r2")
    files, link = everything(tmp_path)
    # The unused link of a failed rename is the one thing that may stay; the next version takes it over.
    assert (files, link) == before or set(tmp_path.iterdir()) - {tmp_path / ".current.next"} == {
        tmp_path / "current",
        tmp_path / "versions",
    }
    assert link == before[1]
    assert lookup(tmp_path, "c1")[0]["score"] == 0.5
    assert [path.name for path in (tmp_path / "versions").iterdir()] == ["2017-01-02-r1"]
    put(tmp_path, rows(score=9.0), run_id="r2")
    assert lookup(tmp_path, "c1")[0]["score"] == 9.0


def test_a_killed_run_leaves_nothing_for_long(tmp_path):
    left = tmp_path / "versions" / ".aside-2017-01-02-r0"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    put(tmp_path)
    assert [path.name for path in (tmp_path / "versions").iterdir()] == ["2017-01-02-r1"]


def test_versions_kept(tmp_path):
    for number in range(4):
        put(tmp_path, run_id=f"r{number}", keep=2)
    names = sorted(path.name for path in (tmp_path / "versions").iterdir())
    assert names == ["2017-01-02-r2", "2017-01-02-r3"]


def test_a_retried_run_writes_beside_its_first_version(tmp_path):
    put(tmp_path)
    assert put(tmp_path, rows(score=9.0))["version"] == "2017-01-02-r1-2"
    assert lookup(tmp_path, "c1")[0]["score"] == 9.0


def test_a_reader_keeps_its_version(tmp_path):
    put(tmp_path)
    held = (tmp_path / "current").resolve()
    put(tmp_path, rows(score=9.0), run_id="r2")
    assert json.loads((held / "manifest.json").read_text())["run_id"] == "r1"


def test_no_cache_and_a_damaged_one(tmp_path):
    with pytest.raises(ExportError, match="no readable current version"):
        lookup(tmp_path, "c1")
    put(tmp_path)
    (tmp_path / "current" / "manifest.json").write_text("{")
    with pytest.raises(ExportError, match="no readable current version"):
        lookup(tmp_path, "c1")
