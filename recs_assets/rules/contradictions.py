"""Rules of a file that contradict each other, as far as the file alone shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from recs_assets.names import fold
from recs_assets.rules.config import PURCHASES, Boost, Exposure, Goal, ItemRules, Rules, Slots, write_value
from recs_assets.yaml_file import ContradictionError

# Of some of the products: the key that excludes them, and the one that limits them.
EXCLUDING = {"category": "excluded_categories", "brand": "excluded_brands", "product": "excluded_products"}
# Group, key, the key that it says something of, and the value at which that one is off.
IDLE = (
    ("eligibility", "within_days", "max_sends", None),
    ("slots", "repeat_sends", "max_repeat", None),
    ("slots", "discovery_floor", "discovery_share", 0),
    ("slots", "exploration_share", "discovery_share", 0),
    ("slots", "goal_strength", "goal", PURCHASES),
)
# Where a key stands in the file: group and keys below it -> place.
Locate = Callable[..., tuple[str, ...]]


def find_contradictions(items: ItemRules, slots: Slots, locate: Locate) -> Iterator[ContradictionError]:
    """Pairs of keys of which one undoes the other.

    Args:
        items: of a campaign, a segment (with what holds for everybody) or a placement.
        slots: with them.
        locate: ("rules" or "slots", key, number in a list) -> place of the file.
    """
    excluded = {
        (group, fold(name)): locate("rules", key, number)
        for group, key in EXCLUDING.items()
        for number, name in enumerate(getattr(items, key))
    }
    boosts = [(locate("slots", "boosts", number), boost) for number, boost in enumerate(slots.boosts)]
    # One of some days stands against what holds for all days on these alone (`collisions`).
    buried = {
        _name(boost): place
        for place, boost in boosts
        if boost.factor < 1 and boost.starts is None and boost.ends is None
    }
    for number, pin in enumerate(slots.pinned):
        key, place = ("product", fold(pin.product)), locate("slots", "pinned", number)
        if key in excluded:
            yield ContradictionError(
                (place, excluded[key]), f"the product {pin.product} is pinned and excluded; keep one"
            )
        if key in buried:
            yield ContradictionError(
                (place, buried[key]), f"the product {pin.product} is pinned and buried; keep one"
            )
    for number, (place, boost) in enumerate(boosts):
        group, name = boost.group
        if boost.factor == 1:
            yield ContradictionError(
                (place, None), "a factor of 1 changes nothing; give another one, or remove it"
            )
        if (key := _name(boost)) in excluded:
            verb = "boosted" if boost.factor > 1 else "given a factor"
            yield ContradictionError(
                (place, excluded[key]), f"the {group} {name} is {verb} and excluded; keep one"
            )
        for other_place, other in boosts[:number]:
            if _name(other) == key and boost.meets(other):
                why = f"the {group} {name} has the factors {other.factor:g} and {boost.factor:g} on the same days; keep one"
                yield ContradictionError((place, other_place), why)
    yield from _compare_floors(items, slots, excluded, buried, locate)
    if slots.order_by == "score":
        # The score of a list is a place, which nothing is worth so many times of.
        for key, given in (("goal", not slots.goal.is_purchases), ("boosts", bool(slots.boosts))):
            if given:
                why = f"slots in the order of the model's own list cannot be in that of {key}, too; keep one"
                yield ContradictionError((locate("slots", key), locate("slots", "order_by")), why)
    sends = items.sent_within_sends or 0
    if "max_repeat" in slots.model_fields_set and slots.max_repeat and sends >= slots.repeat_sends:
        why = (
            f"products of the last {slots.repeat_sends} sends may fill {slots.max_repeat} slots, and none of the last "
            f"{sends} may stand in any; keep one"
        )
        yield ContradictionError((locate("slots", "max_repeat"), locate("rules", "sent_within_sends")), why)


def is_off(value: Any, off: Any) -> bool:
    """Whether a value, as a model or as its file has it, is the one at which a key of `IDLE` is off."""
    if off is PURCHASES:
        return Goal.model_validate(value).is_purchases
    return value == off or value == write_value(off)


def refuse_idle_key(place: tuple[str, str], key: str, other: str, value: Any, off: Any) -> None:
    """Refuse a key that a file names, where the key that it says something of is off.

    Args:
        place: of the segment, and of both keys in it, each with a point at its end or empty.
        key: is named.
        other: says whether it counts.
        value: of `other`.
        off: the one at which it does not (`IDLE`).

    Raises:
        ValueError: it has no effect.
    """
    if is_off(value, off):
        raise ValueError(
            f"{place[0]}{place[1]}{key}: it has no effect while {place[1]}{other} is {write_value(off)}; set {other}, or remove the key"
        )


def refuse_idle_due(items: ItemRules, rules: Rules) -> None:
    """Refuse `due_within_days` where no rule looks at it.

    Args:
        items: as the file has them.
        rules: all of them.

    Raises:
        ValueError: it has no effect.
    """
    named = "due_within_days" in items.model_fields_set and items.due_within_days is not None
    if named and not rules.ask_due_soon:
        raise ValueError(
            "rules.due_within_days: it has no effect, because what is due again passes bought_within_days and max_repeat, and "
            "neither is set; set one, or remove the key"
        )


def _compare_floors(
    items: ItemRules,
    slots: Slots,
    excluded: Mapping[tuple[str, str], tuple[str, ...]],
    buried: Mapping[tuple[str, str], tuple[str, ...]],
    locate: Locate,
) -> Iterator[ContradictionError]:
    """Floors of exposure against exclusions, burials, limits and each other."""
    first: dict[str, tuple[str, ...]] = {}
    total: dict[str, float] = {}
    named: dict[tuple[str, str], tuple[str, ...]] = {}
    for number, floor in enumerate(slots.exposure):
        (group, name), key, place = floor.group, _name(floor), locate("slots", "exposure", number)
        for others, verb in ((excluded, "excluded"), (buried, "buried")):
            if key in others:
                why = (
                    f"the {group} {name} is to have {floor.share:.0%} of the places, and is {verb}; keep one"
                )
                yield ContradictionError((place, others[key]), why)
        if key in named:
            yield ContradictionError((place, named[key]), f"the {group} {name} has two floors; keep one")
        named[key] = place
        total[group] = total.get(group, 0.0) + floor.share
        if total[group] > 1 + 1e-9:
            yield ContradictionError(
                (place, first[group]),
                f"the floors by {group} sum up to {total[group]:.0%} of the places; lower one",
            )
        first.setdefault(group, place)
        most = getattr(items, f"max_per_{group}")
        if most is not None and most < floor.share * slots.k - 1e-9:
            default = "" if f"max_per_{group}" in items.model_fields_set else " by default"
            why = (
                f"{floor.share:.0%} of {slots.k} slots are more than the {most} that one {group} may have{default}; raise the limit, "
                "or lower the floor"
            )
            yield ContradictionError((place, locate("rules", f"max_per_{group}")), why)


def _name(boost: Boost | Exposure) -> tuple[str, str]:
    group, name = boost.group
    return group, fold(name)
