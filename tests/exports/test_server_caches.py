"""The caches in Redis and Postgres, against real servers: whole versions, whatever cuts an export short."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import psycopg
import pytest
import redis

from helpers.servers import Cut, Server, find_program, wait_until
from recs_assets.exports import postgres_cache, redis_cache
from recs_assets.exports.rows import ExportError
from recs_assets.exports.servers import server_caches

pytestmark = pytest.mark.slow

FIRST, SECOND = date(2024, 3, 4), date(2024, 3, 11)
HARD = {
    "c1": '😀 it\'s "she", = her',
    "c2": "'; drop table storefront.user_cache; --",
    "c3": "x" * 300,
    "c4": "tab\there",
}


def rows(product: str, customers: int = 40, wide: int = 200) -> pd.DataFrame:
    """Three recommendations for each of so many customers, some with hard ids; `wide` bytes of reason each."""
    ids = sorted(HARD.get(f"c{n}", f"c{n}") for n in range(customers))
    return pd.DataFrame(
        [
            {
                "customer_id": one,
                "rank": rank,
                "product_id": f"{product}-{rank}",
                "score": 1 / rank,
                "reason_text": f"Ägäis \\ {'x' * wide}",
                "because_at": None,
            }
            for one in sorted(ids, key=str.encode)
            for rank in (1, 2, 3)
        ]
    )


@dataclass
class House:
    """One kind of server, and what is asked of it."""

    server: Server
    publish: Callable[..., dict[str, Any]]
    purge: Callable[[str, str], int]
    count: Callable[[str, str], int]
    lookup: Callable[[str], Any]
    left_over: Callable[[], list[str]]
    name: str

    def url(self, port: int) -> str:
        return self.server.url.replace(str(self.server.port), str(port))

    def everybody(self, frame: pd.DataFrame) -> set[str]:
        """The product ids that the customers are given, and that each has three."""
        found = set()
        for customer in frame["customer_id"].unique():
            items = self.lookup(customer)
            assert [item["rank"] for item in items] == [1, 2, 3]
            found |= {item["product_id"].rpartition("-")[0] for item in items}
        return found


def in_redis(server: Server) -> House:
    client = redis.Redis.from_url(server.url, decode_responses=True)

    def left_over() -> list[str]:
        current = client.get("recs:current")
        return [key for key in client.scan_iter("recs:version:*") if key != current]

    return House(
        server,
        redis_cache.publish,
        redis_cache.purge,
        redis_cache.count,
        lambda customer: redis_cache.lookup(client, customer),
        left_over,
        "Redis",
    )


def in_postgres(server: Server) -> House:
    def lookup(customer: str) -> Any:
        with psycopg.connect(server.url) as connection:
            return postgres_cache.lookup(connection, customer)

    def left_over() -> list[str]:
        with psycopg.connect(server.url) as connection:
            return [
                name
                for (name,) in connection.execute(
                    "select tablename from pg_tables where schemaname = 'storefront' and tablename like 'user_cache_%'"
                )
            ]

    parts = postgres_cache
    return House(server, parts.publish, parts.purge, parts.count, lookup, left_over, "Postgres")


def with_old_lists(made: House) -> House:
    made.publish(rows("old"), made.server.url, as_of=FIRST, run_id="run-1")
    return made


@pytest.fixture
def postgres(postgres_server: Server) -> House:
    return with_old_lists(in_postgres(postgres_server))


@pytest.fixture(params=["redis", "postgres"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    server = request.getfixturevalue(f"{request.param}_server")
    yield with_old_lists({"redis": in_redis, "postgres": in_postgres}[request.param](server))
    if server.process.poll() is not None:
        server.start()


def test_a_new_version_replaces_the_old_one(house: House) -> None:
    new = rows("new", customers=41)
    facts = house.publish(new, house.server.url, as_of=SECOND, run_id="run-2")
    assert (facts["customers"], facts["rows"], facts["as_of"]) == (41, 123, "2024-03-11")
    assert house.everybody(new) == {"new"}
    assert house.lookup(HARD["c2"])[0] == {
        "rank": 1, "product_id": "new-1", "score": 1.0, "reason_text": "Ägäis \\ " + "x" * 200, "because_at": None,
    }  # fmt: skip
    assert house.lookup("nobody") is None
    assert house.left_over() == []
    # The same week again is no other version to clean up.
    house.publish(new, house.server.url, as_of=SECOND, run_id="run-2")
    assert house.left_over() == []


@pytest.mark.parametrize("size", [0, 1, 100, 400, 1_000, 5_000, 10_000, 20_000, 30_000])
@pytest.mark.parametrize("killed", [False, True], ids=["cut", "killed"])
def test_cut_or_killed_midway_readers_keep_the_old_version(house: House, size: int, killed: bool) -> None:
    new = rows("new")
    way = Cut(house.server.port, size, house.server.kill if killed else lambda: None)
    with pytest.raises(ExportError) as error:
        house.publish(new, house.url(way.port), as_of=SECOND, run_id="run-2")
    way.close()
    assert way.passed == size
    if killed:
        assert house.server.process.wait(30) == -signal.SIGKILL
        house.server.start()
    assert str(error.value).startswith(f"{house.name} at 127.0.0.1")
    assert str(error.value).endswith("_cache again.")
    assert "open-sesame" not in str(error.value)
    assert house.everybody(rows("old")) == {"old"}
    house.publish(new, house.server.url, as_of=SECOND, run_id="run-2")
    assert house.everybody(new) == {"new"}
    assert house.left_over() == []


def test_rows_that_are_refused_change_nothing(house: House) -> None:
    bad = rows("new")
    bad.loc[5, "score"] = float("nan")
    with pytest.raises(ExportError, match="NaN"):
        house.publish(bad, house.server.url, as_of=SECOND, run_id="run-2")
    assert house.everybody(rows("old")) == {"old"}


def test_a_forgotten_customer_is_gone_from_every_version(house: House) -> None:
    assert house.count(HARD["c1"], house.server.url) == 1
    assert house.purge(HARD["c1"], house.server.url) == 1
    assert house.count(HARD["c1"], house.server.url) == 0
    assert house.purge(HARD["c1"], house.server.url) == 0
    assert house.lookup(HARD["c1"]) is None
    assert len(house.lookup(HARD["c2"])) == 3


def test_a_server_that_is_not_there_is_one_sentence(house: House) -> None:
    house.server.kill()
    with pytest.raises(ExportError) as error:
        house.publish(rows("new"), house.server.url, as_of=SECOND, run_id="run-2")
    assert str(error.value).startswith(f"{house.name} at 127.0.0.1")
    assert "open-sesame" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_address_is_one_sentence_without_its_password() -> None:
    for url, publish in (
        ("mysql://shop:open-sesame@127.0.0.1/0", redis_cache.publish),
        ("shop:open-sesame@127.0.0.1", postgres_cache.publish),
    ):
        with pytest.raises(ExportError) as error:
            publish(rows("new"), url, as_of=SECOND, run_id="run-2")
        assert "open-sesame" not in str(error.value)


def test_a_redis_without_room_keeps_the_old_version(redis_server: Server) -> None:
    house = with_old_lists(in_redis(redis_server))
    client = redis.Redis.from_url(redis_server.url)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 50_000)
    try:
        with pytest.raises(ExportError, match="maxmemory"):
            house.publish(rows("new", wide=5_000), redis_server.url, as_of=SECOND, run_id="run-2")
    finally:
        client.config_set("maxmemory", 0)
    assert house.everybody(rows("old")) == {"old"}


def test_readers_of_postgres_keep_their_grant_and_their_prepared_statement(postgres: House) -> None:
    with psycopg.connect(postgres.server.url, autocommit=True) as admin:
        admin.execute("drop role if exists storefront")
        admin.execute("create role storefront")
        admin.execute("grant usage on schema storefront to storefront")
        admin.execute("grant select on storefront.user_cache to storefront")
        with psycopg.connect(postgres.server.url, autocommit=True, prepare_threshold=0) as reader:
            reader.execute("set role storefront")
            assert postgres_cache.lookup(reader, "c5")[0]["product_id"] == "old-1"
            postgres.publish(rows("new"), postgres.server.url, as_of=SECOND, run_id="run-2")
            assert postgres_cache.lookup(reader, "c5")[0]["product_id"] == "new-1"
        comment = admin.execute("select obj_description('storefront.user_cache'::regclass)").fetchone()
        assert comment == ("as_of 2024-03-11, run_id run-2, customers 40, rows 120",)
        admin.execute("drop owned by storefront")
        admin.execute("drop role storefront")


def test_a_reader_that_holds_the_table_makes_the_export_fail_not_the_storefront(
    postgres: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_cache, "LOCK_TIMEOUT", "200ms")
    with psycopg.connect(postgres.server.url) as reader:
        assert postgres_cache.lookup(reader, "c5") is not None
        with pytest.raises(ExportError, match="lock timeout"):
            postgres.publish(rows("new"), postgres.server.url, as_of=SECOND, run_id="run-2")
    assert postgres.everybody(rows("old")) == {"old"}


# The server finds a row too long while it reads the copy.
LIMIT_ROWS = """
create function storefront.limit_rows() returns event_trigger language plpgsql as $$
declare created record;
begin
    for created in select object_identity from pg_event_trigger_ddl_commands() where object_type = 'table' loop
        execute format('alter table %s add check (length(recommendations::text) < 700)', created.object_identity);
    end loop;
