"""When a campaign's emails go out, and whether that is in time."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from recs_assets.campaigns.file import Campaign
from recs_assets.delivery import find_send_time
from recs_assets.queries.syntax import Query
from recs_assets.repeats.hours import HOURS, OrderHours
from recs_assets.schema import RecsError
from recs_assets.shop import Shop
from recs_assets.training.plans import midnight, window_days


class LateError(RecsError):
    """An email would go out when the days that it is about are over."""


def check_send_time(
    campaign: Campaign, shop: Shop, week: date, query: Query | None = None, now: datetime | None = None
) -> datetime:
    """When a week's email goes out, in UTC.

    Args:
        campaign: whose schedule.
        shop: whose time zone.
        week: the anchor.
        query: the campaign's as it was answered; as its file has it where None.
        now: a later tick of the schedule; the first one of the week where None.

    Raises:
        LateError: the window of the query is over by then.
    """
    at = now or find_send_time(campaign, week, shop.timezone)
    days = math.ceil(window_days(query or campaign.target, week))
    if at.astimezone(ZoneInfo(shop.timezone)).replace(tzinfo=None) >= midnight(week) + timedelta(days=days):
        zone = ZoneInfo(campaign.schedule.timezone or shop.timezone)
        raise LateError(
            f"The campaign {campaign.name} of the week {week} would go out on {at.astimezone(zone):%Y-%m-%d at %H:%M} "
            f"({zone}), when the {days} days that its query looks ahead are over: make it of a later week, or change "
            "schedule.cron or the window in its file. Nothing of it is made or exported."
        )
    return at


def count_days_between_sends(campaign: Campaign, shop: Shop, anchor: date) -> int:
    """Days from the first send at or after the anchor to the next one."""
    first = find_send_time(campaign, anchor, shop.timezone)
    return max(
        1,
        round(
            (find_send_time(campaign, first.date() + timedelta(days=1), shop.timezone) - first)
            / timedelta(days=1)
        ),
    )


def find_best_times(rows: pd.DataFrame, hours: OrderHours | None, timezone: str) -> pd.Series:
    """When each recipient of a campaign mostly orders on the day on which it goes out, not before it does; the time of sending
    where something of their email is over by then. Null everywhere where no habit is proven.

    Args:
        rows: of the campaign: customer_id, send_at (one time), expires_at.
        hours: of the shop's customers; None: nothing is known of them.
        timezone: of the shop, IANA name.

    Returns:
        datetime64[us, UTC] by row.
    """
    nothing = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")
    if hours is None or rows.empty:
        return nothing
    send_at = rows["send_at"].iloc[0]
    local = send_at.astimezone(ZoneInfo(timezone))
    until = rows.groupby("customer_id")["expires_at"].min()
    found = hours.find_hours(until.index.to_series(), local.hour)
    if found is None:
        return nothing
    midnight_here = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    of_hour = pd.Series(
        [
            pd.Timestamp((midnight_here + timedelta(hours=hour)).replace(tzinfo=local.tzinfo)).tz_convert(
                "UTC"
            )
            for hour in range(HOURS)
        ]
    )
    best = of_hour.iloc[found].set_axis(until.index).clip(lower=send_at)
    best = best.where(best < until, send_at)
    return rows["customer_id"].map(best).astype("datetime64[us, UTC]")
