"""A deployment whose tables are all in a database: what Dagster asks of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from helpers.databases import ORDERS_COLUMNS, Database, declare
from helpers.servers import free_port
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.schedules import new_files_sensor
from recs_assets.settings import Settings
from recs_assets.shop import FALLBACK_WEEK, Shop


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Of a shop without a folder of files: RECS_DATA is not set."""
    kind = "timestamptz" if database.kind == "postgres" else "timestamp null"
    database.run(
        f"create table orders (id bigint primary key, customer int, placed {kind}, state varchar(20))"
    )
    database.run(
        "insert into orders values (1, 7, '2026-03-02 12:00:00', 'paid'), (2, 8, '2026-03-20 12:00:00', 'paid')"
    )
    declare(tmp_path / "shops" / "mini", "shop:orders", ORDERS_COLUMNS)
    return Settings(source="mini", shops=tmp_path / "shops", home=tmp_path / "home")


def stop_answering(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the server was down."""
    address = database.url.rpartition(":")[0] + f":{free_port()}/" + database.url.rpartition("/")[2]
    monkeypatch.setenv("RECS_DATABASE_SHOP", address)


def test_its_weeks(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop.from_settings(settings)
    assert shop.find_newest_week() == date(2026, 3, 16)
    assert shop.first_week == date(2026, 3, 2)
    stop_answering(database, monkeypatch)
    # Loading the code does not depend on the server.
    assert Shop.from_settings(settings).first_week == date(2026, 3, 2)
    (settings.home / "first_week.json").unlink()
    assert Shop.from_settings(settings).first_week == FALLBACK_WEEK


def test_its_sensor(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop.from_settings(settings)
    sensor = new_files_sensor(Deployment.from_settings(settings))
    context = dg.build_sensor_context()
    first = sensor(context)
    assert isinstance(first, dg.SkipReason)
    assert str(first.skip_message).endswith("waiting until they are quiet.")
    result = sensor(dg.build_sensor_context(cursor=context.cursor))
    assert [request.partition_key for request in result.run_requests] == [shop.find_newest_week().isoformat()]
    stop_answering(database, monkeypatch)
    down = sensor(dg.build_sensor_context(cursor=result.cursor))
    assert down.skip_message == (
        "shop:orders: the server cannot be reached; start it, or correct host and port in RECS_DATABASE_SHOP."
    )
    assert "open-sesame" not in down.skip_message
