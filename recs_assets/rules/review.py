"""What a campaign's rules ask for and this shop does not have: names, and settings that do nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.audit.segments import TIERS
from recs_assets.names import find_matches, find_nearest, fold
from recs_assets.rules.candidates import Ranked
from recs_assets.rules.config import Goal, Rules, SegmentRules, write_value
from recs_assets.rules.context import Context
from recs_assets.rules.goals import SMALLEST_VALUE, find_values
from recs_assets.rules.items import NAMES, ORDER, PASSED, RAISED, apply_product_rules
from recs_assets.rules.pipeline import (
    find_idle_rules,
    find_limits_in_force,
    list_parts,
    select,
    split_by_segment,
)
from recs_assets.rules.selection import TOO_FEW, Selection

# Customers without a full list who are looked at to find what stands in their way.
LOOKED_AT = 200
# Names that the shop lacks, by key.
NAMES_SHOWN = 20
EXCLUSION_KEYS = ("excluded_categories", "excluded_brands", "excluded_products")
# Categories of a vertical that a sentence names.
CATEGORIES_SHOWN = 10


@dataclass(frozen=True)
class Review:
    """Sentences for people.

    Attributes:
        problems: what the file says and this shop cannot do; somebody should look.
        notes: what was done otherwise than the defaults say, and why.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """What the lists hold of the customers under the same rules.

    Attributes:
        rows: how many there are.
        pinned: codes of the pinned products that somebody got.
        discovery: rows in a slot for discovery.
        exposed: rows of the products of every floor of exposure.
    """

    rows: int
    pinned: tuple[int, ...]
    discovery: int
    exposed: tuple[int, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        pinned = sorted({*self.pinned, *other.pinned})
        exposed = tuple(map(sum, zip(self.exposed, other.exposed, strict=True)))
        return Seen(self.rows + other.rows, tuple(pinned), self.discovery + other.discovery, exposed)


def look_at(rules: Rules, context: Context, selection: Selection) -> list[Seen]:
    """What `select` made, for the rules of every segment (`pipeline.list_parts`)."""
    seen = []
    for _, _, members in split_by_segment(context, rules, np.arange(context.known.n_customers)):
        rows = selection.rows[selection.rows["customer"].isin(members)]
        kind = rows["slot_type"]
        pinned = rows.loc[(kind == "pinned").to_numpy(), "product"].unique()
        product = rows["product"].to_numpy()
        exposed = tuple(
            int(context.find_group(*floor.group)[product].sum()) for floor in rules.slots.exposure
        )
        seen.append(
            Seen(len(rows), tuple(sorted(pinned.tolist())), int((kind == "discovery").sum()), exposed)
        )
    return seen


def review(
    rules: Rules, context: Context, candidates: pd.DataFrame | Ranked, selection: Selection | Sequence[Seen]
) -> Review:
    """Compare what the rules say with what the shop has and with what they chose.

    Args:
        rules: the campaign's; `model_fields_set` tells what its file names from defaults.
        context: as for `select`.
        candidates: the same.
        selection: what `select` made of them, or what was seen of that in all blocks of customers (`look_at`).
    """
    problems, notes = list_unknown_names(rules, context), [*_compare_exclusions(rules)]
    problems += _find_empty_tiers(rules, context)
    every = look_at(rules, context, selection) if isinstance(selection, Selection) else selection
    for (name, own, _), seen in zip(list_parts(context, rules), every, strict=True):
        where = f"segments.{name}." if name else ""
        given = rules if not name else rules.segments[name]
        problems += [f"{where}{text}" for text in _find_impossible_rules(own, context)]
        problems += [f"{where}{text}" for text in _find_idle_settings(own, given, context)]
        problems += [f"{where}{text}" for text in _explain_tiers(own, given, context)]
        problems += [f"{where}{text}" for text in _explain_pins(own, context, seen)]
        notes += [f"{where}{text}" for text in _explain_limits(own, context, candidates)]
        notes += [f"{where}{text}" for text in _explain_missing_discovery(own, context, seen)]
    missed, met = _explain_exposure(rules, sum(every[1:], start=every[0]))
    problems, notes = [*problems, *missed], [*notes, *met]
    return Review(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(notes)))


def list_past_boosts(rules: Rules, day: date) -> list[str]:
    """One sentence per boost or burial whose last day is before the day of sending."""
    parts = [("", rules.slots)] + [(f"segments.{name}.", part.slots) for name, part in rules.segments.items()]
    return [
        f"{where}slots.boosts: that of the {boost.group[0]} {boost.group[1]} ended on {boost.ends}; remove it, or give it another end."
        for where, slots in parts
        for boost in slots.boosts
        if boost.ends is not None and boost.ends < day
    ]


