"""The page about the week's data and models."""

from __future__ import annotations

from recs_assets.app.ui.page import Page, Shown
from recs_assets.app.ui.state import State
from recs_assets.views import health
from recs_assets.views.desk import Look

PARTS = ("models", "gates", "data", "waterfall", "rules", "goals", "forecasts")


def read_data(look: Look, state: State) -> Shown:
    part = state.choice("part", PARTS)
    values = {"part": part, "parts": PARTS}
    if part == "data":
        audit = health.audit_data(look)
        return Shown({**values, "audit": audit}, audit["tables"])
    if part == "gates":
        gates = health.list_gates(look)
        return Shown({**values, "gates": gates}, gates, [] if gates else ["No gate was asked in this week."])
    if part == "waterfall":
        view = state.choice("view", ("all", "new"))
        rows = health.list_waterfall(look, view)
        return Shown(
            {**values, "rows": rows, "view": view},
            rows,
            [] if rows else ["The week has no test anchor with purchases."],
        )
    if part == "rules":
        rows = health.list_price_tags(look)
        return Shown(
            {**values, "rows": rows},
            rows,
            [] if rows else ["No campaign of this week has rules with a price."],
        )
    if part == "goals":
        every = health.list_frontiers(look)
        campaigns = sorted({row["campaign"] for row in every})
        campaign = state.choice("campaign", campaigns) if campaigns else ""
        own = [row for row in every if row["campaign"] == campaign]
        segments = list(dict.fromkeys(row["segment"] for row in own))
        segment = state.choice("segment", segments) if segments else ""
        rows = [row for row in own if row["segment"] == segment]
        values |= {"campaigns": campaigns, "campaign": campaign, "segments": segments, "segment": segment}
        return Shown(
            {**values, "rows": rows},
            rows,
            [] if rows else ["No goal of this week's campaigns could be measured."],
        )
    if part == "forecasts":
        rows = health.list_forecasts(look)
        notes = [] if rows else ["No forecast is over yet: come back when the first label window has ended."]
        return Shown({**values, "rows": rows, "calibration": health.load_calibration(look)}, rows, notes)
    options = health.list_options(look)
    chosen = {
        "metric": state.choice("metric", options["metric"], "map"),
        "k": state.choice("k", options["k"], 12),
        "view": state.choice("view", options["view"], "all"),
        "segment": state.choice("segment", options["segment"], "all"),
    }
    rows = health.list_metrics(look, **chosen)
    weeks = health.list_over_weeks(look, chosen["view"], chosen["metric"], chosen["k"])
    values |= {
        "options": options,
        "chosen": chosen,
        "rows": rows,
        "weeks": weeks,
        "decisions": health.list_decisions(look),
    }
    return Shown(
        values, rows, [] if rows else ["Nothing was measured so: choose another metric, view or segment."]
    )


DATA = Page("data", "Data and models", "What was checked, measured, lost and forecast this week.", read_data)
