import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from recs_assets.recommenders.facets import list_facets, share_facets

PRODUCTS = pd.DataFrame(
    {
        "brand": ["Fjord", " fjord", "Elm", None],
        "category": ["shirts", "shirts", "hats", None],
        "attributes": [
            '{"size": "M", "waterproof": true, "pockets": 2, "fits": null, "care": ["wash"]}',
            '{"size": "m", "waterproof": false, "pockets": 2}',
            "a warm hat",
            '["no", "object"]',
        ],
    }
)


def test_facets_of_brand_category_and_attributes():
    assert list_facets(PRODUCTS) == [
        {"brand": "Fjord", "category": "shirts", "size": "M", "waterproof": "true", "pockets": "2"},
        {"brand": "fjord", "category": "shirts", "size": "m", "waterproof": "false", "pockets": "2"},
        {"brand": "Elm", "category": "hats"},
        {},
    ]


def test_what_two_products_share():
    left, right = np.array([0, 0, 0, 3]), np.array([1, 2, 3, 3])
    assert share_facets(PRODUCTS, left, right) == [
        ["brand: Fjord", "category: shirts", "size: M", "pockets: 2"],
        [],
        [],
        [],
    ]
    assert share_facets(PRODUCTS, left[:0], right[:0]) == []


@given(st.text(max_size=40))
def test_any_text_may_stand_in_attributes(text):
    products = pd.DataFrame({"brand": ["b"], "category": [None], "attributes": [text]})
    [facets] = list_facets(products)
    assert all(isinstance(value, str) and value for value in facets.values())
