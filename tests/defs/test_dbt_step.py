"""What a part of a dbt step asks dbt for, and what becomes of a check that dbt leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from helpers import shops
from helpers.lake import move_to_lake
from recs_assets.cli.failures import list_failures
from recs_assets.dbt_process import Result
from recs_assets.defs.dbt import dbt_build_assets, dbt_resource, run_dbt
from recs_assets.defs.deployment import Deployment
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.week.week import Week

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

EMAIL = dg.AssetKey(["recs", "email_recommendations"])
# It reads a table of the first half, too, so dbt runs it in a part of the second half only where it is named.
APART = "assert_one_email_per_address"


class Dbt:
    """In place of `DbtProcess`: every test passes that it is asked for by name, but for one that it leaves out."""

    def __init__(self, left_out: str = "") -> None:
        self.left_out = left_out
        self.arguments: list[str] = []

    def run(self, arguments: Sequence[str], *_: Any, **__: Any) -> tuple[bool, list[Result]]:
        self.arguments = list(arguments)
        names = self.arguments[self.arguments.index("--select") + 1 : -2]
        return True, [Result(name, "", "test", "pass", "", 0.1) for name in names if name != self.left_out]


def run_part(home: Path, dbt: Dbt) -> dg.ExecuteInProcessResult:
    """The email's table alone, with all its checks."""
    deployment = Deployment.from_settings(Settings(data=shops.TINY, home=home))
    warehouse = deployment.warehouse()
    with warehouse.build(date(2025, 6, 30)).write():
        pass
    _, step = dbt_build_assets(deployment)
    return dg.materialize(
        [step],
        selection=[EMAIL],
        partition_key="2025-06-30",
        resources={"dbt": dbt, "warehouse": warehouse},
        raise_on_error=False,
    )


def test_a_part_asks_for_each_of_its_checks_by_name(tmp_path: Path) -> None:
    dbt = Dbt()
    result = run_part(tmp_path, dbt)
    assert result.success
    assert dbt.arguments[-2:] == ["--indirect-selection", "empty"]
    checked = {check.check_name for check in result.get_asset_check_evaluations()}
    assert APART in checked
    asked = dbt.arguments[dbt.arguments.index("--select") + 1 : -2]
    assert set(asked) == checked | {"email_recommendations"}


def test_a_check_that_dbt_leaves_out_stops_the_run(tmp_path: Path) -> None:
    """Dagster would only print a warning, and publish."""
    result = run_part(tmp_path, Dbt(left_out=APART))
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert f"dbt did not run the tests {APART}: nothing is published" in (error.cause or error).message


@pytest.mark.parametrize("answers", [False, True])
def test_a_run_asks_for_engine_and_lake_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    (tmp_path / "lake").write_text("no folder")
    if answers:
        monkeypatch.setattr("recs_assets.engine.session.require_engine", lambda address: None)
    engine = SecretStr("sc://127.0.0.1:9/;token=SECRET")
    settings = Settings(data=shops.TINY, home=tmp_path / "home", engine=engine, lake=tmp_path / "lake")
    steps: list[str] = []

    @dg.asset
    def orders() -> None:
        steps.append("orders")

    @dg.asset(deps=[orders], required_resource_keys={"dbt"})
    def baskets() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [orders, baskets],
            resources={"dbt": dbt_resource(Deployment.from_settings(settings))},
            instance=instance,
            raise_on_error=False,
        )
    [sentence] = list_failures(result)
    assert sentence.startswith("The lake " if answers else "No Spark Connect server answers at 127.0.0.1:9 (")
    assert "SECRET" not in sentence
    assert steps == []


def test_what_duckdb_builds_between_two_weeks_of_an_engine_is_given_to_it_again(tmp_path: Path) -> None:
    shop = Shop.from_settings(Settings(data=shops.TINY, home=tmp_path))
    week = Week(shop, shop.warehouse(), date(2025, 6, 30))
    with week.build.write() as connection:
        connection.execute("create schema staging; create schema marts")
        connection.execute("create table staging.stg_orders as select 'engine' as made_by")
        connection.execute("create table marts.baskets as select 'engine' as made_by")
    move_to_lake(week.warehouse, week.as_of)

    class OrdersAsView(Dbt):
        def run(self, *_: Any, **__: Any) -> tuple[bool, list[Result]]:
            with week.build.write() as connection:
                connection.execute("create or replace view staging.stg_orders as select 'duckdb' as made_by")
            made = Result("stg_orders", "staging.stg_orders", "model", "success", "", 0.1)
            failed = Result("baskets", "marts.baskets", "model", "error", "", 0.1)
            return False, [made, failed]

    run_dbt(OrdersAsView(), week, [])
    given = move_to_lake(week.warehouse, week.as_of)
    assert given.keys() == {"staging.stg_orders"}
    with week.build.read() as connection:
        assert connection.execute("from staging.stg_orders").fetchall() == [("duckdb",)]
        assert connection.execute("from marts.baskets").fetchall() == [("engine",)]