def list_unknown_names(rules: Rules, context: Context) -> list[str]:
    """One sentence per name in the rules that the shop does not have as it is written: what was taken
    for it, or the nearest one."""
    have: dict[str, Collection[str]] = {
        "excluded_categories": context.category[1],
        "excluded_brands": context.brand[1],
        "excluded_products": context.product_codes,
        "pinned": context.product_codes,
        "segments": context.parting[1],
    }
    groups: dict[str, Collection[str]] = {
        "category": context.category[1],
        "brand": context.brand[1],
        "product": context.product_codes,
        "merchant": context.merchants,
    }
    have |= {f"{kind}.{key}": names for kind in ("boosts", "exposure") for key, names in groups.items()}
    named = [("segments", name) for name in rules.segments]
    for part in (rules, *rules.segments.values()):
        named += [("pinned", pin.product) for pin in part.slots.pinned]
        for kind, some in (("boosts", part.slots.boosts), ("exposure", part.slots.exposure)):
            named += [(f"{kind}.{one.group[0]}", one.group[1]) for one in some]
        for key in EXCLUSION_KEYS:
            named += [(key, name) for name in getattr(part.items, key)]
    lacking: dict[str, list[str]] = {}
    for key, name in dict.fromkeys(named):
        if name not in have[key]:
            lacking.setdefault(key, []).append(name)
    sentences = []
    for key, names in lacking.items():
        sentences += [
            f"{key}: the shop has no {name!r}{_suggest_categories(key, name, context) or _suggest_name(key, name, have[key])}"
            for name in names[:NAMES_SHOWN]
        ]
        # A list kept for years names a thousand products that are gone.
        if len(names) > NAMES_SHOWN:
            sentences.append(
                f"{key}: {len(names) - NAMES_SHOWN:,} more names are not written as the shop has them."
            )
    return sentences


def _suggest_categories(key: str, name: str, context: Context) -> str | None:
    """The rest of the sentence where a vertical stands for its categories; None where it is something else."""
    if key != "excluded_categories" or find_matches(name, context.category[1]):
        return None
    products = context.known.products
    if "vertical" not in products:
        return None
    own = products["vertical"].isin(find_matches(name, products["vertical"].dropna().unique()))
    inside = sorted(products.loc[own, "category"].dropna().unique())
    if not inside:
        return None
    shown = ", ".join(map(repr, inside[:CATEGORIES_SHOWN])) + (
        ", ..." if len(inside) > CATEGORIES_SHOWN else ""
    )
    return f"; it is a vertical, so name its categories: {shown}."


def _suggest_name(key: str, name: str, have: Collection[str]) -> str:
    """The rest of the sentence: what is taken for the name, or the nearest one."""
    own = find_matches(name, have)
    shown = " and ".join(repr(other) for other in own)
    if len(own) == 1 or (own and key not in ("pinned", "boosts.product")):
        return f"; {shown} {'is' if len(own) == 1 else 'are'} taken for it."
    if own:
        return f", but {shown}; write one of them."
    near = find_nearest(name, have)
    return "." if near is None else f"; did you mean {near!r}?"


def _find_impossible_rules(rules: Rules, context: Context) -> Iterator[str]:
    """Product rules that no product passes."""
    for rule in ORDER:
        if rule.kind == "product" and (keep := rule.apply(context, rules)) is not None and not keep.any():
            yield f"{spell_rule(rule.name)}: none of the shop's {len(keep):,} products passes it."


def _compare_exclusions(rules: Rules) -> Iterator[str]:
    """Exclusions for everybody that a segment's own list leaves out."""
    for name, part in rules.segments.items():
        for key in EXCLUSION_KEYS:
            own = {fold(value) for value in getattr(part.items, key)}
            lost = [value for value in getattr(rules.items, key) if fold(value) not in own]
            if key in part.items.model_fields_set and lost:
                yield (
                    f"segments.{name}.rules.{key}: this list replaces the one for everybody, so "
                    f"{', '.join(map(repr, lost))} may be offered to this segment; add it here, too, if it must not be."
                )


def spell_rule(name: str) -> str:
    """The key of the campaign file behind a rule."""
    keys = next(rule.keys for rule in ORDER if rule.name == name)
    return keys[0] if len(keys) == 1 or name in ("discovery", "max_repeat") else name


def _find_lacking(context: Context) -> dict[str, str]:
    """Key -> why it does nothing in this shop."""
    stock, parent = context.stock, context.parent
    missing = {
        "rules.min_stock": (stock is None or np.isnan(stock).all(), "no product's stock is counted"),
        "rules.one_per_parent": (parent is None or (parent < 0).all(), "no product has a parent"),
        "rules.max_per_category": (not context.category[1], "no product has a category"),
        "rules.max_per_brand": (not context.brand[1], "no product has a brand"),
        "rules.max_per_merchant": (context.merchant is None, "no product has a merchant"),
        "rules.min_price": (np.isnan(context.price).all(), "no product has a price"),
        "rules.min_margin": (context.margin is None, "no product has a price and a cost"),
    }
    return {key: why for key, (lacks, why) in missing.items() if lacks}


