"""What the week's monitor says, and what came of recommendations: verdicts, figures over the weeks, experiments, revenue."""

from __future__ import annotations

from typing import Any

from recs_assets.views.desk import Look, Row

# Verdicts, those that ask for somebody first.
ORDER = ("alert", "watch", "unknown", "ok")


def load_verdict(look: Look) -> Row | None:
    """The verdict on the week; None where the week was not watched."""
    return look.row(
        "select verdict, advice, sentence from recs.monitor where as_of = $week and area = 'all'",
        {"week": look.week},
    )


def list_rows(look: Look, area: str, verdict: str) -> list[Row]:
    """The week's figures, alerts first; of one area, or one verdict, where they are not "all"."""
    return look.rows(
        "select verdict, area, metric, subject, value, reference, reference_weeks, change_low, change_high, limit_low, "
        "limit_high, counted, sentence from recs.monitor where as_of = $week and area <> 'all' "
        "and ($area = 'all' or area = $area) and ($verdict = 'all' or verdict = $verdict) "
        "order by list_position($order, verdict), area, metric, subject",
        {"week": look.week, "area": area, "verdict": verdict, "order": list(ORDER)},
    )


def count_verdicts(look: Look) -> list[Row]:
    """Figures per area and verdict."""
    return look.rows(
        "select area, count(*) filter (verdict = 'alert') as alert, count(*) filter (verdict = 'watch') as watch, "
        "count(*) filter (verdict = 'unknown') as unknown, count(*) filter (verdict = 'ok') as ok "
        "from recs.monitor where as_of = $week and area <> 'all' group by area order by area",
        {"week": look.week},
    )


def list_over_weeks(look: Look, area: str, most: int) -> list[dict[str, Any]]:
    """Figures with their values over the kept weeks, as many as `most`: what is not ok first.

    Returns:
        metric, subject, verdict, limit_low, limit_high, points: as_of and value, oldest first.
    """
    chosen = look.rows(
        "select area, metric, subject, verdict, limit_low, limit_high, sentence from recs.monitor "
        "where as_of = $week and area <> 'all' and value is not null and ($area = 'all' or area = $area) "
        "order by list_position($order, verdict), metric in ('rows', 'drift', 'drift_horizon', 'unseen'), area, metric, subject limit $most",
        {"week": look.week, "area": area, "order": list(ORDER), "most": most},
    )
    values = look.rows(
        "select area, metric, subject, as_of, value from recs.monitor where value is not null and as_of <= $week "
        "order by as_of",
        {"week": look.week},
    )
    points: dict[tuple[str, str, str], list[Row]] = {}
    for row in values:
        key = row["area"], row["metric"], row["subject"]
        points.setdefault(key, []).append({"as_of": row["as_of"], "value": row["value"]})
    return [{**row, "points": points[row["area"], row["metric"], row["subject"]]} for row in chosen]


def list_experiments(look: Look) -> list[Row]:
    """What the newest published week says of every arm that challenges another; none in an older snapshot."""
    if not _has(look, "experiments"):
        return []
    return look.rows(
        "select experiment, arm, campaign, starts, week, assigned, verdict, sentence, hypothesis from recs.experiments "
        "where verdict is not null qualify as_of = max(as_of) over (partition by experiment) order by experiment, arm"
    )


def list_revenue(look: Look) -> list[Row]:
    """Per campaign or placement and week: what is attributed to recommendations, and beside it what they changed."""
    if not _has(look, "recommendation_results"):
        return []
    return look.rows(
        "select channel, campaign, as_of, recommendations, clicks, purchases, revenue, incremental_revenue, "
        "incremental_revenue_low, incremental_revenue_high from recs.recommendation_results "
        "where dimension = 'all' order by as_of desc, channel, campaign"
    )


def _has(look: Look, table: str) -> bool:
    """Whether a version of the snapshot holds a table; an earlier one may not."""
    found = look.row(
        "select count(*) as there from information_schema.tables where table_schema = 'recs' and table_name = $name",
        {"name": table},
    )
    return found is not None and found["there"] > 0
