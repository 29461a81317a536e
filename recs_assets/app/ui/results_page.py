"""The page about whether to worry, and what recommendations did."""

from __future__ import annotations

from recs_assets.app.ui.page import Page, Shown
from recs_assets.app.ui.state import State
from recs_assets.views import results
from recs_assets.views.desk import Look

AREAS = ("all", "data", "model", "lists", "people")
VERDICTS = ("all", *results.ORDER)
# Small pictures on the page.
PICTURES = 36


def read_results(look: Look, state: State) -> Shown:
    area, verdict = state.choice("area", AREAS), state.choice("verdict", VERDICTS)
    rows = results.list_rows(look, area, verdict)
    overall = results.load_verdict(look)
    values = {
        "area": area,
        "areas": AREAS,
        "verdict": verdict,
        "verdicts": VERDICTS,
        "overall": overall,
        "rows": rows,
        "counts": results.count_verdicts(look),
        "figures": results.list_over_weeks(look, area, PICTURES),
        "experiments": results.list_experiments(look),
        "revenue": results.list_revenue(look),
    }
    notes = [] if overall else ["The week was not watched: an earlier version made it. Run it again."]
    if overall and not rows:
        notes.append("No figure is so: choose another area or verdict.")
    return Shown(values, rows, notes)


RESULTS = Page(
    "results", "Results", "Whether to worry this week, what moved over the weeks, and what recommendations earned.", read_results
)  # fmt: skip
