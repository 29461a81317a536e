from datetime import date
from pathlib import Path

import numpy as np
import pytest

from helpers.dbt_build import properties
from helpers.ranking import LISTS, rows
from recs_assets.arrays import rank_within
from recs_assets.ranking import features
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.features import (
    BY_NAME,
    FAMILIES,
    FEATURES,
    TABLES,
    build_source_frame,
    put_columns,
    select_features,
)
from recs_assets.ranking.frames import load_frame
from recs_assets.recommenders import REGISTRY
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]


def dbt_columns():
    models = properties("models", "features")
    return {model["name"]: {column["name"] for column in model["columns"]} for model in models}


def test_names_are_unique_and_families_known():
    assert len(BY_NAME) == len(FEATURES)
    assert {one.family for one in FEATURES} <= set(FAMILIES)
    assert {one.family for one in FEATURES} == set(FAMILIES)
    assert all(one.description.endswith(".") for one in FEATURES)


def test_every_column_stands_in_dbt():
    columns = dbt_columns()
    for one in FEATURES:
        if one.table in TABLES:
            assert one.column in columns[TABLES[one.table][0]], one.name
    for model, keys in TABLES.values():
        assert {"as_of", *(key if key in ("category", "brand") else f"{key}_id" for key in keys)} <= columns[
            model
        ]


def test_derived_features_use_columns_that_stand_in_dbt():
    import re

    columns = dbt_columns()
    for one in FEATURES:
        if one.table == "derived":
            used = re.findall(r"(\w+)\.(\w+)", one.column)
            assert used, one.name
            for table, column in used:
                assert column in columns[TABLES[table][0]], one.name


def test_the_page_is_the_code():
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == features.markdown(), (
        "Run: python -m recs_assets.ranking.features > docs/features.md"
    )


def test_every_recommender_that_may_be_a_source_has_its_features():
    for name, entry in REGISTRY.items():
        assert entry.family in {None, *FAMILIES}
        assert (f"{name}_rank" in BY_NAME) == (entry.family is not None)


def test_selected_follows_the_sources_and_the_exclusions():
    names = {one.name for one in select_features(["als"], ["als_rank", "product_price"])}
    assert {"als_score", "als_new_rank", "rrf", "product_buyers"} <= names
    assert not {"als_rank", "product_price", "rules_rank"} & names
    with pytest.raises(ValueError, match="No such feature: prize"):
        select_features(["als"], ["prize"])


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_columns_are_put_into_their_rows(monkeypatch, at_once):
    monkeypatch.setattr(features, "CACHED_ROWS", at_once)
    X = np.zeros((3, 3), dtype=np.float32)
    put_columns(X, [0, 2], [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])])
    put_columns(X, [1], [np.array([7.0, 8.0])], np.array([2, 0]))
    assert X.tolist() == [[1, 8, 4], [2, 0, 5], [3, 7, 6]]


def test_source_frame_by_hand(shop):
    lists = {"als": LISTS["a"], "als:new": rows((0, 4, 6.0)), "rules": LISTS["b"]}
    some = merge(lists, shop, 10, 10)
    by_pair = dict(
        zip(zip(some.customer.tolist(), some.product.tolist(), strict=True), range(9), strict=False)
    )
    names = ["als_rank", "als_score", "als_new_rank", "rules_rank", "lists", "rrf_rank", "content_rank"]
    found = build_source_frame(some, [BY_NAME[name] for name in names])
    nan = np.nan
    # p2 was bought: second in rules; p5 stands in the list of new products and in that of rules.
    np.testing.assert_array_equal(found[by_pair[0, 1]], np.float32([1, 9, nan, 3, 2, 3, nan]))
    np.testing.assert_array_equal(found[by_pair[0, 4]], np.float32([nan, 6, 1, 2, 2, 2, nan]))
    np.testing.assert_array_equal(found[by_pair[5, 4]], np.float32([1, 7, nan, nan, 1, 1, nan]))
    with pytest.raises(ValueError, match="not from the lists"):
        build_source_frame(some, [BY_NAME["product_price"]])


# -- the join ------------------------------------------------------------------------------------

WEEK = ANCHOR = date(2024, 3, 4)


@pytest.fixture
def warehouse(tmp_path):
    """Three customers (one joins after the anchor) and three products, keyed as dbt keys them."""
    house = Warehouse(tmp_path)
    with house.build(WEEK).write() as connection:
        connection.execute(
            """
            create schema marts; create schema features;
            create table marts.customers as
                select * from (values ('a', null::timestamp), ('b', '2024-03-05'::timestamp), ('c', null)) t(customer_id, joined_at);
            create table marts.products as
                select * from (values ('x', 'fruit', 'Orchard'), ('y', 'fruit', null), ('z', null, null)) t(product_id, category, brand);
            create table features.customer_features as
                select date '2024-03-04' as as_of, * from (values ('a', 5, 2.0), ('c', 0, null)) t(customer_id, order_count, mean_unit_price)
                union all select date '2024-02-05', 'a', 4, 2.0;
            create table features.product_features as
                select date '2024-03-04' as as_of, * from (values ('x', 3.0::double, true), ('y', 8.0, false), ('z', null, false)) t(product_id, price, is_new_arrival)
                union all select date '2024-02-05', 'x', 99.0, false;
            create table features.customer_product_features as
                select date '2024-03-04' as as_of, 'a' as customer_id, 'x' as product_id, 1.5::float as due_ratio
                union all select date '2024-02-05', 'c', 'x', 7.0;
            create table features.customer_category_features as
                select date '2024-03-04' as as_of, 'a' as customer_id, 'fruit' as category, 9 as purchases;
            create table features.customer_brand_features as
                select date '2024-03-04' as as_of, 'a' as customer_id, 'Orchard' as brand, 2 as purchases;
            create table features.category_features as
                select date '2024-03-04' as as_of, 'fruit' as category, 0.25 as share_91d;
            create table features.product_promotions as
                select date '2024-03-04' as as_of, 'y' as product_id, 3.5 as any_weeks;
            """
        )
    return house


