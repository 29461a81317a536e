"""What Dagster loads: every asset described, one schedule on the shop's Monday, one sensor."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._utils.schedules import schedule_execution_time_iterator

from helpers import shops
from recs_assets.defs import build_definitions
from recs_assets.defs.deployment import Deployment, week_of
from recs_assets.evaluation.verdict import ADVICE
from recs_assets.quality.expectations import MIN_ROWS_JUDGED
from recs_assets.recommenders import REGISTRY
from recs_assets.schema import RAW_TABLES, SettingsError
from recs_assets.settings import Settings

pytestmark = [
    # Dagster marks what we rely on under a version pin.
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]


def settings(home: Path, data: Path = shops.TINY, **more: object) -> Settings:
    return Settings(data=data, home=home, **more)


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    home = tmp_path_factory.mktemp("home")
    return build_definitions(settings(home, timezone="Europe/Berlin", first_week=date(2016, 1, 4)))


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    graph = definitions.resolve_asset_graph()
    return {
        "/".join(key.path): graph.get(key)
        for key in graph.get_all_asset_keys()
        if graph.get(key).is_materializable
    }


def test_every_table_and_model_is_an_asset(specs: dict) -> None:
    expected = {f"raw/{table}" for table in RAW_TABLES}
    expected |= {f"recommenders/{name}" for name in REGISTRY}
    expected |= {
        "model/recommendations",
        *(f"campaigns/{name}" for name in OWNERS),
        "model/email_selection",
        "model/campaign_outcomes",
        "recs/campaign_outcomes",
        "recs/campaign_predictions",
        "exports/email_weekly_email",
        "exports/predictions_category_affinity",
        "model/buy_it_again",
        "model/product_neighbours",
        "model/association_rules",
        "model/follow_ups",
        "model/metrics",
        "model/attributions",
        "model/recommendation_results",
        "model/recommended_revenue",
        "recs/recommendation_results",
        "model/gates",
        "recs/email_recommendations",
        "recs/buy_it_again",
        "recs/frequently_bought_together",
        "recs/similar_products",
        "recs/association_rules",
        "recs/follow_ups",
        "recs/customer_recommendations",
        "recs/model_metrics",
        "recs/quarantine",
        "marts/customers",
        "marts/products",
        "marts/order_lines",
        "marts/baskets",
        "marts/interactions",
        "published/recs_duckdb",
        "exports/user_cache",
        "exports/serving_store",
        "exports/embeddings",
        "model/product_embeddings",
        "recs/customer_embeddings",
    }
    assert expected <= set(specs)


# The shipped campaigns are their owners', and so are their files.
OWNERS = {
    **dict.fromkeys(
        (
            "weekly_email",
            "back_in_stock",
            "buy_it_again",
            "follow_up",
            "high_value_email",
            "try_something_new",
            "win_back",
        ),
        "team:crm",
    ),
    "category_affinity": "team:marketing-analytics",
}


def test_every_asset_can_be_found_and_asked_about(specs: dict) -> None:
    for name, asset in specs.items():
        assert asset.group_name not in (None, "default"), name
        assert len((asset.description or "").strip()) > 20, name
        owners = OWNERS.get(
            re.sub("^(exports/(email|predictions)_|campaigns/)", "", name), "team:data-engineering"
        )
        assert asset.owners == [owners], name
        assert asset.kinds, name
        weeks = asset.partitions_def
        if name.startswith("nightly/"):
            assert isinstance(weeks, dg.DailyPartitionsDefinition), name
            continue
        assert isinstance(weeks, dg.WeeklyPartitionsDefinition), name
        assert (weeks.day_offset, weeks.timezone) == (1, "Europe/Berlin"), name
    assert {asset.group_name for asset in specs.values()} >= {
        "ingest",
        "staging",
        "marts",
        "features",
        "recommenders",
        "ranking",
        "evaluation",
        "campaigns",
        "publish",
        "exports",
    }


def test_nothing_is_exported_that_was_not_gated_and_published(
    definitions: dg.Definitions, specs: dict
) -> None:
    graph = definitions.resolve_asset_graph()
    above = {
        "/".join(key.path) for key in graph.get_ancestor_asset_keys(dg.AssetKey(["exports", "user_cache"]))
    }
    assert "published/recs_duckdb" in above
    assert above >= {name for name in specs if name.startswith(("recs/", "model/", "recommenders/"))}
    assert above >= {f"raw/{table.name}" for table in RAW_TABLES.values() if table.required}


def test_the_gates_block(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gates = {
        "/".join(key.asset_key.path): graph.get_check_spec(key)
        for key in graph.asset_check_keys
        if key.name == "great_expectations"
    }
    assert set(gates) == {f"raw/{table}" for table in RAW_TABLES} | {
        f"recs/{table}"
        for table in (
            "email_recommendations",
            "buy_it_again",
            "customer_recommendations",
            "frequently_bought_together",
            "similar_products",
            "model_metrics",
        )
    }
    assert all(spec.blocking for spec in gates.values())
    week = {
        (spec.name, "/".join(key.asset_key.path)): spec.blocking
        for key in graph.asset_check_keys
        if (spec := graph.get_check_spec(key)).name in ADVICE
    }
    nightly = {"volume": "features", "freshness": "features"} | dict.fromkeys(
        ("finite", "spread", "coverage", "sameness"), "lists"
    )
    assert week == {
        **{
            (name, "raw/orders" if name in ("volume", "freshness") else "model/gates"): True
            for name in ADVICE
        },
        **{(name, f"nightly/{asset}"): True for name, asset in nightly.items()},
    }


def test_nothing_is_built_before_the_landing_gates_nor_published_before_those_of_the_lists(
    definitions: dg.Definitions,
) -> None:
    job = definitions.resolve_job_def("weekly")
    order = [node.name for node in job.nodes_in_topological_order]
    assert order.index("landing_gate") < order.index("prepare_features")
    assert (
        order.index("model__gates") < order.index("prepare_published") < order.index("published__recs_duckdb")
    )


def test_weeks_are_keyed_by_their_monday(tmp_path: Path) -> None:
    weeks = Deployment.from_settings(settings(tmp_path, first_week=date(2025, 6, 2))).partitions
    # Wednesday noon: this week's Monday counts although the week is not over.
    now = datetime(2025, 6, 18, 12, tzinfo=UTC)
    assert weeks.get_partition_keys(current_time=now) == ["2025-06-02", "2025-06-09", "2025-06-16"]


def dated(folder: Path, first: str) -> Path:
    """The tiny shop with its first order on another day."""
    data = shops.copy(folder)
    shops.change(data, "orders", lambda rows: [rows[0] | {"ordered_at": first}, *rows[1:]])
    return data


def test_weeks_begin_with_the_first_order(tmp_path: Path) -> None:
    """A shop of 2011 has weeks of 2011; the tiny shop's first order is of 30 September 2024, a Monday."""
    tiny = Deployment.from_settings(settings(tmp_path / "tiny"))
    assert tiny.partitions.get_first_partition_key() == "2024-09-30"
    data = dated(tmp_path / "data", "2011-03-09 12:00:00")
    old = Deployment.from_settings(settings(tmp_path / "old", data))
    assert old.partitions.get_first_partition_key() == "2011-03-07"
    assert old.require_week(date(2011, 3, 7)) == date(2011, 3, 7)
    later = Deployment.from_settings(settings(tmp_path / "old", data, first_week=date(2020, 1, 6)))
    assert later.partitions.get_first_partition_key() == "2020-01-06"


