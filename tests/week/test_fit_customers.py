"""RECS_FIT_CUSTOMERS: recommenders learn from a sample, and list everybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recs_assets.known.interactions import Known
from recs_assets.settings import Settings
from recs_assets.week.fit import fit_recommender
from recs_assets.week.night import Night
from recs_assets.week.week import Week, make_recommender

WEEK, TEST = date(2024, 3, 4), date(2024, 2, 5)


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
    assert week.is_sampled
    lists = week.lists(name, WEEK, "all")
    assert (len(lists), lists["customer"].nunique()) == (
        fitted.rows,
        40 if name in ("lightfm", "popularity") else 38,
    )
    pd.testing.assert_frame_equal(week.model(name).recommend(np.arange(40), 20), lists, check_exact=True)
    assert week.load_for_blocks(name).known_.n_customers == 10
    everybody = make_week(None)
    fit_recommender(everybody, name, {})
    assert not everybody.is_sampled
    assert everybody.load_for_blocks(name).known_.n_customers == 40
    same = lists.equals(everybody.lists(name, WEEK, "all"))
    assert same == (name == "popularity")


@pytest.mark.parametrize("name", ["als", "lightfm", "new_arrivals"])
def test_earlier_anchors_list_whom_they_evaluate(make_week, name: str) -> None:
    week = make_week(10)
    expected = week.fit_known(WEEK)
    week.shop.anchors = lambda as_of: [WEEK, TEST]
    week.shop.test_anchors = lambda as_of: [TEST]
    week.settings.__dict__["evaluation_customers"] = 6
    earlier = replace(week.known(), as_of=TEST)
    week.build.cache[TEST] = earlier
    fit_recommender(week, name, {})
    listed = week.find_customers_with_lists(TEST)
    lists = week.lists(name, TEST, "new")
    assert len(listed) == 6
    assert set(lists["customer"]) <= set(listed)
    ids = earlier.customers["customer_id"]
    some = earlier.take_customers(np.flatnonzero(ids.isin(expected.customers["customer_id"])))
    whole = make_recommender(week.shop, name).fit_sample(some, earlier).attach(earlier)
    pd.testing.assert_frame_equal(whole.recommend(listed, 20, "new"), lists, check_exact=True)


@pytest.mark.parametrize("name", ["als", "user_knn", "lightfm", "popularity", "rules"])
def test_a_night_lists_everybody_too(make_week, name: str) -> None:
    week = make_week(10)
    fit_recommender(week, name, {})
    night = Night(week, date(2024, 3, 5))
    night.build.cache[night.as_of] = replace(week.known(), as_of=week.as_of)
    lists = night.model(name).recommend(np.arange(40), 20)
    pd.testing.assert_frame_equal(lists, week.lists(name, WEEK, "all"), check_exact=True)
    assert night.load_for_blocks(name).known_.n_customers == 10
