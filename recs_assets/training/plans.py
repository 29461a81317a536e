"""Which anchors serve a query, and the query with windows that fit them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from recs_assets.queries.compiler import find_horizon
from recs_assets.queries.syntax import (
    Aggregate,
    Comparison,
    Condition,
    Not,
    Query,
    QueryError,
    Window,
    aggregates,
)

# A window may be cut to what the week's anchors allow if so much of it is left.
LEAST_KEPT = 0.9
# What weekly anchors look back on at least, where the log is long enough.
LOOK_BACK = timedelta(days=91)


@dataclass(frozen=True)
class Plan:
    """The query with windows that fit, and the anchors that serve it.

    Attributes:
        query: validated.
        as_of: predict.
        test: test, refit.
        train: latest first; the first one stops and calibrates, the others fit.
        note: one sentence where the query was cut, otherwise empty.
        again: what the model that predicts is fitted on: all whose labels are known at the week, latest first.
    """

    query: Query
    as_of: date
    test: date
    train: tuple[date, ...]
    note: str = ""
    again: tuple[date, ...] = ()


def plan_at(
    query: Query, as_of: date, anchors: Sequence[date], train_anchors: int, horizon_days: int
) -> Plan:
    """The latest anchors whose label windows are over in time.

    A target up to a tenth longer than the week's own label window is cut to it (30 days where
    weeks are built for 28) and the plan says so.

    Args:
        query: validated.
        as_of: where predictions are made.
        anchors: at which the build holds features and lists.
        train_anchors: at most so many, at least 2.
        horizon_days: label window that the anchors were laid out for.

    Raises:
        QueryError: no such anchors: the window is too long for the build.
    """
    earlier = sorted((anchor for anchor in anchors if anchor < as_of), reverse=True)
    for test in earlier:
        if find_horizon(query, test) > midnight(as_of):
            continue
        train = [
            anchor for anchor in earlier if anchor < test and find_horizon(query, anchor) <= midnight(test)
        ]
        if len(train) >= 2:
            train = train[:train_anchors]
            return Plan(query, as_of, test, tuple(train), again=(test, *train))
    days = math.ceil(window_days(query, as_of))
    at = aggregates(query.target)[0].window.at
    if horizon_days < days <= horizon_days / LEAST_KEPT:
        cut = plan_at(_cut(query, horizon_days), as_of, anchors, train_anchors, horizon_days)
        note = f"Labels cover the first {horizon_days} of the {days} days: the anchors of the week are laid out for that."
        return replace(cut, note=note)
    longer = math.ceil(days / 7) * 7
    raise QueryError(
        f"the target looks {days} days ahead, but the anchors of the week {as_of} are laid out for {horizon_days}; "
        f"shorten the window, or run the week with RECS_HORIZON_DAYS={longer}.",
        query.text,
        at,
    )


def plan_weekly(query: Query, as_of: date, first: date, most: int) -> Plan:
    """Weekly anchors, as far as the log reaches, for targets whose features can be worked out at any date.

    Args:
        query: validated.
        as_of: where predictions are made; any date.
        first: the first day of the log; anchors leave it a quarter, or of a short log a fourth, to look back on.
        most: training anchors at most; the latest are taken.

    Raises:
        QueryError: the window is too long for the log.
    """
    back = min(LOOK_BACK, (as_of - first) / 4)
    dates = [
        as_of - timedelta(weeks=number)
        for number in range(1, max(1, (as_of - first - back) // timedelta(weeks=1)) + 1)
    ]
    known = [anchor for anchor in dates if find_horizon(query, anchor) <= midnight(as_of)]
    train = [anchor for anchor in known[1:] if find_horizon(query, anchor) <= midnight(known[0])]
    if len(train) < 2:
        days = math.ceil(window_days(query, as_of))
        raise QueryError(
            f"the target looks {days} days ahead, and the {(as_of - first).days} days of the log before {as_of} are too "
            f"few to learn that and test it; shorten the window to {max(1, int((as_of - first - back).days - 7) // 2)} days "
            "or less.",
            query.text,
            aggregates(query.target)[0].window.at,
        )
    return Plan(query, as_of, known[0], tuple(train[:most]), again=tuple(known[: most + 1]))


def window_days(query: Query, anchor: date) -> float:
    """Days that a query looks ahead of an anchor; months have as many as they have there."""
    return (find_horizon(query, anchor) - midnight(anchor)) / timedelta(days=1)


def midnight(day: date) -> datetime:
    """The start of a day."""
    return datetime.combine(day, time())


def _cut(query: Query, days: int) -> Query:
    """The query with no target window that ends after so many days."""
    per_day = {"days": 1, "hours": 24, "minutes": 1440}

    def cut_window(window: Window) -> Window:
        if window.unit in per_day:
            return replace(window, end=min(window.end, days * per_day[window.unit]))
        return replace(window, end=days, unit="days") if window.start == 0 else window

    def cut_aggregate(node: Aggregate) -> Aggregate:
        return replace(node, window=cut_window(node.window))

    def cut_condition(node: Condition) -> Condition:
        if isinstance(node, Comparison):
            operand = node.operand
            return replace(node, operand=cut_aggregate(operand)) if isinstance(operand, Aggregate) else node
        if isinstance(node, Not):
            return Not(cut_condition(node.item))
        return type(node)(tuple(cut_condition(item) for item in node.items))

    target = query.target
    cut = cut_aggregate(target) if isinstance(target, Aggregate) else cut_condition(target)
    return replace(query, target=cut)
