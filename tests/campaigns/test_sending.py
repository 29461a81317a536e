"""When a campaign goes out, and what is sold then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recs_assets.campaigns.email import Email
from recs_assets.campaigns.file import FOLDER, load
from recs_assets.campaigns.sending import LateError, check_send_time, count_days_between_sends


def test_days_between_sends():
    shop = SimpleNamespace(timezone="UTC")
    found = {
        name: count_days_between_sends(load(FOLDER / f"{name}.yaml"), shop, date(2025, 6, 2))
        for name in ("weekly_email", "try_something_new", "win_back")
    }
    assert found == {"weekly_email": 7, "try_something_new": 7, "win_back": 31}  # 1 July to 1 August


def test_a_campaign_whose_window_is_over_when_it_goes_out_is_refused():
    """win_back goes out on the 1st at 06:00 and looks 28 days ahead: of 2 June, that is until 30 June."""
    campaign, shop = load(FOLDER / "win_back.yaml"), SimpleNamespace(timezone="UTC")
    assert check_send_time(campaign, shop, date(2025, 6, 9)) == datetime(2025, 7, 1, 6, tzinfo=UTC)
    with pytest.raises(LateError) as error:
        check_send_time(campaign, shop, date(2025, 6, 2))
    assert str(error.value).startswith(
        "The campaign win_back of the week 2025-06-02 would go out on 2025-07-01 at 06:00 (UTC), when the 28 days "
        "that its query looks ahead are over: make it of a later week, or change schedule.cron or the window"
    )
    # A later tick of the schedule, with no newer week to be made of: over at the end of the window, not before.
    last = datetime(2025, 7, 6, 23, 59, tzinfo=UTC)
    assert check_send_time(campaign, shop, date(2025, 6, 9), now=last) == last
    with pytest.raises(LateError, match="2025-07-07 at 00:00"):
        check_send_time(campaign, shop, date(2025, 6, 9), now=datetime(2025, 7, 7, tzinfo=UTC))
    # The window ends at midnight of the shop's own clock.
    with pytest.raises(LateError):
        check_send_time(
            campaign,
            SimpleNamespace(timezone="Asia/Tokyo"),
            date(2025, 6, 9),
            now=datetime(2025, 7, 6, 15, tzinfo=UTC),
        )


def test_what_is_no_longer_sold_when_the_email_goes_out_is_not_admitted():
    """Sent on Thursday at 06:00: so long after the week, and so long after the anchor that its rules are tried at."""
    week, test = date(2025, 6, 2), date(2025, 5, 5)
    ends = {
        "over": "2025-06-05 05:59",
        "over at the send": "2025-06-05 06:00",
        "on for a minute": "2025-06-05 06:01",
        "over in May": "2025-05-08 06:00",
        "no end": None,
        "filtered out": None,
    }
    ids = list(ends)
    email = SimpleNamespace(
        delay=timedelta(days=3, hours=6),
        products=pd.DataFrame({"sale_end": pd.to_datetime(pd.Series(ends))}),
        # A product of the future is not known at the earlier anchor.
        week=SimpleNamespace(
            known=lambda anchor: SimpleNamespace(
                products=pd.DataFrame({"product_id": ids if anchor == week else ids[:0:-1]})
            )
        ),
        task=SimpleNamespace(
            admit_products=lambda anchor: np.array(
                [name != "filtered out" for name in (ids if anchor == week else ids[:0:-1])]
            )
        ),
    )
    admitted = Email._admit_products(email, week)
    assert dict(zip(ids, admitted.tolist(), strict=True)) == {
        "over": False,
        "over at the send": False,
        "on for a minute": True,
        "over in May": False,
        "no end": True,
        "filtered out": False,
    }
    admitted = Email._admit_products(email, test)
    assert dict(zip(ids[:0:-1], admitted.tolist(), strict=True)) == {
        "filtered out": False,
        "no end": True,
        "over in May": False,
        "on for a minute": True,
        "over at the send": True,
    }
