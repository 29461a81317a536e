"""What may be sold, by product, for every placement: the product rules of campaigns, worked out when a version is opened.

Stock and prices change while a version is open. A product that changes is judged again alone, by the same rules.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.known.interactions import SMALLEST_PRICE, Events, Known
from recs_assets.names import find_matches, fold
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.frames import assemble_context
from recs_assets.rules.goals import find_factors, find_scales, weigh_products
from recs_assets.rules.items import PASSED, apply_product_rules, find_product_limits
from recs_assets.rules.sensitive import Sensitive
from recs_assets.serving.placement import Placement
from recs_assets.serving.store import ServingStore

NOBODY = pd.DataFrame({"customer_id": pd.Series(dtype="str"), "segment": pd.Series(dtype="str")})
# Rules of a placement that stand beside those of its file.
CATEGORY_LIMIT = "max_per_category"


@dataclass(slots=True)
class Screen:
    """The rules of one placement over all products.

    Attributes:
        rules: of the placement.
        passed: 1 where every product rule lets the product pass.
        limits: groups and most of every limit.
        within_category: the same without the limit per category, for answers of named categories.
        worth: what probabilities are multiplied by, by product (`rules.goals`); None: all are alike.
        scales: of the goal's values in the whole shop.
        pins: code and slot of the promoted products that there are.
        days: from which the factors of the same place hold, ascending; the first is that of everything before.
        factors: of boosts and burials, by product; None: all are 1.
        floors: by product, 1 where a floor of exposure counts it; and its share of the places.
        counted: by product, 1 where any floor does.
    """

    rules: Rules
    passed: bytearray
    limits: list[tuple[Sequence[int], int]]
    within_category: list[tuple[Sequence[int], int]]
    worth: array | None
    scales: dict[str, float]
    pins: list[tuple[int, int]]
    days: list[date]
    factors: list[array | None]
    floors: list[tuple[bytes, float]]
    counted: bytes

    def find_factors(self, day: date) -> array | None:
        """Those of the boosts that hold on a day."""
        return self.factors[bisect_right(self.days, day) - 1]


class Shelf:
    """The products of one version.

    Args:
        store: of the version.
        placements: whose rules are worked out.

    Attributes:
        ids: product id by code.
        codes: code by product id.
        variant: by code, what variants of one product share; a product without has a number of its own.
        title: by code, what products of one title share, -1 none.
        category: by code, number of its category, -1 none.
        popularity: by code, decayed purchase days.
        popular: all codes, the most popular first; by_category: the same of each category.
        order: by code, its place in `popular`.
        sold: by category, the sum of its popularity.
        screens: placement -> its rules.
    """

    def __init__(self, store: ServingStore, placements: Mapping[str, Placement]) -> None:
        columns: dict[str, list[Any]] = {}
        for block in store.read_facts():
            for name, values in block.items():
                columns.setdefault(name, []).extend(values)
        frame = pd.DataFrame(columns)
        self._as_of = date.fromisoformat(store.about["as_of"])
        self._facts = frame
        context = self._make_context(frame)
        self.ids: list[str] = columns["product_id"]
        self.codes = {product: code for code, product in enumerate(self.ids)}
        alone = np.arange(len(frame)) + len(frame)
        parent = alone if context.parent is None else np.where(context.parent >= 0, context.parent, alone)
        self.variant = array("q", parent.tolist())
        self.title = array("q", context.title.tolist())
        self.category = array("i", context.category[0].tolist())
        self._category_code = {fold(name): number for number, name in enumerate(context.category[1])}
        self._stock = array("d", frame["stock"].to_numpy(dtype=float, na_value=np.nan).tolist())
        self._starts = array("d", [-inf if at is None else at for at in columns["start_at"]])
        self._ends = array("d", [inf if at is None else at for at in columns["end_at"]])
        self._countries = {
            code: frozenset(text.upper().split())
            for code, text in enumerate(columns["countries"])
            if text and text.split()
        }
        self.never_discover = bytearray(frame["never_discover"].to_numpy(dtype=np.uint8).tobytes())
        popularity = frame["popularity"].to_numpy(dtype=float)
        order = np.lexsort((np.arange(len(frame)), -popularity))
        self.popular = array("i", order.tolist())
        self.popularity = array("d", popularity.tolist())
        self.order = array("i", np.argsort(order).tolist())
        self.by_category: dict[int, array] = {}
        labels = context.category[0][order]
        grouped = order[np.argsort(labels, kind="stable")]
        edges = np.searchsorted(np.sort(labels), np.arange(len(context.category[1]) + 1))
        for number, (first, last) in enumerate(pairwise(edges)):
            self.by_category[number] = array("i", grouped[first:last].tolist())
        coded = context.category[0] >= 0
        sold = np.bincount(
            context.category[0][coded], weights=popularity[coded], minlength=len(context.category[1])
        )
        self.sold = array("d", sold.tolist())
        # A product that has whatever any product of the shop has: rules ask for nothing that the whole shop lacks.
        self._fullest = self._find_fullest(frame)
        self.screens = {name: self._screen(context, placement) for name, placement in placements.items()}
        self.changed: dict[int, dict[str, float]] = {}

    def _make_context(self, frame: pd.DataFrame) -> Context:
        frame = frame.drop(columns="countries")  # of whoever asks, not of the product alone
        known = Known(self._as_of, NOBODY, frame.assign(available=True), Events.none())
        flags = {name: frame[name].to_numpy(dtype=bool) for name in ("never_offer", "never_discover")}
        none = np.zeros(len(frame), dtype=bool)
        topic = np.where(flags["never_offer"] | flags["never_discover"], 0, -1)
        goods = Sensitive(("",), topic, **flags, never_cite=none, no_counts=none)
        return assemble_context(known, frame, sensitive=goods)

    @staticmethod
    def _find_fullest(frame: pd.DataFrame) -> pd.DataFrame:
        values: dict[str, list[Any]] = {}
        for name in frame:
            there = frame[name].dropna()
            values[name] = [there.iloc[0] if len(there) else None]
        priced = frame["price"].dropna()
        if len(priced):
            values["price"] = [max(float(priced.max()), SMALLEST_PRICE)]
        return pd.DataFrame(values).astype(frame.dtypes.to_dict())

    def _screen(self, context: Context, placement: Placement) -> Screen:
        rules, nobody = placement.rule_set, frozenset()
        passed = apply_product_rules(context, rules, nobody) == PASSED
        found = find_product_limits(context, rules, nobody)
        free = find_product_limits(context, _lift_category_limit(rules), nobody)
        scales = find_scales(context, rules.slots.goal)
        worth = weigh_products(context, rules.slots, scales)
        ids = context.product_codes
        pins = [
            (ids[own[0]], pin.slot)
            for pin in rules.slots.pinned
            if len(own := find_matches(pin.product, ids)) == 1
        ]
        days = _list_days(rules)
        factors = [find_factors(context, rules.on(day).slots) for day in days]
        groups = [context.find_group(*floor.group) for floor in rules.slots.exposure]
        counted = np.logical_or.reduce(groups) if groups else np.zeros(len(ids), dtype=bool)
        return Screen(
            rules,
            bytearray(passed.astype(np.uint8).tobytes()),
            [(array("i", group.tolist()), most) for group, most in found.values()],
            [(array("i", group.tolist()), most) for group, most in free.values()],
            None if worth is None else array("d", worth.tolist()),
            scales,
            pins,
            days,
            [None if own is None else array("d", own.tolist()) for own in factors],
            [
                (group.tobytes(), floor.share)
                for group, floor in zip(groups, rules.slots.exposure, strict=True)
            ],
            counted.tobytes(),
        )

    def update(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Judge products again.

        Args:
            changes: product id -> stock, price, or both, as they are now; unknown products are left out.
        """
        known = {self.codes[product]: new for product, new in changes.items() if product in self.codes}
        if not known:
            return
        for code, new in known.items():
            self.changed[code] = {**self.changed.get(code, {}), **new}
        codes = list(known)
        frame = self._facts.iloc[codes].copy()
        for name in ("stock", "price"):
            now = [self.changed[code].get(name) for code in codes]
            frame[name] = [old if new is None else new for old, new in zip(frame[name], now, strict=True)]
        frame[["stock", "price"]] = frame[["stock", "price"]].astype(float)
        context = self._make_context(pd.concat([frame, self._fullest], ignore_index=True))
        for screen in self.screens.values():
            passed = apply_product_rules(context, screen.rules, frozenset()) == PASSED
            for place, code in enumerate(codes):
                screen.passed[code] = int(passed[place])
            if screen.worth is not None:
                worth = weigh_products(context, screen.rules.slots, screen.scales)
                for place, code in enumerate(codes):
                    screen.worth[code] = worth[place]

    def is_in_stock(self, code: int) -> bool:
        """At least one unit by the newest count; a product that is never counted passes."""
        stock = self.changed.get(code, {}).get("stock", self._stock[code])
        return not stock < 1

    def is_sold(self, code: int, now: float, country: str | None) -> bool:
        """Within its sale window, and sold in the country; in an unknown one, only what is sold everywhere."""
        if not self._starts[code] <= now < self._ends[code]:
            return False
        allowed = self._countries.get(code)
        return allowed is None or country in allowed

    def find_categories(self, names: Sequence[str]) -> frozenset[int]:
        """Numbers of the categories of these names; case and blanks do not matter, unknown ones are left out."""
        found = (self._category_code.get(fold(name)) for name in names)
        return frozenset(number for number in found if number is not None)


def _list_days(rules: Rules) -> list[date]:
    """The days on which other boosts hold than on the day before, after the first day of all."""
    boosts = rules.slots.boosts
    starts = {boost.starts for boost in boosts if boost.starts is not None}
    ends = {boost.ends + timedelta(days=1) for boost in boosts if boost.ends not in (None, date.max)}
    return [date.min, *sorted(starts | ends)]


def _lift_category_limit(rules: Rules) -> Rules:
    """In an answer of named categories alone, a limit per category would only shorten it."""
    return rules.model_copy(update={"items": rules.items.model_copy(update={CATEGORY_LIMIT: None})})
