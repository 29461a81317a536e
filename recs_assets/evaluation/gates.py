"""The gates that decide whether a week may be published: plain figures in, verdicts out.

A verdict passes only on a finite figure within its limits; where there is nothing to compare with,
or too little to judge by, its sentence says so. `docs/gates.md` has every gate with its threshold,
`recs_assets/gates.yaml` the values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pandas as pd

from recs_assets.arrays import find_runs
from recs_assets.evaluation import bootstrap
from recs_assets.evaluation.facts import WithdrawalCounts
from recs_assets.evaluation.thresholds import Forecast, Freshness, Gates, Volume
from recs_assets.evaluation.verdict import Verdict, format_number, format_percent, judge, pass_unjudged

# Of a list, the places whose products make the set that `sameness` compares.
SET_OF = 12
# The campaign of recs.forecasts that is none: the ranker's first rows at the week's test anchor.
TEST_ANCHOR = "test_anchor"


# -- what came in -----------------------------------------------------------------------------


def judge_volume(
    rows: Mapping[str, float], before: Mapping[str, float], week: date | None, limits: Volume
) -> list[Verdict]:
    """Counts of raw rows against those of an earlier published week.

    A drop blocks at or below old / factor, a spike at or above old * factor, where the difference
    also reaches the minimum.

    Args:
        rows: subject -> count: a raw table, or "<table>, last 7 days".
        before: the same of the earlier week.
        week: the earlier week; None where there is none.
        limits: thresholds.
    """
    verdicts = []
    for subject, new in rows.items():
        name, _, recent = subject.partition(", ")
        what = f"{name} {'in the last 7 days' if recent else 'in all'}: {_format_rows(new)}"
        if week is None:
            text = f"{what}; no earlier week is published to compare with"
            verdicts.append(judge("volume", subject, new, text))
            continue
        if subject not in before:
            text = f"{what}; week {week} has no count of them"
            verdicts.append(judge("volume", subject, new, text))
            continue
        old = before[subject]
        text = f"{what} after {format_number(old)} in week {week}"
        if not math.isfinite(old):
            verdicts.append(judge("volume", subject, new, text, low=old))
            continue
        drop, spike = limits.drop, limits.spike
        # The smallest and the largest count that pass.
        low = max(0, math.floor(min(old / drop.factor, old - drop.min_change)) + 1)
        high = math.ceil(max(old * spike.factor, old + spike.min_change)) - 1
        burst = None
        if name in limits.bursts:
            # The week after the first campaign brings the first events: what the run caused must not stop the next.
            burst = f"{name} comes in bursts" if recent else f"{name} had none before" if old == 0 else None
        verdicts.append(judge("volume", subject, new, text, low=low, high=high, unjudged=burst))
    return verdicts


def _format_rows(count: float) -> str:
    return f"{format_number(count)} {'row' if count == 1 else 'rows'}"


def judge_freshness(newest: datetime | None, orders: int, as_of: date, limits: Freshness) -> Verdict:
    """How many days before the week's midnight the newest order was placed.

    Args:
        newest: time of the newest order before it, in the shop's time zone; None without orders.
        orders: how many orders are known.
        as_of: the week.
        limits: thresholds.
    """
    if newest is None:
        text = f"No order is dated before {as_of}"
        return Verdict("freshness", "orders", None, None, limits.max_age_days, False, text)
    age = (datetime.combine(as_of, datetime.min.time()) - newest).total_seconds() / 86_400
    few = f"{orders} orders are fewer than {limits.min_orders}" if orders < limits.min_orders else None
    text = f"The newest order is {age:.1f} days old at {as_of}"
    return judge("freshness", "orders", age, text, high=limits.max_age_days, unjudged=few)


# -- what goes out ----------------------------------------------------------------------------


def judge_finite(scores: np.ndarray, subject: str) -> Verdict:
    """Whether every score is a finite number; an empty list holds none that is not.

    Args:
        scores: float[n].
        subject: whose they are.
    """
    bad = int((~np.isfinite(np.asarray(scores, dtype=float))).sum())
    text = f"{subject}: {bad:,} of {len(scores):,} scores are not finite"
    return judge("finite", subject, bad, text, high=0)


def judge_spread(
    customer: np.ndarray, product: np.ndarray, scores: np.ndarray, subject: str, limits: Gates
) -> list[Verdict]:
    """Whether the scores tell products apart: within the lists, and at all.

    A list of one row says nothing about the first; the second is held to no more different scores than
    there are products, as many as a model without a view of the customer can give.

    Args:
        customer: int[n], rows of one customer in one run.
        product: int[n].
        scores: float[n].
        subject: whose they are.
        limits: thresholds.
    """
    scores = np.asarray(scores, dtype=float)
    sound = bool(np.isfinite(scores).all())
    start, length = find_runs(customer)
    verdicts = []
    if (longer := int((length > 1).sum())) == 0:
        verdicts.append(
            pass_unjudged("spread", f"{subject}, flat lists", f"{subject}: no list has a second row")
            if sound
            else judge("spread", f"{subject}, flat lists", math.nan, f"{subject}: flat lists")
        )
    else:
        same = np.maximum.reduceat(scores, start) == np.minimum.reduceat(scores, start)
        flat = int((same & (length > 1)).sum())
        verdicts.append(
            judge(
                "spread",
                f"{subject}, flat lists",
                flat / longer if sound else math.nan,
                f"{subject}: {flat:,} of {longer:,} customers have one single score in their list",
                high=limits.lists.max_flat_share,
                unjudged=_explain_few(longer, limits),
                share=True,
            )
        )
    distinct, products = len(np.unique(scores)), len(np.unique(product))
    verdicts.append(
        judge(
            "spread",
            f"{subject}, distinct scores",
            distinct if sound else math.nan,
            f"{subject}: {distinct:,} different scores",
            low=min(limits.lists.min_distinct_scores, products),
            unjudged=_explain_few(len(start), limits),
        )
    )
    return verdicts


def judge_coverage(
    lists: pd.DataFrame, available: int, subject: str, limits: Gates, personal: bool
) -> Verdict:
    """Products on the lists, of as many as they could show: those that may be sold, or the rows.

    Args:
        lists: columns customer, product.
        available: how many products may be sold.
        subject: whose lists.
        limits: thresholds.
        personal: False where the model gives everybody the same on purpose.
    """
    possible = min(available, len(lists))
    if possible == 0:
        return pass_unjudged("coverage", subject, f"{subject}: there is nothing to show")
    shown = lists["product"].nunique()
    text = f"{subject}: {shown:,} products shown of the {possible:,} that could be"
    bounds = limits.lists.coverage
    unjudged = _explain_few(lists["customer"].nunique(), limits, personal)
    # A product that may no longer be sold is another gate's business.
    value = min(1.0, shown / possible)
    return judge(
        "coverage", subject, value, text, low=bounds.low, high=bounds.high, unjudged=unjudged, share=True
    )


def judge_fill(full: int, eligible: int, subject: str, limits: Gates, why: str | None = None) -> Verdict:
    """Eligible customers with a full list.

    Args:
        full: how many of them have one.
        eligible: how many may get it.
        subject: whose lists.
        limits: thresholds.
        why: what stands between the others and a list, for the finding of a refusal.
    """
    if eligible == 0:
        return pass_unjudged("fill", subject, f"{subject}: nobody may get a list")
    text = f"{subject}: {full:,} of {eligible:,} eligible customers have a full list"
    bounds = limits.lists.fill
    verdict = judge(
        "fill", subject, full / eligible, text,
        low=bounds.low, high=bounds.high, unjudged=_explain_few(eligible, limits), share=True,
    )  # fmt: skip
    return verdict if verdict.passed or not why else replace(verdict, finding=f"{verdict.finding}, and {why}")


def judge_sameness(
    lists: pd.DataFrame, available: int, subject: str, limits: Gates, personal: bool
) -> Verdict:
    """The largest share of customers whose first twelve products are the same set.

    Args:
        lists: columns customer, product, rank from 1.
        available: how many products may be sold; of twelve and fewer everybody gets all.
        subject: whose lists.
        limits: thresholds.
        personal: False where the model gives everybody the same on purpose.
    """
    if lists.empty:
        return pass_unjudged("sameness", subject, f"{subject}: there are no lists")
    first = lists[(lists["rank"] <= SET_OF).to_numpy()].sort_values(["customer", "product"])
    customers, row = np.unique(first["customer"].to_numpy(), return_inverse=True)
    place = first.groupby("customer", sort=False).cumcount().to_numpy()
    sets = np.full((len(customers), int(place.max()) + 1), -1, dtype=np.int64)
    sets[row, place] = first["product"].to_numpy()
    most = int(np.unique(sets, axis=0, return_counts=True)[1].max())
    text = f"{subject}: {most:,} of {len(customers):,} customers get the same set of {sets.shape[1]}"
    unjudged = (
        f"there are no more than {SET_OF} products"
        if available <= SET_OF
        else _explain_few(len(customers), limits, personal)
    )
    return judge(
        "sameness", subject, most / len(customers), text,
        high=limits.lists.max_same_share, unjudged=unjudged, share=True,
    )  # fmt: skip


def _explain_few(customers: int, limits: Gates, personal: bool = True) -> str | None:
    """Why a share of so many customers is not judged; None where it is."""
    if not personal:
        return "the chosen model gives everybody the same on purpose"
    if customers < limits.min_customers:
        return f"{customers} customers are fewer than {limits.min_customers}"
    return None


# -- which model ------------------------------------------------------------------------------


def judge_successor(new: np.ndarray, old: np.ndarray, old_week: date, limits: Gates, seed: int) -> Verdict:
    """A newly trained ranker against the last published week's, on the same test candidates.

    Refused where the paired bootstrap interval of new - old lies wholly below -tolerance. The interval
    widens by itself where customers are few, but no resample of a handful shows what it lacks. Both are as
    they were tested, before the refit: neither has learned from a day of the label window they are judged in.

    Args:
        new: float64[customers], MAP@12 of the new ranker's lists.
        old: float64[customers], of the old one's, the same customers in the same order.
        old_week: whose ranker the old one is.
        limits: thresholds.
        seed: of the bootstrap.
    """
    new, old = np.asarray(new, dtype=float), np.asarray(old, dtype=float)
    if len(new) == 0:
        return pass_unjudged("model", "ranker", "ranker: nobody bought in the test's label window")
    text = f"ranker: MAP@12 of {np.mean(new):.4f} against {np.mean(old):.4f} of week {old_week}'s"
    if not (np.isfinite(new).all() and np.isfinite(old).all()):
        return judge("model", "ranker", math.nan, text)
    difference, low, high = bootstrap.compare_pairs(new, old, seed)
    text = f"{text}, difference {difference:.4f} ({low:.4f} to {high:.4f})"
    least = limits.model.min_customers
    few = f"{len(new)} customers are fewer than {least}" if len(new) < least else None
    return judge("model", "ranker", high, text, low=-limits.model.tolerance, unjudged=few)


def skip_successor(why: str) -> Verdict:
    """The verdict where there is no earlier ranker to compare with, or no new one: it says why."""
    return pass_unjudged("model", "ranker", why)


def record_baselines(decisions: pd.DataFrame) -> Verdict:
    """The record of whether the ranker beats the simplest model that held (`promotion.decide`).

    It blocks nothing: where it fails, the simpler model makes the lists.

    Args:
        decisions: columns candidate, incumbent, metric, candidate_value, incumbent_value, difference,
            ci_low, ci_high, promoted.
    """
    rows = decisions[(decisions["candidate"] == "ranker").to_numpy()]
    if rows.empty:
        return pass_unjudged("baselines", "ranker", "ranker: none was compared with the simpler models")
    row = rows.iloc[-1]
    text = (
        f"ranker: {row['metric']} of {row['candidate_value']:.4f} against {row['incumbent']}'s "
        f"{row['incumbent_value']:.4f}, difference {row['difference']:.4f} "
        f"({row['ci_low']:.4f} to {row['ci_high']:.4f})"
    )
    passed = bool(row["promoted"]) and bool(np.isfinite(row["ci_low"]))
    return Verdict("baselines", "ranker", float(row["ci_low"]), 0.0, None, passed, text)


# -- what was promised ------------------------------------------------------------------------


def judge_forecasts(sums: pd.DataFrame, limits: Forecast) -> list[Verdict]:
    """Purchases promised against purchases made, of every campaign's newest window that is over.

    It blocks nothing, since no week can mend what an earlier one promised; it says which way it was wrong.

    Args:
        sums: columns campaign, forecast_as_of, forecast_purchases, actual_purchases.
        limits: the ratio of promised to bought that passes, and from how many purchases on it is judged.
    """
    newest = sums.sort_values("forecast_as_of").groupby("campaign", sort=True).tail(1).sort_values("campaign")
    verdicts = []
    columns = (
        newest[name] for name in ("campaign", "forecast_as_of", "forecast_purchases", "actual_purchases")
    )
    for campaign, made, forecast, actual in zip(*columns, strict=True):
        promised, bought = float(forecast), int(actual)
        whose = "the test anchor's" if campaign == TEST_ANCHOR else f"{campaign}'s"
        text = (
            f"{whose} forecast of {pd.Timestamp(made).date()} promised {format_number(round(promised))} "
            f"purchases, {format_number(bought)} were made"
        )
        few = max(promised, bought) < limits.min_purchases
        unjudged = f"fewer than {limits.min_purchases} purchases" if few else None
        ratio = promised / max(bought, 1)
        if not few:
            text += f", {format_percent(round(abs(ratio - 1), 3))} too {'many' if ratio > 1 else 'few'}: a ratio of {ratio:.3g}"
        verdicts.append(
            judge("forecast", campaign, ratio, text, low=limits.low, high=limits.high, unjudged=unjudged)
        )
    return verdicts


# -- who said no ------------------------------------------------------------------------------


def judge_consent(counts: WithdrawalCounts, unknown_types: Mapping[str, int]) -> list[Verdict]:
    """What became of everybody who said no, and whether anybody can be reached.

    dbt has stopped the run by now where more withdrawals match no customer than may.

    Args:
        counts: withdrawals, unmatched, gone, allowed, addresses (`Warehouse.withdrawal_counts`).
        unknown_types: type of campaign event that the platform does not know -> rows.
    """
    matched = counts["withdrawals"] - counts["unmatched"] - counts["gone"]
    verdicts = [
        judge(
            "consent",
            "unmatched_withdrawals",
            counts["unmatched"],
            f"Of {format_number(counts['withdrawals'])} withdrawals {format_number(matched)} match a customer, "
            f"{format_number(counts['gone'])} are of people who are gone, {format_number(counts['unmatched'])} match no customer",
            high=counts["allowed"],
        )
    ]
    if counts["addresses"] is None:
        verdicts.append(
            pass_unjudged(
                "consent",
                "addresses",
                "No customer has an address, so they are kept elsewhere: nobody is left out for want of one, and "
                "nobody knows here who shares one",
            )
        )
    if unknown_types:
        rows = sum(unknown_types.values())
        listed = ", ".join(f"{name} ({format_number(count)})" for name, count in unknown_types.items())
        text = f"campaign_events: rows of types that are not known: {listed}"
        verdicts.append(Verdict("consent", "unknown_event_types", float(rows), None, None, True, text))
    return verdicts
