"""Events known at an anchor -> id maps, sparse matrices and histories.

`Known` is what every recommender, the blend and the evaluation receive: plain arrays and
frames, no database, no Dagster. One `Known` belongs to one anchor (`as_of`); a backtest
fold and this week's email differ only in which `Known` they are given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, partial
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import mark_starts
from recs_assets.known.facts import Fact, as_array, look_up

EVENT_TYPES = ("purchase", "review", "view", "add_to_cart", "add_to_wishlist")
PURCHASE = EVENT_TYPES.index("purchase")


@dataclass(frozen=True)
class Events:
    """Known events as parallel arrays of equal length, sorted by (day, customer, product).

    Attributes:
        customer: int32, row of `Known.customers`.
        product: int32, row of `Known.products`.
        basket: int32, number of the order for purchases, -1 for every other event.
        day: int32, shop-local date as days since 1970-01-01; always before the anchor.
        kind: int8, position in `EVENT_TYPES`.
        quantity: float32, units net of units returned before the anchor (purchases; 1 otherwise).
        weight: float32, configured signal weight without decay; negative for bad ratings.
    """

    customer: np.ndarray
    product: np.ndarray
    basket: np.ndarray
    day: np.ndarray
    kind: np.ndarray
    quantity: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.customer)

    @classmethod
    def none(cls) -> Self:
        """No events."""
        types = {"kind": np.int8, "quantity": np.float32, "weight": np.float32}
        return cls(**{name: np.empty(0, types.get(name, np.int32)) for name in cls.__annotations__})


def _make_empty() -> np.ndarray:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class GuestPurchases:
    """What was bought without an account, as parallel arrays, one row per order and product, by day and
    product: it tells of products and baskets, and is nobody's history.

    Attributes:
        product: int32, row of `Known.products`.
        basket: int32, number of the order, of the same count as `Events.basket`.
        day: int32, as in `Events`.
    """

    product: np.ndarray = field(default_factory=_make_empty)
    basket: np.ndarray = field(default_factory=_make_empty)
    day: np.ndarray = field(default_factory=_make_empty)


@dataclass(frozen=True)
class TableRows:
    """What a table of the shop's own says of products, as parallel arrays, by customer and product, each once.

    Attributes:
        customer: int32, row of `Known.customers`; -1 where the table is of nobody in particular.
        product: int32, row of `Known.products`.
        day: int32 of the latest row, as in `Events`; -1 in a table without times.
    """

    customer: np.ndarray
    product: np.ndarray
    day: np.ndarray

    def take_customers(self, place: np.ndarray) -> Self:
        """The rows of some customers and those of nobody in particular.

        Args:
            place: int32[n_customers]: the customer's new code, ascending; -1: is left out.
        """
        kept = np.flatnonzero(
            (self.customer < 0) | (place[self.customer] >= 0) if len(place) else self.customer < 0
        )
        customer = self.customer[kept]
        if len(place):
            customer = np.where(customer < 0, customer, place[customer])
        return replace(self, customer=customer, product=self.product[kept], day=self.day[kept])


# What says that a customer wanted a product, the strongest first; a view says it where there were several.
WANTING = ("add_to_cart", "add_to_wishlist", "view", "search")


@dataclass(frozen=True)
class BackInStock:
    """Who wanted what was sold out then and is in stock at the anchor, as parallel arrays, by customer and product, each
    pair once. Nobody is here who bought the product or a variant of it since.

    Attributes:
        customer: int32, row of `Known.customers`.
        product: int32, row of `Known.products`, in stock again.
        wanted: int32, the product that they dealt with: the same, or a variant of it.
        day: int32, the latest day on which they did, as in `Events`.
        kind: int8, position in `WANTING`, of the strongest.
        problem: why nothing can be known of this shop, a sentence; "" where something can.
    """

    customer: np.ndarray = field(default_factory=_make_empty)
    product: np.ndarray = field(default_factory=_make_empty)
    wanted: np.ndarray = field(default_factory=_make_empty)
    day: np.ndarray = field(default_factory=_make_empty)
    kind: np.ndarray = field(default_factory=_make_empty)
    problem: str = ""

    def take_customers(self, place: np.ndarray) -> Self:
        """As `TableRows.take_customers`."""
        new = place[self.customer] if len(place) else self.customer
        kept = np.flatnonzero(new >= 0) if len(place) else np.empty(0, dtype=np.int64)
        return replace(
            self,
            customer=new[kept],
            **{name: getattr(self, name)[kept] for name in ("product", "wanted", "day", "kind")},
        )


NO_PREFERENCES = pd.DataFrame(
    {"customer": np.empty(0, np.int32), "facet": np.empty(0, object), "value": np.empty(0, object)}
)


@dataclass(frozen=True)
class Known:
    """Everything known strictly before `as_of` 00:00 in the shop's time zone.

    Attributes:
        as_of: the anchor.
        customers: one row per known customer, sorted by `customer_id`; row number = code.
            Columns: customer_id, email_eligible, learned_from (False: no model learns from the customer, and
            no test counts them), country, locale, segment, joined_at, referrer (where the first known
            visit with one came from).
        products: one row per product, sorted by `product_id`; row number = code. Columns:
            product_id, name, brand, category, vertical, attributes, description, price, start_at,
            parent_id (variants of one product share it), stock, available (bool: may be sold at the
            anchor, in stock where stock is counted).
        events: purchases that were not fully returned before the anchor, reviews, views,
            carts and wishlists.
        guests: purchases without a customer, likewise.
        own_tables: of the shop's own tables that have a sentence for a reason, what it may say.
        preferences: what customers answered that they like, the newest answers to each question and facet: customer
            (int32, row of `customers`), facet (category or brand) and value, by customer, facet and value, each once.
        back_in_stock: who wanted what was sold out then and is in stock again.
        facts: where these are some of the shop's customers, a block or a sample, what was counted of all, by
            name (`shop_fact`); None: these are all.
    """

    as_of: date
    customers: pd.DataFrame
    products: pd.DataFrame
    events: Events
    guests: GuestPurchases = field(default_factory=GuestPurchases)
    own_tables: Mapping[str, TableRows] = field(default_factory=dict)
    preferences: pd.DataFrame = field(default_factory=lambda: NO_PREFERENCES)
    back_in_stock: BackInStock = field(default_factory=BackInStock)
    facts: Mapping[str, Fact] | None = None

    @cached_property
    def _fact_cache(self) -> dict[str, Fact]:
        return {}

    @property
    def shop_facts(self) -> Mapping[str, Fact]:
        """What was counted of the whole shop so far, by name."""
        return self._fact_cache if self.facts is None else self.facts

    def shop_fact(self, name: str, count: Callable[[], Fact]) -> Fact:
        """A figure of the whole shop, which some of its customers cannot count: counted once of all of them, looked up
        where these are some.

        Args:
            name: of the fact, with what it depends on, such as "popularity/28.0".
            count: makes it of all customers; what it makes must not be changed afterwards.

        Raises:
            FactError: these are some of the customers, and the fact was not counted of all.
        """
        if self.facts is not None:
            return look_up(self.facts, name)
        if name not in self._fact_cache:
            self._fact_cache[name] = count()
        return self._fact_cache[name]

    def take_customers(self, codes: np.ndarray) -> Self:
        """Only these customers, with codes 0 to n - 1 in the same order: a shop of its own with all products, all that
        was bought without an account, and the facts of the whole shop.

        Args:
            codes: rows of `customers`, ascending, each once.
        """
        place = np.full(self.n_customers, -1, dtype=np.int32)
        place[codes] = np.arange(len(codes), dtype=np.int32)
        kept = np.flatnonzero(place[self.events.customer] >= 0)
        events = Events(**{name: column[kept] for name, column in vars(self.events).items()})
        own_tables = {name: rows.take_customers(place) for name, rows in self.own_tables.items()}
        preferences = self.preferences.assign(customer=place[self.preferences["customer"]])
        return replace(
            self,
            customers=self.customers.iloc[codes].reset_index(drop=True),
            events=replace(events, customer=place[events.customer]),
            own_tables=own_tables,
            preferences=preferences[preferences["customer"] >= 0].reset_index(drop=True),
            back_in_stock=self.back_in_stock.take_customers(place),
            facts=self.shop_facts,
        )

    @property
    def n_customers(self) -> int:
        return len(self.customers)

    @property
    def n_products(self) -> int:
        return len(self.products)

    @property
    def anchor_day(self) -> int:
        """The anchor as days since 1970-01-01."""
        return (self.as_of - date(1970, 1, 1)).days

    @cached_property
    def available(self) -> np.ndarray:
        """bool[n_products]: products that may be recommended at the anchor."""
        return self.products["available"].to_numpy(dtype=bool)

    @cached_property
    def purchased(self) -> np.ndarray:
        """bool[n_events]: which events are purchases."""
        return self.events.kind == PURCHASE

    def _csr(self, customer: np.ndarray, product: np.ndarray, values: np.ndarray) -> sparse.csr_matrix:
        matrix = sparse.coo_matrix(
            (values, (customer, product)), shape=(self.n_customers, self.n_products)
        ).tocsr()
        matrix.sum_duplicates()
        matrix.sort_indices()
        return matrix

    def decay(self, half_life_days: float) -> np.ndarray:
        """float32[n_events]: 0.5 ** (age / half-life), age in days before the anchor."""
        age = (self.anchor_day - self.events.day).astype(np.float64)
        return np.power(0.5, age / half_life_days).astype(np.float32)

    def signal(self, half_life_days: float | None = None) -> sparse.csr_matrix:
        """float32 csr[n_customers, n_products]: summed weights of all events, decayed.

        Pairs whose weights sum to zero or less (a bad rating outweighs the rest) are absent.
        """
        values = (
            self.events.weight if half_life_days is None else self.events.weight * self.decay(half_life_days)
        )
        matrix = self._csr(self.events.customer, self.events.product, values.astype(np.float32))
        matrix.data[matrix.data < 0] = 0
        matrix.eliminate_zeros()
        return matrix

    @cached_property
    def _purchase_days(self) -> pd.DataFrame:
        """Distinct (customer, product, day) of purchases, sorted."""
        bought = self.purchased
        return pd.DataFrame(
            {
                "customer": self.events.customer[bought],
                "product": self.events.product[bought],
                "day": self.events.day[bought],
            }
        ).drop_duplicates(ignore_index=True)

    @cached_property
    def history(self) -> sparse.csr_matrix:
        """float32 csr[n_customers, n_products]: distinct days on which the pair was bought."""
        days = self._purchase_days
        return self._csr(
            days["customer"].to_numpy(), days["product"].to_numpy(), np.ones(len(days), dtype=np.float32)
        )

    def frequency(self, half_life_days: float) -> sparse.csr_matrix:
        """float32 csr: purchase days per pair, each decayed by its age."""
        days = self._purchase_days
        age = self.anchor_day - days["day"].to_numpy(dtype=np.float64)
        return self._csr(
            days["customer"].to_numpy(),
            days["product"].to_numpy(),
            np.power(0.5, age / half_life_days).astype(np.float32),
        )

    def popularity(self, half_life_days: float) -> np.ndarray:
        """float64[n_products]: `frequency` over all customers, each order of a guest counting as a
        customer's day; NaN for products nobody bought. A fact of the shop."""
        half_life_days = float(half_life_days)
        count = partial(self._count_popularity, half_life_days)
        return as_array(self.shop_fact(f"popularity/{half_life_days}", count))

    def _count_popularity(self, half_life_days: float) -> np.ndarray:
        matrix = self.frequency(half_life_days)
        age = self.anchor_day - self.guests.day.astype(np.float64)
        product = np.concatenate([matrix.indices, self.guests.product])
        weight = np.concatenate([matrix.data, np.power(0.5, age / half_life_days)])
        total = np.bincount(product, weights=weight, minlength=self.n_products).astype(np.float64)
        total[np.bincount(product, minlength=self.n_products) == 0] = np.nan
        return total

    @cached_property
    def last_bought(self) -> sparse.csr_matrix:
        """int32 csr with the pattern of `history`: day of the pair's latest purchase."""
        latest = self._purchase_days.groupby(["customer", "product"], sort=True)["day"].max()
        index = latest.index
        return self._csr(
            index.get_level_values(0).to_numpy(),
            index.get_level_values(1).to_numpy(),
            latest.to_numpy(dtype=np.int32),
        )

    def recency(self, half_life_days: float) -> sparse.csr_matrix:
        """float32 csr with the pattern of `history`: 0.5 ** (days since the pair was last bought / half-life)."""
        last = self.last_bought
        age = self.anchor_day - last.data.astype(np.float64)
        decayed = np.power(0.5, age / half_life_days).astype(np.float32)
        return sparse.csr_matrix((decayed, last.indices, last.indptr), shape=last.shape)

    @property
    def first_sold(self) -> np.ndarray:
        """int64[n_products]: day of the first purchase by anybody, days since 1970-01-01; -1: none. A fact of the shop."""
        return as_array(self.shop_fact("first_sold", self._find_first_sold))

    def _find_first_sold(self) -> np.ndarray:
        bought = self.purchased
        day = np.full(self.n_products, np.iinfo(np.int64).max)
        np.minimum.at(day, self.events.product[bought], self.events.day[bought])
        np.minimum.at(day, self.guests.product, self.guests.day)
        return np.where(day == np.iinfo(np.int64).max, -1, day)

    @cached_property
    def order_counts(self) -> np.ndarray:
        """int32[n_customers]: distinct orders (history depth)."""
        bought = self.purchased
        orders = np.sort(
            self.events.customer[bought].astype(np.int64) << 32 | self.events.basket[bought].astype(np.int64)
        )
        # A sort, because np.unique hashes and took forty times as long on keys packed like these.
        first = mark_starts(orders)
        return np.bincount((orders >> 32)[first], minlength=self.n_customers).astype(np.int32)

    def baskets(self, max_products: int) -> sparse.csr_matrix:
        """float32 csr[n_baskets, n_products] of ones, those of guests too; baskets above `max_products` are
        empty rows.

        A basket of 100,000 lines would alone produce 5e9 pairs, so such rows are dropped
        rather than counted; they are orders of a reseller or an error, not one shopper's.
        """
        bought = self.purchased
        product = np.concatenate([self.events.product[bought], self.guests.product])
        row = self._basket_rows
        rows = int(row.max()) + 1 if len(row) else 0
        matrix = sparse.coo_matrix(
            (np.ones(len(row), dtype=np.float32), (row, product)), shape=(rows, self.n_products)
        ).tocsr()
        matrix.sum_duplicates()
        matrix.data[:] = 1
        oversized = np.repeat(np.diff(matrix.indptr) > max_products, np.diff(matrix.indptr))
        matrix.data[oversized] = 0
        matrix.eliminate_zeros()
        return matrix

    @cached_property
    def basket_owners(self) -> np.ndarray:
        """int64: whose every row of `baskets` is: the customer's code, for a guest's a number of its own above them."""
        bought = self.purchased
        row = self._basket_rows
        owners = self.n_customers + np.arange(int(row.max()) + 1 if len(row) else 0, dtype=np.int64)
        customer = self.events.customer[bought]
        owners[row[: len(customer)]] = customer
        return owners

    @cached_property
    def _basket_rows(self) -> np.ndarray:
        """int64: the row in `baskets` of every purchase, then of every guest's."""
        basket = np.concatenate([self.events.basket[self.purchased], self.guests.basket])
        return np.unique(basket, return_inverse=True)[1]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the anchor and both id maps: codes from another map are refused by it."""
        digest = hashlib.sha256(self.as_of.isoformat().encode())
        for ids in (self.customers["customer_id"], self.products["product_id"]):
            digest.update(b"\x00")
            # Lengths, not separators: an id may hold any separator.
            digest.update("".join(f"{len(name)}:{name}" for name in ids).encode())
        return digest.hexdigest()


def number_parents(products: pd.DataFrame) -> np.ndarray:
    """int64[n_products]: variants and, where it is a product itself, their parent share a number; -1 none.

    Args:
        products: columns product_id, parent_id.
    """
    own, parent = products["product_id"].astype("string"), products["parent_id"].astype("string").str.strip()
    parent = parent.mask(parent == "")
    root = parent.fillna(own.where(own.isin(parent.dropna())))
    return pd.factorize(root, sort=True)[0].astype(np.int64)


# Below this a price prints as 0.00.
SMALLEST_PRICE = 0.005


def find_offerable(known: Known) -> np.ndarray:
    """bool[n_products]: may be sold at the anchor, in stock, not priced at 0.00.

    Fuel booked in millilitres, bags and coupons carry prices that print as 0.00; an email that
    offers something for nothing is wrong whatever its score. An unknown price is no obstacle.
    """
    price = known.products["price"].to_numpy(dtype=float, na_value=np.nan)
    return known.available & (np.isnan(price) | (price >= SMALLEST_PRICE))
