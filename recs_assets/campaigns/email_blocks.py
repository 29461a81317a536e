"""A campaign by blocks of customers: the whole week learns and measures, blocks find out, then fill, and all is joined.

What a block needs of the campaign is JSON, and what a query learned is kept beside the week's models: a block may be
worked on by another process.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.campaigns.arms import Arms, list_variants, place_arms
from recs_assets.campaigns.beyond import Beyond
from recs_assets.campaigns.blocks import Part, join_tables, map_customers
from recs_assets.campaigns.context import asks_worth, load_copurchased, load_price_drops, segment_by_rfm
from recs_assets.campaigns.email import Email, describe_email, fill_email, join_email
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.made import Made
from recs_assets.campaigns.predictions import list_predictions
from recs_assets.campaigns.values import load_worth
from recs_assets.experiments.facts import load_assignments
from recs_assets.experiments.file import Experiment
from recs_assets.rules.blocks import count_most_stale, find_reach, tabulate_accounts, weigh_accounts
from recs_assets.rules.candidates import Ranked
from recs_assets.rules.context import Context
from recs_assets.rules.exposure import Offers, Price, choose_price
from recs_assets.rules.items import count_needs
from recs_assets.rules.pipeline import find_reasons, list_parts, survey_exposure
from recs_assets.rules.review import LOOKED_AT, Seen, count_full, list_tried, review, write_shortage
from recs_assets.rules.worth import EVERYBODY, find_last_recipient
from recs_assets.training import Plan, Prediction
from recs_assets.training.blocks import answer_block, write_learned
from recs_assets.training.tasks import Task
from recs_assets.week.week import Week

Json = dict[str, Any]
# Columns of `rules.exposure.Offers`.
OFFERED = ("cost", "customer", "step")


# -- without slots ----------------------------------------------------------------------------


def predict_by_blocks(
    campaign: Campaign, week: Week, plan: Plan | None, task: Task | None, predicted: Prediction | None
) -> list[Part]:
    """`list_predictions` of every block of customers.

    Args:
        campaign: without slots, or one whose query has no answer.
        week: the whole week.
        plan: of the query; None where it has no answer.
        task: with it.
        predicted: without rows; None where nothing was learned.
    """
    learned = None
    if plan is not None and task is not None and predicted is not None:
        learned = write_learned(campaign.name, plan, task, predicted, None)
    return map_customers(predict_customers, week, learned)


def predict_customers(part: Week, learned: Json | None) -> Part:
    """`list_predictions` of a block, of what a query learned (`write_learned`)."""
    if learned is None:
        return list_predictions(part, None, None)
    _, task, predicted = answer_block(part, learned)
    return list_predictions(part, task, predicted)


# -- with slots -------------------------------------------------------------------------------


def fill_by_blocks(
    emails: Sequence[tuple[Email, np.ndarray]],
    arms: Arms,
    shadows: Mapping[str, Email],
    facts: dict[str, Any],
) -> Made:
    """The lists of a campaign, block by block of the week's customers, measured and described; `facts` are completed."""
    base, week = emails[0][0], emails[0][0].week
    every = [*(email for email, _ in emails), *shadows.values()]
    specs = _write_specs(every)
    # Facts of the shop, which blocks look up.
    load_copurchased(week, week.as_of)
    load_price_drops(week, week.as_of)
    if any(email.rules.segment_by == "rfm" for email in every):
        segment_by_rfm(week, week.as_of)
    if any(asks_worth(email.rules) for email in every):
        load_worth(week, week.as_of)
    surveys = map_customers(survey_customers, week, specs)
    contexts = [_find_beyond(email, number, specs, surveys) for number, email in enumerate(every)]
    variants, quiet = specs[: len(emails)], dict(zip(shadows, specs[len(emails) :], strict=True))
    running = [experiment.model_dump(mode="json", exclude_unset=True) for experiment in arms.experiments]
    parts = map_customers(fill_customers, week, variants, quiet, running)
    context, ranked = contexts[0]
    rules = base.rules
    found = review(rules, context, ranked, _join_seen([part.facts["seen"] for part in parts]))
    short = [code for part in parts for code in part.facts["short"]][:LOOKED_AT]
    shortage = _explain_shortage(base, specs[0], context, ranked, short) if short else None
    return describe_email(
        [email for email, _ in emails], parts, join_email(parts, arms), found, shortage, facts
    )


def _write_specs(emails: Sequence[Email]) -> list[Json]:
    """What a block needs of every email; the first is the campaign as its file says."""
    learned: dict[int, Json] = {}
    for email in emails:
        if id(email.task) not in learned:
            name = f"{emails[0].campaign.name}-{len(learned)}"
            learned[id(email.task)] = write_learned(
                name, email.plan, email.task, email.predicted, email.depth
            )
    return [
        {
            "campaign": _write_campaign(email.campaign),
            "learned": learned[id(email.task)],
            "depth": email.depth,
            "chosen": [email.chosen, email.verdict],
            "accounts": None,
            "reach": None,
            "exposed": None,
            "last": None,
        }
        for email in emails
    ]


