"""What a campaign and its rules are worth, measured at the test anchor."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from recs_assets.arrays import is_stored
from recs_assets.campaigns.lists import AS_SENT, FREQUENCY, QUERY
from recs_assets.campaigns.sending import count_days_between_sends
from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.evaluation.metrics import measure_customers
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.frontier import measure_frontier
from recs_assets.rules.items import WEIGHING
from recs_assets.rules.pipeline import select
from recs_assets.rules.price_tags import ALL_RULES, price_rules
from recs_assets.rules.rehearsal import rehearse
from recs_assets.rules.review import spell_rule
from recs_assets.rules.selection import Selection
from recs_assets.training import Plan, Prediction

if TYPE_CHECKING:
    from recs_assets.campaigns.email import Email


# Rules that may cost more than they bring before somebody is told.
COSTLY = 5


class Measured(NamedTuple):
    """What an email and its rules are worth.

    Attributes:
        tests: the test's metrics.
        tags: the rules' price tags.
        frontier: what its goal trades (`rules.frontier`).
        figures: the filled slots against what was bought.
        worth: what the email as it is sent is worth, and whether that is proven (`describe_worth`).
    """

    tests: pd.DataFrame = pd.DataFrame()
    tags: pd.DataFrame = pd.DataFrame()
    frontier: pd.DataFrame = pd.DataFrame()
    figures: Mapping[str, float] = MappingProxyType({})
    worth: tuple[str, bool] = ("", True)


def measure(email: Email) -> Measured:
    """What an email and its rules are worth at the test anchor."""
    if email.predicted is None:
        return Measured()
    test, rules, truth = email.plan.test, email.rules, email.predicted.truth
    ranked, context, asked = rehearse_test(email)
    threads = email.week.settings.threads
    choice = select(ranked, context, rules, asked, threads=threads)
    margin = None if context.cost is None else context.price - context.cost
    if margin is not None and not np.isfinite(margin).any():
        margin = None
    tags = price_rules(ranked, context, rules, truth, margin, asked, threads, choice)
    tags = tags.assign(anchor=test, step=range(1, len(tags) + 1))
    listed, measured = measure_slots(choice, truth, context.factors, email.seed)
    sent, worth = _measure_as_sent(email, choice)
    tests = pd.concat(
        [
            tabulate_tests(email.predicted, email.chosen),
            _shape_test_rows(pd.concat([sent, listed]).assign(chosen=True), email.plan),
        ],
        ignore_index=True,
    )
    frontier = measure_frontier(ranked, context, rules, truth, asked, threads)
    frontier = frontier.assign(anchor=test, step=range(1, len(frontier) + 1))
    return Measured(tests, tags, frontier, measured | worth, describe_worth(sent, tags))


def rehearse_test(email: Email) -> tuple[pd.DataFrame, Context, np.ndarray]:
    """What the rules choose from and look at, at the test anchor, and codes of the customers that the query asks for."""
    test = email.plan.test
    ranked, asked = email.rank_products(test), np.flatnonzero(email.task.eligible(test))
    days = count_days_between_sends(email.campaign, email.shop, test)
    threads = email.week.settings.threads
    return ranked, rehearse(ranked, email.build_context(test), email.rules, asked, days, threads), asked


def _measure_as_sent(email: Email, choice: Selection) -> tuple[pd.DataFrame, dict[str, float]]:
    """The lists as they are sent beside those of every model that was tested, for the customers who get one and
    bought something at the test anchor.

    Returns:
        Rows of metric map@12: model "as_sent", and model "as_sent less <model>", whose value is that model's and
        whose difference is what the email has more, with its paired interval. And the figures as a dictionary.
    """
    rows = choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]
    some = np.unique(rows["customer"].to_numpy())
    some = some[np.diff(email.predicted.truth.indptr)[some] > 0]
    if len(some) == 0:
        return pd.DataFrame(columns=["metric", "model", "item", "value"]), {}
    truth, test = email.predicted.truth, email.plan.test
    lists = {QUERY: email.predicted.tested, FREQUENCY: email.read_list(FREQUENCY, test)}
    if email.chosen not in lists:
        lists[email.chosen] = email.read_list(email.chosen, test)
    mine = measure_customers(rows, truth, some, [12])["map", 12]
    lines = [{"model": AS_SENT, "value": mine.mean()}]
    for name, other in lists.items():
        if other.empty:
            continue
        theirs = measure_customers(other, truth, some, [12])["map", 12]
        difference, low, high = compare_pairs(mine, theirs, email.seed)
        lines.append(
            {"model": f"{AS_SENT} less {name}", "value": theirs.mean(), "difference": difference, "ci_low": low, "ci_high": high}
        )  # fmt: skip
    table = pd.DataFrame(lines).assign(metric="map@12", item="all", customers=len(some))
    return table, {f"map@12 {line['model']}": round(float(line["value"]), 6) for line in lines}


def describe_worth(sent: pd.DataFrame, tags: pd.DataFrame) -> tuple[str, bool]:
    """What the email as sent is worth beside the customers' own frequent products and its raw list, in one sentence; of
    one that is not proven to beat them, the rule that costs most. And whether it is proven; "" and True where there is
    nothing to compare."""
    against = sent[sent["model"] == f"{AS_SENT} less {FREQUENCY}"] if len(sent) else sent
    if against.empty:
        return "", True
    row, joint = against.iloc[0], tags[tags["rule"] == ALL_RULES].iloc[0]
    proven = bool(row.ci_low > 0)
    verb = "beats" if proven else "is worse than" if row.ci_high < 0 else "is not proven to beat"
    gained, before = joint["purchases_gained"], joint["purchases_without"]
    text = (
        f"The email as sent {verb} a list of what each customer bought often "
        f"and lately: MAP@12 {row.value + row.difference:.4f} against {row.value:.4f}, difference {row.difference:.4f} "
        f"({row.ci_low:.4f} to {row.ci_high:.4f}); its rules change {before:.0f} purchases by {gained:+.0f}"
        f"{f' ({gained / before:+.1%})' if before else ''}."
    )
    rules = tags[tags["rule"] != ALL_RULES]
    if proven or rules.empty:
        return text, proven
    dearest = rules.loc[rules["purchases_gained"].idxmin()]
    if dearest["purchases_gained"] >= 0:
        return f"{text} None of its rules costs purchases; the lists themselves are no better.", False
    return (
        f"{text} The rule that costs most is {spell_rule(dearest['rule'])}: without it {-dearest['purchases_gained']:.0f} "
        f"purchases more than {dearest['purchases']:.0f}.",
        False,
    )


def list_costly_rules(tags: pd.DataFrame) -> list[str]:
    """A sentence where more than `COSTLY` rules cost more purchases than they bring, and no margin instead, both by their
    intervals; none otherwise.

    Args:
        tags: of a campaign (`rules.price_tags.price_rules`); may have no rows, and then no columns.
    """
    if tags.empty:
        return []
    costly = tags[(tags["rule"] != ALL_RULES) & (tags["purchases_high"] < 0) & ~(tags["margin_low"] > 0)]
    if len(costly) <= COSTLY:
        return []
    costly = costly.sort_values(["purchases_gained", "step"], kind="stable")
    named = ", ".join(
        f"{spell_rule(rule)} ({gained:+.0f})"
        for rule, gained in zip(costly["rule"], costly["purchases_gained"], strict=True)
    )
    return [
        f"{len(costly)} of its rules cost more purchases at the test anchor than they bring, each by itself: {named}. Keep those that "
        "have another reason, such as what customers are spared."
    ]


def tabulate_tests(predicted: Prediction, chosen: str) -> pd.DataFrame:
    """The test's metrics, and those of every category, brand or vertical."""
    parts = [predicted.metrics.assign(item="all")]
    if predicted.by_value is not None and len(predicted.by_value):
        for metric, short in (("auroc", "auroc"), ("average_precision", "ap")):
            for model in ("query", "own_frequency", "popularity"):
                parts.append(
                    pd.DataFrame(
                        {
                            "metric": metric,
                            "model": model,
                            "item": predicted.by_value["value"],
                            "value": predicted.by_value[f"{short}_{model}"],
                            "customers": predicted.by_value["customers"],
                        }
                    )
                )
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return _shape_test_rows(table.assign(chosen=table["model"] == chosen), predicted.plan)


