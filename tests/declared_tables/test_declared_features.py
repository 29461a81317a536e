"""What declared tables say at an anchor, by literal rows (helpers/declared_tables.py)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from types import SimpleNamespace

import duckdb
import pytest

from helpers.dbt_build import Warehouse
from helpers.declared_tables import SHARED_FILES
from recs_assets.declared_tables.features import list_feature_names, list_models, render
from recs_assets.declared_tables.file import Tables, find_route, list_entities
from recs_assets.store.warehouse import Warehouse as Deployment
from recs_assets.week.week import NAMES, Week

pytestmark = pytest.mark.slow


def _one(built: Warehouse, model: str, key: str, columns: str) -> dict[str, tuple]:
    """Anchor and id -> the columns."""
    rows = built.sql(f"select as_of::varchar, {key}, {columns} from features.{model} order by 1, 2")
    return {f"{anchor} {name}": tuple(values) for anchor, name, *values in rows}


def test_rows_lead_to_customers_and_products_over_references(tables: Tables):
    names = list(tables)
    assert names.index("tickets") < names.index("messages")
    assert names.index("storms") < names.index("warnings")
    assert find_route(tables["messages"], "customers", tables) == (
        ("ticket_id", "tickets"),
        ("customer_id", "customers"),
    )
    assert list_entities(tables["messages"], tables) == ("customers", "products", "pairs")
    assert list_entities(tables["tags"], tables) == ("products",)


def test_rows_that_break_a_rule_are_in_quarantine_with_the_reason(built: Warehouse):
    rows = built.sql(
        "select source_table, row_key, reason from intermediate.int_rows_rejected "
        "where source_table in ('tickets', 'messages', 'tags') order by all"
    )
    assert rows == [
        ("messages", "m4", "orphan_tickets"),
        ("messages", "m5", "orphan_tickets"),  # its ticket opens in the future
        ("tags", "cheese|new", "orphan_product"),
        ("tags", "milk|new", "duplicate_row"),
        ("tickets", "", "missing_key"),
        ("tickets", "t1", "duplicate_row"),
        ("tickets", "t6", "orphan_customer"),
        ("tickets", "t7", "missing_date"),
        ("tickets", "t8", "orphan_product"),
        ("tickets", "t9", "future_date"),
    ]
    [(shown,)] = built.sql("select row_json from intermediate.int_rows_rejected where row_key = 't6'")
    assert '"severity":5.0' in shown
    assert "agent" not in shown


def test_counts_sums_and_the_latest_value_of_a_pair(built: Warehouse):
    columns = "count_all, count_7d, count_28d, count_91d, days_since_last, severity_sum, severity_mean, severity_last"
    assert built.sql(f"select as_of::varchar, customer_id, product_id, {columns} from features.tickets_of_pairs order by 1, 2, 3") == [
        ("2024-02-05", "ann", "milk", 2, 1, 2, 2, 4, 6, 3, 4),
        ("2024-03-04", "ann", "bread", 1, 1, 1, 1, 1, 1, 1, 1),
        ("2024-03-04", "ann", "milk", 2, 0, 0, 2, 32, 6, 3, 4),
        ("2024-03-04", "bob", "milk", 1, 0, 1, 1, 28, 3, 3, 3),
    ]  # fmt: skip


def test_what_was_known_later_counts_from_then_on(built: Warehouse):
    found = _one(
        built,
        "tickets_of_customers",
        "customer_id",
        "stars_mean, stars_last, urgent_share, resolved_at_days_since_last",
    )
    # t2 is resolved on 10 February, after the first anchor.
    assert found["2024-02-05 ann"] == (4, 4, 0.5, 16)
    assert found["2024-03-04 ann"] == (2.5, 1, 0.5, 23)


def test_frequent_values_are_those_before_the_earliest_anchor(built: Warehouse):
    values = built.sql(
        "select column_name, place, value from intermediate.int_declared_values where source_table = 'tickets'"
    )
    assert values == [("topic", 1, "size"), ("topic", 2, "delivery")]
    found = _one(
        built, "tickets_of_customers", "customer_id", "topic_1, topic_2, topic_3, topic_distinct, topic_1_28d"
    )
    assert found["2024-03-04 ann"] == (2, 1, 0, 2, 1)


def test_rows_two_hops_away(built: Warehouse):
    found = _one(
        built,
        "messages_of_customers",
        "customer_id",
        "count_all, length_sum, ticket_topic_distinct, ticket_stars_last",
    )
    assert found == {
        "2024-02-05 ann": (2, 150, 2, 4),
        "2024-03-04 ann": (2, 150, 2, 1),
        "2024-03-04 bob": (1, 10, 1, None),
    }


def test_a_static_table_is_always_known(built: Warehouse):
    found = _one(built, "tags_of_products", "product_id", "count_all, tag_distinct, tag_1, tag_2")
    assert found["2024-02-05 milk"] == found["2024-03-04 milk"] == (2, 2, 1, 1)
    assert found["2024-02-05 bread"] == (1, 1, 1, 0)


def test_a_query_gets_the_same_figures_at_any_anchor(built: Warehouse, tables: Tables):
    with duckdb.connect(str(built.path), read_only=True) as connection:
        for model, (table, entity) in list_models(tables).items():
            sql = render(table, entity, tables)
            for anchor in ("2024-02-05", "2024-03-04"):
                rows = connection.execute(sql, {"anchor": anchor}).fetchall()
                assert rows == connection.execute(
                    f"select * from features.{model} where as_of = $anchor order by all", {"anchor": anchor}
                ).fetchall()  # fmt: skip
                assert rows


def test_every_feature_has_a_column(built: Warehouse, tables: Tables):
    names = list_feature_names(tables)
    assert len(set(names)) == len(names)
    there = {
        f"{table}.{column}"
        for table, column in built.sql(
            "select table_name, column_name from duckdb_columns() where schema_name = 'features'"
        )
    }
    assert set(names) <= there
    assert not {name for name in names if "agent" in name}


SCRAMBLED = (
    # Every row dated from the earlier anchor on says something else, or is gone ...
    """update raw.tickets set topic = 'other', severity = 77, urgent = not coalesce(urgent, false), product_id = 'tea',
       customer_id = 'cay' where opened_at >= '2024-02-05' and ticket_id not in ('t9')""",
    "delete from raw.tickets where ticket_id in ('t3', 't11')",
    "update raw.messages set length = 999, ticket_id = 't2' where sent_at >= '2024-02-05'",
    "delete from raw.messages where message_id = 'm5'",
    """insert into raw.tickets select 'n' || range, 'ann', 'milk', timestamp '2024-02-05' + to_hours(range::int), 'other', 9, true,
       null, null, null from range(0, 400)""",
    # ... and so is what was known from then on only.
    "update raw.tickets set stars = 5, resolved_at = '2024-02-29' where resolved_at >= '2024-02-05'",
    # Weather, storms and tests of the future, and who moves, or gets a card, then.
    "update raw.weather set rain = 999, sky = 'hail' where day >= '2024-02-05'",
    "insert into raw.weather select 'north', date '2024-02-06' + range::int, 'fog', 9 from range(0, 20)",
    "update raw.warnings set level = 99, storm_id = 'ada' where sent_at >= '2024-02-05'",
    "delete from raw.storms where storm_id = 'ben'",
    "update raw.tests set category = 'bakery', stars = 99 where printed_at >= '2024-02-05'",
    "insert into raw.homes select customer_id, '2024-02-05', 'south' from raw.customers where customer_id is not null",
    "update raw.cards set points = 99 where issued_at >= '2024-02-05'",
)


def test_what_comes_later_changes_no_feature_of_an_anchor(
    built: Warehouse, build: Callable[..., Warehouse], tables: Tables
):
    scrambled = build("scrambled", *SCRAMBLED)
    for model in list_models(tables):
        at = f"select * from features.{model} where as_of = date '2024-02-05' order by all"
        assert scrambled.sql(at) == built.sql(at), model
    values = "select * from intermediate.int_declared_values order by all"
    assert scrambled.sql(values) == built.sql(values)
    now = "select count(*), sum(count_all) from features.tickets_of_pairs where as_of = date '2024-03-04'"
    assert scrambled.sql(now) != built.sql(now)


def test_a_table_of_the_future_brings_exactly_nothing(
    build: Callable[..., Warehouse], built: Warehouse, tables: Tables, house: Deployment
):
    """No feature has a row, so no ranker learns from the table (`Week.own_names`) and the lists are those without it."""
    future = build(
        "future",
        "update raw.tickets set opened_at = opened_at + interval 10 years where opened_at < '2099-01-01'",
        "update raw.messages set sent_at = sent_at + interval 10 years",
        "delete from raw.tags",
        *(f"delete from raw.{name}" for name in SHARED_FILES if name != "weather"),
        "update raw.weather set day = day + interval 10 years",
        loaded_at="2044-01-01 10:00:00",
    )
    for model in list_models(tables):
        assert future.sql(f"select count(*) from features.{model}") == [(0,)], model
    assert future.sql("select count(*) from intermediate.int_declared_values") == [(0,)]
    assert future.sql("select count(*) from intermediate.int_declared_evidence") == [(0,)]
    # Nor is it a fault: such rows belong to a later week.
    shares = "select sum(rejected) from intermediate.int_quarantine_shares where reason = 'any' and source_table = 'messages'"
    assert future.sql(shares) == [(0,)]

    shop = SimpleNamespace(
        source=SimpleNamespace(tables=tables), settings=SimpleNamespace(search_features=False)
    )

    def list_learned_names(build_file: Warehouse) -> tuple[str, ...]:
        week = Week(shop, house, date(2024, 3, 4))
        week.build.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(build_file.path, week.build.path)
        return week.names

    assert list_learned_names(future) == NAMES
    learned = list_learned_names(built)
    assert learned[: len(NAMES)] == NAMES
    assert {name.partition(".")[0] for name in learned[len(NAMES) :]} == set(list_models(tables))
