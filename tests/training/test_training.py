"""The prediction engine on hand-made rows; tests/end_to_end/test_query_command.py runs it on a week."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import QueryError
from recs_assets.queries.validation import validate
from recs_assets.ranking.ranker import choose_threads
from recs_assets.schema import ArtefactError
from recs_assets.training import Plan, cache, models, plans, prepare, verdicts, week_ranker
from recs_assets.training.history import PAIR_FEATURES, History
from recs_assets.training.plans import plan_at
from recs_assets.week.lessons import Lesson

WEEK = date(2018, 1, 1)
TEST = date(2017, 12, 4)
TRAIN = (date(2017, 11, 6), date(2017, 10, 23), date(2017, 10, 9))
ANCHORS = [WEEK, TEST, *TRAIN]
SUM = "PREDICT SUM(order_lines.amount, {}) > 0 FOR EACH customers.customer_id"


def planned(window: str, anchors: list[date] = ANCHORS) -> Plan:
    return plan_at(validate(parse(SUM.format(window))), WEEK, anchors, 3, 28)


@pytest.mark.parametrize("window", ["0, 28, days", "0, 14, days", "7, 28, days", "0, 672, hours"])
def test_windows_that_fit_take_the_weekly_anchors(window):
    found = planned(window)
    assert (found.test, found.train, found.note) == (TEST, TRAIN, "")
    assert str(found.query.target) == f"SUM(order_lines.amount, {window}) > 0"


@pytest.mark.parametrize(
    ("window", "cut", "days"),
    [
        ("0, 30, days", "0, 28, days", 30),
        ("0, 720, hours", "0, 672, hours", 30),
        ("0, 1, months", "0, 28, days", 31),
    ],
)
def test_a_window_a_little_too_long_is_cut_and_says_so(window, cut, days):
    found = planned(window)
    assert str(found.query.target) == f"SUM(order_lines.amount, {cut}) > 0"
    assert (found.test, found.train) == (TEST, TRAIN)
    assert found.note.startswith(f"Labels cover the first 28 of the {days} days")


@pytest.mark.parametrize(("window", "days", "setting"), [("0, 32, days", 32, 35), ("0, 90, days", 90, 91)])
def test_a_window_much_too_long_is_refused(window, days, setting):
    with pytest.raises(QueryError) as caught:
        planned(window)
    assert caught.value.sentence == (
        f"Query line 1, column 9: the target looks {days} days ahead, but the anchors of the week 2018-01-01 are "
        f"laid out for 28; shorten the window, or run the week with RECS_HORIZON_DAYS={setting}."
    ).replace("column 9", f"column {caught.value.column}")


def test_earlier_anchors_are_taken_where_they_are_there():
    """Eight weeks ahead: the test moves to 6 November, and training to what is over by then."""
    older = [date(2017, 9, 11), date(2017, 8, 28), date(2017, 8, 14), date(2017, 7, 31)]
    found = planned("0, 56, days", [*ANCHORS, *older])
    assert (found.test, found.train) == (date(2017, 11, 6), tuple(older[:3]))


def test_no_training_label_reaches_past_the_test_and_no_test_label_past_the_week():
    for days in range(1, 29):
        found = planned(f"0, {days}, days")
        assert all((found.test - one).days >= days for one in found.train)
        assert (WEEK - found.test).days >= days


# -- what a customer bought from a category ----------------------------------------------------

BAKERY, DAIRY, FRUIT = range(3)


@pytest.fixture
def history(shop):
    group = pd.Index(["bakery", "dairy", "fruit"]).get_indexer(shop.products["category"])
    return history_of(shop, group, 3)


def history_of(known, group: np.ndarray, count: int) -> History:
    bought, events = known.purchased, known.events
    rows = (part[bought] for part in (events.customer, events.product, events.day))
    return History(*rows, group, (known.n_customers, count), known.anchor_day)


def test_days_of_purchase_per_category(history):
    rows = pd.DataFrame(
        history.features(np.array([0, 0, 1, 5]), np.array([DAIRY, BAKERY, DAIRY, DAIRY])),
        columns=list(PAIR_FEATURES),
    )
    # c1 bought dairy 84, 56 and 28 days ago; c2 56 and (twice on one day) 28; c6 never.
    assert rows["value_days"].tolist() == [3, 4, 2, 0]
    assert rows["value_days_28d"].tolist() == [1, 1, 1, 0]
    assert rows["value_days_91d"].tolist() == [3, 3, 2, 0]
    assert rows["value_days_since_last"].fillna(-1).tolist() == [28, 28, 28, -1]
    assert rows["value_days_since_first"].fillna(-1).tolist() == [84, 112, 56, -1]
    assert rows["value_mean_gap_days"].fillna(-1).tolist() == [28, 28, 28, -1]
    assert rows["value_due_ratio"].fillna(-1).tolist() == [1, 1, 1, -1]
    assert rows["value_decayed_days_14"].tolist() == pytest.approx(
        [2**-6 + 2**-4 + 2**-2, 2**-8 + 2**-6 + 2**-4 + 2**-2, 2**-4 + 2**-2, 0]
    )
    # Half-life 28 days: c1 7/8, c2 3/4, c3 1/2, c4 13/16, c5 1/2.
    assert rows["value_popularity"].tolist() == pytest.approx([3.4375, 2.6875, 3.4375, 3.4375])
    assert rows["value_buyer_share"].tolist() == pytest.approx([1, 0.8, 1, 1])


def test_values_that_customers_like_to_buy_together_speak_for_each_other(history):
    """c3 (2) never bought dairy, which everybody else who buys bakery does; c6 (5) bought nothing."""
    alike = history.score_alike(np.array([2, 5]), np.array([DAIRY, DAIRY]))
    assert alike[0] > 0
    assert alike[1] == 0


def test_a_shop_without_purchases_has_no_categories(build_known):
    known = build_known([])
    empty = history_of(known, np.zeros(known.n_products, dtype=int), 1)
    assert np.isnan(empty.features(np.array([0]), np.array([0]))[0, 8])


# -- learning ----------------------------------------------------------------------------------


def lesson(seed: int, rows: int, label) -> Lesson:
    X = np.random.default_rng(seed).random((rows, 3)).astype(np.float32)
    return Lesson(np.arange(rows), label(X), np.ones(rows, dtype=np.float32), X, ("a", "b", "c"))


def learnt(objective: str, label) -> tuple[dict, Lesson]:
    parts = [lesson(seed, 2000, label) for seed in range(3)]
    return models.learn(objective, parts[:1], parts[1], parts[1], parts[:2], 0, 1), parts[2]


def test_a_boolean_is_learnt_and_calibrated():
    models, later = learnt("binary", lambda X: (X[:, 1] > 0.7).astype(float))
    assert list(models) == ["linear", "query"]  # simplest first
    for model in models.values():
        score = model.score(later.frame)
        assert verdicts.auroc(later.label, score) > 0.99
        assert model.probability(score).mean() == pytest.approx(later.label.mean(), abs=0.02)
        again = model.refit([later])
        assert (again.score(later.frame) == model.refit([later]).score(later.frame)).all()


def test_no_probability_is_surer_than_the_rows_it_was_calibrated_on():
    """8 customers whom one feature separates: not 0.999999, but 9 of 10 at most."""
    parts = [lesson(seed, 8, lambda X: (np.arange(8) % 2).astype(float)) for seed in range(2)]
    for part in parts:
        part.frame[:, 0] = np.arange(8) % 2
    model = models.learn("binary", parts[:1], parts[1], parts[1], parts, 0, 1)["linear"]
    assert model.probability(np.array([-50.0, 50.0])).round(6).tolist() == [0.1, 0.9]


def test_a_number_is_learnt():
    models, later = learnt("tweedie", lambda X: 100.0 * X[:, 1])
    assert [model.calibrator for model in models.values()] == [None, None]
    assert "b" in models["query"].used
    for model in models.values():
        assert np.abs(model.score(later.frame) - later.label).mean() < 3


def test_a_linear_model_takes_the_unknown_for_the_longest_ago():
    """Days since the last order 1, 2, 3 and never, and half as many orders each time."""
    X = np.array([[1.0], [2], [3], [np.nan]], dtype=np.float32)
    model = models.Linear(boolean=False).fit(X, np.array([6.0, 4, 2, 2]), np.ones(4))
    assert model.score(X).round(1).tolist() == [6.0, 4.0, 2.0, 2.0]


@pytest.mark.parametrize(("rows", "threads"), [(2_452, 1), (299_999, 1), (600_000, 2), (5_000_000, 2)])
def test_few_rows_are_the_work_of_one_thread(rows, threads):
    assert choose_threads(rows, 2) == threads


# -- the cache -----------------------------------------------------------------------------------


def metrics_of(value: float) -> pd.DataFrame:
    """A test of two rows; of the second no difference is known."""
    return pd.DataFrame({"metric": ["auroc", "auroc"], "model": ["linear", "query"], "low": [value, np.nan]})


@pytest.mark.parametrize("objective", ["binary", "tweedie"])
@pytest.mark.parametrize("name", ["linear", "query"])
def test_a_kept_model_says_the_same(tmp_path, objective, name):
    label = (lambda X: (X[:, 1] > 0.7).astype(float)) if objective == "binary" else lambda X: 9.0 * X[:, 1]
    models, later = learnt(objective, label)
    outcome = cache.Outcome(models[name], name, "why", metrics_of(0.1 + 0.2), metrics_of(1.0))
    cache.write(tmp_path / "kept", outcome)
    found = cache.read(tmp_path / "kept", 1)
    score = models[name].score(later.frame)
    assert (found.learned.score(later.frame) == score).all()
    if objective == "binary":
        assert (found.learned.probability(score) == models[name].probability(score)).all()
    assert (found.chosen, found.why, found.learned.used) == (name, "why", models[name].used)
    pd.testing.assert_frame_equal(found.metrics, outcome.metrics)
    pd.testing.assert_frame_equal(found.by_value, outcome.by_value)


def test_a_formula_is_kept_as_such(tmp_path):
    cache.write(tmp_path / "kept", cache.Outcome(None, "rate_91d", "why", metrics_of(0.5)))
    assert cache.read(tmp_path / "kept", 1).learned is None
    assert cache.read(tmp_path / "none", 1) is None


@pytest.mark.parametrize("name", [cache.TREES, cache.DESCRIPTION])
def test_a_kept_model_that_was_changed_is_refused(tmp_path, name):
    models, _ = learnt("binary", lambda X: (X[:, 1] > 0.7).astype(float))
    cache.write(tmp_path / "kept", cache.Outcome(models["query"], "query", "", metrics_of(0.5)))
    path = tmp_path / "kept" / name
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(ArtefactError, match="is not what was written"):
        cache.read(tmp_path / "kept", 1)


def test_the_oldest_are_not_kept_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "MOST_KEPT", 2)
    for number, name in enumerate(("a", "b", "c")):
        cache.write(tmp_path / name, cache.Outcome(None, "rate_91d", "", metrics_of(0.5)))
        if (tmp_path / name).exists():
            os.utime(tmp_path / name, (number, number))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b", "c"]


# -- judging -----------------------------------------------------------------------------------


def value_of(verdict: verdicts.Verdict, metric: str, model: str, column: str = "value") -> float:
    metrics = verdict.table
    row = metrics[(metrics["metric"] == metric) & (metrics["model"] == model)]
    return float(row[column].iloc[0])


def test_areas_by_hand():
    assert verdicts.auroc(np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0])) == 0.75
    assert verdicts.average_precision(np.array([0, 1, 1, 0]), np.zeros(4)) == 0.5


def test_a_number_is_judged_by_error_and_explained_variance():
    label = np.array([0.0, 2.0, 4.0])
    metrics = verdicts.judge_number(label, {"query": label, "previous_window": np.ones(3)}, 0)
    assert value_of(metrics, "mae", "query") == 0
    assert value_of(metrics, "mae", "previous_window") == pytest.approx(5 / 3)
    assert value_of(metrics, "r2", "query") == 1
    assert value_of(metrics, "r2", "previous_window") == pytest.approx(1 - 11 / 8)
    assert value_of(metrics, "mae", "previous_window", "difference") == pytest.approx(-5 / 3)


def test_a_boolean_without_both_answers_is_not_judged():
    assert len(verdicts.judge_boolean(np.ones(3), {"query": np.ones(3)}, 0).table) == 0


def test_every_metric_has_an_interval_around_it():
    label = np.tile([0.0, 1.0, 1.0, 0.0], 25)
    scores = {"query": label + np.tile([0, 0, -0.5, 0], 25), "linear": np.arange(100.0)}
    for verdict in (verdicts.judge_boolean(label, scores, 0), verdicts.judge_number(label, scores, 0)):
        table = verdict.table
        assert (table["low"] <= table["value"]).all()
        assert (table["value"] <= table["high"]).all()


def test_one_customer_gives_no_interval_and_no_comparison():
    verdict = verdicts.judge_number(
        np.array([3.0]), {"query": np.array([1.0]), "rate_91d": np.array([2.5])}, 0
    )
    assert verdict.value("mae", "query") == 2.0
    assert verdict.table[["low", "high", "ci_low", "ci_high"]].isna().all().all()
    assert verdict.simplest(["rate_91d", "query"], "r2")[1].startswith(
        "The test could not compare the models"
    )


def test_the_simplest_model_answers_that_no_other_is_proven_to_beat():
    label = np.tile([0.0, 1.0], 50)
    better, worse = label, np.tile([0.0, 1.0, 1.0, 0.0], 25)
    said = verdicts.judge_boolean(label, {"linear": worse, "query": better}, 0).simplest(
        ["linear", "query"], "auroc"
    )
    assert said == (
        "query",
        "query answers: auroc 1.0000, proven better than linear (0.5000); no other is proven better than it.",
    )
    chosen, why = verdicts.judge_boolean(label, {"linear": better, "query": better}, 0).simplest(
        ["linear", "query"], "auroc"
    )
    assert chosen == "linear"
    assert why == "linear answers: the simplest model, and no other is proven better (auroc 1.0000)."


def test_a_test_without_events_leaves_the_answer_to_the_simplest():
    verdict = verdicts.judge_boolean(np.ones(3), {"linear": np.ones(3), "query": np.ones(3)}, 0)
    assert verdict.simplest(["linear", "query"], "auroc")[0] == "linear"


# -- weekly anchors ----------------------------------------------------------------------------


def test_weekly_anchors_reach_as_far_as_the_log():
    """A log of a year: the first anchor has 91 days to look back on, and no window reaches past the next."""
    found = plans.plan_weekly(validate(parse(SUM.format("0, 28, days"))), WEEK, date(2017, 1, 1), 52)
    assert (found.test, found.train[0], found.train[-1]) == (
        date(2017, 12, 4),
        date(2017, 11, 6),
        date(2017, 4, 3),
    )
    assert np.diff([day.toordinal() for day in found.train]).tolist() == [-7] * 31
    assert found.again[:5] == (
        TEST,
        date(2017, 11, 27),
        date(2017, 11, 20),
        date(2017, 11, 13),
        date(2017, 11, 6),
    )


@pytest.mark.parametrize("week", [date(2018, 1, 1), date(2017, 12, 26), date(2017, 10, 15)])
def test_windows_longer_than_the_weeks_and_any_date_are_served(week):
    found = plans.plan_weekly(validate(parse(SUM.format("0, 90, days"))), week, date(2017, 1, 1), 52)
    assert (week - found.test).days >= 90
    assert all((found.test - one).days >= 90 for one in found.train)


def test_a_window_too_long_for_the_log_is_refused():
    with pytest.raises(QueryError) as caught:
        plans.plan_weekly(validate(parse(SUM.format("0, 200, days"))), WEEK, date(2017, 1, 1), 52)
    assert (
        "the target looks 200 days ahead, and the 365 days of the log before 2018-01-01 are too few"
        in str(caught.value)
    )
    assert "shorten the window to 133 days or less" in str(caught.value)
    assert plans.plan_weekly(validate(parse(SUM.format("0, 133, days"))), WEEK, date(2017, 1, 1), 52)


def test_values_are_judged_over_all_customers_not_over_candidates():
    """20 customers: the first ten buy value 0; nine of them buy value 1, too few to judge."""
    truth = sparse.csr_matrix(np.column_stack([np.arange(20) < 10, np.arange(20) < 9]).astype(float))
    # Nobody but the first ten is a candidate, so the others score 0.
    query = sparse.csr_matrix((np.ones(10), (np.arange(10), np.zeros(10, dtype=int))), shape=(20, 2))
    own = sparse.csr_matrix((20, 2))
    metrics, table = verdicts.judge_values(
        np.arange(20), truth, {"query": query, "own_frequency": own}, np.array([5.0, 1.0]), ["a", "b"], 0, 2
    )
    assert table[["value", "customers"]].to_numpy().tolist() == [["a", 10]]
    assert value_of(metrics, "auroc", "query") == 1
    assert value_of(metrics, "auroc", "own_frequency") == 0.5
    assert value_of(metrics, "average_precision", "popularity") == 0.5
    assert value_of(metrics, "pooled_auroc", "popularity") == 0.5


def test_classes_are_judged_by_the_likeliest_and_by_the_probability_of_what_came_true():
    """Three customers, two classes; the first and the last chose class 0, the one in between class 1."""
    truth = sparse.csr_matrix(np.array([[1.0, 0], [0, 1], [1, 0]]))
    sure = sparse.csr_matrix(np.array([[0.8, 0.2], [0.6, 0.4], [0.9, 0.1]]))
    verdict = verdicts.judge_classes(
        np.arange(3), truth, {"query": sure, "own_frequency": truth}, np.array([5.0, 1.0]), 0
    )
    assert value_of(verdict, "accuracy", "query") == pytest.approx(2 / 3)
    assert value_of(verdict, "accuracy", "own_frequency") == 1
    assert value_of(verdict, "accuracy", "class_frequency") == pytest.approx(2 / 3)
    assert value_of(verdict, "log_likelihood", "query") == pytest.approx(np.log([0.8, 0.4, 0.9]).mean())
    # Seen 5 times and once, and both once more than that: 6 and 2 of 8.
    assert value_of(verdict, "log_likelihood", "class_frequency") == pytest.approx(
        np.log([0.75, 0.25, 0.75]).mean()
    )
    assert ("log_likelihood", "own_frequency") not in verdict.resampled


def test_products_are_judged_over_customers_who_bought():
    truth = sparse.csr_matrix(np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 0]]))
    lists = {
        "query": pd.DataFrame({"customer": [0, 0, 1], "product": [0, 2, 1], "rank": [1, 2, 1]}),
        "popularity": pd.DataFrame({"customer": [0, 1], "product": [1, 1], "rank": [1, 1]}),
    }
    metrics = verdicts.judge_products(lists, truth, np.arange(3), 5, 0)
    assert value_of(metrics, "map@12", "query") == 1
    assert value_of(metrics, "map@12", "popularity") == 0.5
    assert value_of(metrics, "recall@5", "popularity", "difference") == 0.5
    compared = verdicts.compare_products(lists, truth, np.arange(3))
    assert {name: values.tolist() for name, values in compared.items()} == {
        "query": [1, 1],
        "popularity": [0, 1],
    }


def test_products_that_are_new_follow_the_depth():
    rows = pd.DataFrame(
        {"customer": [0, 0, 1], "product": [3, 4, 3], "rank": [1, 2, 1], "score": [3.0, 2.0, 1.0]}
    )
    new = pd.DataFrame(
        {"customer": [0, 0, 1], "product": [4, 7, 8], "rank": [1, 2, 1], "score": [2.0, 1.0, 0.5]}
    )
    both = week_ranker.add_new(rows, new, 2)
    assert both[["customer", "product", "rank"]].to_numpy().tolist() == [
        [0, 3, 1],
        [0, 4, 2],
        [0, 7, 4],
        [1, 3, 1],
        [1, 8, 3],
    ]


# -- from outside ------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, recs_assets; sys.exit(any(name in sys.modules for name in ('dagster', 'pandas', 'duckdb')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import recs_assets

    with pytest.raises(AttributeError, match="no attribute 'forecast'"):
        recs_assets.forecast  # noqa: B018


@pytest.mark.parametrize(
    ("query", "view", "expected"),
    [
        (
            SUM.format("0, 28, days"),
            "new",
            "only a ranking of products can be about new purchases; use the view all.",
        ),
        (
            SUM.format("0, 28, days") + " AS OF '2017-12-25'",
            "all",
            "the query is AS OF 2017-12-25, but it is asked for 2018-01-01; leave one out.",
        ),
    ],
)
def test_contradictions_are_refused(query, view, expected):
    with pytest.raises(QueryError) as caught:
        prepare._validate_for(query, WEEK, view)
    assert caught.value.sentence == expected
