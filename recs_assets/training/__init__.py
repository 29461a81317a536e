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
    search      settings of the ranker and the recommenders, by hand

Arrays in and frames out; SQL comes from `campaigns.compiler` and is run by the warehouse.
"""

from recs_assets.training.answers import Prediction, answer, answer_task, open_query, predict
from recs_assets.training.plans import Plan
from recs_assets.training.prepare import explain_query, list_unknown_names, prepare_query

__all__ = [
    "Plan",
    "Prediction",
    "answer",
    "answer_task",
    "explain_query",
    "list_unknown_names",
    "open_query",
    "predict",
    "prepare_query",
]
