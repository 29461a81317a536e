"""Rules that contradict each other with the products that a shop has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np

from recs_assets.names import fold
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.contradictions import EXCLUDING, Locate
from recs_assets.rules.items import available, min_margin, min_price
from recs_assets.yaml_file import ContradictionError


def find_collisions(
    context: Context, rules: Rules, admitted: np.ndarray, locate: Locate, day: date
) -> Iterator[ContradictionError]:
    """Pairs of keys of which one undoes the other with the products that the shop has, and keys that no product passes.

    Only what somebody wrote into the file counts, not what the shop has in stock, and of pins only what is excluded by
    name: prices change by themselves, and a pin that they stop is a warning (`review`).

    Args:
        context: has the shop's products.
        rules: for everybody, or of a segment.
        admitted: bool[n_products], what the query ranks.
        locate: as in `find_contradictions`.
        day: of sending; burials of other days count for nothing.
    """
    items, slots = rules.items, rules.slots
    sold = available(context, rules)
    if not sold.any():
        return
    named: list[tuple[tuple[str, ...], np.ndarray, str]] = [
        (("query",), admitted, "the query ranks none of them")
    ]
    for group, key in EXCLUDING.items():
        out = np.zeros(len(sold), dtype=bool)
        for name in getattr(items, key):
            out |= context.find_group(group, name)
        named.append((locate("rules", key), ~out, "it excludes all of them"))
    by_name = len(named)
    for key, rule in (("min_price", min_price), ("min_margin", min_margin)):
        passed = rule(context, rules)
        if passed is not None:
            named.append((locate("rules", key), passed, "all of them are below it"))
    for place, passed, why in named[1:]:
        if not (sold & passed).any():
            yield ContradictionError(
                (place, None), f"of {sold.sum():,} products that may be sold none passes: {why}"
            )
    for number, (place, passed, _) in enumerate(named):
        for other, others, _ in named[number + 1 :]:
            left = sold & passed
            if left.any() and (sold & others).any() and not (left & others).any():
                yield ContradictionError(
                    (other, place),
                    f"of {left.sum():,} products that may be sold after the one, the other leaves none",
                )
    for number, pin in enumerate(slots.pinned):
        own = context.find_group("product", pin.product)
        for place, passed, _ in named[:by_name]:
            if own.any() and not (own & passed).any():
                yield ContradictionError(
                    (locate("slots", "pinned", number), place),
                    f"the product {pin.product} is pinned and may not be offered",
                )
    yield from _compare_pins(context, rules, locate, day)
    for number, floor in enumerate(slots.exposure):
        group, name = floor.group
        if not context.find_group(group, name).any():
            yield ContradictionError(
                (locate("slots", "exposure", number), None),
                f"the {group} {name} is to have {floor.share:.0%} of the places, and the shop has no product of it",
            )
        for at, boost in enumerate(slots.boosts):
            same = boost.group[0] == group and fold(boost.group[1]) == fold(name)
            if same and boost.factor < 1 and boost.holds(day):
                yield ContradictionError(
                    (locate("slots", "exposure", number), locate("slots", "boosts", at)),
                    f"the {group} {name} is to have {floor.share:.0%} of the places, and is buried on {day}; keep one",
                )
    wanted = [("boosts", number, boost.group) for number, boost in enumerate(slots.boosts)]
    wanted += [("exposure", number, floor.group) for number, floor in enumerate(slots.exposure)]
    for kind, number, (group, name) in wanted:
        own = sold & context.find_group(group, name)
        for place, passed, why in named:
            if own.any() and not (own & passed).any():
                yield ContradictionError(
                    (locate("slots", kind, number), place),
                    f"of {own.sum():,} products of the {group} {name} none may be offered: {why}",
                )


def _compare_pins(context: Context, rules: Rules, locate: Locate, day: date) -> Iterator[ContradictionError]:
    """Pinned products that a burial or a floor of all places stands against."""
    slots = rules.slots
    for number, pin in enumerate(slots.pinned):
        own, place = context.find_group("product", pin.product), locate("slots", "pinned", number)
        if not own.any():
            continue
        for at, boost in enumerate(slots.boosts):
            group, name = boost.group
            buried = boost.factor < 1 and boost.holds(day)
            if buried and (own & context.find_group(group, name)).any():
                what = "it" if group == "product" else f"its {group} {name}"
                yield ContradictionError(
                    (place, locate("slots", "boosts", at)),
                    f"the product {pin.product} is pinned, and {what} is buried on {day}; keep one",
                )
        for at, floor in enumerate(slots.exposure):
            group, name = floor.group
            free = 1 - 1 / slots.k
            if floor.share > free + 1e-9 and not (own & context.find_group(group, name)).any():
                yield ContradictionError(
                    (place, locate("slots", "exposure", at)),
                    f"the product {pin.product} is pinned, and the {group} {name}, of which it is none, is to have "
                    f"{floor.share:.0%} of the places; remove the pin, or lower the floor to {free:.0%}",
                )
