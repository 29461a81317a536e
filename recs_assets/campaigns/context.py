"""What the rules of a campaign, or of the shop's own pages, look at in a week."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.audit.segments import SEGMENTS, order_values, segment_customers
from recs_assets.campaigns.load import load_spending
from recs_assets.campaigns.values import load_worth
from recs_assets.known.facts import as_array
from recs_assets.known.interactions import Known
from recs_assets.reasons.evidence import Citable
from recs_assets.recommenders.item_knn import find_similar_products
from recs_assets.repeats.cadence import fit_cadence, list_due_again
from recs_assets.rules.config import Rules
from recs_assets.rules.context import RFM_CUSTOMERS, Context
from recs_assets.rules.facts import load_facts
from recs_assets.rules.filling import Placement
from recs_assets.rules.frames import assemble_context, find_last_days
from recs_assets.rules.naming import find_nameable
from recs_assets.rules.review import EXCLUSION_KEYS
from recs_assets.rules.review import list_unknown_names as list_unknown_rule_names
from recs_assets.rules.sensitive import Sensitive
from recs_assets.shop import Shop
from recs_assets.week.week import Week

# Similar products by co-purchase that diversity looks at.
COPURCHASED = 50
# In place of a campaign's name: pages are not sent.
STOREFRONT = ""


def build_context(
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
    likeness = {}
    frames = {"products", "customers", "carts", "rejected", "dismissed"}
    draw_key = None
    if placement == "email":
        draw_key = ("exploration", str(week.settings.seed), name, anchor.isoformat())
        content = week.model("content")
        likeness = {
            "factors": content.vectors_,
            "copurchase": load_copurchased(week, anchor),
            "price_drop_day": load_price_drops(week, anchor),
        }
        frames |= {"sends", "contacts"}
    with week.read_with_snapshot() as connection:
        facts = load_facts(connection, anchor, name, frames)
    context = assemble_context(
        known,
        **facts,
        audience=audience,
        sensitive=_classify_products(week, anchor),
        **likeness,
    )
    context = replace(context, draw_key=draw_key)
    parts = [rules, *(rules.of_segment(segment) for segment in rules.segments)]
    if any(
        part.items.only_due or part.items.bought_within_days is not None or part.slots.max_repeat is not None
        for part in parts
    ):
        rows, _ = list_due(week, anchor) if known is week.known(anchor) else _list_due(week.shop, known)
        own, soon = rows[rows["replaces"] < 0], rules.items.due_within_days
        context = replace(context, due=_pair_matrix(own, known))
        if soon is not None:
            near = own["expected_next_day"] <= known.anchor_day + soon
            context = replace(context, due_soon=_pair_matrix(own[near], known))
    if rules.segment_by == "rfm":
        context = replace(context, rfm=segment_by_rfm(week, anchor))
    if asks_worth(rules):
        context = replace(context, worth=load_worth(week, anchor), by_tier=rules.segment_by == "value")
    return context


def asks_worth(rules: Rules) -> bool:
    """Whether some rule looks at what customers are expected to spend."""
    parts = [rules.eligibility, *(rules.of_segment(segment).eligibility for segment in rules.segments)]
    return rules.segment_by == "value" or any(
        part.min_value_tier is not None or part.max_recipients is not None for part in parts
    )


def segment_by_rfm(week: Week, anchor: date) -> np.ndarray:
    """int64[n_customers], position in `audit.segments.SEGMENTS`; what customers are compared with, and how many each segment
    has, are facts of the shop."""
    known = week.known(anchor)
    with week.build.read() as connection:
        rows = load_spending(connection, anchor)
    own = rows.set_index("customer_id").loc[known.customers["customer_id"]].reset_index()
    ordered = {
        name: as_array(known.shop_fact(f"rfm/{name}", lambda name=name: order_values(own)[name]))
        for name in ("recency", "frequency", "money", "value")
    }
    segment = segment_customers(own, ordered).set_index("customer_id")["segment"]
    code = pd.Index(list(SEGMENTS)).get_indexer(segment.loc[known.customers["customer_id"]])
    known.shop_fact(RFM_CUSTOMERS, lambda: np.bincount(code, minlength=len(SEGMENTS) + 1))
    return code.astype(np.int64)


def _classify_products(week: Week, anchor: date) -> Sensitive:
    """The products' topics, worked out once per anchor: every campaign and every list asks for them."""
    key = ("sensitive", anchor)
    if key not in week.build.cache:
        week.build.cache[key] = week.shop.sensitive.classify(week.known(anchor).products)
    return week.build.cache[key]


def load_copurchased(week: Week, anchor: date) -> sparse.csr_matrix:
    """Similar products by co-purchase, a fact of the shop: the evaluation and every email ask for them."""
    known, threads = week.known(anchor), week.settings.threads
    similar = known.shop_fact(
        f"copurchased/{COPURCHASED}",
        lambda: find_similar_products(known.history, COPURCHASED, "cosine", threads=threads),
    )
    return similar.tocsr()


def load_price_drops(week: Week, anchor: date) -> np.ndarray:
    """int64[n_products], day of the latest price drop, -1 never: a fact of the shop."""
    known = week.known(anchor)

    def find() -> np.ndarray:
        with week.build.read() as connection:
            rows = load_facts(connection, anchor, STOREFRONT, {"price_drops"})["price_drops"]
        return find_last_days(known, rows)

    return as_array(known.shop_fact("price_drop_day", find))


def _pair_matrix(rows: pd.DataFrame, known: Known) -> sparse.csr_matrix:
    """int8 csr[n_customers, n_products] with a 1 per row."""
    pairs = (rows["customer"].to_numpy(), rows["product"].to_numpy())
    return sparse.csr_matrix(
        (np.ones(len(rows), dtype=np.int8), pairs), shape=(known.n_customers, known.n_products)
    )


def build_storefront_context(week: Week, anchor: date, rules: Rules) -> Context:
    """What the rules of the shop's own pages look at, as known at an anchor of the week."""
    return build_context(week, anchor, STOREFRONT, rules, placement="page")


def find_citable(context: Context, rules: Rules) -> Citable:
    """What the sentences of lists made under these rules may name."""
    return Citable(*find_nameable(context, rules))


def list_unknown_storefront_names(week: Week) -> list[str]:
    """One sentence per name in the storefront's rules that the shop does not have; none where the week's build is gone."""
    rules = Rules(items=week.shop.storefront.rules)
    if not any(getattr(rules.items, key) for key in EXCLUSION_KEYS) or not week.build.path.exists():
        return []
    context = Context(week.known())
    return [
        f"{week.shop.path('storefront').name}: {text}" for text in list_unknown_rule_names(rules, context)
    ]


def list_due(week: Week, anchor: date) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of `repeats.cadence.list_due_again` at an anchor with the shop's thresholds, and what they took out;
    worked out once, and not to be changed."""
    key = ("due", anchor)
    if key not in week.build.cache:
        week.build.cache[key] = _list_due(week.shop, week.known(anchor))
    return week.build.cache[key]


def _list_due(shop: Shop, known: Known) -> tuple[pd.DataFrame, dict[str, int]]:
    settings = shop.settings
    return list_due_again(
        known,
        fit_cadence(known, shop.horizon_days),
        due_ratio=settings.buy_again_due_ratio,
        repeat_share=settings.buy_again_repeat_share,
    )