def test_the_first_week_is_read_once_and_never_moves_later(tmp_path: Path) -> None:
    home, data = tmp_path / "home", dated(tmp_path / "data", "2011-03-09 12:00:00")

    def first() -> date:
        return Deployment.from_settings(settings(home, data)).first_week

    assert first() == date(2011, 3, 7)
    text = (data / "orders.csv").read_text()
    state = (data / "orders.csv").stat()
    (data / "orders.csv").write_text(text.replace("2011-03-09", "2010-03-09"))
    os.utime(data / "orders.csv", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert first() == date(2011, 3, 7)  # the files look the same: they were not read
    # Dagster keeps records of weeks that ran; the shop's older orders are gone meanwhile.
    shutil.copy(shops.TINY / "orders.csv", data)
    assert first() == date(2011, 3, 7)
    (data / "orders.csv").write_text(text.replace("2011-03-09", "2009-03-09"))
    assert first() == date(2009, 3, 9)
    # Orders that cannot be read are the run's to report, not a reason that nothing loads.
    (data / "orders.csv").write_text("nonsense\n")
    assert first() == date(2009, 3, 9)
    shutil.rmtree(home)
    assert first() == date(2016, 1, 4)


def test_a_week_without_a_partition_is_one_sentence(tmp_path: Path) -> None:
    tiny = Deployment.from_settings(settings(tmp_path))
    with pytest.raises(SettingsError) as error:
        tiny.require_week(date(2011, 3, 7))
    assert str(error.value) == (
        "The week 2011-03-07 lies before the week of the first order (2024-09-30): nothing is known then; run a "
        "later one, or add the older orders."
    )
    with pytest.raises(
        SettingsError, match=r"^The week 2999-01-07 has not begun: run it from that Monday on\.$"
    ):
        tiny.require_week(date(2999, 1, 7))
    later = Deployment.from_settings(settings(tmp_path, first_week=date(2025, 6, 2)))
    with pytest.raises(SettingsError) as error:
        later.require_week(date(2025, 5, 5))
    assert str(error.value) == (
        "The week 2025-05-05 lies before RECS_FIRST_WEEK (2025-06-02): set it to that Monday or an earlier one, or "
        "unset it; it is the week of the first order then."
    )


@pytest.mark.parametrize("key", ["2025-06-17", "tuesday"])
def test_a_partition_that_is_no_monday_is_refused(key: str) -> None:
    class Context:
        partition_key = key

    with pytest.raises(SettingsError, match=r"is not a Monday: pick one of the weekly partitions\."):
        week_of(Context())


# -- schedule -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "tick", "week"),
    [
        ("2025-03-23T12:00", "2025-03-24T05:00", "2025-03-24"),  # winter: 06:00 is 05:00 UTC
        ("2025-03-29T12:00", "2025-03-31T04:00", "2025-03-31"),  # the day after clocks went forward
        ("2025-10-19T12:00", "2025-10-20T04:00", "2025-10-20"),
        ("2025-10-25T12:00", "2025-10-27T05:00", "2025-10-27"),  # the day after clocks went back
    ],
)
def test_the_schedule_is_monday_at_six_in_the_shop(
    definitions: dg.Definitions, after: str, tick: str, week: str
) -> None:
    schedule = definitions.resolve_schedule_def("every_monday")
    assert schedule.execution_timezone == "Europe/Berlin"
    begin = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = next(
        schedule_execution_time_iterator(
            begin.timestamp(), schedule.cron_schedule, schedule.execution_timezone
        )
    )
    assert found.astimezone(UTC) == datetime.fromisoformat(tick).replace(tzinfo=UTC)
    context = dg.build_schedule_context(
        scheduled_execution_time=found, repository_def=definitions.get_repository_def()
    )
    result = schedule.evaluate_tick(context)
    assert [(request.partition_key, request.run_key) for request in result.run_requests] == [(week, week)]


