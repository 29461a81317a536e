"""Ways to predict what customers will spend, from the simplest to what is learned.

| method | predicts |
|---|---|
| last_year | what they spent in the last 364 days, for as many days as asked |
| last_quarter | the same of the last 91 days |
| per_known_day | last year's spend per day since their first order, of which there are 91 at least |
| everybody | for everybody what customers spend on average |
| buy_till_you_die | expected orders (`orders.py`) times the expected amount of an order (`amounts.py`) |
| regression | a ridge Poisson regression on recency, frequency and money, learned from an earlier stretch of the shop's days |

All are times the probability that the customer is one still, which the orders are multiplied by already: what somebody
spent before they left says nothing of what they will. Nothing here is random, and a prediction is made of one customer's figures and the parameters alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from recs_assets.lifetime.amounts import AmountModel, fit_amounts
from recs_assets.lifetime.history import MONTH_DAYS, QUARTER_DAYS, YEAR_DAYS, History, sum_spend, summarise
from recs_assets.lifetime.orders import OrderModel, fit_orders

# Simplest first, last year's spend before all: what has to be beaten.
METHODS = ("last_year", "last_quarter", "per_known_day", "everybody", "buy_till_you_die", "regression")
# Of the probability of being a customer still: further down it is the model's form that speaks, and would order customers who
# are all alike.
ALIVE_DIGITS = 3
LEAST_ALIVE = 10.0**-ALIVE_DIGITS
PENALTY = 0.1
WINDOWS = (MONTH_DAYS, QUARTER_DAYS, YEAR_DAYS)
FEATURES = (
    *("since_first", "since_last", "mean_amount"),
    *(f"{what}_{days}" for days in WINDOWS for what in ("orders", "spend")),
)


@dataclass(frozen=True)
class Regression:
    """Spend per day = exp(constant + sum of weight x (feature - mean) / deviation), features as in `_list_features`.

    Attributes:
        constant, weights, means, deviations: of `FEATURES`.
        most: largest spend per day that was learned from: further up nothing is known.
    """

    constant: float
    weights: list[float]
    means: list[float]
    deviations: list[float]
    most: float

    def predict(self, history: History) -> np.ndarray:
        """float64[n]: expected spend per day."""
        logs = np.full(len(history), self.constant)
        # Column by column: a matrix product's last digit depends on who else is in the block.
        parts = zip(_list_features(history), self.weights, self.means, self.deviations, strict=True)
        for values, weight, mean, deviation in parts:
            logs += weight * (values - mean) / deviation
        return np.minimum(np.exp(logs), self.most)


@dataclass(frozen=True)
class SpendModel:
    """What was learned of the shop's customers before an anchor.

    Attributes:
        watched_days: from the shop's first order to the anchor.
        mean_daily_spend: of somebody who is a customer still.
        orders: None where nobody ordered twice.
        amounts: None where nobody paid anything.
        regression: None without days to learn from.
    """

    watched_days: int
    mean_daily_spend: float
    orders: OrderModel | None
    amounts: AmountModel | None
    regression: Regression | None

    def predict_orders(self, history: History, days: int) -> np.ndarray:
        """float64[n]: expected order-days in `days`; NaN where no model is."""
        if self.orders is None:
            return np.full(len(history), np.nan)
        return self.orders.predict(*_list_times(history), days)[0]

    def find_alive(self, history: History) -> np.ndarray:
        """float64[n]: probability of being a customer still, to `ALIVE_DIGITS`; NaN where no model is."""
        if self.orders is None:
            return np.full(len(history), np.nan)
        return self.orders.find_alive(*_list_times(history)).round(ALIVE_DIGITS)

    def predict_spend(self, method: str, history: History, days: int) -> np.ndarray | None:
        """float64[n]: expected spend in `days` from the anchor on by one of `METHODS`; None where it was not learned."""
        found = self._predict_staying(method, history, days)
        if found is None or self.orders is None or method == "buy_till_you_die":
            return found
        return found * self.find_alive(history)

    def _predict_staying(self, method: str, history: History, days: int) -> np.ndarray | None:
        """As `predict_spend`, of customers who have not left; `buy_till_you_die` has it that some did."""
        match method:
            case "last_year":
                return history[f"spend_{YEAR_DAYS}"] * days / min(YEAR_DAYS, self.watched_days)
            case "last_quarter":
                return history[f"spend_{QUARTER_DAYS}"] * days / min(QUARTER_DAYS, self.watched_days)
            case "per_known_day":
                known_days = np.clip(history["since_first"], QUARTER_DAYS, YEAR_DAYS)
                return history[f"spend_{YEAR_DAYS}"] * days / np.minimum(known_days, self.watched_days)
            case "everybody":
                return np.full(len(history), self.mean_daily_spend * days)
            case "buy_till_you_die":
                if self.orders is None or self.amounts is None:
                    return None
                orders = self.predict_orders(history, days)
                return orders * self.amounts.predict(history["paid"], _find_mean_amount(history))
            case "regression":
                return None if self.regression is None else self.regression.predict(history) * days
        raise ValueError(f"{method!r} is no method; there are {', '.join(METHODS)}.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        kinds = {"orders": OrderModel, "amounts": AmountModel, "regression": Regression}
        parts = {name: None if values[name] is None else kind(**values[name]) for name, kind in kinds.items()}
        return cls(values["watched_days"], values["mean_daily_spend"], **parts)


def learn_spend(
    orders: pd.DataFrame,
    anchor_day: int,
    days: int,
    first_drop: bool = True,
    same: SpendModel | None = None,
) -> SpendModel:
    """Everything that the methods need, of what is known before the anchor.

    Args:
        orders: customer, day, amount (`history.summarise`).
        anchor_day: days since 1970-01-01.
        days: that will be asked for; the regression learns from as many, or from half of what was watched.
        first_drop: see `OrderModel`.
        same: what was learned at the same anchor for other days: all but the regression is the same.

    Raises:
        ValueError: no order before the anchor.
    """
    if same is not None:
        days = min(days, same.watched_days // 2)
        return replace(same, regression=_learn_regression(orders, anchor_day, days, same))
    history = summarise(orders, anchor_day)
    watched = history.watched_days
    model = SpendModel(
        watched_days=watched,
        mean_daily_spend=float(history[f"spend_{YEAR_DAYS}"].mean() / min(YEAR_DAYS, watched)),
        orders=_learn_orders(history, first_drop),
        amounts=_learn_amounts(history),
        regression=None,
    )
    if model.orders is not None:
        still = max(float(model.find_alive(history).mean()), LEAST_ALIVE)
        model = replace(model, mean_daily_spend=model.mean_daily_spend / still)
    days = min(days, watched // 2)
    return replace(model, regression=_learn_regression(orders, anchor_day, days, model))


def _list_times(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order-days after the first, days from the first to the last, and to the anchor."""
    first, last = history["since_first"], history["since_last"]
    return history["orders"] - 1, first - last, first


