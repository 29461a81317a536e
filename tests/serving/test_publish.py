"""The store that a publish writes: what of the snapshot is in it, its versions, and who is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import orjson
import pandas as pd
import pytest

from recs_assets.rules.sensitive import SensitiveGoods
from recs_assets.serving import publish
from recs_assets.serving.state import State
from recs_assets.serving.store import FILE, Customer, FileStore, ServingError, count_customer

WEEK = date(2024, 3, 4)
NOW = datetime(2024, 3, 4, 6, tzinfo=UTC)
GOODS = SensitiveGoods.model_validate(
    {"topics": {"alcohol": {"levels": ["never_discover"], "words": ["wine"]}}}
)
TABLES = """
create schema recs;
create table recs.products as select *, null::varchar as image_url, null::double as list_price, 'usual' as price_kind,
    null::double as price_from, 'EUR' as currency, null::timestamp as start_at from (values
    ('p1', 'Tea', 'Drinks', 'food', 'X', 'm1', 'tea', 'https://shop.example/p1', 2.5, 1.0, null, '{"countries": ["DE", "AT"]}', true),
    ('p2', 'Wine', 'Drinks', 'food', null, null, null, null, 9.0, null, timestamp '2024-04-01', 'no json', true),
    ('bag', 'Bag', null, null, null, null, null, null, 0.1, null, null, null, false)
) t(product_id, product_name, category, vertical, brand, merchant_id, parent_id, url, price, cost, end_at, attributes, is_product);
create table recs.order_lines as select *, null::timestamp as fully_returned_at, true as learned_from from (values
    ('o1', 'ada', 'p1', timestamp '2024-03-03 10:00'), ('o2', 'ada', 'p1', timestamp '2024-02-05 10:00'),
    ('o3', null, 'p2', timestamp '2024-03-03 10:00'), ('o4', 'bob', 'p2', timestamp '2024-03-04 00:00')
) t(order_id, customer_id, product_id, ordered_at);
create table recs.customers as select * from (values
    ('ada', 'de', ' vip ', 'subscribed'), ('bob', null, null, 'unsubscribed'), ('eve', 'DE', 'vip', 'objected')
) t(customer_id, country, segment, consent_state);
create table recs.customer_recommendations as select * from (values
    (date '2024-03-04', 'ada', 1, 'p2', 0.7, 0.25, 'als', 'popular', 'Often bought', 'p1', 'r1'),
    (date '2024-03-04', 'ada', 2, 'p1', 0.5, null, 'als', 'popular', 'Often "bought"', null, 'r2'),
    (date '2024-02-26', 'ada', 1, 'p1', 0.9, 0.9, 'als', 'popular', 'A week ago', null, 'r0'),
    (date '2024-03-04', 'eve', 1, 'p1', 0.5, null, 'als', 'popular', 'Not hers', null, 'r3')
) t(as_of, customer_id, rank, product_id, score, p_purchase, source, reason_code, reason_text, because_product_id, recommendation_id);
create table recs.buy_it_again as select * from (values
    (date '2024-03-04', 'ada', 1, 'p1', 0.5, 0.5, 'bought_regularly', 'Every 28 days', 'r4')
) t(as_of, customer_id, rank, product_id, score, p_purchase, reason_code, reason_text, recommendation_id);
create table recs.similar_products as select * from (values
    (date '2024-03-04', 'p1', 1, 'p2', 0.5, 'Similar to Tea', 'r5'),
    (date '2024-03-04', 'p1', 2, 'bag', 0.4, 'Similar to Tea', 'r6'),
    (date '2024-02-26', 'p2', 1, 'p1', 0.9, 'A week ago', 'r8')
) t(as_of, product_id, rank, neighbour_id, score, reason_text, recommendation_id);
create table recs.frequently_bought_together as select * from (values
    (date '2024-03-04', 'p2', 1, 'p1', 0.1, 'In 10% of the baskets', 'r7'),
    (date '2024-02-26', 'p1', 1, 'p2', 0.9, 'A week ago', 'r9')
) t(as_of, product_id, rank, neighbour_id, score, reason_text, recommendation_id);
create table recs.model_decisions as select date '2024-03-04' as as_of, 1 as step, 'ranker' as chosen;
"""


@pytest.fixture
def snapshot():
    with duckdb.connect(":memory:") as connection:
        connection.execute(TABLES)
        yield connection


def write(snapshot, folder: Path, run_id: str = "run", keep: int = 3, **more) -> dict:
    shelf = pd.DataFrame(
        {
            "product_id": ["p1", "p2"],
            "stock": [3.0, None],
            "start_at": pd.Series([datetime(2024, 1, 1), None], dtype="datetime64[us]"),
            "end_at": pd.Series([None, None], dtype="datetime64[us]"),
        }
    )
    return publish.publish(
        snapshot, shelf, GOODS, folder, as_of=WEEK, run_id=run_id, version="1.2.3", timezone="Europe/Berlin", keep=keep, now=NOW,
        **more,
    )  # fmt: skip


def test_a_person_is_found_by_each_of_their_ids(snapshot, tmp_path: Path) -> None:
    snapshot.execute("alter table recs.customers add column customer_ids varchar[]")
    snapshot.execute("update recs.customers set customer_ids = [customer_id, customer_id || '-old']")
    assert write(snapshot, tmp_path)["rows"] == 6
    store = FileStore(tmp_path / "current" / FILE)
    assert store.read_customer("ada-old") == store.read_customer("ada")
    assert store.read_again("ada-old") == store.read_again("ada")
    assert store.read_customer("ada-old").person == "ada"
    assert store.read_customer("eve-old").withdrawn
    state = State(lambda customer_id: store.read_customer(customer_id).person)
    bought = {"event_type": "purchased", "product_id": "p1", "occurred_at": "2024-03-05T10:00:00+00:00"}
    state.apply("campaign_events", {"customer_id": "ada-old", **bought})
    assert list(state.find_people("ada", None, None).find("bought", 0)) == ["p1"]
    state.apply("consents", {"customer_id": "ada-old", "state": "objected"})
    assert state.is_withdrawn("ada")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_customers_in_parts_are_the_same(snapshot, tmp_path: Path, monkeypatch, size) -> None:
    def read(folder: Path) -> list[tuple]:
        assert write(snapshot, folder, erased={"eve", "nobody"})["rows"] == 4
        with closing(sqlite3.connect(folder / "current" / FILE)) as store:
            return store.execute("select * from customers order by id").fetchall()

    whole = read(tmp_path / "whole")
    monkeypatch.setattr(publish, "PART", size)
    assert read(tmp_path / "parts") == whole


def test_what_is_in_the_store(snapshot, tmp_path: Path) -> None:
    manifest = write(snapshot, tmp_path)
    assert (manifest["rows"], manifest["products"], manifest["model_version"]) == (3, 2, "ranker 1.2.3")
    store = FileStore(tmp_path / "current" / FILE)
    assert store.about == {
        "format": 3, "as_of": "2024-03-04", "run_id": "run", "model_version": "ranker 1.2.3",
        # Midnight in Berlin.
        "begins_at": datetime(2024, 3, 3, 23, tzinfo=UTC).timestamp(), "counted_at": NOW.timestamp(),
        "monitor": [],
    }  # fmt: skip
    ada = store.read_customer("ada")
    assert (ada.country, ada.segment) == ("DE", "vip")
    assert orjson.loads(ada.list) == [
        [1, 0.7, 0.25, "als", "popular", "Often bought", "p1", "r1"],
        [0, 0.5, None, "als", "popular", 'Often "bought"', None, "r2"],
    ]
    assert orjson.loads(ada.tastes) == [[0, 1.0]]
    assert orjson.loads(store.read_again("ada")) == [[0, 0.5, 0.5, "bought_regularly", "Every 28 days", "r4"]]
    bob = store.read_customer("bob")
    assert (bob.country, bob.segment, bob.list, bob.tastes) == (None, None, None, None)
    # What is no product is in no list, and of whoever objected there is nothing but that.
    assert orjson.loads(store.read_neighbours(0)[0]) == [[1, 0.5, "Similar to Tea", "r5"]]
    assert orjson.loads(store.read_neighbours(1)[1]) == [[0, 0.1, "In 10% of the baskets", "r7"]]
    assert store.read_customer("eve") == Customer(None, None, None, None, True, "eve")
    assert not ada.withdrawn
    assert orjson.loads(store.read_segment("vip")) == [0]
    assert orjson.loads(store.read_card(0)) == {
        "title": "Tea", "url": "https://shop.example/p1", "image_url": None, "price": 2.5, "price_kind": "usual",
        "price_from": None, "currency": "EUR", "category": "Drinks", "brand": "X", "merchant_id": "m1",
    }  # fmt: skip
    [facts] = store.read_facts()
    assert {name: facts[name] for name in ("product_id", "stock", "countries", "never_offer", "never_discover")} == {
        "product_id": ["p1", "p2"], "stock": [3.0, None], "countries": [" DE AT ", None], "never_offer": [False, False],
        "never_discover": [False, True],
    }  # fmt: skip
    assert facts["start_at"] == [datetime(2023, 12, 31, 23, tzinfo=UTC).timestamp(), None]
    assert facts["end_at"] == [None, datetime(2024, 3, 31, 22, tzinfo=UTC).timestamp()]
    # A day is half after 28: 0.5 ** (1 / 28) + 0.5 ** (28 / 28), and of a guest's order 0.5 ** (1 / 28).
    assert facts["popularity"] == [1.475549, 0.975549]


def test_who_was_erased_in_the_shops_files_is_withdrawn(snapshot, tmp_path: Path) -> None:
    """Before the week, of whom the published tables have nobody, or since, under any of their ids."""
    snapshot.execute("alter table recs.customers add column customer_ids varchar[]")
    snapshot.execute("update recs.customers set customer_ids = [customer_id, customer_id || '-old']")
    assert write(snapshot, tmp_path, erased={"zoe", "ada-old"})["rows"] == 7
    store = FileStore(tmp_path / "current" / FILE)
    assert store.read_customer("zoe") == Customer(None, None, None, None, True, "zoe")
    assert (
        store.read_customer("ada")
        == Customer(None, None, None, None, True, "ada")
        == store.read_customer("ada-old")
    )
    assert store.read_again("ada") is None
    assert not store.read_customer("bob").withdrawn


def test_a_snapshot_of_an_earlier_version_has_no_ids(snapshot, tmp_path: Path) -> None:
    snapshot.execute("alter table recs.similar_products drop column recommendation_id")
    write(snapshot, tmp_path)
    store = FileStore(tmp_path / "current" / FILE)
    assert orjson.loads(store.read_neighbours(0)[0]) == [[1, 0.5, "Similar to Tea", None]]
    assert orjson.loads(store.read_customer("ada").list)[0][-1] is None


def test_versions_are_kept_and_switched(snapshot, tmp_path: Path) -> None:
    names = [write(snapshot, tmp_path, f"run-{number}", keep=2)["version"] for number in range(3)]
    assert sorted(path.name for path in (tmp_path / "versions").iterdir()) == names[1:]
    assert publish.switch(tmp_path, WEEK, "run-1") == names[1] == (tmp_path / "current").resolve().name
    assert publish.switch(tmp_path, WEEK, "run-0") is None


def test_a_customer_is_purged_from_every_version_and_their_bytes_too(snapshot, tmp_path: Path) -> None:
    write(snapshot, tmp_path, "a")
    write(snapshot, tmp_path, "b")
    assert publish.purge(tmp_path, "nobody") == {}
    renamed = publish.purge(tmp_path, "ada")
    assert renamed == {"2024-03-04-a": "2024-03-04-a-2", "2024-03-04-b": "2024-03-04-b-2"}
    assert (tmp_path / "current").resolve().name == "2024-03-04-b-2"
    for path in (tmp_path / "versions").iterdir():
        assert count_customer(path / FILE, "ada") == 0
        assert b"Every 28 days" not in (path / FILE).read_bytes()
        assert count_customer(path / FILE, "bob") == 1


def test_a_store_of_another_format_is_refused(
    snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "FORMAT", 1)
    write(snapshot, tmp_path)
    with pytest.raises(ServingError, match="another version of recs_assets"):
        FileStore(tmp_path / "current" / FILE)
