"""A deployment small enough to write by hand, of which somebody is to be forgotten."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

from pydantic import SecretStr

from helpers.lake import move_to_lake
from recs_assets.exports import versions
from recs_assets.exports.load import load_published_lists
from recs_assets.settings import Settings
from recs_assets.shop import open_warehouse
from recs_assets.store.warehouse import Warehouse

KEY = SecretStr("a secret for tests only")
TINY = Path(__file__).parents[2] / "examples" / "tiny_shop"
WEEKS = [date(2024, 3, 4), date(2024, 3, 11)]
NOW = datetime(2024, 3, 12)


def deployment(
    home: Path,
    names: tuple[str, ...],
    newcomers: tuple[str, ...] = (),
    lake: Path | str | None = None,
    change: str = "",
) -> tuple[Settings, Warehouse]:
    """Two published weeks with their caches; the build file holds raw customers and orders. Newcomers are
    in the second week only. The shop's own files are the tiny shop's, which knows c01 to c39 and none of these. With a
    lake, an engine made the weeks; `change` is SQL on each build file."""
    settings = Settings(home=home, data=TINY, hash_key=KEY, threads=1, retention_weeks=3, lake=lake)
    warehouse = open_warehouse(settings)
    for week in WEEKS:
        names += newcomers if week == WEEKS[1] else ()
        with warehouse.build(week).write() as connection:
            connection.execute("create schema raw; create schema recs")
            connection.execute("create table raw.customers (customer_id varchar, email varchar)")
            connection.execute("create table raw.orders (order_id varchar, customer_id varchar)")
            connection.execute(
                "create table recs.customer_recommendations (as_of date, customer_id varchar, rank integer, "
                "product_id varchar, product_name varchar, category varchar, price double, score double, "
                "p_purchase double, source varchar, reason_code varchar, reason_text varchar, because_product_id varchar)"
            )
            connection.execute("create table recs.customers (customer_id varchar)")
            connection.execute(
                "create table recs.quarantine (source_table varchar, row_key varchar, reason varchar, "
                "event_at timestamp, row_json varchar)"
            )
            for kind in ("product", "customer"):
                connection.execute(
                    f"create table recs.{kind}_embeddings (as_of date, {kind}_id varchar, model varchar, "
                    "dimensions integer, embedding float[])"
                )
            connection.execute(
                "insert into recs.product_embeddings values (?, '17', 'content', 2, [0, 1])", [week]
            )
            for number, name in enumerate(names):
                connection.execute("insert into raw.customers values (?, ?)", [name, f"{name}@mail.example"])
                connection.execute("insert into raw.orders values (?, ?)", [f"o{number}", name])
                connection.execute("insert into recs.customers values (?)", [name])
                connection.execute(
                    "insert into recs.customer_embeddings values (?, ?, 'graph_filter', 2, [0.5, -0.25])",
                    [week, name],
                )
                connection.execute(
                    "insert into recs.customer_recommendations values (?, ?, 1, '17', 'Tea', 'tea', 1, 1, null, "
                    "'rules', 'x', 'because', null)",
                    [week, name],
                )
                connection.execute(
                    "insert into recs.quarantine values ('order_items', ?, 'bad', null, ?)",
                    [f"o{number}|1", json.dumps({"order_id": f"o{number}"})],
                )
            connection.execute(change)
        if lake is not None:
            move_to_lake(warehouse, week)
        run = f"run-{week.day:04}"
        warehouse.publish(week, run, NOW, "1.2.3")
        with warehouse.snapshot() as connection:
            lists = load_published_lists(connection, week)
        versions.publish(lists, home / "cache", as_of=week, run_id=run, keep=3, shards=2)
    return settings, warehouse
