"""The made-up people: what is true of them is what they are said to be."""

import re
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from benchmarks.people import Nature, People
from benchmarks.tired import draw_log
from benchmarks.world import FIRST, HISTORY, World
from benchmarks.world_report import _compare_lifts
from recs_assets.experiments.fatigue import measure_fatigue

CUSTOMERS = 400


def live(nature, weeks=4, history=20):
    """People with a past, then weeks in which every second customer is sent what they want most, from the first down."""
    people = People(nature)
    for _ in range(history):
        people.live()
    each = []
    for _ in range(weeks):
        best = np.argsort(-people.wish(people.factual), axis=1, kind="stable")[:, :12]
        emails = pd.DataFrame(
            {
                "customer": np.repeat(np.arange(nature.customers), 12),
                "product": best.ravel(),
                "slot": np.tile(np.arange(1, 13), nature.customers),
                "held": np.repeat(np.arange(nature.customers) % 2 == 1, 12),
            }
        )
        each.append(people.live(emails))
    return people, each


def add_up(weeks):
    return sum(week.truth[["spend", "spend_without", "through"]] for week in weeks)


def test_who_gets_no_email_lives_the_same_life_twice():
    _, weeks = live(Nature(customers=CUSTOMERS))
    spent = add_up(weeks)
    assert (spent["spend"] == spent["spend_without"])[1::2].all()
    assert spent["through"][1::2].sum() == 0
    assert spent["spend"][::2].sum() > 1.1 * spent["spend_without"][::2].sum()


def test_without_an_effect_people_click_and_buy_what_they_would_have_bought():
    _, weeks = live(Nature(customers=CUSTOMERS, effect=0.0))
    spent = add_up(weeks)
    assert (spent["spend"] == spent["spend_without"]).all()
    assert sum((week.events["event_type"] == "clicked").sum() for week in weeks) > 100


def test_what_is_stolen_is_not_bought_elsewhere():
    nature = Nature(customers=CUSTOMERS, stolen=1.0)
    people, weeks = live(nature, weeks=4)
    weeks += [people.live() for _ in range(16)]
    spent = add_up(weeks)
    assert spent["through"].sum() > 1000
    assert abs(spent["spend"].sum() - spent["spend_without"].sum()) < 0.25 * spent["through"].sum()


def test_the_expected_effect_is_the_mean_of_what_happens():
    _, weeks = live(Nature(customers=3000), weeks=1, history=8)
    sent = weeks[0].truth.iloc[::2]
    assert sent["expected"].sum() == pytest.approx((sent["spend"] - sent["spend_without"]).sum(), rel=0.1)


def test_nobody_clicks_what_does_not_fit():
    people, _ = live(Nature(customers=CUSTOMERS), weeks=0)
    wish = people.wish(people.factual)
    appeal = people.appeal(wish)
    assert (appeal[wish <= np.median(wish, axis=1, keepdims=True)] == 0).all()
    assert 0 < appeal.max() <= 0.35


