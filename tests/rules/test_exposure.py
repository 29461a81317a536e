"""Floors of exposure: which lists give places, and what they give up."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.generated_rules import add_lots, assert_same, draw_rules, generate_shop, multiplies
from helpers.rules import lists, make_known, make_rules
from recs_assets.rules.config import Exposure, Pin, SegmentRules, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.exposure import EVERY_EXCHANGE, NO_EXCHANGE, Offers, Price, choose_price
from recs_assets.rules.pipeline import select
from recs_assets.rules.review import review

# p4 and p5 are of merchant m; lists of two. In place of its second product p4 costs c0 0.1, c1 0.4 and c2 0.05.
SCORES = {0: {0: 0.9, 1: 0.8, 4: 0.7}, 1: {0: 0.9, 1: 0.5, 4: 0.1}, 2: {0: 0.6, 1: 0.5, 4: 0.45}}


def make_shop(scores=SCORES):
    rows = [(c, p, score) for c, own in scores.items() for p, score in own.items()]
    candidates = pd.DataFrame(rows, columns=["customer", "product", "score"]).astype({"score": np.float32})
    merchant = np.array([0, 0, 0, 0, 1, 1])
    return candidates, Context(make_known(customers=len(scores)), merchant=merchant, merchants=["l", "m"])


def ask(share, scores=SCORES, **changes):
    candidates, context = make_shop(scores)
    rules = make_rules(exposure=(Exposure(merchant="m", share=share),), **changes)
    choice = select(candidates, context, rules, trace=True)
    return choice, review(rules, context, candidates, choice)


@pytest.mark.parametrize(
    ("share", "expected", "note"),
    [
        # One of six places: where it costs least.
        (0.1, {0: [0, 1], 1: [0, 1], 2: [0, 4]}, "has 1 of 6 places (16.7%); it asks for 10.0%."),
        (1 / 3, {0: [0, 4], 1: [0, 1], 2: [0, 4]}, "has 2 of 6 places (33.3%); it asks for 33.3%."),
        (0.5, {0: [0, 4], 1: [0, 4], 2: [0, 4]}, "has 3 of 6 places (50.0%); it asks for 50.0%."),
    ],
)
def test_the_cheapest_exchanges_of_all_lists_are_made(share, expected, note):
    choice, found = ask(share)
    assert lists(choice) == expected
    assert (found.problems, found.notes) == ((), (f"slots.exposure: the merchant m {note}",))
    given_up = choice.traced[choice.traced["rule"] == "exposure"]
    assert given_up[["customer", "product"]].to_numpy().tolist() == [
        [c, 1] for c, own in expected.items() if 4 in own
    ]


def test_a_floor_that_cannot_be_met_is_said():
    choice, found = ask(0.6)
    assert lists(choice) == {0: [0, 4], 1: [0, 4], 2: [0, 4]}
    assert found.problems == (
        "slots.exposure: the merchant m has 3 of 6 places (50.0%), and not 60.0%: no other list has a candidate of it that the "
        "rules let into a personal slot.",
    )


def test_nothing_is_exchanged_where_the_share_is_reached():
    scores = {0: {4: 0.9, 1: 0.8, 5: 0.7}, 1: {0: 0.9, 1: 0.5}}
    assert lists(ask(0.25, scores)[0]) == {0: [4, 1], 1: [0, 1]}
    # The second of the same list, before nobody else's.
    assert lists(ask(0.5, scores)[0]) == {0: [4, 5], 1: [0, 1]}


def test_equal_costs_go_to_the_first_customers():
    scores = {c: {0: 0.9, 1: 0.5, 4: 0.25} for c in range(3)}
    assert lists(ask(0.2, scores)[0]) == {0: [0, 4], 1: [0, 4], 2: [0, 1]}


def test_pins_stay_and_limits_hold():
    pinned = (Pin(product="p001", slot=2),)
    assert lists(ask(0.5, pinned=pinned)[0]) == {c: [4, 1] for c in range(3)}
    assert lists(ask(1.0, pinned=pinned)[0]) == {c: [4, 1] for c in range(3)}
    scores = {0: {0: 0.9, 1: 0.8, 4: 0.7, 5: 0.6}}
    assert lists(ask(1.0, scores)[0]) == {0: [4, 5]}
    assert lists(ask(1.0, scores, max_per_merchant=1)[0]) == {0: [0, 4]}


def test_two_floors_do_not_take_from_each_other():
    candidates, context = make_shop({0: {0: 0.9, 1: 0.8, 4: 0.5, 3: 0.4}})
    context = replace(context, merchant=np.array([0, 0, 0, 2, 1, 1]), merchants=["l", "m", "n"])
    floors = (Exposure(merchant="m", share=0.5), Exposure(merchant="n", share=0.5))
    assert lists(select(candidates, context, make_rules(exposure=floors))) == {0: [4, 3]}
    assert lists(select(candidates, context, make_rules(exposure=floors[1:]))) == {0: [0, 3]}


def test_whoever_is_asked_for_the_lists_are_the_same():
    candidates, context = make_shop()
    rules = make_rules(exposure=(Exposure(merchant="m", share=1 / 3),))
    for customer, own in {0: [0, 4], 1: [0, 1], 2: [0, 4]}.items():
        assert lists(select(candidates, context, rules, np.array([customer]))) == {customer: own}


def test_a_segment_has_no_floor_of_its_own():
    part = SegmentRules(slots=Slots(exposure=(Exposure(merchant="m", share=0.5),)))
    with pytest.raises(
        ValueError, match=r"segments\.vip: exposure is the same for everybody; say it once, under slots"
    ):
        make_rules(segments={"vip": part})


def test_prices():
    def offer(places, held, *rows):
        cost, customer, step = (
            (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.empty(0)] * 3
        )
        return Offers(places, held, cost, customer, step)

    every = [offer(10, 1, (0.3, 0, 0), (0.3, 0, 1)), offer(10, 0, (0.1, 5, 0), (0.3, 4, 0))]
    assert choose_price(every, 0.05) == NO_EXCHANGE
    assert choose_price(every, 0.1) == Price(0.1, 5, 0)
    assert choose_price(every, 0.2) == Price(0.3, 0, 1)
    # 0.15 of 20 are 3, and not a hair more.
    assert choose_price(every, 0.15) == Price(0.3, 0, 0)
    assert choose_price(every, 0.3) == EVERY_EXCHANGE
    assert choose_price([], 0.5) == NO_EXCHANGE
    assert Price(0.3, 7, 1).shift(4) == (0.3, 3, 1)


def floors_of(context):
    merchants = [str(number) for number in range(6)]
    return replace(context, merchants=merchants)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    draw_rules(),
    st.booleans(),
    st.sampled_from(
        [(("merchant", "2", 0.3),), (("merchant", "1", 0.1), ("category", "C", 0.4)), (("brand", "A", 1.0),)]
    ),
)
def test_a_floor_is_met_or_nothing_is_left_to_exchange(seed, rules, lots, named):
    candidates, context = generate_shop(seed)
    context = floors_of(context)
    if lots and not multiplies(rules):
        candidates, context = add_lots(candidates, context, seed)
    floors = tuple(Exposure(**{group: name, "share": share}) for group, name, share in named)
    exposed = rules.model_copy(update={"slots": rules.slots.model_copy(update={"exposure": floors})})
    before, after = (select(candidates, context, own, trace=True) for own in (rules, exposed))
    # The same customers get a list, of the same length, and what is pinned, discovered and drawn stays.
    assert before.rows[["customer", "slot"]].equals(after.rows[["customer", "slot"]])
    stay = ["pinned", "discovery", "fill"]
    kept = [
        rows.rows[rows.rows["slot_type"].isin(stay)][["customer", "product", "propensity"]]
        for rows in (before, after)
    ]
    ordered = [rows.sort_values(["customer", "product"], ignore_index=True) for rows in kept]
    pd.testing.assert_frame_equal(*ordered)
    for floor in floors:
        member = context.find_group(*floor.group)
        held, had = (member[choice.rows["product"].to_numpy()] for choice in (after, before))
        assert held.sum() >= had.sum() or len(floors) > 1
        if held.sum() < floor.share * len(held) - 1e-9:
            # Every offer was taken: a higher share changes nothing.
            most = tuple(one.model_copy(update={"share": 1.0}) if one is floor else one for one in floors)
            slots = rules.slots.model_copy(update={"exposure": most})
            again = select(candidates, context, rules.model_copy(update={"slots": slots}), trace=True)
            assert member[again.rows["product"].to_numpy()].sum() == held.sum()
        elif held.sum() > had.sum() and len(floors) == 1:
            # Not one exchange more than it takes.
            assert held.sum() - 1 < floor.share * len(held) - 1e-9


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules())
def test_a_share_that_is_reached_anyway_changes_nothing(seed, rules):
    candidates, context = generate_shop(seed)
    context = floors_of(context)
    slots = rules.slots.model_copy(update={"exposure": (Exposure(category="A", share=1e-9),)})
    exposed = rules.model_copy(update={"slots": slots})
    before, after = (select(candidates, context, own, trace=True) for own in (rules, exposed))
    held = context.find_group("category", "A")[before.rows["product"].to_numpy()].any()
    if held or before.rows.empty:
        assert_same(after, before)
