"""Item rules: one pure function each, in one documented order (`ORDER`).

A function's name is the rule's name in counts, traces and price tags. It returns None where its
setting is off or the shop lacks what it looks at. Three kinds are functions here:

* product: `(context, rules) -> bool[n_products]`, which products it lets pass;
* pair: `(rows, context, rules) -> bool[len(rows)]`, which rows it lets pass;
* limit: `(context, rules) -> (group int[n_products], most)`: no list may hold more than `most`
  products of one group; group -1 is not limited. Held while slots are filled, after every product
  and pair rule, so that a variant that may not be offered takes no other's place;
* pair limit: `(rows, context, rules) -> (group int[len(rows)], most)`, the same by row.

Rules of kind "slots" are how slots are filled (`pipeline`); they stand here for their place in the order.

To add a rule, write the function, give it a key in `config.ItemRules` and its line in `ORDER`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from scipy import sparse

from recs_assets.recommenders.base import pairs
from recs_assets.rules.availability import SMALLEST_PRICE
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context

Limit = tuple[np.ndarray, int]


class Rows:
    """(customer, product) rows of one block of customers, unique.

    `scratch` is int32[at least len(customers) * n_products], -1 everywhere; it holds the rows' places
    until `close`, so that one array of it serves any number of blocks. It turns "which of these
    events concern a row" into one look-up per event instead of one search per row.

    Args:
        customers: int codes of the block's customers.
        local: int[n], each row's position in `customers`.
        product: int[n], codes.
        n_products: of the shop.
        scratch: see above.
    """

    def __init__(
        self,
        customers: np.ndarray,
        local: np.ndarray,
        product: np.ndarray,
        n_products: int,
        scratch: np.ndarray,
    ) -> None:
        self.customers, self.local, self.product = customers, local, product
        self._width, self._scratch = n_products, scratch
        self._keys = local.astype(np.int64) * n_products + product
        scratch[self._keys] = np.arange(len(product), dtype=np.int32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch[self._keys] = -1

    def __len__(self) -> int:
        return len(self.product)

    @property
    def unique(self) -> bool:
        """No pair stands twice."""
        return bool((self._scratch[self._keys] == np.arange(len(self))).all())

    def find(self, local: np.ndarray, product: np.ndarray) -> np.ndarray:
        """int32 per pair: its row, -1 where there is none."""
        return self._scratch[local.astype(np.int64) * self._width + product]

    def lookup(self, matrix: sparse.csr_matrix) -> np.ndarray:
        """Per row, the value that a csr[all customers, n_products] stores for it, 0 where none."""
        values = np.zeros(len(self), dtype=matrix.dtype)
        some = matrix[self.customers]
        row = self.find(*pairs(some))
        values[row[row >= 0]] = some.data[row >= 0]
        return values


def available(context: Context, _: Rules) -> np.ndarray:
    """May be sold at the anchor, and its price does not print as 0.00."""
    return context.known.available & ~(context.price < SMALLEST_PRICE)


def in_stock(context: Context, rules: Rules) -> np.ndarray | None:
    """At least `min_stock` units; a product that is never counted passes."""
    least = rules.items.min_stock
    return None if least is None or context.stock is None else ~(context.stock < least)


def sellable(rows: Rows, context: Context, _: Rules) -> np.ndarray | None:
    """May be sold in the customer's country."""
    if context.sellable is None:
        return None
    return context.sellable[context.country[rows.customers][rows.local], rows.product]


def complete(context: Context, rules: Rules) -> np.ndarray | None:
    """Has every part in `complete` that any product of the shop has."""
    parts = [context.has[part] for part in rules.items.complete if part in context.has]
    return np.logical_and.reduce(parts) if parts else None


def sensitive(context: Context, rules: Rules) -> np.ndarray | None:
    """Of no sensitive topic that is never offered."""
    goods = context.sensitive
    return ~goods.never_offer if rules.items.sensitive and goods is not None else None


