"""The platforms whose tables are in MySQL, on a real server: the same rows come out as of the Parquet files of their tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.platforms.bagisto import make_bagisto
from helpers.platforms.landed import PLATFORMS, Landed, land_export, land_shop, land_source, land_tables
from helpers.platforms.magento import make_magento
from helpers.platforms.tables import Tables, write_database
from helpers.platforms.woocommerce import make_woocommerce
from helpers.platforms.world import World, make_world
from helpers.servers import MariaDB
from recs_assets.discovery.shop import make_shop
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import load_source

WORLD = replace(make_world(), orders=make_world().orders[:200])


def compare(from_server: Landed, from_files: Landed) -> None:
    assert from_server.counts == from_files.counts
    for table in RAW_TABLES:
        query = f"select * from raw.{table} order by all"
        assert from_server.sql(query) == from_files.sql(query), table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the shop's files: there are none."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_magento, make_bagisto])
def test_the_tables_land_from_a_server(
    make: Callable[..., tuple[World, Tables]],
    mariadb_server: MariaDB,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = make.__name__.removeprefix("make_")
    made = make(WORLD)
    write_database(mariadb_server, platform, made[1])
    monkeypatch.setenv("RECS_DATABASE_SHOP", mariadb_server.address(platform))
    compare(land_export(platform, folder, WORLD), land_tables(platform, tmp_path, made))


# What a week brings: orders that are corrected, one that was written two days late, and a change of an old one without its time,
# which no system makes and which shows that what did not change is not asked for.
CHANGES = {
    "magento": """
        update sales_order set state = 'closed', updated_at = '2025-03-11 08:00:00' where entity_id = 29001;
        update sales_order_item set qty_canceled = 1, updated_at = '2025-03-11 08:00:00' where order_id = 29002 and product_id = 106;
        insert into sales_order (entity_id, state, customer_id, grand_total, order_currency_code, created_at, updated_at)
            values (40000, 'complete', 1, 60, 'EUR', '2025-03-01 08:00:00', '2025-03-01 08:00:00');
        insert into sales_order_item (item_id, order_id, product_id, product_type, name, qty_ordered, qty_canceled, row_total,
            tax_amount, discount_amount, discount_tax_compensation_amount, updated_at)
            values (90000, 40000, 102, 'simple', 'Fresh Coffee', 2, 0, 50, 10, 0, 0, '2025-03-01 08:00:00');
        insert into sales_creditmemo (entity_id, order_id, adjustment_positive, created_at, updated_at)
            values (90, 40000, 15, '2025-03-05 09:00:00', '2025-03-05 09:00:00');
        update sales_order set state = 'canceled' where entity_id = 21001;
    """,
    "bagisto": """
        update orders set status = 'closed', updated_at = '2025-03-11 08:00:00' where id = 29001;
        update order_items set qty_canceled = 1, updated_at = '2025-03-11 08:00:00' where order_id = 29002 and product_id = 106;
        insert into orders (id, status, customer_id, grand_total, order_currency_code, created_at, updated_at)
            values (40000, 'completed', 1, 60, 'EUR', '2025-03-01 08:00:00', '2025-03-01 08:00:00');
        insert into order_items (id, order_id, product_id, name, qty_ordered, qty_canceled, total, tax_amount, discount_amount, updated_at)
            values (90000, 40000, 102, 'Fresh Coffee', 2, 0, 50, 10, 0, '2025-03-01 08:00:00');
        insert into refunds (id, order_id, adjustment_refund, created_at, updated_at)
            values (90, 40000, 15, '2025-03-05 09:00:00', '2025-03-05 09:00:00');
        update orders set status = 'canceled' where id = 21001;
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize(("make", "done"), [(make_magento, "complete"), (make_bagisto, "completed")])
def test_late_and_corrected_orders_are_taken_in_by_what_changed_alone(
    make: Callable[..., tuple[World, Tables]],
    done: str,
    mariadb_server: MariaDB,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = make.__name__.removeprefix("make_")
    database = f"changes_{platform}"
    write_database(mariadb_server, database, make(WORLD)[1])
    monkeypatch.setenv("RECS_DATABASE_SHOP", mariadb_server.address(database))
    shop = PLATFORMS / platform

    def land_kept() -> Landed:
        return land_source(replace(load_source(shop), kept=tmp_path / "landed"), folder, WORLD)

    before = land_kept()
    mariadb_server.run(CHANGES[platform], database)
    kept, whole = land_kept(), land_shop(shop, folder, WORLD)
    assert {state for _, _, state in before.states("29001", "40000")} == {done}
    assert kept.states("29001", "40000") == [("29001", "1", "closed"), ("40000", "1", done)]
    assert kept.lines("29002") == [("106", 2, 60, 0)] != before.lines("29002")
    assert kept.lines("40000") == [("102", 2, 45, 0)]
    # Nobody said when order 21001 was cancelled, so only a whole reading sees it.
    assert kept.states("21001") == before.states("21001") != whole.states("21001")
    for table in ("orders", "order_items", "returns"):
        query = f"select * from raw.{table} where order_id <> '21001' order by all"
        assert kept.sql(query) == whole.sql(query), table


@pytest.mark.slow
def test_tables_with_a_prefix_become_a_shop(
    mariadb_server: MariaDB, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(mariadb_server, "prefixed", make_woocommerce(WORLD, prefix="site7_")[1])
    monkeypatch.setenv("RECS_DATABASE_LIVE", mariadb_server.address("prefixed"))
    report = make_shop(folder, tmp_path / "by_init", "mine", ["live"])
    assert report.problem is None
    from_files = land_tables("woocommerce", tmp_path, make_woocommerce(WORLD))
    compare(land_shop(report.folder, folder, WORLD), from_files)
