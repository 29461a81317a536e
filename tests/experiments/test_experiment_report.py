"""The tables of experiments from the tables of a week: eight customers, three weeks, every figure by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pandas as pd
import pytest

from helpers.experiments import make
from helpers.warehouse import create_identities
from recs_assets.experiments.facts import Facts, load_assignments
from recs_assets.experiments.file import assign
from recs_assets.experiments.report import TABLES, report
from recs_assets.store.people import show_by_person

START, SECOND, THIRD = date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19)
PEOPLE = ["c1", "c2", "c3", "c4"]
SLOTS = {("ranker_first", arm): 12 for arm in ("today", "ranker", "holdout")}

# customer, order, line, product, when, quantity, kept, amount, net amount
LINES = [
    ("c1", "o1", "1", "tea", "2025-12-29 10:00", 2, 2, 20.0, 20.0),  # the week before
    ("c1", "o2", "1", "tea", "2026-01-05 00:00", 1, 1, 10.0, 10.0),  # the first minute; on their list
    ("c1", "o2", "2", "mug", "2026-01-05 00:00", 1, 1, 8.0, 8.0),  # no known cost
    ("c1", "o3", "1", "tea", "2026-01-13 09:00", 2, 1, 20.0, 10.0),  # second week, one came back
    ("c2", "o4", "1", "pot", "2026-01-18 23:59", 1, 1, 30.0, 30.0),  # on no list
    ("c2", "o5", "1", "pot", "2026-01-19 00:00", 1, 1, 30.0, 30.0),  # not known yet
    ("c3", "o6", "1", "tea", "2025-11-09 10:00", 1, 1, 10.0, 10.0),  # nine weeks before
]
# customer, campaign, type, when
EVENTS = [
    ("c1", "weekly_email", "sent", "2026-01-05 08:00"),
    ("c1", "weekly_email", "opened", "2026-01-05 09:00"),
    ("c1", "weekly_email", "opened", "2026-01-06 09:00"),  # again: the same list
    ("c1", "weekly_email", "clicked", "2026-01-06 09:01"),
    ("c1", "weekly_email", "clicked", "2026-01-06 09:02"),
    ("c2", "weekly_email", "sent", "2026-01-12 08:00"),
    ("c2", "weekly_email", "unsubscribed", "2026-01-12 09:00"),
    ("c2", "another", "clicked", "2026-01-12 09:00"),  # not of this campaign
    ("c3", "weekly_email", "complained", "2026-01-19 09:00"),  # not known yet
]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        for schema in ("marts", "intermediate", "staging"):
            found.execute(f"create schema {schema}")
        frames = {}
        frames["lines"] = pd.DataFrame(
            LINES,
            columns=[
                *("customer_id", "order_id", "line_id", "product_id", "ordered_at"),
                *("quantity", "net_quantity", "amount", "net_amount"),
            ],
        )
        frames["people"] = pd.DataFrame(
            {
                "customer_id": PEOPLE,
                "segment": ["new", "new", "old", None],
                "country": ["DE", "DE", "DE", None],
            }
        )
        frames["goods"] = pd.DataFrame({"product_id": ["tea", "mug", "pot"], "cost": [4.0, None, 20.0]})
        frames["events"] = pd.DataFrame(
            EVENTS, columns=["customer_id", "campaign", "event_type", "occurred_at"]
        )
        frames["changes"] = pd.DataFrame(
            [("c4", "objected", True, "2026-01-07"), ("c4", "subscribed", True, "2026-01-08")],
            columns=["customer_id", "state", "is_readable", "effective_at"],
        )
        for name, frame in frames.items():
            found.register(name, frame)
        found.execute(
            "create table marts.order_lines as select * replace (ordered_at::timestamp as ordered_at) from lines"
        )
        found.execute(
            "create table marts.baskets as select order_id, customer_id, min(ordered_at) as ordered_at, sum(net_quantity) as units "
            "from marts.order_lines group by all"
        )
        found.execute("create table marts.customers as from people")
        found.execute("create table marts.products as from goods")
        found.execute(
            "create table intermediate.int_campaign_events_attributed as "
            "select * replace (occurred_at::timestamp as occurred_at), null::timestamp as known_until, "
            "'e' || row_number() over () as event_id, null::varchar as product_id, "
            "if(event_type = 'clicked', 'r1', null) as recommendation_id from events"
        )
        found.execute(
            "create table staging.stg_consent_changes as select * replace (effective_at::timestamp as effective_at) from changes"
        )
        create_identities(found)
        found.execute("attach ':memory:' as snapshot; create schema snapshot.recs")
        found.execute(
            "create table snapshot.recs.email_recommendations as select 'weekly_email' as campaign, date '2026-01-05' as as_of, "
            "7 as window_days, 'c1' as customer_id, 'tea' as product_id, 0.1::double as p_purchase, 10.0::double as price"
        )
        show_by_person(found)
        yield found


@pytest.fixture
def facts(connection) -> Facts:
    customers = pd.DataFrame({"customer_id": PEOPLE, "slots": [12, 12, 12, 6]})
    return Facts(connection, THIRD, "weekly_email", START, 8, customers)


@pytest.mark.parametrize(
    ("metric", "amounts", "before"),
    [
        ("revenue", [[18, 10], [0, 30], [0, 0], [0, 0]], [20, 0, 0, 0]),
        ("margin", [[6, 6], [0, 10], [0, 0], [0, 0]], [12, 0, 0, 0]),  # the mug's is not known
        ("orders", [[1, 1], [0, 1], [0, 0], [0, 0]], [1, 0, 0, 0]),
        ("buyers", [[1, 1], [0, 1], [0, 0], [0, 0]], [1, 0, 0, 0]),
        # The tea of the first week was on c1's list; a week later the list was over.
        ("other_revenue", [[8, 10], [0, 30], [0, 0], [0, 0]], [20, 0, 0, 0]),
        ("unsubscribes", [[0, 0], [0, 1], [0, 0], [1, 0]], [0, 0, 0, 0]),
        ("complaints", [[0, 0], [0, 0], [0, 0], [0, 0]], [0, 0, 0, 0]),
    ],
)
def test_what_customers_did(facts, metric, amounts, before):
    values = facts.read(metric)
    assert values.amounts.tolist() == amounts
    assert values.before is not None
    assert values.before.tolist() == before
    assert values.per is None


def test_ratios_have_their_divisors(facts):
    returns, clicks, value = facts.read("returns"), facts.read("click_rate"), facts.read("order_value")
    assert returns.amounts.tolist()[0] == [0, 10]
    assert returns.per is not None
    assert returns.per.tolist()[0] == [18, 20]
    assert clicks.amounts.tolist()[0] == [1, 0]  # twice on one recommendation
    assert clicks.per is not None
    assert clicks.per.tolist()[0] == [12, 0]
    assert value.per is not None
    assert value.per.tolist()[1] == [0, 1]


def test_segments_are_those_of_the_start(facts):
    found = facts.load_segments()
    assert found["orders before"].tolist() == ["1 or 2 orders", "no order", "1 or 2 orders", "no order"]
    assert found["segment"].tolist()[:3] == ["new", "new", "old"]


def draw_arms(*ids: str) -> pd.DataFrame:
    return assign(make(), ids).assign(experiment="ranker_first")


def run(connection, week, *ids: str, **changed):
    return report(connection, week, {"ranker_first": make(**changed)}, draw_arms(*ids), SLOTS)


def keep(connection, tables: dict[str, pd.DataFrame]) -> None:
    """Publish what a week said."""
    for name in ("assignments", "experiments"):
        connection.register("rows", tables[name])
        kept = connection.execute(
            f"select * from duckdb_tables() where database_name = 'snapshot' and table_name = '{name}'"
        ).fetchall()
        if kept and name == "experiments":
            connection.execute(f"insert into snapshot.recs.{name} by name select * from rows")
        else:
            connection.execute(f"create or replace table snapshot.recs.{name} as from rows")
    show_by_person(connection)


def test_the_first_week_assigns_and_waits(connection):
    tables = run(connection, START, "c1", "c2")
    assert [list(table.columns) for table in tables.values()] == [
        [*columns, *(["as_of"] if name != "assignments" else [])] for name, columns in TABLES.items()
    ]
    rows = tables["assignments"]
    assert rows["customer_id"].tolist() == ["c1", "c2"]
    assert set(pd.to_datetime(rows["assigned_at"]).dt.date) == {START}
    assert rows["exposed_at"].isna().all()
    standing = tables["experiments"]
    assert standing["assigned"].sum() == 2
    challenger = standing[standing["role"] == "challenger"].iloc[0]
    assert (challenger["verdict"], challenger["more_weeks"]) == ("too early", 2)
    assert challenger["sentence"] == "Too early: needs 2 weeks."
    assert tables["experiment_results"].empty


def test_later_weeks_keep_the_assignment_and_add_to_it(connection):
    keep(connection, run(connection, START, "c1", "c2"))
    tables = run(connection, SECOND, "c2", "c3")  # c1 is not in the audience any more
    rows = tables["assignments"].set_index("customer_id")
    assert list(rows.index) == ["c1", "c2", "c3"]
    assert [str(pd.Timestamp(day).date()) for day in rows["assigned_at"]] == [
        "2026-01-05",
        "2026-01-05",
        "2026-01-12",
    ]
    assert str(rows.loc["c1", "exposed_at"]) == "2026-01-05 08:00:00"
    assert pd.isna(rows.loc["c2", "exposed_at"])  # only in the week that begins
    keep(connection, tables)
    again = run(connection, SECOND, "c2", "c3")
    pd.testing.assert_frame_equal(again["assignments"], tables["assignments"])
    pd.testing.assert_frame_equal(again["experiments"], tables["experiments"])
    results = tables["experiment_results"]
    revenue = results[(results["metric"] == "revenue") & (results["n"] + results["n_control"] > 0)]
    own = {arm: rows[rows["arm"] == arm].index for arm in set(rows["arm"])}
    for row in revenue.itertuples():
        # Who was assigned on the second Monday counts from then on.
        there = [name for name in own.get(row.arm, []) if name != "c3"]
        assert row.n == len(there)


def test_who_is_gone_stays_counted_as_assigned(connection):
    keep(connection, run(connection, START, "c1", "c2", "c3"))
    connection.execute("delete from marts.customers where customer_id = 'c1'")
    tables = run(connection, SECOND, "c2", "c3")
    standing = tables["experiments"]
    assert tables["assignments"]["customer_id"].tolist() == ["c2", "c3"]
    assert (standing["assigned"].sum(), standing["analysed"].sum()) == (3, 2)


def test_shares_that_change_after_the_start_make_it_invalid(connection):
    ids = [f"p{number}" for number in range(200)]
    people = pd.DataFrame({"customer_id": ids, "segment": None, "country": None})
    connection.register("more", people)
    connection.execute("insert into marts.customers by name select * from more")
    keep(connection, run(connection, START, *ids))
    other = {
        "today": {"share": 0.2},
        "ranker": {"share": 0.7, "change": {"model": "ranker"}},
        "holdout": {"share": 0.1},
    }
    tables = run(connection, SECOND, *ids, arms=other)
    verdict = tables["experiments"].set_index("arm").loc["ranker"]
    assert verdict["verdict"] == "invalid"
    assert "would be in another arm than they are, so it was changed after its start" in verdict["sentence"]
    earlier = load_assignments(connection, SECOND)
    # Nobody moved.
    assert (
        tables["assignments"].set_index("customer_id")["arm"].equals(earlier.set_index("customer_id")["arm"])
    )


@pytest.mark.parametrize(
    ("week", "reported"), [(date(2025, 12, 29), 0), (date(2026, 3, 2), 3), (date(2026, 3, 9), 0)]
)
def test_it_is_reported_from_the_first_week_to_the_one_after_the_last(connection, week, reported):
    tables = report(connection, week, {"ranker_first": make()}, draw_arms(), SLOTS)
    assert len(tables["experiments"]) == reported
    if reported:
        assert set(tables["experiments"]["week"]) == {8}


def test_without_experiments_the_tables_are_empty(connection):
    tables = report(connection, START, {}, pd.DataFrame(columns=["experiment", "customer_id", "arm"]), {})
    assert [len(table) for table in tables.values()] == [0, 0, 0, 0, 0]


def test_a_file_that_changes_after_the_start_makes_it_invalid(connection):
    keep(connection, run(connection, START, "c1", "c2"))
    mended = run(connection, SECOND, "c1", "c2", hypothesis="In other words.", detectable=0.1)
    assert set(mended["experiments"]["verdict"].dropna()) == {"too early"}
    changed = {
        "today": {"share": 0.7},
        "ranker": {"share": 0.2, "change": {"model": "blend"}},
        "holdout": {"share": 0.1},
    }
    for change in ({"arms": changed}, {"weeks": 4}, {"primary": "orders"}):
        tables = run(connection, SECOND, "c1", "c2", **change)
        [sentence] = tables["experiments"]["sentence"].dropna().unique()[:1]
        assert "its file was changed after its start; give the changed one a new name" in sentence, change


def test_an_arm_that_is_renamed_makes_it_invalid(connection):
    keep(connection, run(connection, START, "c1", "c2", "c3", "c4"))
    arms = {
        "today": {"share": 0.7},
        "better": {"share": 0.2, "change": {"model": "ranker"}},
        "holdout": {"share": 0.1},
    }
    tables = run(connection, SECOND, "c1", "c2", "c3", "c4", arms=arms)
    assert set(tables["experiments"]["verdict"].dropna()) == {"invalid"}
    assert len(tables["assignments"]) == 4


def test_who_was_drawn_for_a_file_that_is_gone_is_left_out(connection):
    tables = report(connection, START, {}, draw_arms("c1", "c2"), SLOTS)
    assert [len(table) for table in tables.values()] == [0, 0, 0, 0, 0]


def test_nobody_in_it_is_said(connection):
    tables = report(connection, SECOND, {"ranker_first": make()}, draw_arms(), SLOTS)
    challenger = tables["experiments"].set_index("arm").loc["ranker"]
    assert challenger["verdict"] == "invalid"
    assert challenger["sentence"].startswith("Invalid: no customers were assigned.")


def test_clicks_without_a_showing_are_no_rate(connection):
    """Nobody opened anything that the shop reports; two clicks on one email are one."""
    connection.execute("delete from intermediate.int_campaign_events_attributed where event_type = 'opened'")
    keep(connection, run(connection, START, *PEOPLE))
    tables = run(connection, SECOND, *PEOPLE)
    rates = tables["experiment_results"].query("metric == 'click_rate'")
    assert rates[["mean", "mean_control"]].isna().all().all()
