"""Metrics against literals worked out by hand, and against a plain loop."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recs_assets.evaluation import metrics


def lists_of(products_by_customer):
    rows = [
        (customer, product, rank)
        for customer, products in products_by_customer.items()
        for rank, product in enumerate(products, start=1)
    ]
    frame = pd.DataFrame(rows, columns=["customer", "product", "rank"])
    return frame.astype({"customer": np.int32, "product": np.int32, "rank": np.int16})


def truth_of(products_by_customer, n_customers, n_products):
    pairs = [(c, p) for c, products in products_by_customer.items() for p in products]
    rows, columns = zip(*pairs, strict=True)
    return sparse.csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(n_customers, n_products))


# Customer 0: hits at ranks 1 and 3 of 5, bought 0, 2 and one product never shown (9).
# Customer 1: hit at rank 2 only, bought nothing else. Customer 2 is not evaluated. Customer 3: no list.
LISTS = lists_of({0: [0, 1, 2, 3, 4], 1: [5, 6], 2: [0, 1]})
TRUTH = truth_of({0: [0, 2, 9], 1: [6], 2: [0], 3: [7]}, 5, 10)


def test_literals():
    values = metrics.measure_customers(LISTS, TRUTH, np.array([0, 1, 3]), ks=(1, 2, 5))
    expected = {
        ("precision", 1): [1, 0, 0],
        ("precision", 2): [1 / 2, 1 / 2, 0],
        ("precision", 5): [2 / 5, 1 / 5, 0],
        ("recall", 1): [1 / 3, 0, 0],
        ("recall", 5): [2 / 3, 1, 0],
        ("hit_rate", 1): [1, 0, 0],
        ("hit_rate", 5): [1, 1, 0],
        ("map", 1): [1, 0, 0],
        ("map", 2): [1 / 2, 1 / 2, 0],  # (1/1) / min(2, 3); (1/2) / min(2, 1)
        ("map", 5): [(1 + 2 / 3) / 3, 1 / 2, 0],
        ("ndcg", 1): [1, 0, 0],
        ("ndcg", 2): [1 / (1 + 1 / math.log2(3)), 1 / math.log2(3), 0],
        ("ndcg", 5): [(1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2), 1 / math.log2(3), 0],
    }
    for key, numbers in expected.items():
        np.testing.assert_allclose(values[key], numbers, atol=1e-12, rtol=0, err_msg=str(key))


def test_order_of_customers_and_rows_does_not_matter():
    shuffled = LISTS.sample(frac=1, random_state=1)
    one = metrics.measure_customers(LISTS, TRUTH, np.array([0, 1, 3]))
    other = metrics.measure_customers(shuffled, TRUTH, np.array([3, 0, 1]))
    for key in one:
        np.testing.assert_array_equal(one[key][[2, 0, 1]], other[key])


def test_stored_zeros_are_not_true():
    truth = TRUTH.copy()
    truth.data[truth.indices == 2] = 0
    values = metrics.measure_customers(LISTS, truth, np.array([0]), ks=(5,))
    assert values["recall", 5].tolist() == [0.5]


@pytest.mark.parametrize(
    ("customers", "ks", "message"),
    [([4], (5,), "no true product"), ([0, 0], (5,), "asked for twice"), ([0], (0,), "at least 1")],
)
def test_refused(customers, ks, message):
    with pytest.raises(ValueError, match=message):
        metrics.measure_customers(LISTS, TRUTH, np.array(customers), ks=ks)


def test_rank_zero_is_refused():
    with pytest.raises(ValueError, match="ranks start at 1"):
        metrics.measure_customers(LISTS.assign(rank=LISTS["rank"] - 1), TRUTH, np.array([0]))


def loop(shown, true, k):
    """The formulas as a loop over one customer's list."""
    hits = [product in true for product in shown[:k]]
    dcg = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits, 1) if hit)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(true)) + 1))
    precisions = [sum(hits[:rank]) / rank for rank, hit in enumerate(hits, 1) if hit]
    return {
        "precision": sum(hits) / k,
        "recall": sum(hits) / len(true),
        "ndcg": dcg / ideal,
        "map": sum(precisions) / min(k, len(true)),
        "hit_rate": float(any(hits)),
    }


N_PRODUCTS = 30
one_list = st.lists(st.integers(0, N_PRODUCTS - 1), unique=True, max_size=25)
one_truth = st.sets(st.integers(0, N_PRODUCTS - 1), min_size=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(one_list, one_truth), min_size=1, max_size=8))
def test_equals_the_loop(people):
    lists = lists_of({customer: shown for customer, (shown, _) in enumerate(people)})
    truth = truth_of({customer: true for customer, (_, true) in enumerate(people)}, len(people), N_PRODUCTS)
    values = metrics.measure_customers(lists, truth, np.arange(len(people)))
    for k in metrics.KS:
        for customer, (shown, true) in enumerate(people):
            for metric, number in loop(shown, true, k).items():
                assert abs(values[metric, k][customer] - number) < 1e-12