def _find_idle_settings(rules: Rules, given: Rules | SegmentRules, context: Context) -> Iterator[str]:
    """Settings that the file names and for which the shop lacks what they look at."""
    parts = {"rules": (rules.items, given.items), "slots": (rules.slots, given.slots)}
    for key, why in _find_lacking(context).items():
        group, name = key.split(".")
        own, named = parts[group]
        value = getattr(own, name)
        if name in named.model_fields_set and value not in (None, False, 0):
            yield f"{key}: {why}, so {write_value(value)} does nothing."
    if "goal" in given.slots.model_fields_set:
        yield from _explain_goal(rules.slots.goal, context)
    for part in given.items.complete if "complete" in given.items.model_fields_set else ():
        if part not in context.has:
            yield f"rules.complete: no product has {part}, so it is not asked for."
    slots = rules.slots
    if (
        "discovery_share" in given.slots.model_fields_set
        and slots.discovery_share
        and not slots.discovery_slots
    ):
        yield f"slots.discovery_share: {slots.discovery_share:g} of {slots.k} slots is less than half of one, so none."


def _explain_goal(goal: Goal, context: Context) -> Iterator[str]:
    """What the shop does not know of what its goal counts."""
    lacking = {"revenue": "a price", "margin": "a price and a cost"}
    for name in goal.weights:
        values = find_values(context, name)
        if values is None or not (values > 0).any():
            yield f"slots.goal: no product has {lacking[name]}, so {name} does nothing."
        elif unknown := int((context.known.available & np.isnan(values)).sum()):
            others = " and ".join(other for other in goal.weights if other != name)
            counts = (
                f"0, and of the goal only {others} counts for them"
                if others
                else f"{SMALLEST_VALUE:g} of the shop's median"
            )
            yield (
                f"slots.goal: {unknown:,} products that may be sold are without {lacking[name]}, so their {name} counts as "
                f"{counts}."
            )


def _find_empty_tiers(rules: Rules, context: Context) -> Iterator[str]:
    """Segments by value that no customer is in."""
    customers, names = context.count_tiers(), list(TIERS)
    for name in rules.segments if context.by_tier else ():
        tier = names.index(fold(name))
        if tier and customers.sum() and not customers[tier]:
            yield f"segments.{name}: no customer is in this tier, so its rules are for nobody."


def _explain_tiers(rules: Rules, given: Rules | SegmentRules, context: Context) -> Iterator[str]:
    """A tier that nobody reaches: fifths of customers of whom much the same is expected are fewer than five."""
    least, customers = rules.eligibility.min_value_tier, context.count_tiers()[1:]
    if least is None or "min_value_tier" not in given.eligibility.model_fields_set or not customers.sum():
        return
    if not customers[least - 1 :].any():
        highest = int(np.flatnonzero(customers).max()) + 1
        yield (
            f"eligibility.min_value_tier: nobody is in tier {least} or a higher one, so nobody is written to: of the {customers.sum():,} "
            f"customers with an order {customers[highest - 1]:,} are in tier {highest}, the highest there is, because as much is expected "
            f"of so many; take {highest} or a lower one, or max_recipients."
        )


def _explain_pins(rules: Rules, context: Context, seen: Seen) -> Iterator[str]:
    """Pinned products that nobody gets, and why."""
    if not seen.rows:
        return
    first = apply_product_rules(context, rules, frozenset())
    for pin in rules.slots.pinned:
        own = find_matches(pin.product, context.product_codes)
        if len(own) != 1 or (code := context.product_codes[own[0]]) in seen.pinned:
            continue
        why = (
            f"{NAMES[first[code]]} refuses it"
            if first[code] < PASSED
            else "every customer's own rules, or the limits beside the other pins, refuse it"
        )
        yield f"slots.pinned: {own[0]} is in no list: {why}."


def _explain_limits(rules: Rules, context: Context, candidates: pd.DataFrame | Ranked) -> Iterator[str]:
    """Limits that the shop cannot meet."""
    most, k = find_limits_in_force(candidates, context, rules), rules.slots.k
    asked = {
        "max_per_category": rules.items.max_per_category,
        "max_per_brand": rules.items.max_per_brand,
        "max_per_merchant": rules.items.max_per_merchant,
        "max_repeat": rules.slots.max_repeat,
    }
    few = {
        "max_per_category": "categories",
        "max_per_brand": "brands",
        "max_per_merchant": "merchants",
        "max_repeat": "products that were not sent before",
    }
    for name in RAISED:
        if name in most and most[name] != asked[name]:
            yield (
                f"{spell_rule(name)}: {asked[name]} is raised to {most[name]}, because the shop has too few "
                f"{few[name]} to fill {k} slots otherwise."
            )


