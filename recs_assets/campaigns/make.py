"""One campaign at one week: its query is answered, its rules choose, the choice is explained and measured.

Arrays and frames; the assets around it are in `defs.campaigns`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets import __version__
from recs_assets.arrays import is_stored, rank_within
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.load import load_pages_and_ends
from recs_assets.delivery import (
    HOLDOUT,
    assign_arms,
    derive_recommendation_ids,
    find_expiry,
    find_send_time,
    tag_urls,
)
from recs_assets.evaluation.bootstrap import paired_difference
from recs_assets.evaluation.metrics import per_customer
from recs_assets.evaluation.promotion import ORDER, decide, decision_sentence
from recs_assets.files import replaced
from recs_assets.known.interactions import Known
from recs_assets.queries.syntax import Query, QueryError
from recs_assets.ranking.candidates import Candidates
from recs_assets.reasons.evidence import Citable, Offers
from recs_assets.reasons.explain import explain_slots
from recs_assets.reasons.offers import load_offers
from recs_assets.reasons.traces import explained, explained_by_source, pairs_of, with_ids
from recs_assets.recommenders.item_knn import find_similar_products
from recs_assets.repeats.cadence import cadence, due_again
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.facts import load_facts
from recs_assets.rules.filling import Placement
from recs_assets.rules.naming import nameable
from recs_assets.rules.pipeline import select
from recs_assets.rules.price_tags import ALL_RULES, price_tags
from recs_assets.rules.recipients import REASONS
from recs_assets.rules.rehearsal import rehearsed
from recs_assets.rules.review import EXCLUSION_KEYS, in_force, review, shortage, spell_rule
from recs_assets.rules.review import unknown_names as unknown_rule_names
from recs_assets.rules.selection import TOO_FEW, Selection
from recs_assets.rules.sensitive import SensitiveGoods
from recs_assets.schema import ArtefactError, GateError, RecsError
from recs_assets.shop import Shop
from recs_assets.training import Plan, Prediction, answer_task, list_unknown_names, prepare_query
from recs_assets.training.plans import midnight, window_days
from recs_assets.training.products import Products
from recs_assets.training.tasks import Task
from recs_assets.week.blocks import blocks
from recs_assets.week.week import Week

# Ranked rows per customer that the rules choose from; at least twice the slots.
DEPTH = 100
# Products kept per recipient beyond the slots, for those that are gone when the files are written.
RESERVES = 4
# Similar products by co-purchase that diversity looks at.
COPURCHASED = 50
# Makes the lists where there is nothing to learn from: every recommender's, by reciprocal rank fusion.
FUSED = "fused_lists"
# The query's own model.
QUERY = "query"
# Of the personal frequency that an email must beat: what the customer bought, the often and lately bought first.
FREQUENCY = "repurchase"
# The lists as the rules fill them, among the models of a test.
AS_SENT = "as_sent"
# In place of a campaign's name: pages are not sent.
STOREFRONT = ""
# Ranks become scores by this less the rank; no list is longer (RECS_CANDIDATES).
LONGEST = 1001

# What may become of a customer. The last three are found when the week's tables are put together.
SELECTED, NOTHING, NOT_ANSWERED = "selected", "nothing_predicted", "query_not_answered"
WITHDRAWN, UNAVAILABLE, JOINED_LATER = "withdrawn_since", "product_gone_since", "not_known_then"
OUTCOMES = (
    SELECTED, *REASONS, TOO_FEW, HOLDOUT, NOTHING, NOT_ANSWERED, WITHDRAWN, UNAVAILABLE, JOINED_LATER,
)  # fmt: skip

FACTS = "campaign.json"


class LateError(RecsError):
    """An email would go out when the days that it is about are over."""


def check_send_time(
    campaign: Campaign, shop: Shop, week: date, query: Query | None = None, now: datetime | None = None
) -> datetime:
    """When a week's email goes out, in UTC.

    Args:
        campaign: whose schedule.
        shop: whose time zone.
        week: the anchor.
        query: the campaign's as it was answered; as its file has it where None.
        now: a later tick of the schedule; the first one of the week where None.

    Raises:
        LateError: the window of the query is over by then.
    """
    at = now or find_send_time(campaign, week, shop.timezone)
    days = math.ceil(window_days(query or campaign.target, week))
    if at.astimezone(ZoneInfo(shop.timezone)).replace(tzinfo=None) >= midnight(week) + timedelta(days=days):
        zone = ZoneInfo(campaign.schedule.timezone or shop.timezone)
        raise LateError(
            f"The campaign {campaign.name} of the week {week} would go out on {at.astimezone(zone):%Y-%m-%d at %H:%M} "
            f"({zone}), when the {days} days that its query looks ahead are over: make it of a later week, or change "
            "schedule.cron or the window in its file. Nothing of it is made or exported."
        )
    return at


@dataclass(frozen=True)
class Made:
    """What a campaign made of a week.

    Attributes:
        tables: name -> rows with ids: selection (customer_id, slot, product_id, ...), predictions
            (customer_id, item, rank, ...), outcomes (customer_id, outcome: one row per customer),
            rules (step, rule, removed, customers), price_tags, tests, traces, reserves (the selection
            and the products after it, with their limits: `rules.selection.Selection.reserves`). All but
            outcomes may be empty, and then have no columns.
        facts: for people, JSON.
    """

    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any]

    def write(self, folder: Path) -> None:
        """One Parquet file per table and `campaign.json`, under `folder`, replaced in whole."""
        with replaced(folder) as aside:
            for name, rows in self.tables.items():
                rows.to_parquet(aside / f"{name}.parquet", index=False)
            facts = json.dumps(self.facts, indent=1, sort_keys=True)
            (aside / FACTS).write_text(facts, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Made:
        """What `write` wrote.

        Raises:
            ArtefactError: a file is missing or broken.
        """
        try:
            tables = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
        except (OSError, ValueError) as error:
            raise _unreadable(folder, error) from error
        return cls(tables, facts_of(folder))


def facts_of(folder: Path) -> dict[str, Any]:
    """`Made.facts` of what lies under `folder`.

    Raises:
        ArtefactError: the file is missing or broken.
    """
    try:
        return json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> ArtefactError:
    return ArtefactError(f"{folder} cannot be read ({error}): materialise the campaign again.")


def rules_said(facts: Mapping[str, Any]) -> list[str]:
    """Every rule's value in force, a line each; nothing of a campaign without slots."""
    lines = [f"  {key}: {value}{' *' if default else ''}" for key, value, default in facts.get("rules", ())]
    return ["Rules in force (* is a default):", *lines] if lines else []


