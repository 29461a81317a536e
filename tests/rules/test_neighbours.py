"""Products next to products."""

import numpy as np
import pandas as pd
import pytest

from helpers.rules import flags, floats, make_known, make_rules, mark_sensitive
from recs_assets.rules.context import Context
from recs_assets.rules.neighbours import find_alike, keep_neighbours


def neighbours(*rows):
    """(product, neighbour), best first."""
    frame = pd.DataFrame(rows, columns=["product", "neighbour"]).assign(score=0.5)
    return frame.assign(rank=(frame.groupby("product").cumcount() + 1).astype(np.int16))


NEIGHBOURS = {
    "all pass, as many as fit": ({}, {}, {}, {0: [1, 2], 1: [0]}),
    "unavailable": ({"unavailable": {1}}, {}, {}, {0: [2, 3], 1: [0]}),
    "excluded, on either side": (
        {"categories": [None, "A", *[None] * 4]}, {}, {"excluded_categories": ("A",)}, {0: [2, 3]},
    ),
    "sensitive, on either side": ({}, {"sensitive": mark_sensitive(never_discover=[1])}, {"sensitive": True}, {0: [2, 3]}),
    "not to be named": ({}, {"sensitive": mark_sensitive(never_cite=[0])}, {"sensitive": True}, {}),
    "sold in fewer countries": (
        {}, {"country": np.array([0]), "sellable": np.array([flags(), flags(True, False)])}, {}, {0: [2, 3], 1: [0]},
    ),
    "its own variant": ({}, {"parent": np.array([7, 7, -1, -1, -1, -1])}, {"one_per_parent": True}, {0: [2, 3]}),
    "its own title": ({"names": ["Tea", "tea ", "B", "C", "D", "E"]}, {}, {"one_per_title": True}, {0: [2, 3]}),
    "two of one title": (
        {"names": ["A", "Tea", "TEA", "C", "D", "E"]}, {}, {"one_per_title": True}, {0: [1, 3], 1: [0]},
    ),
    "variants of each other": (
        {}, {"parent": np.array([-1, 7, 7, -1, -1, -1])}, {"one_per_parent": True}, {0: [1, 3], 1: [0]},
    ),
    "out of stock": ({}, {"stock": floats(0)}, {"min_stock": 1}, {0: [1, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("case", NEIGHBOURS)
def test_products_next_to_products(case: str) -> None:
    shop, facts, changes, expected = NEIGHBOURS[case]
    found = neighbours((0, 1), (0, 2), (0, 3), (1, 0))
    kept = keep_neighbours(found, Context(make_known(**shop), **facts), make_rules(**changes))
    assert kept.groupby("product")["neighbour"].apply(list).to_dict() == expected
    assert kept["rank"].tolist() == [rank for some in expected.values() for rank in range(1, len(some) + 1)]
    assert kept.columns.tolist() == found.columns.tolist()


def test_similar_products_of_another_category_are_alike_by_half():
    categories = ["Bread", "Bread", "Rolls", "Soup", None, None]
    found = neighbours((0, 1), (0, 2), (0, 3), (0, 4), (4, 3)).assign(score=[0.1, 0.5, 0.49, 0.1, 0.1])
    kept = find_alike(found, Context(make_known(categories=categories)))
    assert [*zip(kept["product"], kept["neighbour"], strict=True)] == [(0, 1), (0, 2), (0, 4), (4, 3)]
