"""Folds pooled by hand: two customers, two products, two anchors."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.known import known_of
from recs_assets.evaluation.backtest import Fold, backtest, pool_folds
from recs_assets.evaluation.evaluate import BOOTSTRAPPED
from recs_assets.known.interactions import Known

MAP = BOOTSTRAPPED.index(("map", 12))


def lists(*rows: tuple[int, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer", "product", "rank"])


def quiet_shop(customers: list[str]) -> Known:
    """Two products, and nobody has bought anything yet: no truth is a repeat."""
    products = pd.DataFrame({"product_id": ["a", "b"], "available": True})
    return known_of(date(2024, 3, 4), pd.DataFrame({"customer_id": customers}), products)


def fold(customers: list[str], truth: list[list[int]], models: dict[str, pd.DataFrame]) -> Fold:
    known = quiet_shop(customers)
    return Fold(
        known,
        sparse.csr_matrix(np.array(truth, dtype=np.float32)),
        np.arange(len(customers)),
        {name: dict.fromkeys(("all", "new", "repeat"), frame) for name, frame in models.items()},
    )


@pytest.fixture
def folds() -> list[Fold]:
    """Ann buys product 0 in both windows, Bob product 1 in the first only (customer codes differ)."""
    right, second = lists((0, 0, 1), (1, 1, 1)), lists((0, 1, 1), (0, 0, 2), (1, 0, 1))
    return [
        fold(["ann", "bob"], [[1, 0], [0, 1]], {"right": right, "second": second}),
        fold(["aaa", "ann"], [[0, 0], [1, 0]], {"right": lists((1, 1, 1)), "second": lists((1, 0, 1))}),
    ]


def test_a_customer_counts_once_with_the_mean_of_her_folds(folds: list[Fold]) -> None:
    values = pool_folds(folds, "all", ["right", "second"])[:, :, MAP]
    # ann: right 1 and 0, second 1/2 and 1; bob: right 1, second 0.
    assert values.tolist() == [[0.5, 0.75], [1.0, 0.0]]


def test_the_baseline_is_the_best_single_model(folds: list[Fold]) -> None:
    table = backtest(folds, ("second",), resamples=50)
    row = table.query("view == 'all' and metric == 'map' and recommender == 'right'").iloc[0]
    assert (row["baseline"], row["folds"], row["customers"]) == ("second", 2, 2)
    assert (row["value"], row["difference"]) == (0.75, 0.375)
    assert row["ci_low"] == -0.25  # ann alone
    assert row["ci_high"] == 1.0  # bob alone
    own = table.query("view == 'all' and metric == 'map' and recommender == 'second'").iloc[0]
    assert (own["difference"], own["ci_low"], own["ci_high"]) == (0, 0, 0)


def test_a_model_that_one_fold_lacks_is_left_out(folds: list[Fold]) -> None:
    third = fold(["ann", "bob"], [[1, 0], [0, 1]], {"second": lists((0, 0, 1))})
    assert set(backtest([*folds, third], ("second",), resamples=10)["recommender"]) == {"second"}


def test_nobody_bought_anything_of_a_view(folds: list[Fold]) -> None:
    assert set(backtest(folds, ("second",), resamples=10)["view"]) == {"all", "new"}


def test_a_model_with_lists_of_one_view_stands_in_that_view_only():
    one = fold(["x"], [[1, 0]], {"popularity": lists((0, 0, 1))})
    models = {**one.models, "again": {"new": lists((0, 1, 1))}}
    table = backtest([Fold(one.known, one.truth, one.customers, models)], ["popularity"], resamples=10)
    assert set(table["recommender"][table["view"] == "new"]) == {"popularity", "again"}
    assert set(table["recommender"][table["view"] == "all"]) == {"popularity"}
