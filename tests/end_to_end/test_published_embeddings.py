"""The vectors that the tiny shop's week publishes: who is in them, what lies near, and the files of them."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from helpers.shops import Home
from recs_assets.exports.embeddings import FOLDER, TABLES

pytestmark = pytest.mark.slow
NEAR = """
    select other.product_id, list_cosine_similarity(own.embedding, other.embedding) as alike
    from recs.product_embeddings as own
    join recs.product_embeddings as other using (model)
    where own.product_id = 'tea-01' and model = 'graph_filter' and other.product_id <> own.product_id
    order by alike desc, other.product_id
    limit 5
"""


def test_there_is_a_vector_of_what_was_bought_and_of_what_has_words(weekly: Home) -> None:
    bought = "select distinct product_id from recs.order_lines join recs.customers using (customer_id) where customers.learned_from"
    of_model = "select product_id from recs.product_embeddings where model = '{}' order by 1"
    assert weekly.query(of_model.format("graph_filter")) == weekly.query(f"{bought} order by 1")
    # The factors of the tiny shop's ALS are next to zero and point one way: they say nothing.
    assert weekly.query(of_model.format("als")) == []
    assert weekly.query(of_model.format("content")) == weekly.query(
        "select product_id from recs.products order by 1"
    )
    assert weekly.query(
        "select count(*) from (select unnest(embedding) as number from recs.product_embeddings "
        "union all select unnest(embedding) from recs.customer_embeddings) where not isfinite(number)"
    ) == [(0,)]
    for table in TABLES:
        assert weekly.query(f"select count(*) from recs.{table} where len(embedding) <> dimensions") == [(0,)]


def test_whoever_bought_something_has_a_vector_unless_they_objected(weekly: Home) -> None:
    buyers = weekly.query(
        "select distinct customer_id from recs.order_lines join recs.customers using (customer_id) "
        "where customers.learned_from order by 1"
    )
    assert weekly.query("select model, customer_id from recs.customer_embeddings order by 1, 2") == [
        ("graph_filter", customer) for (customer,) in buyers
    ]


def test_tea_lies_near_what_is_bought_with_it(weekly: Home) -> None:
    """The tiny shop's people buy acacia honey with tea (PARTNER in make_tiny_shop.py)."""
    near = [product for product, _ in weekly.query(NEAR)]
    assert "honey-01" in near[:3]


def test_a_customer_lies_near_what_they_buy(weekly: Home) -> None:
    """Of the five products with the largest inner product nearly all were bought by the customer before."""
    rows = weekly.query("""
        with scored as (
            select
                customer_id, product_id,
                row_number() over (
                    partition by customer_id
                    order by list_inner_product(customers.embedding, products.embedding) desc, product_id
                ) as place
            from recs.customer_embeddings as customers
            join recs.product_embeddings as products using (model)
            where model = 'graph_filter'
        ),
        bought as (select distinct customer_id, product_id from recs.order_lines)
        select avg((bought.product_id is not null)::integer)
        from scored left join bought using (customer_id, product_id)
        where place <= 5
    """)
    assert rows[0][0] > 0.9


def test_the_files_hold_what_is_published(weekly: Home) -> None:
    folder = weekly.path / "exports" / FOLDER / "current"
    for table in TABLES:
        key = table.replace("_embeddings", "_id")
        rows = pq.read_table(folder / f"{table}.parquet")
        published = weekly.query(f"select * from recs.{table} order by model, {key}")
        assert [tuple(row.values()) for row in rows.to_pylist()] == published