def said(facts: Mapping[str, Any]) -> list[str]:
    """What a run says of a campaign beside its counts: why its query has no answer, who makes its lists and what
    they are worth, what its file asks for and the shop does not have, what was done otherwise than the defaults say,
    which rule leaves customers without a list."""
    found = attention(facts)
    told = [*(facts.get(name) for name in ("verdict", "worth")), *facts.get("notes", ())]
    return [*found, *(text for text in told if text and text not in found)]


def attention(facts: Mapping[str, Any]) -> list[str]:
    """Of what a run says of a campaign, what somebody should look at."""
    found = [f"Its query cannot be answered. {facts['problem']}"] if facts.get("problem") else []
    if not facts.get("earns", True) and facts.get("worth"):
        found.append(facts["worth"])
    found += facts.get("problems", ())
    if facts.get("shortage"):
        found.append(f"{facts['shortage'][:1].upper()}{facts['shortage'][1:]}.")
    return found


def folder_of(week: Week, name: str) -> Path:
    return week.build.folder / "campaigns" / name


def context_of(
    week: Week,
    anchor: date,
    name: str,
    rules: Rules,
    audience: np.ndarray | None = None,
    admitted: np.ndarray | None = None,
    placement: Placement = "email",
) -> Context:
    """What the rules of a campaign look at, as known at an anchor of the week.

    Content vectors and sensitive goods are the week's at every anchor: products and their texts have no date.

    Args:
        week: of the run.
        anchor: what is dated on it or later stays out.
        name: of the campaign, for its sends.
        rules: the campaign's; what none of them asks for is not worked out.
        audience: bool[n_customers], who passes the query's WHERE; None: everybody.
        admitted: bool[n_products], what passes the target's filter; the others count as not available.
        placement: a page needs to know neither what was sent nor which products are alike.
    """
    known = week.known(anchor)
    if admitted is not None and not admitted.all():
        known = replace(known, products=known.products.assign(available=known.available & admitted))
    settings, likeness = week.settings, {}
    frames = None if placement == "email" else {"products", "customers", "carts", "rejected"}
    if placement == "email":
        content = week.model("content")
        likeness = {
            "factors": content.vectors_,
            "copurchase": find_similar_products(
                known.history, COPURCHASED, "cosine", threads=settings.threads
            ),
        }
    with week.read_with_snapshot() as connection:
        facts = load_facts(connection, anchor, name, frames)
    context = Context.of_frames(
        known,
        **facts,
        audience=audience,
        sensitive=week.shop.sensitive.among(known.products),
        **likeness,
    )
    parts = [rules, *(rules.of_segment(segment) for segment in rules.segments)]
    if any(
        part.items.only_due or part.items.bought_within_days is not None or part.slots.max_repeat is not None
        for part in parts
    ):
        rows, _ = due_list(week.shop, known)
        own, soon = rows[rows["replaces"] < 0], rules.items.due_within_days
        context = replace(context, due=_pair_matrix(own, known))
        if soon is not None:
            near = own["expected_next_day"] <= known.anchor_day + soon
            context = replace(context, due_soon=_pair_matrix(own[near], known))
    return context


