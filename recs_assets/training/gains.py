"""What a group of features brings the ranker: rankers with and without it, on the same customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from recs_assets.evaluation import bootstrap
from recs_assets.evaluation.promotion import measure_models
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.base import View
from recs_assets.training.models import fit_ranker
from recs_assets.week.lessons import Lesson
from recs_assets.week.week import Week

if TYPE_CHECKING:
    from recs_assets.settings import Settings
    from recs_assets.training.tasks import CandidateSheet
    from recs_assets.training.train import Lessons

MAP_AT = 12
GAINS, COSTS, UNPROVEN = "gains", "costs", "not proven"
# Of differences that are noise, the 95 % interval leaves out 0 in 13 % of trials with 37 customers, 7 % with 200, 6 % with 400
# (30 % of them changed at all, heavy tails; 400 trials each).
FEWEST_CUSTOMERS = 200


@dataclass(frozen=True)
class NarrowRanker:
    """A ranker that looks at some columns of a frame.

    Attributes:
        ranker: fitted on these columns.
        columns: of the frame.
    """

    ranker: Ranker
    columns: Sequence[int]

    def score(self, X: np.ndarray) -> np.ndarray:
        """float64[n]: raw scores of rows of the whole frame."""
        return self.ranker.score(X[:, self.columns])


def fit_narrow(lessons: Lessons, features: Iterable[str], settings: Settings) -> NarrowRanker:
    """The week's ranker, fitted on some of the lessons' features, in the order of the lessons.

    Raises:
        ValueError: from `Ranker.fit`: all labels are equal.
    """
    wanted = set(features)
    columns = [place for place, name in enumerate(lessons.kept.names) if name in wanted]
    narrow = replace(
        lessons,
        kept=_narrow(lessons.kept, columns),
        earlier=[_narrow(lesson, columns) for lesson in lessons.earlier],
    )
    return NarrowRanker(fit_ranker(narrow, settings), columns)


def _narrow(lesson: Lesson, columns: Sequence[int]) -> Lesson:
    names = tuple(lesson.names[column] for column in columns)
    return replace(lesson, frame=lesson.frame[:, columns], names=names)


def measure_scores(
    week: Week, test: date, sheet: CandidateSheet, scores: Mapping[str, np.ndarray], view: View = "all"
) -> dict[str, np.ndarray]:
    """MAP@12 of every customer who bought a product of the view after the test anchor, by what scored the candidates.

    Args:
        week: of the candidates.
        test: the anchor.
        sheet: its candidates.
        scores: name -> float64, a score of every candidate.
        view: of the lists.
    """
    candidates = sheet.candidates
    keep = None if view == "all" else candidates.own == (view == "repeat")
    ranked = {name: candidates.rank(score, MAP_AT, keep) for name, score in scores.items()}
    customers = week.find_customers_with_lists(test)
    return measure_models(ranked, week.known(test), week.truth(test), customers, view=view, k=MAP_AT)


@dataclass(frozen=True)
class Gain:
    """MAP@12 with a group of features less that without it.

    Attributes:
        difference: of the means.
        low: lower end of the paired 95 % interval.
        high: its upper end.
        customers: who were compared.
        verdict: GAINS, COSTS or UNPROVEN.
    """

    difference: float
    low: float
    high: float
    customers: int
    verdict: str


def compare_gain(with_group: np.ndarray, without: np.ndarray, seed: int) -> Gain:
    """The gain by the values of the same customers, of whom there is at least one."""
    difference, low, high = bootstrap.compare_pairs(with_group, without, seed)
    return Gain(difference, low, high, len(without), decide(low, high, len(without)))


def decide(low: float, high: float, customers: int) -> str:
    """The verdict on a group by the interval of its difference and the customers who were compared.

    >>> decide(0.01, 0.03, 200), decide(-0.03, -0.01, 200), decide(-0.01, 0.03, 200), decide(0.01, 0.03, 199)
    ('gains', 'costs', 'not proven', 'not proven')
    """
    if customers < FEWEST_CUSTOMERS:
        return UNPROVEN
    return GAINS if low > 0 else COSTS if high < 0 else UNPROVEN


def share_gain(ranker: Ranker, features: Sequence[str]) -> float:
    """The share of all that the trees' splits gained which these features did."""
    gain = ranker.importance().set_index("feature")["gain_share"]
    return float(gain.reindex(list(features)).fillna(0.0).sum())
