"""The lists of the shop's pages at a day after the week: what happened since, ranked by the week's models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recs_assets.campaigns.due import DueList, make_due_list
from recs_assets.campaigns.storefront import BLEND, StorefrontLists, make_storefront_lists
from recs_assets.recommenders.first_list import FirstList
from recs_assets.training.ranker import list_week
from recs_assets.week.blocks import map_blocks
from recs_assets.week.fit import list_customers
from recs_assets.week.night import Night
from recs_assets.week.ranked import find_chosen_model, load_ranker
from recs_assets.week.week import SOURCES


@dataclass(frozen=True)
class NightLists:
    """What the shop's pages get at a day.

    Attributes:
        personal: every customer's list.
        due: what customers are due to buy again.
    """

    personal: StorefrontLists
    due: DueList


def make_night_lists(night: Night, say: Callable[[str], None]) -> NightLists:
    """List every customer with the week's recommenders and ranker, and apply the storefront's rules of the day."""
    _write_lists(night, say)
    return NightLists(make_storefront_lists(night, say), make_due_list(night, say))


def _write_lists(night: Night, say: Callable[[str], None]) -> None:
    """Write what the recommenders propose that the chosen model and the ranker draw on, and what the ranker makes of it."""
    chosen, ranker = find_chosen_model(night), load_ranker(night)
    names = () if chosen == "ranker" else BLEND.needed if chosen == "blend" else (chosen,)
    if ranker is not None:
        names = tuple(dict.fromkeys([*SOURCES, *names]))
    if night.shop.storefront.answers and len(night.known().preferences):
        names = tuple(dict.fromkeys([*names, FirstList.name]))
    day = night.as_of
    for name in names:
        night.write_lists(name, day, map_blocks(list_customers, night, name))
    say(
        f"{len(names)} recommenders of the week {night.model_week.as_of} listed {night.known().n_customers} customers."
    )
    if ranker is not None:
        list_week(night)
