"""What reasons of a block of customers may claim: what they may of the whole shop."""

import numpy as np
import pytest

from helpers.generated_rules import generate_shop
from recs_assets.reasons.evidence import Evidence


@pytest.mark.parametrize("size", [1, 7, 200])
def test_a_block_knows_of_products_what_the_shop_knows(size):
    known = generate_shop(3)[1].known
    whole = Evidence(known)
    whole.count_facts()
    product = np.arange(known.n_products)
    left, right = (codes.ravel() for codes in np.meshgrid(product, product))
    for first in range(0, 40, size):
        codes = np.arange(first, min(first + size, known.n_customers))
        part = Evidence(known.take_customers(codes))
        for name in ("buyers", "new", "recent_buyers", "enough_buyers"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
        for mine, all_ in zip(part.popular, whole.popular, strict=True):
            np.testing.assert_array_equal(mine, all_)
        np.testing.assert_array_equal(part.go_together(left, right), whole.go_together(left, right))
        of_whom = np.repeat(codes, known.n_products)
        what = np.tile(product, len(codes))
        mine = of_whom - first
        np.testing.assert_array_equal(
            part.popular_in_segment(mine, what), whole.popular_in_segment(of_whom, what)
        )
        for place in (0, 1):
            np.testing.assert_array_equal(part.bought(mine, what)[place], whole.bought(of_whom, what)[place])


def test_the_shop_of_the_test_has_something_to_know():
    whole = Evidence(generate_shop(3)[1].known)
    product = np.arange(whole.known.n_products)
    left, right = (codes.ravel() for codes in np.meshgrid(product, product))
    several = whole.go_together(left, right)
    assert several.any()
    assert not several.all()
    customer = np.zeros(len(product), dtype=int)
    assert {len(np.unique(whole.popular_in_segment(customer + n, product))) for n in range(9)} == {1, 2}
    assert whole.popular[0].any()
    assert whole.enough_buyers == 5
