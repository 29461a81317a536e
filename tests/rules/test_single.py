"""One list in plain Python, held against the pipeline for many."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.rules import make_known, make_rules
from recs_assets.rules.config import Pin
from recs_assets.rules.context import Context
from recs_assets.rules.items import find_product_limits
from recs_assets.rules.pipeline import select
from recs_assets.rules.single import OneList, Row

N = 24
# More of them: RECS_STATES=5000 python -m pytest tests/rules/test_single.py
EXAMPLES = int(os.environ.get("RECS_STATES", "300"))


@st.composite
def draw_shops(draw):
    """Products with labels, a customer's candidates, and rules with one limit that groups cross at most."""
    label = st.sampled_from([None, "A", "B", "C", "D"])
    labels = st.lists(label, min_size=N, max_size=N)
    categories, brands = draw(labels), draw(labels)
    parents = np.array(draw(st.lists(st.integers(-1, 12), min_size=N, max_size=N)))
    names = [f"title {number}" for number in draw(st.lists(st.integers(0, 30), min_size=N, max_size=N))]
    products = draw(st.lists(st.integers(0, N - 1), unique=True, max_size=N))
    scores = draw(st.lists(st.integers(1, 999), min_size=len(products), max_size=len(products), unique=True))
    bought = draw(st.lists(st.integers(0, N - 1), unique=True, max_size=4))
    limit = draw(st.sampled_from([{}, {"max_per_category": draw(st.integers(1, 3))}, {"max_per_brand": 2}]))
    unique = draw(st.sampled_from([{}, {"one_per_parent": True}, {"one_per_title": True}]))
    pins = draw(st.sampled_from([(), (Pin(product="p003", slot=2),)]))
    share = draw(st.sampled_from([0.0, 0.34, 0.5]))
    floor = draw(st.sampled_from([0.0, 0.5, 1.0]))
    k = draw(st.integers(2, 6))
    rules = make_rules(k=k, pinned=pins, discovery_share=share, discovery_floor=floor, **(limit or unique))
    known = make_known(
        [(0, product, 30) for product in bought], categories=categories, brands=brands, names=names
    )
    context = Context(known, parent=parents)
    candidates = pd.DataFrame({"customer": 0, "product": products, "score": scores}).astype(
        {"score": np.float32, "product": np.int32, "customer": np.int32}
    )
    return context, rules, candidates.assign(p_purchase=candidates["score"] / 1000)


@settings(max_examples=EXAMPLES, deadline=None)
@given(draw_shops())
def test_one_list_is_the_pipelines(shop):
    context, rules, candidates = shop
    chosen = select(candidates, context, rules, placement="page").rows

    rows = [
        Row(product, chance, chance, None)
        for product, chance in candidates[["product", "p_purchase"]].itertuples(index=False)
    ]
    rows.sort(key=lambda row: (-row.worth, row.product))
    limits = [
        (group.tolist(), most) for group, most in find_product_limits(context, rules, frozenset()).values()
    ]
    mine = OneList(rules.slots.k, limits)
    by_code = {row.product: row for row in rows}
    for pin in rules.slots.pinned:
        code = context.product_codes[pin.product]
        mine.pin(by_code.get(code) or Row(code, 0.0, None, None, level="global"), pin.slot)
    mine.take(rows)
    if quota := min(rules.slots.discovery_slots, rules.slots.k - len(rules.slots.pinned)):
        bought = dict.fromkeys(context.shelves_bought[0].indices.tolist())
        mine.discover(rows, context.shelf.tolist(), bought, quota, rules.slots.discovery_floor)
    expected = list(zip(chosen["product"], chosen["slot_type"], strict=True))
    assert [(row.product, row.slot_type) for row in mine.order()] == expected


def test_nothing_is_taken_twice_and_a_full_list_takes_no_more():
    mine = OneList(2, [([0, 0, 1, -1], 1)])
    mine.take([Row(code, 1.0, None, None) for code in (0, 0, 1)])
    assert [row.product for row in mine.rows] == [0]
    mine.fill([1, 0, 3, 2], lambda code: Row(code, 0.0, None, None, "fill", "global"))
    assert [(row.product, row.slot_type) for row in mine.order()] == [(0, "personal"), (3, "fill")]
    assert mine.open == 0


def test_a_pinned_product_stands_at_its_slot_or_at_the_end_of_a_short_list():
    mine = OneList(4, [])
    mine.pin(Row(7, 0.0, None, None), 3)
    mine.take([Row(1, 0.5, None, None)])
    assert [row.product for row in mine.order()] == [1, 7]
    mine.take([Row(2, 0.4, None, None), Row(3, 0.3, None, None)])
    assert [row.product for row in mine.order()] == [1, 2, 7, 3]
