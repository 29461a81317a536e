"""What the rules of a campaign look at, read from the build file of a week.

One query per frame, in the file of its name. What published weeks sent is the temporary view `sent_before`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.files import read_sql
from recs_assets.known.published import create_sent_before

if TYPE_CHECKING:
    import duckdb

FRAMES = ("products", "customers", "carts", "rejected", "dismissed", "sends", "contacts", "price_drops")


def load_facts(
    connection: duckdb.DuckDBPyConnection, anchor: date, campaign: str, names: Collection[str] | None = None
) -> dict[str, pd.DataFrame]:
    """What was known before `anchor`, but for consent: who withdrew by the week is not judged at an earlier anchor.

    Args:
        connection: to the build file of the week, with the snapshot attached (`Warehouse.attach_snapshot`).
        anchor: everything dated on it or later stays out.
        campaign: whose sends count for repeats.
        names: of the frames that are wanted; all if None.

    Returns:
        Arguments of `frames.assemble_context`.

        products: product_id, url, image_url, cost, parent_id, merchant_id, countries (of JSON attributes).
        customers: customer_id, consent_state, bounced (after the last sign of life),
            test_account (of the segment "test", or with a test's address), wholesale, no_address,
            unusable_address, address (a number that accounts with one usable address share; null without).
        carts: pairs put into the cart within 28 days and not bought since.
        rejected: pairs of which a unit came back (the correction of a till is no such thing), or whose
            latest rating is 2 or lower; none of customers who objected: nothing of theirs shapes a list.
        dismissed: pairs that the customer said they do not want to see, with the day of the latest time, before they signed in, too.
        sends: customer_id, product_id, day (Monday of the week of the send), from the shop's campaign_events and
            from published weeks. contacts: customer_id, day, of any campaign; once per campaign
            and week, though both may know of it. To its own holdout the campaign counts as sent, so that
            the arms stay alike; to other campaigns it does not.
        price_drops: product_id, day: Monday of a week whose highest list price was below 95 % of
            that of the week sold before (bulk orders and what is sold by weight aside), and the start of offers
            of kind "price".
    """
    create_sent_before(connection, anchor)
    frames = {}
    for name in FRAMES:
        if names is None or name in names:
            sql = read_sql(__file__, name)
            parameters = {"anchor": anchor, "campaign": campaign}
            frames[name] = connection.execute(
                sql, {key: value for key, value in parameters.items() if f"${key}" in sql}
            ).df()
    return frames
