"""What probabilities are multiplied by: what a purchase of a product is worth to the shop's goal, and boosts.

A list with the largest sum of `p * value` has the largest expected value of all that the rules allow: at strength 1 a
goal of margin is the expected margin. A strength between 0 and 1 lies between the two goals, on a path from the list of
the most expected purchases to that of the most expected value; above 1 the value counts for more than it is. Weights
of several goals are the linear form of the same trade (a weighted sum of expectations), after each is divided by what a
product of the shop has in the middle, so that money and purchases can be added.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recs_assets.rules.config import Goal, Slots
from recs_assets.rules.context import Context

# Of the shop's median. Nothing is multiplied by zero or less: what brings nothing to any part of the goal, or nothing that is
# known, stays in the order of its probability.
SMALLEST_VALUE = 0.01


def find_values(context: Context, goal: str) -> np.ndarray | None:
    """float64[n_products], what one purchase brings: 1, the price, or the price less the cost, in the shop's currency, NaN
    unknown; None where no product of the shop has it."""
    if goal == "purchase":
        return np.ones(context.known.n_products)
    if goal == "margin" and context.cost is None:
        return None
    values = context.price if goal == "revenue" else context.price - context.cost
    return values if np.isfinite(values).any() else None


def find_scales(context: Context, goal: Goal) -> dict[str, float]:
    """Goal -> the median value of the shop's products, among those with a positive one; goals of which the shop knows
    nothing are left out."""
    scales = {}
    for name in goal.weights:
        values = find_values(context, name)
        if values is not None and (positive := values[values > 0]).size:
            scales[name] = float(np.median(positive))
    return scales


def weigh_products(
    context: Context, slots: Slots, scales: Mapping[str, float] | None = None
) -> np.ndarray | None:
    """float64[n_products]: value ** strength of every product; None where all are alike.

    Args:
        context: has prices and costs.
        slots: have the goal.
        scales: of the whole shop (`find_scales`), where the context is of some of its products.
    """
    goal, strength = slots.goal, slots.goal_strength
    scales = find_scales(context, goal) if scales is None else scales
    if strength == 0 or not set(scales) - {"purchase"}:
        return None
    value = np.zeros(context.known.n_products)
    for name, scale in scales.items():
        values = find_values(context, name)
        if values is not None:
            value += goal.weights[name] / sum(goal.weights.values()) * np.nan_to_num(values) / scale
    return np.maximum(value, SMALLEST_VALUE) ** strength


def find_factors(context: Context, slots: Slots) -> np.ndarray | None:
    """float64[n_products]: the product of the factors of every boost; None where all are 1."""
    factors = np.ones(context.known.n_products)
    for boost in slots.boosts:
        factors[context.find_group(*boost.group)] *= boost.factor
    return None if (factors == 1).all() else factors
