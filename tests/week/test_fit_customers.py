"""RECS_FIT_CUSTOMERS: recommenders learn from a sample, and list everybody."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recs_assets.known.interactions import Known
from recs_assets.recommenders.artefacts import load_model
from recs_assets.settings import Settings
from recs_assets.week.fit import fit_recommender
from recs_assets.week.week import Week, make_recommender

WEEK = date(2024, 3, 4)


@pytest.fixture
def make_week(house, random_shop: Known):
    """A week of one anchor on the shop of 40 customers, of whom c03 and c04 objected."""
    objected = random_shop.customers["customer_id"].isin(["c03", "c04"])
    known = Known(
        random_shop.as_of,
        random_shop.customers.assign(learned_from=~objected),
        random_shop.products,
        random_shop.events,
    )

    def make(fit_customers: int | None) -> Week:
        house.build(WEEK).forget_cached()
        house.build(WEEK).cache[WEEK] = known
        shop = SimpleNamespace(
            settings=Settings(fit_customers=fit_customers, threads=2, candidates=20),
            anchors=lambda week: [WEEK],
            test_anchors=lambda week: [],
            train_anchors=lambda week: [],
        )
        return Week(shop, house, WEEK)

    return make


def list_ids(known: Known) -> set[str]:
    return set(known.customers["customer_id"])


def test_smaller_samples_are_parts_of_larger_ones_of_whom_may_be_learned_from(make_week) -> None:
    samples = [list_ids(make_week(most).fit_known(WEEK)) for most in (5, 20, 37)]
    assert [len(sample) for sample in samples] == [5, 20, 37]
    assert samples[0] < samples[1] < samples[2]
    assert not samples[2] & {"c03", "c04"}


@pytest.mark.parametrize("most", [None, 38, 1000])
def test_a_limit_that_nobody_exceeds_changes_nothing(make_week, most: int | None) -> None:
    week = make_week(most)
    assert week.fit_known(WEEK) is week.known(WEEK)


@pytest.mark.parametrize("name", ["als", "user_knn", "lightfm", "popularity"])
def test_everybody_has_lists(make_week, name: str) -> None:
    week = make_week(10)
    fitted = fit_recommender(week, name, {})
    lists = week.lists(name, WEEK, "all")
    assert (len(lists), lists["customer"].nunique()) == (
        fitted.rows,
        40 if name in ("lightfm", "popularity") else 38,
    )
    known = week.known()
    loaded = load_model(make_recommender(week.shop, name), week.model_path(name), known)
    pd.testing.assert_frame_equal(loaded.recommend(np.arange(40), 20), lists, check_exact=True)
    everybody = make_week(None)
    fit_recommender(everybody, name, {})
    same = lists.equals(everybody.lists(name, WEEK, "all"))
    assert same == (name == "popularity")
