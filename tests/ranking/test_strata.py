import numpy as np

from recs_assets.ranking.strata import SIZES, STRATA, find_strata


def test_classes_by_hand(shop):
    # c1 ordered 112, 84, 56 and 28 days before the anchor, p2 each time, never p6; c6 never ordered.
    found = find_strata(shop, np.array([0, 0, 5]), np.array([1, 5, 1]))
    assert list(STRATA) == ["orders", "days_since_order", "days_bought", "days_since_bought"]
    assert found.tolist() == [[2, 1, 3, 1], [2, 1, 0, 4], [0, 4, 0, 4]]
    assert SIZES == (5, 5, 6, 5)


def test_no_pairs_have_no_classes(shop):
    found = find_strata(shop, np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    assert (found.shape, found.dtype) == ((0, 4), np.int8)
