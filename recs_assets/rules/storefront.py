"""The rules of lists that no campaign makes: those that the shop's own pages show."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recs_assets.rules.config import ItemRules, Rules, Slots
from recs_assets.rules.contradictions import refuse_idle_due
from recs_assets.yaml_file import FileError


class StorefrontError(FileError):
    """The file of the storefront cannot be used."""


class Storefront(BaseModel):
    """The file (`storefront.yaml`, or the shop's own)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: ItemRules = Field(ItemRules(), description="The keys of a campaign's `rules`.")
    answers: bool = Field(
        True,
        description="Lists of who answered what they like, and bought nothing yet, begin with it (docs/first_lists.md).",
    )

    @model_validator(mode="after")
    def _refuse_idle_keys(self) -> Self:
        refuse_idle_due(self.rules, self.rule_set(1))
        if self.rules.sent_within_sends is not None:
            raise ValueError(
                "rules.sent_within_sends: it has no effect, because a page is not sent; remove the key"
            )
        return self

    def rule_set(self, k: int) -> Rules:
        """For lists of up to `k` products in the order of their scores: nothing is filled up, spread out
        or added."""
        slots = Slots(k=k, mmr_lambda=1.0, discovery_share=0.0, max_repeat=None, ladder=())
        return Rules(items=self.rules, slots=slots)
