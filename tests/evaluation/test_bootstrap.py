import numpy as np
import pytest

from recs_assets.evaluation import bootstrap


def test_resamples_are_the_means_of_drawn_customers():
    values = np.array([1.0, 10.0, 100.0])
    means = bootstrap.resample_means(values, seed=3, resamples=200)
    drawn = np.random.default_rng(3).integers(0, 3, size=(200, 3))
    np.testing.assert_allclose(means, values[drawn].mean(axis=1), rtol=1e-14)


def test_block_size_changes_nothing(monkeypatch):
    values = np.arange(50.0)
    whole = bootstrap.resample_means(values, seed=1, resamples=40)
    monkeypatch.setattr(bootstrap, "BLOCK_VALUES", 170)  # 3 resamples at a time
    np.testing.assert_allclose(bootstrap.resample_means(values, seed=1, resamples=40), whole, rtol=1e-14)


def test_same_seed_same_interval_other_seed_another():
    values = np.linspace(0, 1, 101)
    assert bootstrap.find_interval(values, seed=1) == bootstrap.find_interval(values, seed=1)
    assert bootstrap.find_interval(values, seed=1) != bootstrap.find_interval(values, seed=2)


def test_interval_is_near_the_normal_one():
    # 400 zeros and ones: mean 0.5, standard error 0.025, so 0.5 -+ 0.049.
    values = np.tile([0.0, 1.0], 200)
    low, high = bootstrap.find_interval(values, seed=5)
    assert low == pytest.approx(0.451, abs=0.005)
    assert high == pytest.approx(0.549, abs=0.005)


def test_columns_share_the_resamples():
    values = np.column_stack([np.arange(20.0), np.arange(20.0) + 7])
    low, high = bootstrap.find_interval(values, seed=1)
    np.testing.assert_allclose([low[1], high[1]], [low[0] + 7, high[0] + 7], rtol=1e-12)


def test_constant_values_have_no_width():
    low, high = bootstrap.find_interval(np.full(7, 0.25), seed=0)
    assert (low, high) == (0.25, 0.25)


def test_paired_difference_removes_what_customers_share():
    generator = np.random.default_rng(0)
    base = generator.normal(0, 10, 300)
    difference, low, high = bootstrap.compare_pairs(base + 1, base, seed=1)
    assert (difference, low, high) == pytest.approx((1, 1, 1), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "message"), [([], "no customers"), ([1.0, np.nan], "not finite"), ([np.inf], "not finite")]
)
def test_refused(values, message):
    with pytest.raises(ValueError, match=message):
        bootstrap.find_interval(np.array(values), seed=1)


def test_unequal_pairs_are_refused():
    with pytest.raises(ValueError, match="equal lengths"):
        bootstrap.compare_pairs(np.ones(3), np.ones(4), seed=1)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.5], (0, 0.5)),
        ([0.5, 0.5], (0, 0.5)),
        ([-0.5] * 5, (-0.5, 0)),
        ([0.5] * 6, (0.5, 0.5)),
        # Five of many, whom most resamples hold: one in 40 is without them, and six are enough.
        ([1.0] * 5 + [0.0] * 95, (0, 0.1)),
        ([1.0] * 12 + [0.0] * 88, (0.06, 0.19)),
        ([0.0] * 4, (0, 0)),
    ],
)
def test_less_than_a_handful_of_customers_prove_nothing(differences, expected):
    values = np.array(differences)
    _, low, high = bootstrap.compare_pairs(values, np.zeros(len(values)), seed=1)
    assert (low, high) == pytest.approx(expected, abs=0.011)


def test_columns_are_held_at_zero_one_by_one():
    differences = np.column_stack([np.ones(8), np.repeat([1.0, 0.0], 4)])
    low, high = bootstrap.hold_at_zero(differences, np.array([1.0, 0.1]), np.array([1.0, 0.9]))
    assert (low.tolist(), high.tolist()) == ([1.0, 0.0], [1.0, 0.9])
