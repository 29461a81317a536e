"""A campaign whose settings turn by themselves, within the bounds of its file (`monitoring.adjust`)."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from recs_assets.campaigns.file import Campaign
from recs_assets.monitoring.adjust import DISCOVERY_SHARE, MAX_REPEAT, Setting, find_setting
from recs_assets.monitoring.watch import load_history
from recs_assets.week.week import Week


def load_settings(campaigns: Iterable[Campaign], week: Week) -> list[Setting]:
    """What is in force in a week of every campaign that fills slots."""
    with week.read_with_snapshot() as connection:
        history = load_history(connection, week.as_of)
    listing = (campaign for campaign in campaigns if campaign.lists_products)
    return [setting for campaign in listing for setting in find_settings(campaign, history)]


def find_settings(campaign: Campaign, history: pd.DataFrame) -> list[Setting]:
    """The settings of a campaign that can be turned, as in force after earlier weeks."""
    slots, adjust, found = campaign.slots, campaign.adjust, []
    for name, given, bounds in (
        (MAX_REPEAT, slots.max_repeat, adjust.max_repeat),
        (DISCOVERY_SHARE, slots.discovery_share, adjust.discovery_share),
    ):
        if given is not None:
            within = None if bounds is None else (bounds.least, bounds.most)
            found.append(find_setting(campaign.name, name, given, within, slots.k, history))
    return found


def adjust(campaign: Campaign, week: Week) -> tuple[Campaign, list[str]]:
    """The campaign with what is in force in a week, and a sentence for everything that its file says otherwise."""
    if not campaign.lists_products or not campaign.adjust.model_fields_set:
        return campaign, []
    turned = [setting for setting in load_settings([campaign], week) if setting.value != setting.given]
    values = {s.name: int(s.value) if s.name == MAX_REPEAT else s.value for s in turned}
    slots = campaign.slots.model_copy(update=values)
    return campaign.model_copy(update={"slots": slots}), [setting.explain() for setting in turned]
