import math

import pytest

from recs_assets.evaluation.forecasts import interval


def test_without_forecasts_that_are_over_only_the_pairs_themselves_are_in_doubt():
    assert interval(100.0, 100.0, []) == pytest.approx((100 * math.exp(-0.196), 100 * math.exp(0.196)))


def test_forecasts_that_were_wrong_widen_the_interval_whichever_way_they_were():
    low, high = interval(100.0, 0.0, [1.2])
    assert (low, high) == pytest.approx((100 / 1.2**1.96, 100 * 1.2**1.96))
    assert interval(100.0, 0.0, [1 / 1.2]) == pytest.approx((low, high))
    # The mean of the squares: a good year does not undo a bad one, but halves it.
    assert interval(100.0, 0.0, [1.2, 1.0])[1] == pytest.approx(
        100 * math.exp(1.96 * math.log(1.2) / math.sqrt(2))
    )
    assert interval(100.0, 0.0, [0.0, 1.2]) == pytest.approx((low, high))  # nothing bought has no ratio
