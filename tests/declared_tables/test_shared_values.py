"""Tables about a value that many customers, or products, carry: weather by region, tests by category."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import duckdb
import pytest

from helpers.dbt_build import Warehouse
from recs_assets.declared_tables.file import Tables, find_carried, list_entities
from recs_assets.queries.catalogue import CATALOGUE
from recs_assets.queries.compiler import compile_entities, compile_labels
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import QueryError
from recs_assets.queries.validation import validate

pytestmark = pytest.mark.slow
WEEK, TEST = date(2024, 3, 4), date(2024, 2, 5)


def _read(built: Warehouse, model: str, key: str, columns: str) -> dict[str, tuple]:
    rows = built.sql(f"select as_of::varchar, {key}, {columns} from features.{model} order by 1, 2")
    return {f"{anchor} {name}": tuple(values) for anchor, name, *values in rows}


def test_rows_are_of_whoever_carries_the_value(tables: Tables):
    assert list_entities(tables["weather"], tables) == ("customers",)
    assert list_entities(tables["tests"], tables) == ("products",)
    # Over a key first: warnings -> storms -> the region.
    assert find_carried(tables["warnings"], "customers", tables) == ("storm_id", True, "homes", "region")
    assert find_carried(tables["homes"], "customers", tables) is None


def test_weather_is_that_of_the_region_in_which_a_customer_lived_then(built: Warehouse):
    columns = "count_all, count_7d, count_28d, days_since_last, rain_sum, rain_mean, rain_last"
    north, south = (2, 2, 2, 1, 8, 4, 0), (1, 1, 1, 4, 1, 1, 1)
    later_north, later_south = (3, 0, 1, 28, 12, 4, 4), (2, 1, 1, 1, 21, 10.5, 20)
    assert _read(built, "weather_of_customers", "customer_id", columns) == {
        "2024-02-05 ann": north,
        "2024-02-05 bob": north,
        "2024-02-05 cay": south,
        "2024-02-05 fay": north,
        "2024-03-04 ann": later_north,
        "2024-03-04 bob": later_south,  # moved on 10 February
        "2024-03-04 cay": later_south,
        "2024-03-04 fay": later_north,
    }


def test_frequent_values_are_counted_for_everybody_of_the_region(built: Warehouse):
    # Before the earlier anchor it rained twice ("nowhere" counts, too) and was sunny twice: by the alphabet.
    values = built.sql(
        "select place, value from intermediate.int_declared_values where source_table = 'weather'"
    )
    assert values == [(1, "rain"), (2, "sun")]
    found = _read(built, "weather_of_customers", "customer_id", "sky_1, sky_2, sky_distinct")
    assert found["2024-02-05 ann"] == (1, 1, 2)
    assert found["2024-02-05 cay"] == (0, 1, 1)


def test_a_row_that_points_at_such_a_row_is_of_the_same_customers(built: Warehouse):
    found = _read(built, "warnings_of_customers", "customer_id", "count_all, level_sum, storm_id_distinct")
    assert found == {
        "2024-02-05 ann": (2, 5, 1),
        "2024-02-05 bob": (2, 5, 1),
        "2024-02-05 fay": (2, 5, 1),
        "2024-03-04 ann": (2, 5, 1),
        "2024-03-04 bob": (1, 1, 1),
        "2024-03-04 cay": (1, 1, 1),
        "2024-03-04 fay": (2, 5, 1),
    }


def test_a_column_of_customers_and_of_products(built: Warehouse):
    assert _read(built, "tests_of_products", "product_id", "count_all, stars_mean, stars_last") == {
        "2024-02-05 milk": (1, 4, 4),
        "2024-03-04 milk": (2, 3, 2),
    }
    # Only ann's country is known.
    assert _read(built, "holidays_of_customers", "customer_id", "count_all, name_distinct") == {
        "2024-02-05 ann": (2, 2),
        "2024-03-04 ann": (2, 2),
    }


def test_a_sentence_is_about_every_product_of_the_category(built: Warehouse):
    evidence = built.sql(
        "select customer_id, product_id, last_at::varchar from intermediate.int_declared_evidence where source_table = 'tests'"
    )
    assert evidence == [(None, "milk", "2024-02-15 00:00:00")]


def test_a_region_is_nobodys_row(built: Warehouse):
    """It is not erased with a customer, and a value that nobody carries is no fault."""
    rows = built.sql(
        "select row_key, reason from intermediate.int_rows_rejected where source_table in ('weather', 'storms', 'warnings', 'tests', 'holidays')"
    )
    assert rows == [("south|2024-03-03 00:00:00", "duplicate_row")]


def test_queries_count_rows_of_the_value(built: Warehouse, tables: Tables):
    catalogue = CATALOGUE.extend(tables)

    def ask(text: str, anchor: date, compile_query: Callable = compile_labels) -> list[tuple]:
        query = validate(parse(text), catalogue)
        assert validate(query) == query
        with duckdb.connect(str(built.path), read_only=True) as connection:
            return connection.execute(*compile_query(query, anchor)).fetchall()

    text = "PREDICT COUNT(order_lines.*, 0, 28, days) FOR EACH customers.customer_id WHERE {}"
    rainy = text.format("SUM(weather.rain WHERE sky = 'rain', -90, 0, days) > 5")
    assert ask(rainy, TEST, compile_entities) == [("ann",), ("bob",)]
    assert ask(rainy, WEEK, compile_entities) == [("ann",), ("bob",), ("cay",), ("fay",)]
    # Over a key and the region; the parent's rows are not multiplied.
    warned = text.format("SUM(warnings.level WHERE storm_id.region = 'north', -90, 0, days) = 5")
    assert ask(warned, TEST, compile_entities) == [("ann",), ("bob",)]
    # A target: the weather of the window, of where everybody lives at the anchor.
    rain = "PREDICT SUM(weather.rain, 0, 28, days) FOR EACH customers.customer_id"
    assert [row for row in ask(rain, TEST) if row[1]] == [("ann", 4), ("bob", 4), ("cay", 20)]
    tested = "PREDICT COUNT(tests.*, 0, 28, days) FOR EACH products.product_id WHERE AVG(tests.stars, -INF, 0, days) > 3"
    assert ask(tested, TEST) == [("milk", 1)]
    with pytest.raises(QueryError, match="tests holds no dated events of customers"):
        ask(tested.replace("products.product_id", "customers.customer_id"), TEST)


def test_of_a_person_with_two_profiles_one_row_of_a_key_holds(
    built: Warehouse, build: Callable[..., Warehouse], tables: Tables
):
    points = "count_all, points_sum"
    alone = _read(built, "cards_of_customers", "customer_id", points)
    assert {name: alone[name] for name in alone if name.endswith(("ann", "cay"))} == {
        "2024-02-05 ann": (1, 10),
        "2024-03-04 ann": (1, 10),
        "2024-03-04 cay": (1, 30),
    }
    merged = build(
        "merged",
        "insert into model.customer_identities (profile_id, customer_id) values ('ann', 'ann'), ('cay', 'ann')",
    )
    # The newest card, at each anchor that which was the newest then.
    found = _read(merged, "cards_of_customers", "customer_id", points)
    assert found == {
        "2024-02-05 ann": (1, 10),
        "2024-02-05 bob": (1, 50),
        "2024-02-05 fay": (1, 70),
        "2024-03-04 ann": (1, 30),
        "2024-03-04 bob": (1, 50),
        "2024-03-04 fay": (1, 70),
    }
    # Without a time the row of the profile by which the person is called.
    assert _read(merged, "households_of_customers", "customer_id", "count_all, size_sum") == {
        "2024-02-05 ann": (1, 2),
        "2024-02-05 bob": (1, 1),
        "2024-03-04 ann": (1, 2),
        "2024-03-04 bob": (1, 1),
    }
    # Both say where they lived since one day: the same row holds.
    rain = _read(merged, "weather_of_customers", "customer_id", "count_all, rain_sum")
    assert (rain["2024-02-05 ann"], rain["2024-03-04 ann"]) == ((2, 8), (3, 12))
    assert "2024-02-05 cay" not in rain
    # A query sees one row, too.
    text = "PREDICT COUNT(order_lines.*, 0, 28, days) FOR EACH customers.customer_id WHERE SUM(cards.points, -INF, 0, days) = {}"
    with duckdb.connect(str(merged.path), read_only=True) as connection:
        for anchor, points in ((TEST, 10), (WEEK, 30)):
            query = validate(parse(text.format(points)), CATALOGUE.extend(tables))
            assert connection.execute(*compile_entities(query, anchor)).fetchall() == [("ann",)]