end $$;
create event trigger limit_rows on ddl_command_end when tag in ('CREATE TABLE')
execute function storefront.limit_rows();
"""


def test_an_error_of_postgres_quotes_no_row(postgres: House) -> None:
    with psycopg.connect(postgres.server.url, autocommit=True) as admin:
        admin.execute(LIMIT_ROWS)
        try:
            with pytest.raises(ExportError) as error:
                postgres.publish(rows("new", wide=400), postgres.server.url, as_of=SECOND, run_id="run-2")
        finally:
            admin.execute("drop event trigger limit_rows")
            admin.execute("drop function storefront.limit_rows()")
    assert "violates check constraint" in str(error.value)
    assert "COPY" not in str(error.value)
    assert "Ägäis" not in str(error.value)
    assert postgres.everybody(rows("old")) == {"old"}


def test_only_what_has_an_address_is_made(redis_server: Server) -> None:
    assert server_caches(None, None) == {}
    found = server_caches(redis_server.url, None)
    assert list(found) == ["redis_cache"]
    assert found["redis_cache"].publish(rows("new"), as_of=SECOND, run_id="run-3")["customers"] == 40
    assert found["redis_cache"].count("c5") == 1
    assert found["redis_cache"].purge("c5") == 1
    assert found["redis_cache"].count("c5") == 0
    wait_until(lambda: in_redis(redis_server).left_over() == [])


def test_without_a_server_tests_are_skipped_and_fail_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = "There is no Nonesuch here: neither the wheel nonesuch_wheel nor a program nonesuch-server."
    wanted = ("Nonesuch", "nonesuch_wheel", "bin/*", "nonesuch-server")
    monkeypatch.delenv("RECS_TEST_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=sentence):
        find_program(*wanted)
    monkeypatch.setenv("RECS_TEST_SERVERS", "required")
    with pytest.raises(pytest.fail.Exception, match=sentence):
        find_program(*wanted)