def test_coverage_counts_available_products_only():
    available = np.array([True] * 4 + [False] + [True] * 5)  # 9 of 10, product 4 is not
    # First 1: products 0, 5, 0. First 5: 0-4, 5, 6; without 4 these are 6.
    assert metrics.coverage(LISTS, available, ks=(1, 5)) == {1: 2 / 9, 5: 6 / 9}
    with pytest.raises(ValueError, match="No product is available"):
        metrics.coverage(LISTS, np.zeros(10, dtype=bool), ks=(5,))


def test_novelty_in_bits():
    # 4 customers buy: product 0 by all (0 bits), 1 by two (1 bit), 2 by one (2), 3 by none (as one: 2).
    history = sparse.csr_matrix(
        np.array([[3.0, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    )
    information = metrics.self_information(history)
    assert information.tolist() == [0, 1, 2, 2]
    found = metrics.novelty(lists_of({0: [1, 0, 3], 1: [2]}), information, np.array([0, 1, 2]), ks=(1, 3))
    np.testing.assert_array_equal(found[1], [1, 2, np.nan])
    np.testing.assert_array_equal(found[3], [1, 2, np.nan])


HISTORY = sparse.csr_matrix(
    np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
)  # buyers: 4, 2, 1, 0 of 4 buying customers


def test_best_sellers_are_sold_and_available():
    assert metrics.list_best_sellers(HISTORY, np.array([True] * 4), 5).tolist() == [0, 1, 2]
    assert metrics.list_best_sellers(HISTORY, np.array([False, True, True, True]), 1).tolist() == [1]


def test_serendipity_is_a_hit_that_nobody_would_have_guessed():
    truth = truth_of({0: [0, 2, 3], 1: [2, 3], 2: [2]}, 5, 4)
    lists = lists_of({0: [2, 0, 3], 1: [3, 1], 2: [2, 3]})
    customers, available = np.array([0, 1, 2]), np.ones(4, dtype=bool)
    found = metrics.serendipity(lists, truth, HISTORY, available, customers, ks=(1, 2, 3))
    # The best seller is p0, the best two p0, p1, the best three p0, p1, p2; customer 2 bought p2 before.
    np.testing.assert_allclose(found[1], [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found[2], [1 / 2, 1 / 2, 0], atol=1e-12)
    np.testing.assert_allclose(found[3], [1 / 3, 1 / 3, 0], atol=1e-12)


def test_diversity_equals_the_mean_over_pairs():
    half = 1 / math.sqrt(2)
    vectors = sparse.csr_matrix(np.array([[1.0, 0, 0], [half, half, 0], [0, 0, 1], [0, 0, 0]]))
    lists = lists_of({0: [0, 1, 2], 1: [0], 2: [3, 0]})
    found = metrics.diversity(lists, vectors, np.array([0, 1, 2, 3]), ks=(2, 3))
    np.testing.assert_allclose(found[2], [1 - half, np.nan, 1, np.nan], atol=1e-12)
    np.testing.assert_allclose(found[3], [(1 - half + 1 + 1) / 3, np.nan, 1, np.nan], atol=1e-12)


def test_popularity_of_lists_and_profiles():
    lists = lists_of({0: [0, 3], 4: [1]})
    shown, own = metrics.popularity(lists, HISTORY, np.array([0, 2, 4]), ks=(1, 2))
    np.testing.assert_allclose(shown[1], [1, np.nan, 1 / 2], atol=1e-12)
    np.testing.assert_allclose(shown[2], [1 / 2, np.nan, 1 / 2], atol=1e-12)
    np.testing.assert_allclose(own, [3 / 4, (1 + 1 / 4) / 2, np.nan], atol=1e-12)


def test_by_product_class():
    classes = np.array([0, 1, 0, 1, 0, 0, 1, 0, 0, 1])
    found = metrics.measure_product_classes(LISTS, TRUTH, np.array([0, 1, 3]), classes, 3, ks=(1, 5))
    # Class 0: customer 0 bought 0 and 2, customer 3 bought 7. Class 1: customer 0 bought 9, customer 1 bought 6.
    at, values = found[0, "recall", 1]
    assert (at.tolist(), values.tolist()) == ([0, 2], [1 / 2, 0])
    assert found[0, "recall", 5][1].tolist() == [1, 0]
    assert found[0, "hit_rate", 1][1].tolist() == [1, 0]
    at, values = found[1, "recall", 5]
    assert (at.tolist(), values.tolist()) == ([0, 1], [0, 1])
    assert len(found[2, "recall", 5][0]) == 0
