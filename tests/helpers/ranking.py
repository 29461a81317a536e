"""Rows to learn from, and lists to merge."""

import numpy as np
import pandas as pd

from recs_assets.ranking.ranker import RankerConfig, load_config

FEATURES = ("product_price", "als_score", "rrf")


def config(**changes):
    trees = {**load_config().trees.model_dump(), "min_data_in_leaf": 20, "num_leaves": 7}
    return RankerConfig.model_validate(
        {**load_config().model_dump(), "max_rounds": 60, "patience": 5, "trees": trees, **changes}
    )


def market(seed=0, customers=200, each=20):
    """Purchases follow the second feature; the third is noise, the first sometimes unknown."""
    rng = np.random.default_rng(seed)
    size = customers * each
    X = rng.normal(size=(size, 3)).astype(np.float32)
    y = (rng.random(size) < 1 / (1 + np.exp(2 - 1.5 * X[:, 1]))).astype(np.int8)
    X[rng.random(size) < 0.2, 0] = np.nan
    return X, y, np.repeat(np.arange(customers), each)


def rows(*triples):
    """(customer, product, score), in the order of the ranks."""
    frame = pd.DataFrame(triples, columns=["customer", "product", "score"])
    frame["rank"] = frame.groupby("customer").cumcount() + 1
    return frame.astype({"customer": "int32", "product": "int32", "score": "float32", "rank": "int16"})


# c1 (code 0) bought p1, p2, p3 (codes 0, 1, 2); c6 (code 5) bought nothing.
LISTS = {
    "a": rows((0, 1, 9.0), (0, 3, 8.0), (5, 4, 7.0)),
    "b": rows((0, 3, 0.3), (0, 4, 0.2), (0, 1, 0.1)),
}
