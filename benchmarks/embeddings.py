"""How much nearest neighbours of learned vectors know: of a basket, of the next purchase, of who will buy.

    python -m benchmarks.embeddings --home .recs --as-of 2018-01-01

The home holds a finished week. At its test anchor the models are fitted with the week's settings, and every product gets
its `K` nearest among the products that were sold within half a year and may be sold: by the cosine of ALS's factors, of
LightFM's, of the words of a product (`content`), and of the first and the last joined. Beside them stand what is published
as `similar_products` (exact words), what is bought together (association rules), and the same `K` most popular for all.

- Same basket: of a later order with two products at least, the share of its other products that are among the neighbours
  of one of them, mean over its products.
- Next purchase: of what a customer buys in the label window for the first time, the share that is among the neighbours
  of what their last order before the anchor held, mean over that order's products.
- Customers: the `K` products nearest to the customer's own vector that they never bought, and the share of their first
  purchases among them.

Values are means over customers (of their orders), intervals 95 % percentile bootstrap over customers, differences paired
with popularity.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.weekly import say
from recs_assets.arrays import find_largest, list_entries, one_blas_thread
from recs_assets.evaluation.bootstrap import compare_pairs, find_interval
from recs_assets.known.interactions import Known
from recs_assets.recommenders.association import mark_recently_sold
from recs_assets.shop import Shop
from recs_assets.week.week import Week, make_recommender

K = 12
BLOCK = 1_000
WEEKS = 26
POPULARITY = "popularity"
ORDERS = """
    select order_id, customer_id, list(distinct product_id order by product_id) as products
    from marts.order_lines join marts.products using (product_id)
    where ordered_at >= $first and ordered_at < $end and learned_from and is_product and customer_id is not null
    group by order_id, customer_id order by order_id
