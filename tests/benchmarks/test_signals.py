"""Signals that were tried, on rows that a reader can count. The anchor is 2026-03-02."""

import duckdb
import numpy as np
import pytest

from benchmarks.signals import SIGNALS, load_signal

ROWS = """
create schema marts; create schema staging; create schema intermediate;
create table marts.products as select * from (values
    ('a', 'Fjord shirt S', 'fjord', 'shirts', 10.0, null, '{"size": "s"}'),
    ('b', 'Fjord shirt M', 'fjord', 'shirts', 10.0, 'a', '{"size": "m"}'),
    ('c', 'Elm hat', 'elm', 'hats', 20.0, null, null)
) as t (product_id, name, brand, category, price, parent_id, attributes);
create table marts.order_lines as select *, true as learned_from from (values
    ('ann', 'a', 'o1', timestamp '2025-03-03 08:00'),  -- 364 days, a Monday
    ('ann', 'a', 'o2', timestamp '2026-02-28 10:00'),  -- 2 days, a Saturday
    ('ann', 'c', 'o2', timestamp '2026-02-28 10:00'),
    ('bob', 'b', 'o3', timestamp '2026-02-01 12:00'),  -- 29 days, a Sunday
    ('bob', 'c', 'o4', timestamp '2026-03-02 00:00')   -- of the anchor: unknown
) as t (customer_id, product_id, order_id, ordered_at);
create table marts.customers as select * from (values ('ann', 'DE'), ('bob', 'AU')) as t (customer_id, country);
create table intermediate.int_returns_allocated_to_lines as select *, true as learned_from from (values
    ('ann', 'a', 1.0, timestamp '2026-03-01 09:00'), ('bob', 'b', 1.0, timestamp '2026-03-02 00:00')
) as t (customer_id, product_id, quantity, returned_at);
create table marts.interactions as select *, occurred_at as known_from from (values
    ('ann', 'c', 'view', timestamp '2026-02-20 09:00', 90.0), ('ann', 'c', 'view', timestamp '2026-02-10 09:00', 10.0),
    ('ann', 'c', 'view', timestamp '2026-03-02 00:00', 500.0), ('bob', 'c', 'view', timestamp '2026-01-10 09:00', 60.0)
) as t (customer_id, product_id, event_type, occurred_at, duration_seconds);
create table staging.stg_reviews as select * from (values
    ('a', 5.0, 'Good quality', null, timestamp '2026-02-25 09:00'), ('a', 1.0, 'Late', 'shipping', timestamp '2026-02-25 09:00'),
    ('c', 1.0, 'bad quality', null, timestamp '2026-03-02 00:00')
) as t (product_id, rating, title, body, reviewed_at);
"""
PAIRS = [("ann", "a"), ("ann", "b"), ("ann", "c"), ("bob", "a"), ("bob", "c")]
NONE = np.nan


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        connection.execute(ROWS)
        yield connection


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        # Of ann's 3 purchases 2 are fjord, of her 2 newest 1: (1 + 2/3) / 3 / (2/3).
        ("brand_trend", "of_91", [5 / 6, 5 / 6, 4 / 3, 1.0, NONE]),
        ("category_trend", "of_182", [5 / 6, 5 / 6, 4 / 3, 1.0, NONE]),
        # One of the 4 purchases is of the label window a year ago, a shirt: (1 + 5/4) / (3 + 5) / (1/4).
        ("category_season", "season", [9 / 8, 9 / 8, 5 / 6, 9 / 8, 5 / 6]),
        # In Germany 1 of 2 shirts is of then, and 9/32 of all; in Australia 0 of 1, and no hat at all.
        ("region_season", "season", [(1 + 5 * 9 / 32) / 7 * 4] * 2 + [5 * 5 / 24 / 6 * 4, 5 * 9 / 32 / 6 * 4, NONE]),
        ("weekday_hour", "weekend", [2.6 / 5] * 3 + [1.6 / 3] * 2),
        ("weekday_hour", "hour_apart", [abs(28 / 3 - 88 / 7), abs(28 / 3 - 82 / 6), abs(28 / 3 - 80 / 6), 4 / 7 - 0, 4 / 3]),
        ("variant", "share", [1.0, 0.0, NONE, 0.0, NONE]),
        ("facets", "shared", [3, 2, 2, 2, 0]),
        ("facets", "newest", [2, 2, 2, 29, NONE]),
        # One unit of 4 purchases came back.
        ("returns", "brand", [2.25 / 7, 2.25 / 7, 1.25 / 6, 1.25 / 6, 1.25 / 5]),
        ("returns", "brand_days", [1, 1, NONE, NONE, NONE]),
        ("category_path", "views", [NONE, NONE, 2, NONE, NONE]),
        ("category_path", "seconds_14", [NONE, NONE, 90, NONE, NONE]),
        # Stars 5 where quality is named, and three of the mean, 3.
        ("review_facets", "quality", [3.5, NONE, NONE, 3.5, NONE]),
        ("review_facets", "bad", [0.5, NONE, NONE, 0.5, NONE]),
    ],
)  # fmt: skip
def test_values(connection, name, column, expected):
    customers, products = (np.array(part, dtype=object) for part in zip(*PAIRS, strict=True))
    values = load_signal(connection, name, "2026-03-02", customers, products)
    found = values[:, SIGNALS[name].columns.index(column)]
    np.testing.assert_allclose(found, np.array(expected, dtype=np.float32), rtol=1e-6)
