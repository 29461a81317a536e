"""One slot of a list is drawn by lot, with probabilities that are kept."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.rules import TASTES, lists, make_known, make_rules, score_lists
from recs_assets.rules import pipeline
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import find_idle_rules, select
from recs_assets.rules.price_tags import price_rules

KEY = ("exploration", "1", "mail", "2024-03-04")
# c0 bought of A: p0 and p2 are of A, p1 has no category, p3 is of C, p4 and p5 are of B.
CHANCES = [0.5, 0.45, 0.4, 0.1, 0.3, 0.2]


def make_rules_of_a_draw(**changes):
    return make_rules(**{"discovery_share": 0.5, "exploration_share": 0.3} | changes)


def make_shop(customers=1):
    """Everybody has bought of A."""
    taste = {**TASTES, "purchases": [(c, 0, 30) for c in range(customers)], "customers": customers}
    candidates = score_lists({c: range(6) for c in range(customers)}, CHANCES * customers)
    return candidates.assign(score=np.float32(CHANCES * customers)), Context(
        make_known(**taste), draw_key=KEY
    )


@pytest.mark.parametrize(
    ("changes", "products", "probabilities"),
    [
        # With 0.6 the slot is drawn: of p4 (0.3), p5 (0.2) and p3 (0.1) by size; else p4 keeps it.
        ({}, [4, 5, 3], [0.4 + 0.6 / 2, 0.6 / 3, 0.6 / 6]),
        # p3 has less than half of what p4 has.
        ({"discovery_floor": 0.5}, [4, 5], [0.4 + 0.6 * 0.6, 0.6 * 0.4]),
        # At most one slot of a list is drawn.
        ({"exploration_share": 1.0}, [4, 5, 3], [1 / 2, 1 / 3, 1 / 6]),
        ({"excluded_products": ("p005",)}, [4, 3], [0.4 + 0.6 * 0.75, 0.6 * 0.25]),
        # Nothing else could stand there, nothing is drawn, or nothing is discovered.
        ({"discovery_floor": 0.7}, [], []),
        ({"exploration_share": 0.0}, [], []),
        ({"discovery_share": 0.0}, [], []),
    ],
)
def test_what_a_slot_is_drawn_from(changes, products, probabilities):
    candidates, context = make_shop()
    selection = select(candidates, context, make_rules_of_a_draw(**changes))
    draws = selection.draws
    assert draws["product"].tolist() == products
    assert draws["probability"].tolist() == pytest.approx(probabilities, abs=1e-7)
    assert draws["slot"].tolist() == [2] * len(products)
    assert draws["p_purchase"].tolist() == [np.float32(CHANCES[product]) for product in products]
    first, last = selection.rows["propensity"]
    assert first == 1
    kept = dict(zip(draws["product"], draws["probability"], strict=True))
    assert last == kept.get(selection.rows["product"].iloc[1], 1.0)


def test_nothing_is_drawn_without_probabilities_or_a_key():
    candidates, context = make_shop()
    rules = make_rules_of_a_draw()
    for rows, where in (
        (candidates.drop(columns="p_purchase"), context),
        (candidates, Context(context.known)),
    ):
        selection = select(rows, where, rules)
        assert selection.draws.empty
        assert selection.rows["propensity"].tolist() == [1, 1]
        assert "exploration" in find_idle_rules(rows, where, rules)
    assert "exploration" not in find_idle_rules(candidates, context, rules)
    assert "exploration" in find_idle_rules(candidates, context, make_rules_of_a_draw(exploration_share=0))


def test_draws_are_as_frequent_as_they_say():
    customers = 5000
    candidates, context = make_shop(customers)
    selection = select(candidates, context, make_rules_of_a_draw(), threads=2)
    products = selection.rows.loc[selection.rows["slot"] == 2, "product"]
    counts = products.value_counts()
    expected = {4: 0.7, 5: 0.2, 3: 0.1}
    assert set(counts.index) == set(expected)
    distance = sum(
        (counts[p] - customers * share) ** 2 / (customers * share) for p, share in expected.items()
    )
    assert distance < 9.2  # the 99 % quantile of chi-square with 2 degrees of freedom
    assert lists(select(candidates, context, make_rules_of_a_draw(), [17])) == {17: lists(selection)[17]}


def test_another_week_draws_anew():
    candidates, context = make_shop(200)
    rules = make_rules_of_a_draw()
    lots = []
    for week in ("2024-03-04", "2024-03-11"):
        own = Context(context.known, draw_key=(*KEY[:-1], week))
        lots.append(select(candidates, own, rules).rows["product"].to_numpy()[1::2])
    # Two independent lots of 0.7, 0.2, 0.1 agree in 0.54.
    assert 0.4 < (lots[0] == lots[1]).mean() < 0.68


def test_of_many_products_the_best_are_drawn_from():
    categories = ["A", *(f"B{number}" for number in range(30))]
    known = make_known([(0, 0, 30)], categories=categories)
    chances = [0.5, *(0.4 - number / 1000 for number in range(30))]
    candidates = score_lists({0: range(31)}, chances).assign(score=np.float32(chances))
    # A list of 1 with one discovery slot: p1 stands there.
    rules = make_rules_of_a_draw(k=1, discovery_share=1.0)
    draws = select(candidates, Context(known, draw_key=KEY), rules).draws
    assert draws["product"].tolist() == list(range(1, 21))


def test_the_drawn_slot_is_the_last_of_the_discoveries_and_stays_there():
    """p4 (0.3) and p3 (0.1) are discoveries; the slot of p3 alone is drawn, and B is in the list already."""
    known = make_known([(0, 0, 30)], categories=["A", None, "A", "C", "B", "B", "C"])
    chances = [0.5, 0.45, 0.4, 0.1, 0.3, 0.2, 0.05]
    candidates = score_lists({0: range(7)}, chances).assign(score=np.float32(chances))
    rules = make_rules_of_a_draw(k=3, discovery_share=0.67, discovery_floor=0.0, exploration_share=1.0)
    selection = select(candidates, Context(known, draw_key=KEY), rules)
    assert selection.draws[["slot", "product"]].to_numpy().tolist() == [[3, 3], [3, 6]]
    assert selection.rows["product"].tolist()[:2] == [0, 4]
    # Reserves were not drawn.
    after = select(candidates, Context(known, draw_key=KEY), rules, reserves=2).reserves
    assert after["propensity"].iloc[3:].isna().all()


def test_what_a_draw_costs_has_a_price_tag():
    customers = 100
    candidates, context = make_shop(customers)
    bought = np.zeros((customers, 6))
    bought[:, 4] = 1
    rules = make_rules_of_a_draw()
    tags = price_rules(candidates, context, rules, sparse.csr_matrix(bought)).set_index("rule")
    kept = (select(candidates, context, rules).rows["product"] == 4).sum()
    assert 60 < kept < 80
    tag = tags.loc["exploration"]
    assert (tag["kind"], tag["purchases"], tag["purchases_without"]) == ("slots", kept, 100)
    assert tag["customers_changed"] == 100 - kept


def test_blocks_draw_the_same(monkeypatch):
    candidates, context = make_shop(300)
    whole = select(candidates, context, make_rules_of_a_draw())
    monkeypatch.setattr(pipeline, "BLOCK", 7)
    parts = select(candidates, context, make_rules_of_a_draw(), threads=2)
    pd.testing.assert_frame_equal(parts.draws, whole.draws)
    pd.testing.assert_frame_equal(parts.rows, whole.rows)
