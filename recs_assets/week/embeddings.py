"""Products and customers as vectors, for whoever looks for what is near: tables of what the week's models learned.

`als` and `graph_filter` speak of who buys what, `content` of what a product's words say. Neither of the first two is the better one in
every shop (docs/gains.md), so both are there. Where all vectors of a model point one way, they say nothing and are left out.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa

from recs_assets.arrays import one_blas_thread, round_to_grid
from recs_assets.recommenders.als import ALS
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.graph_filter import GraphFilter
from recs_assets.week.blocks import map_blocks
from recs_assets.week.week import Week

# Models with vectors of customers and products.
OF_CUSTOMERS = ("als", "graph_filter")
# Vectors that lie along one axis to such a part tell no product from another.
ONE_WAY = 0.999


def tabulate_product_embeddings(week: Week) -> pd.DataFrame:
    """Rows of `model.product_embeddings`: at most RECS_EMBEDDING_PRODUCTS products of each model that has a vector of
    them, first those that may be sold, then those that more customers bought."""
    known, most = week.known(), week.settings.embedding_products
    buyers = np.bincount(known.history.indices, minlength=known.n_products)
    order = np.lexsort((np.arange(known.n_products), -buyers, ~known.available))
    ids = known.products["product_id"].to_numpy(dtype=object)
    content = cast(Content, week.model("content"))
    found = {"content": shorten(content.vectors_, content.dimensions)}
    found |= {name: load_model(week, name).product_embeddings() for name in OF_CUSTOMERS}
    silent = find_silent(week)
    tables = []
    for name, vectors in sorted(found.items()):
        kept = np.sort(order[vectors[order].any(axis=1)][: 0 if name in silent else most])
        tables.append(_make_table(week, {"product_id": ids[kept]}, name, vectors[kept]))
    return _make_frame(tables)


def tabulate_customer_embeddings(week: Week) -> pd.DataFrame:
    """Rows of `model.customer_embeddings`: everybody who bought something and may be learned from; none where
    RECS_EMBEDDING_CUSTOMERS says no."""
    ids = week.known().customers["customer_id"].to_numpy(dtype=object)
    silent = OF_CUSTOMERS if not week.settings.embedding_customers else find_silent(week)
    tables = []
    for name in OF_CUSTOMERS:
        parts = [] if name in silent else list(map_blocks(embed_customers, week, name))
        tables += [
            _make_table(week, {"customer_id": ids[codes]}, name, vectors)
            for codes, vectors in parts or [(np.empty(0, np.int64), np.empty((0, 1), np.float32))]
        ]
    return _make_frame(tables)


def find_silent(week: Week) -> dict[str, float]:
    """Models whose vectors say nothing, and how much of these lies along one axis; worked out once."""
    key = ("silent vectors", week.as_of)
    if key not in week.build.cache:
        shares = {name: find_main_share(load_model(week, name).product_embeddings()) for name in OF_CUSTOMERS}
        week.build.cache[key] = {name: share for name, share in shares.items() if share >= ONE_WAY}
    return week.build.cache[key]


def explain_silence(week: Week) -> list[str]:
    """A sentence for each model whose vectors are left out."""
    return [
        f"The vectors of {name} say nothing, because {share:.3%} of them lies along one axis, by which all products are alike: "
        "they are left out of recs.product_embeddings and recs.customer_embeddings."
        for name, share in find_silent(week).items()
    ]


def find_main_share(vectors: np.ndarray) -> float:
    """The mean of the squared cosines of the vectors, of whatever length, with the axis that they lie along most; 0 of fewer
    than two.

    >>> find_main_share(np.array([[1e-7, 0], [-2, 0], [0, 0]])), find_main_share(np.array([[1, 0], [0, 3]]))
    (1.0, 0.5)
    """
    rows = vectors[vectors.any(axis=1)].astype(np.float64)
    if len(rows) < 2:
        return 0.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with one_blas_thread():
        return float(np.linalg.eigvalsh(rows.T @ rows)[-1] / len(rows))


def load_model(week: Week, name: str) -> ALS | GraphFilter:
    """One of `OF_CUSTOMERS`, as fitted at the week."""
    return cast(ALS | GraphFilter, week.model(name))


def embed_customers(part: Week, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes in the whole week, int64[n], and a model's vectors, float32[n, factors], of the customers of a block who have
    one."""
    vectors = load_model(part, name).customer_embeddings()
    learned_from = part.known().customers["learned_from"].to_numpy(dtype=bool)
    there = np.flatnonzero(learned_from & vectors.any(axis=1))
    return there + part.first_code, vectors[there]


def shorten(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """float32[n, at most max(n, dimensions)]: turned, so that every inner product stays as it is. A few products with
    many words have a number for each word."""
    if vectors.shape[1] <= max(vectors.shape[0], dimensions):
        return vectors
    with one_blas_thread():
        _, turned = np.linalg.qr(vectors.T.astype(np.float64))
    return round_to_grid(turned.T)


def _make_table(week: Week, key: dict[str, np.ndarray], model: str, vectors: np.ndarray) -> pa.Table:
    rows, dimensions = vectors.shape
    ends = np.arange(0, rows * dimensions + 1, max(1, dimensions), dtype=np.int32)
    values = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    return pa.table(
        {
            "as_of": pa.array([week.as_of] * rows, pa.date32()),
            **{name: pa.array(ids, pa.string()) for name, ids in key.items()},
            "model": pa.array([model] * rows, pa.string()),
            "dimensions": pa.array(np.full(rows, dimensions, np.int32)),
            "embedding": pa.ListArray.from_arrays(pa.array(ends[: rows + 1]), values),
        }
    )


def _make_frame(tables: list[pa.Table]) -> pd.DataFrame:
    """As Arrow's own types: lists of numbers as Python's objects take twenty times the memory."""
    return pa.concat_tables(tables).to_pandas(types_mapper=pd.ArrowDtype)