def _learn_orders(history: History, first_drop: bool) -> OrderModel | None:
    if not (history["orders"] > 1).any():
        return None
    return fit_orders(*_list_times(history), first_drop)


def _learn_amounts(history: History) -> AmountModel | None:
    paid, mean = history["paid"], _find_mean_amount(history)
    there = (paid > 0) & (mean > 0)
    return fit_amounts(paid[there], mean[there]) if there.any() else None


def _find_mean_amount(history: History) -> np.ndarray:
    """float64[n]: of an order of an amount above 0; 0 without one."""
    return history["spend"] / np.maximum(history["paid"], 1.0)


def _list_features(history: History) -> list[np.ndarray]:
    """Of `FEATURES`, logarithms. Orders and spend are per day watched: what was learned where a shop had half a year
    is asked where it has a whole one."""
    watched = history.watched_days
    values = {
        "since_first": history["since_first"] / watched,
        "since_last": history["since_last"],
        "mean_amount": _find_mean_amount(history),
    }
    for days in WINDOWS:
        for what in ("orders", "spend"):
            values[f"{what}_{days}"] = history[f"{what}_{days}"] * YEAR_DAYS / min(days, watched)
    return [np.log1p(np.maximum(values[name], 0.0)) for name in FEATURES]


def _learn_regression(
    orders: pd.DataFrame, anchor_day: int, days: int, model: SpendModel
) -> Regression | None:
    """From who had ordered `days` before the anchor, what they spent in those days, and how probably they were customers then: a
    rate is that of a customer who is."""
    from sklearn.linear_model import PoissonRegressor

    if days < MONTH_DAYS or not (orders["day"] < anchor_day - days).any():
        return None
    before = summarise(orders, anchor_day - days)
    # Who sent back more than they bought spent nothing: a rate is not below 0.
    spend = np.maximum(sum_spend(orders, before, anchor_day - days, days), 0.0) / days
    if not (spend > 0).any():
        return None
    logs = np.stack(_list_features(before), axis=1)
    means, deviations = logs.mean(axis=0), logs.std(axis=0)
    deviations[deviations < 1e-9] = 1.0
    unit = spend.mean()
    alive = np.ones(len(before)) if model.orders is None else model.find_alive(before)
    alive = np.maximum(alive, LEAST_ALIVE)
    fitted = PoissonRegressor(alpha=PENALTY, max_iter=1000, tol=1e-8)
    fitted.fit((logs - means) / deviations, spend / unit / alive, sample_weight=alive)
    return Regression(
        constant=float(fitted.intercept_ + np.log(unit)),
        weights=fitted.coef_.tolist(),
        means=means.tolist(),
        deviations=deviations.tolist(),
        most=float(spend.max()),
    )
