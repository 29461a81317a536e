"""What customers spend per order, in the long run.

**The model.** An order's amount lies around the customer's mean with a Gamma distribution of one shape for all
customers, and the customers' means lie around the shop's so that their scale is Gamma-distributed, too (Fader and
Hardie, The Gamma-Gamma Model of Monetary Value, 2013). The expectation is the customer's own mean, drawn to the
shop's the more, the fewer their orders. It takes amounts and number of orders to be unrelated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

LOG_BOUND = 12.0


@dataclass(frozen=True)
class AmountModel:
    """The shop's parameters.

    Attributes:
        shape: p, of an order's amount.
        spread: q, of the customers' scales; above 1, or the mean amount has no mean.
        scale: gamma, in the shop's currency.
    """

    shape: float
    spread: float
    scale: float

    def predict(self, orders: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """float64[n]: expected amount of an order.

        Args:
            orders: float64[n], orders of an amount above 0.
            mean: float64[n], their mean amount; any value where there are none.
        """
        amount = np.where(orders > 0, orders * mean, 0.0)
        return self.shape * (self.scale + amount) / (self.shape * orders + self.spread - 1)


def fit_amounts(orders: np.ndarray, mean: np.ndarray) -> AmountModel:
    """The parameters that make the customers' mean amounts likeliest.

    Args:
        orders: float64[n], at least 1.
        mean: float64[n], above 0.

    Raises:
        ValueError: no customers, or an amount that is not above 0.
    """
    if not len(orders) or not (mean > 0).all():
        raise ValueError("Amounts to learn from must be above 0, and there must be some.")
    rows, count = np.unique(np.stack([orders, mean], axis=1), axis=0, return_counts=True)
    n, value = rows.T
    weight = count / count.sum()
    unit = float(weight @ value)  # so that the start fits a shop of yen and one of euros

    def miss(logs: np.ndarray) -> float:
        model = AmountModel(np.exp(logs[0]), 1 + np.exp(logs[1]), np.exp(logs[2]))
        return -float(weight @ log_likelihood(model, n, value / unit))

    fitted = minimize(miss, np.log([2.0, 2.0, 1.0]), method="L-BFGS-B", bounds=[(-LOG_BOUND, LOG_BOUND)] * 3)
    shape, above, scale = np.exp(fitted.x)
    return AmountModel(float(shape), float(1 + above), float(scale * unit))


def log_likelihood(model: AmountModel, orders: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """float64[n]: logarithm of the density of each customer's mean amount; arguments as in `fit_amounts`."""
    all_shapes, q = model.shape * orders, model.spread
    return (
        gammaln(all_shapes + q)
        - gammaln(all_shapes)
        - gammaln(q)
        + q * np.log(model.scale)
        + (all_shapes - 1) * np.log(mean)
        + all_shapes * np.log(orders)
        - (all_shapes + q) * np.log(model.scale + orders * mean)
    )
