from datetime import date

import numpy as np
import pytest
from scipy import sparse

from recs_assets.evaluation.tuning import Search, Space, Trial, search
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.shape import Shape
from recs_assets.schema import ArtefactError

UNTIL = date(2024, 4, 1)
SPACE = {"popularity": Space("all", {"half_life_days": (7.0, 365.0)})}


def make(name, parameters):
    return REGISTRY[name].make(0, 200, 1).set_params(**parameters)


@pytest.fixture(scope="module")
def fashion(build_known):
    """80 customers: all bought p1 in the season before, half of them p2 since. After a year's half-life p1 is
    first (80 * 0.71 against 40), after a week's p2."""
    orders = [(f"a{n:02d}", f"c{n:02d}", 182, ["p1"]) for n in range(80)]
    orders += [(f"b{n:02d}", f"c{n:02d}", 7, ["p2"]) for n in range(40)]
    return build_known(
        orders,
        [(f"c{n:02d}", None, None) for n in range(80)],
        [(name, name, None, None, None, 1.0, True) for name in ("p1", "p2")],
    )


def bought(known, product):
    truth = np.zeros((known.n_customers, known.n_products), dtype=np.float32)
    truth[:, known.products["product_id"].to_numpy() == product] = 1
    return sparse.csr_matrix(truth)


def run_search(known, truth, held):
    everybody = np.arange(known.n_customers)
    return search(make, known, truth, everybody, UNTIL, held, trials=5, spaces=SPACE)


def test_what_is_proven_better_takes_the_place(fashion):
    found = run_search(
        fashion, bought(fashion, "p2"), {"popularity": {"half_life_days": 365.0}, "ease": {"head": 10}}
    )
    assert found.parameters == {"popularity": {"half_life_days": 7.0}, "ease": {"head": 10}}
    # Second place is worth a half, first place all.
    assert found.trials == (
        Trial("popularity", {"half_life_days": 365.0}, 0.5, 0.5),
        Trial("popularity", {"half_life_days": 7.0}, 1.0, 1.0),
    )
    assert (found.anchor, found.until) == (fashion.as_of, UNTIL)


def test_what_is_not_proven_better_changes_nothing(fashion):
    held = {"popularity": {"half_life_days": 365.0}}
    assert run_search(fashion, bought(fashion, "p1"), held).parameters == held
    # Better for a single customer: not proven. Bought by nobody: nothing to prove it with.
    truth = bought(fashion, "p1").toarray()
    truth[0] = [0, 1]
    assert run_search(fashion, sparse.csr_matrix(truth), held).parameters == held
    assert run_search(fashion, bought(fashion, "p3"), held).parameters == held


def test_the_same_seed_makes_the_same_search(fashion):
    one, other = (run_search(fashion, bought(fashion, "p2"), {}) for _ in range(2))
    assert one.to_json() == other.to_json()


def test_a_sample_teaches_and_all_judge(fashion):
    """Those who bought p1 alone know nothing of p2, and the others still have both in their popularity lists."""
    space = {"popularity": SPACE["popularity"], "transition": Space("all", {"damping": (1.0, 10.0)})}
    everybody, held = np.arange(80), {"popularity": {"half_life_days": 365.0}}
    found = [
        search(
            make,
            fashion,
            bought(fashion, "p2"),
            everybody,
            UNTIL,
            held,
            trials=5,
            spaces=space,
            sample=sample,
        )
        for sample in (None, fashion.take_customers(np.arange(40, 80)))
    ]
    popular, after = ([trial.chooses for trial in one.trials] for one in found)
    assert popular[:2] == after[:2]
    assert max(after[2:]) == 0 < max(popular[2:])


def test_a_search_is_read_as_it_was_written(tmp_path):
    found = Search(date(2024, 3, 4), UNTIL, Shape(5, 7, 17, 0.25), {"als": {"alpha": 40.0}}, ())
    assert Search.from_json(found.to_json(), tmp_path) == found
    with pytest.raises(ArtefactError, match=r"cannot be read .*run the job `research` again"):
        Search.from_json("{}", tmp_path / "recommender_search.json")
