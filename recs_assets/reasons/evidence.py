"""What sentences may claim: looked up per product or per (customer, product), from what is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import PairIndex, encode_pairs, find_sorted, is_stored, mark_ends, rank_within
from recs_assets.known.facts import as_array
from recs_assets.known.interactions import EVENT_TYPES, Known, number_parents
from recs_assets.known.preferences import join_label, label_facets
from recs_assets.known.segments import mark_segments, number_segments
from recs_assets.recommenders.chance import find_pairs_beyond_chance

RECENT_DAYS = 28

# Popular is the best tenth by decayed purchases, of which somebody knows: a tenth of those who bought
# anything lately, at least 3 and never more than 5 of them.
POPULAR_SHARE = 0.1
BUYER_SHARE, FEWEST_BUYERS, ENOUGH_BUYERS = 0.1, 3, 5

# A plural needs two: "customers who bought X buy this too".
SEVERAL = 2

# A brand or category that stands for everything is nothing that anybody chose: more than a third of the
# catalogue for a brand, half for a category; a brand also by more than half of the categories.
GENERIC_SHARE = {"brand": 1 / 3, "category": 1 / 2}
GENERIC_PRODUCTS, GENERIC_CATEGORIES = 20, 10
GENERIC_NAMES = frozenset(
    """
    national|private|private label|own label|own brand|store brand|house brand|generic|generics|no name|no-name
    |noname|no brand|unbranded|does not apply|not applicable|other|others|various|misc|misc.|miscellaneous|assorted
    |default|default category|uncategorized|uncategorised|general|all|all products|eigenmarke|hausmarke|ohne marke
    |sonstige|sonstiges|verschiedenes|diverse|sans marque|marque de distributeur|divers|autre|autres|non classé
    |marca blanca|marca propia|sin marca|otros|otras|varios|varias|sin categoría|huismerk|merkloos|overig|overige
    |diversen|marca privata|senza marca|altro|altri|vari|varie
    """.replace("\n", "").replace("    ", "").split("|")
)  # fmt: skip

# The fact that says which products go together.
BOTH = "bought_together_by_customers"

# Pairs of products whose buyers are counted at once.
PAIRS_AT_ONCE = 2_000
# Products whose buyers are counted beside those of all others at once.
PRODUCTS_AT_ONCE = 512


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


@dataclass(frozen=True)
class Offers:
    """Price advantages that everybody has, in the days from the email to the end of its window.

    Attributes:
        first: int[n_products], first day as days since 1970-01-01; -1 without an offer.
        last: int[n_products], last whole day; -1 with it.
        sent: int, the day of the email.
    """

    first: np.ndarray
    last: np.ndarray
    sent: int


class Evidence:
    """What is true at the anchor, without what may not be said.

    Args:
        known: everything before the anchor.
        citable: what may be named; None: everything.
    """

    def __init__(self, known: Known, citable: Citable | None = None) -> None:
        self.known = known
        everything = np.ones(known.n_products, dtype=bool)
        self.citable = Citable(everything, everything) if citable is None else citable
        self._refused = None if self.citable.refused is None else PairIndex.of(self.citable.refused)
        self._seen: dict[str, tuple[PairIndex, np.ndarray]] = {}
        self._liked: dict[str, tuple[PairIndex, np.ndarray]] = {}
        history, last = known.history, known.last_bought
        self._bought = PairIndex.of(history)
        self._days, self._last = history.data.astype(np.int32), last.data.astype(np.int32)
        self.buyers = as_array(
            known.shop_fact("buyers", lambda: np.bincount(history.indices, minlength=known.n_products))
        )

    def count_facts(self) -> None:
        """Count of the whole shop what evidence of a block of its customers looks up."""
        none = np.empty(0, dtype=np.int64)
        _ = self.new, self.enough_buyers, self.popular
        self.popular_in_segment(none, none)
        self.known.shop_fact(BOTH, self.find_bought_together)

    # -- products -------------------------------------------------------------------------

    @cached_property
    def title(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[n_products], equal where the titles are, whatever their case; -1 without one. And the
        titles, object[n_products]."""
        names = self.known.products["name"]
        plain = names.astype("string").str.strip().str.casefold()
        return pd.factorize(plain.mask(is_blank(names)))[0], names.to_numpy(dtype=object)

    @cached_property
    def parent(self) -> np.ndarray:
        """int64[n_products]: variants share a number; -1 none."""
        products = self.known.products
        return number_parents(products) if "parent_id" in products else np.full(len(products), -1)

    @cached_property
    def category(self) -> np.ndarray:
        """int64[n_products]: number of the category, -1 without one."""
        return _number(self.known.products["category"])

    @cached_property
    def brand(self) -> np.ndarray:
        """int64[n_products]: number of the brand, -1 without one."""
        return _number(self.known.products["brand"])

    @cached_property
    def shelf(self) -> np.ndarray:
        """`category`, -1 also where it stands for everything: a sentence may name it."""
        return np.where(self._find_generic("category", self.category), -1, self.category)

    @cached_property
    def label(self) -> np.ndarray:
        """`brand`, -1 also where it stands for everything: a sentence may name it."""
        brand = self.brand
        return np.where(self._find_generic("brand", brand), -1, brand)

    def _find_generic(self, column: str, number: np.ndarray) -> np.ndarray:
        """bool[n_products]: their brand or category is one that stands for everything."""
        named = self.known.products[column].astype("string").str.strip().str.casefold()
        by_name = named.isin(GENERIC_NAMES).fillna(False).to_numpy(bool)
        if not (number >= 0).any():
            return by_name
        size = np.bincount(number[number >= 0])
        large = (size > GENERIC_SHARE[column] * len(number)) & (size >= GENERIC_PRODUCTS)
        if column == "brand":
            both = np.unique(
                np.stack([number, self.category])[:, (number >= 0) & (self.category >= 0)], axis=1
            )
            spread = np.bincount(both[0], minlength=len(size))
            large |= (spread > (self.category.max(initial=-1) + 1) / 2) & (spread >= GENERIC_CATEGORIES)
        return by_name | ((number >= 0) & large[np.maximum(number, 0)])

    @cached_property
    def new(self) -> np.ndarray:
        """bool[n_products]: on sale for 4 weeks at most. Where the shop does not say since when: first bought
        by anyone in the last 4 weeks, in a shop that has been selling for longer."""
        known = self.known
        sold = as_array(known.shop_fact("first_bought_lately", self._find_first_bought_lately))
        if "start_at" not in known.products:
            return sold
        start = pd.to_datetime(known.products["start_at"])
        begins = start >= pd.Timestamp(known.as_of) - pd.Timedelta(days=RECENT_DAYS)
        return np.where(start.isna(), sold, begins)

    def _find_first_bought_lately(self) -> np.ndarray:
        """bool[n_products]: first bought in the last 4 weeks, in a shop that has been selling for longer."""
        known = self.known
        day = known.events.day[known.purchased]
        first = np.full(known.n_products, np.iinfo(np.int32).max)
        # Events are sorted by day: of several the earliest is written last.
        first[known.events.product[known.purchased][::-1]] = day[::-1]
        since = known.anchor_day - RECENT_DAYS
        return (first >= since) & (first < np.iinfo(np.int32).max) & bool(len(day) and day.min() < since)

    @property
    def recent_buyers(self) -> np.ndarray:
        """int64[n_products]: distinct customers who bought it in the last 4 weeks."""

        def count() -> np.ndarray:
            return np.bincount(self._recent_pairs[1], minlength=self.known.n_products)

        return as_array(self.known.shop_fact("recent_buyers", count))

    @cached_property
    def enough_buyers(self) -> int:
        """So many buyers in the last 4 weeks make a product popular at the least."""
        shoppers = self.known.shop_fact(
            "recent_shoppers", lambda: np.array(len(np.unique(self._recent_pairs[0])))
        )
        return int(np.clip(np.ceil(BUYER_SHARE * as_array(shoppers)), FEWEST_BUYERS, ENOUGH_BUYERS))

    @cached_property
    def _recent_pairs(self) -> np.ndarray:
        """int64[2, n]: distinct customer and product of the purchases of the last 4 weeks."""
        known = self.known
        recent = known.purchased & (known.events.day >= known.anchor_day - RECENT_DAYS)
        key = encode_pairs(known.events.customer[recent], known.events.product[recent], known.n_products)
        return np.stack(np.divmod(np.unique(key), max(1, known.n_products)))

    @cached_property
    def popular(self) -> tuple[np.ndarray, np.ndarray]:
        """bool[n_products] twice: popular in the shop, popular within the category."""
        known = self.known
        popularity = np.nan_to_num(known.popularity(float(RECENT_DAYS)))
        sold = np.flatnonzero(popularity > 0)
        everywhere, within = np.zeros((2, known.n_products), dtype=bool)
        best = sold[np.lexsort((sold, -popularity[sold]))]
        everywhere[best[: int(np.ceil(POPULAR_SHARE * len(sold)))]] = True
        order = sold[np.lexsort((sold, -popularity[sold], self.category[sold]))]
        if len(order):
            group = self.category[order]
            size = np.bincount(group + 1)[group + 1]
            within[order[(rank_within(group) <= np.ceil(POPULAR_SHARE * size)) & (group >= 0)]] = True
        known_well = self.recent_buyers >= self.enough_buyers
        return everywhere & known_well, within & known_well & (self.shelf >= 0)

    # -- customers and products -----------------------------------------------------------

    def bought(self, customers: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distinct days and last day per pair; 0 and -1 where never bought."""
        at = self._bought.find(customers, products)
        if len(self._days) == 0:
            return np.zeros(len(at), dtype=np.int32), np.full(len(at), -1, dtype=np.int32)
        return np.where(at >= 0, self._days[at], 0), np.where(at >= 0, self._last[at], -1)

    def latest(self, kind: str, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """int32[n]: day of the latest event of this kind per pair, -1 without one."""
        pairs, day = self._load_events(kind)
        at = pairs.find(customers, products)
        latest = np.where(at >= 0, day[at], -1) if len(day) else np.full(len(at), -1)
        return latest.astype(np.int32)

    def _load_events(self, kind: str) -> tuple[PairIndex, np.ndarray]:
        """Pairs with an event of this kind, and the day of the latest one."""
        if kind not in self._seen:
            events = self.known.events
            rows = events.kind == EVENT_TYPES.index(kind)
            keys = encode_pairs(events.customer[rows], events.product[rows], self.known.n_products)
            order = np.lexsort((events.day[rows], keys))
            keys, day = keys[order], events.day[rows][order]
            last = mark_ends(keys)
            self._seen[kind] = PairIndex(keys[last], self.known.n_products), day[last]
        return self._seen[kind]

    def find_in_table(
        self, table: str, customers: np.ndarray, products: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """bool[n]: a table of the shop's own has a row of the pair, or of the product where it is nobody's; and the day
        of the latest, -1 without one."""
        rows = self.known.own_tables[table]
        if len(rows.product) == 0:
            return np.zeros(len(products), dtype=bool), np.full(len(products), -1)
        keys = encode_pairs(np.maximum(rows.customer, 0), rows.product, self.known.n_products)
        whose = np.where(rows.customer[0] < 0, 0, customers)
        at = PairIndex(keys, self.known.n_products).find(whose, products)
        return at >= 0, np.where(at >= 0, rows.day[at], -1)

    def find_back(
        self, customers: np.ndarray, products: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per pair, of what was sold out when they wanted it and is in stock again: the product that they wanted, the
        position in `WANTING`, and the day; -1 elsewhere."""
        rows = self.known.back_in_stock
        if len(rows.product) == 0:
            nothing = np.full(len(products), -1)
            return nothing, nothing, nothing
        keys = encode_pairs(rows.customer, rows.product, self.known.n_products)
        at = PairIndex(keys, self.known.n_products).find(customers, products)
        wanted, kind, day = (np.where(at >= 0, part[at], -1) for part in (rows.wanted, rows.kind, rows.day))
        return wanted, kind, day

    def may_name(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: the product may be named to this customer as a cause."""
        allowed = self.citable.product[products]
        return allowed if self._refused is None else allowed & (self._refused.find(customers, products) < 0)

    def may_date(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: and what the customer did with it may be counted and dated."""
        return self.may_name(customers, products) & self.citable.counted[products]

    def leads(self, customers: np.ndarray, led: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: `led` (-1 none) may be named, with a date, as what led the customer to the product. It
        has a title, and another one than the product, and is no variant of it."""
        cause, (title, _) = np.maximum(led, 0), self.title
        variant = (self.parent[cause] == self.parent[products]) & (self.parent[cause] >= 0)
        leads = (led >= 0) & (led != products) & ~variant
        leads &= (title[cause] >= 0) & (title[cause] != title[products])
        return leads & self.may_date(customers, cause)

    def buys_from(self, group: str, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: the customer bought something of the product's "shelf" or "label" that may be named."""
        number = getattr(self, group)[products]
        return (number >= 0) & (self._choose_groups(group).find(customers, np.maximum(number, 0)) >= 0)

    def likes(self, facet: str, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: the customer answered that they like the product's "category" or "brand", and it may be told.

        Neither where it stands for everything, nor where half of its products or more may not be named, nor of a product that
        may not.
        """
        said = self.known.preferences
        if not (said["facet"] == facet).any():
            return np.zeros(len(products), dtype=bool)
        if facet not in self._liked:
            self._liked[facet] = self._find_liked(facet, said[said["facet"] == facet])
        pairs, number = self._liked[facet]
        liked = (number[products] >= 0) & (pairs.find(customers, np.maximum(number[products], 0)) >= 0)
        return liked & self.may_name(customers, products)

    def _find_liked(self, facet: str, said: pd.DataFrame) -> tuple[PairIndex, np.ndarray]:
        """Pairs of a customer and what they like; and the number of what each product is of, -1 where that is not told."""
        labels, number = np.unique(label_facets(self.known, facet).astype(str), return_inverse=True)
        silent = np.bincount(number, ~self.citable.product) * 2 >= np.bincount(number)
        named = (self.shelf if facet == "category" else self.label) >= 0
        place = find_sorted(labels, np.array([join_label(facet, value) for value in said["value"]]))
        keys = encode_pairs(said["customer"].to_numpy()[place >= 0], place[place >= 0], len(labels))
        return PairIndex(np.unique(keys), len(labels)), np.where(named & ~silent[number], number, -1)

    def _choose_groups(self, group: str) -> PairIndex:
        return self._shelves_bought if group == "shelf" else self._labels_bought

    @cached_property
    def _shelves_bought(self) -> PairIndex:
        return PairIndex.of(_sum_by_group(self._citable_history, self.shelf))

    @cached_property
    def _labels_bought(self) -> PairIndex:
        return PairIndex.of(_sum_by_group(self._citable_history, self.label))

    @cached_property
    def _citable_history(self) -> sparse.csr_matrix:
        """`known.history` without what may not be named to its customer."""
        history = self.known.history.tocoo()
        kept = self.may_name(history.row, history.col)
        return sparse.csr_matrix(
            (history.data[kept], (history.row[kept], history.col[kept])), shape=history.shape
        )

    def go_together(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """bool[n]: several customers bought both products of a pair, and more than chance would give
        (`find_pairs_beyond_chance`)."""
        if self.known.facts is not None:
            together = self.known.shop_fact(BOTH, self.find_bought_together)
            return is_stored(together.tocsr(), np.minimum(left, right), np.maximum(left, right))
        key, place = np.unique(encode_pairs(left, right, self.known.n_products), return_inverse=True)
        first, second = np.divmod(key, max(1, self.known.n_products))
        count = np.zeros(len(key), dtype=np.int64)
        for start in range(0, len(key), PAIRS_AT_ONCE):
            block = slice(start, start + PAIRS_AT_ONCE)
            both = self._buyers[:, first[block]].multiply(self._buyers[:, second[block]])
            count[block] = np.asarray(both.sum(axis=0)).ravel()
        return self._prove_together(count, first, second)[place]

    def find_bought_together(self) -> sparse.csr_matrix:
        """bool csr[n_products, n_products]: pairs that go together, the smaller code as the row.

        Counted of a shop whose customers are cut into blocks; otherwise of the pairs that somebody asks for.
        """
        bought, parts = self._buyers, []
        for start in range(0, bought.shape[1], PRODUCTS_AT_ONCE):
            both = (bought[:, start : start + PRODUCTS_AT_ONCE].T @ bought).tocoo()
            row, column = both.row + start, both.col
            kept = np.flatnonzero((both.data >= SEVERAL) & (row <= column))
            kept = kept[self._prove_together(both.data[kept], row[kept], column[kept])]
            parts.append((row[kept], column[kept]))
        row, column = (np.concatenate([np.empty(0, np.int32), *codes]) for codes in zip(*parts, strict=True))
        shape = (bought.shape[1], bought.shape[1])
        return sparse.csr_matrix((np.ones(len(row), dtype=bool), (row, column)), shape=shape)

    def _prove_together(self, count: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """bool[n]: `count` customers who bought both are several, and more than chance would give."""
        several = count >= SEVERAL
        several[several] = find_pairs_beyond_chance(
            count[several],
            self.buyers[first[several]],
            self.buyers[second[several]],
            *self._shop_size,
        )
        return several

    @cached_property
    def _shop_size(self) -> tuple[int, int]:
        """Customers who bought something, and products that several of them bought."""
        return int((np.diff(self.known.history.indptr) > 0).sum()), int((self.buyers >= SEVERAL).sum())

    @cached_property
    def _buyers(self) -> sparse.csc_matrix:
        bought = self.known.history.tocsc()
        return sparse.csc_matrix(
            (np.ones(len(bought.data), dtype=np.int32), bought.indices, bought.indptr), shape=bought.shape
        )

    def popular_in_segment(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool[n]: several customers of the customer's segment bought the product."""
        segment, names = number_segments(self.known)

        def count() -> sparse.csr_matrix:
            return mark_segments(segment, len(names), np.int32) @ self._buyers.tocsr()

        counts = self.known.shop_fact("buyers_in_segment", count).tocsr()
        at = PairIndex.of(counts).find(np.maximum(segment[customers], 0), products)
        enough = np.where(at >= 0, counts.data[at], 0) if len(counts.data) else np.zeros(len(at))
        return (segment[customers] >= 0) & (enough >= FEWEST_BUYERS)


def _sum_by_group(history: sparse.csr_matrix, group: np.ndarray) -> sparse.csr_matrix:
    """csr[customers, groups]: purchases per group of products; products of group -1 are left out."""
    member = np.flatnonzero(group >= 0)
    groups = sparse.csr_matrix(
        (np.ones(len(member), dtype=np.float32), (member, group[member])),
        shape=(len(group), int(group.max(initial=-1)) + 1),
    )
    return (history @ groups).tocsr()


def _number(values: pd.Series) -> np.ndarray:
    """int64 number per distinct text, -1 where blank."""
    return pd.factorize(values.mask(is_blank(values)))[0]


def is_blank(values: pd.Series) -> np.ndarray:
    """bool[n]: no text in it."""
    text = values.astype("string").fillna("")
    return (text.str.strip() == "").to_numpy(dtype=bool)
