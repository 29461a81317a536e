import lightgbm as lgb
import numpy as np
import pytest

from recs_assets.ranking import shapley
from recs_assets.ranking.shapley import Shapley


class Dumped:
    """A booster of which only the dump is known."""

    def __init__(self, *trees):
        self.trees = trees

    def dump_model(self):
        return {"max_feature_idx": 1, "tree_info": [{"tree_structure": tree} for tree in self.trees]}


def split(feature, threshold, left, right, missing="None", default_left=True, kind="<="):
    count = sum(child.get("leaf_count", 0) + child.get("internal_count", 0) for child in (left, right))
    return {
        "split_feature": feature, "threshold": threshold, "decision_type": kind, "missing_type": missing,
        "default_left": default_left, "internal_count": count, "left_child": left, "right_child": right,
    }  # fmt: skip


def leaf(value, count):
    return {"leaf_value": value, "leaf_count": count}


def rows(*values):
    return np.array(values, dtype=np.float32)


def test_by_hand():
    # Knowing nothing: 50 % 10, 25 % 0, 25 % 20 = 10. For a row that goes right twice, knowing f0: 10,
    # knowing f1: (10 + 20) / 2 = 15, knowing both: 20. Each feature adds the mean over both orders:
    # f0 (0 + 5) / 2, f1 (5 + 10) / 2.
    found = Shapley(Dumped(split(0, 0.5, leaf(10.0, 50), split(1, 0.5, leaf(0.0, 25), leaf(20.0, 25)))))
    assert found.base == 10.0
    np.testing.assert_allclose(
        found.contributions(rows((1, 1), (1, 0), (0, 0))), [[2.5, 7.5], [-2.5, -7.5], [2.5, -2.5]]
    )


def test_a_value_at_the_threshold_goes_left_and_a_missing_one_where_it_was_learnt():
    just = np.float32(0.1)  # a little more than the double 0.1
    for missing, default_left, expected in (
        ("None", True, 1.5),  # read as zero: at most 0.1
        ("NaN", True, 1.5),
        ("NaN", False, -0.5),
    ):
        found = Shapley(Dumped(split(0, 0.1, leaf(3.0, 1), leaf(1.0, 3), missing, default_left)))
        assert found.base == 1.5
        values = found.contributions(rows((np.nextafter(just, np.float32(0)), 0), (just, 0), (np.nan, 0)))
        np.testing.assert_allclose(values[:, 0], [1.5, -0.5, expected])
        assert not values[:, 1].any()


def test_a_tree_without_a_split_is_base():
    found = Shapley(Dumped(leaf(0.25, 10), split(1, 0.0, leaf(1.0, 1), leaf(-1.0, 1))))
    assert found.base == 0.25
    np.testing.assert_allclose(found.contributions(rows((9, -1), (9, 1))), [[0, 1], [0, -1]])


@pytest.mark.parametrize(
    ("leaves", "table_rows"), [(4, 4096), (15, 4096), (15, 1), (31, 4096), (31, 64)], ids=str
)
def test_equals_lightgbm(leaves, table_rows, monkeypatch):
    monkeypatch.setattr(shapley, "TABLE_ROWS", table_rows)
    rng = np.random.default_rng(leaves)
    X = rng.normal(size=(6000, 12)).astype(np.float32)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[:, 3] = rng.integers(-2, 4, len(X))  # never missing in training
    X[:, 4] = np.round(X[:, 4], 1)
    y = np.nan_to_num(X[:, 0] * X[:, 3]) + np.nan_to_num(X[:, 4]) + rng.normal(size=len(X)) > 1
    settings = {
        "objective": "binary",
        "num_leaves": leaves,
        "min_data_in_leaf": 20,
        "verbosity": -1,
        "num_threads": 1,
    }
    booster = lgb.train(settings, lgb.Dataset(X, y.astype(int)), 25)
    X[:100, 3] = np.nan
    expected = booster.predict(X, pred_contrib=True, num_threads=1)
    found = Shapley(booster)
    assert found.base == pytest.approx(expected[0, -1], abs=1e-12)
    np.testing.assert_allclose(found.contributions(X), expected[:, :-1], rtol=0, atol=1e-12)


def test_rows_and_threads_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 5)).astype(np.float32)
    settings = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    found = Shapley(lgb.train(settings, lgb.Dataset(X, X[:, 0] > 0), 10))
    whole = found.contributions(X)
    monkeypatch.setattr(shapley, "CHUNK", 33)
    assert found.contributions(X, threads=3).tobytes() == whole.tobytes()
    assert found.contributions(X[:0]).shape == (0, 5)


def test_what_cannot_be_attributed_is_refused():
    with pytest.raises(ValueError, match="only numeric splits"):
        Shapley(Dumped(split(0, 1.0, leaf(1.0, 1), leaf(0.0, 1), kind="==")))
    with pytest.raises(ValueError, match="zero_as_missing"):
        Shapley(Dumped(split(0, 1.0, leaf(1.0, 1), leaf(0.0, 1), missing="Zero")))
    chain = leaf(1.0, 1)
    for feature in range(21):
        chain = split(feature, 0.0, leaf(0.0, 1), chain)
    with pytest.raises(ValueError, match="21 features, at most 20"):
        Shapley(Dumped(chain))
