"""No rule is ever violated, whatever the shop: 12,000 generated customers against plain loops."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.generated_rules import (
    CUSTOMERS,
    Shop,
    add_lots,
    assert_same,
    draw_rules,
    generate_shop,
    multiplies,
)
from recs_assets.rules import pipeline
from recs_assets.rules.config import PURCHASES, Rules
from recs_assets.rules.pipeline import find_idle_rules, select


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules(), st.booleans())
def test_no_rule_is_violated(seed, rules, lots):
    candidates, context = generate_shop(seed)
    if lots and not multiplies(rules):  # which asks for every probability
        candidates, context = add_lots(candidates, context, seed)
    shop = Shop(context)
    selection = select(candidates, context, rules)
    own = set(zip(candidates["customer"], candidates["product"], strict=True))
    reasons = dict(zip(selection.suppressed["customer"], selection.suppressed["reason"], strict=True))
    rows = selection.rows.astype({"source": str, "slot_type": str, "fallback_level": str, "sent_before": str})
    table = dict(list(rows.groupby("customer")))
    by_segment = {name: shop.raise_limits(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    assert sorted([*reasons, *table]) == list(range(CUSTOMERS))
    assert selection.counts.sum() == CUSTOMERS
    outside = shop.outside(rules)
    for c in range(CUSTOMERS):
        mine = by_segment[shop.segment[c] or ""]
        slots = mine.slots
        reason = outside[c]
        if c in reasons:
            assert reasons[c] == (reason or "too_few_products")
            continue
        assert reason is None
        lines = table[c].to_dict("records")
        products = [line["product"] for line in lines]
        assert [line["slot"] for line in lines] == list(range(1, rules.slots.k + 1))
        assert all(shop.may(c, p, mine.items) for p in products)
        assert shop.fits(c, products, mine)
        known = {shop.category[p] for p in shop.bought.get(c, ())}
        pins = {pin.slot: int(pin.product[1:]) for pin in slots.pinned}
        found = [line for line in lines if line["slot_type"] == "discovery"]
        assert len(found) <= slots.discovery_slots
        assert len({shop.category[line["product"]] for line in found}) == len(found)
        for line in lines:
            p, kind, level = line["product"], line["slot_type"], line["fallback_level"]
            assert (level == "personal") == ((c, p) in own and kind != "fill")
            assert (kind == "fill") == (line["source"] == "popularity")
            if kind == "personal":
                assert (c, p) in own
            if kind == "discovery":
                assert shop.category[p] is not None
                assert shop.category[p] not in known
                assert level in ("personal", "category")
            if kind == "pinned":
                assert pins[line["slot"]] == p
            if kind == "fill":
                assert level in slots.ladder
            assert (line["sent_before"] == "yes") == shop.repeats(c, p, slots)
        kinds = [kind for kind in (line["slot_type"] for line in lines) if kind != "pinned"]
        assert kinds == sorted(kinds, key=["personal", "discovery", "fill"].index)
        if not multiplies(rules):
            for kind in ("personal", "discovery"):
                scores = [
                    line["score"] for line in lines if line["slot_type"] == kind and line["propensity"] == 1
                ]
                assert scores == sorted(scores, reverse=True)
    assert (selection.removed >= 0).all()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules(), st.booleans())
def test_blocks_order_and_repetition_change_nothing(seed, rules, lots):
    candidates, context = generate_shop(seed)
    if lots and not multiplies(rules):
        candidates, context = add_lots(candidates, context, seed)
    whole = select(candidates, context, rules, trace=True)
    assert_same(select(candidates, context, rules), whole)
    with mock.patch.object(pipeline, "BLOCK", 7):
        blocks = select(candidates, context, rules, trace=True)
    assert_same(blocks, whole)
    pd.testing.assert_series_equal(blocks.removed, whole.removed)
    order = ["customer", "product"]
    pd.testing.assert_frame_equal(
        blocks.traced.sort_values(order, ignore_index=True),
        whole.traced.sort_values(order, ignore_index=True),
    )
    assert_same(select(candidates.sample(frac=1, random_state=1), context, rules), whole)
    lot = np.random.default_rng(seed).random(CUSTOMERS) < 0.3
    some, rest = (select(candidates, context, rules, np.flatnonzero(mask)[::-1]) for mask in (lot, ~lot))
    joined = pd.concat([some.rows, rest.rows]).sort_values(["customer", "slot"], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole.rows)
    drawn = pd.concat([some.draws, rest.draws]).sort_values("customer", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(drawn, whole.draws)
    assert (some.removed + rest.removed == whole.removed).all()
    assert (some.counts + rest.counts == whole.counts).all()
    assert len(whole.traced) == whole.removed.sum()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules())
def test_a_selection_without_an_idle_rule_is_the_same(seed, rules):
    candidates, context = generate_shop(seed)
    whole = select(candidates, context, rules)
    for name in sorted(find_idle_rules(candidates, context, rules)):
        assert_same(select(candidates, context, rules, without=[name]), whole)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules())
def test_a_slot_is_refilled_from_what_every_rule_allows(seed, rules):
    """Whatever product is taken out of a list, the first reserve that the stored limits allow keeps every rule."""
    candidates, context = generate_shop(seed)
    shop = Shop(context)
    plain, selection = select(candidates, context, rules), select(candidates, context, rules, reserves=3)
    assert_same(selection, plain)
    k, after = rules.slots.k, selection.reserves
    own = after[after["slot"] <= k]
    pd.testing.assert_frame_equal(own[list(plain.rows)].reset_index(drop=True), plain.rows)
    held = [name for name in after if f"{name}_most" in after]
    by_segment = {name: shop.raise_limits(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    rng = np.random.default_rng(seed)
    for c, rows in after.groupby("customer"):
        mine = by_segment[shop.segment[c] or ""]
        rows = rows.to_dict("records")
        lines, spare = rows[:k], rows[k:]
        assert [row["slot"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(spare) <= 3
        assert len({row["product"] for row in rows}) == len(rows)
        assert all(shop.may(c, row["product"], mine.items) for row in spare)
        gone = int(rng.integers(k))
        rest = [line for place, line in enumerate(lines) if place != gone]
        for row in spare:
            allowed = all(
                row[name] < 0 or sum(line[name] == row[name] for line in rest) < row[f"{name}_most"]
                for name in held
            )
            assert allowed == shop.fits(c, [*(line["product"] for line in rest), row["product"]], mine)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules())
def test_a_slot_is_drawn_from_what_every_rule_allows(seed, rules):
    """Whatever could have been drawn keeps every rule in its slot, and nothing else of a list changes."""
    slots = rules.slots.model_copy(
        update={"goal": PURCHASES, "boosts": (), "discovery_share": 0.5, "exploration_share": 0.1}
    )
    rules = rules.model_copy(update={"slots": slots})
    candidates, context = add_lots(*generate_shop(seed), seed)
    shop, selection = Shop(context), select(candidates, context, rules)
    plain = select(candidates, context, rules, without=["exploration"])
    off = rules.model_copy(update={"slots": slots.model_copy(update={"exploration_share": 0.0})})
    assert_same(select(candidates, context, off), plain)
    assert (plain.rows["propensity"] == 1).all()
    assert plain.draws.empty
    pd.testing.assert_frame_equal(selection.suppressed, plain.suppressed)
    chance = dict(
        zip(
            zip(candidates["customer"], candidates["product"], strict=True),
            candidates["p_purchase"],
            strict=True,
        )
    )
    before, after = (dict(list(rows.groupby("customer"))) for rows in (plain.rows, selection.rows))
    draws = dict(list(selection.draws.groupby("customer")))
    by_segment = {name: shop.raise_limits(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    for c, mine in after.items():
        lists = mine["product"].tolist()
        if c not in draws:
            assert lists == before[c]["product"].tolist()
            assert (mine["propensity"] == 1).all()
            continue
        drawn, held = draws[c], by_segment[shop.segment[c] or ""]
        assert len(set(drawn["slot"])) == 1
        at = int(drawn["slot"].iloc[0]) - 1
        others = [product for place, product in enumerate(lists) if place != at]
        assert others == [p for place, p in enumerate(before[c]["product"]) if place != at]
        assert before[c]["slot_type"].iloc[at] == mine["slot_type"].iloc[at] == "discovery"
        assert drawn["product"].iloc[0] == before[c]["product"].iloc[at]
        assert 2 <= len(drawn) <= 20
        assert drawn["product"].is_unique
        assert abs(drawn["probability"].sum() - 1) < 1e-12
        assert (drawn["probability"] > 0).all()
        own = drawn.set_index("product")["probability"]
        assert mine["propensity"].iloc[at] == own[lists[at]]
        assert (mine["propensity"].drop(mine.index[at]) == 1).all()
        known = {shop.category[p] for p in shop.bought[c]}
        for product, p in zip(drawn["product"], drawn["p_purchase"], strict=True):
            assert shop.may(c, product, held.items)
            assert shop.fits(c, [*others, product], held)
            assert shop.category[product] not in {*known, None}
            assert product not in others
            assert p == chance[c, product]
            assert p > 0
            assert p >= slots.discovery_floor * np.float64(drawn["p_purchase"].iloc[0])


def test_candidates_alone_do_not_matter_to_others():
    candidates, context = generate_shop(3)
    whole = select(candidates, context, Rules())
    less = select(candidates[candidates["customer"] != 5], context, Rules())
    pd.testing.assert_frame_equal(
        less.rows[less.rows["customer"] != 5].reset_index(drop=True),
        whole.rows[whole.rows["customer"] != 5].reset_index(drop=True),
    )


@pytest.mark.parametrize("customers", [np.array([], dtype=int), None])
def test_nobody(customers):
    candidates, context = generate_shop(1)
    if customers is None:
        context.known.customers["email_eligible"] = False
    selection = select(candidates, context, Rules(), customers)
    assert len(selection.rows) == 0
    assert selection.counts["selected"] == 0
    assert selection.counts.sum() == (0 if customers is not None else CUSTOMERS)
