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

A limit that the shop as a whole cannot meet, because it has too few categories or brands to fill the
slots, is raised to the smallest number that fills them (`find_reachable`): else nobody would get an email.

To add a rule, write the function, give it a key in `config.ItemRules` and its line in `ORDER`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from scipy import sparse

from recs_assets.arrays import PairIndex, encode_pairs, list_entries
from recs_assets.known.interactions import SMALLEST_PRICE
from recs_assets.names import find_all_matches, fold
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
        self._keys = encode_pairs(local, product, n_products)
        scratch[self._keys] = np.arange(len(product), dtype=np.int32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch[self._keys] = -1

    def __len__(self) -> int:
        return len(self.product)

    @property
    def unique(self) -> bool:
        """No pair is there twice."""
        return bool((self._scratch[self._keys] == np.arange(len(self))).all())

    def find(self, local: np.ndarray, product: np.ndarray) -> np.ndarray:
        """int32 per pair: its row, -1 where there is none."""
        return self._scratch[encode_pairs(local, product, self._width)]

    def lookup(self, matrix: sparse.csr_matrix, group: np.ndarray | None = None) -> np.ndarray:
        """Per row, the value that a csr[all customers, n_products] stores for it, 0 where none.

        Args:
            matrix: see above; with `group`, csr[all customers, n_groups].
            group: int[n_products], each product's column.
        """
        values = np.zeros(len(self), dtype=matrix.dtype)
        some = matrix[self.customers]
        if group is None:
            row = self.find(*list_entries(some))
            values[row[row >= 0]] = some.data[row >= 0]
            return values
        if some.nnz == 0:
            return values
        place = PairIndex.of(some).find(self.local, group[self.product])
        return np.where(place >= 0, some.data[place], values)


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
    if not rules.items.sensitive or goods is None or not goods.never_offer.any():
        return None
    return ~goods.never_offer


def sensitive_new(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Of no sensitive topic that is never discovered, or the customer bought of its topic and category."""
    goods = context.sensitive
    if not rules.items.sensitive or goods is None or not goods.never_discover.any():
        return None
    group, bought = context.sensitive_bought
    mine = bought[rows.customers].toarray()
    return ~goods.never_discover[rows.product] | mine[rows.local, group[rows.product]]


def bought_recently(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """No variant bought within `bought_within_days` before the anchor, 1 being the day before, or one that is due
    again within `due_within_days` after it: the daily bread of yesterday, but not yesterday's washing powder."""
    days = rules.items.bought_within_days
    if days is None:
        return None
    # Days since 1970 are positive, so the 0 of a pair never bought is never recent.
    passed = rows.lookup(*context.last_bought) < max(1, context.known.anchor_day - days)
    return passed if context.due_soon is None else passed | (rows.lookup(*context.due_again_soon) > 0)


def in_cart(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """No variant lies in the customer's cart."""
    if not rules.items.not_in_cart or context.carts is None:
        return None
    return rows.lookup(*context.in_carts) == 0


def rejected(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """Was neither returned nor rated 2 or lower by the customer; another variant may fit."""
    if not rules.items.not_rejected or context.rejected is None:
        return None
    return rows.lookup(context.rejected) == 0


def dismissed(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """No variant was dismissed by the customer within `dismissed_within_days` before the anchor."""
    days = rules.items.dismissed_within_days
    if days is None or context.dismissed is None:
        return None
    return rows.lookup(*context.last_dismissed) < max(1, context.known.anchor_day - days)


def find_dismissed(context: Context, rules: Rules) -> sparse.csr_matrix | None:
    """bool csr[n_customers, n_products]: what was dismissed within `dismissed_within_days`, that product alone."""
    days = rules.items.dismissed_within_days
    if days is None or context.dismissed is None:
        return None
    recent = (context.dismissed >= max(1, context.known.anchor_day - days)).tocsr()
    recent.sort_indices()
    return recent


def due(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """No variant ever bought by the customer, or one due again (`cadence.list_due_again`)."""
    if not rules.items.only_due or context.due is None:
        return None
    return (rows.lookup(*context.last_bought) == 0) | (rows.lookup(*context.due_again) > 0)


def sent_recently(rows: Rows, context: Context, rules: Rules) -> np.ndarray | None:
    """No variant in the customer's last `sent_within_sends` sends, whatever happened since."""
    sends = rules.items.sent_within_sends
    if sends is None or context.sends is None:
        return None
    ago = rows.lookup(context.sent[0], context.variants)
    return (ago == 0) | (ago > sends)


def one_per_parent(context: Context, rules: Rules) -> Limit | None:
    """One variant of a parent."""
    if not rules.items.one_per_parent or context.parent is None:
        return None
    return context.parent, 1


def one_per_title(context: Context, rules: Rules) -> Limit | None:
    """One product of a title: two that read the same are the same to who reads them."""
    return (context.title, 1) if rules.items.one_per_title else None


def max_per_category(context: Context, rules: Rules) -> Limit | None:
    """Products without category are not limited."""
    most = rules.items.max_per_category
    return None if most is None else (context.category[0], most)


def max_per_brand(context: Context, rules: Rules) -> Limit | None:
    """Products without brand are not limited."""
    most = rules.items.max_per_brand
    return None if most is None else (context.brand[0], most)


def max_per_merchant(context: Context, rules: Rules) -> Limit | None:
    """Products without merchant are not limited."""
    most = rules.items.max_per_merchant
    return None if most is None or context.merchant is None else (context.merchant, most)


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
    ids = context.product_codes
    out = np.zeros(context.known.n_products, dtype=bool)
    out[[ids[own] for own in find_all_matches(items.excluded_products, ids)]] = True
    for names, (code, labels) in (
        (items.excluded_categories, context.category),
        (items.excluded_brands, context.brand),
    ):
        wanted = {fold(name) for name in names}
        unwanted = np.array([fold(label) in wanted for label in labels] + [False])  # the last: no label
        out |= unwanted[code]
    return ~out


def max_repeat(rows: Rows, context: Context, rules: Rules) -> Limit | None:
    """Products of the last `repeat_sends` sends, or variants of them, without new evidence: together one group."""
    most = rules.slots.max_repeat
    if most is None or context.sends is None:
        return None
    ago, evidence = (rows.lookup(matrix, context.variants) for matrix in context.sent)
    return np.where((ago > 0) & (ago <= rules.slots.repeat_sends) & (evidence == 1), 0, -1), most


@dataclass(frozen=True)
class Rule:
    """One line of the order; `keys`: of the campaign file, which switch it on (none: always on)."""

    name: str
    kind: Literal["product", "pair", "limit", "pair limit", "slots"]
    keys: tuple[str, ...] = ()
    apply: Callable[..., np.ndarray | Limit | None] | None = None
    silent: bool = False  # what it refuses is not named as the reason for another product either


def _rule(
    kind: Literal["product", "pair", "limit", "pair limit"],
    apply: Callable[..., np.ndarray | Limit | None],
    *keys: str,
    silent: bool = False,
) -> Rule:
    return Rule(apply.__name__, kind, keys, apply, silent)


# A row that several rules refuse counts for the first of them.
ORDER: tuple[Rule, ...] = (
    _rule("product", available),
    _rule("product", in_stock, "rules.min_stock"),
    _rule("pair", sellable),
    _rule("product", complete, "rules.complete"),
    _rule("product", sensitive, "rules.sensitive", silent=True),
    _rule("pair", sensitive_new, "rules.sensitive"),
    _rule("pair", bought_recently, "rules.bought_within_days"),
    _rule("pair", in_cart, "rules.not_in_cart"),
    _rule("pair", rejected, "rules.not_rejected"),
    _rule("pair", dismissed, "rules.dismissed_within_days"),
    _rule("pair", due, "rules.only_due"),
    _rule("pair", sent_recently, "rules.sent_within_sends"),
    _rule("limit", one_per_parent, "rules.one_per_parent"),
    _rule("limit", one_per_title, "rules.one_per_title"),
    _rule("limit", max_per_category, "rules.max_per_category"),
    _rule("limit", max_per_brand, "rules.max_per_brand"),
    _rule("limit", max_per_merchant, "rules.max_per_merchant"),
    _rule("product", min_price, "rules.min_price"),
    _rule("product", min_margin, "rules.min_margin"),
    Rule("pinned", "slots", ("slots.pinned",)),
    Rule("goal", "slots", ("slots.goal", "slots.goal_strength")),
    Rule("boosts", "slots", ("slots.boosts",)),
    _rule(
        "product",
        excluded,
        "rules.excluded_categories",
        "rules.excluded_brands",
        "rules.excluded_products",
        silent=True,
    ),
    Rule("discovery", "slots", ("slots.discovery_share", "slots.discovery_floor")),
    Rule("diversity", "slots", ("slots.mmr_lambda",)),
    Rule("exploration", "slots", ("slots.exploration_share",)),
    Rule("exposure", "slots", ("slots.exposure",)),
    _rule("pair limit", max_repeat, "slots.max_repeat", "slots.repeat_sends"),
)
# Limits that are raised where the shop cannot meet them. Two variants, or one title twice, help nobody.
RAISED = ("max_per_category", "max_per_brand", "max_per_merchant", "max_repeat")
NAMES = tuple(rule.name for rule in ORDER)
PASSED = len(ORDER)
# Rules that multiply probabilities, which other models' lists lack.
WEIGHING = ("goal", "boosts")


def is_idle(rule: Rule, context: Context, rules: Rules) -> bool:
    """Whether an item rule's setting is off, or the shop lacks what it looks at."""
    if rule.kind in ("product", "limit"):
        return rule.apply(context, rules) is None
    none = np.empty(0, dtype=np.int64)
    nobody = Rows(none, none, none, context.known.n_products, np.empty(0, dtype=np.int32))
    return rule.apply(nobody, context, rules) is None


def apply_product_rules(context: Context, rules: Rules, without: frozenset[str]) -> np.ndarray:
    """int8[n_products]: position in `ORDER` of the first product rule that refuses it, or PASSED."""
    first = np.full(context.known.n_products, PASSED, dtype=np.int8)
    for number, rule in reversed(list(enumerate(ORDER))):
        if rule.kind == "product" and rule.name not in without:
            keep = rule.apply(context, rules)
            if keep is not None:
                first[~keep] = number
    return first


def apply_row_rules(
    rows: Rows, context: Context, rules: Rules, by_product: np.ndarray, without: frozenset[str]
) -> np.ndarray:
    """int8[len(rows)]: position in `ORDER` of the first product or pair rule that refuses the row,
    or PASSED; `by_product` from `apply_product_rules`."""
    first = by_product[rows.product]
    for number, rule in enumerate(ORDER):
        if rule.kind == "pair" and rule.name not in without:
            keep = rule.apply(rows, context, rules)
            if keep is not None:
                first[~keep & (first > number)] = number
    return first


def find_product_limits(context: Context, rules: Rules, without: frozenset[str]) -> dict[int, Limit]:
    """Position in `ORDER` -> groups of the products and most, of every limit that is on."""
    return _find_on("limit", without, context, rules)


def raise_limits(limits: dict[int, Limit], products: np.ndarray, k: int) -> dict[int, Limit]:
    """The limits (`find_product_limits`), raised where these products (`find_compatible`) cannot fill k slots with them."""
    return {
        number: (group, find_reachable(group[products], most, k) if NAMES[number] in RAISED else most)
        for number, (group, most) in limits.items()
    }


def find_compatible(limits: dict[int, Limit], reachable: np.ndarray) -> np.ndarray:
    """int[]: of the reachable products one per parent and per title, those that a list may hold together."""
    products = np.flatnonzero(reachable)
    for number, (group, most) in limits.items():
        if NAMES[number] not in RAISED and most == 1:
            of = group[products]
            first = np.unique(of, return_index=True)[1]
            products = products[np.union1d(first, np.flatnonzero(of < 0))]
    return products


def find_reachable(group: np.ndarray, most: int, k: int) -> int:
    """The smallest number from `most` on that lets k products stand in one list; `most` where none does.

    Args:
        group: int[n], of the products to choose from; -1 is not limited.
        most: products of one group in a list.
        k: slots.

    >>> find_reachable(np.array([0] * 20), 4, 12), find_reachable(np.array([0, 1, 2] * 20), 4, 12), find_reachable(np.array([0, 1, 1, 1]), 1, 12)
    (12, 4, 1)
    """
    free, size = int((group < 0).sum()), np.bincount(group[group >= 0])
    if free + size.sum() < k:
        return most
    while free + np.minimum(size, most).sum() < k:
        most += 1
    return most


def raise_max_repeat(context: Context, rules: Rules, products: np.ndarray) -> int:
    """`max_repeat`, raised where more than half of the customers written to before could not get a list
    with it: then to what all of them need.

    Args:
        context: of the shop.
        rules: the campaign's.
        products: int[], codes that a list may hold together (`find_compatible`).
    """
    most = rules.slots.max_repeat
    return 0 if most is None else choose_max_repeat(most, count_needs(context, rules, products))


def choose_max_repeat(most: int, need: np.ndarray) -> int:
    """`max_repeat`, raised where more than half of the customers need more (`count_needs`)."""
    return most if len(need) == 0 or np.median(need) <= most else int(need.max())


def count_needs(context: Context, rules: Rules, products: np.ndarray) -> np.ndarray:
    """int64[]: how many repeats every customer who was written to before needs for a full list; none where the products
    cannot fill one."""
    k = rules.slots.k
    if context.sends is None or len(products) < k:
        return np.empty(0, dtype=np.int64)
    stale = find_stale(context, rules)
    size = np.bincount(
        products if context.variants is None else context.variants[products], minlength=stale.shape[1]
    )
    return (k - (len(products) - stale @ size))[np.diff(stale.indptr) > 0]


def find_stale(context: Context, rules: Rules) -> sparse.csr_matrix:
    """int64 csr of the pairs sent before (`Context.sent`): 1 where the last sends hold it without new evidence."""
    ago, evidence = context.sent
    stale = ((ago.data <= rules.slots.repeat_sends) & (evidence.data == 1)).astype(np.int64)
    return sparse.csr_matrix((stale, ago.indices, ago.indptr), shape=ago.shape)


def find_row_limits(
    rows: Rows, context: Context, rules: Rules, by_product: dict[int, Limit], without: frozenset[str]
) -> dict[int, Limit]:
    """Position in `ORDER` -> groups of the rows and most, of every limit and pair limit that is on;
    `by_product` from `find_product_limits`."""
    limits = {number: (group[rows.product], most) for number, (group, most) in by_product.items()}
    return limits | _find_on("pair limit", without, rows, context, rules)


def _find_on(kind: str, without: frozenset[str], *arguments: object) -> dict[int, Limit]:
    limits = {
        number: rule.apply(*arguments)
        for number, rule in enumerate(ORDER)
        if rule.kind == kind and rule.name not in without
    }
    return {number: limit for number, limit in limits.items() if limit is not None}