def test_ten_years_of_ticks_are_ten_years_of_mondays(definitions: dg.Definitions) -> None:
    """2020 to 2029 in Berlin, twenty changes of the clock: 522 Mondays, each asked for once, each at six."""
    schedule = definitions.resolve_schedule_def("every_monday")
    ticks = itertools.takewhile(
        lambda tick: tick.year < 2030,
        schedule_execution_time_iterator(
            datetime(2020, 1, 1, tzinfo=UTC).timestamp(), schedule.cron_schedule, schedule.execution_timezone
        ),
    )
    repository = definitions.get_repository_def()
    asked, offsets = [], set()
    for tick in ticks:
        assert (tick.weekday(), tick.hour, tick.minute) == (0, 6, 0)
        offsets.add(tick.utcoffset())
        context = dg.build_schedule_context(scheduled_execution_time=tick, repository_def=repository)
        [request] = schedule.evaluate_tick(context).run_requests
        asked.append(date.fromisoformat(request.partition_key))
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}
    assert asked == [date(2020, 1, 6) + timedelta(weeks=number) for number in range(522)]


def test_a_tick_late_on_sunday_utc_is_the_shops_monday(tmp_path: Path) -> None:
    loaded = build_definitions(settings(tmp_path, timezone="Pacific/Auckland"))
    schedule = loaded.resolve_schedule_def("every_monday")
    # Monday 2025-06-30 06:00 in Auckland.
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2025, 6, 29, 18, tzinfo=UTC),
        repository_def=loaded.get_repository_def(),
    )
    [request] = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == "2025-06-30"


def test_a_tick_before_the_first_week_asks_for_nothing(tmp_path: Path) -> None:
    loaded = build_definitions(settings(tmp_path, first_week=date(2025, 7, 7)))
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2025, 6, 30, 6, tzinfo=UTC),
        repository_def=loaded.get_repository_def(),
    )
    result = loaded.resolve_schedule_def("every_monday").evaluate_tick(context)
    assert result.skip_message == "The week 2025-06-30 lies before the first one, 2025-07-07."
    assert not result.run_requests


# -- sensor ---------------------------------------------------------------------------------


