"""Keys of a campaign's file that contradict each other, or have no effect because of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from recs_assets.audit.segments import TIERS
from recs_assets.names import fold
from recs_assets.rules.config import Eligibility, ItemRules, Rules, Slots
from recs_assets.rules.contradictions import (
    IDLE,
    Locate,
    find_contradictions,
    is_off,
    refuse_idle_key,
)
from recs_assets.yaml_file import ContradictionError

# What a view contradicts.
CONTRADICTED = {
    "repeat": (("slots", "discovery_share"), ("slots", "exploration_share"), ("slots", "ladder")),
    "new": (("rules", "only_due"),),
}

# Where a file says whether anybody looks at what is due soon; both keys are on if it does not say.
GROUPS, ASKING_DUE_SOON = ("rules", "slots"), ("bought_within_days", "max_repeat")


class Part(Protocol):
    """A campaign, or what differs in a segment."""

    @property
    def eligibility(self) -> Eligibility: ...
    @property
    def rules(self) -> ItemRules: ...
    @property
    def slots(self) -> Slots: ...


def refuse_contradictions(segments: Mapping[str, Part], rules: Rules) -> None:
    """Refuse keys that contradict each other for everybody or in a segment.

    Args:
        segments: what differs in each.
        rules: of the campaign.

    Raises:
        ContradictionError: the first pair of keys.
    """
    for own, locate in list_places(segments, rules):
        for found in find_contradictions(own.items, own.slots, locate):
            raise found


def list_places(segments: Mapping[str, Part], rules: Rules) -> Iterator[tuple[Rules, Locate]]:
    """The rules for everybody, then those of each segment, with where their keys stand in the file."""

    def locate_in(part: Part | None, name: str) -> Locate:
        def locate(group: str, *keys: str | int) -> tuple[str, ...]:
            place = (group, *map(str, keys))
            own = part is not None and keys[0] in getattr(part, group).model_fields_set
            return ("segments", name, *place) if own else place

        return locate

    yield rules, locate_in(None, "")
    for name, part in segments.items():
        yield rules.of_segment(name), locate_in(part, name)


def refuse_against_view(view: str, place: str, part: Part) -> None:
    """A rule that the view contradicts is refused: what is listed would follow one and not the other.

    Raises:
        ValueError: the key, and why.
    """
    slots = part.slots
    if view == "new" and part.rules.only_due:
        raise ValueError(
            f"{place}rules.only_due: the view new lists what was never bought, of which nothing is due again; "
            "remove the key, or take another view"
        )
    if view == "repeat" and "discovery_share" in slots.model_fields_set and slots.discovery_share:
        raise ValueError(
            f"{place}slots.discovery_share: the view repeat lists what was bought before, and discovery what was "
            "not; remove the key, or take another view"
        )
    if view == "repeat" and "exploration_share" in slots.model_fields_set and slots.exploration_share:
        raise ValueError(
            f"{place}slots.exploration_share: the view repeat has no discovery slots to draw; remove the key, or take "
            "another view"
        )
    if view == "repeat" and "ladder" in slots.model_fields_set and slots.ladder:
        raise ValueError(
            f"{place}slots.ladder: the view repeat lists what was bought before, and the ladder fills up with what "
            "was not; remove the key, or take another view"
        )


def refuse_idle_keys(whole: Part, place: str, part: Part) -> None:
    """A key that says something of another one is refused where that one is off.

    Raises:
        ValueError: the key, and what it needs.
    """
    for group, key, other, off in IDLE:
        named = getattr(part, group)
        # What a segment does not say is as it is for everybody.
        holds = named if other in named.model_fields_set else getattr(whole, group)
        if key in named.model_fields_set:
            refuse_idle_key((place, f"{group}."), key, other, getattr(holds, other), off)
    given = part.slots.model_fields_set
    share = (part if "discovery_share" in given else whole).slots.discovery_share
    k = whole.slots.k
    if _count_discovery_slots(share, k):
        return
    for key in ("discovery_floor", "exploration_share"):
        if key in given and getattr(part.slots, key):
            raise ValueError(
                f"{place}slots.{key}: it has no effect, because a discovery_share of {share:g} is less than half of one of {k} slots; "
                "raise discovery_share, or remove the key"
            )


def refuse_useless_segments(segment_by: str, segments: Mapping[str, Part], rules: Rules) -> None:
    """Refuse segments that there are none of, and those by value that `min_value_tier` leaves out, or that it leaves as
    they are.

    Args:
        segment_by: whose segments.
        segments: what differs in each; their names are known to be such.
        rules: of the campaign.

    Raises:
        ValueError: the key, and what it needs.
        ContradictionError: the first segment that can never get the campaign.
    """
    if segment_by != "shop" and not segments:
        raise ValueError("segment_by: it has no effect without segments; name some, or remove the key")
    if segment_by != "value":
        return
    for name, part in segments.items():
        own = "min_value_tier" in part.eligibility.model_fields_set
        least = rules.of_segment(name).eligibility.min_value_tier
        if least is None:
            continue
        segment, key = ("segments", name), ("eligibility", "min_value_tier")
        tier = list(TIERS).index(fold(name))
        if tier < least:
            places = ((*segment, *key), segment) if own else (segment, key)
            remedy = "lower min_value_tier, or remove the segment"
            raise ContradictionError(places, f"nobody of {name} is in tier {least} or a higher one; {remedy}")
        whole = rules.eligibility.min_value_tier
        if own and (whole is None or whole <= tier):
            raise ValueError(
                f"{'.'.join((*segment, *key))}: it has no effect, because everybody of {name} is in tier {least} or a higher "
                "one; remove the key"
            )


def drop_overruled(data: dict[str, Any], change: Mapping[str, Any], k: int) -> None:
    """Take out, in place, keys of the file that a change leaves without an effect and does not name itself.

    Args:
        data: of the file.
        change: to it.
        k: slots.
    """
    gone = list(CONTRADICTED.get(change.get("view", ""), ()))
    for group, key, other, off in IDLE:
        part = change.get(group)
        if isinstance(part, Mapping) and other in part and is_off(part[other], off):
            gone.append((group, key))
    given = {
        key: value
        for part in (data, change)
        for group in GROUPS
        for key, value in (part.get(group) or {}).items()
    }
    if not data.get("segments") and all(given.get(key, "as it is") is None for key in ASKING_DUE_SOON):
        gone.append(("rules", "due_within_days"))
    _drop(data, gone, change)
    share = (change.get("slots") or {}).get("discovery_share")
    if isinstance(share, int | float) and not _count_discovery_slots(share, k):
        # A segment without a share of its own has that one.
        parts = [data, *(data.get("segments") or {}).values()]
        for part in parts:
            if part is data or "discovery_share" not in (part.get("slots") or {}):
                _drop(part, [("slots", "discovery_floor"), ("slots", "exploration_share")], change)


def _drop(data: dict[str, Any], keys: Iterable[tuple[str, str]], change: Mapping[str, Any]) -> None:
    for group, key in keys:
        part = change.get(group)
        if isinstance(data.get(group), dict) and not (isinstance(part, Mapping) and key in part):
            data[group].pop(key, None)


def _count_discovery_slots(share: float, k: int) -> int:
    return Slots.model_construct(discovery_share=share, k=k).discovery_slots