def _shape_test_rows(table: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    names = ["metric", "model", "item", "value", "difference", "ci_low", "ci_high", "customers", "chosen"]
    return table.reindex(columns=names).assign(anchor=plan.test)


def measure_slots(
    choice: Selection, truth: Any, factors: np.ndarray | None, seed: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The lists as the rules fill them, at the test anchor.

    Returns:
        Rows metric, model "list", item, value, and of discovery slots the difference to the personal
        ones of the same customers with its paired interval. precision: share of slots that were
        bought, mean over customers; hit_rate: customers with a hit; by slot type, and "all".
        diversity: 1 less the mean cosine of the contents of two products of a list.
        The same as a dictionary.
    """
    rows = choice.rows
    if rows.empty:
        return pd.DataFrame(columns=["metric", "model", "item", "value"]), {}
    hit = is_stored(truth, rows["customer"].to_numpy(), rows["product"].to_numpy())
    frame = pd.DataFrame({"customer": rows["customer"], "type": rows["slot_type"].astype(str), "hit": hit})
    by_type = frame.groupby(["type", "customer"])["hit"].mean()
    lines, measured = [], {}
    kinds = ["all", *by_type.index.unique(level="type")]
    for kind in kinds:
        share = frame.groupby("customer")["hit"].mean() if kind == "all" else by_type[kind]
        lines.append({"metric": "precision", "item": kind, "value": share.mean(), "customers": len(share)})
        lines.append(
            {"metric": "hit_rate", "item": kind, "value": (share > 0).mean(), "customers": len(share)}
        )
    if {"discovery", "personal"} <= set(kinds):
        both = pd.concat([by_type["discovery"], by_type["personal"]], axis=1, join="inner").to_numpy(float)
        if len(both):
            difference, low, high = compare_pairs(both[:, 0], both[:, 1], seed)
            at = next(line for line in lines if line["metric"] == "precision" and line["item"] == "discovery")
            at |= {"difference": difference, "ci_low": low, "ci_high": high}
    k = int(rows["slot"].max())
    if factors is not None and k > 1:
        vectors = factors[rows["product"].to_numpy()].reshape(-1, k, factors.shape[1]).astype(np.float64)
        own = np.square(vectors).sum(axis=(1, 2))
        alike = (np.square(vectors.sum(axis=1)).sum(axis=1) - own) / (k * (k - 1))
        lines.append(
            {"metric": "diversity", "item": "all", "value": 1 - alike.mean(), "customers": len(alike)}
        )
    for line in lines:
        measured[f"{line['metric']}_{line['item']}"] = round(float(line["value"]), 6)
    return pd.DataFrame(lines).assign(model="list"), measured


def apply_rules_at_test(
    candidates: pd.DataFrame, context: Context, rules: Rules, threads: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lists as a campaign's rules would cut them: for following purchases through the rules.

    Args:
        candidates: customer, product, score.
        context: of their anchor.
        rules: the campaign's.
        threads: as for `select`.

    Returns:
        The lists: customer, product, rank. And what was taken out: customer, product, rule, which for
        customers who may not be written to is the reason.
    """
    choice = select(candidates, context, rules, without=WEIGHING, trace=True, threads=threads)
    refused = candidates[["customer", "product"]].merge(choice.suppressed, on="customer")
    return choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]], pd.concat(
        [choice.traced, refused.rename(columns={"reason": "rule"})], ignore_index=True
    )