def test_the_sensor_waits_until_changed_files_are_quiet(tmp_path: Path) -> None:
    data = shops.copy(tmp_path / "data")
    loaded = build_definitions(settings(tmp_path / "home", data))
    sensor = loaded.resolve_sensor_def("new_raw_files")
    cursor: str | None = None

    def look() -> dg.SensorResult:
        nonlocal cursor
        with dg.build_sensor_context(cursor=cursor, definitions=loaded) as context:
            seen = sensor.evaluate_tick(context)
        cursor = seen.cursor
        return seen

    first = look()
    assert not first.run_requests
    assert "waiting until they are quiet" in first.skip_message
    [request] = look().run_requests
    assert request.partition_key == "2025-06-30"
    assert request.run_key.startswith("2025-06-30:")
    again = look()
    assert not again.run_requests
    assert "have not changed" in again.skip_message

    shops.change(data, "reviews", lambda rows: rows[:-1])
    assert "waiting" in look().skip_message
    os.utime(data / "reviews.jsonl", (1, 1))  # still being written
    assert "waiting" in look().skip_message
    [second] = look().run_requests
    assert second.run_key != request.run_key
    assert not look().run_requests

    (data / "merchants").mkdir()  # a table that was not there, in parts
    (data / "merchants" / "part-0.csv").write_text("merchant_id,name\nm1,Ann's\n")
    assert "waiting" in look().skip_message
    assert look().run_requests


def test_the_sensor_says_what_is_wrong_with_the_files(tmp_path: Path) -> None:
    data = shops.copy(tmp_path / "data")
    loaded = build_definitions(settings(tmp_path / "home", data))
    sensor = loaded.resolve_sensor_def("new_raw_files")
    (data / "orders.csv").unlink()
    cursor = None
    with dg.build_sensor_context(definitions=loaded) as context:
        cursor = sensor.evaluate_tick(context).cursor
    with (
        dg.build_sensor_context(cursor=cursor, definitions=loaded) as context,
        pytest.raises(Exception, match=r"orders\.csv"),
    ):
        sensor.evaluate_tick(context)


# -- small numbers kept twice ---------------------------------------------------------------


def test_the_gate_and_dbt_judge_tables_from_the_same_size_on() -> None:
    project = yaml.safe_load((shops.ROOT / "dbt_project" / "dbt_project.yml").read_text())
    assert project["vars"]["min_rows_judged"] == MIN_ROWS_JUDGED


def test_the_shipped_dagster_yaml_keeps_one_writer() -> None:
    shipped = yaml.safe_load((shops.ROOT / "recs_assets" / "defs" / "dagster.yaml").read_text())
    assert shipped["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}
    assert shipped["run_monitoring"]["enabled"] is True
    assert shipped["run_monitoring"]["max_runtime_seconds"] == 4 * 3600
    assert shipped["telemetry"] == {"enabled": False}


def test_dbt_is_found_in_this_environment(definitions: dg.Definitions) -> None:
    assert shutil.which("dbt") is not None


def test_no_secret_is_part_of_a_resource_that_dagster_shows(tmp_path: Path) -> None:
    secret = "a secret of this deployment"
    loaded = build_definitions(settings(tmp_path, hash_key=secret))
    shown = loaded.resources["warehouse"].model_dump()
    assert shown["home"] == str(tmp_path)
    assert secret not in repr(loaded.resources["warehouse"]) + repr(shown)


def test_what_is_published_is_to_be_made_once_a_week(specs: dict) -> None:
    policies = {
        key: spec.freshness_policy for key, spec in specs.items() if spec.freshness_policy is not None
    }
    assert policies.pop("nightly/serving_store").fail_window.to_timedelta() == timedelta(days=2, hours=6)
    assert set(policies) == {"published/recs_duckdb", "exports/user_cache", "exports/serving_store"}
    # A run takes four hours at most.
    for policy in policies.values():
        assert policy.fail_window.to_timedelta() == timedelta(days=7, hours=6)


def test_previews_show_nobody() -> None:
    import duckdb

    from recs_assets.defs.metadata import markdown_table, table_metadata

    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        connection.execute(
            "create table raw.orders as select 'o-secret' as order_id, 'c-secret' as customer_id, "
            "'a@b.example' as email, '{\"customer_id\": \"c-secret\"}' as row_json, 'c-secret|1' as row_key, "
            "'completed' as status"
        )
        shown = table_metadata(connection, "raw", "orders")["preview"].value
    assert shown == "| status |\n| --- |\n| completed |"
    # Nor the lists of a recommender or a campaign, which are no tables of the build file.
    rows = [("c-secret", "c-secret", "Tea", 1)]
    assert markdown_table(["customer", "customer_id", "product", "rank"], rows) == (
        "| product | rank |\n| --- | --- |\n| Tea | 1 |"
    )


def test_old_runs_are_dropped_from_dagster(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from recs_assets.defs.publish import drop_old_runs

    @dg.job
    def nothing() -> None:
        pass

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        done = nothing.execute_in_process(instance=instance).run_id
        going = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED).run_id
        now = datetime.now(UTC)
        drop_old_runs(instance, 2, now + timedelta(days=13))
        assert {run.run_id for run in instance.get_runs()} == {done, going}
        drop_old_runs(instance, 2, now + timedelta(days=15))
        assert [run.run_id for run in instance.get_runs()] == [going]
        assert instance.all_logs(done) == []
