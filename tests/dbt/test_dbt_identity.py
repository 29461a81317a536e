"""Profiles become people in staging: no money and no consent is lost on the way."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.dbt_build import Warehouse

# ann and cay are one person, and so are bob (whose flag is off) and dan (who objected).
PEOPLE = [
    "insert into model.customer_identities values ('ann', 'ann'), ('cay', 'ann'), ('bob', 'bob'), ('dan', 'bob')",
]
SUMS = """
    select count(*), sum(amount), sum(quantity), count(distinct order_id)
    from marts.order_lines where customer_id is not null
"""
PROFILES = ["p1", "p2", "p3", "p4", "p5"]


@pytest.fixture(scope="module")
def joined(build) -> Warehouse:
    return build("people", "run", *PEOPLE)


def test_money_is_the_same_before_and_after(prepared: Warehouse, joined: Warehouse):
    assert joined.sql(SUMS) == prepared.sql(SUMS)
    per_person = """
        select case customer_id when 'cay' then 'ann' when 'dan' then 'bob' else customer_id end, sum(amount)
        from marts.order_lines group by 1 order by 1
    """
    assert joined.sql(per_person) == prepared.sql(per_person)
    assert joined.sql("select count(*) from marts.order_lines where customer_id in ('cay', 'dan')") == [(0,)]
    assert joined.sql("select count(*) from intermediate.int_rows_rejected") == prepared.sql(
        "select count(*) from intermediate.int_rows_rejected"
    )


def test_a_person_keeps_every_id_and_the_strictest_consent(joined: Warehouse):
    assert joined.sql(
        "select customer_id, customer_ids, consent_state, email_eligible from marts.customers "
        "where customer_id in ('ann', 'cay', 'bob', 'dan') order by 1"
    ) == [
        ("ann", ["ann", "cay"], "subscribed", True),
        ("bob", ["bob", "dan"], "objected", False),
    ]


@st.composite
def shops(draw: st.DrawFn):
    """Profiles with the address, flag and time of joining, what they said, and whose they are."""
    profiles = [
        (
            profile,
            draw(st.sampled_from([None, "a@example.org", "b@example.org", "c@example.org"])),
            draw(st.booleans()),
            draw(st.sampled_from([None, datetime(2020, 1, 1), datetime(2021, 1, 1), datetime(2024, 3, 4)])),
        )
        for profile in PROFILES
    ]
    states = st.sampled_from(["unsubscribed", "objected", "erased", "subscribed", "unheard of"])
    said = st.tuples(
        st.sampled_from([*PROFILES, "a@example.org"]),
        states,
        st.sampled_from(
            [datetime(2024, 1, 1), datetime(2024, 2, 1), datetime(1970, 1, 1), datetime(2024, 3, 5)]
        ),
    )
    people = [draw(st.sampled_from(PROFILES[:3])) for _ in PROFILES]
    return profiles, draw(st.lists(said, max_size=4)), dict(zip(PROFILES, people, strict=True))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shop=shops())
def test_nobody_becomes_writable_by_a_merge(joined: Warehouse, shop):
    """Whoever may be written to as a person may be as each of their profiles, and every profile has the same state."""
    profiles, consents, groups = shop
    with duckdb.connect(str(joined.path)) as connection:
        connection.execute("begin")
        connection.execute(
            "delete from raw.customers; delete from raw.consents; delete from raw.campaign_events"
        )
        connection.executemany(
            "insert into raw.customers (customer_id, email, email_eligible, joined_at) values (?, ?, ?, ?)",
            profiles,
        )
        if consents:
            connection.executemany("insert into raw.consents values (?, ?, ?)", consents)

        def load(people: dict[str, str]) -> tuple[dict[str, bool], dict[str, list[str]], dict[str, str]]:
            connection.execute("delete from base.base_customer_identities")
            known = {
                profile for profile, _, _, joined_at in profiles if joined_at is None or joined_at.year < 2024
            }
            mine: dict[str, list[str]] = {}
            for profile, group in people.items():
                if profile in known:
                    mine.setdefault(group, []).append(profile)
            for members in mine.values():
                if len(members) > 1:
                    connection.executemany(
                        "insert into base.base_customer_identities values (?, ?)",
                        [(one, members[0]) for one in members],
                    )
            states = dict(connection.execute("from staging.stg_customer_consents").fetchall())
            rows = connection.execute(
                "select customer_id, email_eligible, customer_ids from staging.stg_customers"
            ).fetchall()
            writable = {id_: flag and states.get(id_, "subscribed") == "subscribed" for id_, flag, _ in rows}
            return writable, {id_: ids for id_, _, ids in rows}, states

        alone, _, apart = load({})
        together, ids, states = load(groups)
        connection.execute("rollback")
    order = ["subscribed", "unsubscribed", "objected", "erased"]
    assert sorted(profile for mine in ids.values() for profile in mine) == sorted(alone)
    for person, mine in ids.items():
        assert together[person] == (all(alone[profile] for profile in mine)), person
        strictest = max((order.index(apart.get(profile, "subscribed")) for profile in mine), default=0)
        for profile in mine:
            assert states.get(profile, "subscribed") == order[strictest]
