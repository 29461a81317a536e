"""Which model makes a campaign's lists."""

from __future__ import annotations

import numpy as np
import pytest

from recs_assets.campaigns.lists import choose_model

SPREAD = np.linspace(0, 1, 200)


@pytest.mark.parametrize(
    ("values", "chosen", "said"),
    [
        # Level with the list of user_knn, which is simpler.
        ({"query": 0.21, "user_knn": 0.2, "popularity": 0.0}, "user_knn",
         "The campaign's lists are made by user_knn: its map@12 of 0.7000 beats popularity's 0.5000"),
        ({"query": 0.3, "user_knn": 0.2, "popularity": 0.0}, "query",
         "The campaign's lists are made by query: its map@12 of 0.8000 beats user_knn's 0.7000"),
        ({"query": 0.0, "user_knn": 0.0, "popularity": 0.0}, "popularity",
         "The campaign's lists are made by popularity, the simplest model: none of user_knn, query is proven to beat it."),
        # Of the recommenders that the week's lists do not consider, too, one may be better.
        ({"query": 0.1, "ease": 0.2, "popularity": 0.0}, "ease", "made by ease"),
    ],
)  # fmt: skip
def test_campaigns_take_the_simplest_model_that_no_other_is_proven_to_beat(values, chosen, said):
    noise = np.tile([0.2, -0.2], 100)
    compared = {
        name: SPREAD + more + (noise if name == "query" and more < 0.25 else 0)
        for name, more in values.items()
    }
    found, sentence = choose_model(compared, 1)
    assert found == chosen
    assert said in sentence


@pytest.mark.parametrize("compared", [{}, {"query": np.zeros(3), "popularity": np.zeros(3)}])
def test_without_a_hit_in_the_test_the_query_makes_the_lists(compared):
    found, sentence = choose_model(compared, 1)
    assert found == "query"
    assert "nobody bought anything" in sentence
