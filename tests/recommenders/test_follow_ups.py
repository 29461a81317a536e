"""What follows a purchase: counted by hand, whoever had no time left out, and the lists made of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recs_assets.recommenders.chance import find_beyond_chance
from recs_assets.recommenders.follow_up_counts import (
    Horizon,
    count_follow_ups,
    tabulate_pairs,
)
from recs_assets.recommenders.follow_ups import FollowUps, LateFollowUps

ANCHOR = 1000
A, B, C = 0, 1, 2
MONTH = Horizon(1, 30)


def count(rows, horizon=MONTH, anchor=ANCHOR, least=1, most=10):
    """Pairs of purchases (customer, item, days before the anchor)."""
    customer, item, age = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    purchases = customer, item, anchor - age
    return count_follow_ups(purchases, 3, anchor, horizon, least, 0.0, most, 100)


# A was bought by five customers. Of 0, 1, 2 and 3 the month after it is over; 4 bought it 30 days before the anchor, whose
# 30th day after would be the anchor itself, of which nothing is known.
ROWS = [
    (0, A, 100), (0, B, 90),                # B after 10 days
    (1, A, 100), (1, B, 70),                # after 30, the last day that counts
    (2, A, 100), (2, B, 69),                # after 31: too late
    (3, A, 100), (3, B, 100), (3, C, 50),   # in the same basket: does not follow
    (4, A, 30), (4, B, 20),                 # had no time: counts nowhere
]  # fmt: skip


def test_shares_by_hand():
    table = tabulate_pairs(count(ROWS), 0.0)
    [pair] = table[(table["item"] == A) & (table["follow_up"] == B)].to_dict("records")
    # Old shopping days (31 days before the anchor or more): 0's two, 1's two, 2's two, 3's two. B followed two of them.
    assert pair == {
        "item": A,
        "follow_up": B,
        "rank": 1,
        "customers": 2,
        "buyers": 4,
        "share": 0.5,
        "expected_share": 0.25,
        "lift": 2.0,
        "median_days": 20.0,
        "score": 0.25,
    }


def test_whoever_had_a_day_less_is_in_neither_number():
    earlier = [*ROWS[:-2], (4, A, 31), (4, B, 20)]
    pairs = tabulate_pairs(count(earlier), 0.0).set_index(["item", "follow_up"])
    assert pairs.loc[(A, B), ["customers", "buyers", "median_days"]].tolist() == [3, 5, 11.0]


def test_a_customer_counts_once_from_the_first_purchase_on():
    rows = [(0, A, 300), (0, A, 200), (0, B, 190), (0, A, 100), (0, B, 95), (1, A, 300), (1, B, 290)]
    counts = count(rows)
    # 0's first A was followed by no B within a month; what followed the later ones does not count.
    assert counts.buyers.tolist() == [2, 2, 0]
    assert counts.customers[A, B] == 1
    assert counts.median_days[A, B] == 10.0


def test_three_to_six_months_have_an_end_on_both_sides():
    late = Horizon(91, 182)
    rows = [
        (0, A, 300), (0, B, 300 - 91),
        (1, A, 300), (1, B, 300 - 182),
        (2, A, 300), (2, B, 300 - 90),
        (3, A, 300), (3, B, 300 - 183),
        (4, A, 182), (4, B, 50),  # 182 days after it is the anchor
        (5, A, 183), (5, B, 1),   # the last day before it is the 182nd
    ]  # fmt: skip
    counts = count(rows, late)
    assert counts.buyers[A] == 5
    assert counts.customers[A, B] == 3
    assert counts.median_days[A, B] == 182.0


def test_what_is_bought_anyway_does_not_follow():
    # Everybody buys B every ten days, with or without A.
    rows = [(c, B, age) for c in range(6) for age in range(10, 200, 10)] + [(0, A, 100), (1, A, 100)]
    assert count(rows).customers.nnz == 0


def test_the_same_product_again_is_not_here():
    assert count([(c, A, age) for c in range(3) for age in (100, 90)]).customers.nnz == 0


PURCHASE = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 400))


@given(rows=st.lists(PURCHASE, max_size=40), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, order):
    other = [*rows, *rows[:3]]
    order.shuffle(other)
    for horizon in (MONTH, Horizon(91, 182)):
        left, right = tabulate_pairs(count(rows, horizon), 0.0), tabulate_pairs(count(other, horizon), 0.0)
        assert left.equals(right)


@given(rows=st.lists(PURCHASE, max_size=40), horizon=st.sampled_from([MONTH, Horizon(91, 182)]))
def test_every_share_is_what_a_loop_counts(rows, horizon):
    counts, days = count(rows, horizon), {}
    for customer, item, age in rows:
        days.setdefault(customer, {}).setdefault(item, set()).add(ANCHOR - age)
    for a in range(3):
        first = [min(own[a]) for own in days.values() if a in own]
        assert counts.buyers[a] == sum(day + horizon.last_day < ANCHOR for day in first)
        for b in counts.customers[a].indices:
            gaps = []
            for own in days.values():
                if a in own and b in own and min(own[a]) + horizon.last_day < ANCHOR:
                    after = [day - min(own[a]) for day in own[b]]
                    after = [gap for gap in after if horizon.first_day <= gap <= horizon.last_day]
                    gaps += [min(after)] if after else []
            assert counts.customers[a, b] == len(gaps)
            assert counts.median_days[a, b] == np.median(gaps)


@given(rows=st.lists(PURCHASE, max_size=40), days=st.integers(1, 300))
def test_another_calendar_changes_nothing(rows, days):
    left, right = tabulate_pairs(count(rows), 0.0), tabulate_pairs(count(rows, anchor=ANCHOR + days), 0.0)
    assert left.equals(right)


@given(rows=st.lists(PURCHASE, max_size=30), later=st.lists(PURCHASE, max_size=10))
def test_purchases_of_the_last_month_open_no_month_of_their_own(rows, later):
    """They may follow another one, but nobody had time to follow them."""
    recent = [(customer, item, 1 + age % 30) for customer, item, age in later]
    known = {(customer, item) for customer, item, _ in rows}
    recent = [row for row in recent if row[:2] not in known]
    np.testing.assert_array_equal(count([*rows, *recent]).buyers, count(rows).buyers)


# -- lists --------------------------------------------------------------------------------------

PRODUCTS = [
    (name, f"thing {name}", None, kind, None, 1.0, True)
    for name, kind in (("machine", "m"), ("filter", "f"), ("other", "o"))
]
MACHINE, OTHER = 1, 2
FILTER = 0


@pytest.fixture
def shop(build_known):
    """Four bought a machine and its filter 20 days later, long ago; c5 to c7 have a machine."""
    orders = [(f"m{n}", f"c{n}", 400, ["machine"]) for n in range(1, 5)]
    orders += [(f"f{n}", f"c{n}", 380, ["filter"]) for n in range(1, 5)]
    orders += [(f"o{n}", f"c{n}", 200 + n, ["other"]) for n in range(1, 8)]
    orders += [("m5", "c5", 10, ["machine"]), ("m6", "c6", 10, ["machine"]), ("f6", "c6", 5, ["filter"])]
    orders += [("m7", "c7", 30, ["machine"])]
    return build_known(orders, [(f"c{n}", None, None) for n in range(1, 8)], PRODUCTS)


def test_who_waits_for_a_follow_up(shop):
    model = FollowUps().fit(shop)
    lists = model.recommend(np.arange(7), 5)
    assert lists["product"].tolist() == [FILTER] * 2
    # c5: 10 to 23 days after the machine lie within the month, all of them; c7: only the 30th. c6 has the filter.
    assert lists["customer"].tolist() == [4, 6]
    # 4 of 4 buyers. Of the 15 old shopping days (all but those of c5, c6 and c7 in the last month) 4 were followed by it.
    strength = (4 - 4 * 4 / 15) / (4 + 10)
    np.testing.assert_allclose(lists["score"], [strength, strength / 14], rtol=1e-6)
    assert model.because(lists["customer"].to_numpy(), lists["product"].to_numpy()).tolist() == [MACHINE] * 2
    np.testing.assert_array_equal(
        model.days_between(np.array([MACHINE, OTHER]), np.array([FILTER, FILTER])), [20.0, np.nan]
    )


def test_a_pair_that_chance_may_well_give_is_in_no_list(build_known):
    """Three of six bought the filter within a month of the machine, and it follows a third of all shopping days: chance alone
    gives that in about one of three shops."""
    orders = [(f"m{n}", f"c{n}", 400, ["machine"]) for n in range(1, 7)]
    orders += [(f"f{n}", f"c{n}", 380, ["filter"]) for n in range(1, 4)]
    orders += [(f"o{n}", f"c{n}", 200, ["other"]) for n in range(10, 13)]
    orders += [(f"g{n}", f"c{n}", 190, ["filter"]) for n in range(10, 12)]
    orders += [("m7", "c7", 10, ["machine"])]
    known = build_known(orders, [(f"c{n}", None, None) for n in range(1, 13)], PRODUCTS)
    model = FollowUps().fit(known)
    pairs = tabulate_pairs(model.counts, model.damping)
    [pair] = pairs[pairs["item"] == MACHINE].to_dict("records")
    assert (pair["follow_up"], pair["customers"], pair["buyers"]) == (FILTER, 3, 6)
    assert pair["lift"] > 1
    assert pair["score"] > 0
    assert model.recommend(np.arange(12), 5).empty
    assert model.because(np.array([6]), np.array([FILTER])).tolist() == [-1]


@pytest.mark.parametrize(
    ("count", "buyers", "expected", "proven"),
    [
        (3, 6, 0.478, False),  # chance gives as many in 0.614 of all cases
        (5, 10, 0.222, True),  # 0.0496
        (5, 10, 0.223, False),  # 0.0505
        (3, 6, 0.15, True),  # 0.047
        (3, 6, 0.16, False),  # 0.056
        (30, 60, 0.37, True),
        (30, 60, 0.39, False),  # 0.054
        (4, 4, 0.4, True),  # 0.4**4 = 0.026
        (4, 4, 0.5, False),  # 0.063
    ],
)
def test_what_chance_gives_in_less_than_one_of_twenty_is_beyond_it(count, buyers, expected, proven):
    assert find_beyond_chance(np.array([count]), np.array([buyers]), np.array([expected])).tolist() == [
        proven
    ]


def test_late_follow_ups_wait_three_months(build_known):
    orders = [(f"m{n}", f"c{n}", 400, ["machine"]) for n in range(1, 5)]
    orders += [(f"f{n}", f"c{n}", 400 - 120, ["filter"]) for n in range(1, 5)]
    orders += [(f"o{n}", f"c{n}", 600, ["other"]) for n in range(1, 8)]
    orders += [("m5", "c5", 77, ["machine"]), ("m6", "c6", 78, ["machine"]), ("m7", "c7", 183, ["machine"])]
    known = build_known(orders, [(f"c{n}", None, None) for n in range(1, 8)], PRODUCTS)
    lists = LateFollowUps().fit(known).recommend(np.arange(7), 5)
    # c6's machine is 91 days old on the last of the coming 14 days; c5's is one day younger, c7's half a year is over.
    assert lists["customer"].tolist() == [5]
