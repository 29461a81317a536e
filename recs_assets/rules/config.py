"""The rules of a campaign as typed, immutable models; an unknown key is refused.

Consent, availability and uniqueness have no key here: no file can switch them off. Every other rule
does nothing at None, False, 0 or an empty list, and where the shop lacks what it looks at.
"""

from __future__ import annotations

from math import floor
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Level = Literal["segment", "category", "global"]
Part = Literal["name", "url", "price", "image_url"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Names = tuple[Annotated[str, Field(min_length=1)], ...]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Eligibility(_Model):
    """Who may be written to, beyond consent."""

    max_sends: Count | None = Field(None, description="At most so many sends of any campaign ...")
    within_days: Count = Field(7, description="... in so many days, the coming one included.")


class ItemRules(_Model):
    """What may stand in a slot, beyond availability."""

    min_stock: Annotated[float, Field(ge=0)] | None = Field(
        1, description="Units in stock; a product that is never counted passes."
    )
    complete: tuple[Part, ...] = Field(
        ("name", "url", "price"), description="What a product must have; what no product has is not asked."
    )
    sensitive: bool = Field(
        True,
        description="Sensitive goods are kept out, and not spoken of, as their file says (docs/sensitive.md).",
    )
    bought_within_days: Count | None = Field(2, description="Not bought in so many days before the anchor.")
    not_in_cart: bool = Field(True, description="Not in the customer's cart.")
    not_rejected: bool = Field(True, description="Not returned, nor rated 2 or lower, by the customer.")
    only_due: bool = Field(
        False, description="Of what she bought before, only what is due again (no durables)."
    )
    sent_within_sends: Count | None = Field(None, description="Not in her last so many sends at all.")
    one_per_parent: bool = Field(True, description="One variant per parent product.")
    max_per_category: Count | None = Field(4, description="Slots per category.")
    max_per_brand: Count | None = Field(None, description="Slots per brand.")
    min_price: Annotated[float, Field(ge=0)] | None = Field(None, description="List price, shop's currency.")
    min_margin: Annotated[float, Field(lt=1)] | None = Field(
        None, description="Margin as a share of the price: (price - cost) / price."
    )
    excluded_categories: Names = Field((), description="Never offered.")
    excluded_brands: Names = Field((), description="Never offered.")
    excluded_products: Names = Field((), description="Never offered (product ids).")


class Pin(_Model):
    """A promoted product and its slot; it takes the slot where it passes every rule for the customer."""

    product: Annotated[str, Field(min_length=1)] = Field(description="Product id.")
    slot: Count


class Slots(_Model):
    """How the slots are filled."""

    k: Annotated[int, Field(ge=1, le=1000)] = Field(12, description="Slots; all are filled or none.")
    pinned: tuple[Pin, ...] = ()
    margin_strength: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Order by value * margin ** strength."
    )
    mmr_lambda: Share = Field(0.9, description="1: by score alone; 0: as unlike what is chosen as possible.")
    discovery_share: Share = Field(0.2, description="Of the slots, rounded to the nearest, halves up.")
    discovery_categories: Count = Field(8, description="New categories nearest her taste that count.")
    max_repeat: Annotated[int, Field(ge=0)] | None = Field(
        4, description="Slots that may repeat a product of the previous sends without new evidence."
    )
    repeat_sends: Count = Field(4, description="How many previous sends that looks at.")
    ladder: tuple[Level, ...] = Field(
        ("segment", "category", "global"), description="Where missing products come from, in this order."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        at = [pin.slot for pin in self.pinned]
        if len(set(at)) < len(at) or len({pin.product for pin in self.pinned}) < len(at):
            raise ValueError("pinned: a slot or a product is named twice")
        if at and max(at) > self.k:
            raise ValueError(f"pinned: slot {max(at)} is beyond k = {self.k}")
        if len(set(self.ladder)) < len(self.ladder):
            raise ValueError("ladder: a level is named twice")
        return self

    @property
    def discovery_slots(self) -> int:
        """Slots for discovery: floor(share * k + 1/2); 20 % of 12 are 2, of 5 are 1, of 2 none."""
        # A share such as 0.7 is a little below itself in binary: 0.7 * 5 must still round up to 4.
        return floor(self.discovery_share * self.k + 0.5 + 1e-9)


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

    @model_validator(mode="after")
    def _segments_fit(self) -> Self:
        for name, part in self.segments.items():
            if "k" in part.slots.model_fields_set and part.slots.k != self.slots.k:
                raise ValueError(f"segments.{name}.slots.k: the number of slots is the same for everybody")
            try:
                self.of_segment(name)
            except ValidationError as error:
                raise ValueError(f"segments.{name}: {error.errors()[0]['msg']}") from error
        return self

    def of_segment(self, segment: str) -> Rules:
        """The rules of one segment (of all customers where it has none of its own); no `segments`."""
        part = self.segments.get(segment, SegmentRules())

        def merged(name: str) -> BaseModel:
            base, own = getattr(self, name), getattr(part, name)
            given = {key: getattr(own, key) for key in own.model_fields_set}
            return type(base).model_validate({**dict(base), **given})

        return Rules(eligibility=merged("eligibility"), items=merged("items"), slots=merged("slots"))
