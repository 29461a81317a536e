"""The rules of a campaign as typed, immutable models; an unknown key is refused.

Consent, availability and uniqueness have no key here: no file can switch them off. Every other rule
does nothing at None, False, 0 or an empty list, and where the shop lacks what it looks at.
"""

from __future__ import annotations

from datetime import date
from math import floor
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from recs_assets.names import fold

# What some of the products are named by.
GROUPS = ("category", "brand", "product", "merchant")
SegmentBy = Literal["shop", "rfm", "value"]
Level = Literal["segment", "category", "global"]
Part = Literal["name", "url", "price", "image_url"]
# Strict: true is no number.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Name = Annotated[str, Field(pattern=r"\S")]
Names = tuple[Name, ...]
# Only the sizes of weights beside each other count.
Weight = Annotated[float, Field(ge=0, le=1000, strict=True)]


def _refuse_number(value: object) -> object:
    """Pydantic would read a number as seconds since 1970."""
    if isinstance(value, bool | int | float):
        raise ValueError(f"{value} is no day; write one like 2026-12-24")
    return value


Day = Annotated[date, BeforeValidator(_refuse_number)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Eligibility(_Model):
    """Who may be written to, beyond consent."""

    max_sends: Count | None = Field(
        None, description="At most so many sends of any campaign within `within_days`; null: any number."
    )
    within_days: Count = Field(
        7, description="Days that `max_sends` looks at; the last of them is the day of the coming send."
    )
    min_value_tier: Annotated[int, Field(ge=1, le=5, strict=True)] | None = Field(
        None,
        description="Only customers of this tier of `recs.customer_values` or a higher one, 5 being the highest; who has none gets nothing; "
        "null: everybody.",
    )
    max_recipients: Count | None = Field(
        None,
        description="At most so many recipients: those who are expected to spend most in the next 364 days (`recs.customer_values`), of equal "
        "ones the smallest id. The same for all segments; null: everybody.",
    )


class ItemRules(_Model):
    """What may stand in a slot, beyond availability."""

    min_stock: Annotated[float, Field(ge=0, strict=True)] | None = Field(
        1, description="Units in stock at the newest count, at least; a product that is never counted passes."
    )
    complete: tuple[Part, ...] = Field(
        ("name", "url", "price"), description="What a product must have; what no product has is not asked."
    )
    sensitive: bool = Field(
        True,
        description="Sensitive goods are kept out, and not spoken of, as their file says (docs/sensitive.md).",
    )
    bought_within_days: Count | None = Field(
        1,
        description="Neither the product nor a variant of its parent was bought in so many days before the "
        "week; 1 is the day before. What is due again within `due_within_days` passes.",
    )
    due_within_days: Count | None = Field(
        28,
        description="What the customer bought before and is expected to buy again (`repeats/cadence.py`; no durables) within so many "
        "days: it passes `bought_within_days` and is no stale repeat for `max_repeat`; null: nothing is. The same for all segments.",
    )
    not_in_cart: bool = Field(
        True, description="Neither the product nor a variant of its parent lies in the customer's cart."
    )
    not_rejected: bool = Field(
        True,
        description="The customer neither returned the product nor rated it 2 or lower. Of the product alone: "
        "who sent size S back may want size M.",
    )
    dismissed_within_days: Count | None = Field(
        56,
        description="The customer dismissed neither the product nor a variant of its parent in so many days before the week; "
        "null: what they dismissed is offered again.",
    )
    only_due: bool = Field(
        False,
        description="Of what the customer bought before, variants included, only what is due again (no durables).",
    )
    sent_within_sends: Count | None = Field(
        None, description="Neither the product nor a variant stood in the customer's last so many sends."
    )
    one_per_parent: bool = Field(True, description="One variant per parent product in an email.")
    one_per_title: bool = Field(
        True, description="One product per title in an email; case and blanks do not tell titles apart."
    )
    max_per_category: Count | None = Field(
        4,
        description="Slots per category; products without one are not counted. Raised, with a word, where the "
        "shop has too few categories to fill the slots.",
    )
    max_per_brand: Count | None = Field(None, description="Slots per brand; otherwise as `max_per_category`.")
    max_per_merchant: Count | None = Field(
        None, description="Slots per merchant of a marketplace; otherwise as `max_per_category`."
    )
    min_price: Annotated[float, Field(ge=0, strict=True)] | None = Field(
        None, description="List price in the shop's currency, at least; an unknown price does not pass."
    )
    min_margin: Annotated[float, Field(lt=1, strict=True)] | None = Field(
        None,
        description="Margin as a share of the price, (price - cost) / price, at least; an unknown cost does not pass.",
    )
    excluded_categories: Names = Field(
        (), description="Categories never offered; case and blanks do not matter."
    )
    excluded_brands: Names = Field((), description="Brands never offered; case and blanks do not matter.")
    excluded_products: Names = Field((), description="Product ids never offered.")


class Pin(_Model):
    """A promoted product and its slot; it takes the slot where it passes every rule for the customer."""

    product: Name = Field(description="Product id.")
    slot: Count = Field(description="Its slot, from 1.")


class Goal(_Model):
    """What a list is to bring: a weight for each; a file may also name one of them."""

    purchase: Weight = Field(0.0, description="Purchases, whatever they bring.")
    revenue: Weight = Field(0.0, description="The list price of what is bought.")
    margin: Weight = Field(0.0, description="The list price less the cost of what is bought.")

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        if data not in cls.model_fields:
            raise ValueError(f"there is no goal {data}; the goals are {', '.join(cls.model_fields)}")
        return {data: 1.0}

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if not self.weights:
            raise ValueError("no goal has a weight above 0; give one a weight, as in {purchase: 1}")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Goal -> its weight, those above 0."""
        return {name: weight for name, weight in dict(self).items() if weight > 0}

    @property
    def is_purchases(self) -> bool:
        """Whether nothing but purchases counts, with whatever weight."""
        return set(self.weights) == {"purchase"}


PURCHASES = Goal(purchase=1)


class _Group(_Model):
    """Some of the products: exactly one of the keys is given."""

    category: Name | None = Field(None, description="Category; case and blanks do not matter.")
    brand: Name | None = Field(None, description="Brand; case and blanks do not matter.")
    merchant: Name | None = Field(None, description="Merchant of a marketplace, by its id.")

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        if len(given := [name for name in GROUPS if getattr(self, name, None) is not None]) != 1:
            named = " and ".join(given) or "none"
            raise ValueError(
                f"it names {named}; name one of {', '.join(n for n in GROUPS if hasattr(self, n))}"
            )
        return self

    @property
    def group(self) -> tuple[str, str]:
        """Which key, and the name."""
        return next((name, own) for name in GROUPS if (own := getattr(self, name, None)) is not None)


class Boost(_Group):
    """Products whose score is multiplied by a factor, from one day to another."""

    product: Name | None = Field(None, description="Product id.")
    factor: Annotated[float, Field(ge=0.001, le=1000, strict=True)] = Field(
        description="From 0.001 to 1,000; above 1 it boosts, below 1 it buries."
    )
    starts: Day | None = Field(None, description="First day of sending that it holds for.")
    ends: Day | None = Field(None, description="Last day of sending that it holds for.")

    @model_validator(mode="after")
    def _check_days(self) -> Self:
        if self.starts is not None and self.ends is not None and self.starts > self.ends:
            raise ValueError(f"it ends on {self.ends}, before it starts on {self.starts}")
        return self

    def holds(self, day: date) -> bool:
        """On this day."""
        return (self.starts or day) <= day <= (self.ends or day)

    def meets(self, other: Boost) -> bool:
        """Whether some day is both's."""
        first, last = (
            max(self.starts or date.min, other.starts or date.min),
            min(self.ends or date.max, other.ends or date.max),
        )
        return first <= last


class Exposure(_Group):
    """A share of all places of a campaign for some of the products."""

    share: Annotated[float, Field(gt=0, le=1, strict=True)] = Field(
        description="Of the places of all lists together, at least."
    )


class Slots(_Model):
    """How the slots are filled."""

    k: Annotated[int, Field(ge=1, le=1000, strict=True)] = Field(
        12,
        description="Slots of an email; all are filled, or the customer gets none. Without the key, the "
        "query's TOP k.",
    )
    pinned: tuple[Pin, ...] = Field(
        (), description="Promoted products, as in `{product: p17, slot: 3}`, where they pass every rule."
    )
    goal: Goal = Field(
        PURCHASES,
        description="What the list is to bring: `purchase`, `revenue`, `margin`, or weights, as in "
        "`{purchase: 0.5, margin: 0.5}` ([Goals](#goals)).",
    )
    goal_strength: Annotated[float, Field(ge=0, le=4, strict=True)] = Field(
        1.0,
        description="Products are ordered by p_purchase (else score) * value ** this; 1: the largest expected value, 0: the value "
        "does not count.",
    )
    order_by: Literal["p_purchase", "score"] = Field(
        "p_purchase",
        description="What products compete by for the slots: their probability where it is known, or the score of the model that makes "
        "the lists, so that its first is the first here ([How slots are filled](#how-slots-are-filled)).",
    )
    boosts: tuple[Boost, ...] = Field(
        (),
        description="Factors on what products are ordered by, as in `{brand: Acme, factor: 1.5, starts: 2026-12-01, ends: "
        "2026-12-24}` ([Boosts](#boosts-and-burials)); one of `category`, `brand`, `product`, `merchant`.",
    )
    exposure: tuple[Exposure, ...] = Field(
        (),
        description="Of all places of the campaign at least a share for the products of a `category`, `brand` or `merchant`, as in "
        "`{merchant: m1, share: 0.1}` ([Exposure](#exposure)). The same for all segments.",
    )
    mmr_lambda: Share = Field(
        0.9,
        description="1: the products of the largest sum of probabilities; below, products are exchanged for others unlike "
        "the rest of the list where that is worth it; 0: as unlike as possible.",
    )
    discovery_share: Share = Field(
        0.2,
        description="Share of the slots for categories the customer never bought from, or content clusters where the "
        "shop has no categories; rounded to the nearest, halves up.",
    )
    discovery_floor: Share = Field(
        0.25,
        description="The least p_purchase of such a product, as a share of that of the product whose slot it takes; "
        "below it, nothing is exchanged.",
    )
    exploration_share: Share = Field(
        0.05,
        description="Share of the slots that are drawn by lot: of a customer's list the last discovery slot, with the probability "
        "share * k, among products of new categories that pass `discovery_floor` (docs/exploration.md). At most one slot of a list "
        "is drawn, so more than 1 / k does no more; 0: nothing is.",
    )
    max_repeat: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        4,
        description="Slots that may repeat a product of the last `repeat_sends` sends, or a variant, without "
        "new evidence: a view, a price drop, a purchase since, or that it is due again within `due_within_days`. Raised, with a "
        "word, where the shop has too few products.",
    )
    repeat_sends: Count = Field(4, description="How many previous sends `max_repeat` looks at.")
    ladder: tuple[Level, ...] = Field(
        ("segment", "category", "global"),
        description="Whose most popular products fill what is left, in this order; empty: nothing is filled.",
    )

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        at = [pin.slot for pin in self.pinned]
        if len(set(at)) < len(at) or len({fold(pin.product) for pin in self.pinned}) < len(at):
            raise ValueError("pinned: a slot or a product is named twice")
        if at and max(at) > self.k:
            raise ValueError(f"pinned: slot {max(at)} is beyond k = {self.k}")
        if len(set(self.ladder)) < len(self.ladder):
            raise ValueError("ladder: a level is named twice")
        return self

    @property
    def draw_rate(self) -> float:
        """How often the last discovery slot of a list is drawn."""
        return min(1.0, self.exploration_share * self.k)

    @property
    def discovery_slots(self) -> int:
        """Slots for discovery: floor(share * k + 1/2); 20 % of 12 are 2, of 5 are 1, of 2 none."""
        # A share such as 0.7 is a little below itself in binary: 0.7 * 5 must still round up to 4.
        return floor(self.discovery_share * self.k + 0.5 + 1e-9)


