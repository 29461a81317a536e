"""Match the profiles of a week, and keep what staging and the published tables need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.contracts import model_columns
from recs_assets.identity.match import Matched, load_profiles, mark_parted, match_profiles
from recs_assets.known.published import load_published_columns

if TYPE_CHECKING:
    from recs_assets.week.night import Night
    from recs_assets.week.week import Week


def match_people(week: Week) -> Matched:
    """Write `model.customer_identities` and `model.customer_matches` from the week's raw customers.

    Raises:
        WarehouseError: the customers are not landed, or the build file cannot be written.
    """
    words = week.shop.source.words
    with week.build.read() as connection:
        profiles = load_profiles(connection, week.as_of, words.guest_ids)
    with week.warehouse.scratch() as connection:
        matched = match_profiles(connection, profiles, words.identity)
    matched = mark_parted(matched, load_earlier_pairs(week), set(profiles["profile_id"]))
    for table, rows in (("customer_identities", matched.identities), ("customer_matches", matched.pairs)):
        week.replace_table(table, rows, model_columns(table))
    return matched


def load_earlier_pairs(week: Week) -> pd.DataFrame:
    """Pairs of profiles that were one person in a published week: profile_id, other_profile_id (the larger) and parted_at, the
    first Monday on which they may be two.

    Whose the profiles are is known of the newest published week alone; of an old week that is run again it lies ahead. What was
    parted before is in the table of pairs, with the week.
    """
    parts = []
    with week.read_with_snapshot() as connection:
        there = load_published_columns(connection)
        if "parted_at" in there.get("customer_matches", ()):
            parts.append(
                "select profile_id, other_profile_id, parted_at from published.recs.customer_matches where parted_at <= $week"
            )
        if "customer_identities" in there and week.warehouse.newest_published() <= week.as_of:
            parts.append(
                "select one.profile_id, other.profile_id, $week from published.recs.customer_identities as one "
                "join published.recs.customer_identities as other "
                "on one.customer_id = other.customer_id and one.profile_id < other.profile_id"
            )
        if not parts:
            return pd.DataFrame(columns=["profile_id", "other_profile_id", "parted_at"])
        return connection.execute(
            f"select profile_id, other_profile_id, min(parted_at)::date as parted_at from ({' union all '.join(parts)}) "
            "group by all order by all",
            {"week": week.as_of},
        ).df()


def keep_people(night: Night) -> None:
    """Take over whose the profiles are from the week whose models a night uses: a person stays one until the next week.

    Raises:
        WarehouseError: the week's build file lacks a table.
    """
    for table in ("customer_identities", "customer_matches"):
        night.replace_table(table, night.model_week.table(table), model_columns(table))
