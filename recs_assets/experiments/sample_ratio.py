"""Whether the arms have the customers that they should have; where they have not, no result counts.

Two questions, because the assignment is published before anybody is sent anything: did the draw give every arm its
share (Pearson's chi-square test against the shares), and did as large a part of every arm reach the analysis (the same
against the assigned). The second one finds what usually goes wrong, an arm that loses customers on the way (Fabijan et
al., *Diagnosing sample ratio mismatch in online controlled experiments*, 2019), from far fewer customers, because the
chance of the draw is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency, chisquare

# Of both questions together; this many good experiments are called invalid.
LEVEL = 0.001


@dataclass(frozen=True)
class SampleRatio:
    """What was found.

    Attributes:
        drawn: probability of a draw at least as far from the shares.
        lost: probability that the arms lose customers so unequally by chance.
        problem: why the experiment is invalid; None where it is not.
    """

    drawn: float
    lost: float
    problem: str | None


def check_sample_ratio(
    shares: Mapping[str, float], assigned: Mapping[str, int], analysed: Mapping[str, int]
) -> SampleRatio:
    """Compare the customers of the arms.

    Args:
        shares: arm -> share of the file.
        assigned: arm -> customers that were assigned to it.
        analysed: arm -> those of them that are in the analysis.

    Raises:
        ValueError: an arm has more customers in the analysis than were assigned to it.
    """
    arms = list(shares)
    drawn = np.array([assigned.get(arm, 0) for arm in arms], dtype=np.float64)
    left = np.array([analysed.get(arm, 0) for arm in arms], dtype=np.float64)
    if (left > drawn).any():
        arm = arms[int(np.argmax(left > drawn))]
        raise ValueError(f"Arm {arm} has more customers in the analysis than were assigned to it.")
    if not drawn.sum():
        return SampleRatio(1.0, 1.0, "no customers were assigned")
    expected = np.array(list(shares.values())) / sum(shares.values()) * drawn.sum()
    by_draw = float(chisquare(drawn, expected).pvalue)
    by_loss = 1.0
    if 0 < left.sum() < drawn.sum():
        there = drawn > 0
        table = np.stack([left[there], (drawn - left)[there]])
        by_loss = float(chi2_contingency(table, correction=False).pvalue) if there.sum() > 1 else 1.0
    elif not left.sum():
        return SampleRatio(by_draw, by_loss, "no assigned customer is in the analysis")
    problem = None
    if by_draw < LEVEL / 2:
        problem = f"{_list(arms, drawn)} were assigned where {_list(arms, expected)} were expected"
    elif by_loss < LEVEL / 2:
        problem = f"of the assigned, {_list(arms, left)} of {_list(arms, drawn)} are in the analysis"
    return SampleRatio(by_draw, by_loss, problem)


def _list(arms: list[str], counts: np.ndarray) -> str:
    return ", ".join(f"{count:,.0f} {arm}" for arm, count in zip(arms, counts, strict=True))
