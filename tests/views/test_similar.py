"""What two products share."""

from __future__ import annotations

import doctest

import pytest

from recs_assets.views import similar
from recs_assets.views.similar import share_facets

PRODUCT = {
    "product_name": "Oat milk 1 l", "brand": "Field", "category": "Milk", "vertical": None, "price": 2.0, "attributes": None,
}  # fmt: skip


def test_examples():
    assert doctest.testmod(similar).failed == 0


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ({"product_name": None, "brand": None, "category": None, "price": None}, []),
        ({"price": 3.9, "product_name": "Bread"}, ["brand Field", "category Milk", "price"]),
        ({"price": 4.0, "product_name": "Bread"}, ["brand Field", "category Milk"]),
        ({"price": 0.0, "product_name": "Soy milk", "brand": "Hill", "category": "x"}, ["words: milk"]),
    ],
)
def test_missing_values_are_not_shared(other, shared):
    assert share_facets(PRODUCT, PRODUCT | other) == shared


@pytest.mark.parametrize("broken", ["not json", "[1, 2]", '"text"'])
def test_attributes_that_are_no_object_share_nothing(broken):
    plain = PRODUCT | {"product_name": None, "brand": None, "category": None, "price": None}
    assert share_facets(plain | {"attributes": broken}, plain | {"attributes": broken}) == []
