import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.known import known_of
from recs_assets.evaluation import evaluate as evaluation

AS_OF, ANCHOR = date(2017, 1, 30), date(2017, 1, 2)


def shop():
    """5 customers, 4 products; customer 0 never bought, 1 has one order, 2 four, 3 twelve, 4 none.

    Known: 1 bought p0; 2 bought p0 (4 orders); 3 bought p1 (12 orders).
    """
    orders = [(1, 0), *[(2, 0)] * 4, *[(3, 1)] * 12]
    customers = pd.DataFrame({"customer_id": [f"c{number}" for number in range(5)]})
    products = pd.DataFrame({"product_id": list("abcd"), "available": True})
    return known_of(ANCHOR, customers, products, [(*order, 10, "purchase") for order in orders])


# 0 buys p0; 1 buys p0 (again) and p1 (new); 2 buys p0 (again); 3 buys p3 (new); 4 nothing.
TRUTH = sparse.csr_matrix(
    np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
)


def same_for_all(products, customers=range(5)):
    rows = [(c, p, r) for c in customers for r, p in enumerate(products, 1)]
    return pd.DataFrame(rows, columns=["customer", "product", "rank"])


def value(table, view, segment, recommender, metric, k):
    rows = table[
        (table["view"] == view)
        & (table["segment"] == segment)
        & (table["recommender"] == recommender)
        & (table["metric"] == metric)
        & (table["k"] == k)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def table():
    models = {
        "popularity": {
            "all": same_for_all([0, 1]),
            "new": same_for_all([1, 3]),
            "repeat": same_for_all([0], customers=[1, 2]),
        },
        "blend": {"all": same_for_all([3, 0])},
    }
    return evaluation.evaluate(models, shop(), TRUTH, as_of=AS_OF, seed=1, resamples=200)


def test_columns_and_dates(table):
    assert tuple(table.columns) == evaluation.COLUMNS
    assert set(table["as_of"]) == {AS_OF}
    assert set(table["anchor"]) == {ANCHOR}
    assert not table.duplicated(["view", "segment", "recommender", "metric", "k"]).any()
    assert table["value"].notna().all()


def test_views(table):
    # All: customers 0-3. Ranks: 0 hits at 1, 1 at 1 and 2, 2 at 1, 3 never.
    row = value(table, "all", "all", "popularity", "map", 12)
    assert (row["value"], row["customers"]) == (0.75, 4)
    # New: customer 0 (p0), 1 (p1), 3 (p3); lists 1, 3: hits: none, rank 1, rank 2.
    row = value(table, "new", "all", "popularity", "map", 12)
    assert (row["value"], row["customers"]) == (pytest.approx((0 + 1 + 0.5) / 3), 3)
    # Repeat: customers 1 and 2 bought p0 again.
    row = value(table, "repeat", "all", "popularity", "recall", 5)
    assert (row["value"], row["customers"]) == (1, 2)
    assert set(table.loc[table["recommender"] == "blend", "view"]) == {"all"}


def test_segments(table):
    found = table[(table["view"] == "all") & (table["metric"] == "hit_rate") & (table["k"] == 5)]
    found = found[found["recommender"] == "popularity"].set_index("segment")
    assert found["value"].to_dict() == {
        "all": 0.75,
        "depth:0": 1,
        "depth:1-2": 1,
        "depth:3-9": 1,
        "depth:10+": 0,
        "age:0-3w": 1,  # 0, 1 and 2 buy p0, 1 also p1
        "age:unsold": 0,  # 3 buys p3
    }
    assert found["customers"].to_dict() == {
        "all": 4,
        "depth:0": 1,
        "depth:1-2": 1,
        "depth:3-9": 1,
        "depth:10+": 1,
        "age:0-3w": 3,
        "age:unsold": 1,
    }
    # Nobody without orders, and nobody with twelve, bought anything again.
    assert set(table.loc[table["view"] == "repeat", "segment"]) == {"all", "depth:1-2", "depth:3-9"}


def test_intervals_where_promised_only(table):
    have = table[table["ci_low"].notna()]
    assert set(have["segment"]) == {"all"}
    assert set(zip(have["metric"], have["k"], strict=True)) == set(evaluation.BOOTSTRAPPED)
    assert ((have["ci_low"] <= have["value"]) & (have["value"] <= have["ci_high"])).all()
    assert len(have) == 4 * 4  # popularity in three views, blend in one


def test_coverage_and_novelty(table):
    assert value(table, "all", "all", "popularity", "coverage", 12)["value"] == 0.5
    # 3 buying customers: p0 by two (log2(3/2)), p1 by one (log2 3).
    assert value(table, "all", "all", "popularity", "novelty", 12)["value"] == pytest.approx(
        (np.log2(1.5) + np.log2(3)) / 2
    )


def test_beyond_accuracy(table):
    # New: lists p1, p3; hits p1 (customer 1) and p3 (customer 3). Best sellers: p0, then p1; customer 1's
    # hit is one of the first two, so at k = 5 only p3 is a surprise: 1/5 for one of three customers.
    assert value(table, "new", "all", "popularity", "serendipity", 5)["value"] == pytest.approx(1 / 15)
    assert "repeat" not in set(table.loc[table["metric"] == "serendipity", "view"])
    # Customers 1, 2 and 3 bought p0, p0, p1, that is by 2/3, 2/3, 1/3 of 3 buyers: 5/9 on average. Their
    # list p0, p1 has 1/2: 1/2 / (5/9) - 1.
    assert value(table, "all", "all", "popularity", "popularity_bias", 5)["value"] == pytest.approx(-0.1)
    # The shop has no brands, categories or verticals.
    assert "diversity" not in set(table["metric"])


def test_diversity_over_facets():
    known = shop()
    facets = {"brand": ["x", "x", "y", None], "category": ["a", "b", "b", None]}
    dressed = dataclasses.replace(known, products=known.products.assign(**facets))
    table = evaluation.evaluate(
        {"popularity": {"all": same_for_all([0, 1, 2])}}, dressed, TRUTH, as_of=AS_OF, resamples=50
    )
    # p0 and p1 share a brand, p1 and p2 a category, p0 and p2 nothing: distances 1/2, 1/2, 1.
    assert value(table, "all", "all", "popularity", "diversity", 5)["value"] == pytest.approx(2 / 3)


def test_product_ages():
    # Anchor 2017-01-02 is a Monday; first sold 27, 28, 90 and 91 days before it, and never.
    ages = [27, 28, 90, 91]
    products = pd.DataFrame({"product_id": list("abcde"), "available": True})
    sold = [(0, product, age, "purchase") for product, age in enumerate(ages)]
    known = known_of(ANCHOR, shop().customers, products, sold)
    named = [evaluation.AGES[number] for number in evaluation.segment_by_age(known)]
    assert named == ["0-3w", "4-12w", "4-12w", "13w+", "unsold"]


def test_a_sample_is_evaluated(table):
    small = evaluation.evaluate(
        {"popularity": {"all": same_for_all([0, 1])}},
        shop(),
        TRUTH,
        as_of=AS_OF,
        customers=np.array([3, 0]),
        resamples=50,
    )
    row = value(small, "all", "all", "popularity", "hit_rate", 5)
    assert (row["value"], row["customers"]) == (0.5, 2)


def test_no_truth_gives_an_empty_table():
    nothing = sparse.csr_matrix((5, 4), dtype=bool)
    table = evaluation.evaluate({"popularity": {"all": same_for_all([0])}}, shop(), nothing, as_of=AS_OF)
    assert (len(table), tuple(table.columns)) == (0, evaluation.COLUMNS)
    assert evaluation.summarise(table) == ""
    assert evaluation.plot_metrics(table)[:4] == b"\x89PNG"


def test_refused():
    with pytest.raises(ValueError, match="truth is"):
        evaluation.evaluate({}, shop(), TRUTH[:, :2], as_of=AS_OF)
    with pytest.raises(ValueError, match="Unknown view"):
        evaluation.evaluate({"a": {"some": same_for_all([0])}}, shop(), TRUTH, as_of=AS_OF)


def test_sample_is_stable_under_other_customers():
    ids = [f"c{number}" for number in range(1000)]
    one = {ids[code] for code in evaluation.sample_customers(ids, 100, seed=7)}
    more = ["another", *ids]
    other = {more[code] for code in evaluation.sample_customers(more, 100, seed=7)}
    assert len(one) == 100
    assert len(one - other) <= 1
    assert one != {ids[code] for code in evaluation.sample_customers(ids, 100, seed=8)}
    assert evaluation.sample_customers(ids, 1000, seed=7).tolist() == list(range(1000))


def test_markdown(table):
    lines = evaluation.summarise(table).splitlines()
    assert lines[0] == "### All products (top 12, 4 customers)"
    assert lines[2].startswith("| recommender | MAP@12 | NDCG@12 |")
    # Best first: popularity 0.75; blend: hits at rank 2, 2, 2 and 1.
    assert lines[4].startswith("| popularity | 0.750 (")
    assert lines[5].startswith("| blend | 0.562 (")
    assert "| 0.5000 |" in lines[4]
    assert [line for line in lines if line.startswith("###")] == [
        "### All products (top 12, 4 customers)",
        "### First-time purchases only (top 12, 3 customers)",
        "### Repeat purchases only (top 12, 2 customers)",
    ]


def test_plot_is_a_png_and_repeats(table):
    picture = evaluation.plot_metrics(table)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture == evaluation.plot_metrics(table)
    assert b"Matplotlib" not in picture
