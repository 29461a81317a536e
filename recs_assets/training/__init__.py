"""A predictive query -> predictions: labels, candidates, a model of its own, its test, the result.

Products are ranked at the anchors of the week's build, whose lists and features are there already. Everything
else is learned at weekly anchors as far back as the log reaches. A label window never reaches past the test anchor
(training) or the date of the answer (test). Labels as SQL over a time window: Robinson et al. 2024, RelBench
(https://arxiv.org/abs/2407.20060).

    rank on products        the weekly candidates and features, restricted to the query's items
    rank or classify on     (customer, value) pairs: every value for everybody
    category, brand, vertical
    binary, regression      what customers or products did before, and the target over earlier windows

    plans       which anchors
    activity    what everybody did before an anchor, from one load
    tasks       their rows
    models      the models
    verdicts    the test
    cache       what was learned, for when it is asked again
    answers     all of it, for the shell and the notebook

Arrays in and frames out; SQL comes from `campaigns.compiler` and is run by the warehouse.
"""

from recs_assets.training.answers import (
    Prediction,
    answer,
    answered,
    explained,
    opened,
    predict,
    prepared,
    unknown_names,
)
from recs_assets.training.plans import Plan, plan

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
