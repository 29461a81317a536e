"""A campaign that ranks products and fills slots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets import __version__
from recs_assets.arrays import PairIndex, is_stored
from recs_assets.campaigns.arms import Arms
from recs_assets.campaigns.beyond import Beyond
from recs_assets.campaigns.blocks import Part, join_tables
from recs_assets.campaigns.context import build_context, find_citable
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.lists import (
    FUSED,
    LONGEST,
    QUERY,
    choose_model,
    explain_silence,
    read_own_list,
    tell_apart_unlisted,
)
from recs_assets.campaigns.load import load_pages_and_ends
from recs_assets.campaigns.made import SELECTED, Made, tabulate_outcomes
from recs_assets.campaigns.measure import list_costly_rules, measure
from recs_assets.campaigns.sending import check_send_time
from recs_assets.campaigns.storefront import BLEND, POOL
from recs_assets.delivery import (
    HOLDOUT,
    derive_recommendation_ids,
    find_expiry,
    tag_urls,
)
from recs_assets.ranking.blend import blend
from recs_assets.ranking.candidates import Candidates
from recs_assets.reasons.evidence import Citable, Offers
from recs_assets.reasons.explain import explain_slots
from recs_assets.reasons.offers import load_offers
from recs_assets.reasons.traces import Scorer, Wording, add_ids, explain_rows
from recs_assets.recommenders import REGISTRY
from recs_assets.rules.context import Context
from recs_assets.rules.items import NAMES
from recs_assets.rules.pipeline import select
from recs_assets.rules.review import (
    Review,
    explain_shortage,
    find_short,
    list_past_boosts,
    list_rules_in_force,
    look_at,
    review,
)
from recs_assets.rules.selection import DRAWS, REMOVED, Selection
from recs_assets.training import Plan, Prediction
from recs_assets.training.plans import midnight, window_days
from recs_assets.training.products import Products
from recs_assets.week.blocks import blocks
from recs_assets.week.week import SOURCES, Week

# Who is in no experiment, because no arm could reach them.
UNREACHABLE = ("no_address", "unusable_address", "bounced", "test_account", "wholesale")
# Products kept per recipient beyond the slots, for those that are gone when the files are written.
RESERVES = 4


@dataclass(frozen=True)
class Filled:
    """The slots of some customers.

    Attributes:
        context: what the rules looked at.
        ranked: what they chose from.
        choice: what they chose.
        rows: of `Made.tables["selection"]`.
        traces: of the slots that are filled.
    """

    context: Context
    ranked: pd.DataFrame
    choice: Selection
    rows: pd.DataFrame
    traces: pd.DataFrame


class Email:
    """A campaign that ranks products and fills slots."""

    def __init__(
        self,
        campaign: Campaign,
        week: Week,
        plan: Plan,
        task: Products,
        predicted: Prediction | None,
        depth: int,
        chosen: tuple[str, str] | None = None,
        beyond: Beyond | None = None,
    ) -> None:
        """Of a block of customers `chosen` is what the whole week chose and why, and `beyond` what it found out."""
        self.campaign, self.week, self.shop = campaign, week, week.shop
        self.plan, self.task, self.predicted, self.depth = plan, task, predicted, depth
        self.as_of, self.seed, self.known = plan.as_of, week.settings.seed, week.known()
        self.sent_at = check_send_time(campaign, self.shop, self.as_of, plan.query)
        local = self.sent_at.astimezone(ZoneInfo(self.shop.timezone)).replace(tzinfo=None)
        self.delay, self.day = local - midnight(self.as_of), local.date()
        self.rules = campaign.rule_set.on(self.day)
        with week.build.read() as connection:
            self.products = load_pages_and_ends(connection, self.as_of, local).set_index("product_id")
        self.beyond = beyond
        if chosen is not None:
            self.chosen, self.verdict = chosen
        elif predicted is None:
            self.chosen, self.verdict = FUSED, ""
        elif campaign.model is not None:
            self.chosen = QUERY if campaign.model == "ranker" else campaign.model
            self.verdict = f"The campaign's file says that {campaign.model} makes its lists."
        else:
            self.chosen, self.verdict = choose_model(predicted.compared, self.seed)

    def fill(self, customers: np.ndarray, arms: Arms) -> Filled:
        """The slots of some customers (codes)."""
        context, ranked = self.build_context(self.as_of), self.rank_products(self.as_of)
        rules = self.rules
        choice = select(
            ranked,
            context,
            rules,
            customers,
            trace=True,
            reserves=RESERVES,
            threads=self.week.settings.threads,
        )
        if self.chosen in REGISTRY:
            choice = tell_apart_unlisted(choice, ranked, context, rules)
        rows, traces = self._explain(choice.reserves, find_citable(context, rules))
        rows["bought_before"] = is_stored(
            self.known.history, rows["customer"].to_numpy(), rows["product"].to_numpy()
        )
        named = add_ids(rows, self.known).drop(columns="as_of")
        for name in ("slot_type", "fallback_level", "sent_before"):
            named[name] = named[name].astype(str)
        named = self._add_recipients(named, arms.shown[rows["customer"].to_numpy()])
        named["reserve"] = (rows["slot"] > self.campaign.slots.k).to_numpy()
        if len(traces):
            filled = named.loc[~named["reserve"], ["customer_id", "product_id"]]
            traces = traces.merge(filled, on=["customer_id", "product_id"])
        return Filled(context, ranked, choice, named, traces)

    def list_quietly(self) -> pd.DataFrame:
        """The lists that everybody would get, which nobody is shown: no reasons, no reserves."""
        context, ranked = self.build_context(self.as_of), self.rank_products(self.as_of)
        choice = select(ranked, context, self.rules, threads=self.week.settings.threads)
        rows = choice.rows[["customer", "slot", "product", "score", "p_purchase", "source", "slot_type"]]
        rows = rows.astype({"source": str, "slot_type": str}).assign(model=self.chosen)
        return self.name_codes(rows).assign(window_days=math.ceil(window_days(self.plan.query, self.as_of)))

    def name_removed(self, traced: pd.DataFrame) -> pd.DataFrame:
        """What the rules took out, with ids, by customer and product."""
        rows = traced.sort_values(["customer", "product"], kind="stable", ignore_index=True)
        return self.name_codes(rows.astype({"rule": "category"}))

    def name_codes(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with ids in place of the codes of customers and products."""
        ids = {"customer": self.known.customers["customer_id"], "product": self.known.products["product_id"]}
        # Categories: a million rows with two texts each would be a hundred times the codes.
        named = {name: pd.Categorical.from_codes(rows[name], of) for name, of in ids.items()}
        return rows.assign(**named).rename(columns={name: f"{name}_id" for name in ids})

    def _add_recipients(self, selection: pd.DataFrame, arm: np.ndarray) -> pd.DataFrame:
        """The selection with what an email carries beside its products (`exports.email.LONG`)."""
        campaign, as_of = self.campaign, self.as_of
        days = math.ceil(window_days(self.plan.query, as_of))
        product = self.products.reindex(selection["product_id"]).set_axis(selection.index)
        rows = selection.assign(campaign=campaign.name, as_of=as_of, window_days=days, url=product["url"])
        rows["arm"] = arm
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
        return self.task.admit_products(anchor) & ~over

    def build_context(self, anchor: date) -> Context:
        task, rules = self.task, self.rules
        context = build_context(
            self.week,
            anchor,
            self.campaign.name,
            rules,
            task.eligible(anchor),
            self._admit_products(anchor),
        )
        if self.beyond is None or anchor != self.as_of:
            return context
        return self.beyond.tell(context, rules, self.week.first_code)

    def rank_products(self, anchor: date) -> pd.DataFrame:
        """What the rules choose from, at the week or the test anchor: the rows of the model that was chosen, and for
        discovery the best that the query's model says of products that the customer never bought."""
        if self.chosen == FUSED:
            parts = []
            for pool in self._load_pools(anchor):
                rows = pool.rank(pool.rrf, self.depth)
                parts.append(rows.assign(source=pool.find_best_source()[rows["row"].to_numpy()]))
            return pd.concat(parts, ignore_index=True)[["customer", "product", "score", "source"]]
        predicted = self.predicted.rows if anchor == self.as_of else self.predicted.tested
        predicted = predicted.rename(columns={"probability": "p_purchase"})
        if self.chosen == QUERY:
            return predicted
        known = self.week.known(anchor)
        rows = self.read_list(self.chosen, anchor).assign(source=self.chosen)
        rows = rows.merge(
            predicted[["customer", "product", "p_purchase"]], how="left", on=["customer", "product"]
        )
        least = predicted.groupby("customer")["p_purchase"].min()
        rows["p_purchase"] = (
            rows["p_purchase"].fillna(rows["customer"].map(least)).fillna(0).astype(np.float32)
        )
        if not self.campaign.rule_set.slots.discovery_slots:
            # No slot is for what the list does not hold.
            return rows[["customer", "product", "score", "p_purchase", "source"]]
        new = predicted[
            ~is_stored(known.history, predicted["customer"].to_numpy(), predicted["product"].to_numpy())
        ]
        # A probability is less than the score of any row of the list.
        new = new.assign(score=new["p_purchase"] / 2, source=new["source"].astype(str))
        both = pd.concat([rows, new], ignore_index=True)
        both = both[~both.duplicated(["customer", "product"])]
        return both[["customer", "product", "score", "p_purchase", "source"]]

    def read_list(self, name: str, anchor: date) -> pd.DataFrame:
        """A recommender's list among the query's candidates: customer, product, rank, and score, which falls by 1. The
        whole list, as far as the query admits it, of one that the candidates are not drawn from."""
        if name in REGISTRY and name not in SOURCES:
            return read_own_list(self.week, self.task, name, anchor, self.depth)
        parts, blended = [], self._blend(anchor) if name == "blend" else None
        for pool in self._load_pools(anchor):
            if blended is None:
                rank = pool.sources[f"{name}:new" if self.campaign.view == "new" else name][0]
            else:
                place = blended[0].find(pool.customer, pool.product)
                rank = np.where(place >= 0, blended[1][place], np.nan)
            listed = np.isfinite(rank)
            parts.append(pool.rank(np.where(listed, LONGEST - rank, 0), self.depth, listed))
        return pd.concat(parts, ignore_index=True)[["customer", "product", "rank", "score"]]

    def _blend(self, anchor: date) -> tuple[PairIndex, np.ndarray]:
        """The pairs on the blend's lists, and float32 the rank of each."""
        known, view = self.week.known(anchor), "new" if self.campaign.view == "new" else "all"
        lists = {name: self.week.lists(name, anchor, view) for name in BLEND.needed}
        rows = blend(lists, known.order_counts, BLEND, POOL)
        pairs = (rows["customer"].to_numpy(), rows["product"].to_numpy())
        shape = (known.n_customers, known.n_products)
        ranks = sparse.csr_matrix((rows["rank"].to_numpy(np.float32), pairs), shape=shape)
        return PairIndex.of(ranks), ranks.data

    def _load_pools(self, anchor: date) -> Iterator[Candidates]:
        for first, last in blocks(self.week.known(anchor)):
            yield self.task.pool(anchor, first, last)

    def _explain(self, rows: pd.DataFrame, citable: Citable) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The selected rows with probability and reason, and their traces with ids.

        Every row gets the probability of the query's own ranker, also where another list or a rule
        put it there.
        """
        week, scorer, fitted = self.week, None, self.week.models()
        wording = Wording(citable, self._load_offers(), self.shop.sentences)
        if self.predicted is not None:
            ranker = self.predicted.learned.ranker
            frames = partial(
                week.load_published_frames, names=ranker.features_, pool=partial(self.task.pool, self.as_of)
            )
            scorer = Scorer(ranker, self.predicted.learned.calibrator, frames, self.chosen == QUERY)
        merged, traces = explain_rows(rows, self.known, fitted, scorer, wording)
        merged = merged.astype({"reason_code": object, "reason_text": object, "reason_family": object})
        by_slot = explain_slots(merged, self.known, citable, wording.sentences, fitted)
        ruled = (by_slot["reason_code"] != "").to_numpy()
        for name in ("reason_code", "reason_text", "because_product", "because_day"):
            merged.loc[ruled, name] = by_slot.loc[ruled, name]
        for name, value in {
            "reason_family": "", "support": np.nan, "confidence": np.nan,
        }.items():  # fmt: skip
            merged.loc[ruled, name] = value
        return merged, traces.drop(columns="as_of", errors="ignore")

    def _load_offers(self) -> Offers:
        """Price advantages from the day of sending to the end of the campaign's window."""
        sent = self.sent_at.astimezone(ZoneInfo(self.shop.timezone)).date()
        end = self.as_of + timedelta(days=math.ceil(window_days(self.plan.query, self.as_of)))
        with self.week.build.read() as connection:
            kinds = self.shop.source.words.price_promotions
            return load_offers(connection, self.as_of, sent, end, kinds)


