"""Why this product: one true, specific sentence per row.

A sentence is written only where the events say so. Each row takes the first reason that holds:

1. the customer bought the product before: how often and when;
2. what the row's source says: the product that led to it, if the customer bought that one (and, to
   be called similar, if both are of one category); similar customers, if there are any; popularity,
   if the product is popular indeed;
3. popular in the last weeks, popular in its category, from its category, from the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.interactions import Known
from recs_assets.recommenders.base import Recommender, rank_within
from recs_assets.recommenders.popularity import decayed_purchase_days

# reason_code -> sentence. A shop translates here (and MONTHS). {product} is the name of the product
# that led to the row, {category} that of the recommended product, {date} a day.
TEMPLATES: dict[str, str] = {
    "bought_often": "You bought this on {days} days, last on {date}",
    "bought_once": "You bought this on {date}",
    "bought_together": "Often bought with {product}, which you bought on {date}",
    "also_bought": "Customers who bought {product}, as you did on {date}, buy this too",
    "similar_product": "Similar to {product}, which you bought on {date}",
    "similar_customers": "Customers with purchases like yours buy this",
    "popular": "Popular with our customers in the last 4 weeks",
    "popular_in_your_category": "Popular in {category}, a category you buy from",
    "popular_in_category": "Popular in {category}",
    "from_your_category": "From {category}, a category you buy from",
    "from_category": "From {category}",
    "from_range": "From our range",
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Source -> the sentence its evidence supports. item_knn counts customers in common, not baskets,
# so "often bought with" would claim too much for it.
EVIDENCE = {"rules": "bought_together", "item_knn": "also_bought", "content": "similar_product"}
SIMILAR_CUSTOMERS = ("als", "lightfm", "user_knn")

CODES = tuple(TEMPLATES)
RECENT_DAYS = 28
POPULAR_SHARE = 0.1

# Rows explained at once; some 200 bytes each are alive meanwhile.
BLOCK_ROWS = 1_000_000


def explain(rows: pd.DataFrame, known: Known, recommenders: Mapping[str, Recommender]) -> pd.DataFrame:
    """Add the reason to every row.

    "Popular" means: bought in the last 4 weeks, and among the tenth of the products sold (of its
    category: at least one product) with the largest decayed popularity (half-life 28 days).

    Args:
        rows: columns customer, product (codes of `known`) and source (recommender's name); others
            are kept. Any order.
        known: what the recommenders were fitted on.
        recommenders: name -> fitted; a source that is absent gives no evidence of its own.

    Returns:
        `rows` with a fresh index and reason_code (category, one of `CODES`), reason_text (str),
        because_product (int32 code, -1 where no single product is the reason) and because_day
        (int32, days since 1970-01-01 of the last purchase of that product, -1 with it).
    """
    facts = _Facts(known)
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


class _Facts:
    """What sentences may claim, looked up per product or per (customer, product)."""

    def __init__(self, known: Known) -> None:
        self.known = known
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
        member = np.flatnonzero(self.category >= 0)
        groups = sparse.csr_matrix(
            (np.ones(len(member), dtype=np.float32), (member, self.category[member])),
            shape=(known.n_products, int(self.category.max(initial=-1)) + 1),
        )
        self.categories_bought = _Pairs((history @ groups).tocsr())

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

    def find(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """int64 position among the stored entries, -1 where not stored."""
        if len(self.keys) == 0:
            return np.full(len(rows), -1)
        wanted = rows.astype(np.int64) * self.width + columns
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, at, -1)


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

    def claim(name: str, holds: np.ndarray) -> None:
        """Give the reason to the rows that have none yet and for which it holds."""
        code[(code < 0) & holds] = CODES.index(name)

    claim("bought_often", days > 1)
    claim("bought_once", days == 1)
    because[code >= 0] = products[code >= 0]
    for name, reason in EVIDENCE.items():
        open_ = np.flatnonzero((code < 0) & (source == number.get(name, -2)))
        if name not in recommenders or len(open_) == 0:
            continue
        led = recommenders[name].because(customers[open_], products[open_])
        _, when = facts.bought(customers[open_], np.maximum(led, 0))
        # Evidence may be a view or a wish: only a purchase is called one.
        true = (led >= 0) & (led != products[open_]) & (when >= 0)
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
        if "{product}" in TEMPLATES[name]:
            subject[here] = because[here]
        elif "{category}" in TEMPLATES[name]:
            subject[here] = facts.category[products[here]]
    counted = np.where(code == CODES.index("bought_often"), days, 0)
    parts = pd.DataFrame({"code": code, "subject": subject, "day": day, "days": counted})
    group = parts.groupby(["code", "subject", "day", "days"], sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    sentences = [
        TEMPLATES[CODES[code[row]]].format(
            product=facts.name[because[row]],
            category=facts.category_name[products[row]],
            date=day_text(int(day[row]), facts.known.as_of),
            days=counted[row],
        )
        for row in first
    ]
    return pd.Series(pd.array(sentences, dtype="str").take(group))


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
