"""Why this product: one true, specific sentence per row.

A sentence is written only where the events say so. Rows of the ranker (`explain_families`) try the
families of features in the order of their contributions to the row's own score. Rows of the blend
(`explain`) take the first reason that holds:

1. the customer bought the product before: how often and when;
2. what the row's source says: the product that led to it, if the customer bought that one (and, to
   be called similar, if both are of one category); similar customers, if there are any; popularity,
   if the product is popular indeed;
3. popular in the last weeks, popular in its category, from its category, from the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.interactions import EVENT_TYPES, Known
from recs_assets.recommenders.base import Recommender, rank_within
from recs_assets.recommenders.popularity import decayed_purchase_days

# reason_code -> sentence. A shop translates here (and MONTHS). {product} is the name of the product
# that led to the row, {category} and {brand} those of the recommended product, {date} a day.
TEMPLATES: dict[str, str] = {
    "bought_often": "You bought this on {days} days, last on {date}",
    "bought_once": "You bought this on {date}",
    "bought_regularly": "You buy this about every {days} days, last on {date}",
    "bought_before": "You bought this before",
    "replaces_variant": "Another variant of {product}, which you bought on {date} and which is not available now",
    "replaces_same_brand": "From the brand and category of {product}, which you bought on {date} and which is not available now",
    "bought_together": "Often bought with {product}, which you bought on {date}",
    "also_bought": "Customers who bought {product}, as you did on {date}, buy this too",
    "similar_product": "Similar to {product}, which you bought on {date}",
    "similar_customers": "Customers with purchases like yours buy this",
    "in_cart": "You put this into your cart on {date}",
    "wished": "You put this on your wishlist on {date}",
    "viewed": "You looked at this on {date}",
    "viewed_related": "Close to {product}, which you looked at on {date}",
    "brand_you_buy": "From {brand}, a brand you buy",
    "new_arrival": "New in our range",
    "new_for_your_taste": "New in our range and close to {product}, which you bought on {date}",
    "on_offer": "On offer in the coming weeks",
    "popular": "Popular with our customers in the last 4 weeks",
    "popular_in_your_category": "Popular in {category}, a category you buy from",
    "popular_in_category": "Popular in {category}",
    "from_your_category": "From {category}, a category you buy from",
    "from_category": "From {category}",
    "from_range": "From our range",
    "picked_by_shop": "Picked by the shop",
    "new_for_you": "New for you, close to what you buy",
    "popular_in_segment": "Popular with customers of your group",
    "popular_in_shop": "Popular in our shop",
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Source -> the sentence its evidence supports. item_knn counts customers in common, not baskets,
# so "often bought with" would claim too much for it.
EVIDENCE = {"rules": "bought_together", "item_knn": "also_bought", "content": "similar_product"}
SIMILAR_CUSTOMERS = ("als", "lightfm", "user_knn")

# Family -> recommenders whose evidence a sentence may cite, the more specific first.
FAMILY_EVIDENCE: dict[str, tuple[tuple[str, str], ...]] = {
    "bought_with": (("rules", "bought_together"), ("transition", "also_bought"), ("item_knn", "also_bought")),
    "similar": (("content", "similar_product"),),
    "customers_like_you": (("ease", "also_bought"),),
    "new_arrival": (("new_arrivals", "new_for_your_taste"),),
}

# Event -> what is said of it, the stronger wish first.
SEEN = {"add_to_cart": "in_cart", "add_to_wishlist": "wished", "view": "viewed"}

CODES = tuple(TEMPLATES)
COUNTED = [position for position, name in enumerate(CODES) if "{days}" in TEMPLATES[name]]
RECENT_DAYS = 28
POPULAR_SHARE = 0.1

# Rows explained at once; some 200 bytes each are alive meanwhile.
BLOCK_ROWS = 1_000_000


def explain(
    rows: pd.DataFrame,
    known: Known,
    recommenders: Mapping[str, Recommender],
    citable: Citable | None = None,
) -> pd.DataFrame:
    """Add the reason to every row.

    "Popular" means: bought in the last 4 weeks, and among the tenth of the products sold (of its
    category: at least one product) with the largest decayed popularity (half-life 28 days).

    Args:
        rows: columns customer, product (codes of `known`) and source (recommender's name); others
            are kept. Any order.
        known: what the recommenders were fitted on.
        recommenders: name -> fitted; a source that is absent gives no evidence of its own.
        citable: what may be named; None: everything.

    Returns:
        `rows` with a fresh index and reason_code (category, one of `CODES`), reason_text (str),
        because_product (int32 code, -1 where no single product is the reason) and because_day
        (int32, days since 1970-01-01 of the last purchase of that product, -1 with it).
    """
    facts = _Facts(known, citable)
    parts = []
    for start in range(0, max(1, len(rows)), BLOCK_ROWS):
        block = rows.iloc[start : start + BLOCK_ROWS]
        parts.append(_explain_block(block, facts, recommenders))
    code, because, day, text = (
        np.concatenate([part[number] for part in parts]) if number < 3 else None for number in range(4)
    )
    result = rows.reset_index(drop=True)
    result["reason_code"] = pd.Categorical.from_codes(code, categories=list(CODES))
    text = pd.concat([part[3] for part in parts], ignore_index=True)
    result["reason_text"], result["because_product"], result["because_day"] = text, because, day
    return result


def explain_families(
    rows: pd.DataFrame,
    known: Known,
    recommenders: Mapping[str, Recommender],
    order: np.ndarray,
    contribution: np.ndarray,
    families: Sequence[str],
    promoted: np.ndarray | None = None,
    citable: Citable | None = None,
) -> pd.DataFrame:
    """Add to every row the reason that the ranker's own contributions support.

    The families that pulled the row up are tried from the largest contribution down; the first for
    which the events hold a true sentence is cited. Price and context have none. Where no family
    has one, the row falls back on what is true of it anyway, as in `explain`.

    Args:
        rows: columns customer, product (codes of `known`); others are kept. Any order.
        known: the week's, on which the recommenders were fitted.
        recommenders: name -> fitted, for evidence; any may be absent.
        order: int[n, families], columns of `contribution` by size, largest first.
        contribution: float[n, families]; only positive ones are cited.
        families: names of these columns.
        promoted: bool[n], an offer of the product is announced and runs within the horizon; None:
            nothing is called an offer.
        citable: what may be named; None: everything.

    Returns:
        As `explain`, and reason_family (category): the family the sentence speaks for, "" for a
        fallback; support and confidence (float64): share of baskets with both products, and of
        those with the cited one that hold this; NaN where the sentence cites no rule.

    Raises:
        ValueError: arrays of another length than `rows`.
    """
    if not len(rows) == len(order) == len(contribution) or (
        promoted is not None and len(promoted) != len(rows)
    ):
        raise ValueError(f"{len(rows)} rows, but {len(order)} orders and {len(contribution)} contributions.")
    facts = _Facts(known, citable)
    promoted = np.zeros(len(rows), dtype=bool) if promoted is None else np.asarray(promoted, dtype=bool)
    parts = []
    for start in range(0, max(1, len(rows)), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        parts.append(
            _families_block(
                rows.iloc[block],
                facts,
                recommenders,
                order[block],
                contribution[block],
                list(families),
                promoted[block],
            )
        )
    code, because, day, family, support, confidence = (
        np.concatenate([part[number] for part in parts]) for number in (0, 1, 2, 4, 5, 6)
    )
    result = rows.reset_index(drop=True)
    result["reason_code"] = pd.Categorical.from_codes(code, categories=list(CODES))
    result["reason_text"] = pd.concat([part[3] for part in parts], ignore_index=True)
    result["because_product"], result["because_day"] = because, day
    result["reason_family"] = pd.Categorical.from_codes(family, categories=[*families, ""])
    result["support"], result["confidence"] = support, confidence
    return result


def slot_reasons(rows: pd.DataFrame, known: Known, citable: Citable | None = None) -> pd.DataFrame:
    """The reasons of products that a campaign's rules, not a model, put into a slot.

    Args:
        rows: columns product (code of `known`), slot_type and fallback_level
            (`rules.pipeline.Selection.rows`); any index.
        known: what the codes come from.
        citable: no sentence here names a product or a purchase, so nothing follows from it.

    Returns:
        reason_code and reason_text (str) by the same index: "" where the model's own reason holds,
        which is every personal slot.
    """
    category = known.products["category"].astype("string").fillna("").to_numpy(dtype=object)
    category = category[rows["product"].to_numpy()]
    kind, level = (rows[name].astype(str).to_numpy() for name in ("slot_type", "fallback_level"))
    code = np.select(
        [kind == "pinned", kind == "discovery", level == "segment", level == "category", level == "global"],
        [
            "picked_by_shop",
            "new_for_you",
            "popular_in_segment",
            "popular_in_your_category",
            "popular_in_shop",
        ],
        "",
    )
    text = [
        TEMPLATES[name].format(category=of) if name else "" for name, of in zip(code, category, strict=True)
    ]
    return pd.DataFrame({"reason_code": code, "reason_text": text}, index=rows.index, dtype="str")


@dataclass(frozen=True)
class Citable:
    """What sentences may name; the rules decide it (`rules`), sentences keep to it.

    Attributes:
        product: bool[n_products], may be named as the cause of another product's row.
        counted: bool[n_products], may have its purchases counted or dated ("You bought this on 3 days").
        refused: csr[n_customers, n_products], stored where a customer sent the product back or rated it
            2 or lower: it is not named as a cause for them. None: nobody refused anything.
    """

    product: np.ndarray
    counted: np.ndarray
    refused: sparse.csr_matrix | None = None


class _Facts:
    """What sentences may claim, looked up per product or per (customer, product)."""

    def __init__(self, known: Known, citable: Citable | None = None) -> None:
        self.known = known
        everything = np.ones(known.n_products, dtype=bool)
        self.citable = Citable(everything, everything) if citable is None else citable
        self.refused = None if self.citable.refused is None else _Pairs(self.citable.refused)
        self._seen: dict[str, tuple[_Pairs, np.ndarray]] = {}
        history, last = known.history, known.last_bought
        self.pairs = _Pairs(history)
        self.days, self.last = history.data.astype(np.int32), last.data.astype(np.int32)
        self.has_history = np.diff(history.indptr) > 0
        self.buyers = np.bincount(history.indices, minlength=known.n_products)
        names, ids = known.products["name"], known.products["product_id"].to_numpy(dtype=object)
        self.name = np.where(_blank(names), ids, names.to_numpy(dtype=object))
        category = known.products["category"]
        self.category_name = category.to_numpy(dtype=object)
        self.category, _ = pd.factorize(category.mask(_blank(category)))  # -1: none
        self.popular, self.popular_in_category = self._popular()
        self.categories_bought = _Pairs(_grouped(self._citable_history(), self.category))

    @cached_property
    def brand(self) -> np.ndarray:
        """int64[n_products]: number of the brand, -1 without one."""
        brand = self.known.products["brand"]
        return pd.factorize(brand.mask(_blank(brand)))[0]

    def brand_name(self, product: int) -> str:
        return self.known.products["brand"].iloc[product]

    @cached_property
    def brands_bought(self) -> _Pairs:
        return _Pairs(_grouped(self._citable_history(), self.brand))

    def _citable_history(self) -> sparse.csr_matrix:
        """`known.history` without what may not be named to its customer."""
        history = self.known.history.tocoo()
        kept = self.may_name(history.row, history.col)
        return sparse.csr_matrix(
            (history.data[kept], (history.row[kept], history.col[kept])), shape=history.shape
        )

    def may_name(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: the product may be named to this customer as a cause."""
        allowed = self.citable.product[products]
        return allowed if self.refused is None else allowed & (self.refused.find(customers, products) < 0)

    def may_date(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: and what the customer did with it may be counted and dated."""
        return self.may_name(customers, products) & self.citable.counted[products]

    @cached_property
    def new(self) -> np.ndarray:
        """bool[n_products]: first bought by anyone in the last 4 weeks, or never, in a shop that has
        been selling for longer."""
        known = self.known
        day = known.events.day[known.purchased]
        first = np.full(known.n_products, np.iinfo(np.int32).max)
        np.minimum.at(first, known.events.product[known.purchased], day)
        since = known.anchor_day - RECENT_DAYS
        recently = first >= since
        return recently & (first < np.iinfo(np.int32).max) & bool(len(day) and day.min() < since)

    def seen(self, kind: str) -> tuple[_Pairs, np.ndarray]:
        """Pairs with an event of this kind, and the day of the latest one."""
        if kind not in self._seen:
            events = self.known.events
            rows = events.kind == EVENT_TYPES.index(kind)
            keys = events.customer[rows].astype(np.int64) * self.known.n_products + events.product[rows]
            order = np.lexsort((events.day[rows], keys))
            keys, day = keys[order], events.day[rows][order]
            last = np.r_[keys[1:] != keys[:-1], True] if len(keys) else np.empty(0, dtype=bool)
            self._seen[kind] = _Pairs.of(keys[last], self.known.n_products), day[last]
        return self._seen[kind]

    def latest(self, kind: str, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """Day of the latest event of this kind per pair, -1 without one."""
        pairs, day = self.seen(kind)
        at = pairs.find(customers, products)
        return np.where(at >= 0, day[at], -1) if len(day) else np.full(len(at), -1)

    def _popular(self) -> tuple[np.ndarray, np.ndarray]:
        """bool[n_products] twice: popular in the shop, popular within the category."""
        known = self.known
        popularity = np.nan_to_num(decayed_purchase_days(known, float(RECENT_DAYS)))
        recent = known.purchased & (known.events.day >= known.anchor_day - RECENT_DAYS)
        recently = np.bincount(known.events.product[recent], minlength=known.n_products) > 0
        sold = np.flatnonzero(popularity > 0)
        everywhere = np.zeros(known.n_products, dtype=bool)
        best = sold[np.lexsort((sold, -popularity[sold]))]
        everywhere[best[: int(np.ceil(POPULAR_SHARE * len(sold)))]] = True
        within = np.zeros(known.n_products, dtype=bool)
        order = sold[np.lexsort((sold, -popularity[sold], self.category[sold]))]
        if len(order):
            group = self.category[order]
            size = np.bincount(group + 1)[group + 1]
            within[order[(rank_within(group) <= np.ceil(POPULAR_SHARE * size)) & (group >= 0)]] = True
        return everywhere & recently, within & recently

    def bought(self, customers: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distinct days and last day per pair; 0 and -1 where never bought."""
        at = self.pairs.find(customers, products)
        if len(self.days) == 0:
            return np.zeros(len(at), dtype=np.int32), np.full(len(at), -1, dtype=np.int32)
        return np.where(at >= 0, self.days[at], 0), np.where(at >= 0, self.last[at], -1)


class _Pairs:
    """Finds stored entries of a csr matrix; its keys are made once, not per lookup."""

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        matrix.sort_indices()
        self.width = max(1, matrix.shape[1])
        rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
        self.keys = rows * self.width + matrix.indices

    @classmethod
    def of(cls, keys: np.ndarray, width: int) -> Self:
        """From ascending row * width + column."""
        pairs = cls.__new__(cls)
        pairs.width, pairs.keys = max(1, width), keys
        return pairs

    def find(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """int64 position among the stored entries, -1 where not stored."""
        if len(self.keys) == 0:
            return np.full(len(rows), -1)
        wanted = rows.astype(np.int64) * self.width + columns
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, at, -1)


def _grouped(history: sparse.csr_matrix, group: np.ndarray) -> sparse.csr_matrix:
    """csr[customers, groups]: purchases per group of products; products of group -1 are left out."""
    member = np.flatnonzero(group >= 0)
    groups = sparse.csr_matrix(
        (np.ones(len(member), dtype=np.float32), (member, group[member])),
        shape=(len(group), int(group.max(initial=-1)) + 1),
    )
    return (history @ groups).tocsr()


def _blank(values: pd.Series) -> np.ndarray:
    text = values.astype("string").fillna("")
    return (text.str.strip() == "").to_numpy(dtype=bool)


def _explain_block(
    rows: pd.DataFrame, facts: _Facts, recommenders: Mapping[str, Recommender]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.Series]:
    customers, products = (rows[column].to_numpy(dtype=np.int32) for column in ("customer", "product"))
    source = rows["source"].astype("category")
    number = {name: position for position, name in enumerate(source.cat.categories)}
    source = source.cat.codes.to_numpy()
    code = np.full(len(rows), -1, dtype=np.int8)
    because = np.full(len(rows), -1, dtype=np.int32)
    days, day = facts.bought(customers, products)
    before = (days > 0) & facts.may_name(customers, products)
    days = np.where(facts.may_date(customers, products), days, 0)

    def claim(name: str, holds: np.ndarray) -> None:
        """Give the reason to the rows that have none yet and for which it holds."""
        code[(code < 0) & holds] = CODES.index(name)

    claim("bought_often", days > 1)
    claim("bought_once", days == 1)
    claim("bought_before", before)
    because[code >= 0] = products[code >= 0]
    for name, reason in EVIDENCE.items():
        open_ = np.flatnonzero((code < 0) & (source == number.get(name, -2)))
        if name not in recommenders or len(open_) == 0:
            continue
        led = recommenders[name].because(customers[open_], products[open_])
        _, when = facts.bought(customers[open_], np.maximum(led, 0))
        # Evidence may be a view or a wish: only a purchase is called one.
        true = (led >= 0) & (led != products[open_]) & (when >= 0)
        true &= facts.may_date(customers[open_], np.maximum(led, 0))
        if name == "content":
            # The strongest of weak contributions led from cat litter to eggs (same brand and price band).
            here, there = facts.category[products[open_]], facts.category[np.maximum(led, 0)]
            true &= (here == there) | (here < 0) | (there < 0)
        hit = open_[true]
        code[hit], because[hit], day[hit] = CODES.index(reason), led[true], when[true]
    alike = np.isin(source, [number[name] for name in SIMILAR_CUSTOMERS if name in number])
    claim("similar_customers", alike & facts.has_history[customers] & (facts.buyers[products] > 0))

    category = facts.category[products]
    named = category >= 0
    yours = named & (facts.categories_bought.find(customers, np.maximum(category, 0)) >= 0)
    shelf = source == number.get("category_popularity", -2)
    claim("popular_in_your_category", shelf & yours & facts.popular_in_category[products])
    claim("popular_in_category", shelf & named & facts.popular_in_category[products])
    claim("popular", facts.popular[products])
    claim("popular_in_your_category", yours & facts.popular_in_category[products])
    claim("popular_in_category", named & facts.popular_in_category[products])
    claim("from_your_category", yours)
    claim("from_category", named)
    claim("from_range", np.ones(len(rows), dtype=bool))
    day[because < 0] = -1
    return code, because, day, _texts(code, because, day, days, products, facts)


def _families_block(
    rows: pd.DataFrame,
    facts: _Facts,
    recommenders: Mapping[str, Recommender],
    order: np.ndarray,
    contribution: np.ndarray,
    families: list[str],
    promoted: np.ndarray,
) -> tuple:
    """Arrays of `explain_families`: code, because, day, text, family, support, confidence."""
    customers, products = (rows[column].to_numpy(dtype=np.int32) for column in ("customer", "product"))
    claims = _Claims(facts, customers, products)
    family = np.full(len(rows), len(families), dtype=np.int8)
    for place in range(order.shape[1]):
        column = order[:, place].astype(np.int64)
        open_ = (claims.code < 0) & (contribution[np.arange(len(rows)), column] > 0)
        for number in np.unique(column[open_]):
            here = np.flatnonzero(open_ & (column == number))
            claims.family(families[number], here, recommenders, promoted)
            family[here[claims.code[here] >= 0]] = number
    claims.fallback()
    code, because, day = claims.code, claims.because, claims.day
    day[because < 0] = -1
    support, confidence = np.full((2, len(rows)), np.nan)
    together = np.flatnonzero((code == CODES.index("bought_together")) & (because >= 0))
    if len(together):
        rules = recommenders["rules"]
        found = _Pairs(rules.pair_baskets_).find(because[together], products[together])
        baskets = np.where(found >= 0, rules.pair_baskets_.data[found], 0)
        support[together] = baskets / rules.total_baskets_
        confidence[together] = baskets / rules.product_baskets_[because[together]]
    days, _ = facts.bought(customers, products)
    text = _texts(code, because, day, days, products, facts)
    return code, because, day.astype(np.int32), text, family, support, confidence


class _Claims:
    """Reasons of some rows; a row keeps the first that is claimed for it."""

    def __init__(self, facts: _Facts, customers: np.ndarray, products: np.ndarray) -> None:
        self.facts, self.customers, self.products = facts, customers, products
        self.code = np.full(len(customers), -1, dtype=np.int8)
        self.because = np.full(len(customers), -1, dtype=np.int32)
        self.days, self.day = facts.bought(customers, products)
        self.dated = facts.may_date(customers, products)
        self.before = (self.days > 0) & facts.may_name(customers, products)
        self.days = np.where(self.dated, self.days, 0)
        self.category = facts.category[products]
        at = np.maximum(self.category, 0)
        self.yours = (self.category >= 0) & (facts.categories_bought.find(customers, at) >= 0)

    def claim(
        self, name: str, here: np.ndarray, holds: np.ndarray, because: np.ndarray, day: np.ndarray
    ) -> None:
        rows = here[holds & (self.code[here] < 0)]
        place = np.flatnonzero(holds & (self.code[here] < 0))
        self.code[rows] = CODES.index(name)
        self.because[rows], self.day[rows] = because[place], day[place]

    def family(
        self, family: str, here: np.ndarray, recommenders: Mapping[str, Recommender], promoted: np.ndarray
    ) -> None:
        """Claim for the rows `here` what is true and belongs to the family."""
        facts, customers, products = self.facts, self.customers[here], self.products[here]
        none = np.full(len(here), -1, dtype=np.int32)
        if family == "bought_before":
            for name, holds in (("bought_often", self.days[here] > 1), ("bought_once", self.days[here] == 1)):
                self.claim(name, here, holds, products, self.day[here])
        for source, name in FAMILY_EVIDENCE.get(family, ()):
            if source not in recommenders:
                continue
            led = recommenders[source].because(customers, products)
            _, when = facts.bought(customers, np.maximum(led, 0))
            # Evidence may be a view or a wish: only a purchase is called one.
            true = (led >= 0) & (led != products) & (when >= 0)
            true &= facts.may_date(customers, np.maximum(led, 0))
            if name in ("similar_product", "new_for_your_taste"):
                there = facts.category[np.maximum(led, 0)]
                true &= (self.category[here] == there) | (self.category[here] < 0) | (there < 0)
            if name == "new_for_your_taste":
                true &= facts.new[products]
            self.claim(name, here, true, led, when)
        if family == "customers_like_you":
            alike = facts.has_history[customers] & (facts.buyers[products] > 0)
            self.claim("similar_customers", here, alike, none, none)
        if family == "viewed_or_wished":
            for kind, name in SEEN.items():
                when = facts.latest(kind, customers, products)
                self.claim(name, here, (when >= 0) & self.dated[here], products, when.astype(np.int32))
            if "recently_viewed" in recommenders:
                led = recommenders["recently_viewed"].because(customers, products)
                when = facts.latest("view", customers, np.maximum(led, 0)).astype(np.int32)
                true = (led >= 0) & (led != products) & (when >= 0)
                true &= facts.may_date(customers, np.maximum(led, 0))
                self.claim("viewed_related", here, true, led, when)
        if family == "brand":
            brand = facts.brand[products]
            bought = (brand >= 0) & (facts.brands_bought.find(customers, np.maximum(brand, 0)) >= 0)
            self.claim("brand_you_buy", here, bought, none, none)
        if family == "new_arrival":
            self.claim("new_arrival", here, facts.new[products], none, none)
        if family == "promotion":
            self.claim("on_offer", here, promoted[here], none, none)
        if family == "popular":
            self.claim("popular", here, facts.popular[products], none, none)
        if family == "popular_in_category":
            popular = facts.popular_in_category[products]
            self.claim("popular_in_your_category", here, self.yours[here] & popular, none, none)
            self.claim("popular_in_category", here, (self.category[here] >= 0) & popular, none, none)
            self.claim("from_your_category", here, self.yours[here], none, none)

    def fallback(self) -> None:
        """What is true of a row whatever mattered to the ranker."""
        here = np.flatnonzero(self.code < 0)
        none = np.full(len(here), -1, dtype=np.int32)
        popular = self.facts.popular_in_category[self.products[here]]
        named = self.category[here] >= 0
        for name, days in (("bought_often", self.days[here] > 1), ("bought_once", self.days[here] == 1)):
            self.claim(name, here, days, self.products[here], self.day[here])
        self.claim("bought_before", here, self.before[here], self.products[here], self.day[here])
        for name, holds in (
            ("popular", self.facts.popular[self.products[here]]),
            ("popular_in_your_category", self.yours[here] & popular),
            ("popular_in_category", named & popular),
            ("from_your_category", self.yours[here]),
            ("from_category", named),
            ("from_range", np.ones(len(here), dtype=bool)),
        ):
            self.claim(name, here, holds, none, none)


def _texts(
    code: np.ndarray,
    because: np.ndarray,
    day: np.ndarray,
    days: np.ndarray,
    products: np.ndarray,
    facts: _Facts,
) -> pd.Series:
    """Each distinct sentence is written once and then taken by row."""
    subject = np.full(len(code), -1, dtype=np.int64)  # what the sentence names
    for position, name in enumerate(CODES):
        here = code == position
        if not here.any():
            continue
        if "{product}" in TEMPLATES[name]:
            subject[here] = because[here]
        elif "{category}" in TEMPLATES[name]:
            subject[here] = facts.category[products[here]]
        elif "{brand}" in TEMPLATES[name]:
            subject[here] = facts.brand[products[here]]
    counted = np.where(np.isin(code, COUNTED), days, 0)
    parts = pd.DataFrame({"code": code, "subject": subject, "day": day, "days": counted})
    group = parts.groupby(["code", "subject", "day", "days"], sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    sentences = [
        TEMPLATES[CODES[code[row]]].format(
            product=facts.name[because[row]],
            category=facts.category_name[products[row]],
            brand=facts.brand_name(products[row]) if "{brand}" in TEMPLATES[CODES[code[row]]] else None,
            date=day_text(int(day[row]), facts.known.as_of),
            days=counted[row],
        )
        for row in first
    ]
    return pd.Series(pd.array(sentences, dtype="str").take(group))


def explain_again(rows: pd.DataFrame, known: Known, citable: Citable | None = None) -> pd.DataFrame:
    """Add the reason to rows of `rules.cadence.due_again`.

    "About every n days" is the customer's own mean gap, said from two gaps on, where it is two days or
    more and she has not been silent for more than twice as long. A product that stands for another one
    says so, and names it. What may not be counted, or a cause that may not be named, leaves "You bought
    this before", or what is true of the product for anybody.

    Args:
        rows: columns customer, product, replaces, kind, order_days, last_day, usual_gap; others are kept.
        known: what the rows were made from.
        citable: what may be named; None: everything.

    Returns:
        `rows` with a fresh index, reason_code (category, one of `CODES`) and reason_text (str).
    """
    result = rows.reset_index(drop=True)
    product, replaces = rows["product"].to_numpy(), rows["replaces"].to_numpy()
    days, last, gap = (rows[name].to_numpy() for name in ("order_days", "last_day", "usual_gap"))
    every = np.rint(np.nan_to_num(gap)).astype(np.int64)
    regular = (every >= 2) & (known.anchor_day - last <= 2 * np.nan_to_num(gap))
    name = np.select(
        [rows["kind"] == "variant", rows["kind"] == "same_brand", regular, days > 1],
        [
            CODES.index(one)
            for one in ("replaces_variant", "replaces_same_brand", "bought_regularly", "bought_often")
        ],
        CODES.index("bought_once"),
    )
    because = np.where(replaces >= 0, replaces, product)
    shown = np.where(name == CODES.index("bought_regularly"), every, days)
    facts, customer = _Facts(known, citable), rows["customer"].to_numpy(dtype=np.int32)
    claims, here = _Claims(facts, customer, product), np.arange(len(rows))
    dated = facts.may_date(customer, because)
    for position in np.unique(name):
        claims.claim(CODES[position], here, dated & (name == position), because, last)
    own = (replaces < 0) & facts.may_name(customer, product)
    claims.claim("bought_before", here, own, product, last)
    claims.fallback()
    result["reason_code"] = pd.Categorical.from_codes(claims.code, categories=list(CODES))
    result["reason_text"] = _texts(claims.code, claims.because, claims.day, shown, product, facts)
    return result


def day_text(day: int, as_of: date) -> str:
    """A day (since 1970-01-01) as "12 Dec"; with its year where it is more than 12 months ago.

    >>> day_text(17147, date(2017, 1, 2)), day_text(16781, date(2017, 1, 2))
    ('12 Dec', '12 Dec 2015')
    """
    when = date(1970, 1, 1) + timedelta(days=day)
    text = f"{when.day} {MONTHS[when.month - 1]}"
    # Tuples compare like dates and need no 29 February in every year.
    recent = (when.year, when.month, when.day) >= (as_of.year - 1, as_of.month, as_of.day)
    return text if recent else f"{text} {when.year}"
