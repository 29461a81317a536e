"""SQL of a source gives the same rows every time: no clock, no chance, no order of rows."""

from __future__ import annotations

import duckdb
import pytest

from recs_assets.schema import SettingsError
from recs_assets.sources.statement import list_tables_read

COLUMNS = {"a": ["x", "y", "d", "current_time"]}


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        yield con


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("select now() from files.a", "it calls now(): it gives other rows"),
        ("select x from files.a where d < NOW()", "it calls now(): "),
        ("select today() from files.a", "it calls today(): "),
        ("select current_date from files.a", "it asks for current_date: "),
        ("select CURRENT_TIMESTAMP from files.a", "it asks for current_timestamp: "),
        ("select localtimestamp from files.a", "it asks for localtimestamp: "),
        ("select current_localtimestamp() from files.a", "it calls current_localtimestamp(): "),
        ("select get_current_timestamp() from files.a", "it calls get_current_timestamp(): "),
        ("select transaction_timestamp() from files.a", "it calls transaction_timestamp(): "),
        ("select ago(interval 1 day) from files.a", "it calls ago(): "),
        ("select age(d) from files.a", "it calls age(): "),
        ("select random() from files.a", "it calls random(): "),
        ("select main.random() from files.a", "it calls random(): "),
        ("select uuid() from files.a", "it calls uuid(): "),
        ("select gen_random_uuid() from files.a", "it calls gen_random_uuid(): "),
        ("select uuidv7() from files.a", "it calls uuidv7(): "),
        ("select nextval('s') from files.a", "it calls nextval(): "),
        ("select txid_current() from files.a", "it calls txid_current(): "),
        ("select getvariable('v') from files.a", "it calls getvariable(): "),
        ("select list_transform([x], lambda v: v + random()) from files.a", "it calls random(): "),
        ("with c as (select now() as t) select t from c", "it calls now(): "),
        ("select (select max(random()) from files.a)", "it calls random(): "),
        ("select x from files.a union all select today()", "it calls today(): "),
        ("select x from files.a order by random()", "it calls random(): "),
        ("select sum(x) over (order by random()) from files.a", "it calls random(): "),
        ("select * from files.a using sample 5", "it takes a sample: "),
        ("select * from files.a tablesample 10%", "it takes a sample: "),
        ("select reservoir_quantile(x, 0.5, 10) from files.a", "it calls reservoir_quantile(): "),
        ("select first(x) from files.a", "it calls first() without an order: it takes rows in whatever order"),
        ("select last(x) from files.a group by y", "it calls last() without an order: "),
        ("select any_value(x) from files.a", "it calls any_value() without an order: "),
        ("select string_agg(x, ',') from files.a", "it calls string_agg() without an order: "),
        ("select y from files.a group by y having first(x) > 1", "it calls first() without an order: "),
        ("select first(x) over (partition by y) from files.a", "it calls first() over rows without an order: "),
        ("select row_number() over () from files.a", "it calls row_number() over rows without an order: "),
        ("select lag(x) over (partition by y) from files.a", "it calls lag() over rows without an order: "),
        ("select x from files.a limit 3", "it has a limit without order by: "),
        ("select x from files.a limit 10%", "it has a limit without order by: "),
        ("select x from files.a where x in (select y from files.a limit 1)", "it has a limit without order by: "),
        ("select distinct on (x) y from files.a", "it has distinct on without order by: "),
    ],
)  # fmt: skip
def test_refused(con, sql, what):
    with pytest.raises(SettingsError) as error:
        list_tables_read(con, "source 'mini' (orders.sql)", sql, COLUMNS)
    assert str(error.value).startswith(f"source 'mini' (orders.sql): {what}")
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "select age(d, timestamp '2025-01-01') from files.a",
        "select first(x order by y) from files.a",
        "select first(x) over (partition by y order by x) from files.a",
        "select row_number() over (partition by y order by x) from files.a",
        "select sum(x) over (partition by y), max(x), min(y), arg_max(x, y), count(*) from files.a group by all",
        "select string_agg(x, ',' order by x) from files.a",
        "select len(list_distinct(list(x))) from files.a",
        "select distinct on (x) y from files.a order by x, y",
        "select x from files.a order by y limit 3",
        "select distinct x from files.a",
        "select current_time from files.a",  # a column of the file
        "select md5(x), hash(y), strftime(d, '%Y'), timezone('UTC', d) from files.a",
        "select case when x is null then error('x is missing') else x end from files.a",
        "select json_group_object(x, y) from files.a",
    ],
)
def test_accepted(con, sql):
    assert list_tables_read(con, "w", sql, COLUMNS) == {"a"}