def _write_campaign(campaign: Campaign) -> Json:
    return campaign.model_dump(mode="json", exclude_unset=True, exclude={"shadows"})


class _Opener:
    """The emails of a block; those that ask the same share the answer."""

    def __init__(self, part: Week, listing: bool = True) -> None:
        self.part, self.listing = part, listing
        self._answers: dict[str, Any] = {}

    def open(self, spec: Json) -> Email:
        name = spec["learned"]["name"]
        if name not in self._answers:
            self._answers[name] = answer_block(self.part, spec["learned"], self.listing)
        campaign = Campaign.model_validate(spec["campaign"], context=self.part.shop.catalogue)
        accounts = None if spec["accounts"] is None else pd.DataFrame(spec["accounts"])
        exposed = spec["exposed"]
        exposed = None if exposed is None else [Price(*price) for price in exposed]
        beyond = Beyond(accounts, spec["reach"], exposed, spec["last"])
        chosen, verdict = spec["chosen"]
        return Email(campaign, self.part, *self._answers[name], spec["depth"], (chosen, verdict), beyond)


def survey_customers(part: Week, specs: list[Json]) -> Part:
    """Of every email: which products are anybody's candidates in a block, and the accounts with an address."""
    opener, tables, facts = _Opener(part), {}, {}
    for number, spec in enumerate(specs):
        email = opener.open(spec)
        context, rules = email.build_context(part.as_of), email.rules
        ranked = Ranked.of(email.rank_products(part.as_of), context)
        tables[str(number)] = part.count_from_first(tabulate_accounts(context, rules))
        facts[str(number)] = {
            "listed": pack_flags(ranked.listed),
            "has_p": ranked.has_p,
            "stale": count_most_stale(context, rules),
        }
    return Part(tables, facts)


def _find_beyond(
    email: Email, number: int, specs: list[Json], surveys: Sequence[Part]
) -> tuple[Context, Ranked]:
    """The context and the candidates of an email for sentences about the shop, out of which its spec gets what a block
    needs of the others."""
    spec, rules = specs[number], email.rules
    accounts = weigh_accounts(pd.concat([part.tables[str(number)] for part in surveys], ignore_index=True))
    spec["accounts"] = {name: values.tolist() for name, values in accounts.items()}
    context = email.build_context(email.as_of)
    found = [part.facts[str(number)] for part in surveys]
    size = context.known.n_products
    listed = np.logical_or.reduce([unpack_flags(part["listed"], size) for part in found])
    ranked = Ranked.of_nobody(context, listed, any(part["has_p"] for part in found))
    spec["stale"] = np.max([part["stale"] for part in found], axis=0).tolist()
    spec["reach"] = find_reach(context, rules, ranked, [()], spec["stale"], _Counter(email.week, spec, size))
    spec["last"] = _find_last_recipient(email, spec)
    spec["exposed"] = _find_prices(email, spec)
    return replace(context, reach=spec["reach"]), ranked


def _find_last_recipient(email: Email, spec: Json) -> tuple[float, int] | None:
    """Of `max_recipients` customers of all blocks the last; None: the campaign has no such limit."""
    most = email.rules.eligibility.max_recipients
    if most is None:
        return None
    every = join_tables(
        [part.tables["eligible"] for part in map_customers(survey_recipients, email.week, spec)]
    )
    return find_last_recipient(every["spend"].to_numpy(), every["customer"].to_numpy(), most)


def survey_recipients(part: Week, spec: Json) -> Part:
    """The customers of a block whom nothing excludes, and what they are expected to spend."""
    email = _Opener(part, listing=False).open({**spec, "last": EVERYBODY})
    context = email.build_context(part.as_of)
    eligible = np.flatnonzero(find_reasons(context, email.rules) < 0)
    assert context.worth is not None  # `asks_worth`
    table = pd.DataFrame({"customer": eligible + part.first_code, "spend": context.worth.spend[eligible]})
    return Part({"eligible": table}, {})


def _find_prices(email: Email, spec: Json) -> list[Price]:
    """Of every floor of exposure in the lists of all blocks, one after the other."""
    prices: list[Price] = []
    for floor in email.rules.slots.exposure:
        parts = map_customers(survey_floor, email.week, {**spec, "exposed": prices})
        offers = [
            Offers(*part.facts["places"], *(part.tables["offers"][name].to_numpy() for name in OFFERED))
            for part in parts
        ]
        prices.append(choose_price(offers, floor.share))
    return prices


