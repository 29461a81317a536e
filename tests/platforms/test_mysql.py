"""The platforms whose tables are in MySQL, on a real server: the same rows come out as of the Parquet files of their tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.platforms.bagisto import make_bagisto
from helpers.platforms.landed import Landed, land_export, land_shop, land_tables
from helpers.platforms.magento import make_magento
from helpers.platforms.tables import Tables, write_database
from helpers.platforms.woocommerce import make_woocommerce
from helpers.platforms.world import World, make_world
from helpers.servers import MariaDB
from recs_assets.discovery.shop import make_shop
from recs_assets.schema import RAW_TABLES

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
