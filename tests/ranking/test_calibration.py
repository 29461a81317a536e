import json

import numpy as np
import pytest

from recs_assets.ranking import calibration
from recs_assets.ranking.calibration import (
    SMALLEST,
    Calibrator,
    brier,
    calibrate,
    expected_calibration_error,
    fit_beta,
    fit_isotonic,
    reliability,
    reliability_plot,
    sigmoid,
)
from recs_assets.ranking.strata import SIZES
from recs_assets.schema import ArtefactError


def drawn(seed=0, size=20_000):
    """Scores whose true log-odds are 2 * score - 1."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=size)
    label = (rng.random(size) < sigmoid(2 * score - 1)).astype(int)
    return score, label, np.arange(size) // 10


def test_sigmoid_by_hand():
    np.testing.assert_allclose(sigmoid(np.array([0.0, np.log(3), -np.log(3)])), [0.5, 0.75, 0.25])
    assert sigmoid(np.array([-1000.0, 1000.0])).tolist() == [0.0, 1.0]


def test_brier_by_hand():
    # (0.1^2 + 0.4^2 + 0.2^2) / 3
    assert brier(np.array([0.1, 0.6, 0.8]), np.array([0, 1, 1])) == pytest.approx(0.21 / 3)


def test_expected_calibration_error_by_hand():
    probability = np.array([0.1, 0.2, 0.7, 0.8])
    label = np.array([0, 1, 1, 1])
    # Two bins of two: |0.15 - 0.5| and |0.75 - 1|, each half of the rows.
    assert expected_calibration_error(probability, label, bins=2) == pytest.approx(0.3)
    table = reliability(probability, label, bins=2)
    assert table["rows"].tolist() == [2, 2]
    np.testing.assert_allclose(table["predicted"], [0.15, 0.75])
    np.testing.assert_allclose(table["actual"], [0.5, 1.0])


def test_equal_probabilities_share_a_bin():
    table = reliability(np.full(50, 0.2), np.r_[np.ones(10), np.zeros(40)], bins=10)
    assert table["rows"].tolist() == [50]
    assert expected_calibration_error(np.full(50, 0.2), np.r_[np.ones(10), np.zeros(40)]) == pytest.approx(0)


def test_isotonic_pools_what_falls():
    model = fit_isotonic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 0, 1]))
    # The middle two are out of order and become their mean.
    np.testing.assert_allclose(
        model.probability(np.array([1.0, 2.0, 2.5, 3.0, 4.0])), [SMALLEST, 0.5, 0.5, 0.5, 1 - SMALLEST]
    )


def test_beta_finds_the_true_map():
    score, label, _ = drawn(size=200_000)
    model = fit_beta(score, label)
    grid = np.linspace(-2, 2, 9)
    # Of Kull's family only a = b keeps log-odds linear: 2 * score - 1.
    np.testing.assert_allclose(model.probability(grid), sigmoid(2 * grid - 1), atol=0.01)


@pytest.mark.parametrize("fit", [fit_isotonic, fit_beta])
@pytest.mark.parametrize("seed", range(5))
def test_probabilities_never_fall_as_the_score_rises(fit, seed):
    rng = np.random.default_rng(seed)
    score = rng.normal(scale=4, size=300)
    # Even from labels that fall with the score.
    label = (rng.random(300) < sigmoid(-score if seed % 2 else score)).astype(int)
    p = fit(score, label).probability(np.linspace(-30, 30, 2001))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= SMALLEST
    assert p.max() <= 1 - SMALLEST


def test_calibration_is_better_than_the_score_itself_and_keeps_the_sum():
    score, label, group = drawn()
    model, facts = calibrate(score, label, group)
    chosen = facts[f"brier_{model.kind}"]
    assert chosen == min(facts["brier_beta"], facts["brier_isotonic"])
    assert chosen < facts["brier_raw"]
    assert facts[f"ece_{model.kind}"] < 0.02 < facts["ece_raw"]
    # Sums of probabilities forecast purchases.
    assert model.probability(score).sum() == pytest.approx(label.sum(), rel=0.01)


def test_stored_as_plain_numbers():
    score, label, _ = drawn(size=500)
    for model in (fit_isotonic(score, label), fit_beta(score, label)):
        again = Calibrator.from_json(json.loads(json.dumps(model.to_json())))
        assert again == model


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "isotonic", "x": [0, 1], "y": [0.5, 0.1]},
        {"kind": "isotonic", "x": [1, 0], "y": [0.1, 0.5]},
        {"kind": "isotonic", "x": [], "y": []},
        {"kind": "beta", "x": [], "y": [-1, 1, 0]},
        {"kind": "beta", "x": [], "y": [1, float("nan"), 0]},
        {"kind": "other", "x": [], "y": [1, 1, 0]},
        {"highest": 1.5},
        {"shifts": [0.5]},
        {"shifts": [float("nan")] * sum(SIZES)},
    ],
)
def test_a_stored_map_that_is_none_is_refused(stored):
    whole = {"kind": "beta", "x": [], "y": [1, 1, 0], "highest": 0.5, "shifts": []}
    assert Calibrator.from_json(whole).highest == 0.5
    with pytest.raises(ArtefactError, match="materialise the ranker again"):
        Calibrator.from_json(whole | stored if stored else {})


def test_no_probability_is_larger_than_the_sample_supports():
    rng = np.random.default_rng(1)
    score = rng.normal(size=5_000)
    label = (rng.random(5_000) < 0.4 * sigmoid(score)).astype(int)
    model, _ = calibrate(score, label, np.arange(5_000))
    top = np.argsort(-score, kind="stable")[:100]
    assert model.highest == (label[top].sum() + 1) / 102
    assert model.probability(np.array([50.0])).tolist() == [model.highest]


def in_strata(seed, size=40_000):
    """Half of the rows are of customers with one order, who buy half as often as their score says."""
    rng = np.random.default_rng(seed)
    score, few = rng.normal(size=size) - 2, np.arange(size) % 2 == 0
    label = (rng.random(size) < sigmoid(score) * np.where(few, 0.5, 1.0)).astype(int)
    strata = np.zeros((size, len(SIZES)), dtype=np.int8)
    strata[:, 0] = np.where(few, 1, 4)
    return score, label, np.arange(size) // 4, strata, few


def test_strata_are_right_each_on_its_own():
    score, label, group, strata, few = in_strata(0)
    whole, _ = calibrate(score, label, group)
    model, facts = calibrate(score, label, group, strata)
    assert facts["brier_strata"] < min(facts["brier_beta"], facts["brier_isotonic"])
    fresh, bought, _, _, _ = in_strata(1)
    for rows in (few, ~few):
        assert whole.probability(fresh[rows]).sum() != pytest.approx(bought[rows].sum(), rel=0.2)
        assert model.probability(fresh, strata)[rows].sum() == pytest.approx(bought[rows].sum(), rel=0.05)
    again = Calibrator.from_json(json.loads(json.dumps(model.to_json())))
    np.testing.assert_array_equal(again.probability(fresh, strata), model.probability(fresh, strata))
    with pytest.raises(ValueError, match="give the strata"):
        model.probability(fresh)


def test_strata_that_make_no_difference_are_left_out():
    score, label, group = drawn()
    strata = np.zeros((len(score), len(SIZES)), dtype=np.int8)
    strata[:, 0] = np.random.default_rng(3).integers(0, 5, len(score))
    model, facts = calibrate(score, label, group, strata)
    if facts["brier_strata"] >= facts[f"brier_{model.kind}"]:
        assert model.shifts == ()
    assert model.probability(score, strata).sum() == pytest.approx(label.sum(), rel=0.01)


def test_a_small_stratum_stays_near_the_whole():
    score, label, _ = drawn()
    strata = np.zeros((len(score), len(SIZES)), dtype=np.int8)
    strata[:10, 0] = 1
    label[:10] = 1  # ten rows by luck
    model = calibration._fit_shifts(fit_beta(score, label), score, label, strata)
    lone, others = (model.shifts[one] for one in (1, 0))
    assert 0 < lone - others < 0.15  # all of them bought: without the ridge some 10


def test_refusals():
    with pytest.raises(ValueError, match="All labels are equal"):
        fit_beta(np.array([0.0, 1.0]), np.array([0, 0]))
    with pytest.raises(ValueError, match="not finite"):
        fit_isotonic(np.array([0.0, np.inf]), np.array([0, 1]))
    with pytest.raises(ValueError, match="at least two customers"):
        calibrate(np.array([0.0, 1.0]), np.array([0, 1]), np.array([3, 3]))
    with pytest.raises(ValueError, match="nothing to calibrate"):
        calibrate(np.arange(4.0), np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1]))


def test_the_plot_is_a_png_of_the_same_bytes():
    score, label, _ = drawn(size=400)
    one = reliability_plot(sigmoid(score), label)
    assert one[:8] == b"\x89PNG\r\n\x1a\n"
    assert one == reliability_plot(sigmoid(score), label)
