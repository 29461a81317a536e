"""A connection to land in, and a shop to land."""

from __future__ import annotations

import duckdb
import psycopg
import pytest

from helpers.databases import NUMBERS, Database
from helpers.sources import CUSTOMERS, ITEMS, ORDERS, PRODUCTS


@pytest.fixture
def con():
    con = duckdb.connect()
    yield con
    con.close()


@pytest.fixture
def shop(tmp_path):
    """The smallest canonical folder: one customer, one product, one order, one line."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in {
        "customers.csv": CUSTOMERS,
        "products.jsonl": PRODUCTS,
        "orders.csv": ORDERS,
        "order_items.csv": ITEMS,
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def postgres(postgres_server, monkeypatch):
    name = f"shop_{next(NUMBERS)}"
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    url = f"postgresql://shop:open-sesame@127.0.0.1:{postgres_server.port}/{name}"

    def run(sql: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql)

    monkeypatch.setenv("RECS_DATABASE_SHOP", url)
    return Database("postgres", url, run)


@pytest.fixture
def mysql(mariadb_server, monkeypatch):
    name = f"shop_{next(NUMBERS)}"
    mariadb_server.run(f"create database {name} character set utf8mb4")
    monkeypatch.setenv("RECS_DATABASE_SHOP", mariadb_server.address(name))
    return Database("mysql", mariadb_server.address(name), lambda sql: mariadb_server.run(sql, name))


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    return request.getfixturevalue(request.param)
