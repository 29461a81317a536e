"""Whether an experiment can find what it looks for, from the shop's own past, before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recs_assets.experiments import words
from recs_assets.experiments.file import Experiment
from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.moments import Values, add_up, measure
from recs_assets.experiments.sequential import LEVEL, find_bounds, find_drift, find_power

POWER = 0.8
COLUMNS = ("weeks", "detectable", "detectable_without_before", "power")
MOST_WEEKS = 520
# log(1 + lift): no list sells more than twice as much.
HOPELESS = math.log1p(10.0)


@dataclass(frozen=True)
class Plan:
    """What an experiment could find.

    Attributes:
        customers: of the past that it was reckoned from.
        weeks_needed: until the lift that matters is found with `POWER`; None where ten years are not enough.
        customers_needed: for the same within the weeks of the file; None where the past shows nothing.
        table: columns `COLUMNS`, a row per week that the past covers: the lift that is found with `POWER` in so many
            weeks with and without the weeks before the start, and the power for the lift that matters.
        sentence: the same in words.
    """

    customers: int
    weeks_needed: int | None
    customers_needed: int | None
    table: pd.DataFrame
    sentence: str


def plan(experiment: Experiment, past: Values) -> Plan:
    """Reckon with the primary metric of the past as if it went on.

    The smallest challenger decides. Beyond the weeks of the past, information is taken to grow with the weeks.

    Args:
        experiment: its declaration.
        past: of everybody whom the campaign reaches, of whom a layer takes its part: `amounts` of the
            newest weeks, `before` of those before them.
    """
    metric = METRICS[experiment.primary]
    customers, known = past.amounts.shape
    group = np.zeros(customers, dtype=np.int64)
    part = 1.0 if experiment.layer is None else experiment.layer.end - experiment.layer.begin
    smallest = min(experiment.shares[name] for name in experiment.challengers)
    # Variance of a difference between two arms, in customers of the shop.
    spread = (1 / smallest + 1 / experiment.shares[experiment.control]) / part
    level = LEVEL / len(experiment.challengers)
    wanted = math.log1p(experiment.detectable)
    full, plain = [], []
    for week in range(1, known + 1):
        amounts, _ = add_up(past, metric, slice(0, week))
        moments = measure(amounts, group, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = moments.covariance[0] / np.outer(moments.ratio[0], moments.ratio[0])
        taken = noise[0, 1] ** 2 / noise[1, 1] if noise[1, 1] > 0 else 0.0
        plain.append(noise[0, 0] * spread)
        full.append((noise[0, 0] - taken) * spread)
    if not np.isfinite(full).all() or min(full) <= 0:
        table = pd.DataFrame(columns=list(COLUMNS))
        return Plan(customers, None, None, table, f"The past shows no {metric.words} to reckon with.")
    errors = np.sqrt(full)
    rows = []
    for week in range(1, known + 1):
        steps = (1 / errors[:week] ** 2).tolist()
        drift = find_drift(steps, POWER, level)
        bounds = find_bounds(range(1, week + 1), steps, week, level)
        rows.append(
            (
                week,
                math.expm1(min(drift * errors[week - 1], HOPELESS)),
                math.expm1(min(drift * math.sqrt(plain[week - 1]), HOPELESS)),
                find_power(steps, bounds, wanted / errors[week - 1]),
            )
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    found = np.log1p(table["detectable"].to_numpy())
    least = math.ceil(experiment.minimum_days / 7)
    weeks = _find_weeks(found, wanted, least)
    at = min(experiment.weeks, known)
    reached = found[at - 1] * math.sqrt(at / experiment.weeks)
    needed = math.ceil(customers * part * (reached / wanted) ** 2)
    there = round(customers * part)
    return Plan(there, weeks, needed, table, _tell(experiment, there, weeks, needed, reached))


def _find_weeks(found: np.ndarray, wanted: float, least: int) -> int | None:
    enough = np.flatnonzero(found[least - 1 :] <= wanted)
    if len(enough):
        return least + int(enough[0])
    weeks = max(least, math.ceil(len(found) * (found[-1] / wanted) ** 2))
    return weeks if weeks <= MOST_WEEKS else None


def _tell(experiment: Experiment, customers: int, weeks: int | None, needed: int, reached: float) -> str:
    what = METRICS[experiment.primary].words
    lift, likely = words.percent(experiment.detectable), words.percent(POWER)
    if weeks is not None and weeks <= experiment.weeks:
        return (
            f"{customers:,} customers show a lift of {lift} in {what} within {words.weeks(weeks)}, with a probability of "
            f"{likely}."
        )
    if reached >= HOPELESS - 1e-9:
        return f"{customers:,} customers are far too few to tell any lift in {what} within {words.weeks(experiment.weeks)}."
    sentence = (
        f"Within {words.weeks(experiment.weeks)}, {customers:,} customers show a lift of "
        f"{words.percent(math.expm1(reached))} in {what}, with a probability of {likely}, and no smaller one; for {lift} "
        f"it takes {needed:,} customers"
    )
    return sentence + ("." if weeks is None else f", or {words.weeks(weeks)}.")