def fill_email(
    emails: Sequence[tuple[Email, np.ndarray]], arms: Arms, shadows: Mapping[str, Email]
) -> tuple[Part, Filled]:
    """The lists of all variants of a campaign together, explained, for the customers of a block; and those of the
    campaign as its file says.

    Args:
        emails: the campaign as its file says, then its variants, each with the customers (codes) who get it.
        arms: of all customers of the block.
        shadows: the campaign as its shadows would have it, by name.
    """
    base, known = emails[0][0], emails[0][0].known
    parts = [email.fill(customers, arms) for email, customers in emails]
    named = _join([part.rows for part in parts], ["customer_id", "slot"])
    ids = known.customers["customer_id"]
    outcome = np.full(known.n_customers, SELECTED, dtype=object)
    for part in parts:
        out = part.choice.suppressed
        outcome[out["customer"].to_numpy()] = out["reason"].to_numpy()
    selection = named[~named["reserve"]]
    held = (selection["arm"] == HOLDOUT).to_numpy()
    outcome[ids.isin(selection.loc[held, "customer_id"]).to_numpy()] = HOLDOUT
    asked = np.logical_or.reduce([email.task.eligible(base.as_of) for email, _ in emails])
    asked &= known.customers["email_eligible"].to_numpy(dtype=bool) & ~np.isin(
        outcome.astype(str), UNREACHABLE
    )
    tables = {
        "selection": named,
        "outcomes": tabulate_outcomes(known.customers, outcome),
        "assigned": arms.tabulate(asked, ids.to_numpy(object)),
        "rules": _tabulate_rules([part.choice for part in parts]),
        "traces": _join([part.traces for part in parts], ["customer_id", "product_id"]),
        "shadows": _join(
            [email.list_quietly().assign(shadow=name) for name, email in shadows.items()],
            ["shadow", "customer_id", "slot"],
        )
        if shadows
        else pd.DataFrame(),
        DRAWS: base.name_codes(_join([part.choice.draws for part in parts], ["customer"])),
        REMOVED: base.name_removed(pd.concat([part.choice.traced for part in parts], ignore_index=True)),
    }
    main, rules = parts[0], base.rules
    # What a block says of the campaign as its file has it.
    facts = {
        "eligible": int(base.task.eligible(base.as_of).sum()),
        "seen": [astuple(seen) for seen in look_at(rules, main.context, main.choice)],
        "short": (find_short(main.choice) + base.week.first_code).tolist(),
    }
    return Part(tables, facts), main


