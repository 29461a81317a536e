from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recs_assets.evaluation import promotion
from recs_assets.recommenders.popularity import Popularity
from recs_assets.recommenders.repurchase import Repurchase
from recs_assets.recommenders.user_knn import UserKNN

SPREAD = np.linspace(0, 1, 200)


def test_simplest_first_and_only_what_is_proven():
    values = {
        "ranker": SPREAD + 0.25 + np.tile([0.01, -0.01], 100),  # level with the blend: not promoted
        "blend": SPREAD + 0.25,
        "repurchase": SPREAD + 0.1,
        "popularity": SPREAD,
        "user_knn": SPREAD + 0.05,  # better than popularity, worse than what holds
    }
    decision = promotion.decide(values, seed=1)
    assert decision.chosen == "blend"
    table = decision.comparisons
    assert tuple(table.columns) == promotion.COLUMNS
    assert table[["candidate", "incumbent", "promoted"]].to_numpy().tolist() == [
        ["repurchase", "popularity", True],
        ["user_knn", "repurchase", False],
        ["blend", "repurchase", True],
        ["ranker", "blend", False],
    ]
    np.testing.assert_allclose(table["difference"], [0.1, -0.05, 0.15, 0], atol=1e-12)
    assert table["ci_low"].iloc[0] == pytest.approx(0.1)
    assert table["ci_low"].iloc[3] < 0 < table["ci_high"].iloc[3]
    assert (table["chosen"] == "blend").all()
    assert (table["customers"] == 200).all()


def test_a_model_that_no_other_is_proven_to_beat_is_kept_though_it_is_not_proven_better_itself():
    """user_knn is level with repurchase, and the ranker with user_knn; the ranker beats repurchase."""
    noise = np.tile([1.0, -1.0], 100)
    values = {
        "repurchase": np.full(200, 0.5),
        "user_knn": 0.503 + 0.03 * noise,
        "ranker": np.full(200, 0.505),
    }
    decision = promotion.decide(values, seed=1)
    assert decision.chosen == "user_knn"
    assert decision.comparisons[["candidate", "incumbent", "promoted"]].to_numpy().tolist() == [
        ["user_knn", "repurchase", False],
        ["ranker", "repurchase", True],
        ["ranker", "user_knn", False],
    ]
    assert promotion.explain_decision(decision.comparisons, decision.chosen) == (
        "Lists made by user_knn, the simplest model that no other is proven to beat: of the simpler ones, repurchase is "
        "beaten by ranker, whose map@12 of 0.5050 beats repurchase's 0.5000 by 0.0050 (0.0050 to 0.0050)."
    )


def test_equal_models_leave_the_simplest():
    decision = promotion.decide({"popularity": SPREAD, "blend": SPREAD.copy(), "ranker": SPREAD.copy()})
    assert decision.chosen == "popularity"
    assert decision.comparisons["promoted"].tolist() == [False, False]


def test_one_or_two_customers_choose_no_model():
    values = {"popularity": np.zeros(2), "user_knn": np.ones(2), "ranker": np.full(2, 0.5)}
    decision = promotion.decide(values, seed=1)
    assert decision.chosen == "popularity"
    assert decision.comparisons[["ci_low", "ci_high"]].to_numpy().tolist() == [[0, 1], [0, 0.5]]
    assert promotion.explain_decision(decision.comparisons, "popularity") == (
        "Lists made by popularity, the simplest model: none of user_knn, ranker is proven to beat it. Only 2 customers "
        "bought anything in the test, and so few prove nothing."
    )


def test_missing_models_are_passed_over():
    decision = promotion.decide({"blend": SPREAD})
    assert (decision.chosen, len(decision.comparisons)) == ("blend", 0)
    with pytest.raises(ValueError, match="nothing can be chosen"):
        promotion.decide({"magic": SPREAD})
    with pytest.raises(ValueError, match="equal lengths"):
        promotion.decide({"popularity": SPREAD, "blend": SPREAD[1:]})


def fans(build_known, shuffled):
    """300 customers who buy their own five products of 60 every week; label week as any other.
    Shuffled: the same lines, their customers permuted."""
    rng = np.random.default_rng(11)
    weights = 1 / np.arange(1, 61)
    taste = [rng.choice(60, 5, replace=False, p=weights / weights.sum()) for _ in range(300)]
    customer, product, week = (
        part.ravel()
        for part in np.broadcast_arrays(np.arange(300)[:, None, None], np.array(taste)[:, :, None], np.arange(8))
    )  # fmt: skip
    if shuffled:
        customer = rng.permutation(customer)
    orders = [
        (f"o{c}-{w}", f"c{c:03d}", 7 * int(w), [f"p{p:02d}"])
        for c, p, w in zip(customer, product, week, strict=True)
        if w > 0
    ]
    people = [(f"c{c:03d}", None, None) for c in range(300)]
    products = [(f"p{p:02d}", f"thing {p}", None, None, None, 1.0, True) for p in range(60)]
    known = build_known(orders, people, products, as_of=date(2024, 3, 4) - timedelta(weeks=1))
    now = week == 0
    truth = sparse.csr_matrix((np.ones(now.sum()), (customer[now], product[now])), shape=(300, 60))
    truth.sum_duplicates()
    return known, truth


@pytest.mark.parametrize(("shuffled", "chosen"), [(False, "repurchase"), (True, "popularity")])
def test_shuffled_customers_leave_the_simplest(build_known, shuffled, chosen):
    known, truth = fans(build_known, shuffled)
    everybody = np.arange(known.n_customers)
    models = {model.name: model.fit(known) for model in (Popularity(), Repurchase(), UserKNN())}
    lists: dict[str, pd.DataFrame] = {name: model.recommend(everybody, 12) for name, model in models.items()}
    values = promotion.measure_models(lists, known, truth, everybody)
    assert promotion.decide(values, seed=3).chosen == chosen


def test_measured_models_drop_who_has_no_truth(build_known):
    known = build_known([("o1", "c1", 3, ["p1"]), ("o2", "c2", 3, ["p2"])])
    truth = sparse.csr_matrix((np.ones(2), ([0, 1], [0, 0])), shape=(6, 8))  # c1 again, c2 for the first time
    lists = {"popularity": Popularity().fit(known).recommend(np.arange(6), 5)}
    everybody = np.arange(6)
    assert promotion.measure_models(lists, known, truth, everybody)["popularity"].tolist() == [1, 1]
    new = promotion.measure_models(lists, known, truth, everybody, view="new", metric="hit_rate", k=1)
    assert new["popularity"].tolist() == [1]
