"""A fit on some of the shop's customers, and lists for all: whom the fit saw they do not change; what the others get."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recs_assets.arrays import round_to_grid
from recs_assets.known.interactions import Known
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.base import VIEWS

EVERY = pytest.mark.parametrize("name", REGISTRY)
K = 25
SAMPLE = np.flatnonzero(np.arange(40) // 2 % 2 == 0)
OTHERS = np.setdiff1d(np.arange(40), SAMPLE)


def make(name: str):
    return REGISTRY[name].make(7, 200, 1)


@pytest.fixture(scope="module")
def sample_models(whole: Known):
    """By name, fitted on half of the customers."""
    some = whole.take_customers(SAMPLE)
    return {name: make(name).fit_sample(some, whole) for name in REGISTRY}


@EVERY
def test_whom_the_fit_saw_get_its_lists(sample_models, whole: Known, name: str) -> None:
    model = sample_models[name]
    for view in VIEWS:
        own = model.recommend(np.arange(len(SAMPLE)), K, view)
        attached = model.attach(whole).recommend(SAMPLE, K, view)
        pd.testing.assert_frame_equal(
            attached, own.assign(customer=SAMPLE[own["customer"]].astype(np.int32)), check_exact=True
        )


@EVERY
def test_lists_of_some_do_not_depend_on_whether_they_were_seen(
    sample_models, whole: Known, name: str
) -> None:
    some = np.array([2, 3, 5, 30])
    listed = sample_models[name].recommend_known(whole, some, K, VIEWS)
    everybody = sample_models[name].attach(whole)
    for view in VIEWS:
        pd.testing.assert_frame_equal(listed[view], everybody.recommend(some, K, view), check_exact=True)


@EVERY
@pytest.mark.parametrize("size", [1, 7])
def test_blocks_of_all_are_the_whole_whether_attached_at_once_or_twice(
    sample_models, whole: Known, name: str, size: int
) -> None:
    once, everybody = sample_models[name], sample_models[name].attach(whole)
    expected = everybody.recommend(np.arange(40), K)
    because = everybody.because(expected["customer"].to_numpy(), expected["product"].to_numpy())
    for model in (once, everybody):
        parts, reasons = [], []
        for first in range(0, 40, size):
            codes = np.arange(first, min(first + size, 40))
            block = model.attach(whole.take_customers(codes))
            lists = block.recommend(np.arange(len(codes)), K)
            reasons.append(block.because(lists["customer"].to_numpy(), lists["product"].to_numpy()))
            parts.append(lists.assign(customer=codes[lists["customer"]].astype(np.int32)))
        pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), expected, check_exact=True)
        np.testing.assert_array_equal(np.concatenate(reasons), because)


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.items() if entry.model.learned])
def test_a_night_carries_over_what_a_sample_taught(sample_models, whole: Known, name: str) -> None:
    attached = sample_models[name].attach(whole)
    carried = make(name).carry_over(attached, whole)
    for codes in (SAMPLE, OTHERS):
        pd.testing.assert_frame_equal(
            carried.recommend(codes, K), attached.recommend(codes, K), check_exact=True
        )


@pytest.mark.parametrize("name", ["popularity", "repurchase"])
def test_shop_wide_figures_are_those_of_all(sample_models, whole: Known, name: str) -> None:
    lists = sample_models[name].attach(whole).recommend(np.arange(40), K)
    pd.testing.assert_frame_equal(lists, make(name).fit(whole).recommend(np.arange(40), K), check_exact=True)


def test_als_solves_others_exactly(sample_models, whole: Known) -> None:
    model = sample_models["als"].attach(whole)
    learned = np.isfinite(model.product_factors_[:, 0])
    products = model.product_factors_[learned].astype(np.float64)
    confidence = model.confidence_[:, learned].toarray().astype(np.float64)
    checked = 0
    for code in OTHERS:
        if not confidence[code].any():
            assert np.isnan(model.customer_factors_[code]).all()
            continue
        weight = np.where(confidence[code] > 0, confidence[code], 1.0)
        normal = (products.T * weight) @ products + model.regularization * np.eye(model.factors)
        exact = np.linalg.solve(normal, products.T @ confidence[code])
        np.testing.assert_allclose(model.customer_factors_[code], exact, atol=2e-6)
        checked += 1
    assert checked > 15


def test_user_knn_finds_others_neighbours_in_the_sample(sample_models, whole: Known) -> None:
    model = make("user_knn").set_params(neighbours=3)
    model = model.fit_sample(whole.take_customers(SAMPLE), whole).attach(whole)
    base, own = model.frequency_.toarray().astype(float), model.own_.toarray().astype(float)
    informative = (base > 0).sum(axis=0) > 1
    base, own = base[:, informative], own[:, informative]
    code = int(OTHERS[3])
    cosine = base @ own[code] / np.linalg.norm(base, axis=1).clip(1e-12) / np.linalg.norm(own[code])
    nearest = np.sort(np.argsort(-cosine, kind="stable")[:3])
    assert model.similar_[[code]].nnz == 0  # nobody has asked for their list yet
    model.recommend(np.array([0]), 1)
    similar = model.similar_[[code]]
    assert similar.indices.tolist() == nearest.tolist()
    np.testing.assert_allclose(similar.data, cosine[nearest] / cosine[nearest].sum(), rtol=1e-6)


def test_lightfm_knows_of_others_only_their_traits(sample_models, whole: Known) -> None:
    """The difference that remains to a fit on all (docs/scale.md): what others bought says nothing."""
    model = sample_models["lightfm"].attach(whole)
    traits = whole.customers["segment"] + "/" + whole.customers["country"].fillna("")
    vectors = model.customer_vectors_
    for _, codes in pd.Series(OTHERS).groupby(traits[OTHERS].to_numpy()):
        assert len(np.unique(vectors[codes], axis=0)) == 1
    assert len(np.unique(vectors[SAMPLE], axis=0)) > len(np.unique(vectors[OTHERS], axis=0))
    place = [*model.segments_, *model.countries_].index
    sums = model.trait_vectors_[place("old")] + model.trait_vectors_[place("fr")]
    code = next(int(code) for code in OTHERS if traits[code] == "old/FR")
    expected = round_to_grid(np.append(sums, np.float32(1))[None, :])
    np.testing.assert_array_equal(vectors[[code]], expected)
    everybody = make("lightfm").fit(whole)
    own = everybody.recommend(np.array([code]), 10)["product"].tolist()
    assert model.recommend(np.array([code]), 10)["product"].tolist() != own
