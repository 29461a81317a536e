"""What the arms of an experiment did up to a week, as frames: results, weeks, fading, segments.

Customers count in the arm that they were assigned to, whether anything reached them or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from recs_assets.delivery import HOLDOUT
from recs_assets.experiments.file import Experiment
from recs_assets.experiments.metrics import METRICS, Metric
from recs_assets.experiments.moments import Comparison, Moments, Values, add_up, compare, measure
from recs_assets.experiments.segments import shrink
from recs_assets.experiments.sequential import LEVEL, find_bounds, step_down

# Standard errors of a 95 % interval that is read once.
ONCE = float(-ndtri(LEVEL / 2))
Row = dict[str, Any]
UNKNOWN = "unknown"  # the segment of customers of whom it is not known

_HEAD = ("experiment", "week", "metric", "arm", "control")
_LIFT = ("lift", "lift_low", "lift_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")
RESULTS = (
    *_HEAD,
    *("role", "n", "n_control", "mean", "mean_control", *_LIFT),
    *(*_DIFFERENCE, "bound", "cap", "narrowed", "proven"),
)
WEEKS = (*_HEAD, "of_week", *_LIFT)
FADING = (*_HEAD, "early", "late", "change", "change_low", "change_high")
SEGMENTS = (*_HEAD, "segment", "value", "n", "n_control", "lift_alone", *_LIFT, "differs")


@dataclass(frozen=True)
class Analysis:
    """Frames of one experiment at one week.

    Attributes:
        results: a row per week so far, metric and pair of arms, columns `RESULTS`: from the start to the end of that
            week, with intervals that hold in all weeks together. `proven` is better, worse or null; a guardrail is
            worse only by more than it may be.
        weeks: a row per metric, pair and week since the start, columns `WEEKS`: what each week did alone, with an
            interval that is read once.
        fading: a row per metric and pair, columns `FADING`: lift of the first half of the weeks, of the second, and
            how far (1 + late) / (1 + early) is from 1.
        segments: a row per pair and segment, columns `SEGMENTS`, of the primary metric: `lift_alone` is the
            segment's own, `lift` drawn towards the others.
    """

    results: pd.DataFrame
    weeks: pd.DataFrame
    fading: pd.DataFrame
    segments: pd.DataFrame


def analyse(
    experiment: Experiment,
    week: int,
    arm: np.ndarray,
    read: Callable[[str], Values],
    *,
    joined: np.ndarray | None = None,
    segments: Mapping[str, np.ndarray] | None = None,
    others: Iterable[str] = (),
) -> Analysis:
    """Compare the arms, metric by metric, so that one metric's values are in memory at a time.

    Args:
        experiment: its declaration.
        week: weeks since the start that are over, from 1; beyond the last planned one, that one counts.
        arm: str[n], of every customer.
        read: metric -> values of the same customers, of `week` weeks or more.
        joined: int[n], the week of the experiment in which a customer was assigned, from 1; None: the first.
        segments: name -> str[n].
        others: metrics to show beside the primary one and the guardrails.

    Raises:
        ValueError: no week is over, or an arm that the experiment does not have.
    """
    week = min(week, experiment.weeks)
    if week < 1:
        raise ValueError("No week of the experiment is over.")
    arms = list(experiment.arms)
    code = pd.Index(arms).get_indexer(pd.Index(arm)).astype(np.int64)
    if (code < 0).any():
        raise ValueError(f"The experiment has no arm {arm[int(np.argmax(code < 0))]}.")
    order = np.argsort(code, kind="stable")
    since = np.ones(len(code), dtype=np.int64) if joined is None else np.asarray(joined)
    crowd = _Crowd(code[order], since[order], len(arms), week)
    measured, parts = {}, {}
    for name in dict.fromkeys([experiment.primary, *experiment.guardrails, *others]):
        metric, values = METRICS[name], read(name).take(order)
        measured[name] = crowd.measure(values, metric)
        if name == experiment.primary:
            parts = {
                segment: crowd.split(values, metric, np.asarray(of_customer)[order])
                for segment, of_customer in (segments or {}).items()
            }
    pairs = [_Pair(experiment, week, *pair, measured) for pair in list_pairs(experiment)]

    def gather(columns: tuple[str, ...], list_rows: Callable[[_Pair], Iterable[Row]]) -> pd.DataFrame:
        return pd.DataFrame([row for pair in pairs for row in list_rows(pair)], columns=list(columns))

    return Analysis(
        gather(RESULTS, _Pair.list_results).astype({"proven": "str"}),
        gather(WEEKS, _Pair.list_weeks),
        gather(FADING, _Pair.list_fading),
        gather(SEGMENTS, lambda pair: pair.list_segments(parts)),
    )


def list_pairs(experiment: Experiment) -> list[tuple[str, str]]:
    """Every challenger beside the control, and every arm that sends beside the holdout."""
    pairs = [(name, experiment.control) for name in experiment.challengers]
    if HOLDOUT in experiment.arms:
        pairs += [(name, HOLDOUT) for name in experiment.arms if name != HOLDOUT]
    return list(dict.fromkeys(pairs))


@dataclass(frozen=True)
class _Measured:
    """One metric of all arms.

    Attributes:
        metric: its definition.
        looks: groups look * arms + arm: from the start to every week.
        alone: groups week * arms + arm: every week alone.
        halves: by arm, the later half of the weeks, and the earlier in the place of those before the start; None in
            the first week.
        caps: of every look.
    """

    metric: Metric
    looks: Moments
    alone: Moments
    halves: Moments | None
    caps: list[float | None]


@dataclass(frozen=True)
class _Crowd:
    """Customers by arm, sorted by it, and by the week in which they came."""

    code: np.ndarray
    joined: np.ndarray
    arms: int
    week: int

    def measure(self, values: Values, metric: Metric) -> _Measured:
        looks, alone, caps = [], [], []
        for week in range(1, self.week + 1):
            rows, cap = add_up(values, metric, slice(0, week))
            looks.append(self._measure(rows, week))
            caps.append(cap)
            alone.append(self._measure(add_up(values, metric, slice(week - 1, week))[0], week))
        halves = None
        if half := self.week // 2:
            early, _ = add_up(values, metric, slice(0, half))
            late, _ = add_up(values, metric, slice(half, self.week))
            halves = self._measure(np.vstack([late[:2], early[:2]]), self.week)
        return _Measured(metric, _join(looks), _join(alone), halves, caps)

    def split(self, values: Values, metric: Metric, of_customer: np.ndarray) -> tuple[Moments, list[str]]:
        """Groups arm * segments + segment, and the segments in the order of their names."""
        there = self.joined <= self.week
        known = pd.Series(of_customer).astype(object).fillna(UNKNOWN).astype(str)
        code, names = pd.factorize(known, sort=True)
        rows, _ = add_up(values, metric, slice(0, self.week))
        group = self.code * len(names) + code
        return measure(rows[:, there], group[there], self.arms * len(names)), list(names)

    def _measure(self, rows: np.ndarray, week: int) -> Moments:
        there = self.joined <= week
        if there.all():
            return measure(rows, self.code, self.arms)
        return measure(rows[:, there], self.code[there], self.arms)


class _Pair:
    """One arm beside another, metric by metric, as rows of the frames."""

    def __init__(
        self, experiment: Experiment, week: int, arm: str, control: str, measured: Mapping[str, _Measured]
    ) -> None:
        arms = list(experiment.arms)
        self._experiment, self._week, self._names, self._measured = experiment, week, (arm, control), measured
        self._ours, self._theirs = arms.index(arm), arms.index(control)
        at = np.arange(week) * len(arms)
        self._pairs = at + self._ours, at + self._theirs
        self._tracks = {name: _Track(of, *self._pairs, experiment.weeks) for name, of in measured.items()}
        # Challengers share the error of the decision among them.
        self._decides = control == experiment.control
        self._level = LEVEL / len(experiment.challengers) if self._decides else LEVEL

    def list_results(self) -> Iterator[Row]:
        primary, guardrails = self._experiment.primary, self._experiment.guardrails
        for look in range(self._week):
            worse = self._find_worse(look)
            for name, track in self._tracks.items():
                proven = "worse" if name in worse else None
                if name == primary:
                    proven = track.find_proof(look, self._level)
                yield {
                    **self._head(name),
                    "week": look + 1,
                    "role": "primary" if name == primary else "guardrail" if name in guardrails else "other",
                    **track.describe(look, self._find_level(name)),
                    "proven": proven,
                }

    def list_weeks(self) -> Iterator[Row]:
        for name, of in self._measured.items():
            found = compare(of.alone, *self._pairs).find_interval(ONCE)
            for place, lift in enumerate(_list_lifts(found), 1):
                yield {**self._head(name), "of_week": place, **lift}

    def list_fading(self) -> Iterator[Row]:
        ours, theirs = np.array([self._ours]), np.array([self._theirs])
        for name, of in self._measured.items():
            if (late := of.halves) is None:
                continue
            early = Moments(late.n, late.active, late.ratio[:, ::-1], late.covariance[:, ::-1, ::-1])
            bound = self._tracks[name].find_bound(-1, self._find_level(name))
            change = compare(late, ours, theirs, slope=1.0).find_interval(bound)
            yield {
                **self._head(name),
                "early": float(compare(early, ours, theirs, slope=0.0).find_interval(0.0)[0][0]),
                "late": float(compare(late, ours, theirs, slope=0.0).find_interval(0.0)[0][0]),
                **dict(
                    zip(
                        ("change", "change_low", "change_high"),
                        (float(end[0]) for end in change),
                        strict=True,
                    )
                ),
            }

    def list_segments(self, parts: Mapping[str, tuple[Moments, list[str]]]) -> Iterator[Row]:
        if not self._decides:
            return
        primary = self._experiment.primary
        bound = self._tracks[primary].find_bound(-1, self._level)
        for segment, (moments, names) in parts.items():
            place = np.arange(len(names))
            ours, theirs = self._ours * len(names) + place, self._theirs * len(names) + place
            alone = compare(moments, ours, theirs)
            drawn = shrink(alone.estimate, alone.error)
            found = Comparison(drawn.estimate, drawn.error, alone.narrowed, True)
            differs = np.abs(drawn.estimate - drawn.centre) > bound * drawn.error
            for i, lift in enumerate(_list_lifts(found.find_interval(bound))):
                yield {
                    **self._head(primary),
                    "segment": segment,
                    "value": names[i],
                    "n": int(moments.n[ours[i]]),
                    "n_control": int(moments.n[theirs[i]]),
                    "lift_alone": float(np.expm1(alone.estimate[i])),
                    **lift,
                    "differs": bool(differs[i]),
                }

    def _head(self, name: str) -> Row:
        return dict(zip(_HEAD, (self._experiment.name, self._week, name, *self._names), strict=True))

    def _find_level(self, name: str) -> float:
        return self._level if name == self._experiment.primary else LEVEL

    def _find_worse(self, look: int) -> set[str]:
        """Guardrails that got worse by more than they may, Holm's way."""
        if not self._decides:
            return set()
        allowed = self._experiment.guardrails
        return step_down(
            list(allowed),
            lambda name, level: self._tracks[name].is_worse(look, level, allowed[name]),
            self._level,
        )


