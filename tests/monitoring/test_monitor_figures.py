"""Figures of the lists, the model and the people of a week in miniature, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from helpers.monitoring import LIMITS, WEEK, insert, make_build
from recs_assets.monitoring.distributions import list_sources, load_samples
from recs_assets.monitoring.figures import Figure
from recs_assets.monitoring.lists import measure_lists
from recs_assets.monitoring.model import measure_outcomes
from recs_assets.monitoring.people import load_shown, measure_clicks, measure_mailings
from recs_assets.monitoring.watch import watch
from recs_assets.store.people import show_by_person


def values(figures: list[Figure]) -> dict[tuple[str, str], float | None]:
    return {(figure.metric, figure.subject): figure.value for figure in figures}


@pytest.fixture
def build():
    """Three customers with two products each of the four on sale: a and b, a and b, a and c."""
    connection = make_build()
    insert(connection, "marts.customers", [(f"c{n}", None, "2025-01-01", "x") for n in range(1, 5)])
    insert(connection, "features.customer_features", [(WEEK, f"c{n}", 1) for n in range(1, 5)])
    insert(
        connection,
        "features.product_features",
        [(WEEK, "a", 4, 9, True), (WEEK, "b", 2, 2, True), (WEEK, "c", 1, 1, True), (WEEK, "d", 0, 0, True)],
    )
    lists = {"c1": "ab", "c2": "ab", "c3": "ac"}
    insert(
        connection,
        "model.recommendations",
        [(who, rank, p, 1.0, 0.5) for who, ps in lists.items() for rank, p in enumerate(ps, 1)],
    )
    yield connection
    connection.close()


def test_coverage_sameness_gini_novelty_and_nothing(build) -> None:
    found = values(measure_lists(build, WEEK, published=False, most=1_000))
    # Shown are a, b, c of four. Places 0, 1, 2, 3: G = 2 (1*0 + 2*1 + 3*2 + 4*3) / (4 * 6) - 5/4.
    # Pairs of customers: two products, one, one in common, of lists of two: 4/3 / 2.
    # Bits: a is bought by 4 of 4 (0 bits, 3 places), b by 2 (1 bit, 2), c by 1 (2 bits, 1).
    assert found == {
        ("coverage", "customer_recommendations"): 0.75,
        ("sameness", "customer_recommendations"): pytest.approx(2 / 3),
        ("gini", "customer_recommendations"): pytest.approx(5 / 12),
        ("novelty", "customer_recommendations"): pytest.approx(4 / 6),
        ("nothing", "customer_recommendations"): 0.25,
    }


def test_lists_that_show_everything_alike_are_equal(build) -> None:
    build.execute("delete from model.recommendations")
    insert(build, "model.recommendations", [("c1", rank, p, 1.0, 0.5) for rank, p in enumerate("abcd", 1)])
    found = values(measure_lists(build, WEEK, published=False, most=1_000))
    assert found["gini", "customer_recommendations"] == pytest.approx(0)
    assert found["coverage", "customer_recommendations"] == 1
    assert found["sameness", "customer_recommendations"] is None  # of one customer


def test_churn_is_the_share_of_products_that_are_new_on_a_list(build) -> None:
    # c1 keeps a and gets b for d; c2 keeps both; c3 had no list. An older week does not count.
    insert(
        build,
        "snapshot.recs.customer_recommendations",
        [
            ("2025-06-23", who, 1, p, 0.5, None)
            for who, p in (("c1", "a"), ("c1", "d"), ("c2", "a"), ("c2", "b"))
        ]
        + [("2025-06-16", "c3", 1, "a", 0.5, None)],
    )
    found = values(measure_lists(build, WEEK, published=True, most=1_000))
    assert found["churn", "customer_recommendations"] == 0.25


def test_slots_by_type_and_who_got_none(build) -> None:
    insert(
        build,
        "model.email_selection",
        [("mail", "c1", slot, p, kind, 1.0, 0.5) for slot, p, kind in ((1, "a", "personal"), (2, "b", "personal"), (3, "c", "personal"), (4, "d", "discovery"))],
    )  # fmt: skip
    insert(
        build,
        "model.campaign_outcomes",
        [
            ("mail", "selected", 1),
            ("mail", "holdout", 1),
            ("mail", "too_few_products", 2),
            ("other", "selected", 4),
        ],
    )
    found = values(measure_lists(build, WEEK, published=False, most=1_000))
    assert [found["slots", f"mail, {kind}"] for kind in ("personal", "discovery", "fill")] == [
        0.75,
        0.25,
        0.0,
    ]
    assert found["nothing", "mail"] == 0.5
    assert ("nothing", "other") not in found


def test_hits_and_calibration_of_lists_whose_window_is_over(build) -> None:
    listed = "2025-06-02"
    insert(
        build,
        "snapshot.recs.customer_recommendations",
        [(listed, who, rank, p, 0.5, None) for who in ("c1", "c2", "c3") for rank, p in enumerate("ab", 1)],
    )
    build.execute(
        "update marts.customers set segment = 'y', first_order_at = timestamp '2024-11-05' where customer_id = 'c2'"
    )
    insert(
        build,
        "marts.order_lines",
        [
            ("c1", "a", "2025-06-02", True), ("c2", "d", "2025-06-29 23:00", True), ("c2", "b", "2025-06-30", True),
            ("c4", "a", "2025-06-05", True),
        ],
    )  # fmt: skip
    found = values(measure_outcomes(build, pd.Timestamp(listed).date(), 28, 1_000))
    assert found == {
        ("hits", "all"): 0.5,
        ("hits", "segment:x"): 1.0,
        ("hits", "segment:y"): 0.0,
        ("hits", "cohort:2025, quarter 1"): 1.0,
        ("hits", "cohort:2024, quarter 4"): 0.0,
        # Six rows at 0.5 in six of the tenths, one bought: 5 * 0.5 + 0.5 off, of one purchase.
        ("calibration", "customer_recommendations"): 3.0,
    }


def test_lists_of_two_customers_who_are_one_person_by_now(build) -> None:
    """Of c1 and c5 both were promised a: it is promised, bought and on last week's list once. Alone, c5 would have no list."""
    lists = [("2025-06-02", "c1", 1, "a", 0.5, "r1"), ("2025-06-02", "c5", 1, "a", 0.25, "r2"), ("2025-06-02", "c5", 2, "d", 0.5, "r3")]  # fmt: skip
    insert(build, "snapshot.recs.customer_recommendations", lists)
    insert(build, "base.base_customer_identities", [("c1", "c1"), ("c5", "c1")])
    insert(build, "marts.order_lines", [("c1", "a", "2025-06-03", True)])
    show_by_person(build)
    found = values(measure_outcomes(build, pd.Timestamp("2025-06-02").date(), 28, 1_000))
    assert (found["hits", "all"], found["calibration", "customer_recommendations"]) == (1.0, 1.0)
    # c1 has a and b now, and had a and d.
    churn = values(measure_lists(build, WEEK, published=True, most=1_000))
    assert churn["churn", "customer_recommendations"] == 0.5
    insert(
        build,
        "intermediate.int_campaign_events_attributed",
        [
            ("e1", None, "c1", None, "shown", "2025-06-02 09:00", "r2", "home"),
            ("e2", None, "c1", None, "shown", "2025-06-03 09:00", "r1", "home"),
        ],
    )
    shown = load_shown(build, WEEK, LIMITS)
    assert shown[["customer_id", "product_id", "times"]].to_numpy().tolist() == [
        ["c1", "a", 1],
        ["c1", "a", 2],
    ]


