"""How many orders customers will still place, and whether they are still customers.

**The model.** While they are customers they order at a constant rate, Gamma-distributed over the customers; with every
order they leave with a probability of their own, Beta-distributed (Fader, Hardie and Lee, "Counting Your Customers"
the Easy Way: An Alternative to the Pareto/NBD Model, Marketing Science 24, 2005: BG/NBD). There nobody can leave with
the first order, so that whoever ordered once is a customer for ever; `first_drop` lets them (Batislam, Denizel and
Filiztekin, Empirical validation and comparison of models for customer base analysis, 2007: MBG/NBD).

Fitted by maximum likelihood on the logarithms of the four parameters, from a fixed start: the same rows give the same
figures, in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, hyp2f1

# Logarithms of the parameters stay within these: beyond, customers are all alike, and the likelihood is flat.
LOG_BOUND = 12.0
# Closer than this to 1 the closed form of the expected orders divides nothing by nothing, and SciPy's 2F1 of parameters that
# differ by whole numbers is infinite for some arguments (1.17: hyp2f1(1, 1, 101, 0.95)).
SMALLEST_DISTANCE = 1e-6
# Customers who all order at nearly the same rate have a shape above this: there SciPy's 2F1 is wrong or no number.
LARGE_SHAPE = 1000.0
NODES = 100


@dataclass(frozen=True)
class OrderModel:
    """The shop's parameters.

    Attributes:
        shape: r, of the Gamma of the rates.
        scale: alpha, days; a rate's mean is shape / scale.
        leave: a, of the Beta of leaving.
        stay: b, of the same.
        first_drop: whether somebody can leave with the first order.
    """

    shape: float
    scale: float
    leave: float
    stay: float
    first_drop: bool = True

    def predict(
        self, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray, days: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """What customers are expected to do.

        Args:
            repeats: float64[n], order-days after the first.
            recency: float64[n], days from the first to the last.
            age: float64[n], days from the first to the anchor.
            days: of the first result, from the anchor on.

        Returns:
            Expected order-days in `days`, and the probability that they are still customers, float64[n] each.
        """
        chances = repeats + self.first_drop
        alive = self.find_alive(repeats, recency, age)
        # The published form has no value where nobody could leave yet and leave + stay is below 1. The expectation over a
        # Beta is a mean of those over two Betas with one more, and they always have one.
        leave, stay = self.leave, self.stay + chances
        if min(abs(value - round(value)) for value in (leave, self.shape - leave)) < SMALLEST_DISTANCE / 2:
            leave += SMALLEST_DISTANCE
        rates = self.shape + repeats, self.scale + age
        one_more = stay * _expect(leave, stay + 1, *rates, days) + leave * _expect(
            leave + 1, stay, *rates, days
        )
        return alive * one_more / (leave + stay), alive

    def find_alive(self, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray) -> np.ndarray:
        """float64[n]: the probability that they are still customers; arguments as in `predict`."""
        return expit(-self._log_odds_of_leaving(repeats, repeats + self.first_drop, recency, age))

    def _log_odds_of_leaving(
        self, repeats: np.ndarray, chances: np.ndarray, recency: np.ndarray, age: np.ndarray
    ) -> np.ndarray:
        """Of having left with the last order against being there; minus infinity where nobody could leave yet."""
        with np.errstate(divide="ignore"):
            left = np.where(
                chances > 0, np.log(self.leave) - np.log(np.maximum(self.stay + chances - 1, 1e-300)), -np.inf
            )
        return left + (self.shape + repeats) * (np.log(self.scale + age) - np.log(self.scale + recency))


def _expect(leave: float, stay: np.ndarray, shape: np.ndarray, scale: np.ndarray, days: float) -> np.ndarray:
    """Expected orders in `days` of a customer who is there, with a Gamma of their rate and a Beta of their leaving."""
    whole, share = leave + stay - 1, days / (scale + days)
    with np.errstate(all="ignore"):
        # The published form loses all digits for somebody of 300 orders; Euler's transformation of its 2F1 does not.
        series = hyp2f1(whole - shape, leave - 1, whole, share)
        expected = -np.expm1((leave - 1) * np.log1p(-share) + np.log(series)) * whole / (leave - 1)
    most = shape * days / scale  # of somebody who never leaves
    sound = np.isfinite(expected) & (expected >= 0) & (expected <= most) & (shape <= LARGE_SHAPE)
    for value in np.unique(stay[~sound]):
        rows = np.flatnonzero(~sound & (stay == value))
        expected[rows] = _integrate(leave, value, shape[rows], scale[rows], days)
    return expected


def _integrate(leave: float, stay: float, shape: np.ndarray, scale: np.ndarray, days: float) -> np.ndarray:
    """As `_expect`, by Gauss-Jacobi quadrature over the chance of leaving, whose nodes and weights are the eigenvalues
    of a matrix (Golub and Welsch, Calculation of Gauss Quadrature Rules, 1969). Every parameter is good for it; the
    closed form is exact where it is a number."""
    high, low = stay - 1, leave - 1
    n = np.arange(1.0, NODES)
    twice = 2 * n + high + low
    middle = (low - high) * (low + high) / (twice * (twice + 2))
    n, twice = n[1:], twice[1:]
    beside = 4 * n * (n + high) * (n + low) * (n + high + low) / (twice**2 * (twice + 1) * (twice - 1))
    first = 4 * leave * stay / ((leave + stay) ** 2 * (leave + stay + 1))
    nodes, vectors = eigh_tridiagonal(
        np.r_[(leave - stay) / (leave + stay), middle], np.sqrt(np.r_[first, beside])
    )
    expected = np.zeros(len(shape))
    # Node by node, so that a customer's last digit does not depend on who else is in the block.
    for chance, weight in zip(np.clip((1 + nodes) / 2, 1e-300, 1.0), vectors[0] ** 2, strict=True):
        expected -= weight * np.expm1(-shape * np.log1p(chance * days / scale)) / chance
    return expected


def fit_orders(
    repeats: np.ndarray, recency: np.ndarray, age: np.ndarray, first_drop: bool = True
) -> OrderModel:
    """The parameters that make the customers' orders likeliest.

    Args:
        repeats: float64[n], order-days after the first.
        recency: float64[n], days from the first to the last.
        age: float64[n], days from the first to the anchor, at least 1.
        first_drop: see `OrderModel`.

    Raises:
        ValueError: no customers, or nobody ordered twice: then there is no rate to be found.
    """
    if not len(repeats) or not repeats.any():
        raise ValueError("Nobody ordered twice, so no rate of ordering can be learned.")
    rows, count = np.unique(np.stack([repeats, recency, age], axis=1), axis=0, return_counts=True)
    x, last, time = rows.T
    weight = count / count.sum()

    def miss(logs: np.ndarray) -> float:
        return -float(
            weight @ log_likelihood(OrderModel(*np.exp(logs), first_drop=first_drop), x, last, time)
        )

    # A customer's mean gap and an even chance of leaving in five: near enough for every shop tried.
    start = np.log([1.0, max(1.0, float(weight @ time) / float(weight @ x)), 1.0, 4.0])
    fitted = minimize(miss, start, method="L-BFGS-B", bounds=[(-LOG_BOUND, LOG_BOUND)] * 4)
    return OrderModel(*(float(value) for value in np.exp(fitted.x)), first_drop=first_drop)


def log_likelihood(
    model: OrderModel, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """float64[n]: logarithm of the likelihood of each customer's orders; arguments as in `fit_orders`."""
    r, scale = model.shape, model.scale
    chances = repeats + model.first_drop
    there = (
        gammaln(r + repeats)
        - gammaln(r)
        + r * np.log(scale)
        - (r + repeats) * np.log(scale + age)
        + betaln(model.leave, model.stay + chances)
        - betaln(model.leave, model.stay)
    )
    return there + np.logaddexp(0.0, model._log_odds_of_leaving(repeats, chances, recency, age))