def _explain_missing_discovery(rules: Rules, context: Context, seen: Seen) -> Iterator[str]:
    """Discovery that nobody gets."""
    slots = rules.slots
    if not slots.discovery_slots or not seen.rows or seen.discovery:
        return
    n = context.shelves_bought.shape[1]
    why = (
        "the shop's products have no categories"
        if n == 0
        else f"the shop has one category, {context.category[1][0]!r}"
        if n == 1 and context.category[1]
        else "the shop's products have no categories, and their texts are all alike"
        if n == 1
        else "no product of a category that is new to a customer is probable enough and allowed by the rules, or the list "
        "holds enough of them as it is"
    )
    yield (
        f"slots.discovery_share: {slots.discovery_share:g} asks for {slots.discovery_slots} of {slots.k} slots, and "
        f"nobody got one: {why}; the slots went to personal products."
    )


def _explain_exposure(rules: Rules, seen: Seen) -> tuple[list[str], list[str]]:
    """Floors of exposure that are missed, and that are met."""
    missed: list[str] = []
    met: list[str] = []
    for floor, held in zip(rules.slots.exposure, seen.exposed, strict=True):
        if not seen.rows:
            continue
        group, name = floor.group
        have = f"slots.exposure: the {group} {name} has {held:,} of {seen.rows:,} places ({held / seen.rows:.1%})"
        if held >= floor.share * seen.rows - 1e-9:
            met.append(f"{have}; it asks for {floor.share:.1%}.")
        else:
            missed.append(
                f"{have}, and not {floor.share:.1%}: no other list has a candidate of it that the rules let into a personal slot."
            )
    return missed, met


def explain_shortage(
    rules: Rules, context: Context, candidates: pd.DataFrame, selection: Selection
) -> str | None:
    """Which rule stands between customers and a full list, in words; None where nobody is short of one.

    Each rule is left out on its own, for at most `LOOKED_AT` of the customers who are short.
    """
    short = find_short(selection)
    if len(short) == 0:
        return None
    tried = list_tried(candidates, context, rules)
    return write_shortage(rules, context, len(short), count_full(rules, context, candidates, short, tried))


def find_short(selection: Selection) -> np.ndarray:
    """Codes of the first customers who are short of a full list, at most `LOOKED_AT`."""
    suppressed = selection.suppressed
    return suppressed.loc[(suppressed["reason"] == TOO_FEW).to_numpy(), "customer"].to_numpy()[:LOOKED_AT]


def list_tried(candidates: pd.DataFrame | Ranked, context: Context, rules: Rules) -> list[str]:
    """The rules that are worth leaving out."""
    idle = find_idle_rules(candidates, context, rules)
    return [name for name in NAMES if name not in idle]


def count_full(
    rules: Rules, context: Context, candidates: pd.DataFrame, short: np.ndarray, tried: Sequence[str]
) -> dict[str, int]:
    """Rule -> how many of the customers who are short would have a full list without it."""
    return {
        name: int(select(candidates, context, rules, short, (name,)).counts["selected"]) for name in tried
    }


def write_shortage(rules: Rules, context: Context, short: int, full: Mapping[str, int]) -> str:
    """What stands between customers and a full list: `short` of them were looked at (`count_full`)."""
    name = max(full, key=full.__getitem__, default=None)
    if name is not None and full[name]:
        return f"without {spell_rule(name)} {full[name]:,} of {short:,} that were looked at would have one"
    passed = int((apply_product_rules(context, rules, frozenset()) == PASSED).sum())
    return (
        f"no rule alone stands in the way: {passed:,} of the shop's {context.known.n_products:,} products pass "
        f"the rules about products, for {rules.slots.k} slots"
    )


def list_rules_in_force(rules: Rules) -> list[tuple[str, str, bool]]:
    """Every key with its value and whether that is the default; of segments, what they name."""
    parts = [("eligibility", rules.eligibility), ("rules", rules.items), ("slots", rules.slots)]
    lines = [
        (f"{group}.{name}", value, value == field.get_default())
        for group, part in parts
        for name, field in type(part).model_fields.items()
        for value in [getattr(part, name)]
    ]
    for segment, own in rules.segments.items():
        for group, part in (("eligibility", own.eligibility), ("rules", own.items), ("slots", own.slots)):
            lines += [
                (f"segments.{segment}.{group}.{name}", getattr(part, name), False)
                for name in type(part).model_fields
                if name in part.model_fields_set
            ]
    return [(key, write_value(value), default) for key, value, default in lines]
