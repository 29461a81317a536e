"""The page about what the shop's data are worth."""

from __future__ import annotations

from recs_assets.app.ui.page import Page, Shown
from recs_assets.app.ui.state import State
from recs_assets.audit.findings import SECTIONS, VERDICTS
from recs_assets.views import audit
from recs_assets.views.desk import Look


def read_audit(look: Look, state: State) -> Shown:
    section = state.choice("section", ("all", *SECTIONS))
    verdict = state.choice("verdict", ("all", *VERDICTS))
    rows = audit.list_findings(look, section, verdict)
    readiness = audit.load_readiness(look)
    values = {
        "section": section,
        "sections": SECTIONS,
        "verdict": verdict,
        "verdicts": ("all", *VERDICTS),
        "readiness": readiness,
        "counts": audit.count_verdicts(look),
        "rows": rows,
        "segments": audit.list_segments(look),
    }
    notes = []
    if readiness is None:
        notes.append("The week was not audited: an earlier version made it. Run it again.")
    elif not rows:
        notes.append("No finding is so: choose another section or verdict.")
    return Shown(values, rows, notes)


AUDIT = Page(
    "audit", "Data audit", "What the shop's data are worth: what is there, what is missing, whether it is enough.", read_audit
)  # fmt: skip
