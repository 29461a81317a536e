"""The week's cache in Redis and Postgres: materialised, rolled back, without whoever is forgotten."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest
import redis

from helpers.servers import Server
from helpers.shops import Home
from recs_assets.defs import build_definitions
from recs_assets.exports import jsonl, postgres_cache, redis_cache
from recs_assets.operations.forget import forget
from recs_assets.operations.rollback import rollback
from recs_assets.settings import Settings

# What the warnings are about is pinned (recs_assets/defs/__init__.py).
pytestmark = pytest.mark.filterwarnings("ignore")

EARLIER, WEEK = "2025-05-05", "2025-06-30"
KEYS = [dg.AssetKey(["exports", name]) for name in ("redis_cache", "postgres_cache")]
COPY = dg.AssetKey(["exports", "postgres_monitor"])


def settings(home: Path, **more: str) -> Settings:
    return Settings(home=home, data=Path(__file__).parents[2] / "examples" / "tiny_shop", threads=1, **more)


def test_a_server_without_an_address_has_no_asset(tmp_path: Path) -> None:
    keys = build_definitions(settings(tmp_path)).resolve_asset_graph().get_all_asset_keys()
    assert not keys & {*KEYS, COPY}


def test_the_servers_hold_what_the_files_hold(
    weekly: Home, redis_server: Server, postgres_server: Server, tmp_path: Path
) -> None:
    home = weekly.copy(tmp_path / "home")
    own = settings(
        home.path,
        redis_url=redis_server.url,
        postgres_url=postgres_server.url,
        hash_key="a secret for tests only",
    )
    job = build_definitions(own).resolve_implicit_global_asset_job_def()
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)

    def looked_up(customer: str) -> list:
        with psycopg.connect(postgres_server.url) as connection:
            return [redis_cache.lookup(client, customer), postgres_cache.lookup(connection, customer)]

    def materialised(week: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
            return job.execute_in_process(
                partition_key=week, asset_selection=KEYS, instance=instance, raise_on_error=False
            )

    result = materialised(WEEK)
    assert result.success
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        assert "open-sesame" not in str(metadata)
        assert metadata["customers"].value == 38
    expected = jsonl.lookup(home.cache, "c01")
    assert len(expected) > 5

    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        assert job.execute_in_process(partition_key=WEEK, asset_selection=[COPY], instance=instance).success
    with psycopg.connect(postgres_server.url) as connection:
        copied = connection.execute(
            "select as_of::text, count(*) from storefront.monitor group by 1 order by 1"
        ).fetchall()
    assert copied == home.query("select as_of::varchar, count(*) from recs.monitor group by 1 order by 1")
    assert looked_up("c01") == [expected, expected]

    # A backfill of an old week leaves the storefront at the newest.
    assert materialised(EARLIER).success
    assert looked_up("c01") == [expected, expected]

    rollback(own, "1.2.3")
    before = jsonl.lookup(home.cache, "c01")
    assert before != expected
    assert looked_up("c01") == [before, before]

    forget(own, "c01", home.path / "dagster", "1.2.3")
    assert looked_up("c01") == [None, None]
    assert looked_up("c02") == [jsonl.lookup(home.cache, "c02")] * 2
    assert client.smembers("recs:versions") == {client.get("recs:current")}


def test_a_dead_server_fails_its_own_asset_in_one_sentence(weekly: Home, tmp_path: Path) -> None:
    own = settings(weekly.path, redis_url="redis://:open-sesame@127.0.0.1:1/0")
    job = build_definitions(own).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        result = job.execute_in_process(
            partition_key=WEEK, asset_selection=KEYS[:1], instance=instance, raise_on_error=False
        )
    [failure] = [event for event in result.all_events if event.is_step_failure]
    said = str(failure.step_failure_data.error.cause or failure.step_failure_data.error)
    assert "Redis at 127.0.0.1:1 refused or went away" in said
    assert "open-sesame" not in said


@pytest.mark.parametrize("name", ["redis_url", "postgres_url"])
def test_an_address_is_a_secret(name: str, tmp_path: Path) -> None:
    assert "open-sesame" not in repr(settings(tmp_path, **{name: "redis://:open-sesame@host/0"}))
