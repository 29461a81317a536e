from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.ranking import FEATURES, config, market
from recs_assets.ranking.candidates import merge
from recs_assets.ranking.features import FAMILIES, build_source_frame, select_features
from recs_assets.ranking.ranker import Ranker, RankerConfig, load_config
from recs_assets.reasons.attribution import (
    Attribution,
    AttributionError,
    attribute,
    find_families,
)
from recs_assets.reasons.explain import explain_by_family
from recs_assets.recommenders import REGISTRY

AS_OF = date(2024, 3, 4)
SOURCES = ("repurchase", "rules", "content")
VIEWS = {"": "all", ":new": "new"}

FAMILY_NAMES = tuple(FAMILIES)


@pytest.fixture(scope="module")
def fitted():
    X, y, group = market()
    return Ranker(config(), seed=7).fit(X, y, group, FEATURES, rounds=20)


@pytest.fixture(scope="module")
def explained(fitted):
    return attribute(fitted, market(3)[0])


def test_contributions_and_base_are_the_score(fitted, explained):
    score = fitted.score(market(3)[0])
    np.testing.assert_allclose(explained.contribution.sum(axis=1) + explained.base, score, rtol=0, atol=1e-6)
    assert explained.score.tobytes() == score.tobytes()


def test_features_are_summed_by_family(fitted, explained):
    # product_price is of family price, als_score of customers_like_you, rrf of context.
    values = fitted.contributions(market(3)[0])
    for column, family in enumerate(("price", "customers_like_you", "context")):
        np.testing.assert_array_equal(
            explained.contribution[:, FAMILY_NAMES.index(family)], values[:, column]
        )
    largest = np.abs(values[:, :3]).argmax(axis=1)
    np.testing.assert_array_equal(explained.feature[:, 0], largest)
    assert (explained.feature[:, 3:] == -1).all()
    best = explained.contribution.argmax(axis=1)
    assert explained.order[:, 0].tolist() == best.tolist()


def test_blocks_change_nothing(fitted, explained, monkeypatch):
    monkeypatch.setattr("recs_assets.reasons.attribution.BLOCK_ROWS", 77)
    again = attribute(fitted, market(3)[0])
    for name in Attribution.__annotations__:
        assert getattr(again, name).tobytes() == getattr(explained, name).tobytes()


def test_no_rows(fitted):
    assert len(attribute(fitted, np.empty((0, 3), dtype=np.float32))) == 0


def test_contributions_that_do_not_add_up_are_an_error(fitted, monkeypatch):
    honest = fitted.contributions
    monkeypatch.setattr(fitted, "contributions", lambda X: honest(X) + 0.001, raising=False)
    with pytest.raises(AttributionError, match=r"miss the score by 0\.004"):
        attribute(fitted, market(3)[0][:10])
    with pytest.raises(AttributionError, match="rating_of_mars, which the feature list lacks"):
        find_families(("rrf", "rating_of_mars"))


# -- a synthetic shop in which the reasons can be put to the test --------------------------------


def favourite(number):
    return 2 + number // 2 % 18


def shop(build_known, without=()):
    """120 customers. The even ones bought p00 with p01 .. in earlier baskets (so the rule p00 -> p01
    exists); the last 20 of them have not bought p01 yet. The odd ones buy a favourite of their own
    again and again. The rest is noise. `without`: (customer, product) never bought."""
    rng = np.random.default_rng(11)
    orders = []
    for number in range(120):
        name = f"c{number:03d}"
        baskets = [(84, []), (56, []), (28, [])]
        if number % 2 == 0:
            baskets[0][1].append("p00")
            if number < 80:
                baskets[0][1].append("p01")
        else:
            for _, products in baskets:
                products.append(f"p{favourite(number):02d}")
        for _, products in baskets:
            products.extend(f"p{product:02d}" for product in rng.choice(np.arange(2, 20), 2, replace=False))
        for age, products in baskets:
            kept = [product for product in products if (name, product) not in without]
            if kept:
                orders.append((f"{name}-{age}", name, age, kept))
    return build_known(
        orders,
        customers=[(f"c{number:03d}", None, None) for number in range(120)],
        products=[
            (f"p{n:02d}", f"Thing {n}", None, f"kind {n % 3}", None, 1.0, True) for n in range(20)
        ],
        as_of=AS_OF,
    )  # fmt: skip