def test_the_same_seed_is_the_same_world_and_another_is_another():
    events = [live(Nature(customers=50, seed=seed), weeks=1)[1][0].events for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(events[0], events[1])
    assert not events[0].equals(events[2])


@pytest.mark.parametrize("factor", [0.6, 1.0])
def test_fatigue_of_a_known_size_is_found_in_a_log(factor):
    found = measure_fatigue(draw_log(np.random.default_rng(4), factor))
    assert found.low < factor < found.high
    assert found.proven is (factor < 1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(Nature(customers=60), tmp_path_factory.mktemp("world"))
    world.begin()
    return world


def read(world, table):
    return duckdb.sql(f"select * from '{world.folder}/data/{table}/*.parquet'").df()


def write_lists(world, monday):
    """What a week would have published: every customer gets the same five products."""
    rows = pd.DataFrame(
        {
            "customer_id": np.repeat(world.codes["customer"], 5),
            "product_id": np.tile(world.codes["product"][:5], 60),
            "slot": np.tile(np.arange(1, 6), 60),
            "arm": np.repeat(np.where(np.arange(60) % 3 == 0, "holdout", "today"), 5),
            "p_purchase": 0.1,
            "recommendation_id": [f"r{place}" for place in range(300)],
            "held": np.repeat(np.arange(60) % 3 == 0, 5),
        }
    )
    rows.to_parquet(world.folder / "truth" / f"emails-{monday}.parquet")
    pages = rows.rename(columns={"slot": "rank"}).drop(columns=["arm", "held"])
    pages.assign(recommendation_id="h" + pages["recommendation_id"]).to_parquet(
        world.folder / "truth" / f"pages-{monday}.parquet"
    )


def test_a_week_is_answered_in_the_files_of_the_shop(world):
    write_lists(world, FIRST)
    world.answer(FIRST)
    orders, lines, events = read(world, "orders"), read(world, "order_items"), read(world, "campaign_events")
    assert orders["ordered_at"].min() >= pd.Timestamp(FIRST - timedelta(weeks=HISTORY))
    assert orders["ordered_at"].max() < pd.Timestamp(FIRST + timedelta(weeks=1))
    assert orders["order_id"].is_unique
    assert set(lines["order_id"]) == set(orders["order_id"])
    assert events["event_id"].is_unique
    assert events["occurred_at"].between(pd.Timestamp(FIRST), pd.Timestamp(FIRST + timedelta(weeks=1))).all()
    assert set(events.loc[events["campaign"].notna(), "arm"]) == {"today"}
    # A page is seen by those held out, too; its rows have ids of their own.
    shown = events[events["event_type"] == "shown"]
    assert shown["recommendation_id"].str.startswith("h").eq(shown["placement"] == "home").all()
    sent = events[events["event_type"] == "sent"]
    assert len(sent) == sent["customer_id"].nunique() == 40


def test_a_new_start_writes_the_same_files(world, tmp_path):
    again = World(world.nature, tmp_path)
    again.begin()
    write_lists(again, FIRST)
    again.answer(FIRST)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert len(files) == 17
    assert all((tmp_path / path).read_bytes() == (world.folder / path).read_bytes() for path in files)


def test_true_and_estimated_lift_are_of_the_same_customers_weeks_and_cap():
    truth = pd.DataFrame(
        [
            # Two weeks; c3 is assigned in the second; 40 counts as 30; c9 takes no part.
            *(("2026-01-05", c, *spend) for c, spend in {"c1": (20, 10), "c2": (10, 10), "c3": (99, 1), "c9": (9, 1)}.items()),
            *(("2026-01-12", c, *spend) for c, spend in {"c1": (20, 10), "c2": (10, 10), "c3": (12, 10), "c9": (9, 1)}.items()),
        ],
        columns=["as_of", "customer_id", "spend", "spend_without"],
    )  # fmt: skip
    truth["as_of"] = pd.to_datetime(truth["as_of"]).dt.date
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema recs;
            create table recs.assignments as from (values
                ('c1', 'ranker', date '2026-01-05'), ('c2', 'holdout', date '2026-01-05'), ('c3', 'ranker', date '2026-01-12')
            ) as t(customer_id, arm, assigned_at);
            create table recs.experiment_results as from (values
                (date '2026-01-19', 1, 'revenue', 'ranker', 'holdout', 1, 1, 0.5, 0.1, 0.9, 30.0, null::varchar),
                (date '2026-01-19', 2, 'revenue', 'ranker', 'holdout', 2, 1, 0.5, 0.1, 0.9, 30.0, 'better')
            ) as t(as_of, week, metric, arm, control, n, n_control, lift, lift_low, lift_high, cap, proven);
            """
        )
        lifts = _compare_lifts(connection, truth)
    # c1: 20 / 10; then c1 and c3: (30 + 12) / (20 + 10), and 52 / 30 without the cap.
    assert lifts["true_lift"].tolist() == pytest.approx([1.0, 0.4])
    assert lifts["true_lift_uncapped"].tolist() == pytest.approx([1.0, 52 / 30 - 1])


def test_the_makefile_runs_it():
    makefile = (Path(__file__).resolve().parents[2] / "Makefile").read_text("utf-8")
    assert re.search(r"^loop: setup .*\n\t@\$\(BIN\)/python -m benchmarks\.world --weeks", makefile, re.M)
