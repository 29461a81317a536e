"""The caches answer for every id of a person, and after a merge for the id that had a list of its own before."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from recs_assets.exports import jsonl, versions
from recs_assets.exports.load import load_published_lists

WEEK = date(2024, 3, 11)


@pytest.fixture
def snapshot():
    """Ann and bob had lists of their own a week ago; now bob's profile is ann's, and so is a third one. Cay is one."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema recs;
            create table recs.customers as select * from (values ('ann', ['ann', 'bob', 'shop-7']), ('cay', ['cay']))
                as rows(customer_id, customer_ids);
            create table recs.customer_recommendations as select as_of::date as as_of, customer_id, rank::integer as rank,
                product_id, 'r-' || customer_id || rank || as_of as recommendation_id from (values
                ('2024-03-04', 'ann', 1, 'tea'), ('2024-03-04', 'bob', 1, 'jam'),
                ('2024-03-11', 'ann', 1, 'mug'), ('2024-03-11', 'ann', 2, 'pot'), ('2024-03-11', 'cay', 1, 'tea')
                ) as rows(as_of, customer_id, rank, product_id)
            """
        )
        yield connection


def test_every_id_of_a_person_has_the_persons_list(snapshot, tmp_path: Path) -> None:
    lists = load_published_lists(snapshot, WEEK)
    assert lists.select(["customer_id", "rank", "product_id", "recommendation_id"]).to_pylist() == [
        {"customer_id": name, "rank": rank, "product_id": product, "recommendation_id": f"r-{whose}{rank}2024-03-11"}
        for name, whose, products in (("ann", "ann", ("mug", "pot")), ("bob", "ann", ("mug", "pot")), ("cay", "cay", ("tea",)),
                                      ("shop-7", "ann", ("mug", "pot")))
        for rank, product in enumerate(products, 1)
    ]  # fmt: skip
    versions.publish(lists, tmp_path, as_of=WEEK, run_id="r1", shards=2)
    found = {name: jsonl.lookup(tmp_path, name) for name in ("ann", "bob", "shop-7", "cay", "dan")}
    assert [row["product_id"] for row in found["ann"] or []] == ["mug", "pot"]
    assert found["bob"] == found["shop-7"] == found["ann"]
    assert [row["product_id"] for row in found["cay"] or []] == ["tea"]
    assert found["dan"] is None


def test_an_earlier_week_is_answered_as_it_was_published(snapshot) -> None:
    """Bob had a list of their own then, and keeps it; under the third id ann's is found."""
    rows = load_published_lists(snapshot, date(2024, 3, 4)).select(["customer_id", "product_id"]).to_pylist()
    assert [(row["customer_id"], row["product_id"]) for row in rows] == [
        ("ann", "tea"), ("bob", "jam"), ("shop-7", "tea"),
    ]  # fmt: skip