def fill_whole(
    emails: Sequence[tuple[Email, np.ndarray]],
    arms: Arms,
    shadows: Mapping[str, Email],
    facts: dict[str, Any],
) -> Made:
    """The lists of a campaign for all customers of the week at once, measured and described; `facts` are completed."""
    part, main = fill_email(emails, arms, shadows)
    rules = emails[0][0].rules
    found = review(rules, main.context, main.ranked, main.choice)
    shortage = explain_shortage(rules, main.context, main.ranked, main.choice)
    every = [email for email, _ in emails]
    return describe_email(every, [part], join_email([part], arms), found, shortage, facts)


def join_email(parts: Sequence[Part], arms: Arms) -> dict[str, pd.DataFrame]:
    """The tables of all blocks of customers (`fill_email`) together.

    Args:
        parts: of the blocks, in their order.
        arms: names the experiments, in their order.
    """
    tables = {name: join_tables([part.tables[name] for part in parts]) for name in parts[0].tables}
    if len(parts) > 1:
        tables["selection"] = _complete_limits(tables["selection"])
        place = {experiment.name: number for number, experiment in enumerate(arms.experiments)}
        for name, key in (("assigned", "experiment"), ("shadows", "shadow")):
            if len(tables[name]):
                by = tables[name][key].map(place) if name == "assigned" else tables[name][key].astype(str)
                tables[name] = (
                    tables[name].iloc[np.argsort(by.to_numpy(), kind="stable")].reset_index(drop=True)
                )
        counts = pd.concat([part.tables["rules"] for part in parts])
        tables["rules"] = counts.groupby(["step", "rule"], as_index=False, sort=True)[
            ["removed", "customers"]
        ].sum()
    return tables


