"""What campaigns read of build file and snapshot."""

from __future__ import annotations

import pandas as pd

from helpers.warehouse import FIRST, NOW, SECOND, THIRD, build, create_identities, load_beside_snapshot
from recs_assets.campaigns.load import load_past_forecasts
from recs_assets.store.warehouse import Warehouse


def test_past_forecasts_compare_published_emails_with_purchases(house: Warehouse) -> None:
    """Week one's window of 14 days is over in week three; week two's is not."""
    for week in (FIRST, SECOND):
        build(house, week, [("c1", 1, "p1"), ("c1", 2, "p2"), ("c2", 1, "p2"), ("erased", 1, "p1")])
        with house.build(week).write() as connection:
            connection.execute("alter table recs.email_recommendations add column p_purchase double")
            connection.execute("alter table recs.email_recommendations add column price double")
            connection.execute("alter table recs.email_recommendations add column campaign varchar")
            connection.execute("alter table recs.email_recommendations add column window_days integer")
            connection.execute(
                "update recs.email_recommendations set p_purchase = 0.25 * slot, price = 10 * slot, "
                "campaign = 'mail', window_days = 14"
            )
        house.publish(week, f"run-{week}", NOW, "test")
    with house.build(THIRD).write() as connection:
        create_identities(connection)
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.order_lines (customer_id varchar, product_id varchar, ordered_at timestamp, "
            "fully_returned_at timestamp)"
        )
        connection.execute("create table marts.customers as select unnest(['c1', 'c2']) as customer_id")
        connection.execute(
            "insert into marts.order_lines values ('c1', 'p2', '2024-03-04 00:00:00', null), "
            "('c1', 'p2', '2024-03-05', null), ('c2', 'p2', '2024-03-18 00:00:00', null), "
            "('c2', 'p1', '2024-03-05', null), ('c1', 'p1', '2024-03-05', '2024-03-10')"
        )
    forecasts = load_beside_snapshot(load_past_forecasts, house, THIRD)
    assert forecasts.to_dict("records") == [
        {
            "campaign": "mail", "forecast_as_of": pd.Timestamp(FIRST), "window_end": pd.Timestamp(THIRD),
            "customers": 2, "rows": 3,
            "forecast_purchases": 1.0, "actual_purchases": 1, "forecast_revenue": 12.5 + 2.5,
            "actual_revenue": 20.0,
        }
    ]  # fmt: skip


def test_a_product_that_two_profiles_of_a_person_were_promised_counts_once(house: Warehouse) -> None:
    build(house, FIRST, [("c1", 1, "p1"), ("c2", 1, "p1"), ("c2", 2, "p2")])
    with house.build(FIRST).write() as connection:
        connection.execute(
            "create or replace table recs.email_recommendations as select *, 'mail' as campaign, 7 as window_days, "
            "if(customer_id = 'c1', 0.25, 0.5)::double as p_purchase, 10::double as price from recs.email_recommendations"
        )
    house.publish(FIRST, "run-1", NOW, "test")
    with house.build(THIRD).write() as connection:
        create_identities(connection)
        connection.execute(
            "insert into base.base_customer_identities values ('c1', 'c1'), ('c2', 'c1'); create schema marts; "
            "create table marts.customers as select 'c1' as customer_id; create table marts.order_lines as "
            "select 'c1' as customer_id, 'p1' as product_id, timestamp '2024-03-05' as ordered_at, null::timestamp as fully_returned_at"
        )
    [row] = load_beside_snapshot(load_past_forecasts, house, THIRD).to_dict("records")
    assert [row[name] for name in ("customers", "rows", "forecast_purchases", "actual_purchases")] == [
        1,
        2,
        1.0,
        1,
    ]
    assert (row["forecast_revenue"], row["actual_revenue"]) == (10.0, 10.0)


def test_without_a_snapshot_there_is_no_past_forecast(house: Warehouse) -> None:
    with house.build(FIRST).write() as connection:
        create_identities(connection)
        connection.execute("create schema marts")
        connection.execute("create table marts.customers (customer_id varchar)")
        connection.execute(
            "create table marts.order_lines (customer_id varchar, product_id varchar, ordered_at timestamp, "
            "fully_returned_at timestamp)"
        )
    assert len(load_beside_snapshot(load_past_forecasts, house, FIRST)) == 0
