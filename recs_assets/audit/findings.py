"""What an audit says of a shop's data: one finding per fact, with a figure, a verdict and a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

import pandas as pd

Verdict = Literal["good", "look", "stop"]
VERDICTS: tuple[Verdict, ...] = ("stop", "look", "good")
# In the order in which people read them.
SECTIONS = {
    "readiness": "Is it enough",
    "approach": "Which approach fits",
    "inventory": "Files and tables",
    "history": "History and gaps",
    "rows": "Duplicates, orphans and what was set aside",
    "customers": "Customers",
    "segments": "Segments of customers",
    "categories": "Categories",
    "products": "Products and the long tail",
    "money": "Currencies, guests and wholesale",
    "privacy": "Personal data in texts",
    "signals": "Optional signals",
}
# What the whole shop is called as a subject.
SHOP = "shop"
READINESS = "readiness", SHOP, "verdict"
QUARANTINE = "rows", SHOP, "quarantine"


@dataclass(frozen=True)
class Finding:
    """One fact about the data.

    Attributes:
        section: of `SECTIONS`.
        subject: a table, a file, a category, a segment, or the whole shop.
        measure: what was measured.
        value: the figure; None where there is nothing to measure.
        unit: of the figure: rows, days, share, ...
        verdict: good, look (a person should) or stop (recommendations do not make sense like this).
        sentence: the same for people; names no customer.
    """

    section: str
    subject: str
    measure: str
    value: float | None
    unit: str
    verdict: Verdict
    sentence: str


def tabulate_findings(as_of: date, findings: Iterable[Finding]) -> pd.DataFrame:
    """Findings as rows of `recs.data_audit`: as_of, place, and the fields of `Finding`."""
    rows = [
        {"as_of": as_of, "place": place, **asdict(finding)}
        for place, finding in enumerate(sort_findings(findings), 1)
    ]
    columns = ["as_of", "place", *Finding.__dataclass_fields__]
    return pd.DataFrame(rows, columns=columns)


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """By section; within one in the order in which they were found."""
    sections = list(SECTIONS)
    return sorted(findings, key=lambda finding: sections.index(finding.section))


def list_important(findings: Sequence[Finding], most: int = 8) -> tuple[list[Finding], int]:
    """What to read first: the verdict on the shop, what says stop, then what to look at.

    Args:
        findings: of one shop.
        most: how many at most.

    Returns:
        The findings, and how many more there are to look at.
    """
    ordered = sort_findings(findings)
    head = [finding for finding in ordered if key_of(finding) == READINESS]
    # The figures of the verdict are in its sentence.
    rest = [finding for finding in ordered if finding.section != READINESS[0] and finding.verdict != "good"]
    rest.sort(key=lambda finding: VERDICTS.index(finding.verdict))
    return [*head, *rest][:most], max(0, len(head) + len(rest) - most)


def key_of(finding: Finding) -> tuple[str, str, str]:
    """What tells a finding from the others."""
    return finding.section, finding.subject, finding.measure


def write_lines(findings: Sequence[Finding], most: int = 8) -> list[str]:
    """The most important findings as lines for a terminal, and what was set aside.

    >>> write_lines([Finding(*READINESS, 2, "level", "good", "Yes: enough for all.")])
    ['Yes: enough for all.']
    """
    shown, more = list_important(findings, most)
    lines = [
        finding.sentence if key_of(finding) == READINESS else f"{finding.verdict:<4}  {finding.sentence}"
        for finding in shown
    ]
    if more:
        lines.append(f"{more} more to look at: recs.data_audit.")
    aside = (finding for finding in findings if key_of(finding) == QUARANTINE and finding not in shown)
    return [*lines, *(finding.sentence for finding in aside)]
