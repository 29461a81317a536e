"""A connection to land in, and a shop to land."""

from __future__ import annotations

import duckdb
import pytest

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