def survey_floor(part: Week, spec: Json) -> Part:
    """What the next floor of exposure without a price would cost in a block (`pipeline.survey_exposure`)."""
    email = _Opener(part).open({**spec, "exposed": None})
    own = [Price(*price).shift(part.first_code) for price in spec["exposed"]]
    context, threads = email.build_context(part.as_of), part.settings.threads
    every = survey_exposure(email.rank_products(part.as_of), context, email.rules, own, threads)
    columns = {name: np.concatenate([[], *(getattr(one, name) for one in every)]) for name in OFFERED}
    offers = pd.DataFrame(columns).astype({"customer": np.int64, "step": np.int64})
    offers["customer"] += part.first_code
    return Part(
        {"offers": offers}, {"places": [sum(one.places for one in every), sum(one.held for one in every)]}
    )


class _Counter:
    """`rules.items.count_needs` of all blocks of customers."""

    def __init__(self, week: Week, spec: Json, products: int) -> None:
        self.week, self.spec, self.products = week, spec, products

    def __call__(self, asked: Sequence[tuple[int, np.ndarray]]) -> list[np.ndarray]:
        wanted = []
        for place, products in asked:
            flags = np.zeros(self.products, dtype=bool)
            flags[products] = True
            wanted.append([place, pack_flags(flags)])
        parts = map_customers(count_repeats, self.week, self.spec, wanted)
        return [
            np.concatenate(
                [np.repeat(*np.array(part.facts["needs"][number], dtype=np.int64)) for part in parts]
            )
            for number in range(len(asked))
        ]


def count_repeats(part: Week, spec: Json, asked: list[list[Any]]) -> Part:
    """How many repeats customers of a block need, as values and how often each is there, for the rules at a place of
    `list_parts` and some products."""
    email = _Opener(part, listing=False).open(spec)
    context, rules = email.build_context(part.as_of), email.rules
    parts, needs = list(list_parts(context, rules)), []
    for place, packed in asked:
        products = np.flatnonzero(unpack_flags(packed, context.known.n_products))
        value, count = np.unique(count_needs(context, parts[place][1], products), return_counts=True)
        needs.append([value.tolist(), count.tolist()])
    return Part({}, {"needs": needs})


def fill_customers(part: Week, specs: list[Json], shadows: dict[str, Json], running: list[Json]) -> Part:
    """`fill_email` of a block of customers."""
    opener = _Opener(part)
    base = opener.open(specs[0])
    experiments = [Experiment.model_validate(experiment) for experiment in running]
    with part.read_with_snapshot() as connection:
        earlier = load_assignments(connection, part.as_of, [one.name for one in experiments])
    ids = part.known().customers["customer_id"].to_numpy(dtype=object)
    arms = place_arms(base.campaign, experiments, ids, earlier)
    variants = [
        (_write_campaign(variant.campaign), variant.customers)
        for variant in list_variants(base.campaign, arms)
    ]
    emails = [
        (
            base if number == 0 else opener.open(spec),
            next(
                (customers for campaign, customers in variants if campaign == spec["campaign"]),
                ids[:0].astype(np.int64),
            ),
        )
        for number, spec in enumerate(specs)
    ]
    return fill_email(emails, arms, {name: opener.open(spec) for name, spec in shadows.items()})[0]


def _join_seen(blocks: Sequence[list[Any]]) -> list[Seen]:
    seen = [
        [Seen(rows, tuple(pinned), discovery, tuple(exposed)) for rows, pinned, discovery, exposed in part]
        for part in blocks
    ]
    return [sum(of_all[1:], start=of_all[0]) for of_all in zip(*seen, strict=True)]


def _explain_shortage(email: Email, spec: Json, context: Context, ranked: Ranked, short: list[int]) -> str:
    """`rules.review.explain_shortage` of customers in several blocks."""
    rules = email.rules
    tried = list_tried(ranked, context, rules)
    counter = _Counter(email.week, spec, context.known.n_products)
    reach = find_reach(context, rules, ranked, [(name,) for name in tried], spec["stale"], counter)
    parts = map_customers(count_full_lists, email.week, {**spec, "reach": reach}, short, tried)
    full = {name: sum(part.facts["full"].get(name, 0) for part in parts) for name in tried}
    return write_shortage(rules, context, len(short), full)


def count_full_lists(part: Week, spec: Json, short: list[int], tried: list[str]) -> Part:
    """`rules.review.count_full` of those of the customers (codes of the whole week) who are in a block."""
    own = np.array(short) - part.first_code
    own = own[(own >= 0) & (own < part.known().n_customers)]
    if len(own) == 0:
        return Part({}, {"full": {}})
    email = _Opener(part).open(spec)
    context = email.build_context(part.as_of)
    ranked = email.rank_products(part.as_of)
    return Part({}, {"full": count_full(email.rules, context, ranked, own, tried)})


def pack_flags(flags: np.ndarray) -> str:
    """Truth values as text."""
    return base64.b64encode(zlib.compress(np.packbits(flags).tobytes())).decode()


def unpack_flags(text: str, size: int) -> np.ndarray:
    """The first `size` truth values of what `pack_flags` wrote."""
    packed = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return np.unpackbits(packed, count=size).astype(bool)
