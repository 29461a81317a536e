"""What the rules of a campaign look at, as arrays; what a shop lacks is None and its rule does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import encode_pairs, find_runs, find_sorted, list_entries, rank_within
from recs_assets.audit.segments import SEGMENTS, TIERS
from recs_assets.known.facts import as_array
from recs_assets.known.interactions import EVENT_TYPES, PURCHASE, SMALLEST_PRICE, Known
from recs_assets.known.segments import count_by_segment, mark_segments, number_segments, read_text
from recs_assets.names import find_matches, fold
from recs_assets.rules.clusters import find_clusters
from recs_assets.rules.sensitive import Sensitive
from recs_assets.rules.worth import Worth
from recs_assets.schema import RecsError

POPULARITY_HALF_LIFE_DAYS = 28.0
# The fact of how many customers are in each of `audit.segments.SEGMENTS`.
RFM_CUSTOMERS = "customers_in_rfm"
TIER_CUSTOMERS = "customers_in_tiers"

# What may lie between a send and a repeat, the stronger evidence last; 0 is none.
EVIDENCE = ("none", "due", "view", "price_drop", "purchase")
BROWSING = tuple(EVENT_TYPES.index(name) for name in ("view", "add_to_cart", "add_to_wishlist"))


class RulesError(RecsError):
    """Candidates or context do not fit each other, or a rule cannot be applied to them."""


@dataclass(frozen=True)
class Sends:
    """Products sent to customers by this campaign, parallel arrays in any order.

    Attributes:
        customer: int code.
        product: int code.
        day: int, the `as_of` of the send as days since 1970-01-01. Events on that day came after it.
    """

    customer: np.ndarray
    product: np.ndarray
    day: np.ndarray


@dataclass(frozen=True)
class Contacts:
    """Sends of any campaign, one entry each, in any order: customer int code, day int."""

    customer: np.ndarray
    day: np.ndarray


@dataclass(frozen=True)
class Elsewhere:
    """What the accounts of other blocks mean for the customers of one, by the addresses that they share (`rules.blocks`).

    Attributes:
        bounced: int[n_customers], accounts with the address that were told it takes no mail.
        sends: days -> int[n_customers], what was sent to the address within so many days through them.
        second: bool[n_customers], eligible, and another account with the address is written to.
    """

    bounced: np.ndarray
    sends: Mapping[int, np.ndarray]
    second: np.ndarray


@dataclass(frozen=True)
class Context:
    """What is known at the anchor beside the candidates; rows of `known` are the codes.

    Memory beside the inputs: popularity per segment (segments x products sold in them).

    Attributes:
        known: customers (customer_id, email_eligible, segment), products (product_id, category,
            brand, price, available) and events.
        audience: bool[n_customers], who passes the query's FOR EACH ... WHERE.
        consent_state: object[n_customers], "erased", "objected", "unsubscribed" exclude.
        no_address: bool[n_customers]; None where the shop keeps its addresses elsewhere.
        unusable_address: bool[n_customers], nobody's address, or none by its form.
        address: int[n_customers], accounts with one address share a number; -1 none.
        bounced: bool[n_customers], the address does not take mail.
        test_account: bool[n_customers].
        wholesale: bool[n_customers], buys as no person does.
        country: int[n_customers], row of `sellable`; -1 unknown, which is its last row.
        sellable: bool[n_countries + 1, n_products]; the last row: products without restriction.
        stock: float[n_products], units; NaN: never counted.
        cost: float[n_products], NaN unknown.
        rfm: int[n_customers], position in `audit.segments.SEGMENTS`; None: rules are not for these segments.
        worth: what customers are expected to spend; None: nobody asks.
        by_tier: rules are for the tiers of `worth`.
        parent: int[n_products], variants of one product share a number; -1 none.
        merchant: int[n_products], products of one merchant share a number; -1 none.
        merchants: the merchants' ids by their numbers.
        present: "name", "url", "price", "image_url" -> bool[n_products]: the product has it.
        price_drop_day: int[n_products], day of the latest price drop; -1 never.
        carts: csr[n_customers, n_products], what lies in the cart now (stored entries).
        rejected: csr of the same shape, returned or rated 2 or lower.
        dismissed: csr of the same shape, day of the latest time the customer said that they do not want to see it.
        due: csr of the same shape, bought before and due again by the end of the horizon (stored entries).
        due_soon: csr of the same shape, those of `due` that are due within the rules' `due_within_days`.
        sensitive: which products are sensitive, and how.
        sends: what this campaign sent before.
        contacts: when any campaign wrote to whom.
        factors: float[n_products, f], content vectors; zero: no text. f at most 65,536.
        copurchase: csr[n_products, n_products], similarity by co-purchase in 0..1; some 50 entries
            per row keep the choice cheap.
        elsewhere: of a block of customers, what accounts of other blocks mean for its own; None: there are none.
        reach: of a block of customers, the limits as the shop can meet them (`rules.blocks`); None: these are all customers.
        exposed: of a block of customers, the prices of the floors of exposure (`rules.exposure`); None: these are all customers.
        draw_key: what decides, with a customer's id, on their drawn slot: seed, campaign, week; None: nothing is drawn.

    Raises:
        RulesError: an array has another length than `known`, or a similarity is outside 0..1.
    """

    known: Known
    audience: np.ndarray | None = None
    consent_state: np.ndarray | None = None
    no_address: np.ndarray | None = None
    unusable_address: np.ndarray | None = None
    address: np.ndarray | None = None
    bounced: np.ndarray | None = None
    test_account: np.ndarray | None = None
    wholesale: np.ndarray | None = None
    country: np.ndarray | None = None
    sellable: np.ndarray | None = None
    stock: np.ndarray | None = None
    cost: np.ndarray | None = None
    rfm: np.ndarray | None = None
    worth: Worth | None = None
    by_tier: bool = False
    parent: np.ndarray | None = None
    merchant: np.ndarray | None = None
    merchants: Sequence[str] = ()
    present: Mapping[str, np.ndarray] = field(default_factory=dict)
    price_drop_day: np.ndarray | None = None
    carts: sparse.csr_matrix | None = None
    rejected: sparse.csr_matrix | None = None
    dismissed: sparse.csr_matrix | None = None
    due: sparse.csr_matrix | None = None
    due_soon: sparse.csr_matrix | None = None
    sensitive: Sensitive | None = None
    sends: Sends | None = None
    contacts: Contacts | None = None
    factors: np.ndarray | None = None
    copurchase: sparse.csr_matrix | None = None
    elsewhere: Elsewhere | None = None
    reach: Mapping[str, Mapping[str, int]] | None = None
    exposed: tuple[tuple[float, int, int], ...] | None = None
    draw_key: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        customers, products = self.known.n_customers, self.known.n_products
        shapes = {
            **dict.fromkeys(
                (
                    "audience",
                    "consent_state",
                    "no_address",
                    "unusable_address",
                    "address",
                    "bounced",
                    "test_account",
                    "wholesale",
                    "country",
                    "rfm",
                ),
                (customers,),
            ),
            **dict.fromkeys(("stock", "cost", "parent", "merchant", "price_drop_day"), (products,)),
            **dict.fromkeys(("carts", "rejected", "dismissed", "due", "due_soon"), (customers, products)),
            "copurchase": (products, products),
        }
        given = {name: getattr(self, name) for name in shapes}
        if self.worth is not None:
            shapes |= {"spend": (customers,), "tier": (customers,)}
            given |= {"spend": self.worth.spend, "tier": self.worth.tier}
        given["sensitive"] = None if self.sensitive is None else self.sensitive.topic
        given |= {f"present {name}": values for name, values in self.present.items()}
        for name, values in given.items():
            wanted = shapes.get(name, (products,))
            if values is not None and values.shape != wanted:
                raise RulesError(
                    f"{name} has shape {values.shape}; with these customers and products it must be {wanted}."
                )
        if (self.country is None) != (self.sellable is None):
            raise RulesError("country and sellable go together: give both or neither.")
        for name, values, axis in (("sellable", self.sellable, 1), ("factors", self.factors, 0)):
            if values is not None and (values.ndim != 2 or values.shape[axis] != products):
                raise RulesError(f"{name} must have one row or column per product, {products} in all.")
        if self.copurchase is not None and self.copurchase.nnz:
            low, high = self.copurchase.data.min(), self.copurchase.data.max()
            if not (low >= 0 and high <= 1.0001):
                raise RulesError(f"copurchase lies within {low}..{high}; similarities must lie within 0..1.")

    @cached_property
    def price(self) -> np.ndarray:
        """float64[n_products], NaN unknown."""
        return self.known.products["price"].to_numpy(dtype=float, na_value=np.nan)

    @cached_property
    def has(self) -> dict[str, np.ndarray]:
        """`present` without what no product has, the price counted from the smallest that prints."""
        parts = {"price": self.price >= SMALLEST_PRICE, **self.present}
        return {name: values for name, values in parts.items() if values.any()}

    @cached_property
    def margin(self) -> np.ndarray | None:
        """float64[n_products]: (price - cost) / price, NaN unknown; None where no product has one."""
        if self.cost is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            margin = np.where(self.price >= SMALLEST_PRICE, (self.price - self.cost) / self.price, np.nan)
        return margin if np.isfinite(margin).any() else None

    @cached_property
    def category(self) -> tuple[np.ndarray, list[str]]:
        """int64[n_products], -1 none, and the names."""
        return number_names(self.known.products["category"])

    @cached_property
    def brand(self) -> tuple[np.ndarray, list[str]]:
        """int64[n_products], -1 none, and the names."""
        return number_names(self.known.products["brand"])

    @cached_property
    def title(self) -> np.ndarray:
        """int64[n_products]: products whose names differ in case and blanks alone share a number; -1 none."""
        names = read_text(self.known.products["name"])
        return pd.factorize(names.map(fold, na_action="ignore"))[0].astype(np.int64)

    @cached_property
    def product_codes(self) -> dict[str, int]:
        """Product id -> code."""
        return {name: code for code, name in enumerate(self.known.products["product_id"])}

    def find_group(self, key: str, name: str) -> np.ndarray:
        """bool[n_products]: the products of a category, brand or merchant, or one product, however it is spelled."""
        inside = np.zeros(self.known.n_products, dtype=bool)
        if key == "product":
            own = find_matches(name, self.product_codes)
            inside[[self.product_codes[own[0]]] if len(own) == 1 else []] = True
            return inside
        if key == "merchant" and self.merchant is None:
            return inside
        code, labels = {
            "category": lambda: self.category,
            "brand": lambda: self.brand,
            "merchant": lambda: (self.merchant, self.merchants),
        }[key]()
        wanted = fold(name)
        return np.array([fold(label) == wanted for label in labels] + [False])[code]

    @cached_property
    def variants(self) -> np.ndarray | None:
        """int64[n_products]: variants of one product share a number, any other has one of its own;
        None where no two products are variants."""
        if self.parent is None or not (np.bincount(self.parent[self.parent >= 0]) > 1).any():
            return None
        alone = self.parent.max() + 1 + np.arange(len(self.parent))
        return np.unique(np.where(self.parent >= 0, self.parent, alone), return_inverse=True)[1]

    def count_facts(self) -> None:
        """Count of the whole shop what rules for a block of its customers look up."""
        _ = self.popularity, self.segment_popularity, count_by_segment(self.known)

    def _join_variants(self, matrix: sparse.csr_matrix) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """Arguments of `items.Rows.lookup`: the largest value over the variants of each product."""
        if self.variants is None:
            return matrix, None
        customer, product = list_entries(matrix)
        width = int(self.variants.max()) + 1
        key = encode_pairs(customer, self.variants[product], width)
        order = np.lexsort((-matrix.data, key))
        key, first = np.unique(key[order], return_index=True)
        at = (key // width, key % width)
        return sparse.csr_matrix(
            (matrix.data[order][first], at), shape=(matrix.shape[0], width)
        ), self.variants

    @cached_property
    def last_bought(self) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """Day of the last purchase of any variant, as `items.Rows.lookup` takes it."""
        return self._join_variants(self.known.last_bought)

    @cached_property
    def in_carts(self) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """What lies in the cart in any variant, as `items.Rows.lookup` takes it."""
        return self._join_variants(self.carts)

    @cached_property
    def last_dismissed(self) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """Day on which any variant was last dismissed, as `items.Rows.lookup` takes it."""
        return self._join_variants(self.dismissed)

    @cached_property
    def due_again(self) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """What is due in any variant, as `items.Rows.lookup` takes it."""
        return self._join_variants(self.due)

    @cached_property
    def due_again_soon(self) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """What is due soon in any variant, as `items.Rows.lookup` takes it."""
        return self._join_variants(self.due_soon)

    @cached_property
    def segment(self) -> tuple[np.ndarray, list[str]]:
        """int64[n_customers], -1 none, and the names."""
        return number_segments(self.known)

    @property
    def parting(self) -> tuple[np.ndarray, list[str]]:
        """int64[n_customers], -1 none, and the names: the segments that rules are for."""
        if self.rfm is not None:
            return self.rfm, list(SEGMENTS)
        return (self.worth.tier, list(TIERS)) if self.worth is not None and self.by_tier else self.segment

    def count_parting(self) -> np.ndarray:
        """int64[n_segments + 1]: customers in each of `parting` in the whole shop; the last: of none."""
        if self.rfm is None and not self.by_tier:
            return count_by_segment(self.known)
        code, names = self.parting
        name = TIER_CUSTOMERS if self.rfm is None else RFM_CUSTOMERS
        return as_array(self.known.shop_fact(name, lambda: np.bincount(code, minlength=len(names) + 1)))

    def count_tiers(self) -> np.ndarray:
        """int64[n_tiers + 1]: customers of each tier of value in the whole shop, 0: of none; empty where no rule asks."""
        if self.worth is None:
            return np.zeros(0, dtype=np.int64)
        tier = self.worth.tier
        return as_array(
            self.known.shop_fact(TIER_CUSTOMERS, lambda: np.bincount(tier, minlength=len(TIERS) + 1))
        )[: len(TIERS)]

    @cached_property
    def last_purchase_day(self) -> np.ndarray:
        """int64[n_customers], days since 1970-01-01; -1 who bought nothing."""
        events = self.known.events
        bought = events.kind == PURCHASE
        latest = np.full(self.known.n_customers, -1, dtype=np.int64)
        np.maximum.at(latest, events.customer[bought], events.day[bought])
        return latest

    @cached_property
    def popularity(self) -> np.ndarray:
        """float64[n_products]: decayed purchase days; 0 for what nobody bought."""
        return np.nan_to_num(self.known.popularity(POPULARITY_HALF_LIFE_DAYS))

    @cached_property
    def best_sellers(self) -> np.ndarray:
        """int64: codes of what was sold, the most popular first, ties to the smaller code."""
        codes = np.flatnonzero(self.popularity > 0)
        return codes[np.lexsort((codes, -self.popularity[codes]))]

    @cached_property
    def segment_popularity(self) -> sparse.csr_matrix:
        """csr[n_segments, n_products]: decayed purchase days of the segment's customers."""
        code, names = self.segment

        def count() -> sparse.csr_matrix:
            days = self.known.frequency(POPULARITY_HALF_LIFE_DAYS).astype(np.float64)
            return (mark_segments(code, len(names), np.float64) @ days).tocsr()

        return self.known.shop_fact("popularity_in_segment", count).tocsr()

    @cached_property
    def tastes(self) -> sparse.csr_matrix:
        """float32 csr[n_customers, n_categories]: share of the customer's purchase days; sorted indices."""
        code, names = self.category
        coded = np.flatnonzero(code >= 0)
        member = sparse.csr_matrix(
            (np.ones(len(coded), np.float32), (coded, code[coded])), shape=(len(code), len(names))
        )
        share = (self.known.history @ member).tocsr()
        share.sort_indices()
        total = np.asarray(share.sum(axis=1)).ravel()
        share.data /= np.repeat(total, np.diff(share.indptr))
        return share

    @cached_property
    def sensitive_bought(self) -> tuple[np.ndarray, sparse.csr_matrix]:
        """int64[n_products], number of the product's sensitive topic within its category, all others
        sharing one; and bool csr[n_customers, n_numbers], of which a customer bought anything."""
        topic, category = self.sensitive.topic, self.category[0]
        within = topic * (len(self.category[1]) + 1) + category + 1
        number, numbers = pd.factorize(np.where(topic >= 0, within, -1))
        member = sparse.csr_matrix(
            (np.ones(len(number), dtype=bool), (np.arange(len(number)), number)),
            shape=(len(number), len(numbers)),
        )
        return number, (self.known.history.astype(bool) @ member).tocsr()

    @cached_property
    def shelf(self) -> np.ndarray:
        """int64[n_products], -1 none: the category, or, where no product has one, the cluster of its content."""
        code, names = self.category
        if names or self.grid is None:
            return code
        whole, scale = self.grid
        return find_clusters(whole * scale[:, None])

    @cached_property
    def shelves_bought(self) -> sparse.csr_matrix:
        """bool csr[n_customers, n_shelves]: where a customer bought anything."""
        there = np.flatnonzero(self.shelf >= 0)
        shape = (len(self.shelf), int(self.shelf.max(initial=-1)) + 1)
        member = sparse.csr_matrix((np.ones(len(there), dtype=bool), (there, self.shelf[there])), shape=shape)
        return (self.known.history.astype(bool) @ member).tocsr()

    def replace_sends(self, sends: Sends) -> Context:
        """The same with other earlier sends; what does not depend on them is not worked out again."""
        other, given = replace(self, sends=sends), {own.name for own in fields(self)}
        vars(other).update({k: v for k, v in vars(self).items() if k not in given and k != "sent"})
        return other

    @cached_property
    def sent(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Two csr[n_customers, n_products] over the pairs sent before, of one pattern: how many sends
        ago the pair was last sent (1: in the latest), and 1 + the position in `EVIDENCE` of the
        strongest evidence since. Where the shop has variants, columns are theirs (`variants`)."""
        group = np.arange(self.known.n_products) if self.variants is None else self.variants
        shape = (self.known.n_customers, int(group.max(initial=-1)) + 1)
        if self.sends is None or len(self.sends.customer) == 0:
            return sparse.csr_matrix(shape, dtype=np.int32), sparse.csr_matrix(shape, dtype=np.int8)
        customer, product, day = (
            np.asarray(values, dtype=np.int64)
            for values in (self.sends.customer, self.sends.product, self.sends.day)
        )
        if day.max() >= self.known.anchor_day:
            raise RulesError(f"A send lies on or after {self.known.as_of}; only earlier ones are known.")
        order = np.lexsort((-day, customer))
        customer, product, day = customer[order], product[order], day[order]
        starts, length = find_runs(customer, day)
        ago = np.repeat(rank_within(customer[starts]), length)
        # The latest comes first.
        key, latest = np.unique(customer * shape[1] + group[product], return_index=True)
        evidence = self._find_evidence(key, day[latest], group, shape[1])
        at = (key // shape[1], key % shape[1])
        return (
            sparse.csr_matrix((ago[latest].astype(np.int32), at), shape=shape),
            sparse.csr_matrix(((evidence + 1).astype(np.int8), at), shape=shape),
        )

    def _find_evidence(self, key: np.ndarray, day: np.ndarray, group: np.ndarray, width: int) -> np.ndarray:
        """int8 per pair sent (sorted key, day of its latest send): the strongest evidence since."""
        strongest = np.zeros(len(key), dtype=np.int8)
        if self.due_soon is not None:
            # It is time for it, whatever the earlier email did.
            customer, variant = list_entries(self.due_again_soon[0])
            strongest[np.isin(key, encode_pairs(customer, variant, width))] = EVIDENCE.index("due")
        events = self.known.events
        recent = np.flatnonzero(events.day >= day.min())
        place = find_sorted(key, encode_pairs(events.customer[recent], group[events.product[recent]], width))
        since = (place >= 0) & (events.day[recent] >= day[place])
        kind = events.kind[recent]
        strongest[place[since & np.isin(kind, BROWSING)]] = EVIDENCE.index("view")
        if self.price_drop_day is not None:
            dropped = np.full(width, -1, dtype=np.int64)
            np.maximum.at(dropped, group, self.price_drop_day)
            strongest[dropped[key % width] >= day] = EVIDENCE.index("price_drop")
        strongest[place[since & (kind == PURCHASE)]] = EVIDENCE.index("purchase")
        return strongest

    @cached_property
    def alike(self) -> sparse.csr_matrix:
        """`copurchase`, the larger of both directions."""
        return self.copurchase.maximum(self.copurchase.T).tocsr()

    @cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray] | None:
        """`factors` as whole numbers float32[n_products, f], and 1 / length float32 (0 without text).

        Sums of their products stay below 2^24, so float32 holds them exactly in whatever order BLAS
        adds: cosines do not depend on the block a customer is in. At 64 factors the numbers reach
        512, an error of the cosine below 0.002.
        """
        if self.factors is None or not self.factors.any():
            return None
        levels = int(np.sqrt(2**24 / self.factors.shape[1]))
        top = np.abs(self.factors).max(axis=1, keepdims=True)
        whole = np.rint(self.factors / np.where(top > 0, top, 1) * levels).astype(np.float32)
        length = np.sqrt(np.square(whole.astype(np.float64)).sum(axis=1))
        return whole, np.divide(1, length, out=np.zeros(len(whole)), where=length > 0).astype(np.float32)


def number_names(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    codes, names = pd.factorize(read_text(column), sort=True)
    return codes.astype(np.int64), list(names)
