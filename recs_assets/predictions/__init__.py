"""A predictive query -> predictions: labels, candidates, a model of its own, its test, the result.

The anchors are those of the week's build, so that nothing is computed a second time. One model per
query learns at the training anchors, is stopped and calibrated on the latest of them, tested at the
test anchor, grown again with it, and asked at the week. A label window never reaches past the test
anchor (training) or the week (test). Labels as SQL over a time window: Robinson et al. 2024,
RelBench (https://arxiv.org/abs/2407.20060).

    rank on products        the weekly candidates and features, restricted to the query's items
    rank or classify on     (customer, value) pairs: what she bought, and the most popular values
    category, brand, vertical
    binary, regression      the customer's features and the target over the window before the anchor

    planning    which anchors
    tasks       their rows
    fitting     the models
    judging     the test
    answering   all of it, for the shell and the notebook

Arrays in and frames out; SQL comes from `campaigns.compiler` and is run by the warehouse.
"""

from recs_assets.predictions.answering import (
    Prediction,
    answer,
    answered,
    explained,
    opened,
    predict,
    prepared,
    unknown_names,
)
from recs_assets.predictions.planning import Plan, plan

__all__ = [
    "Plan",
    "Prediction",
    "answer",
    "answered",
    "explained",
    "opened",
    "plan",
    "predict",
    "prepared",
    "unknown_names",
]
