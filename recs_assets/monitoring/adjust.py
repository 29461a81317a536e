"""Which setting of a campaign to turn where people are proven to tire, and by how much; and what was turned before.

A step a week, within the bounds of the campaign's file. A week's row of `recs.monitor` says what holds from the next week on, so
a week that is made again finds what it found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from recs_assets.monitoring.figures import Figure
from recs_assets.monitoring.judge import Z95
from recs_assets.monitoring.limits import Limits

MAX_REPEAT, DISCOVERY_SHARE = "max_repeat", "discovery_share"


@dataclass(frozen=True)
class Setting:
    """A setting of a campaign in one week.

    Attributes:
        campaign: its name.
        name: max_repeat or discovery_share.
        given: what the campaign's file says.
        value: what is in force.
        least, most: bounds between which it turns by itself; None where it does not.
        since: first week of a value that is not the file's.
        k: slots of the campaign.
    """

    campaign: str
    name: str
    given: float
    value: float
    least: float | None
    most: float | None
    since: date | None
    k: int

    @property
    def turns(self) -> bool:
        return self.least is not None

    def explain(self) -> str:
        """What is in force instead of what the file says; empty where that is the file's."""
        if self.value == self.given:
            return ""
        if self.since is None:
            return f"{self.name} is {self.value:g} instead of {self.given:g}: adjust allows {self.least:g} to {self.most:g}."
        return f"{self.name} is {self.value:g} instead of {self.given:g} since {self.since} (recs.monitor says why)."


def find_setting(
    campaign: str, name: str, given: float, bounds: tuple[float, float] | None, k: int, history: pd.DataFrame
) -> Setting:
    """A setting as it is in force.

    Args:
        campaign: its name.
        name: of the setting.
        given: what the file says.
        bounds: within which it turns; None where it does not.
        k: slots of the campaign.
        history: rows of earlier weeks: as_of, metric, subject, value.
    """
    if bounds is None:
        return Setting(campaign, name, given, given, None, None, None, k)
    least, most = bounds
    turned = history[((history["metric"] == name) & (history["subject"] == campaign)).to_numpy()]
    turned = turned.sort_values("as_of", ascending=False)
    value = min(most, max(least, float(turned["value"].iloc[0]) if len(turned) else given))
    since = None
    for as_of, earlier in zip(turned["as_of"], turned["value"], strict=True):
        if min(most, max(least, float(earlier))) != value:
            break
        since = pd.Timestamp(as_of).date() + timedelta(weeks=1)
    return Setting(campaign, name, given, value, least, most, since, k)


def propose(settings: Sequence[Setting], figures: Sequence[Figure], limits: Limits) -> list[Figure]:
    """What each setting should be from the next week on: of those that turn by themselves always, of others where it
    is proven that another value is better.

    Args:
        settings: of every campaign.
        figures: fatigue and discovery of the week, by campaign.
        limits: of the monitor.
    """
    measured = {(figure.metric, figure.subject): figure for figure in figures}
    tired = {s.campaign for s in settings if _is_below(measured.get(("fatigue", s.campaign)), limits, 1.0)}
    by_name = {(setting.campaign, setting.name): setting for setting in settings}
    proposed = []
    for setting in settings:
        if setting.name == MAX_REPEAT:
            value, why = _propose_repeats(setting, setting.campaign in tired, measured)
        else:
            repeats = by_name.get((setting.campaign, MAX_REPEAT))
            value, why = _propose_discovery(setting, repeats, setting.campaign in tired, measured, limits)
        if setting.turns:
            value = min(setting.most, max(setting.least, value))
            name = setting.campaign
            said = f"From the next week on it is {value:g}." if value != setting.value else "It stays so."
        elif value != setting.value:
            name = f"{setting.campaign}, proposed"
            said = f"Set slots.{setting.name} to {value:g}."
        else:
            continue
        figure = measured.get(("fatigue" if setting.name == MAX_REPEAT else "discovery", setting.campaign))
        count = None if figure is None else figure.count
        note = f"{why} {said}".strip()
        proposed.append(Figure(setting.name, name, value, count, reference=setting.value, weeks=1, note=note))
    return proposed


def _propose_repeats(
    setting: Setting, tired: bool, measured: Mapping[tuple[str, str], Figure]
) -> tuple[float, str]:
    fatigue = measured.get(("fatigue", setting.campaign))
    if tired:
        return max(0, setting.value - 1), "People tire of what they are shown again."
    if setting.value < setting.given and _is_above(fatigue, 1.0):
        return setting.value + 1, "People do not tire any more."
    return setting.value, ""


def _propose_discovery(
    setting: Setting,
    repeats: Setting | None,
    tired: bool,
    measured: Mapping[tuple[str, str], Figure],
    limits: Limits,
) -> tuple[float, str]:
    discovery = measured.get(("discovery", setting.campaign))
    slot = 1 / setting.k
    if _is_above(discovery, 1.0):
        return min(1.0, round(setting.value + slot, 4)), "Discovery is clicked more often than the rest."
    lowest = 0 if repeats is None or repeats.least is None else repeats.least
    if tired and (repeats is None or repeats.value <= lowest):
        return min(
            1.0, round(setting.value + slot, 4)
        ), "People tire, and nothing is left to take from max_repeat."
    if not tired and _is_below(discovery, limits, limits.metrics["discovery"].watch):
        return max(0.0, round(setting.value - slot, 4)), "Discovery is hardly clicked."
    return setting.value, ""


def _is_below(figure: Figure | None, limits: Limits, limit: float) -> bool:
    """Whether a figure is proven to lie below a limit, and rests upon enough."""
    if figure is None or figure.value is None or figure.error is None or math.isnan(figure.error):
        return False
    enough = (figure.count or 0) >= limits.metrics[figure.metric].min_count
    return enough and figure.value + Z95 * figure.error < limit


def _is_above(figure: Figure | None, limit: float) -> bool:
    if figure is None or figure.value is None or figure.error is None:
        return False
    return figure.value - Z95 * figure.error > limit
