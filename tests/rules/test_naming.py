"""What is kept out of slots is not named beside them."""

from helpers.rules import N, floats, make_known, make_rules, mark_sensitive, pairs
from recs_assets.rules.config import ItemRules, SegmentRules
from recs_assets.rules.context import Context
from recs_assets.rules.naming import find_nameable


def test_what_a_rule_keeps_out_is_not_named() -> None:
    context = Context(
        make_known(
            categories=["Coffee", "Tea", None, None, None, None], brands=[None, None, "X", None, None, None]
        ),
        rejected=pairs(3),
        sensitive=mark_sensitive(never_offer=[4], never_cite=[5], no_counts=[1]),
    )
    rules = make_rules(
        excluded_categories=("Coffee",), excluded_brands=("X",), sensitive=True, not_rejected=True
    )
    product, counted, refused = find_nameable(context, rules)
    assert product.tolist() == [False, True, False, True, False, False]
    assert counted.tolist() == [True, False, True, True, True, True]
    assert refused.toarray().nonzero()[1].tolist() == [3]
    # Everything off: everything may be named.
    product, counted, refused = find_nameable(context, make_rules())
    assert (product.all(), counted.all(), refused) == (True, True, None)


def test_a_sold_out_product_may_be_named() -> None:
    product, _, _ = find_nameable(
        Context(make_known(unavailable={0}), stock=floats(1, 0)), make_rules(min_stock=1)
    )
    assert product.all()


def test_what_is_kept_from_one_segment_is_not_named_to_it() -> None:
    known = make_known(
        purchases=[(0, 1, 5), (1, 1, 5), (1, 2, 5)], customers=3, segments=["vip", "other", None],
        categories=["A", "B", "C", None, None, None],
    )  # fmt: skip
    rules = make_rules(
        {"other": SegmentRules(items=ItemRules(excluded_categories=("B",)))}, excluded_categories=("A",)
    )
    product, _, refused = find_nameable(Context(known), rules)
    # The segment's own list replaces the one of all: A may be named there, and only there.
    assert product.tolist() == [True] * N
    assert list(zip(*(codes.tolist() for codes in refused.nonzero()), strict=True)) == [(1, 1)]