def scored(known, ranker=None, truth=None):
    """Candidates, frame and the recommenders of a shop; fits the ranker where there is none."""
    fitted = {name: REGISTRY[name].make(1, 200, 1).fit(known) for name in SOURCES}
    everyone = np.arange(known.n_customers, dtype=np.int32)
    lists = {
        f"{name}{suffix}": model.recommend(everyone, 20, view)
        for name, model in fitted.items()
        for suffix, view in VIEWS.items()
    }
    some = merge(lists, known, 20, 20)
    used = [one for one in select_features(SOURCES) if one.table == "source"]
    X = build_source_frame(some, used)
    if ranker is None:
        trees = {**load_config().trees.model_dump(), "min_data_in_leaf": 5, "lambda_l2": 1.0}
        settings = RankerConfig.model_validate({**load_config().model_dump(), "trees": trees})
        ranker = Ranker(settings).fit(
            X, some.labels(truth), some.customer, [one.name for one in used], rounds=30
        )
    return some, X, fitted, ranker


def test_without_the_cited_evidence_the_score_drops(build_known):
    known = shop(build_known)
    # Who bought p00 buys p01 next; who has a favourite buys it again.
    truth = sparse.lil_matrix((120, 20))
    truth[0::2, 1] = 1
    for number in range(1, 120, 2):
        truth[number, favourite(number)] = 1
    some, X, fitted, ranker = scored(known, truth=truth.tocsr())
    best = some.rank(ranker.score(X), 1)
    # The best of a poor list is no recommendation: only rows more likely bought than not.
    best = best[best["score"] > 0]
    why = attribute(ranker, X[best["row"].to_numpy()])
    rows = explain_by_family(best, known, fitted, why.order, why.contribution, FAMILY_NAMES)
    # What customers did with the product themselves is said whatever moved the ranker.
    family = np.array([FAMILY_NAMES.index(name) if name else 0 for name in rows["reason_family"]])
    cited = rows[(rows["because_product"] >= 0) & (family == why.order[:, 0])]
    codes = set(cited["reason_code"].astype(str))
    assert "bought_often" in codes
    assert "bought_together" in codes
    checked = 0
    for code in sorted(codes):
        for row in cited[cited["reason_code"] == code].tail(4).itertuples(index=False):
            assert row.because_day < known.anchor_day
            evidence = (
                known.customers["customer_id"][row.customer], known.products["product_id"][row.because_product],
            )  # fmt: skip
            less, frame, _, _ = scored(shop(build_known, without={evidence}), ranker=ranker)
            score = ranker.score(frame)
            here = (less.customer == row.customer) & (less.product == row.product)
            # No list proposes it any more, or the ranker thinks less of it.
            assert not here.any() or score[here][0] < row.score, (code, evidence)
            checked += 1
    assert checked >= 8


def test_a_rule_is_cited_with_its_support_and_confidence(build_known):
    known = shop(build_known)
    fitted = {"rules": REGISTRY["rules"].make(1, 200, 1).fit(known)}
    rows = [[100, 1]]  # c100 bought p00, never p01
    contribution = np.zeros((1, len(FAMILY_NAMES)))
    contribution[0, FAMILY_NAMES.index("bought_with")] = 1.0
    order = np.argsort(-contribution, axis=1, kind="stable")
    found = explain_by_family(
        pd.DataFrame(rows, columns=["customer", "product"]), known, fitted, order, contribution, FAMILY_NAMES
    ).iloc[0]
    # 40 of 360 baskets hold both; 60 hold p00. The other cause of p01 is rarer.
    assert found["reason_text"] == "Often bought with Thing 0, which you bought on 11 Dec 2023"
    assert found["because_product"] == 0
    assert found["support"] == pytest.approx(40 / 360)
    assert found["confidence"] == pytest.approx(40 / 60)
    assert found["reason_family"] == "bought_with"