def _complete_limits(selection: pd.DataFrame) -> pd.DataFrame:
    """The selection of several blocks, of which one has no column for limits that hold for customers of others only: as
    `rules.selection.Selection.reserves` of all of them."""
    held = [name for name in NAMES if f"{name}_most" in selection]
    most = [f"{name}_most" for name in held]
    if not held:
        return selection
    nothing = dict.fromkeys(held, -1) | dict.fromkeys(most, 0)
    others = [name for name in selection if name not in nothing]
    before = others.index("min_stock") + 1
    columns = [*others[:before], *held, *most, *others[before:]]
    return selection.fillna(nothing).astype(dict.fromkeys(nothing, np.int32))[columns]


def describe_email(
    emails: Sequence[Email],
    parts: Sequence[Part],
    tables: dict[str, pd.DataFrame],
    found: Review,
    shortage: str | None,
    facts: dict[str, Any],
) -> Made:
    """The lists of a campaign, measured and described.

    Args:
        emails: the campaign as its file says, and its variants, of the whole week.
        parts: of all blocks of customers.
        tables: of all of them.
        found: what the rules ask for and the shop does not have.
        shortage: what stands between customers and a full list.
        facts: are completed.
    """
    base = emails[0]
    measured = measure(base)
    worth, proven = measured.worth
    selection = tables["selection"][~tables["selection"]["reserve"].to_numpy(dtype=bool)]
    silent = explain_silence(base.week, base.chosen)
    held = (selection["arm"] == HOLDOUT).to_numpy()
    facts |= {
        "chosen": base.chosen,
        "verdict": base.verdict,
        "slots": max(email.campaign.slots.k for email in emails),
        "customers": int((tables["outcomes"]["outcome"] == SELECTED).sum()),
        "forecast_purchases": round(float(selection.loc[~held, "p_purchase"].sum()), 3),
        "test": dict(measured.figures),
        "rules": list_rules_in_force(base.rules),
        "problems": [*facts["problems"], *found.problems, *list_costly_rules(measured.tags), *silent],
        "notes": [*list_past_boosts(base.campaign.rule_set, base.day), *found.notes],
        "worth": worth,
        "earns": proven,
        "shortage": shortage,
    }
    if base.predicted is not None:
        facts["eligible"] = sum(part.facts["eligible"] for part in parts)
    order = ["selection", "predictions", "outcomes", "assigned", "rules", "price_tags", "frontier", "tests", "traces", "shadows", DRAWS, REMOVED]  # fmt: skip
    every = {
        **tables,
        "predictions": pd.DataFrame(),
        "price_tags": measured.tags,
        "frontier": measured.frontier,
        "tests": measured.tests,
    }
    return Made({name: every[name] for name in order}, facts)


def _join(parts: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """The rows of all parts in the order of the keys; those of one part as they are."""
    some = [part for part in parts if len(part)]
    if len(some) < 2:
        return some[0] if some else parts[0]
    return pd.concat(some, ignore_index=True).sort_values(keys, kind="stable", ignore_index=True)


def _tabulate_rules(choices: Sequence[Selection]) -> pd.DataFrame:
    traced = pd.concat([choice.traced for choice in choices], ignore_index=True)
    customers = traced.groupby("rule")["customer"].nunique()
    rules = choices[0].removed.index
    return pd.DataFrame(
        {
            "step": range(1, len(rules) + 1),
            "rule": rules,
            "removed": np.sum([choice.removed.to_numpy() for choice in choices], axis=0),
            "customers": customers.reindex(rules, fill_value=0).to_numpy(),
        }
    )
