"""How the data and the models are: what was checked, measured, lost and forecast."""

from __future__ import annotations

import json
from typing import Any

from recs_assets.views.desk import Look, Row


def audit_data(look: Look) -> dict[str, list[Row]]:
    """What the data hold and what was set aside: tables, rejected rows, states of orders, what is no product."""
    log = look.row("select row_counts from recs.publish_log order by rowid desc limit 1")
    comments = look.rows(
        "select table_name, comment from duckdb_tables() where schema_name = 'recs' union all "
        "select view_name, comment from duckdb_views() where schema_name = 'recs'"
    )
    about = {row["table_name"]: row["comment"] for row in comments}
    counts = json.loads(log["row_counts"]) if log else {}
    return {
        "tables": [
            {"table": name, "rows": rows, "about": about.get(name)} for name, rows in sorted(counts.items())
        ],
        "quarantine": look.rows(
            "select source_table, reason, count(*) as rows, min(event_at)::date as first, max(event_at)::date as last "
            "from recs.quarantine group by all order by rows desc, source_table, reason"
        ),
        "states": look.rows(
            "select status, counts_as, order_count from recs.order_states order by order_count desc, status"
        ),
        "not_products": look.rows(
            "select product_id, product_name, category, verdict, signs, baskets from recs.not_products "
            "order by baskets desc nulls last, product_id limit 20"
        ),
        "left_out": look.rows(
            "select not_learned_from_reason as reason, count(*) as customers from recs.customers "
            "where not learned_from group by all order by customers desc, reason"
        ),
    }


def list_metrics(look: Look, view: str, metric: str, k: int, segment: str = "all") -> list[Row]:
    """Every recommender at the newest week's first test anchor, the best first."""
    return look.rows(
        "select recommender, value, ci_low, ci_high, customers, anchor from recs.model_metrics "
        "where as_of = $week and view = $view and metric = $metric and k = $k and segment = $segment "
        "and anchor = (select max(anchor) from recs.model_metrics where as_of = $week) "
        "order by value desc nulls last, recommender",
        {"week": look.week, "view": view, "metric": metric, "k": k, "segment": segment},
    )


def list_options(look: Look) -> dict[str, list[Any]]:
    """Metrics, k, views and segments that were measured."""
    week = {"week": look.week}
    names = {"metric": "metric", "k": "k", "view": "view", "segment": "segment"}
    return {
        name: [
            row[name]
            for row in look.rows(
                f"select distinct {column} as {name} from recs.model_metrics where as_of = $week order by 1",
                week,
            )
        ]
        for name, column in names.items()
    }


def list_over_weeks(look: Look, view: str, metric: str, k: int) -> list[Row]:
    """The same figure over the published weeks: recommender, as_of, value, ci_low, ci_high."""
    return look.rows(
        "select recommender, as_of, value, ci_low, ci_high from recs.model_metrics "
        "where view = $view and metric = $metric and k = $k and segment = 'all' "
        "qualify anchor = max(anchor) over (partition by as_of) order by recommender, as_of",
        {"view": view, "metric": metric, "k": k},
    )


def list_decisions(look: Look) -> list[Row]:
    """The comparisons that decided which model makes the week's lists."""
    return look.rows(
        "select step, metric, candidate, candidate_value, incumbent, incumbent_value, difference, ci_low, ci_high, "
        "promoted, chosen from recs.model_decisions where as_of = $week order by step",
        {"week": look.week},
    )


def list_gates(look: Look) -> list[Row]:
    """The figures that decided whether the week may be published, failures first."""
    return look.rows(
        "select gate, subject, value, limit_low, limit_high, previous_value, passed, overridden, reason, sentence "
        "from recs.gates where as_of = $week order by passed, gate, subject",
        {"week": look.week},
    )


def list_waterfall(look: Look, view: str = "all") -> list[Row]:
    """Where purchases were lost on the way to a list: stage, purchases, share; and per source what it alone found."""
    return look.rows(
        "select coalesce(source, '') as source, stage, k, purchases, share from recs.recall_waterfall "
        "where as_of = $week and view = $view and segment = 'all' "
        "and anchor = (select max(anchor) from recs.recall_waterfall where as_of = $week) order by source, purchases desc, stage",
        {"week": look.week, "view": view},
    )


def list_price_tags(look: Look) -> list[Row]:
    """What each rule of each campaign cost or earned at the test anchor."""
    return look.rows(
        "select campaign, step, rule, kind, customers_changed, purchases, purchases_without, purchases_gained, "
        "purchases_low, purchases_high, margin_gained, margin_low, margin_high from recs.rule_price_tags "
        "where as_of = $week order by campaign, step, rule",
        {"week": look.week},
    )


def list_frontiers(look: Look) -> list[Row]:
    """What each campaign's goal trades at the test anchor: purchases against revenue and margin."""
    return look.rows(
        "select campaign, step, anchor, goal, strength, segment, recipients, purchases, purchases_gained, purchases_low, "
        "purchases_high, revenue, revenue_gained, revenue_low, revenue_high, margin, margin_gained, margin_low, margin_high, knee "
        "from recs.goal_frontier where as_of = $week order by campaign, step",
        {"week": look.week},
    )


def list_forecasts(look: Look) -> list[Row]:
    """What the probabilities promised for the weeks whose window is over, and what was bought."""
    return look.rows(
        "select campaign, forecast_as_of, window_end, customers, rows, forecast_purchases, actual_purchases, "
        "forecast_revenue, actual_revenue from recs.forecasts order by forecast_as_of desc, campaign"
    )


def load_calibration(look: Look) -> dict[str, Any]:
    """The ranker's calibration: figures of how well it fits, and the curve from score to probability."""
    facts = look.kept.facts("ranker", "ranker.json").get("facts", {})
    return {
        "kind": facts.get("calibration", {}).get("kind"),
        "figures": {
            name: facts[name]
            for name in sorted(facts)
            if name.startswith("test_") and _is_number(facts[name])
        },
        "quality": facts.get("quality", {}),
        "anchors": facts.get("anchors", []),
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
