"""What goes together by chance alone, and what does not."""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from recs_assets.recommenders.association import AssociationRules
from recs_assets.recommenders.chance import find_pairs_beyond_chance


def test_pairs_beyond_chance_are_beyond_it_by_fishers_exact_test() -> None:
    both, left, right = (part.ravel() for part in np.meshgrid(np.arange(1, 13), [12, 40, 300], [15, 60, 200]))
    proven = find_pairs_beyond_chance(both, left, right, total=500, products=50)
    exact = hypergeom.sf(both - 1, 500, left, right) < 0.05 / 50
    np.testing.assert_array_equal(proven, exact)
    assert (int(proven.sum()), len(proven)) == (24, 108)
    np.testing.assert_array_equal(proven, find_pairs_beyond_chance(both, right, left, total=500, products=50))


def test_noise_is_never_often_bought_together(build_known) -> None:
    rng = np.random.default_rng(5)
    names = [f"p{number:02d}" for number in range(30)]
    orders = [
        (
            f"o{number}",
            f"c{number % 100:02d}",
            int(rng.integers(1, 300)),
            list(rng.choice(names, 5, replace=False)),
        )
        for number in range(1000)
    ]
    known = build_known(orders, [(f"c{n:02d}", None, None) for n in range(100)],
                        [(name, name, None, None, None, 1.0, True) for name in names])  # fmt: skip
    model = AssociationRules().fit(known)
    rules = model.pair_rules()
    pairs = rules["antecedent"].to_numpy(), rules["consequent"].to_numpy()
    # Every seventh basket with a product holds the other, and that is chance.
    assert (rules["confidence"] >= 0.1).sum() > 400
    assert not model.bears_out(*pairs).any()
