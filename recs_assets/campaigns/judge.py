"""The gates of a week: what was landed, and the lists before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.made import SELECTED, find_folder, read_facts, read_slots
from recs_assets.campaigns.versions import is_published_version, list_published
from recs_assets.evaluation import gates
from recs_assets.evaluation.facts import (
    load_newest_order,
    load_published_verdicts,
    load_raw_volumes,
    load_unknown_event_types,
    load_withdrawal_counts,
)
from recs_assets.evaluation.promotion import ORDER
from recs_assets.evaluation.verdict import Verdict, overrule, tabulate
from recs_assets.known.load import load_listed
from recs_assets.rules.selection import TOO_FEW
from recs_assets.week.ranked import find_chosen_model
from recs_assets.week.week import Week

# The tables that keep the verdicts on what was landed and on the ranker until `judge_week` puts all together.
LANDING_GATES, RANKER_GATES = "gates_landing", "gates_ranker"
# The one model that gives everybody the same list on purpose.
IMPERSONAL = ORDER[0]
STOREFRONT = "customer_recommendations"
# Of every campaign that fills slots.
CAMPAIGN_GATES = ("finite", "fill", "sameness")


@dataclass(frozen=True)
class WeekVerdicts:
    """What the gates say of a week.

    Attributes:
        rows: of `model.gates`: every verdict, beside that of the newest earlier week.
        lists: on the lists; one that refuses blocks the publish.
        forecasts: on what earlier weeks promised; they warn.
        campaigns: the names of those that were judged now, and not when they were published.
    """

    rows: pd.DataFrame
    lists: list[Verdict]
    forecasts: list[Verdict]
    campaigns: list[str]


def judge_landed(week: Week) -> list[Verdict]:
    """The verdicts on what was landed, before anything is built."""
    limits = week.shop.gates
    before, earlier = week.load_earlier_verdicts()
    with week.build.read() as connection:
        volumes = load_raw_volumes(connection, week.as_of, week.shop.source.raw_tables.values())
        newest, orders = load_newest_order(connection, week.as_of)
    counted = earlier[(earlier["gate"] == "volume").to_numpy()]
    rows_before = dict(zip(counted["subject"], counted["value"], strict=True))
    return overrule(
        [
            *gates.judge_volume(volumes, rows_before, before, limits.volume),
            gates.judge_freshness(newest, orders, week.as_of, limits.freshness),
        ],
        week.settings.gate_override,
    )


def judge_week(week: Week, campaigns: Mapping[str, Campaign]) -> WeekVerdicts:
    """Every gate's verdict on the week.

    Args:
        week: with its lists and its campaigns' tables.
        campaigns: name -> campaign, of those that have a file.
    """
    decisions, personal = week.table("decisions"), find_chosen_model(week) != IMPERSONAL
    names, published = set(week.table("campaign_outcomes")["campaign"]), list_published(week)
    kept = {name for name in names if is_published_version(find_folder(week, name), published)}
    new = sorted(names - kept)
    lists = overrule(
        [*judge_storefront(week), *_judge_campaigns(week, new, campaigns, personal)],
        week.settings.gate_override,
    )
    lists += _load_verdicts(week, sorted(kept))
    with week.build.read() as connection:
        withdrawals = load_withdrawal_counts(connection)
        unknown_types = load_unknown_event_types(connection, week.as_of)
    consent = gates.judge_consent(withdrawals, unknown_types)
    forecasts = gates.judge_forecasts(week.table("forecasts"), week.shop.gates.forecast)
    own = tabulate([gates.record_baselines(decisions), *consent, *forecasts, *lists])
    judged = pd.concat([week.table(LANDING_GATES), week.table(RANKER_GATES), own], ignore_index=True)
    _, earlier = week.load_earlier_verdicts()
    before = earlier.rename(columns={"value": "previous_value"})
    rows = judged.merge(before, on=["gate", "subject"], how="left").assign(as_of=week.as_of)
    return WeekVerdicts(rows, lists, forecasts, new)


def judge_storefront(week: Week) -> list[Verdict]:
    """The gates on the lists of the shop's pages, before anything is let through."""
    personal = find_chosen_model(week) != IMPERSONAL
    limits, available = week.shop.gates, int(week.known().available.sum())
    with week.build.read() as connection:
        lists = load_listed(connection, week.as_of, "recommendations", "rank")
    codes, scores = (lists[name].to_numpy() for name in ("customer", "score"))
    return [
        gates.judge_finite(scores, STOREFRONT),
        *gates.judge_spread(codes, lists["product"].to_numpy(), scores, STOREFRONT, limits),
        gates.judge_coverage(lists, available, STOREFRONT, limits, personal),
        gates.judge_sameness(lists, available, STOREFRONT, limits, personal),
    ]


def _load_verdicts(week: Week, names: Sequence[str]) -> list[Verdict]:
    """The verdicts on campaigns that were not made again since they were published: those of then. What was let through stays
    so, and what is left of the lists since stops no other campaign."""
    if not names:
        return []
    with week.warehouse.snapshot() as connection:
        return load_published_verdicts(connection, week.as_of, CAMPAIGN_GATES, names)


def _judge_campaigns(
    week: Week, names: Sequence[str], campaigns: Mapping[str, Campaign], personal: bool
) -> list[Verdict]:
    """The gates on every campaign of the names that fills slots."""
    outcomes, verdicts = week.table("campaign_outcomes"), []
    for name in names:
        campaign = campaigns.get(name)
        fills_slots = campaign.lists_products if campaign else read_slots(find_folder(week, name)) > 0
        if fills_slots:
            verdicts += _judge_campaign(week, name, outcomes, personal)
    return verdicts


def _judge_campaign(week: Week, name: str, outcomes: pd.DataFrame, personal: bool) -> list[Verdict]:
    """The gates on a campaign's filled slots.

    Eligible is who was to get a list and could not be given one for want of products, or was; for whom nothing was
    predicted the campaign was not meant. A query that cannot be answered says so in its own check, and stops no week.
    """
    limits, available = week.shop.gates, int(week.known().available.sum())
    with week.build.read() as connection:
        lists = load_listed(connection, week.as_of, "email_selection", "slot", name)
    of_campaign = outcomes[(outcomes["campaign"] == name).to_numpy()]
    counts = of_campaign.set_index("outcome")["customers"]
    full = int(counts.get(SELECTED, 0))
    wanted = full + int(counts.get(TOO_FEW, 0))
    facts = read_facts(find_folder(week, name))
    why, personal = facts.get("shortage"), personal and facts.get("chosen") != IMPERSONAL
    return [
        gates.judge_finite(lists["score"].to_numpy(), name),
        gates.judge_fill(full, wanted, name, limits, why),
        gates.judge_sameness(lists, available, name, limits, personal),
    ]