"""


def scale(vectors: np.ndarray) -> np.ndarray:
    """float32 rows of length 1; zero where a row has no value or is zero."""
    vectors = np.nan_to_num(vectors)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float32), where=length > 0)


def find_neighbours(
    vectors: np.ndarray,
    asked: np.ndarray,
    pool: np.ndarray,
    others: np.ndarray,
    own: sparse.csr_matrix | None = None,
) -> sparse.csr_matrix:
    """bool csr[len(asked), n_products]: the `K` rows of `vectors` with the largest inner product.

    Args:
        vectors: float32[n_products, d]; zero rows are nobody's neighbours.
        asked: float32[n, d].
        pool: codes of the products that may be found.
        others: int[n]: a product code that is not found, -1 for none.
        own: csr[n, n_products] of products that are not found either.
    """
    pool = pool[vectors[pool].any(axis=1)]
    rows, columns = [], []
    for first in range(0, len(asked), BLOCK):
        part = slice(first, first + BLOCK)
        scores = asked[part] @ vectors[pool].T
        scores[pool[None, :] == others[part, None]] = -np.inf
        if own is not None:
            scores[own[part][:, pool].toarray() > 0] = -np.inf
        scores[~asked[part].any(axis=1)] = -np.inf
        row, place = find_largest(scores, K)
        kept = np.isfinite(scores[row, place])
        rows.append(row[kept] + first)
        columns.append(pool[place[kept]])
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(len(asked), len(vectors)))


def from_pairs(pairs: pd.DataFrame, n_products: int, pool: np.ndarray) -> sparse.csr_matrix:
    """Published neighbours (product, neighbour, rank) of the pool as csr[n_products, n_products]."""
    pairs = pairs[np.isin(pairs["neighbour"], pool)].sort_values(["product", "rank"], kind="stable")
    pairs = pairs[pairs.groupby("product").cumcount() < K]
    return sparse.csr_matrix(
        (np.ones(len(pairs), np.float32), (pairs["product"], pairs["neighbour"])),
        shape=(n_products, n_products),
    )


def load_orders(week: Week, known: Known, first: date, end: date) -> pd.DataFrame:
    """Orders of known customers: customer (code), products (codes, known ones)."""
    with week.build.read() as connection:
        rows = connection.execute(ORDERS, {"first": first, "end": end}).df()
    rows["customer"] = pd.Index(known.customers["customer_id"]).get_indexer(rows["customer_id"])
    codes = pd.Index(known.products["product_id"])
    rows["products"] = [codes.get_indexer(products) for products in rows["products"]]
    return rows[rows["customer"] >= 0]


def measure_baskets(neighbours: sparse.csr_matrix, orders: pd.DataFrame) -> pd.Series:
    """Per customer (code): mean over their orders of the share of other products that are neighbours."""
    found = []
    for products in orders["products"]:
        inside = neighbours[products][:, products].sum()  # a product is no neighbour of its own
        found.append(inside / (len(products) * (len(products) - 1)))
    return pd.Series(found).groupby(orders["customer"].to_numpy()).mean()


def measure_next(
    neighbours: sparse.csr_matrix, asked: dict[int, np.ndarray], new: sparse.csr_matrix
) -> pd.Series:
    """Per customer (code): share of their first purchases among the neighbours of what they bought last."""
    found = {}
    for customer, products in asked.items():
        bought = new[customer].indices
        found[customer] = neighbours[products][:, bought].sum() / (len(products) * len(bought))
    return pd.Series(found)


def tabulate(values: dict[str, pd.Series], seed: int) -> list[str]:
    """Markdown rows: the mean, its interval, and the paired difference to popularity."""
    lines = []
    for name, series in values.items():
        figures = series.to_numpy()
        low, high = find_interval(figures, seed)
        cell = f"{figures.mean():.4f} ({low:.4f} to {high:.4f})"
        more, less, most = compare_pairs(figures, values[POPULARITY].to_numpy(), seed)
        gain = "" if name == POPULARITY else f"{more:+.4f} ({less:+.4f} to {most:+.4f})"
        lines.append(f"| {name} | {cell} | {gain} |")
    return lines


def report(week: Week) -> list[str]:
    """The three tables."""
    anchor = week.test_anchors[0]
    known, truth = week.known(anchor), week.truth(anchor)
    n = known.n_products

    def fit(name: str):
        say(f"{name} is fitted")
        return make_recommender(week.shop, name, week.parameters(name)).fit(known)

    als, content, lightfm, graph, association = (
        fit(name) for name in ("als", "content", "lightfm", "graph_filter", "rules")
    )
    popular = np.nan_to_num(known.popularity(28.0))
    pool = np.flatnonzero(mark_recently_sold(known, WEEKS) & known.available)
    top = pool[np.lexsort((pool, -popular[pool]))][: K + 1]
    nodes = graph.product_embeddings()
    factors, words = np.nan_to_num(als.product_factors_), content.vectors_
    spaces = {
        "als": scale(factors),
        "lightfm": scale(lightfm.product_vectors_[:, :-1]),
        "content": scale(words),
        "graph_filter": scale(nodes),
        "graph_filter and content joined": np.hstack([scale(nodes), scale(words)]),
    }
    end = anchor + timedelta(days=week.shop.horizon_days)
    orders = load_orders(week, known, anchor, end)
    baskets = orders[[len(products) > 1 for products in orders["products"]]]
    before = load_orders(week, known, date(1900, 1, 1), anchor)
    last = _find_last(week, anchor, before)
    new = truth.multiply(truth > 0).tocsr()
    new = (new - new.multiply(known.history > 0)).tocsr()
    new.eliminate_zeros()
    buyers = np.flatnonzero(np.diff(new.indptr))
    asked = {
        int(customer): products for customer, products in zip(last["customer"], last["products"], strict=True)
    }
    asked = {customer: asked[customer] for customer in buyers.tolist() if customer in asked}
    needed = np.unique(np.concatenate([*baskets["products"], *asked.values()]))
    at = np.full(n, -1)
    at[needed] = np.arange(len(needed))
    lists = {}
    for name, vectors in spaces.items():
        rows = find_neighbours(vectors, vectors[needed], pool, needed)
        lists[name] = _spread(rows, needed, n)
        say(f"neighbours by {name}")
    lists["similar_products (exact words)"] = from_pairs(content.neighbours(4 * K, needed), n, pool)
    lists["bought together (rules)"] = from_pairs(association.neighbours(4 * K), n, pool)
    same = np.repeat(top[None, :], len(needed), axis=0)
    keep = (same != needed[:, None]) & (np.cumsum(same != needed[:, None], axis=1) <= K)
    row, place = np.nonzero(keep)
    lists[POPULARITY] = _spread(
        sparse.csr_matrix((np.ones(len(row), np.float32), (row, same[row, place])), shape=(len(needed), n)),
        needed,
        n,
    )
    seed = week.settings.seed
    head = ["| neighbours | {} | more than popularity |", "|---|---:|---:|"]
    lines = [
        f"Test anchor {anchor}, {len(baskets):,} orders of two products or more, {len(pool):,} products to be found.",
        "",
    ]
    lines += [head[0].format(f"same basket@{K}"), head[1]]
    lines += tabulate({name: measure_baskets(some, baskets) for name, some in lists.items()}, seed)
    lines += ["", f"{len(asked):,} customers who bought something for the first time.", ""]
    lines += [head[0].format(f"next purchase@{K}"), head[1]]
    lines += tabulate({name: measure_next(some, asked, new) for name, some in lists.items()}, seed)
    lines += ["", head[0].replace("neighbours", "customer's vector").format(f"first purchases@{K}"), head[1]]
    return lines + tabulate(
        _measure_customers(known, als, content, lightfm, graph, pool, popular, new, buyers), seed
    )


def _find_last(week: Week, anchor: date, before: pd.DataFrame) -> pd.DataFrame:
    """The last order of every customer before the anchor."""
    with week.build.read() as connection:
        last = connection.execute(
            "select customer_id, arg_max(order_id, (ordered_at, order_id)) as order_id from marts.order_lines "
            "join marts.products using (product_id) where ordered_at < $anchor and learned_from and is_product "
            "and customer_id is not null group by customer_id",
            {"anchor": anchor},
        ).df()
    return before.merge(last[["order_id", "customer_id"]], on=["order_id", "customer_id"])


def _spread(rows: sparse.csr_matrix, products: np.ndarray, n: int) -> sparse.csr_matrix:
    """Rows of some products as rows of all."""
    row, column = list_entries(rows)
    return sparse.csr_matrix((rows.data, (products[row], column)), shape=(n, n))


def _measure_customers(
    known, als, content, lightfm, graph, pool, popular, new, buyers
) -> dict[str, pd.Series]:
    """Share of first purchases among the products next to a customer's own vector."""
    nodes = graph.product_embeddings()
    own, nobody = known.history[buyers], np.full(len(buyers), -1)
    popularity = popular[:, None].astype(np.float32)
    words = scale(np.asarray(content.weights_[buyers] @ content.vectors_))
    spaces = {
        "als, inner product": (
            np.nan_to_num(als.product_factors_),
            np.nan_to_num(als.customer_factors_)[buyers],
        ),
        "als, cosine": (scale(als.product_factors_), scale(als.customer_factors_[buyers])),
        "lightfm, inner product": (
            np.nan_to_num(lightfm.product_vectors_),
            lightfm.customer_vectors_[buyers],
        ),
        "graph_filter, inner product": (nodes, graph.customer_embeddings()[buyers]),
        "graph_filter, cosine": (scale(nodes), graph.customer_embeddings()[buyers]),
        "content, cosine": (scale(content.vectors_), words),
        POPULARITY: (popularity, np.ones((len(buyers), 1), np.float32)),
    }
    values = {}
    for name, (vectors, mine) in spaces.items():
        found = find_neighbours(vectors, mine, pool, nobody, own)
        shares = np.asarray(found.multiply(new[buyers] > 0).sum(axis=1)).ravel() / np.diff(new.indptr)[buyers]
        values[name] = pd.Series(shares, index=buyers)
        say(f"customers by {name}")
    return values


def main(arguments: list[str] | None = None) -> int:
    """Fit, find, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embeddings", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="that week")
    parsed = parser.parse_args(arguments)
    os.environ["RECS_HOME"] = str(parsed.home.resolve())
    from recs_assets.settings import Settings

    shop = Shop.from_settings(Settings())
    with one_blas_thread():
        lines = report(Week(shop, shop.warehouse(), parsed.as_of))
    sys.stdout.write("\n".join(["", *lines, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
