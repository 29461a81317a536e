"""Which settings a week's recommenders get (`week.parameters.choose_parameters`)."""

from datetime import date
from types import SimpleNamespace

import pytest

from recs_assets.evaluation.tuning import Search
from recs_assets.recommenders.shape import Shape
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.parameters import choose_parameters, search_path
from recs_assets.week.week import Week

WEEK, TEST, TRAIN = date(2024, 3, 4), date(2024, 2, 5), date(2024, 1, 8)
SHAPE = Shape(5, 7, 17, 1 - 17 / 27)  # of tests/helpers/known.py


@pytest.fixture
def house(tmp_path, shop):
    house = Warehouse(tmp_path)
    house.build(WEEK).cache[TRAIN] = shop
    return house


def week_of(house, as_of=WEEK):
    anchors = SimpleNamespace(test_anchors=lambda week: [TEST], anchors=lambda week: [WEEK, TEST, TRAIN])
    return Week(anchors, house, as_of)


def choose(house):
    return choose_parameters(week_of(house))


def keep(house, week, anchor, until, shape=SHAPE, alpha=40.0):
    path = search_path(week_of(house, week))
    path.parent.mkdir(parents=True)
    path.write_text(Search(anchor, until, shape, {"als": {"alpha": alpha}}).to_json())


def test_without_a_search_the_rule_decides(house):
    # 17 pairs are too few to tell: the defaults.
    found = choose(house)
    assert found.parameters == {}
    assert found.why == "settings by rule: density 0.49, repeat share 0.37"
    assert found.stale is None


def test_the_newest_search_is_used_and_kept_with_the_week(house):
    keep(house, date(2024, 2, 5), date(2023, 12, 11), date(2024, 1, 8), alpha=1.0)
    keep(house, date(2024, 2, 26), date(2024, 1, 1), date(2024, 1, 29))
    found = choose(house)
    assert found.parameters == {"als": {"alpha": 40.0}}
    assert found.why == "settings by the search of 2024-01-01"
    assert (
        search_path(week_of(house, WEEK)).read_text()
        == search_path(week_of(house, date(2024, 2, 26))).read_text()
    )


@pytest.mark.parametrize(("until", "used"), [(date(2024, 2, 5), True), (date(2024, 2, 6), False)])
def test_a_search_that_saw_the_tests_window_is_not_used(house, until, used):
    keep(house, date(2024, 3, 11), date(2024, 1, 9), until)
    assert choose(house).parameters == ({"als": {"alpha": 40.0}} if used else {})
    assert search_path(week_of(house, WEEK)).exists() == used


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (Shape(5, 7, 8, SHAPE.repeat_share), "the density was 0.23 and is 0.49"),
        (Shape(5, 7, 17, 0.2), "the repeat share was 0.20 and is 0.37"),
    ],
)
def test_a_shop_that_became_another_gets_the_rule_and_a_warning(house, shape, why):
    keep(house, date(2024, 2, 26), date(2024, 1, 1), date(2024, 1, 29), shape)
    found = choose(house)
    assert found.parameters == {}
    assert found.stale == f"the search of 2024-01-01 is not used: {why}; run the job `research` again"
