"""Rules for a block of customers: segments, and what is popular in them, are the shop's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.generated_rules import add_lots, draw_rules, generate_shop, multiplies
from helpers.rules import ANCHOR, cut_context, make_known, make_rules, score_lists, sent
from recs_assets.rules.blocks import (
    count_most_stale,
    find_reach,
    place_accounts,
    tabulate_accounts,
    weigh_accounts,
)
from recs_assets.rules.candidates import Ranked
from recs_assets.rules.config import Exposure, ItemRules, SegmentRules
from recs_assets.rules.context import Contacts, Context
from recs_assets.rules.exposure import choose_price
from recs_assets.rules.items import NAMES, count_needs
from recs_assets.rules.naming import find_nameable
from recs_assets.rules.pipeline import list_parts, select, survey_exposure


@pytest.mark.parametrize("size", [1, 7, 200])
def test_segments_are_those_of_the_shop(size):
    known = generate_shop(3)[1].known
    whole = Context(known)
    whole.count_facts()
    assert whole.segment[1] == ["s", "t"]
    for first in range(0, 40, size):
        codes = np.arange(first, min(first + size, known.n_customers))
        part = Context(known.take_customers(codes))
        assert part.segment[1] == ["s", "t"]
        np.testing.assert_array_equal(part.segment[0], whole.segment[0][codes])
        np.testing.assert_array_equal(part.popularity, whole.popularity)
        assert (part.segment_popularity != whole.segment_popularity).nnz == 0


def test_what_no_segment_refuses_may_be_named_wherever_its_customers_are():
    """p0 is excluded for everybody but segment s: it may be named, to them."""
    known = generate_shop(3)[1].known
    rules = make_rules(
        excluded_products=("p000",), segments={"s": SegmentRules(items=ItemRules(excluded_products=()))}
    )
    whole = Context(known)
    whole.count_facts()
    product, counted, refused = find_nameable(whole, rules)
    assert product[0]
    others = np.flatnonzero(whole.segment[0] != 0)[:1]
    part = replace(whole, known=known.take_customers(others))
    mine = find_nameable(part, rules)
    np.testing.assert_array_equal(mine[0], product)
    np.testing.assert_array_equal(mine[1], counted)
    bought = known.history[others[0], 0] > 0
    assert bool(mine[2] is not None and mine[2][0, 0]) == bool(refused[others[0], 0]) == bought


def select_by_blocks(candidates, context, rules, size):
    """What `select` chooses for one block of customers after the other, in the codes of the shop."""
    context.count_facts()
    firsts = range(0, context.known.n_customers, size)
    codes = [np.arange(first, min(first + size, context.known.n_customers)) for first in firsts]
    parts = [replace(cut_context(context, some)) for some in codes]
    accounts = pd.concat(
        [
            (table := tabulate_accounts(part, rules)).assign(customer=table["customer"] + first)
            for first, part in zip(firsts, parts, strict=True)
        ],
        ignore_index=True,
    )
    weighed = weigh_accounts(accounts)
    listed = np.isin(np.arange(context.known.n_products), candidates["product"])
    ranked = Ranked.of_nobody(
        context, listed, bool(candidates.get("p_purchase", pd.Series([np.nan])).notna().any())
    )

    def count(asked):
        return [
            np.concatenate(
                [count_needs(part, list(list_parts(part, rules))[place][1], products) for part in parts]
            )
            for place, products in asked
        ]

    stale = np.max([count_most_stale(part, rules) for part in parts], axis=0)
    reach = find_reach(parts[0], rules, ranked, [()], stale, count)
    parts = [
        replace(place_accounts(part, rules, weighed, first), reach=reach)
        for first, part in zip(firsts, parts, strict=True)
    ]
    owns = []
    for first, some in zip(firsts, codes, strict=True):
        own = candidates[candidates["customer"].isin(some)]
        owns.append(own.assign(customer=own["customer"] - first))
    prices = []
    for floor in rules.slots.exposure:
        offers = [
            replace(one, customer=one.customer + first)
            for first, own, part in zip(firsts, owns, parts, strict=True)
            for one in survey_exposure(own, part, rules, [price.shift(first) for price in prices])
        ]
        prices.append(choose_price(offers, floor.share))
    for first, own, part in zip(firsts, owns, parts, strict=True):
        part = replace(part, exposed=tuple(price.shift(first) for price in prices))
        choice = select(own, part, rules, trace=True, reserves=2)
        names = ("rows", "suppressed", "traced", "draws", "reserves")
        yield (
            choice.removed,
            {
                name: table.assign(customer=table["customer"] + first)
                for name in names
                for table in [getattr(choice, name)]
            },
        )


def assert_blocks_choose_alike(candidates, context, rules, size):
    whole = select(candidates, context, rules, trace=True, reserves=2)
    removed, tables = zip(*select_by_blocks(candidates, context, rules, size), strict=True)
    pd.testing.assert_series_equal(sum(removed), whole.removed)
    for name in tables[0]:
        parts = [part[name] for part in tables if len(part[name])]
        expected = getattr(whole, name)
        if not parts:
            assert expected.empty
            continue
        joined = pd.concat([part.astype(object) for part in parts], ignore_index=True)
        joined = joined.reindex(columns=expected.columns)
        # A limit that is on for some segment only has a column where that segment is.
        limits = {
            column: 0 if column.endswith("_most") else -1
            for column in joined
            if column in NAMES or column.endswith("_most")
        }
        pd.testing.assert_frame_equal(
            joined.fillna(limits).astype(object), expected.astype(object), check_exact=True, check_dtype=False
        )


FLOORS = (Exposure(category="C", share=0.3), Exposure(brand="A", share=0.2))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    draw_rules(),
    st.booleans(),
    st.sampled_from([23, 70, 200]),
    st.sampled_from([(), FLOORS[:1], FLOORS]),
)
def test_blocks_choose_what_the_shop_chooses(seed, rules, lots, size, floors):
    rules = rules.model_copy(update={"slots": rules.slots.model_copy(update={"exposure": floors})})
    candidates, context = generate_shop(seed)
    if lots and not multiplies(rules):
        candidates, context = add_lots(candidates, context, seed)
    assert_blocks_choose_alike(candidates, context, rules, size)


@pytest.mark.parametrize("size", [1, 7])
def test_small_blocks_choose_what_the_shop_chooses(size):
    candidates, context = generate_shop(5)
    rules = make_rules(
        k=4, max_category=1, max_repeat=1, max_sends=1, within_days=7, ladder=("segment", "global")
    )
    assert_blocks_choose_alike(candidates, context, rules, size)


def test_of_accounts_in_different_blocks_one_is_written_to():
    """c0 and c1 share an address, and so do c2 and c3; c1 bought last, and what c3 was sent counts for c2."""
    known = make_known([(0, 0, 9), (1, 0, 3)], customers=4)
    context = Context(
        known,
        address=np.array([5, 5, 6, 6]),
        contacts=Contacts(np.array([3]), np.array([ANCHOR - 2])),
    )
    rules = make_rules(k=1, max_sends=1, within_days=7)
    candidates = score_lists({key: [0] for key in range(4)})
    assert_blocks_choose_alike(candidates, context, rules, 1)
    found = [tables["suppressed"] for _, tables in select_by_blocks(candidates, context, rules, 1)]
    assert [table["reason"].tolist() for table in found] == [
        ["same_address"], [], ["frequency_cap"], ["frequency_cap"],
    ]  # fmt: skip


def find_most_repeats(stale, count):
    """`max_repeat` of 0 in lists of 2 of 6 products, where nobody was sent more than so many of them lately."""
    context = Context(make_known(), sends=sent((0, 0, 7)))
    ranked = Ranked.of_nobody(context, np.ones(6, dtype=bool), has_p=False)
    [reach] = find_reach(context, make_rules(k=2, max_repeat=0), ranked, [()], [stale], count).values()
    return reach["max_repeat"]


def test_nobody_is_counted_where_enough_is_left_for_everybody():
    def refuse(asked):
        raise AssertionError(asked)

    assert find_most_repeats(4, refuse) == 0


def test_everybody_is_counted_where_too_little_may_be_left():
    counted = []

    def count(asked):
        counted.extend((place, products.tolist()) for place, products in asked)
        return [np.array([1, 1, 0])]

    assert find_most_repeats(5, count) == 1
    assert counted == [(0, [0, 1, 2, 3, 4, 5])]