def test_clicks_by_slot_by_showing_and_of_discovery(build) -> None:
    rows = [
        (as_of, "mail", "c1", slot, p, "discovery" if p == "d" else "personal", 0.5, f"{as_of}{p}")
        for as_of in ("2025-06-16", "2025-06-23")
        for slot, p in enumerate("abd", 1)
    ]
    insert(build, "snapshot.recs.email_recommendations", rows)
    events = [
        (None, "mail", "c1", None, "sent", "2025-06-16 06:00", None, None),
        (None, "mail", "c1", "a", "clicked", "2025-06-16 09:00", None, None),
        # From here on the shop names the row; what was never published is nobody's showing.
        *((None, "mail", "c1", p, "shown", "2025-06-24 09:00", f"2025-06-23{p}", None) for p in "abd"),
        (None, "mail", "c1", "b", "clicked", "2025-06-24 09:01", "2025-06-23b", None),
        (None, "mail", "c1", "z", "clicked", "2025-06-24 09:01", "unknown", None),
    ]
    insert(build, "intermediate.int_campaign_events_attributed", events)
    shown = load_shown(build, WEEK, LIMITS)
    assert shown[["product_id", "times", "clicked"]].to_numpy().tolist() == [
        ["a", 1, True], ["b", 1, False], ["d", 1, False], ["a", 2, False], ["b", 2, True], ["d", 2, False],
    ]  # fmt: skip
    found = values(measure_clicks(shown, pd.Timestamp("2025-06-23").date()))
    assert found == {
        ("ctr", "mail"): pytest.approx(1 / 3),
        ("ctr", "mail, slot 1"): 0.0, ("ctr", "mail, slot 2"): 1.0, ("ctr", "mail, slot 3"): 0.0,
        ("ctr", "mail, showing 2"): pytest.approx(1 / 3),
        ("ctr", "mail, discovery"): 0.0, ("ctr", "mail, personal"): 0.5,
        ("discovery", "mail"): 0.0,
    }  # fmt: skip


