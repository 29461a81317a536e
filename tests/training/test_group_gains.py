import numpy as np

from recs_assets.settings import Settings
from recs_assets.training import gains
from recs_assets.training.gains import GAINS, compare_gain, fit_narrow, share_gain
from recs_assets.training.train import Lessons
from recs_assets.week.lessons import Lesson

NAMES = ("noise", "truth")


def _draw(seed: int) -> Lesson:
    """200 customers with ten candidates each; what is bought is what "truth" says."""
    frame = np.random.default_rng(seed).normal(size=(2000, 2)).astype(np.float32)
    label = (frame[:, 1] > 1).astype(np.int8)
    group = np.repeat(np.arange(200, dtype=np.int32), 10)
    return Lesson(group, label, np.ones(2000, dtype=np.float32), frame, NAMES)


def _lessons() -> Lessons:
    kept = _draw(0)
    return Lessons(None, kept, kept, [_draw(1)], {})  # type: ignore[arg-type]


def test_a_narrow_ranker_sees_its_columns_only():
    test, settings = _draw(2), Settings(threads=1)
    whole = fit_narrow(_lessons(), NAMES, settings)
    without = fit_narrow(_lessons(), ["noise"], settings)
    assert (whole.columns, without.columns) == ([0, 1], [0])
    assert without.ranker.features_ == ("noise",)
    # The order of the features is that of the lessons, whatever order they are asked for in.
    assert fit_narrow(_lessons(), ["truth", "noise"], settings).columns == [0, 1]
    other = np.stack([test.frame[:, 0], np.zeros(2000, dtype=np.float32)], axis=1)
    assert np.array_equal(without.score(test.frame), without.score(other))
    assert share_gain(whole.ranker, ["truth"]) > 0.9
    assert share_gain(without.ranker, ["truth"]) == 0.0

    def find_hit(score: np.ndarray) -> np.ndarray:
        """Per customer, whether the candidate in front was bought."""
        best = score.reshape(200, 10).argmax(axis=1)
        return test.label.reshape(200, 10)[np.arange(200), best].astype(float)

    gain = compare_gain(find_hit(whole.score(test.frame)), find_hit(without.score(test.frame)), seed=0)
    assert gain.verdict == GAINS
    assert gain.customers == 200
    assert 0.5 < gain.low < gain.difference < gain.high


def test_few_customers_prove_nothing():
    ones, zeros = np.ones(199), np.zeros(199)
    assert compare_gain(ones, zeros, seed=0) == gains.Gain(1.0, 1.0, 1.0, 199, "not proven")
    assert compare_gain(np.ones(200), np.zeros(200), seed=0).verdict == "gains"
    assert compare_gain(np.zeros(200), np.ones(200), seed=0).verdict == "costs"
