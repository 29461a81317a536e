"""Intervals that stay right however often somebody looks: group-sequential bounds with error spending.

The run looks once a week, at most `planned` times. Of the error that all looks together may make, look k of K has
spent level * (k / K) ** 2 (Lan and DeMets 1983; the power family of Kim and DeMets 1987). The bound of a look is the
number of standard errors that an estimate without any effect first exceeds, in this look, with the error it spends.
Under it the estimates times their information are a Brownian motion seen at the looks, so the probability is an
integral over the states that crossed no earlier bound (Armitage, McPherson and Rowe 1969), taken here by Gauss-Legendre
quadrature. SciPy and statsmodels have no such bounds.

Why these and no confidence sequence: docs/experiments.md#why-a-peek-costs-nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

LEVEL = 0.05
SPENDING_POWER = 2.0
NODES = 101
# A look that learned less than this share more than the last counts as one that learned this much.
LEAST_GROWTH = 0.01
FARTHEST = 40.0  # standard errors


def find_bounds(
    looks: Sequence[int], information: Sequence[float], planned: int, level: float = LEVEL
) -> np.ndarray:
    """Standard errors on either side of an estimate, for every look so far.

    Args:
        looks: weeks since the start in which somebody looked, rising, within 1..planned.
        information: 1 / variance of the estimate at each; only the ratios count.
        planned: the last week in which somebody may look.
        level: the error of all looks together, both sides.

    Returns:
        float64[looks].

    Raises:
        ValueError: no looks, not rising, or beyond the plan.
    """
    if not len(looks) or list(looks) != sorted(set(looks)) or looks[0] < 1 or looks[-1] > planned:
        raise ValueError(f"Looks {list(looks)} must rise within 1..{planned}.")
    return np.array(_solve(tuple(looks), tuple(_grow(information)), planned, level))


def find_power(information: Sequence[float], bounds: Sequence[float] | np.ndarray, drift: float) -> float:
    """Probability that an estimate crosses a bound in one of the looks.

    Args:
        information: as of `find_bounds`.
        bounds: of it.
        drift: the true effect in standard errors of the last look.
    """
    steps = _grow(information)
    slope = drift / np.sqrt(steps[-1])
    crossed = 0.0
    walk = _Walk(slope)
    for step, bound in zip(steps, bounds, strict=True):
        crossed += walk.find_exit(step, bound)
        walk.advance(step, bound)
    return float(crossed)


def find_drift(information: Sequence[float], power: float, level: float = LEVEL) -> float:
    """The effect, in standard errors of the last look, that is found with this probability.

    Args:
        information: as of `find_bounds`, at every week of the plan.
        power: the probability.
        level: as of `find_bounds`.

    >>> round(find_drift([1.0], 0.8), 3)  # 1.960 + 0.842: one look is the usual test
    2.802
    """
    bounds = find_bounds(range(1, len(information) + 1), information, len(information), level)
    return float(brentq(lambda drift: find_power(information, bounds, drift) - power, 0.0, FARTHEST))


def step_down(names: Sequence[str], test: Callable[[str, float], bool], level: float = LEVEL) -> set[str]:
    """What is shown of several, so that the error of all together is the level (Holm 1979).

    statsmodels does so with probabilities of a single look; here every step asks for the bound at its own level.

    Args:
        names: of what is tested.
        test: whether one is shown at a level.
        level: of all together.

    >>> sorted(step_down(["a", "b", "c"], lambda name, level: {"a": 0.01, "b": 0.02, "c": 0.06}[name] <= level))
    ['a', 'b']
    """
    shown: set[str] = set()
    while left := [name for name in names if name not in shown]:
        found = [name for name in left if test(name, level / len(left))]
        if not found:
            break
        shown.update(found)
    return shown


@lru_cache(maxsize=1024)
def _solve(looks: tuple[int, ...], steps: tuple[float, ...], planned: int, level: float) -> tuple[float, ...]:
    walk, spent, bounds = _Walk(), 0.0, []
    for look, step in zip(looks, steps, strict=True):
        total = level * (look / planned) ** SPENDING_POWER
        error = total - spent

        def excess(bound: float, step: float = step, error: float = error) -> float:
            return walk.find_exit(step, bound) - error

        bounds.append(brentq(excess, 0.0, FARTHEST, xtol=1e-10))
        walk.advance(step, bounds[-1])
        spent = total
    return tuple(map(float, bounds))


class _Walk:
    """The Brownian motion of those who crossed no bound yet: its states as nodes with a mass each."""

    def __init__(self, slope: float = 0.0) -> None:
        self._slope, self._at = slope, 0.0
        self._nodes, self._mass = np.zeros(1), np.ones(1)

    def find_exit(self, step: float, bound: float) -> float:
        """Probability of crossing the bound at the information `step`."""
        edge, centre, spread = self._move(step, bound)
        return float(self._mass @ (ndtr((-edge - centre) / spread) + ndtr((centre - edge) / spread)))

    def advance(self, step: float, bound: float) -> None:
        """Keep those who did not cross."""
        edge, centre, spread = self._move(step, bound)
        nodes = edge * _ROOTS
        gap = (nodes[:, None] - centre) / spread
        density = np.exp(-0.5 * gap * gap) @ self._mass / (spread * np.sqrt(2 * np.pi))
        self._nodes, self._mass, self._at = nodes, edge * _WEIGHTS * density, step

    def _move(self, step: float, bound: float) -> tuple[float, np.ndarray, float]:
        ahead = step - self._at
        return bound * np.sqrt(step), self._nodes + self._slope * ahead, np.sqrt(ahead)


_ROOTS, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)


def _grow(information: Sequence[float]) -> np.ndarray:
    """Information as shares of the last, made to rise."""
    steps = np.array(information, dtype=np.float64)
    for look in range(1, len(steps)):
        steps[look] = max(steps[look], steps[look - 1] * (1 + LEAST_GROWTH))
    return steps / steps[-1]