def test_an_email_that_was_not_opened_was_not_shown(build) -> None:
    insert(
        build,
        "snapshot.recs.email_recommendations",
        [
            (as_of, "mail", c, 1, "a", "personal", 0.5, f"{as_of}{c}")
            for as_of in ("2025-06-16", "2025-06-23")
            for c in ("c1", "c2")
        ],
    )
    insert(
        build,
        "snapshot.recs.customer_recommendations",
        [("2025-06-16", "c1", 1, "a", 0.5, "page")],
    )
    events = [
        (None, "mail", c, None, "sent", f"2025-06-{day} 06:00", None, None)
        for c in ("c1", "c2")
        for day in (16, 23)
    ]
    events += [
        (None, None, "c1", "a", "shown", "2025-06-18 09:00", "page", "home"),
        (None, "mail", "c1", None, "opened", "2025-06-23 09:00", None, None),
    ]
    insert(build, "intermediate.int_campaign_events_attributed", events)
    shown = load_shown(build, WEEK, LIMITS)
    # Of the first week's mailing nothing but its sending is known; the page counts as a showing of the same product.
    assert sorted(shown[["customer_id", "list", "times"]].itertuples(index=False, name=None)) == [
        ("c1", "customer_recommendations", 2), ("c1", "mail", 1), ("c1", "mail", 3), ("c2", "mail", 1),
    ]  # fmt: skip


def test_answers_to_mailings(build) -> None:
    events = [(None, "mail", f"c{n}", None, "sent", "2025-06-24 06:00", None, None) for n in range(10)]
    events += [
        (None, "mail", "c1", None, kind, "2025-06-24 07:00", None, None)
        for kind in ("unsubscribed", "complained", "bounced", "bounced", "clicked")
    ]
    events += [(None, "mail", "c2", None, "clicked", "2025-06-24 07:00", None, None)]
    events += [(None, "mail", "c1", None, "bounced", "2025-06-20 07:00", None, None)]
    insert(build, "intermediate.int_campaign_events_attributed", events)
    assert values(measure_mailings(build, WEEK, 7)) == {
        ("ctr", "mail, mailings"): 0.2,
        ("unsubscribes", "mail"): 0.1,
        ("complaints", "mail"): 0.1,
        ("bounces", "mail"): 0.1,
    }


# -- a whole week ---------------------------------------------------------------------------


def test_a_week_is_the_same_at_every_run_and_reads_no_later_week(build) -> None:
    build.execute("create table raw.orders (order_id varchar, ordered_at timestamp, status varchar)")
    insert(build, "raw.orders", [(str(n), "2025-06-25", "completed") for n in range(300)])
    first = watch(build, WEEK, 28, {"orders": 300}, LIMITS)
    assert first.distributions[first.distributions["rows"] > 0].to_numpy().tolist()[0][1:] == [
        "orders.status", "completed", pytest.approx(float("nan"), nan_ok=True), 300,
    ]  # fmt: skip
    later = first.rows.assign(as_of=pd.Timestamp("2025-07-07").date())
    build.register("later", later)
    build.execute(
        "insert into snapshot.recs.monitor select as_of, area, metric, subject, value, counted from later"
    )
    build.register("shapes", first.distributions.assign(as_of=pd.Timestamp("2025-07-07").date()))
    build.execute("insert into snapshot.recs.monitor_distributions select * from shapes")
    again = watch(build, WEEK, 28, {"orders": 300}, LIMITS)
    pd.testing.assert_frame_equal(first.rows, again.rows)
    pd.testing.assert_frame_equal(first.distributions, again.distributions)


