"""A week's build file in miniature, with the tables that the monitor reads, and the limits that are shipped."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pandas as pd

from recs_assets.config import read_yaml
from recs_assets.monitoring.limits import Limits
from recs_assets.shop import SHIPPED
from recs_assets.store.people import show_by_person

LIMITS = read_yaml(SHIPPED["monitor"], Limits, "The monitor's limits")
WEEK = date(2025, 6, 30)

SCHEMA = """
create schema raw; create schema marts; create schema features; create schema model; create schema intermediate;
create schema base; create table base.base_customer_identities (profile_id varchar, customer_id varchar);
create table marts.customers (customer_id varchar, joined_at timestamp, first_order_at timestamp, segment varchar);
create table marts.order_lines (customer_id varchar, product_id varchar, ordered_at timestamp, learned_from boolean);
create table features.product_features (as_of date, product_id varchar, buyers bigint, purchases bigint, available boolean);
create table features.customer_features (as_of date, customer_id varchar, order_count bigint);
create table model.recommendations (customer_id varchar, rank integer, product_id varchar, score double, p_purchase double);
create table model.email_selection (campaign varchar, customer_id varchar, slot integer, product_id varchar, slot_type varchar,
    score double, p_purchase double);
create table model.campaign_outcomes (campaign varchar, outcome varchar, customers bigint);
create table model.forecasts (campaign varchar, forecast_as_of date, forecast_purchases double, actual_purchases bigint);
create table model.metrics (anchor date, view varchar, segment varchar, recommender varchar, metric varchar, k integer,
    value double, ci_low double, ci_high double, customers bigint);
create table intermediate.int_campaign_events_attributed (event_id varchar, campaign varchar, customer_id varchar,
    product_id varchar, event_type varchar, occurred_at timestamp, recommendation_id varchar, placement varchar);
"""
PUBLISHED = """
attach ':memory:' as snapshot; create schema snapshot.recs;
create table snapshot.recs.customer_recommendations (as_of date, customer_id varchar, rank integer, product_id varchar,
    p_purchase double, recommendation_id varchar);
create table snapshot.recs.email_recommendations (as_of date, campaign varchar, customer_id varchar, slot integer,
    product_id varchar, slot_type varchar, p_purchase double, recommendation_id varchar);
create table snapshot.recs.monitor (as_of date, area varchar, metric varchar, subject varchar, value double, counted bigint);
create table snapshot.recs.monitor_distributions (as_of date, subject varchar, bin varchar, lower_edge double, rows bigint);
"""


def make_build(published: bool = True) -> duckdb.DuckDBPyConnection:
    """An in-memory build file without rows, with an empty snapshot attached unless told otherwise."""
    connection = duckdb.connect(":memory:")
    connection.execute(SCHEMA + (PUBLISHED if published else ""))
    if published:
        show_by_person(connection)
    return connection


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Rows into a table, with as many columns as it has."""
    marks = ", ".join("?" * len(rows[0]))
    connection.executemany(f"insert into {table} values ({marks})", rows)


def make_history(*rows: tuple[str, str, str, float, int | None]) -> pd.DataFrame:
    """Earlier rows: as_of, metric, subject, value, counted."""
    table = pd.DataFrame(rows, columns=["as_of", "metric", "subject", "value", "counted"])
    return table.assign(as_of=pd.to_datetime(table["as_of"]).dt.date)
