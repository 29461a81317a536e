"""What the audit of the week's data found, and the segments of customers."""

from __future__ import annotations

from recs_assets.audit.findings import READINESS, SECTIONS, VERDICTS, Finding
from recs_assets.audit.report import render_page
from recs_assets.audit.segments import SEGMENTS
from recs_assets.views.desk import Look, MissingError, Row

COLUMNS = ", ".join(Finding.__dataclass_fields__)


def list_findings(look: Look, section: str = "all", verdict: str = "all") -> list[Row]:
    """The week's findings, what stops and what to look at first; of one section, or one verdict, where they are not "all"."""
    return look.rows(
        f"select {COLUMNS} from recs.data_audit where as_of = $week and ($section = 'all' or section = $section) "
        "and ($verdict = 'all' or verdict = $verdict) order by list_position($order, verdict), place",
        {"week": look.week, "section": section, "verdict": verdict, "order": list(VERDICTS)},
    )


def load_readiness(look: Look) -> Row | None:
    """The verdict on the shop; None where an earlier version made the week."""
    section, subject, measure = READINESS
    return look.row(
        "select verdict, sentence from recs.data_audit "
        "where as_of = $week and section = $section and subject = $subject and measure = $measure",
        {"week": look.week, "section": section, "subject": subject, "measure": measure},
    )


def count_verdicts(look: Look) -> list[Row]:
    """Findings per section and verdict, in the order of the sections."""
    counted = look.rows(
        "select section, count(*) filter (verdict = 'stop') as stop, count(*) filter (verdict = 'look') as look, "
        "count(*) filter (verdict = 'good') as good from recs.data_audit where as_of = $week group by section "
        "order by list_position($sections, section)",
        {"week": look.week, "sections": list(SECTIONS)},
    )
    return [{**row, "title": SECTIONS[row["section"]]} for row in counted]


def list_segments(look: Look) -> list[Row]:
    """How many customers each segment has, what they paid, how long ago they ordered."""
    rows = look.rows(
        "select segment, count(*) as customers, sum(revenue::decimal(38, 6))::double as revenue, "
        "median(days_since_last) as days_since_last, avg(orders) as orders from recs.customer_segments "
        "group by segment order by list_position($names, segment)",
        {"names": list(SEGMENTS)},
    )
    most = max((row["customers"] for row in rows), default=1)
    return [{**row, "about": SEGMENTS[row["segment"]], "bar": row["customers"] / most} for row in rows]


def write_report(look: Look) -> str:
    """The page of the audit in one file.

    Raises:
        MissingError: the week was not audited.
    """
    findings = [Finding(**row) for row in list_findings(look)]
    if not findings:
        raise MissingError(f"The week {look.week} was not audited: an earlier version made it. Run it again.")
    return render_page(findings, look.week, f"the week {look.week}")