def test_a_new_state_of_orders_is_found_in_the_next_week(build) -> None:
    build.execute("create table raw.orders (order_id varchar, ordered_at timestamp, status varchar)")
    insert(build, "raw.orders", [(str(n), "2025-06-25", "completed") for n in range(300)])
    build.register("shapes", watch(build, WEEK, 28, {}, LIMITS).distributions)
    build.execute("insert into snapshot.recs.monitor_distributions select * from shapes")
    build.execute("delete from raw.orders")
    insert(
        build, "raw.orders", [(str(n), "2025-07-02", "completed" if n < 150 else "lost") for n in range(300)]
    )
    rows = watch(build, pd.Timestamp("2025-07-07").date(), 28, {}, LIMITS).rows
    [drift] = rows[((rows["metric"] == "drift") & (rows["subject"] == "orders.status")).to_numpy()].to_dict(
        "records"
    )
    [unseen] = rows[(rows["metric"] == "unseen").to_numpy()].to_dict("records")
    assert drift["verdict"] == "alert"
    assert (unseen["value"], unseen["verdict"]) == (0.5, "alert")
    assert unseen["sentence"] == (
        "orders.status: 50 % of the rows have a value that the last published week did not have (watched above 2 %). New are "
        "lost."
    )
    assert rows["sentence"].iloc[0].startswith("Look at the data: 2 alerts")


def test_without_a_snapshot_a_week_is_measured_all_the_same() -> None:
    with make_build(published=False) as connection:
        rows = watch(connection, WEEK, 28, {"orders": 0}, LIMITS).rows
    assert rows["verdict"].iloc[0] == "unknown"


def test_numbers_are_counted_in_the_bins_of_the_week_before(build) -> None:
    build.execute(
        "create table raw.reviews (review_id varchar, reviewed_at timestamp, rating double, empty double)"
    )
    insert(build, "raw.reviews", [(str(n), "2025-06-25", n % 5 + 1, None) for n in range(500)])
    build.register("shapes", watch(build, WEEK, 28, {}, LIMITS).distributions)
    build.execute("insert into snapshot.recs.monitor_distributions select * from shapes")

    def ask(stars: str) -> dict[str, object]:
        build.execute("delete from raw.reviews")
        build.execute(
            f"insert into raw.reviews select n, '2025-07-02', {stars}, null from range(500) as t (n)"
        )
        rows = watch(build, pd.Timestamp("2025-07-07").date(), 28, {}, LIMITS).rows
        rows = rows[((rows["metric"] == "drift") & rows["subject"].str.startswith("reviews")).to_numpy()]
        return {row.subject: (round(row.value, 3), row.verdict) for row in rows.itertuples()}

    same = {"reviews.empty": (0.0, "ok")}
    assert ask("n % 5 + 1") == same | {"reviews.rating": (0.0, "ok")}
    # 100 of each before; now 50, 50, 100, 100, 200: (0.1 ln 2) * 2 + 0.2 ln 2 = 0.277, less for the half row in every bin.
    assert ask(
        "case when n < 50 then 1 when n < 100 then 2 when n < 200 then 3 when n < 300 then 4 else 5 end"
    ) == same | {"reviews.rating": (0.274, "alert")}


def test_lines_are_those_of_the_last_days_orders(build) -> None:
    build.execute("create table raw.orders (order_id varchar, ordered_at timestamp)")
    build.execute("create table raw.order_items (order_id varchar, line_id varchar, quantity double)")
    # Ten orders of the week, one of them twice in the file, and ten of the week before; two lines each.
    insert(build, "raw.orders", [(str(n), "2025-06-25" if n < 10 else "2025-06-20") for n in [0, *range(20)]])
    insert(build, "raw.order_items", [(str(n), str(line), 1.0) for n in range(20) for line in (1, 2)])
    kept = watch(build, WEEK, 28, {}, LIMITS).distributions
    assert kept[(kept["subject"] == "order_items.quantity").to_numpy()]["rows"].tolist() == [20, 0]


def test_what_ages_is_looked_at_by_its_date(build) -> None:
    """Everybody is a week older than last week: nothing drifts."""
    build.execute("alter table features.customer_features add column tenure_days integer")
    build.execute("update features.customer_features set tenure_days = 100 + order_count")
    last = WEEK - timedelta(days=7)
    build.execute(
        f"insert into features.customer_features select date '{last}', customer_id, order_count, tenure_days - 7 "
        "from features.customer_features"
    )
    samples = {
        week: {
            subject: sorted(values.tolist())
            for source in list_sources(build, week, LIMITS)
            if source.name == "customer_features"
            for subject, values, _ in load_samples(build, source, LIMITS)
        }
        for week in (last, WEEK)
    }
    born = (WEEK - date(1970, 1, 1)).days - 101
    assert samples[WEEK]["customer_features.tenure_days"] == [born] * 4
    assert samples[last] == samples[WEEK]
