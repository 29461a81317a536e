"""Matrices of the hand-checkable shop (see conftest.py), against values counted by hand."""

from __future__ import annotations

import numpy as np

from recs_assets.recommenders.association import AssociationRules


def test_history_counts_distinct_days(shop):
    assert shop.history.toarray().tolist() == [
        # p1 p2 p3 p4 p5 p6 p7 p8
        [1, 4, 3, 0, 0, 0, 0, 0],
        [0, 2, 1, 1, 1, 0, 0, 0],  # p3 twice on one day is one day
        [2, 1, 0, 0, 0, 1, 1, 0],  # p1 in two orders of one day, and once before
        [0, 0, 2, 3, 0, 1, 0, 0],
        [0, 1, 1, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_frequency_decays_each_day(shop):
    # c1: p1 at 56 days, p2 at 112, 84, 56, 28, p3 at 84, 56, 28, half-life 28.
    assert shop.frequency(28).toarray()[0].tolist() == [
        1 / 4,
        1 / 16 + 1 / 8 + 1 / 4 + 1 / 2,
        1 / 8 + 1 / 4 + 1 / 2,
        *[0] * 5,
    ]


def test_last_bought_has_the_pattern_of_history(shop):
    latest = shop.last_bought
    assert latest.indices.tolist() == shop.history.indices.tolist()
    assert latest.indptr.tolist() == shop.history.indptr.tolist()
    ages = np.split(shop.anchor_day - latest.data, latest.indptr[1:-1])
    assert [part.tolist() for part in ages] == [
        [56, 28, 28],
        [28, 28, 56, 56],
        [28, 28, 28, 84],
        [56, 28, 28],
        [28, 28, 28],
        [],
    ]


def test_signal_adds_lines_and_other_events(build_known):
    known = build_known(
        [("o1", "c1", 28, ["p2", "p2"])],
        events=[
            ("c1", "p2", 28, "view", 0.5),
            ("c1", "p3", 56, "add_to_cart", 0.5),
            ("c1", "p4", 28, "review", -0.5),
            ("c2", "p4", 28, "view", 0.25),
            ("c2", "p4", 28, "review", -0.25),
        ],
    )
    assert known.signal().toarray()[0].tolist() == [0, 2.5, 0.5, 0, 0, 0, 0, 0]
    assert known.signal(28).toarray()[0].tolist() == [0, 1.25, 0.125, 0, 0, 0, 0, 0]
    # A pair whose weights sum to zero or less is not stored at all.
    assert known.signal()[1].nnz == 0
    assert known.history.nnz == 1  # views and carts are no purchases


def test_order_counts_are_distinct_orders(shop):
    assert shop.order_counts.tolist() == [4, 4, 3, 3, 1, 0]


def test_baskets_hold_ones_and_drop_the_oversized(shop, build_known):
    baskets = shop.baskets(max_products=200)
    assert baskets.shape == (15, 8)
    assert baskets.toarray().sum(axis=0).tolist() == [4, 8, 8, 4, 1, 3, 1, 0]
    assert shop.baskets(max_products=2).toarray().sum(axis=0).tolist() == [3, 6, 6, 4, 1, 2, 1, 0]
    twice = build_known([("o1", "c1", 28, ["p2", "p2", "p3"])]).baskets(max_products=2)
    assert twice.toarray().tolist() == [[0, 1, 1, 0, 0, 0, 0, 0]]


def test_no_events(build_known):
    known = build_known([])
    assert known.history.shape == known.signal(28).shape == known.last_bought.shape == (6, 8)
    assert known.baskets(10).shape == (0, 8)
    assert known.order_counts.tolist() == [0] * 6


def test_decay(shop):
    ages = shop.anchor_day - shop.events.day
    np.testing.assert_allclose(shop.decay(28), 0.5 ** (ages / 28), rtol=1e-6)


def test_fingerprint_depends_on_anchor_and_both_id_maps(shop, build_known):
    same = build_known([])
    assert same.fingerprint == shop.fingerprint  # events are not part of it
    others = [
        build_known([], customers=[("c1", None, None)]),
        build_known([], products=[("p1", "x", None, None, None, 1.0, True)]),
        build_known([], as_of=shop.as_of.replace(day=11)),
    ]
    assert len({shop.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_fingerprint_keeps_odd_ids_apart(build_known):
    left, right = (
        build_known([], customers=[(name, None, None) for name in ids])
        for ids in (["a\x1fb", "c"], ["a", "b\x1fc"])
    )
    assert left.fingerprint != right.fingerprint


def test_guests_count_for_products_and_baskets_and_for_nobody(build_known):
    known = build_known(
        [
            ("o1", "c1", 28, ["p2", "p3"]),
            ("g1", None, 28, ["p2", "p3"]),
            ("g2", None, 56, ["p5"]),
            ("g3", None, 28, ["p2"]),
        ]
    )
    assert known.baskets(10).toarray().tolist() == [
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
    ]
    popularity = known.popularity(28)
    # Half for each order of 28 days ago, a quarter for the one of 56.
    assert popularity[[1, 2, 4]].tolist() == [1.5, 1.0, 0.25]
    assert np.isnan(popularity[[0, 3, 5, 6, 7]]).all()
    assert (known.anchor_day - known.first_sold[[1, 2, 4]]).tolist() == [28, 28, 56]
    assert known.history.toarray().sum(axis=0).tolist() == [0, 1, 1, 0, 0, 0, 0, 0]
    assert known.order_counts.tolist() == [1, 0, 0, 0, 0, 0]
    rules = AssociationRules(min_baskets=2).fit(known).pair_rules()
    # p3 -> p2: both baskets with p3 hold p2, of four baskets.
    assert rules[
        ["antecedent", "consequent", "baskets", "antecedent_baskets", "total_baskets"]
    ].values.tolist() == [
        [1, 2, 2, 3, 4],
        [2, 1, 2, 2, 4],
    ]
