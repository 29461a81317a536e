"""What an experiment says so far, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from recs_assets.experiments import words
from recs_assets.experiments.analysis import Analysis
from recs_assets.experiments.file import MINIMUM_DAYS, Experiment
from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.sample_ratio import SampleRatio

INVALID, HARM, TOO_EARLY, BETTER, NO_DIFFERENCE = "invalid", "harm", "too early", "better", "no difference"


@dataclass(frozen=True)
class Verdict:
    """Of one arm beside the control.

    Attributes:
        arm: its name.
        kind: one of the five words.
        sentence: what it means, with the figures.
        more_weeks: how many a verdict needs; None where there is one.
    """

    arm: str
    kind: str
    sentence: str
    more_weeks: int | None = None


def judge(experiment: Experiment, analysis: Analysis, ratio: SampleRatio) -> list[Verdict]:
    """One verdict per challenger, in the order of the file.

    Args:
        experiment: its declaration.
        analysis: of its newest week.
        ratio: of the same week.
    """
    results = analysis.results
    results = results[(results["control"] == experiment.control) & (results["week"] == results["week"].max())]
    fading = analysis.fading[
        (analysis.fading["control"] == experiment.control) & (analysis.fading["metric"] == experiment.primary)
    ]
    verdicts = []
    for arm in experiment.challengers:
        if ratio.problem is not None:
            found = refuse(arm, ratio.problem)
        else:
            of_arm = {row["metric"]: row for row in results[results["arm"] == arm].to_dict("records")}
            found = _judge_arm(experiment, arm, of_arm)
            found = _add(found, _tell_fading(fading[fading["arm"] == arm]))
        if experiment.minimum_days < MINIMUM_DAYS:
            found = _add(
                found,
                f"It may end after {experiment.minimum_days} days because: {experiment.minimum_reason}.",
            )
        verdicts.append(found)
    return verdicts


def refuse(arm: str, problem: str) -> Verdict:
    """The verdict on an arm of an experiment that is invalid."""
    sentence = f"Invalid: {problem}. Find out why; until then no figure of this experiment counts."
    return Verdict(arm, INVALID, sentence)


def _judge_arm(experiment: Experiment, arm: str, of_arm: dict[str, dict[str, Any]]) -> Verdict:
    primary = of_arm[experiment.primary]
    week = primary["week"]
    harms = [_tell_side(row) for row in of_arm.values() if row["proven"] == "worse"]
    if harms:
        return Verdict(arm, HARM, f"Harm, stop: {'; '.join(harms)}.")
    early = 7 * week < experiment.minimum_days
    if not early and primary["proven"] == "better":
        return Verdict(arm, BETTER, f"Better: {_tell_side(primary)}{_tell_cap(primary)}.")
    low, high = _find_ends(primary)
    if math.isnan(low):
        more = experiment.weeks - week
        rest = f"needs up to {words.weeks(more)}" if more else "plan it anew with more customers"
        return Verdict(arm, TOO_EARLY, f"Too early: too few customers did anything; {rest}.", more)
    widest = max(abs(low), abs(high))
    done = week >= experiment.weeks
    if done or (not early and _has_lift(primary) and widest <= experiment.detectable):
        return Verdict(
            arm,
            NO_DIFFERENCE,
            f"No difference larger than {_show(primary, widest)}: {METRICS[experiment.primary].words} changes by {_show(primary, low)} to "
            f"{_show(primary, high)}{_tell_cap(primary)}.",
        )
    return _wait(experiment, arm, primary)


def _wait(experiment: Experiment, arm: str, primary: dict[str, Any]) -> Verdict:
    """How many weeks until the interval is as narrow as the lift that matters; information grows with the weeks."""
    week = primary["week"]
    least = math.ceil(experiment.minimum_days / 7)
    half = math.inf
    if _has_lift(primary):
        half = math.log1p(primary["lift_high"]) - math.log1p(primary["lift"])
    wanted = math.log1p(experiment.detectable)
    needed = week * (half / wanted) ** 2
    at = max(week + 1, least, min(experiment.weeks, math.ceil(needed) if math.isfinite(needed) else week))
    at = min(at, experiment.weeks)
    sentence = f"Too early: needs {words.weeks(at - week)}."
    if math.isfinite(needed) and needed > experiment.weeks:
        then = math.expm1(half * math.sqrt(week / experiment.weeks))
        sentence += (
            f" Even then it tells a lift from none only above {words.percent(then)}, and "
            f"{words.percent(experiment.detectable)} would matter: more customers are needed."
        )
    return Verdict(arm, TOO_EARLY, sentence, at - week)


def _tell_side(row: dict[str, Any]) -> str:
    """An interval on one side of 0, as in "orders per customer is higher by 2.0 % to 4.0 %"."""
    low, high = _find_ends(row)
    side = "higher" if low > 0 else "lower"
    near, far = sorted((abs(low), abs(high)))
    return f"{METRICS[row['metric']].words} is {side} by {_show(row, near)} to {_show(row, far)}"


def _tell_cap(row: dict[str, Any]) -> str:
    if not math.isfinite(row["cap"]):
        return ""
    return f" (no customer counts with more than {row['cap']:,.2f})"


def _tell_fading(rows: pd.DataFrame) -> str:
    for row in rows.to_dict("records"):
        half = row["week"] // 2
        moves = "fades" if row["change_high"] < 0 else "grows" if row["change_low"] > 0 else None
        if moves:
            return (
                f"The effect {moves}: {words.percent(row['early'])} in the first {words.weeks(half)}, "
                f"{words.percent(row['late'])} after."
            )
    return ""


def _find_ends(row: dict[str, Any]) -> tuple[float, float]:
    name = "lift" if _has_lift(row) else "difference"
    return row[f"{name}_low"], row[f"{name}_high"]


def _has_lift(row: dict[str, Any]) -> bool:
    return math.isfinite(row["lift"])


def _show(row: dict[str, Any], value: float) -> str:
    return words.percent(value) if _has_lift(row) else f"{value:,.4g}"


def _add(verdict: Verdict, sentence: str) -> Verdict:
    text = f"{verdict.sentence} {sentence}".strip()
    return Verdict(verdict.arm, verdict.kind, text, verdict.more_weeks)
