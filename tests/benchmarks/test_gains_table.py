from datetime import date

import numpy as np

from benchmarks import gains
from recs_assets.ranking.features import BY_NAME, FAMILIES


def test_every_signal_is_of_features_that_there_are():
    groups = gains.group_features(tuple(BY_NAME))
    assert set(FAMILIES) | set(gains.PATTERNS) == set(groups)
    assert groups["season"] == ["product_purchases_year_before"]
    assert groups["returns"] == [
        "customer_returns_share", "product_return_rate", "customer_product_units_returned"
    ]  # fmt: skip
    assert gains.group_features(("als_rank", "tickets_of_pairs.count")) == {
        "customers_like_you": ["als_rank"],
        "tickets": ["tickets_of_pairs.count"],
    }


def test_the_columns_of_a_source():
    assert [gains.is_of_source(column, "ease") for column in ("ease.rank", "ease:new.rank")] == [True] * 2
    assert [gains.is_of_source(column, "ease") for column in ("als:new.rank", "rrf", "price")] == [False] * 3


def test_the_table_pools_the_anchors():
    none, ones = np.zeros(100), np.ones(100)
    row = {"family": "brand", "on": "yes", "features": 2, "share": 0.25, "seconds": 1.5}
    rows = [
        row | {"anchor": date(2026, 1, 5), "all": (ones, none), "new": (none, none)},
        row | {"anchor": date(2025, 12, 8), "share": 0.75, "all": (ones, ones), "new": (none, ones)},
    ]
    *_, last = gains.tabulate(rows, seed=0).splitlines()
    assert last.startswith("| brand | yes | 2 | 0.500 | 1.0000 | +0.5000 (+0.4")
    assert "| -0.5000 (-0.5" in last
    assert last.endswith("| 200 | gains | +1.5 |")
