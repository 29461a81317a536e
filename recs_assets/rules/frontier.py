"""What a campaign's goal trades: purchases against revenue and margin, the more the value of a product counts.

The same selection again, at the test anchor, with the value of a product raised to one strength after the other: each is
the list that the campaign would have sent with that goal, and what was bought of it is counted in purchases, revenue and
margin per recipient. The knee is the strength that lies farthest above the straight line between both ends of the curve
(Satopää et al. 2011, "Finding a 'kneedle' in a haystack"): before it a purchase given up brings more than the whole way
does on average, after it less.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import is_stored
from recs_assets.evaluation.bootstrap import hold_at_zero
from recs_assets.rules.config import PURCHASES, Goal, Rules
from recs_assets.rules.context import Context
from recs_assets.rules.goals import find_values
from recs_assets.rules.pipeline import select
from recs_assets.rules.price_tags import Z
from recs_assets.rules.selection import Selection

# Of one sweep: 0 is the list of the most expected purchases, 1 that of the most expected value.
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
# In place of a goal: the campaign as its file says. With `_alone`: products in the order of their value, whoever may buy.
AS_SAID = "as_said"
EVERYBODY = "all"
MEASURES = ("purchases", "revenue", "margin")
# Customers who are measured, at most: evenly spaced of all.
MEASURED = 20_000


def measure_frontier(
    candidates: pd.DataFrame,
    context: Context,
    rules: Rules,
    truth: sparse.csr_matrix,
    customers: np.ndarray,
    threads: int = 1,
) -> pd.DataFrame:
    """Purchases, revenue and margin per recipient, by goal, strength and segment.

    Recipients are the customers who get a list as the campaign's file says. What a purchase brings is the list price at the
    anchor, and that less the cost: a product without one brings none. Intervals are of the difference to strength 0 of
    the same customers (95 %, normal, over customers).

    Args:
        candidates: as for `select`, made at a past anchor.
        context: of that anchor.
        rules: the campaign's.
        truth: csr[n_customers, n_products]; stored non-zeros were bought in the label window.
        customers: distinct codes to measure on.
        threads: as for `select`.

    Returns:
        goal (`AS_SAID`, revenue, revenue_alone, margin, margin_alone), strength (NaN where it is no sweep), segment
        (`EVERYBODY`, then each), recipients, and for each of `MEASURES` the mean per recipient, <name>_gained,
        <name>_low and <name>_high; knee. What the shop does not know is NaN. No rows where nobody gets a list, no product
        has a price, or candidates have no probability.
    """
    customers = customers[:: max(1, ceil(len(customers) / MEASURED))]
    said = select(candidates, context, rules, customers, threads=threads)
    who = np.unique(said.rows["customer"].to_numpy())
    goals = [name for name in ("revenue", "margin") if find_values(context, name) is not None]
    if len(who) == 0 or not goals or "p_purchase" not in candidates:
        return pd.DataFrame()
    bought = truth.astype(bool).tocsr()
    brings = {name: find_values(context, name) for name in goals}
    segments = list(_split(context, who))

    def count(selection: Selection) -> dict[str, np.ndarray]:
        return _count_hits(selection.rows, who, bought, brings)

    def change(goal: Goal, strength: float) -> dict[str, np.ndarray]:
        changed = set_goal(rules, goal, strength)
        return count(said if changed == rules else select(candidates, context, changed, who, threads=threads))

    base = change(PURCHASES, 1.0)
    lines = _tabulate(AS_SAID, np.nan, count(said), base, segments)
    blind = candidates.assign(p_purchase=np.float32(1))
    for name in goals:
        goal = Goal.model_validate(name)
        for strength in STRENGTHS:
            sums = change(goal, strength) if strength else base
            lines += _tabulate(name, strength, sums, base, segments)
        alone = select(blind, context, set_goal(rules, goal, 1.0), who, threads=threads)
        lines += _tabulate(f"{name}_alone", np.nan, count(alone), base, segments)
    table = pd.DataFrame(lines)
    table["knee"] = False
    sweeps = table[table["strength"].notna()]
    for (name, _), curve in sweeps.groupby(["goal", "segment"], sort=False):
        place = find_knee(curve["purchases"].to_numpy(), curve[name].to_numpy())
        if place is not None:
            table.loc[curve.index[place], "knee"] = True
    return table


def set_goal(rules: Rules, goal: Goal, strength: float) -> Rules:
    """The same rules with one goal for everybody, segments included."""
    change = {"goal": goal, "goal_strength": strength}

    def change_part(part: Any) -> Any:
        return part.model_copy(update={"slots": part.slots.model_copy(update=change)})

    segments = {
        name: change_part(part) if part.slots.model_fields_set & change.keys() else part
        for name, part in rules.segments.items()
    }
    return change_part(rules).model_copy(update={"segments": segments})


def find_knee(purchases: np.ndarray, value: np.ndarray) -> int | None:
    """The place on a curve that lies farthest above the straight line between its ends; None where none lies above it.

    The curve ends where the value is largest. Where the value costs no purchases that end is the knee, and where it never
    rises the beginning is.

    Args:
        purchases: float[n], from strength 0 on.
        value: float[n], of the goal.

    >>> find_knee(np.array([10.0, 9.5, 8.0, 4.0]), np.array([100.0, 118.0, 121.0, 120.0]))
    1
    >>> find_knee(np.array([10.0, 9.0, 8.0]), np.array([100.0, 99.0, 98.0])), find_knee(np.array([10.0, 10.0]), np.array([1.0, 2.0]))
    (0, 1)
    """
    end = int(np.argmax(value))  # the first of equals: the least strength
    if end == 0 or purchases[end] >= purchases[0]:
        return end
    given_up = (purchases[0] - purchases[: end + 1]) / (purchases[0] - purchases[end])
    above = (value[: end + 1] - value[0]) / (value[end] - value[0]) - given_up
    above[[0, end]] = 0.0
    knee = int(np.argmax(above))
    return knee if above[knee] > 1e-9 else None


def _split(context: Context, who: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Segment -> bool[len(who)], everybody first; segments of nobody are left out."""
    yield EVERYBODY, np.ones(len(who), dtype=bool)
    code, names = context.parting
    for number, name in enumerate(names):
        inside = code[who] == number
        if inside.any():
            yield name, inside


