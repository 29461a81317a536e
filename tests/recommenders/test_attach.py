"""A block of customers on the models of the whole shop: its lists and reasons are the whole's, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recs_assets.known.interactions import GuestPurchases, Known
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import load_model, read_ids, save_model, write_ids
from recs_assets.recommenders.base import VIEWS
from recs_assets.schema import ArtefactError, FactError, NotFittedError

EVERY = pytest.mark.parametrize("name", REGISTRY)
K = 25
BACK_IN_STOCK = ("customer", "product", "wanted", "day", "kind")


def make(name: str):
    return REGISTRY[name].make(7, 200, 1)


@pytest.fixture(scope="module", params=["fewer customers than products", "more customers than products"])
def models_of_all(request: pytest.FixtureRequest, whole: Known):
    known = whole
    if request.param.startswith("more"):
        # The ten most bought products are all that is left: the graph filter then works the other way round.
        kept = known.events.product < 10
        events = replace(known.events, **{name: part[kept] for name, part in vars(known.events).items()})
        guests = GuestPurchases(*(part[known.guests.product < 10] for part in vars(known.guests).values()))
        back = known.back_in_stock
        stays = (back.product < 10) & (back.wanted < 10)
        back = replace(back, **{name: getattr(back, name)[stays] for name in BACK_IN_STOCK})
        known = replace(known, products=known.products[:10], events=events, guests=guests, back_in_stock=back)
    return {name: make(name).fit(known) for name in REGISTRY}


def cut(known: Known, size: int):
    for first in range(0, known.n_customers, size):
        codes = np.arange(first, min(first + size, known.n_customers))
        yield codes, known.take_customers(codes)


@EVERY
@pytest.mark.parametrize("size", [1, 7, 40])
def test_blocks_joined_are_the_whole(models_of_all, name: str, size: int) -> None:
    model = models_of_all[name]
    known = model.known_
    lists = model.recommend_views(np.arange(known.n_customers), K, VIEWS)
    parts: dict[str, list[pd.DataFrame]] = {view: [] for view in VIEWS}
    reasons, shares = [], []
    for codes, block in cut(known, size):
        attached = model.attach(block)
        for view, part in attached.recommend_views(np.arange(len(codes)), K, VIEWS).items():
            parts[view].append(part.assign(customer=codes[part["customer"]].astype(np.int32)))
            if view == "all":
                pairs = part["customer"].to_numpy(), part["product"].to_numpy()
                reasons.append(attached.because(*pairs))
                shares.append(attached.shares(np.maximum(reasons[-1], 0), pairs[1]))
    for view in VIEWS:
        pd.testing.assert_frame_equal(
            pd.concat(parts[view], ignore_index=True), lists[view], check_exact=True
        )
    customers, products = lists["all"]["customer"].to_numpy(), lists["all"]["product"].to_numpy()
    because = model.because(customers, products)
    np.testing.assert_array_equal(np.concatenate(reasons), because)
    for number, share in enumerate(model.shares(np.maximum(because, 0), products)):
        np.testing.assert_array_equal(np.concatenate([part[number] for part in shares]), share)


@EVERY
def test_some_customers_in_any_places_are_a_block(models_of_all, name: str) -> None:
    model, codes = models_of_all[name], np.array([3, 11, 12, 39])
    attached = model.attach(model.known_.take_customers(codes)).recommend(np.arange(4), K)
    whole = model.recommend(codes, K)
    pd.testing.assert_frame_equal(
        attached.assign(customer=codes[attached["customer"]].astype(np.int32)), whole, check_exact=True
    )


@EVERY
def test_a_block_shares_what_is_not_its_customers(models_of_all, name: str) -> None:
    model = models_of_all[name]
    block = model.attach(model.known_.take_customers(np.arange(5)))
    assert block is not model
    assert type(block) is type(model)
    own = {
        key for key, value in vars(block).items() if key.endswith("_") and value is not vars(model).get(key)
    }
    own.remove("known_")
    customers = {key for key, one in model.learned.items() if "customer" in one.axes}
    assert own - {"fit_customers_"} == {*model.attached, *customers}
    for key in own - {"fit_customers_"}:
        assert vars(block)[key].shape[0] == 5
    assert model.known_.n_customers == 40


@EVERY
def test_a_stored_model_is_read_for_blocks_without_other_customers_side(
    models_of_all, name: str, tmp_path: Path
) -> None:
    model = models_of_all[name]
    known = model.known_
    save_model(model, tmp_path / "models" / name)
    write_ids(known, tmp_path / "ids")
    loaded = load_model(
        make(name), tmp_path / "models" / name, read_ids(tmp_path / "ids", known.as_of), attached=False
    )
    assert not set(model.attached) & set(vars(loaded))
    codes = np.arange(30, 37)
    block = known.take_customers(codes)
    for view in VIEWS:
        pd.testing.assert_frame_equal(
            loaded.attach(block).recommend(np.arange(7), K, view),
            model.attach(block).recommend(np.arange(7), K, view),
            check_exact=True,
        )


def test_a_model_of_an_earlier_version_gets_the_customers_side_that_it_lacks(
    whole: Known, tmp_path: Path
) -> None:
    model = make("user_knn").fit(whole)
    expected = model.recommend(np.arange(40), K)
    del model.own_
    save_model(model, tmp_path / "user_knn")
    loaded = load_model(make("user_knn"), tmp_path / "user_knn", whole)
    pd.testing.assert_frame_equal(loaded.recommend(np.arange(40), K), expected, check_exact=True)


def test_a_block_of_other_products_is_refused(models_of_all, shop: Known) -> None:
    with pytest.raises(ArtefactError, match="other products than popularity was fitted on"):
        models_of_all["popularity"].attach(shop)


@EVERY
def test_attach_needs_a_fit(name: str, shop: Known) -> None:
    with pytest.raises(NotFittedError, match=f"Recommender {name} has no fitted model"):
        make(name).attach(shop)


def test_a_fact_that_nobody_counted_is_no_figure_of_the_block(whole: Known) -> None:
    block = replace(whole).take_customers(np.arange(3))
    with pytest.raises(FactError, match=r"'popularity/13\.0' of the whole shop was not counted"):
        block.popularity(13)
