import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.ranking import blend as blending
from recs_assets.ranking.blend import BlendConfig, BlendError, blend, load_config
from recs_assets.recommenders import REGISTRY
from recs_assets.schema import SettingsError

RANKED = ("customer", "product", "score", "rank", "source")


def frame(rows):
    """(customer, product, score) rows, sorted by customer, score as a recommender returns them."""
    table = pd.DataFrame(rows, columns=["customer", "product", "score"])
    return table.astype({"customer": np.int32, "product": np.int32, "score": np.float32})


def config(**changes):
    content = {
        "groups": {
            "cf": {"als": 3, "knn": 1},
            "content": {"content": 1},
            "rules": {"rules": 1},
            "popularity": {"shelf": 1},
        },
        "levels": [
            {"from_orders": 0, "weights": {"popularity": 1}},
            {"from_orders": 1, "weights": {"cf": 0.4, "content": 0.3, "rules": 0.3}},
        ],
        "without_cf": {"content": 0.5, "rules": 0.5},
        "fill": "pop",
    }
    return BlendConfig.model_validate(content | changes)


EMPTY = frame([])


def lists(**given):
    return dict.fromkeys(("als", "knn", "content", "rules", "shelf", "pop"), EMPTY) | given


def rows_of(result, customer=0):
    mine = result[result["customer"] == customer]
    return list(zip(mine["product"], mine["source"], strict=True))


def test_weighted_sum_of_normalised_scores():
    result = blend(
        lists(
            als=frame([(0, 7, 9.0), (0, 8, 5.0), (0, 9, 1.0)]),  # normalised 1, 0.505, 0.01
            content=frame([(0, 8, 0.2), (0, 5, 0.1)]),  # 1, 0.01
            rules=frame([(0, 9, 0.4)]),  # 1
        ),
        np.array([5]),
        config(),
        k=10,
    )
    # als weighs 0.4 * 3/4 = 0.3, content 0.3, rules 0.3.
    assert rows_of(result) == [(8, "content"), (9, "rules"), (7, "als"), (5, "content")]
    np.testing.assert_allclose(
        result["score"],
        [0.3 * 0.505 + 0.3, 0.3 * 0.01 + 0.3, 0.3, 0.003],
        rtol=1e-6,
    )
    assert result["rank"].tolist() == [1, 2, 3, 4]
    assert tuple(result.columns) == RANKED
    assert [str(result[name].dtype) for name in RANKED[:4]] == ["int32", "int32", "float32", "int16"]


def test_weights_follow_the_number_of_orders():
    given = lists(
        als=frame([(0, 1, 1.0), (1, 1, 1.0)]),
        shelf=frame([(0, 2, 1.0), (1, 2, 1.0)]),
    )
    result = blend(given, np.array([0, 1]), config(), k=10)
    assert rows_of(result, 0) == [(2, "shelf")]
    assert rows_of(result, 1) == [(1, "als")]


def test_without_cf_the_others_share():
    given = lists(
        als=frame([(1, 1, 1.0)]),
        content=frame([(0, 2, 1.0), (1, 2, 1.0)]),
        rules=frame([(0, 3, 1.0), (1, 3, 1.0)]),
    )
    result = blend(given, np.array([3, 3]), config(), k=10)
    # Ties by score go to the smaller product.
    assert rows_of(result, 0) == [(2, "content"), (3, "rules")]
    np.testing.assert_allclose(result["score"][:2], [0.5, 0.5])
    assert rows_of(result, 1) == [(1, "als"), (2, "content"), (3, "rules")]
    np.testing.assert_allclose(result["score"][2:], [0.3, 0.3, 0.3], rtol=1e-6)


def test_tie_between_sources_goes_to_the_first_of_the_configuration():
    given = lists(rules=frame([(0, 4, 1.0)]), content=frame([(0, 4, 1.0)]))
    result = blend(given, np.array([3]), config(), k=10)
    assert rows_of(result) == [(4, "content")]
    assert result["score"].tolist() == [1.0]


def test_short_lists_are_filled_below_every_other_row():
    given = lists(
        content=frame([(0, 4, 2.0), (0, 6, 1.0)]),
        pop=frame([(0, 6, 30.0), (0, 9, 20.0), (0, 1, 10.0), (1, 6, 30.0), (1, 9, 20.0)]),
    )
    result = blend(given, np.array([3, 0]), config(), k=3)
    assert rows_of(result, 0) == [(4, "content"), (6, "content"), (9, "pop")]
    # 0.5 * lowest (0.5 * 0.01) * normalised (0.01 + 0.99 / 2)
    np.testing.assert_allclose(result["score"][2], 0.5 * 0.005 * 0.505, rtol=1e-6)
    assert rows_of(result, 1) == [(6, "pop"), (9, "pop")]
    assert (result["score"] > 0).all()


def test_nothing_in_nothing_out():
    result = blend(lists(), np.array([0, 3]), config(), k=3)
    assert (len(result), tuple(result.columns)) == (0, RANKED)


def test_equal_scores_count_fully():
    result = blend(lists(rules=frame([(0, 4, 0.2), (0, 2, 0.2)])), np.array([2]), config(), k=3)
    assert rows_of(result) == [(2, "rules"), (4, "rules")]
    assert result["score"].tolist() == [0.5, 0.5]


def random_lists(seed, n_customers=40):
    generator = np.random.default_rng(seed)
    made = {}
    for name in ("als", "knn", "content", "rules", "shelf", "pop"):
        rows = []
        for customer in range(n_customers):
            some = generator.choice(30, size=generator.integers(0, 8), replace=False)
            scores = generator.integers(-3, 4, size=len(some))
            rows += list(zip([customer] * len(some), some, scores, strict=True))
        made[name] = frame(rows)
    return made, generator.integers(0, 4, n_customers)


