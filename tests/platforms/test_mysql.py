"""The platforms whose tables are in MySQL, on a real server: the same rows come out as of the Parquet files of their tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.platforms.bagisto import make_bagisto
from helpers.platforms.landed import land_export, land_tables
from helpers.platforms.magento import make_magento
from helpers.platforms.tables import Tables, write_database
from helpers.platforms.woocommerce import make_woocommerce
from helpers.platforms.world import World, make_world
from helpers.servers import MariaDB
from recs_assets.schema import RAW_TABLES


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_woocommerce, make_magento, make_bagisto])
def test_the_tables_land_from_a_server(
    make: Callable[[World], tuple[World, Tables]],
    mariadb_server: MariaDB,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = make.__name__.removeprefix("make_")
    world = make_world()
    made = make(replace(world, orders=world.orders[:200]))
    write_database(mariadb_server, platform, made[1])
    monkeypatch.setenv("RECS_DATABASE_SHOP", mariadb_server.address(platform))
    folder = tmp_path / "empty"
    folder.mkdir()
    from_server = land_export(platform, folder, made[0])
    from_files = land_tables(platform, tmp_path, made)
    assert from_server.counts == from_files.counts
    for table in RAW_TABLES:
        query = f"select * from raw.{table} order by all"
        assert from_server.sql(query) == from_files.sql(query), table