def sensitive_new(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Of no sensitive topic that is never discovered, or the customer bought of its topic and category."""
    goods = context.sensitive
    if not rules.items.sensitive or goods is None or not goods.never_discover.any():
        return None
    group, bought = context.sensitive_bought
    mine = bought[rows.customers].toarray()
    return ~goods.never_discover[rows.product] | mine[rows.local, group[rows.product]]


def bought_recently(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Not bought within `bought_within_days` before the anchor; 1 is the day before."""
    days = rules.items.bought_within_days
    if days is None:
        return None
    # Days since 1970 are positive, so the 0 of a pair never bought is never recent.
    return rows.lookup(context.known.last_bought) < max(1, context.known.anchor_day - days)


def in_cart(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Does not lie in the customer's cart."""
    if not rules.items.not_in_cart or context.carts is None:
        return None
    return rows.lookup(context.carts) == 0


def rejected(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Was neither returned nor rated 2 or lower by the customer."""
    if not rules.items.not_rejected or context.rejected is None:
        return None
    return rows.lookup(context.rejected) == 0


def due(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Never bought by the customer, or due again (`cadence.due_again`)."""
    if not rules.items.only_due or context.due is None:
        return None
    return (rows.lookup(context.known.last_bought) == 0) | (rows.lookup(context.due) > 0)


def sent_recently(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Not in the customer's last `sent_within_sends` sends, whatever happened since."""
    sends = rules.items.sent_within_sends
    if sends is None or context.sends is None:
        return None
    ago = rows.lookup(context.sent[0])
    return (ago == 0) | (ago > sends)


def one_per_parent(context: Context, rules: Rules) -> Limit | None:
    """One variant of a parent."""
    if not rules.items.one_per_parent or context.parent is None:
        return None
    return context.parent, 1


def max_per_category(context: Context, rules: Rules) -> Limit | None:
    """Products without category are not limited."""
    most = rules.items.max_per_category
    return None if most is None else (context.category[0], most)


def max_per_brand(context: Context, rules: Rules) -> Limit | None:
    """Products without brand are not limited."""
    most = rules.items.max_per_brand
    return None if most is None else (context.brand[0], most)


def min_price(context: Context, rules: Rules) -> np.ndarray | None:
    """A price known to reach the floor; nothing where the shop has no prices."""
    least = rules.items.min_price
    return None if least is None or np.isnan(context.price).all() else context.price >= least


def min_margin(context: Context, rules: Rules) -> np.ndarray | None:
    """A margin known to reach the floor; nothing where the shop has no costs."""
    least = rules.items.min_margin
    return None if least is None or context.margin is None else context.margin >= least


def excluded(context: Context, rules: Rules) -> np.ndarray | None:
    """On none of the exclusion lists."""
    items = rules.items
    if not (items.excluded_categories or items.excluded_brands or items.excluded_products):
        return None
    out = context.known.products["product_id"].isin(items.excluded_products).to_numpy(dtype=bool)
    for names, (code, labels) in (
        (items.excluded_categories, context.category),
        (items.excluded_brands, context.brand),
    ):
        unwanted = np.array([label in names for label in labels] + [False])  # the last: no label, code -1
        out = out | unwanted[code]
    return ~out


def max_repeat(rows: Rows, context: Context, rules: Rules) -> Limit | None:
    """Products of the last `repeat_sends` sends without new evidence: together one group."""
    most = rules.slots.max_repeat
    if most is None or context.sends is None:
        return None
    ago, evidence = (rows.lookup(matrix) for matrix in context.sent)
    return np.where((ago > 0) & (ago <= rules.slots.repeat_sends) & (evidence == 1), 0, -1), most


@dataclass(frozen=True)
class Rule:
    """One line of the order."""

    name: str
    kind: Literal["product", "pair", "limit", "pair limit", "slots"]
    apply: Callable[..., np.ndarray | Limit | None] | None = None
    silent: bool = False  # what it refuses is not named as the reason for another product either


def _rule(
    kind: Literal["product", "pair", "limit", "pair limit"],
    apply: Callable[..., np.ndarray | Limit | None],
    silent: bool = False,
) -> Rule:
    return Rule(apply.__name__, kind, apply, silent)


# A row that several rules refuse counts for the first of them.
ORDER: tuple[Rule, ...] = (
    _rule("product", available),
    _rule("product", in_stock),
    _rule("pair", sellable),
    _rule("product", complete),
    _rule("product", sensitive, silent=True),
    _rule("pair", sensitive_new),
    _rule("pair", bought_recently),
    _rule("pair", in_cart),
    _rule("pair", rejected),
    _rule("pair", due),
    _rule("pair", sent_recently),
    _rule("limit", one_per_parent),
    _rule("limit", max_per_category),
    _rule("limit", max_per_brand),
    _rule("product", min_price),
    _rule("product", min_margin),
    Rule("pinned", "slots"),
    Rule("margin_boost", "slots"),
    _rule("product", excluded, silent=True),
    Rule("discovery", "slots"),
    Rule("diversity", "slots"),
    _rule("pair limit", max_repeat),
)
NAMES = tuple(rule.name for rule in ORDER)
PASSED = len(ORDER)


def idle(rule: Rule, context: Context, rules: Rules) -> bool:
    """Whether an item rule's setting is off, or the shop lacks what it looks at."""
    if rule.kind in ("product", "limit"):
        return rule.apply(context, rules) is None
    none = np.empty(0, dtype=np.int64)
    nobody = Rows(none, none, none, context.known.n_products, np.empty(0, dtype=np.int32))
    return rule.apply(nobody, context, rules) is None


def product_rules(context: Context, rules: Rules, without: frozenset[str]) -> np.ndarray:
    """int8[n_products]: position in `ORDER` of the first product rule that refuses it, or PASSED."""
    first = np.full(context.known.n_products, PASSED, dtype=np.int8)
    for number, rule in reversed(list(enumerate(ORDER))):
        if rule.kind == "product" and rule.name not in without:
            keep = rule.apply(context, rules)
            if keep is not None:
                first[~keep] = number
    return first


def row_rules(
    rows: Rows, context: Context, rules: Rules, by_product: np.ndarray, without: frozenset[str]
) -> np.ndarray:
    """int8[len(rows)]: position in `ORDER` of the first product or pair rule that refuses the row,
    or PASSED; `by_product` from `product_rules`."""
    first = by_product[rows.product]
    for number, rule in enumerate(ORDER):
        if rule.kind == "pair" and rule.name not in without:
            keep = rule.apply(rows, context, rules)
            if keep is not None:
                first[~keep & (first > number)] = number
    return first


def product_limits(context: Context, rules: Rules, without: frozenset[str]) -> dict[int, Limit]:
    """Position in `ORDER` -> groups of the products and most, of every limit that is on."""
    return _on("limit", without, context, rules)


def row_limits(
    rows: Rows, context: Context, rules: Rules, by_product: dict[int, Limit], without: frozenset[str]
) -> dict[int, Limit]:
    """Position in `ORDER` -> groups of the rows and most, of every limit and pair limit that is on;
    `by_product` from `product_limits`."""
    found = {number: (group[rows.product], most) for number, (group, most) in by_product.items()}
    return found | _on("pair limit", without, rows, context, rules)


def _on(kind: str, without: frozenset[str], *arguments: object) -> dict[int, Limit]:
    found = {
        number: rule.apply(*arguments)
        for number, rule in enumerate(ORDER)
        if rule.kind == kind and rule.name not in without
    }
    return {number: limit for number, limit in found.items() if limit is not None}
