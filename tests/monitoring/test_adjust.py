"""Which setting is turned, within which bounds, and that a week made again finds what it found."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from pydantic import ValidationError

from helpers.monitoring import LIMITS, WEEK
from recs_assets.campaigns.adjust import find_settings
from recs_assets.campaigns.file import Adjust, Campaign
from recs_assets.monitoring.adjust import find_setting, propose
from recs_assets.monitoring.figures import Figure
from recs_assets.monitoring.judge import judge

NONE = pd.DataFrame(columns=["as_of", "metric", "subject", "value", "counted"])
TIRED = Figure("fatigue", "mail", 0.8, 5_000, error=0.05, weeks=1)
MAYBE = Figure("fatigue", "mail", 0.95, 5_000, error=0.05, weeks=1)
AWAKE = Figure("fatigue", "mail", 1.2, 5_000, error=0.05, weeks=1)


def repeats(value: float, turns: bool = True):
    bounds = (1, 6) if turns else None
    rows = pd.DataFrame([("2025-06-23", "max_repeat", "mail", value, 9)], columns=list(NONE))
    return find_setting("mail", "max_repeat", 4, bounds, 12, rows)


def discovery(value: float):
    rows = pd.DataFrame([("2025-06-23", "discovery_share", "mail", value, 9)], columns=list(NONE))
    return find_setting("mail", "discovery_share", 0.2, (0.1, 0.3), 10, rows)


def values(settings, figures) -> dict[tuple[str, str], float | None]:
    return {(found.metric, found.subject): found.value for found in propose(settings, figures, LIMITS)}


def test_people_who_tire_get_fewer_repeats_a_step_a_week_within_the_bounds() -> None:
    assert values([repeats(4)], [TIRED]) == {("max_repeat", "mail"): 3}
    assert values([repeats(1)], [TIRED]) == {("max_repeat", "mail"): 1}
    assert values([repeats(4)], [MAYBE]) == {("max_repeat", "mail"): 4}
    assert values([repeats(2)], [AWAKE]) == {("max_repeat", "mail"): 3}
    assert values([repeats(4)], [AWAKE]) == {("max_repeat", "mail"): 4}  # no more than the file says
    few = Figure("fatigue", "mail", 0.8, 100, error=0.05, weeks=1)
    assert values([repeats(4)], [few]) == {("max_repeat", "mail"): 4}


def test_discovery_gains_a_slot_where_it_is_clicked_or_nothing_else_is_left() -> None:
    liked = Figure("discovery", "mail", 1.5, 5_000, error=0.1, weeks=1)
    ignored = Figure("discovery", "mail", 0.2, 5_000, error=0.05, weeks=1)
    assert values([discovery(0.2)], [liked]) == {("discovery_share", "mail"): 0.3}
    assert values([discovery(0.3)], [liked]) == {("discovery_share", "mail"): 0.3}
    assert values([discovery(0.2)], [ignored]) == {("discovery_share", "mail"): 0.1}
    assert values([repeats(1), discovery(0.2)], [TIRED]) == {
        ("max_repeat", "mail"): 1, ("discovery_share", "mail"): 0.3,
    }  # fmt: skip


def test_without_bounds_a_proven_change_is_proposed_and_nothing_else() -> None:
    [proposed] = propose([repeats(4, turns=False)], [TIRED], LIMITS)
    assert (proposed.subject, proposed.value, proposed.reference) == ("mail, proposed", 3, 4)
    assert propose([repeats(4, turns=False)], [MAYBE], LIMITS) == []
    row = judge([proposed], NONE, LIMITS, WEEK).iloc[1]
    assert (row["verdict"], row["sentence"]) == (
        "watch",
        "mail, proposed: slots.max_repeat is 3, against 4. People tire of what they are shown again. Set slots.max_repeat to 3.",
    )


def test_what_holds_is_said_with_the_week_since_when() -> None:
    rows = pd.DataFrame(
        [
            ("2025-06-23", "max_repeat", "mail", 3, 9),
            ("2025-06-16", "max_repeat", "mail", 3, 9),
            ("2025-06-09", "max_repeat", "mail", 4, 9),
            ("2025-06-23", "max_repeat", "other", 1, 9),
        ],
        columns=list(NONE),
    )
    setting = find_setting("mail", "max_repeat", 4, (1, 6), 12, rows)
    assert (setting.value, setting.since) == (3, date(2025, 6, 23))
    assert setting.explain() == "max_repeat is 3 instead of 4 since 2025-06-23 (recs.monitor says why)."
    assert find_setting("mail", "max_repeat", 4, None, 12, rows).explain() == ""


def campaign(**more: object) -> Campaign:
    return Campaign.model_validate(
        {
            "name": "mail", "description": "x", "owner": "team:crm", "schedule": {"cron": "0 6 * * 1"},
            "query": "PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 12 FOR EACH customers.customer_id",
        }
        | more
    )  # fmt: skip


def test_a_campaign_turns_only_what_its_file_bounds() -> None:
    rows = pd.DataFrame([("2025-06-23", "max_repeat", "mail", 2, 9)], columns=list(NONE))
    asks = {"max_repeat": {"least": 1, "most": 6}}
    assert [(s.name, s.value, s.turns) for s in find_settings(campaign(adjust=asks), rows)] == [
        ("max_repeat", 2, True), ("discovery_share", 0.2, False),
    ]  # fmt: skip
    assert [(s.value, s.turns) for s in find_settings(campaign(), rows)] == [(4, False), (0.2, False)]


def test_bounds_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="least 5 is above most 1"):
        Adjust.model_validate({"max_repeat": {"least": 5, "most": 1}})
    with pytest.raises(
        ValidationError, match=r"adjust\.max_repeat: it has no effect while slots\.max_repeat is null"
    ):
        campaign(adjust={"max_repeat": {"least": 1, "most": 2}}, slots={"max_repeat": None})