def loop(made, depth, setup, k):
    """The documented blend, one customer at a time."""
    out = []
    for customer, orders in enumerate(depth):
        norm = {}
        for name, table in made.items():
            mine = table[table["customer"] == customer]
            if len(mine):
                low, high = mine["score"].min(), mine["score"].max()
                norm[name] = {
                    product: 1.0 if low == high else 0.01 + 0.99 * (score - low) / (high - low)
                    for product, score in zip(mine["product"], mine["score"].astype(float), strict=True)
                }
        weights = [one.weights for one in setup.levels if one.from_orders <= orders][-1]
        if weights.get("cf") and not any(name in norm for name in setup.groups["cf"]):
            weights = setup.without_cf
        parts = {}
        for group, weight in weights.items():
            for name, inner in setup.groups[group].items():
                share = weight / sum(weights.values()) * inner / sum(setup.groups[group].values())
                for product, value in norm.get(name, {}).items():
                    if share > 0:
                        parts.setdefault(product, {})[name] = share * value
        scores = {product: sum(part.values()) for product, part in parts.items()}
        if len(scores) < k:
            lowest = min(scores.values(), default=1.0)
            for product, value in norm.get("pop", {}).items():
                scores.setdefault(product, 0.5 * lowest * value)
        best = sorted(scores, key=lambda product: (-np.float32(scores[product]), product))[:k]
        out += [(customer, product, scores[product], parts.get(product)) for product in best]
    return out


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_equals_the_loop(seed):
    made, depth = random_lists(seed)
    setup = config()
    result = blend(made, depth, setup, k=9)
    expected = loop(made, depth, setup, k=9)
    assert len(result) == len(expected)
    np.testing.assert_array_equal(result["customer"], [row[0] for row in expected])
    np.testing.assert_allclose(result["score"], [row[2] for row in expected], rtol=1e-5)
    assert not result.duplicated(["customer", "product"]).any()
    chosen = {(c, p): parts for c, p, _, parts in expected}
    for customer, product, source in zip(
        result["customer"], result["product"], result["source"], strict=True
    ):
        parts = chosen.get((customer, product))
        if parts:
            assert parts[source] == pytest.approx(max(parts.values()))
        elif (customer, product) in chosen:
            assert source == "pop"


def test_blocks_and_row_order_change_nothing(monkeypatch):
    made, depth = random_lists(3)
    whole = blend(made, depth, config(), k=9)
    shuffled = {name: table.sample(frac=1, random_state=1) for name, table in made.items()}
    monkeypatch.setattr(blending, "BLOCK_ROWS", 17)
    pd.testing.assert_frame_equal(blend(shuffled, depth, config(), k=9), whole)


def test_refused_lists():
    given = lists()
    with pytest.raises(ValueError, match="k is 0"):
        blend(given, np.array([1]), config(), k=0)
    with pytest.raises(BlendError, match="content holds a score"):
        blend(lists(content=frame([(0, 1, np.nan)])), np.array([1]), config(), k=1)
    del given["knn"]
    with pytest.raises(BlendError, match=r"needs lists of \['knn'\]"):
        blend(given, np.array([1]), config(), k=1)


def test_a_weight_of_zero_needs_no_list():
    setup = config(
        groups={
            "cf": {"als": 1, "knn": 0},
            "content": {"content": 1},
            "rules": {"rules": 1},
            "popularity": {"shelf": 1},
        }
    )
    assert setup.needed == ("als", "content", "rules", "shelf", "pop")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": 1}, "Extra inputs"),
        ({"without_cf": {"content": -1}}, "greater than or equal to 0"),
        ({"without_cf": {"content": float("nan")}}, "finite number"),
        ({"without_cf": {"content": float("inf")}}, "finite number"),
        ({"without_cf": {"content": 0, "rules": 0}}, "without_cf: at least one weight"),
        ({"without_cf": {"cf": 1}}, "cannot give weight to cf"),
        ({"without_cf": {"magic": 1}}, "unknown group"),
        ({"levels": []}, "at least 1 item"),
        ({"levels": [{"from_orders": 1, "weights": {"cf": 1}}]}, "start at from_orders 0"),
        ({"levels": [{"from_orders": 0, "weights": {"cf": 0}}]}, "from_orders 0: at least one"),
        ({"groups": {"cf": {"als": 1}, "content": {"als": 1}, "rules": {"r": 1}}}, "one group only"),
        ({"groups": {"cf": {"als": 0}, "content": {"c": 1}, "rules": {"r": 1}}}, "groups.cf: at least"),
    ],
)
def test_refused_weights(tmp_path, changes, message):
    content = config().model_dump(mode="json") | changes
    path = tmp_path / "blend.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "", "- 1"])
def test_a_broken_file_names_itself(tmp_path, text):
    path = tmp_path / "blend.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"blend\.yaml"):
        load_config(path)


def test_a_missing_file_names_itself(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_defaults():
    setup = load_config()
    assert setup.levels[-1].weights == {"cf": 0.4, "content": 0.3, "rules": 0.3}
    assert setup.without_cf == {"content": 0.5, "rules": 0.5}
    assert [level.from_orders for level in setup.levels] == [0, 1, 3]
    weights, without_cf = setup.weight_table()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(without_cf.sum(), 1)
    assert set(setup.needed) <= set(REGISTRY)
