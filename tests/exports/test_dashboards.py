"""The dashboards of examples/grafana: every key is Grafana's, every query runs on a real Postgres, every metric is served."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from helpers.servers import Server
from recs_assets.app.guard import Metrics
from recs_assets.contracts import columns
from recs_assets.exports.postgres_monitor import publish
from recs_assets.exports.rows import ExportError

FOLDER = Path(__file__).parents[2] / "examples" / "grafana"
FILES = sorted(FOLDER.glob("*.json"))
WEEKS = [date(2025, 6, 23), date(2025, 6, 30)]


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def find_lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """What of one value is not in another."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from find_lost(value, kept.get(key), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from find_lost(one, other, f"{place}.{number}")
    elif given != kept:
        yield place


def read_by_the_schema(board: dict[str, Any]) -> dict[str, Any]:
    """A dashboard as Grafana's own types keep it: what they do not know is gone."""
    plugins.register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(copy.deepcopy(board)), cls=JSONEncoder))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_is_what_the_schema_of_grafana_says(path: Path) -> None:
    board = load(path)
    assert list(find_lost(board, read_by_the_schema(board))) == []
    wrong = copy.deepcopy(board)
    wrong["panels"][0]["gridpos"] = wrong["panels"][0].pop("gridPos")
    wrong["tilte"] = "x"
    assert list(find_lost(wrong, read_by_the_schema(wrong))) == [".panels.0.gridpos", ".tilte"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_have_places_and_numbers_of_their_own(path: Path) -> None:
    board = load(path)
    cells = [
        (x, y)
        for panel in board["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) >= 10
    [source] = board["templating"]["list"]
    used = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    assert used == {f"${{{source['name']}}}"}


def test_every_metric_of_the_server_dashboard_is_served() -> None:
    served = {sample.name for family in _observe_metrics().registry.collect() for sample in family.samples}
    text = " ".join(
        target["expr"] for panel in load(FOLDER / "server.json")["panels"] for target in panel["targets"]
    )
    named = set(re.findall(r"\brecs_\w+", text))
    assert named - served == set()
    assert named == {
        "recs_as_of_seconds", "recs_monitor_figures", "recs_state_people", "recs_requests_total",
        "recs_request_seconds_bucket", "recs_events_total", "recs_version_switches",
    }  # fmt: skip


def _observe_metrics() -> Metrics:
    """Metrics with a sample each."""
    metrics = Metrics()
    metrics.requests.labels("/v1/events", "200").inc()
    metrics.seconds.labels("/v1/events").observe(0.01)
    metrics.events.labels("campaign_events").inc()
    metrics.monitor.labels("data", "ok").set(1)
    return metrics


def monitor(verdict: str = "ok") -> pa.Table:
    """Two weeks with a row of every metric that the dashboard asks for."""
    metrics = [
        ("all", "verdict", "all"), ("data", "rows", "orders, last 7 days"), ("data", "drift", "orders.status"),
        ("model", "map", "the ranker, view all"), ("model", "map", "depth:1-2"), ("model", "hits", "all"),
        ("lists", "churn", "mail"), ("lists", "coverage", "mail"), ("people", "ctr", "mail"), ("people", "bounces", "mail"),
        ("people", "fatigue", "mail"),
    ]  # fmt: skip
    rows = [
        dict.fromkeys(columns("monitor"))
        | {
            "as_of": week, "area": area, "metric": metric, "subject": subject, "value": 0.5, "counted": 7,
            "direction": "up", "verdict": verdict, "advice": "nothing to do", "sentence": "It is 50 %\tof all.\nSo.",
        }
        for week in WEEKS
        for area, metric, subject in metrics
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def test_every_query_of_the_results_dashboard_runs_on_postgres_and_finds_rows(
    postgres_server: Server,
) -> None:
    assert publish(monitor("alert"), postgres_server.url) == 22
    with psycopg.connect(postgres_server.url) as connection:
        for panel in load(FOLDER / "results.json")["panels"]:
            [target] = panel["targets"]
            cursor = connection.execute(target["rawSql"])
            names = [column.name for column in cursor.description]
            assert len(cursor.fetchall()) >= 2, panel["title"]
            if target["format"] == "time_series":
                assert names == ["time", "metric", "value"], panel["title"]


def test_a_week_replaces_the_rows_and_grants_stay(postgres_server: Server) -> None:
    publish(monitor(), postgres_server.url)
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute("drop role if exists dashboards")
        admin.execute("create role dashboards")
        admin.execute("grant usage on schema storefront to dashboards")
        admin.execute("grant select on storefront.monitor to dashboards")
        # A column that a newer version has is added to the table that is there.
        admin.execute("alter table storefront.monitor drop column advice")
        publish(monitor("watch").slice(0, 11), postgres_server.url)
        admin.execute("set role dashboards")
        found = admin.execute(
            "select verdict, advice, sentence, count(*) from storefront.monitor group by 1, 2, 3"
        ).fetchall()
        admin.execute("reset role")
        assert found == [("watch", "nothing to do", "It is 50 %\tof all.\nSo.", 11)]
        admin.execute("drop owned by dashboards")
        admin.execute("drop role dashboards")


def test_nobody_there_is_one_sentence_without_the_password() -> None:
    with pytest.raises(ExportError) as raised:
        publish(monitor(), "postgresql://shop:open-sesame@127.0.0.1:9/shop?connect_timeout=1")
    assert "open-sesame" not in str(raised.value)
