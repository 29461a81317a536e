"""Match the profiles of a week, and keep what staging and the published tables need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recs_assets.contracts import model_columns
from recs_assets.identity.match import Matched, load_profiles, match_profiles

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
    for table, rows in (("customer_identities", matched.identities), ("customer_matches", matched.pairs)):
        week.replace_table(table, rows, model_columns(table))
    return matched


def keep_people(night: Night) -> None:
    """Take over whose the profiles are from the week whose models a night uses: a person stays one until the next week.

    Raises:
        WarehouseError: the week's build file lacks the table.
    """
    table = "customer_identities"
    night.replace_table(table, night.model_week.table(table), model_columns(table))
