"""The searches of settings on a hand-made week: what they are judged by, and what they write."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recs_assets.shop import RANKER
from recs_assets.training import search

TEST = date(2017, 12, 4)
TRAIN = (date(2017, 11, 6), date(2017, 10, 23))
TODAY: dict[str, float] = {}


@pytest.fixture
def week(tmp_path):
    """Three customers, of whom nothing is learned from the second; customer 0 bought p1, customer 2 bought p0."""
    known = SimpleNamespace(
        n_customers=3,
        customers=pd.DataFrame({"customer_id": ["c0", "c1", "c2"], "learned_from": [True, False, True]}),
        history=sparse.csr_matrix((3, 2), dtype=np.int8),
    )
    truth = sparse.csr_matrix(np.array([[0, 1], [0, 0], [1, 0]], dtype=np.int8))
    settings = SimpleNamespace(seed=7, threads=1)
    trained_on = {TEST: TRAIN}
    shop = SimpleNamespace(settings=settings, seed=7, horizon_days=28, train_anchors=trained_on.__getitem__)
    return SimpleNamespace(
        shop=shop,
        settings=settings,
        as_of=date(2018, 1, 1),
        test_anchors=(TEST,),
        known={TRAIN[0]: known}.__getitem__,
        fit_known={TRAIN[0]: known}.__getitem__,
        truth={TRAIN[0]: truth}.__getitem__,
        model_path=tmp_path.joinpath,
    )


def test_the_best_trial_comes_first_and_the_earlier_of_two_equal_ones(week, monkeypatch):
    values = iter([0.1, 0.3, 0.2, 0.3])
    monkeypatch.setattr(
        search, "_prepare_value", lambda week, say: lambda trees: 0.25 if trees == TODAY else next(values)
    )
    messages = []
    result, path = search.search_ranker(week, 4, messages.append)
    assert [value for value, _ in result.trials] == [0.3, 0.3, 0.2, 0.1]
    assert result.best == result.trials[0][1] != result.trials[1][1]
    assert messages == [
        "Trial 1 of 4: MAP@12 0.10000.",
        "Trial 2 of 4: MAP@12 0.30000.",
        "Trial 3 of 4: MAP@12 0.20000.",
        "Trial 4 of 4: MAP@12 0.30000.",
    ]
    assert path.name == "ranker_search.json"
    assert json.loads(path.read_text()) == {
        "best": result.best,
        "map_at_12": 0.3,
        "map_at_12_of_ranker_yaml": 0.25,
    }


def test_the_same_seed_tries_the_same_settings(week, monkeypatch):
    monkeypatch.setattr(
        search, "_prepare_value", lambda week, say: lambda trees: trees.get("learning_rate", 0.0)
    )
    first, second = (search.search_ranker(week, 3, lambda message: None)[0] for _ in range(2))
    assert first == second
    week.settings.seed = 8
    assert search.search_ranker(week, 3, lambda message: None)[0].trials != first.trials


def test_a_trial_replaces_the_trees_settings_alone():
    replaced = search._replace_trees({"num_leaves": 9})
    assert replaced.trees.num_leaves == 9
    assert replaced.model_copy(update={"trees": RANKER.trees}) == RANKER
    assert search._replace_trees(TODAY) == RANKER


def test_trees_are_judged_by_the_buyers_of_the_latest_training_anchor(week, monkeypatch):
    """The list p0, p1 finds customer 0's product in the second place and customer 2's in the first; customer 1 bought
    nothing and does not count."""
    lists = pd.DataFrame(
        {"customer": np.repeat([0, 1, 2], 2), "product": [0, 1] * 3, "rank": [1, 2] * 3}
    ).astype(np.int32)
    loaded, fitted = [], []

    def load_lessons(task, anchors, say):
        loaded.extend(anchors)
        ranked = SimpleNamespace(rank=lambda score, k: lists)
        return SimpleNamespace(
            kept=SimpleNamespace(frame="kept frame", label="kept label", group="kept group"),
            earlier="earlier lessons",
            sheet=SimpleNamespace(candidates=ranked),
        )

    class StubRanker:
        def __init__(self, config, seed, threads):
            fitted.append((config.trees.num_leaves, seed, threads))

        def fit(self, **material):
            fitted.append(material)
            return self

        def score(self, frame):
            assert frame == "kept frame"

    monkeypatch.setattr(search, "load_lessons", load_lessons)
    monkeypatch.setattr(search, "Products", lambda *arguments: None)
    monkeypatch.setattr(search, "week_query", lambda week: None)
    monkeypatch.setattr(search, "join_lessons", lambda lessons: {"X": lessons})
    monkeypatch.setattr(search, "Ranker", StubRanker)
    assert search._prepare_value(week, lambda message: None)({"num_leaves": 9}) == 0.75
    assert loaded == list(TRAIN)
    assert fitted == [
        (9, 7, 1),
        {"X": "earlier lessons", "valid": ("kept frame", "kept label", "kept group")},
    ]


def test_recommenders_are_judged_before_the_test_anchor_by_customers_to_learn_from(
    week, monkeypatch, tmp_path
):
    asked = {}

    def record(make, known, truth, customers, end, today, **more):
        asked.update(truth=truth, customers=customers.tolist(), end=end, today=today, **more)
        return SimpleNamespace(to_json=lambda: "{}")

    monkeypatch.setattr(search, "search", record)
    monkeypatch.setattr(
        search, "choose_parameters", lambda week: SimpleNamespace(parameters={"als": {"alpha": 1.0}})
    )
    monkeypatch.setattr(search, "search_path", lambda week: tmp_path / "search.json")
    say = print
    _, path = search.search_recommenders(week, trials=5, customers=10, say=say)
    assert path.read_text() == "{}"
    assert asked.pop("truth") is week.truth(TRAIN[0])
    assert asked.pop("sample") is week.fit_known(TRAIN[0])
    assert asked == {
        "customers": [0, 2],
        "end": TEST,
        "today": {"als": {"alpha": 1.0}},
        "trials": 5,
        "seed": 7,
        "say": say,
    }
