"""Our metrics against trec_eval's own C code (pytrec_eval) on random lists.

ranx drags in numba, fastparquet, ir_datasets and seaborn and raises a SyntaxWarning on import,
RecTools needs numpy < 2; trec_eval is what both are checked against, and has no dependency but numpy.
"""

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation import metrics

KS = (1, 5, 10, 12, 20, 50)


def test_agrees_with_trec_eval():
    import pytrec_eval

    rng = np.random.default_rng(5)
    truth = sparse.random_array((60, 300), density=0.04, rng=rng, format="lil")
    truth[np.arange(60), rng.integers(0, 300, 60)] = 1  # everybody bought something
    truth = truth.tocsr()
    shown = [rng.permutation(300)[: rng.integers(0, 70)] for _ in range(60)]
    shown[0] = np.setdiff1d(np.arange(300), truth[[0]].indices)[:50]  # no hit at all
    shown[1] = truth[[1]].indices  # a perfect list
    lists = pd.DataFrame(
        [(c, p, rank) for c, products in enumerate(shown) for rank, p in enumerate(products, start=1)],
        columns=["customer", "product", "rank"],
    )
    cuts = ",".join(str(k) for k in KS)
    names = {
        "P": "precision",
        "recall": "recall",
        "ndcg_cut": "ndcg",
        "success": "hit_rate",
        "map_cut": "map",
    }
    judge = pytrec_eval.RelevanceEvaluator(
        {f"q{c}": {f"d{p}": 1 for p in truth[[c]].indices} for c in range(60)},
        {f"{name}.{cuts}" for name in names},
    )
    # trec_eval knows scores only: 1000 for rank 1 and so on; a document that is not there needs one too.
    theirs = judge.evaluate(
        {
            f"q{c}": {"nothing": -1.0} | {f"d{p}": 1000.0 - rank for rank, p in enumerate(products)}
            for c, products in enumerate(shown)
        }
    )
    ours = metrics.measure_customers(lists, truth, np.arange(60), KS)
    size = np.diff(truth.indptr)
    for name, metric in names.items():
        for k in KS:
            expected = np.array([theirs[f"q{c}"][f"{name}_{k}"] for c in range(60)])
            if metric == "map":  # trec_eval divides by all that is relevant, we by what k ranks can hold
                expected = expected * size / np.minimum(k, size)
            np.testing.assert_allclose(ours[metric, k], expected, rtol=0, atol=1e-9, err_msg=f"{metric}@{k}")