def _pair_matrix(rows: pd.DataFrame, known: Known) -> sparse.csr_matrix:
    """int8 csr[n_customers, n_products] with a 1 per row."""
    pairs = (rows["customer"].to_numpy(), rows["product"].to_numpy())
    return sparse.csr_matrix(
        (np.ones(len(rows), dtype=np.int8), pairs), shape=(known.n_customers, known.n_products)
    )


def storefront_context(week: Week, anchor: date, rules: Rules) -> Context:
    """What the rules of the shop's own pages look at, as known at an anchor of the week."""
    return context_of(week, anchor, STOREFRONT, rules, placement="page")


def citable_of(context: Context, rules: Rules) -> Citable:
    """What the sentences of lists made under these rules may name."""
    return Citable(*nameable(context, rules))


def list_unknown_storefront_names(week: Week) -> list[str]:
    """One sentence per name in the storefront's rules that the shop does not have; none where the week's build is gone."""
    rules = Rules(items=week.shop.storefront.rules)
    if not any(getattr(rules.items, key) for key in EXCLUSION_KEYS) or not week.build.path.exists():
        return []
    context = Context(week.known())
    return [f"{week.shop.path('storefront').name}: {text}" for text in unknown_rule_names(rules, context)]


def due_list(shop: Shop, known: Known, limit: int | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of `rules.cadence.due_again` with the shop's thresholds, and what they took out."""
    settings = shop.settings
    return due_again(
        known,
        cadence(known, shop.horizon_days),
        due_ratio=settings.buy_again_due_ratio,
        repeat_share=settings.buy_again_repeat_share,
        limit=limit,
    )


def make(
    campaign: Campaign,
    week: Week,
    say: Callable[[str], None] = lambda message: None,
) -> Made:
    """Answer the campaign's query at the week and fill its slots.

    A query that this shop's data cannot answer is no fault of the week: a ranking of products then
    takes every recommender's lists, fused by rank, anything else predicts nothing, and `facts["problem"]`
    says why.

    Args:
        campaign: as its file says.
        week: whose lists and features are read.
        say: is told about the progress.

    Raises:
        LateError: the email would go out after the query's window.
        GateError: the outcomes do not add up to the customers.
        WarehouseError, ArtefactError: the week is not complete.
    """
    check_send_time(campaign, week.shop, week.as_of)  # before anything is learnt
    depth = max(DEPTH, 2 * campaign.slots.k) if campaign.lists_products else None
    found, task, predicted, problem = None, None, None, ""
    try:
        found, task = prepare_query(campaign.target, week, campaign.view)
        predicted = answer_task(found, task, depth, say)
    except QueryError as error:
        problem = error.sentence
        say(f"The query cannot be answered: {problem}")
    facts = {
        "campaign": campaign.name,
        "as_of": week.as_of.isoformat(),
        "problem": problem,
        "note": "" if found is None else found.note,
        "eligible": None if predicted is None else predicted.eligible,
        "features": [] if predicted is None else list(predicted.features),
        "problems": list_unknown_names(campaign.target, week),
    }
    check_send_time(campaign, week.shop, week.as_of, None if found is None else found.query)
    if not campaign.lists_products or task is None:
        made = _predicted(campaign, week, task, predicted, facts)
    else:
        made = _Email(campaign, week, found, task, predicted, depth).made(facts)
    outcomes, customers = made.tables["outcomes"], week.known().customers["customer_id"]
    if len(outcomes) != len(customers) or not outcomes["customer_id"].equals(customers.rename("customer_id")):
        raise GateError(
            f"The campaign {campaign.name} accounts for {len(outcomes)} of {len(customers)} customers: "
            "nothing of it is published; this is a fault of the program, please report it."
        )
    return made


def _predicted(
    campaign: Campaign,
    week: Week,
    task: Task | None,
    predicted: Prediction | None,
    facts: dict[str, Any],
) -> Made:
    """A campaign without slots: its predictions as they are, but for sensitive goods (`admit_predictions`)."""
    known = week.known()
    outcome = np.full(known.n_customers, NOT_ANSWERED, dtype=object)
    if task is not None and predicted is not None:
        outcome = np.where(task.eligible(week.as_of), NOTHING, "not_in_audience").astype(object)
    tables = {
        name: pd.DataFrame()
        for name in ("selection", "reserves", "predictions", "rules", "price_tags", "traces")
    }
    tests = pd.DataFrame()
    if predicted is not None:
        table = predicted.table
        if predicted.item is not None:
            table = table[admit_predictions(table, predicted.item, known, week.shop.sensitive)]
            table = _close_ranks(table).rename(columns={predicted.item: "item"})
        outcome[known.customers["customer_id"].isin(table["customer_id"]).to_numpy()] = SELECTED
        first = {"item": None, "rank": 1, "score": np.nan, "probability": np.nan, "prediction": np.nan}
        for name, value in first.items():
            if name not in table:
                table = table.assign(**{name: value})
        tables["predictions"] = table[["customer_id", *first]]
        tests = _tests(predicted, predicted.chosen)
        facts["customers"] = int((outcome == SELECTED).sum())
    return Made({**tables, "outcomes": _outcomes(known.customers, outcome), "tests": tests}, facts)


def admit_predictions(table: pd.DataFrame, item: str, known: Known, goods: SensitiveGoods) -> np.ndarray:
    """bool[rows]: which predictions may be made, as far as sensitive goods go.

    A category, brand or vertical is as quiet as its own name, and as what all its products are: of what is never
    offered nothing is predicted, and what is never discovered only for customers who bought such goods of it.

    Args:
        table: customer_id and, by its own name, what was predicted.
        item: product_id, category, brand or vertical.
        known: the week's.
        goods: of the shop.
    """
    group, values = pd.factorize(known.products[item])
    found = goods.among(known.products)

    def members(chosen: np.ndarray) -> sparse.csr_matrix:
        """bool csr[n_products, n_values] of the chosen products."""
        rows = np.flatnonzero(chosen & (group >= 0))
        shape = (len(group), len(values))
        return sparse.csr_matrix((np.ones(len(rows), dtype=bool), (rows, group[rows])), shape=shape)

    label = "brand" if item == "brand" else "category"
    own = goods.among(pd.DataFrame({"name": None, "brand": None, "category": None, label: values}))

    def of_values(level: str) -> np.ndarray:
        whole = members(~getattr(found, level)).getnnz(axis=0) == 0
        # An id says nothing of what it stands for.
        return whole if item == "product_id" else whole | getattr(own, level)

    never, quiet = of_values("never_offer"), of_values("never_discover")
    bought = known.history.astype(bool) @ members(found.never_discover)
    bought.sort_indices()
    value = pd.Index(values).get_indexer(table[item])
    customer = pd.Index(known.customers["customer_id"]).get_indexer(table["customer_id"])
    refused = never[value] | (quiet[value] & ~is_stored(bought, customer, value))
    return (value < 0) | ~refused


def _close_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by customer and rank, some of which were taken out: the ranks of those that stay close up."""
    if "rank" not in table:
        return table
    rank = rank_within(table["customer_id"].to_numpy())
    return table.assign(rank=rank.astype(table["rank"].dtype))


def _outcomes(customers: pd.DataFrame, outcome: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": customers["customer_id"].to_numpy(), "outcome": outcome})


def _tests(predicted: Prediction, chosen: str) -> pd.DataFrame:
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
    return _tested(table.assign(chosen=table["model"] == chosen), predicted.plan)


def _tested(table: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    names = ["metric", "model", "item", "value", "difference", "ci_low", "ci_high", "customers", "chosen"]
    return table.reindex(columns=names).assign(anchor=plan.test)


class _Email:
    """A campaign that ranks products and fills slots."""

    def __init__(
        self,
        campaign: Campaign,
        week: Week,
        plan: Plan,
        task: Products,
        predicted: Prediction | None,
        depth: int,
    ) -> None:
        self.campaign, self.week, self.shop = campaign, week, week.shop
        self.plan, self.task, self.predicted, self.depth = plan, task, predicted, depth
        self.as_of, self.seed = plan.as_of, week.settings.seed
        self.known = self.week.known()
        self.sent_at = check_send_time(campaign, self.shop, self.as_of, plan.query)
        local = self.sent_at.astimezone(ZoneInfo(self.shop.timezone)).replace(tzinfo=None)
        self.delay = local - midnight(self.as_of)
        with week.build.read() as connection:
            self.products = load_pages_and_ends(connection, self.as_of, local).set_index("product_id")
        self.chosen, self.verdict = (
            (FUSED, "") if predicted is None else _decided(predicted.compared, self.seed)
        )

    def made(self, facts: dict[str, Any]) -> Made:
        context, ranked = self._context(self.as_of), self._ranked(self.as_of)
        choice = select(ranked, context, self.campaign.rule_set, trace=True, reserves=RESERVES)
        citable = citable_of(context, self.campaign.rule_set)
        rows, traces = self._explained(choice.reserves, citable)
        rows["bought_before"] = is_stored(
            self.known.history, rows["customer"].to_numpy(), rows["product"].to_numpy()
        )
        named = with_ids(rows, self.known, self.as_of).drop(columns="as_of")
        for name in ("slot_type", "fallback_level", "sent_before"):
            named[name] = named[name].astype(str)
        named = self._add_recipients(named)
        filled = (rows["slot"] <= self.campaign.slots.k).to_numpy()
        limits = {*choice.reserves} - {*choice.rows}
        selection = named.loc[filled, [name for name in named if name not in limits]].reset_index(drop=True)
        rows = rows[filled]
        if len(traces):
            traces = traces.merge(selection[["customer_id", "product_id"]], on=["customer_id", "product_id"])
        outcome = np.full(self.known.n_customers, SELECTED, dtype=object)
        outcome[choice.suppressed["customer"].to_numpy()] = choice.suppressed["reason"].to_numpy()
        held = (selection["arm"] == HOLDOUT).to_numpy()
        outcome[self.known.customers["customer_id"].isin(selection.loc[held, "customer_id"]).to_numpy()] = (
            HOLDOUT
        )
        tests, tags, tested, (worth, proven) = self._tested()
        rules, found = self.campaign.rule_set, review(self.campaign.rule_set, context, ranked, choice)
        facts |= {
            "chosen": self.chosen,
            "verdict": self.verdict,
            "customers": int((outcome == SELECTED).sum()),
            "forecast_purchases": round(float(selection.loc[~held, "p_purchase"].sum()), 3),
            "test": tested,
            "rules": in_force(rules),
            "problems": [*facts["problems"], *found.problems],
            "notes": list(found.notes),
            "worth": worth,
            "earns": proven,
            "shortage": shortage(rules, context, ranked, choice),
        }
        tables = {
            "selection": selection,
            "reserves": named,
            "predictions": pd.DataFrame(),
            "outcomes": _outcomes(self.known.customers, outcome),
            "rules": _rules(choice),
            "price_tags": tags,
            "tests": tests,
            "traces": traces,
        }
        return Made(tables, facts)

    def _add_recipients(self, selection: pd.DataFrame) -> pd.DataFrame:
        """The selection with what an email carries beside its products (`exports.email.LONG`)."""
        campaign, as_of = self.campaign, self.as_of
        days = math.ceil(window_days(self.plan.query, as_of))
        product = self.products.reindex(selection["product_id"]).set_axis(selection.index)
        rows = selection.assign(campaign=campaign.name, as_of=as_of, window_days=days, url=product["url"])
        rows["arm"] = assign_arms(rows["customer_id"], campaign.name, campaign.arms)
        rows["recommendation_id"] = derive_recommendation_ids(rows)
        rows["url"] = tag_urls(rows, campaign.utm_source)
        rows["send_at"] = pd.Timestamp(self.sent_at).as_unit("us")
        rows["expires_at"] = find_expiry(as_of, days, self.shop.timezone, product[["sale_end", "offer_end"]])
        rows["model_version"] = f"{self.chosen} {__version__}"
        return rows.drop(columns=["campaign", "as_of"])

    def _admit_products(self, anchor: date) -> np.ndarray:
        """bool[n_products]: what passes the target's filter and is still sold when the email goes out, so long
        after the anchor as after the week."""
        known = self.week.known(anchor)
        ends = pd.to_datetime(self.products["sale_end"].reindex(known.products["product_id"]))
        over = (ends <= midnight(anchor) + self.delay).to_numpy()
        return self.task.admitted(anchor) & ~over

    def _context(self, anchor: date) -> Context:
        task = self.task
        return context_of(
            self.week,
            anchor,
            self.campaign.name,
            self.campaign.rule_set,
            task.eligible(anchor),
            self._admit_products(anchor),
        )

    def _ranked(self, anchor: date) -> pd.DataFrame:
        """What the rules choose from, at the week or the test anchor: the rows of the model that was chosen, and for
        discovery the best that the query's model says of products that the customer never bought."""
        if self.chosen == FUSED:
            parts = []
            for pool in self._pools(anchor):
                rows = pool.ranked(pool.rrf, self.depth)
                parts.append(rows.assign(source=pool.best_source()[rows["row"].to_numpy()]))
            return pd.concat(parts, ignore_index=True)[["customer", "product", "score", "source"]]
        predicted = self.predicted.rows if anchor == self.as_of else self.predicted.tested
        predicted = predicted.rename(columns={"probability": "p_purchase"})
        if self.chosen == QUERY:
            return predicted
        known = self.week.known(anchor)
        rows = self._list_of(self.chosen, anchor).assign(source=self.chosen)
        rows = rows.merge(
            predicted[["customer", "product", "p_purchase"]], how="left", on=["customer", "product"]
        )
        least = predicted.groupby("customer")["p_purchase"].min()
        rows["p_purchase"] = (
            rows["p_purchase"].fillna(rows["customer"].map(least)).fillna(0).astype(np.float32)
        )
        new = predicted[
            ~is_stored(known.history, predicted["customer"].to_numpy(), predicted["product"].to_numpy())
        ]
        # A probability is less than the score of any row of the list.
        new = new.assign(score=new["p_purchase"] / 2, source=new["source"].astype(str))
        both = pd.concat([rows, new], ignore_index=True)
        both = both[~both.duplicated(["customer", "product"])]
        return both[["customer", "product", "score", "p_purchase", "source"]]

    def _list_of(self, name: str, anchor: date) -> pd.DataFrame:
        """A recommender's list among the query's candidates: customer, product, rank, and score, which falls by 1."""
        parts = []
        for pool in self._pools(anchor):
            rank = pool.sources[f"{name}:new" if self.campaign.view == "new" else name][0]
            listed = np.isfinite(rank)
            parts.append(pool.ranked(np.where(listed, LONGEST - rank, 0), self.depth, listed))
        return pd.concat(parts, ignore_index=True)[["customer", "product", "rank", "score"]]

    def _pools(self, anchor: date) -> Iterator[Candidates]:
        for first, last in blocks(self.week.known(anchor)):
            yield self.task.pool(anchor, first, last)

    def _explained(self, rows: pd.DataFrame, citable: Citable) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The selected rows with probability and reason, and their traces with ids.

        Every row gets the probability of the query's own ranker, also where another list or a rule
        put it there.
        """
        week = self.week
        pairs = pairs_of(rows)
        fitted = week.models()
        offers, sentences = self._offers(), self.shop.sentences
        traces = pd.DataFrame()
        if self.predicted is None or pairs.empty:
            found = explained_by_source(pairs, self.known, fitted, citable, offers, sentences)
            found = found.assign(p_purchase=np.nan)
        else:
            learned = self.predicted.learned
            features = learned.ranker.features_
            pool = partial(self.task.pool, self.as_of)
            frames = week.published_frames(pairs, features, pool)
            found, traces = explained(
                pairs,
                self.known,
                fitted,
                learned.ranker,
                learned.calibrator,
                ((some, X) for _, some, X in frames),
                self.chosen == QUERY,
                citable,
                offers,
                sentences,
            )
            traces = with_ids(traces, self.known, self.as_of).drop(columns="as_of")
        merged = rows.drop(columns="p_purchase").merge(
            found.drop(columns="source"), on=["customer", "product"], how="left"
        )
        merged = merged.astype({"reason_code": object, "reason_text": object, "reason_family": object})
        by_slot = explain_slots(merged, self.known, citable, sentences, fitted)
        ruled = (by_slot["reason_code"] != "").to_numpy()
        for name in ("reason_code", "reason_text", "because_product", "because_day"):
            merged.loc[ruled, name] = by_slot.loc[ruled, name]
        for name, value in {
            "reason_family": "", "support": np.nan, "confidence": np.nan,
        }.items():  # fmt: skip
            merged.loc[ruled, name] = value
        return merged, traces

    def _offers(self) -> Offers:
        """Price advantages from the day of sending to the end of the campaign's window."""
        sent = self.sent_at.astimezone(ZoneInfo(self.shop.timezone)).date()
        end = self.as_of + timedelta(days=math.ceil(window_days(self.plan.query, self.as_of)))
        with self.week.build.read() as connection:
            kinds = self.shop.source.words.price_promotions
            return load_offers(connection, self.as_of, sent, end, kinds)

    def _tested(self) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float], tuple[str, bool]]:
        """The test's metrics, the rules' price tags, the filled slots against what was bought, and what the email as it
        is sent is worth (`_worth`)."""
        if self.predicted is None:
            return pd.DataFrame(), pd.DataFrame(), {}, ("", True)
        test, rules, truth = self.plan.test, self.campaign.rule_set, self.predicted.truth
        ranked, asked = self._ranked(test), np.flatnonzero(self.task.eligible(test))
        days = days_between_sends(self.campaign, self.shop, test)
        context = rehearsed(ranked, self._context(test), rules, asked, days)
        choice = select(ranked, context, rules, asked)
        margin = None if context.cost is None else context.price - context.cost
        if margin is not None and not np.isfinite(margin).any():
            margin = None
        tags = price_tags(ranked, context, rules, truth, margin, asked)
        tags = tags.assign(anchor=test, step=range(1, len(tags) + 1))
        listed, measured = _slots_tested(choice, truth, context.factors, self.seed)
        sent, worth = self._as_sent(choice)
        tests = pd.concat(
            [
                _tests(self.predicted, self.chosen),
                _tested(pd.concat([sent, listed]).assign(chosen=True), self.plan),
            ],
            ignore_index=True,
        )
        return tests, tags, measured | worth, _worth(sent, tags)

    def _as_sent(self, choice: Selection) -> tuple[pd.DataFrame, dict[str, float]]:
        """The lists as they are sent beside those of every model that was tested, for the customers who get one and
        bought something at the test anchor.

        Returns:
            Rows of metric map@12: model "as_sent", and model "as_sent less <model>", whose value is that model's and
            whose difference is what the email has more, with its paired interval. And the figures as a dictionary.
        """
        rows = choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]
        some = np.unique(rows["customer"].to_numpy())
        some = some[np.diff(self.predicted.truth.indptr)[some] > 0]
        if len(some) == 0:
            return pd.DataFrame(columns=["metric", "model", "item", "value"]), {}
        truth, test = self.predicted.truth, self.plan.test
        lists = {QUERY: self.predicted.tested, FREQUENCY: self._list_of(FREQUENCY, test)}
        if self.chosen not in lists:
            lists[self.chosen] = self._list_of(self.chosen, test)
        mine = per_customer(rows, truth, some, [12])["map", 12]
        lines = [{"model": AS_SENT, "value": mine.mean()}]
        for name, other in lists.items():
            if other.empty:
                continue
            theirs = per_customer(other, truth, some, [12])["map", 12]
            difference, low, high = paired_difference(mine, theirs, self.seed)
            lines.append(
                {"model": f"{AS_SENT} less {name}", "value": theirs.mean(), "difference": difference, "ci_low": low, "ci_high": high}
            )  # fmt: skip
        found = pd.DataFrame(lines).assign(metric="map@12", item="all", customers=len(some))
        return found, {f"map@12 {line['model']}": round(float(line["value"]), 6) for line in lines}