def _count_hits(
    rows: pd.DataFrame, who: np.ndarray, bought: sparse.csr_matrix, brings: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """For each of `MEASURES` that is known, float64[len(who)]: what was bought of each customer's list."""
    customer, product = (rows[name].to_numpy() for name in ("customer", "product"))
    hit = is_stored(bought, customer, product)
    place = np.searchsorted(who, customer[hit])
    sums = {"purchases": np.bincount(place, minlength=len(who)).astype(float)}
    for name, values in brings.items():
        sums[name] = np.bincount(place, weights=np.nan_to_num(values)[product[hit]], minlength=len(who))
    return sums


def _tabulate(
    goal: str,
    strength: float,
    sums: dict[str, np.ndarray],
    base: dict[str, np.ndarray],
    segments: list[tuple[str, np.ndarray]],
) -> list[dict[str, object]]:
    """One line per segment: means, and their differences to `base` with intervals."""
    lines = []
    for segment, inside in segments:
        line: dict[str, object] = {"goal": goal, "strength": strength, "segment": segment}
        line["recipients"] = int(inside.sum())
        for name in MEASURES:
            if name not in sums:
                line |= dict.fromkeys((name, f"{name}_gained", f"{name}_low", f"{name}_high"), np.nan)
                continue
            gain = sums[name][inside] - base[name][inside]
            error = Z * gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
            low, high = hold_at_zero(gain, gain.mean() - error, gain.mean() + error)
            line |= {
                name: sums[name][inside].mean(),
                f"{name}_gained": gain.mean(),
                f"{name}_low": float(low),
                f"{name}_high": float(high),
            }
        lines.append(line)
    return lines
