"""Two customers of an earlier week who are one person by now: what either was sent, shown and assigned is the person's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pandas as pd
import pytest

from helpers.attribution import Shop
from helpers.warehouse import FIRST, SECOND, build, emails, publish, rows
from recs_assets.experiments.facts import load_assignments
from recs_assets.experiments.shadows import load_shadow_results
from recs_assets.operations.nightly import LISTS, load_nightly_recommendations
from recs_assets.store.people import show_by_person
from recs_assets.store.warehouse import Warehouse


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Ben turns out to be ann, whose the older profile is."""
    shop = Shop()
    shop.connection.execute("delete from marts.customers where customer_id = 'ben'")
    join(shop.connection, ann="ann", ben="ann")
    yield shop
    shop.connection.close()


def join(connection: duckdb.DuckDBPyConnection, **people: str) -> None:
    connection.executemany("insert into base.base_customer_identities values (?, ?)", list(people.items()))


def find(results: pd.DataFrame, **wanted: object) -> dict[str, object]:
    for column, value in wanted.items():
        results = results[results[column] == (pd.Timestamp(value) if isinstance(value, date) else value)]
    [row] = results.astype(object).where(results.notna(), None).to_dict("records")
    return row


# -- what was sent --------------------------------------------------------------------------


def test_a_purchase_follows_the_email_that_the_other_profile_got(shop: Shop) -> None:
    """Staging has put ann in ben's place in the events and the orders; the email was published for ben."""
    shop.click("e1", "mug-ben-6", "07 10:00")
    shop.buy("o1", "mug", "08 10:00", 9.0)
    found = shop.attribute().attributions
    assert found[["customer_id", "event_id", "recommendation_id", "net_amount"]].to_numpy().tolist() == [
        ["ann", "e1", "mug-ben-6", 9.0]
    ]


def test_both_emails_count_and_the_purchase_counts_once(shop: Shop) -> None:
    shop.event("e1", "sent", "06 08:00", campaign="weekly")
    shop.event("e2", "opened", "06 09:00", campaign="weekly")
    shop.buy("o1", "tea", "06 10:00", 10.0)  # on both
    row = find(shop.attribute().results, as_of=date(2025, 1, 6), channel="email", dimension="all")
    names = ("recommendations", "sent", "opened", "emails", "purchases", "revenue")
    assert [row[name] for name in names] == [4, 4, 4, 2, 1, 10.0]


def test_who_is_split_again_keeps_what_each_id_was_sent(shop: Shop) -> None:
    """A row that names ben is ben's again: a click of ann's in it is somebody else's email."""
    shop.connection.execute("delete from base.base_customer_identities")
    shop.add("marts.customers", customer_id="ben", segment="old")
    shop.click("e1", "mug-ben-6", "07 10:00", "ann")
    shop.buy("o1", "mug", "08 10:00", 9.0, customer="ann")
    shop.click("e2", "tea-ben-6", "07 10:00", "ben")
    shop.buy("o2", "tea", "08 10:00", 9.0, customer="ben")
    assert shop.won() == {"o2": "e2"}


def test_one_who_was_sent_and_held_out_counts_as_the_id_they_are_called_by(shop: Shop) -> None:
    """Of two pairs of profiles one was sent to and one held out: who is called c00 was sent to, who is called c79 held out. So
    39 are left of each 40; 20 of the sent spend 10, and 10 of the others."""
    shop.connection.execute(
        "delete from snapshot.recs.email_recommendations; delete from base.base_customer_identities"
    )
    join(shop.connection, c00="c00", c40="c00", c79="c79", c39="c79")
    for number in range(80):
        name, held = f"c{number:02}", number >= 40
        if name not in ("c40", "c39"):
            shop.add("marts.customers", customer_id=name)
        table = "email_holdout" if held else "email_recommendations"
        shop.mail(6, name, ["tea"], table, "holdout" if held else "a")
        if number < 20 or number >= 70:
            shop.buy(f"o{number}", "mug", "12 10:00", customer=name)
    row = find(shop.attribute().results, channel="email", dimension="all")
    assert (row["held_out"], row["incremental_revenue"]) == (39, 100.0)


# -- arms -----------------------------------------------------------------------------------


@pytest.fixture
def assignments_by_arm() -> Iterator[duckdb.DuckDBPyConnection]:
    """In arm a since the 5th: old, b. In arm b since the 5th: a, c; since the 12th: late."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema base; create table base.base_customer_identities (profile_id varchar, customer_id varchar);
            attach ':memory:' as snapshot; create schema snapshot.recs;
            create table snapshot.recs.assignments as
            select 'x' as experiment, 'mail' as campaign, customer_id, arm, day::date as assigned_at from (values
                ('a', 'arm b', '2026-01-05'), ('b', 'arm a', '2026-01-05'), ('c', 'arm b', '2026-01-05'),
                ('old', 'arm a', '2026-01-05'), ('late', 'arm b', '2026-01-12')
            ) as rows(customer_id, arm, day)
            """
        )
        yield connection


