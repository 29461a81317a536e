"""The rules of lists that no campaign makes: those that the shop's own pages show."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from recs_assets.rules.config import ItemRules, Rules, Slots


class Storefront(BaseModel):
    """The file (`storefront.yaml`, or the shop's own)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: ItemRules = Field(ItemRules(), description="The keys of a campaign's `rules`.")
    answers: bool = Field(
        True,
        description="Lists of who answered what they like, and bought nothing yet, begin with it (docs/first_lists.md).",
    )

    def rule_set(self, k: int) -> Rules:
        """For lists of up to `k` products in the order of their scores: nothing is filled up, spread out
        or added."""
        slots = Slots(k=k, mmr_lambda=1.0, discovery_share=0.0, max_repeat=None, ladder=())
        return Rules(items=self.rules, slots=slots)
