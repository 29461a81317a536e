"""One placement is one YAML file: what a place of the shop's pages shows, how many of it, and under which rules.

docs/api.md explains the keys. The rules are those of campaigns (`rules.config`), as far as they look at products alone:
what looks at a customer was applied when their list was made (but for what they dismissed since), and the filters of every
answer have no key.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from recs_assets import yaml_file
from recs_assets.delivery import ArmName, ArmShare, check_shares
from recs_assets.rules.config import (
    PURCHASES,
    Boost,
    Exposure,
    Goal,
    ItemRules,
    Level,
    Pin,
    Rules,
    Share,
    Slots,
)
from recs_assets.rules.contradictions import IDLE, find_contradictions, refuse_idle_key
from recs_assets.rules.items import ORDER
from recs_assets.schema import RecsError

FOLDER = Path(__file__).with_name("placements")
MOST_PRODUCTS = 100
# Of the rules that look at a customer, those that an answer applies to what happened since.
NOW = ("dismissed_within_days",)
# In an answer no two products are variants of one another, or read the same, whatever a file says.
ALWAYS = ("one_per_parent", "one_per_title")


class PlacementError(yaml_file.FileError):
    """A placement's file cannot be used."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _list_product_keys() -> dict[str, Any]:
    """The keys of `ItemRules` behind rules and limits that look at products alone, and `NOW`."""
    keys = (key for rule in ORDER if rule.kind in ("product", "limit") for key in rule.keys)
    names = [*(key.removeprefix("rules.") for key in keys if key.startswith("rules.")), *NOW]
    fields = ItemRules.model_fields
    keep = {
        name: (fields[name].annotation, fields[name]) for name in dict.fromkeys(names) if name not in ALWAYS
    }
    # What is out of stock is in no answer, whatever a file says.
    least = Field(1, ge=1, description=fields["min_stock"].description)
    return {**keep, "min_stock": (float, least)}


ProductRules = create_model("ProductRules", __base__=_Model, **_list_product_keys())
Weight = Annotated[float, Field(ge=0, le=10)]


class Blend(_Model):
    """What each list counts in an answer (docs/api.md#how-lists-are-blended)."""

    personal: Weight = Field(0, description="The customer's own list.")
    together: Weight = Field(0, description="What is bought together with the products of the context.")
    similar: Weight = Field(0, description="What is similar to the products of the context.")

    @model_validator(mode="after")
    def _counts_something(self) -> Self:
        if not (self.personal or self.together or self.similar):
            raise ValueError("no list counts; give one a weight")
        return self


class Placement(_Model):
    """One placement as its file says."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        description="As requests name it; the file is called so, too."
    )
    description: Annotated[str, Field(min_length=1)] = Field(description="One sentence.")
    n: Annotated[int, Field(ge=1, le=MOST_PRODUCTS, strict=True)] = Field(
        12, description="Products of an answer where a request does not say."
    )
    blend: Blend
    session_context: bool = Field(
        False, description="The last products that were looked at or clicked count as context, too."
    )
    rules: ProductRules = Field(ProductRules(), description="What may stand in an answer.")
    pinned: tuple[Pin, ...] = Field((), description="Promoted products and their slots.")
    goal: Goal = Field(PURCHASES, description="What an answer is to bring (docs/rules.md#goals).")
    goal_strength: Annotated[float, Field(ge=0)] = Field(
        1.0, description="Products are ordered by their worth * value ** this."
    )
    boosts: tuple[Boost, ...] = Field(
        (), description="Factors on what products are ordered by (docs/rules.md#boosts-and-burials)."
    )
    exposure: tuple[Exposure, ...] = Field(
        (),
        description="At least a share of the places of all answers for some of the products (docs/rules.md#exposure).",
    )
    discovery_share: Share = Field(
        0.0, description="Share of the slots for categories that the customer never bought from."
    )
    discovery_floor: Share = Field(
        0.25,
        description="The least p_purchase of such a product, as a share of that of the product it replaces.",
    )
    ladder: tuple[Level, ...] = Field(
        ("segment", "category", "global"),
        description="Whose most popular products fill what is left, in this order.",
    )
    experiment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = Field(
        None, description="Name of the experiment that the arms belong to."
    )
    arms: dict[ArmName, ArmShare] = Field(
        {}, description="Arm -> share of the visitors; holdout is answered as if nothing were known of them."
    )

    @field_validator("arms")
    @classmethod
    def _check_arms(cls, value: dict[str, float]) -> dict[str, float]:
        if value:
            check_shares(value)
        return value

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if bool(self.arms) != (self.experiment is not None):
            raise ValueError("experiment: an experiment has a name and arms; give both, or neither")
        if at := [pin.slot for pin in self.pinned if pin.slot > self.n]:
            raise ValueError(f"pinned: slot {at[0]} is beyond n = {self.n}")
        if not self.ladder or self.ladder[-1] != "global":
            raise ValueError("ladder: the last level must be global, or an answer could be empty")
        for _, key, other, off in IDLE:
            if key in self.model_fields_set:
                refuse_idle_key(("", ""), key, other, getattr(self, other), off)
        rules = self.rule_set  # what the rules refuse together is refused here
        for found in find_contradictions(rules.items, rules.slots, _locate):
            raise found
        return self

    @property
    def dismissed_days(self) -> int:
        """Days for which a product that somebody dismissed is not offered to them; 0: it is."""
        return self.rules.dismissed_within_days or 0

    @property
    def rule_set(self) -> Rules:
        """The rules as those of campaigns."""
        items = ItemRules.model_validate({**dict(self.rules), **dict.fromkeys(ALWAYS, True)})
        slots = Slots(
            k=self.n,
            pinned=self.pinned,
            goal=self.goal,
            goal_strength=self.goal_strength,
            boosts=self.boosts,
            exposure=self.exposure,
            discovery_share=self.discovery_share,
            discovery_floor=self.discovery_floor,
            ladder=self.ladder,
            mmr_lambda=1.0,
            max_repeat=None,
        )
        return Rules(items=items, slots=slots)


def _locate(group: str, *keys: str | int) -> tuple[str, ...]:
    """A placement has the keys of slots beside its own."""
    place = tuple(map(str, keys))
    return place if group == "slots" else (group, *place)


def load(path: Path) -> Placement:
    """Read one placement.

    Raises:
        PlacementError: the first thing that is wrong, with its line.
    """
    data, lines = yaml_file.read(path, ("a placement", "docs/api.md"), PlacementError)
    return yaml_file.check(path, data, lines, Placement, PlacementError)


def load_folder(folder: Path = FOLDER) -> dict[str, Placement]:
    """Every placement of a folder by its name.

    Raises:
        RecsError: there is no such folder, or it holds no file.
        PlacementError: a file is wrong: a server must not start with half of its placements.
    """
    if not folder.is_dir():
        raise RecsError(f"There is no folder of placements at {folder}: create it, or name another.")
    placements, errors = yaml_file.read_each(folder, load, PlacementError)
    if errors:
        raise errors[0]
    if not placements:
        raise RecsError(f"{folder} holds no placement: copy one of {FOLDER} there.")
    return placements


def find_nearest(name: str, placements: dict[str, Placement]) -> str:
    """What to say of a placement that there is not."""
    near = difflib.get_close_matches(name, placements, n=1)
    return f"did you mean {near[0]}?" if near else f"the placements are {', '.join(placements)}."