@pytest.mark.parametrize(
    ("people", "arms"),
    [
        ({}, {"a": "arm b", "b": "arm a", "c": "arm b", "late": "arm b", "old": "arm a"}),
        # Of one day: the arm of the id that the person is called by.
        ({"a": "b", "b": "b"}, {"b": "arm a", "c": "arm b", "late": "arm b", "old": "arm a"}),
        ({"a": "a", "b": "a"}, {"a": "arm b", "c": "arm b", "late": "arm b", "old": "arm a"}),
        # The arm that was given first, whatever the person is called by.
        ({"late": "late", "old": "late"}, {"a": "arm b", "b": "arm a", "c": "arm b", "late": "arm a"}),
        # Called by an id that was never assigned.
        ({"new": "new", "c": "new", "b": "new"}, {"a": "arm b", "late": "arm b", "new": "arm a", "old": "arm a"}),
    ],
)  # fmt: skip
def test_a_person_has_one_arm(assignments_by_arm, people: dict[str, str], arms: dict[str, str]) -> None:
    if people:
        join(assignments_by_arm, **people)
    show_by_person(assignments_by_arm)
    found = load_assignments(assignments_by_arm, date(2026, 1, 19))
    assert dict(zip(found["customer_id"], found["arm"], strict=True)) == arms
    assert found["customer_id"].is_unique


def test_the_arm_lasts_from_the_first_day(assignments_by_arm) -> None:
    join(assignments_by_arm, late="late", old="late")
    show_by_person(assignments_by_arm)
    found = load_assignments(assignments_by_arm, date(2026, 1, 19)).set_index("customer_id")
    assert found.loc["late", "assigned_at"] == pd.Timestamp("2026-01-05")


# -- shadows --------------------------------------------------------------------------------


def test_a_shadow_beside_both_lists_of_a_person() -> None:
    """Tea was sent to x and held back from y; x's shadow has tea, y's tea and pot. The person saw tea and buys tea and pot."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema base; create table base.base_customer_identities as
            select * from (values ('x', 'x'), ('y', 'x')) as rows(profile_id, customer_id);
            create schema marts; create table marts.customers as select 'x' as customer_id;
            create table marts.order_lines as select 'x' as customer_id, product_id, timestamp '2026-01-06' as ordered_at,
                1 as net_quantity, 10.0::double as net_amount from (values ('tea'), ('pot')) as rows(product_id);
            attach ':memory:' as snapshot; create schema snapshot.recs;
            create table snapshot.recs.email_recommendations as select 'mail' as campaign, date '2026-01-05' as as_of,
                7 as window_days, 'x' as customer_id, 'tea' as product_id, 0.1::double as p_purchase, 1.0::double as price;
            create table snapshot.recs.email_holdout as
                select * replace ('y' as customer_id) from snapshot.recs.email_recommendations;
            create table snapshot.recs.shadow_recommendations as select 'mail' as campaign, date '2026-01-05' as as_of,
                7 as window_days, 'quiet' as shadow, customer_id, product_id
                from (values ('x', 'tea'), ('y', 'tea'), ('y', 'pot')) as rows(customer_id, product_id)
            """
        )
        show_by_person(connection)
        table = load_shadow_results(connection, date(2026, 1, 19))
    found = table[table["list_week"] == "all"][
        ["shown_to", "metric", "customers", "mean_shadow", "mean_sent"]
    ]
    assert found.to_numpy().tolist() == [
        ["sent", "purchases", 1, 2.0, 1.0],
        ["sent", "revenue", 1, 20.0, 10.0],
    ]


# -- real files -----------------------------------------------------------------------------


def test_the_snapshot_is_read_by_the_people_of_the_week_and_stays_as_it_is(house: Warehouse) -> None:
    build(house, FIRST)
    publish(house, FIRST)
    with house.build(SECOND).write() as connection:
        connection.execute(
            "create schema base; create table base.base_customer_identities as "
            "select * from (values ('c0', 'c0'), ('c2', 'c0')) as rows(profile_id, customer_id)"
        )
    with house.build(SECOND).read() as connection:
        house.attach_snapshot(connection)
        found = connection.execute(
            "select customer_id, profile_id, slot, product_id from published.recs.email_recommendations order by all"
        ).fetchall()
    assert found == [("c0", "c2", 1, "p2"), ("c1", "c1", 1, "p1"), ("c1", "c1", 2, "p2")]
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (FIRST, "c1", 2, "p2"), (FIRST, "c2", 1, "p2")]
    assert rows(house, "select count(*) from recs.products") == [(2,)]


def test_before_staging_the_snapshot_is_read_as_it_is(house: Warehouse) -> None:
    build(house, FIRST)
    publish(house, FIRST)
    with house.build(SECOND).write() as connection:
        connection.execute("create schema raw")
    with house.build(SECOND).read() as connection:
        house.attach_snapshot(connection)
        found = connection.execute(
            "select customer_id from published.recs.email_recommendations order by all"
        )
        assert found.fetchall() == [("c1",), ("c1",), ("c2",)]


def test_what_pages_showed_on_a_day_is_the_persons(house: Warehouse) -> None:
    folder = house.nights / "2024-03-06"
    folder.mkdir(parents=True)
    pd.DataFrame(
        {
            "recommendation_id": ["r1", "r2", "r3"], "list": "buy_it_again", "as_of": date(2024, 3, 6),
            "customer_id": ["c1", "c2", "c2"], "product_id": "p1", "rank": [1, 1, 2], "score": 0.5, "reason_text": "",
        }
    ).to_parquet(folder / LISTS)  # fmt: skip
    with house.build(SECOND).write() as connection:
        connection.execute(
            "create schema base; create table base.base_customer_identities as "
            "select * from (values ('c0', 'c0'), ('c2', 'c0')) as rows(profile_id, customer_id); "
            "create schema staging; create table staging.stg_campaign_events as select 'r3' as recommendation_id "
            "union all select 'r1'"
        )

    class OneWeek:
        warehouse, build = house, house.build(SECOND)

    found = load_nightly_recommendations(OneWeek())  # type: ignore[arg-type]
    assert found[["recommendation_id", "customer_id"]].to_numpy().tolist() == [["r3", "c0"], ["r1", "c1"]]
