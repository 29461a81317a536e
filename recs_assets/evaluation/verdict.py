"""What a gate says: a figure against its limits, in one sentence.

A verdict passes only on a finite figure within its limits; where there is nothing to compare with,
or too little to judge by, its sentence says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

# What a reader of a refusal can do about it, per gate that blocks.
ADVICE = {
    "volume": "look at the export, or set RECS_GATE_OVERRIDE to the reason why this is right",
    "freshness": "deliver the newest orders, or set RECS_GATE_OVERRIDE to the reason why this is right",
    "finite": "find the model that gave these scores; no override lets them pass",
    "spread": "find out why the model scores alike, or set RECS_GATE_OVERRIDE to the reason why this is right",
    "coverage": "look at the lists, or set RECS_GATE_OVERRIDE to the reason why this is right",
    "fill": "look at stock, sale dates and rules, or set RECS_GATE_OVERRIDE to the reason why this is right",
    "sameness": "look at the lists, or set RECS_GATE_OVERRIDE to the reason why this is right",
}
# No reason makes a score right that is not a number.
NEVER_OVERRIDDEN = frozenset({"finite"})

# Columns of `tabulate`.
COLUMNS = (
    "gate",
    "subject",
    "value",
    "limit_low",
    "limit_high",
    "passed",
    "overridden",
    "reason",
    "sentence",
)


@dataclass(frozen=True)
class Verdict:
    """What one gate says of one subject.

    Attributes:
        gate: its name.
        subject: a table, a list or a model.
        value: the figure that was judged; None where there was nothing to judge.
        limit_low: smallest value that passes; None for any.
        limit_high: largest value that passes; None for any.
        passed: the value is finite and within the limits, or could not be judged.
        finding: the sentence about it, without its full stop.
        overridden: failed, and let through by somebody.
        reason: theirs.
    """

    gate: str
    subject: str
    value: float | None
    limit_low: float | None
    limit_high: float | None
    passed: bool
    finding: str
    overridden: bool = False
    reason: str | None = None

    @property
    def sentence(self) -> str:
        return f"{self.finding}."

    @property
    def blocks(self) -> bool:
        return not (self.passed or self.overridden)


def judge(
    gate: str,
    subject: str,
    value: float,
    finding: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unjudged: str | None = None,
    share: bool = False,
) -> Verdict:
    """A finite value within its limits passes; with `unjudged`, the reason, any finite value does. The
    finding names value and limit as percentages where they are shares."""
    limits = [limit for limit in (low, high) if limit is not None]
    sound = bool(np.isfinite([value, *limits]).all())
    within = (low is None or value >= low) and (high is None or value <= high)
    if sound and unjudged is not None:
        finding = f"{finding} (not judged: {unjudged})"
    elif sound and not within:
        shown = format_percent if share else format_number
        below = low is not None and value < low
        bound = f"at least {shown(low)} must be" if below else f"at most {shown(high)} may be"
        finding = f"{finding}{f' ({shown(value)})' if share else ''}, where {bound}"
    elif not sound:
        finding = f"{finding}, which is no number to judge by"
    return Verdict(
        gate, subject, float(value), low, high, sound and (unjudged is not None or within), finding
    )


def pass_unjudged(gate: str, subject: str, why: str) -> Verdict:
    return Verdict(gate, subject, None, None, None, True, why)


def format_number(value: float | None) -> str:
    """1,234 for a count, three significant digits for anything else."""
    if value is None or not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def format_percent(value: float | None) -> str:
    return f"{format_number(None if value is None else 100 * value)} %"


def overrule(verdicts: Iterable[Verdict], reason: str | None) -> list[Verdict]:
    """The verdicts, those that failed marked as let through for a reason; None changes nothing.

    What is not finite stays refused.
    """
    return [
        replace(verdict, overridden=True, reason=reason)
        if reason is not None and not verdict.passed and verdict.gate not in NEVER_OVERRIDDEN
        else verdict
        for verdict in verdicts
    ]


def explain_refusals(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Gate -> the one sentence of why it blocks, with what to do, in the order of the verdicts."""
    findings: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.blocks:
            findings.setdefault(verdict.gate, []).append(verdict.finding)
    return {gate: f"Gate {gate}: {'; '.join(texts)}: {ADVICE[gate]}." for gate, texts in findings.items()}


def tabulate(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per verdict, columns `COLUMNS`."""
    return pd.DataFrame(
        [tuple(getattr(verdict, name) for name in COLUMNS) for verdict in verdicts], columns=list(COLUMNS)
    ).astype({"value": float, "limit_low": float, "limit_high": float, "reason": object})
