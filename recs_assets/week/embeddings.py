"""Products and customers as vectors, for whoever looks for what is near: tables of what the week's models learned.

`graph_filter` speaks of what people buy together, `content` of what a product's words say. On the test anchors of docs/gains.md the
first is nearer to what is bought next than the factors of ALS, and than those of LightFM.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa

from recs_assets.arrays import one_blas_thread, round_to_grid
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.graph_filter import GraphFilter
from recs_assets.week.blocks import map_blocks
from recs_assets.week.week import Week


def tabulate_product_embeddings(week: Week) -> pd.DataFrame:
    """Rows of `model.product_embeddings`: at most RECS_EMBEDDING_PRODUCTS products of each model that has a vector of
    them, first those that may be sold, then those that more customers bought."""
    known, most = week.known(), week.settings.embedding_products
    graph, content = cast(GraphFilter, week.model("graph_filter")), cast(Content, week.model("content"))
    order = np.lexsort((np.arange(known.n_products), -graph.degree_, ~known.available))
    ids = known.products["product_id"].to_numpy(dtype=object)
    tables = []
    for model, vectors in (
        (graph, graph.product_embeddings()),
        (content, shorten(content.vectors_, content.dimensions)),
    ):
        kept = np.sort(order[vectors[order].any(axis=1)][:most])
        tables.append(_make_table(week, {"product_id": ids[kept]}, model.name, vectors[kept]))
    return _make_frame(tables)


def tabulate_customer_embeddings(week: Week) -> pd.DataFrame:
    """Rows of `model.customer_embeddings`: everybody who bought something and may be learned from; none where
    RECS_EMBEDDING_CUSTOMERS says no."""
    ids = week.known().customers["customer_id"].to_numpy(dtype=object)
    wanted = week.settings.embedding_customers
    parts = list(map_blocks(embed_customers, week)) if wanted else [embed_nobody()]
    return _make_frame(
        [
            _make_table(week, {"customer_id": ids[codes]}, GraphFilter.name, vectors)
            for codes, vectors in parts
        ]
    )


def shorten(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """float32[n, at most max(n, dimensions)]: turned, so that every inner product stays as it is. A few products with
    many words have a number for each word."""
    if vectors.shape[1] <= max(vectors.shape[0], dimensions):
        return vectors
    with one_blas_thread():
        _, turned = np.linalg.qr(vectors.T.astype(np.float64))
    return round_to_grid(turned.T)


def embed_customers(part: Week) -> tuple[np.ndarray, np.ndarray]:
    """Codes in the whole week, int64[n], and vectors, float32[n, factors], of the customers of a block who have one."""
    known, graph = part.known(), cast(GraphFilter, part.model("graph_filter"))
    vectors = graph.customer_embeddings()
    there = np.flatnonzero(known.customers["learned_from"].to_numpy(dtype=bool) & vectors.any(axis=1))
    return there + part.first_code, vectors[there]


def embed_nobody() -> tuple[np.ndarray, np.ndarray]:
    """`embed_customers` of nobody."""
    return np.empty(0, np.int64), np.empty((0, 1), np.float32)


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