class _Track:
    """One metric of one pair of arms at every look."""

    def __init__(self, measured: _Measured, ours: np.ndarray, theirs: np.ndarray, planned: int) -> None:
        looks = measured.looks
        self._planned, self._caps = planned, measured.caps
        self._sign = -1.0 if measured.metric.less_is_better else 1.0
        self._lift = compare(looks, ours, theirs)
        self._difference = compare(looks, ours, theirs, in_logs=False)
        self._n = looks.n[ours].astype(int), looks.n[theirs].astype(int)
        self._mean = looks.ratio[ours, 0], looks.ratio[theirs, 0]

    def find_bound(self, look: int, level: float) -> float:
        """Standard errors on either side at a look, -1 being the last; nan where it shows nothing."""
        error = self._find_shown(look).error
        seen = np.flatnonzero(np.isfinite(error))
        place = np.searchsorted(seen, look % len(error))
        if not np.isfinite(error[look]):
            return np.nan
        weeks = [int(week) + 1 for week in seen]
        # The bound of a look does not depend on those after it.
        return float(find_bounds(weeks, (1 / error[seen] ** 2).tolist(), self._planned, level)[place])

    def find_proof(self, look: int, level: float) -> str | None:
        """Whether the interval is on one side of no effect."""
        shown = self._find_shown(look)
        estimate, margin = self._sign * shown.estimate[look], self.find_bound(look, level) * shown.error[look]
        if estimate - margin > 0:
            return "better"
        return "worse" if estimate + margin < 0 else None

    def is_worse(self, look: int, level: float, allowed: float) -> bool:
        """Whether the interval lies beyond a change for the worse that is allowed, a share of the control's mean."""
        shown, change = self._find_shown(look), -self._sign * allowed
        limit = np.log1p(change) if shown.in_logs else change * abs(self._mean[1][look])
        margin = self.find_bound(look, level) * shown.error[look]
        return bool(self._sign * (shown.estimate[look] - limit) + margin < 0)

    def describe(self, look: int, level: float) -> Row:
        bound, cap = self.find_bound(look, level), self._caps[look]
        lift = (float(end[look]) for end in self._lift.find_interval(bound))
        difference = (float(end[look]) for end in self._difference.find_interval(bound))
        return {
            "n": int(self._n[0][look]),
            "n_control": int(self._n[1][look]),
            "mean": _keep_finite(self._mean[0][look]),
            "mean_control": _keep_finite(self._mean[1][look]),
            **dict(zip(_LIFT, lift, strict=True)),
            **dict(zip(_DIFFERENCE, difference, strict=True)),
            "bound": bound,
            "cap": cap if cap is not None and np.isfinite(cap) else np.nan,
            "narrowed": float(self._find_shown(look).narrowed[look]),
        }

    def _find_shown(self, look: int) -> Comparison:
        """What decides: the lift, or the difference where there is no lift."""
        return self._lift if np.isfinite(self._lift.estimate[look]) else self._difference


def _keep_finite(value: float) -> float:
    """A ratio of something to nothing is unknown."""
    return float(value) if np.isfinite(value) else np.nan


def _list_lifts(interval: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[dict[str, float]]:
    return [dict(zip(_LIFT, map(float, ends), strict=True)) for ends in zip(*interval, strict=True)]


def _join(each: list[Moments]) -> Moments:
    return Moments(*(np.concatenate([getattr(one, field.name) for one in each]) for field in fields(Moments)))
