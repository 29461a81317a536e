"""Figures beside those of earlier weeks: a verdict and a sentence each, and one verdict over all.

Nothing is an alert that chance explains: where the interval of a change is known, the whole of it has to lie beyond the limit.
Changes of groups are drawn towards each other first (`experiments.segments`), so that the unluckiest small group is not announced.
What has too little history, or rests upon too few, is unknown and never ok.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.experiments.segments import shrink
from recs_assets.monitoring.figures import ALL, AREAS, METRICS, Figure, Metric
from recs_assets.monitoring.limits import Limits

# Two-sided 95 % of a normal distribution.
Z95 = 1.96
OK, WATCH, ALERT, UNKNOWN = "ok", "watch", "alert", "unknown"
NOTHING, LOOK, RETRAIN, SEARCH = "nothing to do", "look at the data", "retrain now", "search settings"
# What an alert of an area asks for; wrong data come first, because they explain the rest.
ADVICE = {"data": LOOK, "model": RETRAIN, "lists": SEARCH, "people": SEARCH}
OVERALL = "verdict"
# Areas of which something has to be known before all is well; many a shop reports no events of people.
ALWAYS = {"data", "model", "lists"}
COLUMNS = (
    "as_of", "area", "metric", "subject", "value", "counted", "reference", "reference_weeks", "change_low", "change_high",
    "direction", "limit_low", "limit_high", "verdict", "advice", "sentence",
)  # fmt: skip


@dataclass(frozen=True)
class _Change:
    """A figure against its reference: reference, weeks behind it, error of the change (nan unknown)."""

    reference: float | None
    weeks: int
    error: float


def judge(figures: Sequence[Figure], history: pd.DataFrame, limits: Limits, as_of: date) -> pd.DataFrame:
    """The rows of `recs.monitor`, the verdict over all first, then by area, metric and subject.

    Args:
        figures: of the week.
        history: rows of earlier published weeks: as_of, metric, subject, value, counted.
        limits: of the monitor.
        as_of: the week.
    """
    earlier = _group_history(history, limits.history.weeks)
    changes = [_find_change(figure, earlier.get((figure.metric, figure.subject))) for figure in figures]
    shrunk = _shrink_groups(figures, changes)
    rows = [
        _judge_figure(figure, change, shift, limits)
        for figure, change, shift in zip(figures, changes, shrunk, strict=True)
    ]
    order = sorted(
        rows, key=lambda row: (AREAS.index(row["area"]), list(METRICS).index(row["metric"]), row["subject"])
    )
    table = pd.DataFrame([judge_overall(order), *order]).assign(as_of=as_of)
    return table[list(COLUMNS)].astype(
        dict.fromkeys(("value", "reference", "change_low", "change_high", "limit_low", "limit_high"), float)
        | {"counted": "Int64", "reference_weeks": "Int64"}
    )


def _group_history(history: pd.DataFrame, weeks: int) -> dict[tuple[str, str], pd.DataFrame]:
    """The newest weeks with a value, by metric and subject."""
    there = history[history["value"].notna()].sort_values("as_of")
    return {key: part.tail(weeks) for key, part in there.groupby(["metric", "subject"], sort=False)}


def _find_change(figure: Figure, earlier: pd.DataFrame | None) -> _Change:
    if figure.weeks is not None:
        error = math.nan if figure.error is None else figure.error
        return _Change(figure.reference, figure.weeks, error)
    if earlier is None:
        return _Change(None, 0, math.nan)
    values, counts = earlier["value"].to_numpy(float), earlier["counted"].to_numpy(float)
    weeks, total = len(values), counts.sum()
    if METRICS[figure.metric].parts and figure.count and total > 0:
        reference = float(values @ counts / total)
        # As if one had been seen more and one less: no error where none was seen is an error of nought.
        pooled = (figure.count * (figure.value or 0) + values @ counts + 1) / (figure.count + total + 2)
        return _Change(reference, weeks, math.sqrt(pooled * (1 - pooled) * (1 / figure.count + 1 / total)))
    error = math.nan if figure.error is None else figure.error * math.sqrt(1 + 1 / weeks)
    return _Change(float(np.median(values)), weeks, error)


def _shrink_groups(figures: Sequence[Figure], changes: Sequence[_Change]) -> list[tuple[float, float] | None]:
    """Change and error of every figure of a group, drawn towards those of its metric and kind; None of the others."""
    shrunk: list[tuple[float, float] | None] = [None] * len(figures)
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (figure, change) in enumerate(zip(figures, changes, strict=True)):
        if figure.kind is not None and figure.value is not None and change.reference is not None:
            groups.setdefault((figure.metric, figure.kind), []).append(place)
    for places in groups.values():
        difference = np.array([figures[place].value - changes[place].reference for place in places])
        drawn = shrink(difference, np.array([changes[place].error for place in places]))
        for place, change, error in zip(places, drawn.estimate, drawn.error, strict=True):
            if math.isfinite(change):
                shrunk[place] = float(change), float(error)
    return shrunk


def _judge_figure(
    figure: Figure, change: _Change, shrunk: tuple[float, float] | None, limits: Limits
) -> dict:
    metric, limit = METRICS[figure.metric], limits.metrics[figure.metric]
    row = {
        "area": metric.area, "metric": figure.metric, "subject": figure.subject, "value": figure.value,
        "counted": figure.count, "reference": change.reference, "reference_weeks": change.weeks, "direction": limit.worse,
        "change_low": None, "change_high": None, "limit_low": None, "limit_high": None, "advice": NOTHING,
    }  # fmt: skip
    text = metric.text.format(
        subject=figure.subject,
        value="-" if figure.value is None else metric.format(_round(figure.value)),
    )
    note = f" {figure.note}" if figure.note else ""
    needs = 0 if figure.reference is not None or figure.weeks else limits.history.least
    few = figure.count is not None and figure.count < limit.min_count
    if figure.value is None:
        why = (
            "no earlier week is published to compare with"
            if change.weeks == 0
            else "there was nothing to measure"
        )
        return row | {"verdict": UNKNOWN, "sentence": f"{_name(figure)}: {why}.{note}"}
    measure = change.reference if change.reference is not None else math.nan
    low = high = None
    if limit.by == "value" or change.reference is not None:
        low, high = limit.find_range(measure, limit.watch)
        row |= {"limit_low": low, "limit_high": None if high is None else max(high, figure.chance)}
    value, error = figure.value, change.error
    if shrunk is not None:
        value, error = measure + shrunk[0], shrunk[1]
    if change.reference is not None and math.isfinite(error):
        row |= {"change_low": value - Z95 * error - measure, "change_high": value + Z95 * error - measure}
        between = f", where the change is {_format_value(metric, row['change_low'])} to {_format_value(metric, row['change_high'])}"
        between += " beside the other groups" if shrunk is not None else ""
    else:
        between = ""
    if limit.by != "value" and change.weeks < needs:
        there = f"to compare, {needs} earlier published weeks are needed and {change.weeks or 'none'} {'is' if change.weeks < 2 else 'are'} there"
        return row | {"verdict": UNKNOWN, "sentence": f"{text}; {there}.{note}"}
    if few:
        return row | {"verdict": UNKNOWN, "sentence": f"{text}; {figure.count} are too few to judge by ({limit.min_count}).{note}"}  # fmt: skip
    against = ""
    if change.reference is not None:
        against = f", against {metric.format(_round(change.reference))}"
        if figure.reference is None:
            against += (
                f" in the {change.weeks} published weeks before"
                if change.weeks > 1
                else " in the week before"
            )
    verdict = OK
    for name, step in ((WATCH, limit.watch), (ALERT, limit.alert)):
        if _is_beyond(value, error, figure.chance, *limit.find_range(measure, step)):
            verdict = name
    ends = [f"{word} {metric.format(_round(end))}" for word, end in (("below", low), ("above", row["limit_high"])) if end is not None]  # fmt: skip
    watched = f" (watched {' and '.join(ends)})" if ends and limit.watch else ""
    advice = ADVICE[metric.area] if verdict == ALERT else NOTHING
    return row | {
        "verdict": verdict,
        "advice": advice,
        "sentence": f"{text}{against}{between}{watched}.{note}",
    }


def _is_beyond(value: float, error: float, chance: float, low: float | None, high: float | None) -> bool:
    """Whether a value lies beyond a limit for sure."""
    doubt = Z95 * error if math.isfinite(error) else 0.0
    return (high is not None and value - doubt > max(high, chance)) or (
        low is not None and value + doubt < low
    )


def _round(value: float) -> float:
    """Three digits of what is small."""
    return float(f"{value:.3g}") if abs(value) < 1_000 else round(value)


def _format_value(metric: Metric, value: float) -> str:
    return f"{'+' if value > 0 else ''}{metric.format(_round(value))}"


def _name(figure: Figure) -> str:
    return f"{figure.metric} of {figure.subject}" if figure.subject != ALL else figure.metric


def judge_overall(rows: Sequence[dict]) -> dict:
    """The verdict of the week, with the row that says why: of alerts, those of the data first."""
    verdicts = [row["verdict"] for row in rows]
    known = {row["area"] for row in rows if row["verdict"] != UNKNOWN}
    worst = next((verdict for verdict in (ALERT, WATCH) if verdict in verdicts), None)
    if worst is None:
        worst = OK if known >= ALWAYS else UNKNOWN
    first = next((row for row in rows if row["verdict"] == worst), None)
    alerts, watched, unknown = (verdicts.count(verdict) for verdict in (ALERT, WATCH, UNKNOWN))
    advice = NOTHING if first is None else first["advice"]
    counts = f"{alerts} alert{'' if alerts == 1 else 's'}, {watched} to watch, {unknown} unknown, of {len(rows)} figures"
    if worst == UNKNOWN:
        missing = ", ".join(area for area in AREAS if area in ALWAYS - known)
        sentence = f"Too early to say that all is well: {counts}; nothing can be compared yet of {missing}."
    elif worst == OK:
        sentence = f"Nothing to do: {counts}."
    else:
        sentence = f"{advice[:1].upper()}{advice[1:]}: {counts}. The first is {first['metric']} of {first['subject']}: {first['sentence']}"  # fmt: skip
    return {
        "area": ALL, "metric": OVERALL, "subject": ALL, "value": float(alerts), "counted": len(rows), "reference": None,
        "reference_weeks": None, "change_low": None, "change_high": None, "direction": "up", "limit_low": None,
        "limit_high": None, "verdict": worst, "advice": advice, "sentence": sentence,
    }  # fmt: skip