def _keep_current(slots: Slots, day: date) -> Slots:
    """Without the boosts of other days."""
    current = tuple(boost for boost in slots.boosts if boost.holds(day))
    return slots if current == slots.boosts else slots.model_copy(update={"boosts": current})


class SegmentRules(_Model):
    """What differs in one segment: only the keys that are given."""

    eligibility: Eligibility = Eligibility()
    items: ItemRules = ItemRules()
    slots: Slots = Slots()


class Rules(_Model):
    """All rules of one campaign."""

    eligibility: Eligibility = Eligibility()
    items: ItemRules = ItemRules()
    slots: Slots = Slots()
    segments: dict[str, SegmentRules] = Field({}, description="Customer segment -> what differs in it.")
    segment_by: SegmentBy = Field(
        "shop",
        description="Whose segments: the shop's own, those by recency, frequency and money, or tiers of value.",
    )

    @property
    def ask_due_soon(self) -> bool:
        """Whether some rule looks at what is due again within `due_within_days`."""
        parts = [self, *map(self.of_segment, self.segments)]
        return any(
            part.items.bought_within_days is not None or part.slots.max_repeat is not None for part in parts
        )

    @model_validator(mode="after")
    def _segments_fit(self) -> Self:
        names: dict[str, str] = {}
        for name in self.segments:
            if (other := names.setdefault(fold(name), name)) != name:
                raise ValueError(f"segments.{name}: the name is that of {other} but for case and blanks")
        for name, part in self.segments.items():
            if "k" in part.slots.model_fields_set and part.slots.k != self.slots.k:
                raise ValueError(f"segments.{name}.slots.k: the number of slots is the same for everybody")
            for given, key, group in (
                (part.eligibility, "max_recipients", "eligibility"),
                (part.items, "due_within_days", "rules"),
                (part.slots, "exposure", "slots"),
            ):
                if key in given.model_fields_set:
                    raise ValueError(
                        f"segments.{name}: {key} is the same for everybody; say it once, under {group}"
                    )
            try:
                self.of_segment(name)
            except ValidationError as error:
                raise ValueError(f"segments.{name}: {error.errors()[0]['msg']}") from error
        return self

    def on(self, day: date) -> Rules:
        """The rules of an email that leaves on this day."""
        parts = {
            name: part.model_copy(update={"slots": _keep_current(part.slots, day)})
            for name, part in self.segments.items()
        }
        return self.model_copy(update={"slots": _keep_current(self.slots, day), "segments": parts})

    def of_segment(self, segment: str) -> Rules:
        """The rules of one segment (of all customers where it has none of its own); no `segments`."""
        part = self.segments.get(segment, SegmentRules())

        def merge(name: str) -> BaseModel:
            base, own = getattr(self, name), getattr(part, name)
            given = {key: getattr(part, key) for part in (base, own) for key in part.model_fields_set}
            return type(base).model_validate(given)

        return Rules(eligibility=merge("eligibility"), items=merge("items"), slots=merge("slots"))


def write_value(value: object) -> str:
    """A value as a campaign file has it.

    >>> write_value(None), write_value(True), write_value(0.9), write_value(("name", "url"))
    ('null', 'true', '0.9', '[name, url]')
    """
    if isinstance(value, Pin | _Group):
        given = {name: own for name, own in dict(value).items() if own is not None}
        return f"{{{', '.join(f'{name}: {write_value(own)}' for name, own in given.items())}}}"
    if isinstance(value, Goal):
        weights = value.weights
        return (
            next(iter(weights))
            if len(weights) == 1
            else f"{{{', '.join(f'{name}: {weight:g}' for name, weight in weights.items())}}}"
        )
    if isinstance(value, tuple):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
