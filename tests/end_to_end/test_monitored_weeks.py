"""What the monitor says of the tiny shop's two weeks, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from helpers import shops
from helpers.receiver import receive
from helpers.shops import Home
from recs_assets.defs import build_definitions
from recs_assets.monitoring import alert
from recs_assets.settings import Settings

# What the warnings are about is pinned (recs_assets/defs/__init__.py).
pytestmark = pytest.mark.filterwarnings("ignore")

FIRST, SECOND = "2025-05-05", "2025-06-30"


def test_the_first_week_has_nothing_to_compare_with_and_says_so(weekly: Home) -> None:
    verdicts = weekly.query(
        f"select distinct verdict from recs.monitor where as_of = '{FIRST}' and area in ('data', 'lists')"
    )
    assert verdicts == [("unknown",)]
    [(verdict, advice, sentence)] = weekly.query(
        f"select verdict, advice, sentence from recs.monitor where as_of = '{FIRST}' and area = 'all'"
    )
    assert (verdict, advice) == ("unknown", "nothing to do")
    assert sentence.startswith("Too early to say that all is well")


def test_the_second_week_is_compared_with_the_first(weekly: Home) -> None:
    [(drifts, measured)] = weekly.query(
        f"select count(*), count(value) from recs.monitor where as_of = '{SECOND}' and metric = 'drift'"
    )
    assert drifts > 100
    assert measured > 50
    [(reference, weeks)] = weekly.query(
        f"select reference, reference_weeks from recs.monitor where as_of = '{SECOND}' and metric = 'rows' "
        "and subject = 'orders'"
    )
    [(before,)] = weekly.query(
        f"select value from recs.gates where as_of = '{FIRST}' and gate = 'volume' and subject = 'orders'"
    )
    assert (reference, weeks) == (before, 1)
    # Lists of 5 May, of which the window of 14 days is over.
    [(buyers, hits)] = weekly.query(
        f"select counted, value from recs.monitor where as_of = '{SECOND}' and metric = 'hits' and subject = 'all'"
    )
    assert buyers > 5
    assert 0 < hits <= 1
    assert weekly.query(
        f"select distinct subject from recs.monitor where as_of = '{SECOND}' and metric = 'churn' order by all"
    ) == [("customer_recommendations",), ("weekly_email",)]


def test_what_is_kept_for_the_next_week_names_nobody(weekly: Home) -> None:
    rows = weekly.query("select subject, bin, rows from recs.monitor_distributions")
    assert len(rows) > 500
    people = {who for (who,) in weekly.query("select customer_id from recs.customers")}
    assert not people & {name for _, name, _ in rows}
    assert min(count for *_, count in rows if count) >= 10
    assert not [subject for subject, *_ in rows if subject.endswith(("_id", ".email", ".body", ".query"))]


def test_an_alert_is_sent_after_the_publish_and_a_failure_to_deliver_fails_nothing(
    weekly: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert, "WAITS", (0.0, 0.0))
    home = weekly.copy(tmp_path / "home")
    with duckdb.connect(str(home.path / "weeks" / SECOND / "build.duckdb")) as build:
        build.execute(
            "update model.monitor set verdict = 'alert', sentence = 'orders has 1 row.' where metric = 'rows' and subject = 'orders'"
        )

    def materialise(week: str, url: str) -> tuple[dict, list[str]]:
        own = Settings(home=home.path, data=shops.TINY, threads=1, alert_url=url)
        job = build_definitions(own).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
            result = job.execute_in_process(
                partition_key=week, asset_selection=[dg.AssetKey(["exports", "alert"])], instance=instance
            )
            logs = [
                record.event_log_entry.user_message
                for record in instance.get_records_for_run(result.run_id).records
            ]
        assert result.success
        [event] = result.get_asset_materialization_events()
        return {name: value.value for name, value in event.materialization.metadata.items()}, logs

    with receive(500, 500, 500, 200) as receiver:
        metadata, logs = materialise(SECOND, receiver.url)
        assert (metadata["sent"], len(receiver.bodies)) == (False, 3)
        assert any("could not be delivered: the receiver answered 500" in text for text in logs)
        assert not any("s3cret" in text for text in logs)
        metadata, logs = materialise(SECOND, receiver.url)
        assert (metadata["sent"], len(receiver.bodies)) == (True, 4)
        assert receiver.bodies[-1]["sentences"] == ["orders has 1 row."]
        assert "Monitor: orders has 1 row." in logs
        metadata, _ = materialise(FIRST, receiver.url)  # a backfill tells nobody
        assert (metadata["sent"], len(receiver.bodies)) == (False, 4)