def chosen(*pairs):
    customer, product = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    size = len(customer)
    return Candidates(
        customer,
        product,
        np.linspace(1, 0.5, size, dtype=np.float32),
        np.zeros(size, dtype=bool),
        {},
        rank_within(customer).astype(np.float32),
    )


NAMES = (
    "customer_order_count", "product_price", "rrf", "product_is_new_arrival", "customer_product_due_ratio",
    "customer_category_purchases", "customer_brand_purchases", "category_share_91d",
    "product_promotion_any_weeks", "price_to_customer",
)  # fmt: skip


def frame(warehouse, anchor, candidates, names):
    with warehouse.build(WEEK).read() as connection:
        return load_frame(connection, anchor, candidates, names)


def test_the_frame_by_hand(warehouse):
    # Codes: a = 0, c = 1 (b is not known yet); x, y, z = 0, 1, 2.
    some = chosen((0, 2), (0, 0), (1, 0), (1, 1))
    found = frame(warehouse, ANCHOR, some, NAMES)
    nan = np.nan
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found,
        [
            [5, nan, 1.0, 0, nan, nan, nan, nan, nan, nan],
            [5, 3, 5 / 6, 1, 1.5, 9, 2, 0.25, nan, 1.5],
            [0, 3, 4 / 6, 1, nan, nan, nan, 0.25, nan, nan],
            [0, 8, 0.5, 0, nan, nan, nan, 0.25, 3.5, nan],
        ],
        rtol=1e-6,
    )
    # The order of the candidates is the order of the rows; blocks of customers change nothing.
    back = np.array([3, 1, 2, 0])
    np.testing.assert_array_equal(frame(warehouse, ANCHOR, some.take(back), NAMES), found[back])
    np.testing.assert_array_equal(frame(warehouse, ANCHOR, some.take(np.arange(2)), NAMES), found[:2])


def test_no_candidates_give_an_empty_frame(warehouse):
    assert frame(warehouse, ANCHOR, chosen(), NAMES).shape == (0, len(NAMES))


def test_the_join_refuses_what_would_be_wrong(warehouse):
    with pytest.raises(WarehouseError, match="No such feature: prize"):
        frame(warehouse, ANCHOR, chosen((0, 0)), ["prize"])
    with warehouse.build(WEEK).write() as connection:
        connection.execute("update features.product_features set price = 'inf' where product_id = 'y'")
    with pytest.raises(WarehouseError, match="Infinite values in product_price"):
        frame(warehouse, ANCHOR, chosen((0, 1)), ["product_price"])
    with warehouse.build(WEEK).write() as connection:
        connection.execute("insert into features.product_features values ('2024-03-04', 'y', 1, false)")
    with pytest.raises(WarehouseError, match="a key twice"):
        frame(warehouse, ANCHOR, chosen((0, 1)), ["product_price"])


def test_searches_beside_the_text_of_products(warehouse):
    with warehouse.build(WEEK).write() as connection:
        connection.execute(
            """
            create schema staging;
            create table staging.stg_searches as select * from (values
                ('s1', 'a', 'Red APPLE', timestamp '2024-03-01 10:00'), ('s2', 'a', 'apple, orchard?', timestamp '2024-02-20 10:00'),
                ('s3', 'a', 'pear', timestamp '2024-02-04 23:59'), -- 29 days
                ('s4', 'a', 'pear', timestamp '2024-03-04 00:00'), -- of the anchor: unknown
                ('s5', 'c', 'fruit fruit äpfel', timestamp '2024-02-05 00:00'), ('s6', 'c', '', timestamp '2024-03-01 00:00'),
                ('s7', 'b', 'apple', timestamp '2024-03-01 00:00')
            ) as t(search_id, customer_id, query, searched_at);
            create or replace table marts.products as select * from (values
                ('x', 'Apple', 'fruit', 'Orchard'), ('y', 'Pear', 'fruit', null), ('z', null, null, null)
            ) as t(product_id, name, category, brand)
            """
        )
    some = chosen((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))
    nan = np.nan
    # x has one of the two words of s1 and both of s2, of 13 days ago; of s5's two words, of 28 days ago, x and y have one.
    expected = [[1.0, 13], [nan, nan], [nan, nan], [0.5, nan], [0.5, nan]]
    names = ("searched_share", "searched_days")
    found = frame(warehouse, ANCHOR, some, names)
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32))
    # A block of customers knows the same, and what lies after an earlier anchor does not count there.
    np.testing.assert_array_equal(frame(warehouse, ANCHOR, some.take(np.array([3, 4])), names), found[3:])
    # On the 5th of February s5 is not yet, and s3 is of the day before.
    earlier = frame(warehouse, date(2024, 2, 5), some, names)
    np.testing.assert_array_equal(
        earlier, np.array([[nan, nan], [1, 1], [nan, nan], [nan, nan], [nan, nan]], dtype=np.float32)
    )
