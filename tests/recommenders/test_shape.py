import pytest

from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.shape import Shape, choose_settings

ONCE = {
    "als": {"alpha": 40, "regularization": 100, "factors": 128},
    "ease": {"regularization": 200},
    "graph_filter": {"factors": 256},
}


def test_shape_by_hand(shop):
    # tests/helpers/known.py: c1 to c5 bought 3, 4, 4, 3 and 3 different of p1 to p7.
    shape = Shape.of(shop)
    assert (shape.customers, shape.products) == (5, 7)
    assert shape.pairs == 3 + 4 + 4 + 3 + 3
    assert shape.density == pytest.approx(17 / 35)
    # Days per product: c1 4 + 3 + 1, c2 2 + 1 + 1 + 1 (p3 twice on one day), c3 2 + 1 + 1 + 1, c4 3 + 2 + 1,
    # c5 1 + 1 + 1: 27, of which 17 are first purchases.
    assert shape.repeat_share == pytest.approx(1 - 17 / 27)


@pytest.mark.parametrize(
    ("customers", "products", "pairs", "repeat_share", "expected"),
    [
        # Complete Journey at 2017-12-04, Ta-Feng, TechHeaven: repeats are the business, whatever the density.
        (2_462, 65_434, 801_845, 0.396, {}),
        (13_858, 11_997, 428_299, 0.109, {}),
        (850, 271, 9_596, 0.237, {}),
        # As sparse as any, but with repeats at the very edge.
        (30_000, 40_000, 800_000, 0.05, {}),
        # Last.fm: nothing twice, a density of 0.005.
        (1_878, 4_476, 42_135, 0.0, ONCE),
        (1_000, 10_000, 10_000, 0.049, ONCE),
        # Just below a density of 0.001.
        (
            30_000,
            40_000,
            800_000,
            0.0,
            {
                "als": {"alpha": 40, "regularization": 100, "factors": 256},
                "ease": {"regularization": 200, "head": 8000},
                "graph_filter": {"factors": 256},
                "item_knn": {"b": 0.2, "neighbours": 200},
            },
        ),
        # Too little to tell; nothing at all.
        (300, 400, 999, 0.0, {}),
        (0, 0, 0, 0.0, {}),
    ],
)
def test_settings_of_a_shop_without_a_search(customers, products, pairs, repeat_share, expected):
    assert choose_settings(Shape(customers, products, pairs, repeat_share)) == expected


def test_every_setting_is_one_of_its_recommender():
    sparse = choose_settings(Shape(30_000, 40_000, 800_000, 0.0))
    for name, parameters in sparse.items():
        model = REGISTRY[name].make(0, 200, 1).set_params(**parameters)
        assert {key: getattr(model, key) for key in parameters} == parameters
    with pytest.raises(ValueError, match="als has no parameter 'alhpa'"):
        REGISTRY["als"].make(0, 200, 1).set_params(alhpa=1)