def days_between_sends(campaign: Campaign, shop: Shop, anchor: date) -> int:
    """Days from the first send at or after the anchor to the next one."""
    first = find_send_time(campaign, anchor, shop.timezone)
    return max(
        1,
        round(
            (find_send_time(campaign, first.date() + timedelta(days=1), shop.timezone) - first)
            / timedelta(days=1)
        ),
    )


def _worth(sent: pd.DataFrame, tags: pd.DataFrame) -> tuple[str, bool]:
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


def _decided(compared: Mapping[str, np.ndarray], seed: int) -> tuple[str, str]:
    """Who makes the lists, and one sentence why: by the rule of the week's own lists (`promotion.decide`) the simplest
    model that no other is proven to beat, the query's own being the most complex."""
    models = [name for name, values in compared.items() if name == QUERY or values.any()]
    if not any(values.any() for values in compared.values()):
        return (
            QUERY,
            "The query's model makes the lists: nobody bought anything that a list held in the test's window.",
        )
    order = [name for name in ORDER if name in models]
    order += [name for name in models if name not in (*order, QUERY)]
    decision = decide({name: compared[name] for name in models}, (*order, QUERY), seed=seed)
    return decision.chosen, decision_sentence(
        decision.comparisons, decision.chosen, "The campaign's lists are"
    )


def _rules(choice: Selection) -> pd.DataFrame:
    customers = choice.traced.groupby("rule")["customer"].nunique()
    rules = choice.removed.index
    return pd.DataFrame(
        {
            "step": range(1, len(rules) + 1),
            "rule": rules,
            "removed": choice.removed.to_numpy(),
            "customers": customers.reindex(rules, fill_value=0).to_numpy(),
        }
    )


def _slots_tested(
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
            difference, low, high = paired_difference(both[:, 0], both[:, 1], seed)
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


def rules_at_test(
    candidates: pd.DataFrame, context: Context, rules: Rules
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lists as a campaign's rules would cut them: for following purchases through the rules.

    Args:
        candidates: customer, product, score.
        context: of their anchor.
        rules: the campaign's.

    Returns:
        The lists: customer, product, rank. And what was taken out: customer, product, rule, which for
        customers who may not be written to is the reason.
    """
    # The boost multiplies probabilities, which other models' lists lack.
    choice = select(candidates, context, rules, without=("margin_boost",), trace=True)
    refused = candidates[["customer", "product"]].merge(choice.suppressed, on="customer")
    return choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]], pd.concat(
        [choice.traced, refused.rename(columns={"reason": "rule"})], ignore_index=True
    )
