"""Every recommender and the blend against what was really bought, in one long table."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation import bootstrap, metrics
from recs_assets.known.interactions import Known
from recs_assets.recommenders.facets import encode_one_hot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIEWS = ("all", "new", "repeat")
DEPTHS = ("0", "1-2", "3-9", "10+")
# Whole weeks between a product's first sale and the anchor.
AGES = ("unsold", "0-3w", "4-12w", "13w+")
FACETS = ("brand", "category", "vertical")
BOOTSTRAPPED = tuple((metric, 12) for metric in ("map", "ndcg", "recall", "hit_rate"))
COLUMNS = (
    "as_of",
    "anchor",
    "view",
    "segment",
    "recommender",
    "metric",
    "k",
    "value",
    "ci_low",
    "ci_high",
    "customers",
)
_TITLES = {
    "all": "All products",
    "new": "First-time purchases only",
    "repeat": "Repeat purchases only",
}


def sample_customers(customer_ids: Sequence[str] | np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Codes of at most `limit` customers: those with the smallest hash of (seed, id).

    Stable under other customers: one more customer pushes out at most one of the sample, and a
    customer's own chance does not depend on the order of the others.

    Args:
        customer_ids: ids, position = code.
        limit: sample size.
        seed: another seed, another sample.

    Returns:
        int64 codes, ascending.
    """
    if len(customer_ids) <= limit:
        return np.arange(len(customer_ids))
    hashes = np.array(
        [
            int.from_bytes(hashlib.blake2b(f"{seed}:{one}".encode(), digest_size=8).digest(), "big")
            for one in customer_ids
        ],
        dtype=np.uint64,
    )
    return np.sort(np.argsort(hashes, kind="stable")[:limit])


def segment_by_depth(order_counts: np.ndarray) -> np.ndarray:
    """int8 position in `DEPTHS` per customer: 0, 1-2, 3-9 or 10+ known orders."""
    return np.searchsorted([1, 3, 10], order_counts, side="right").astype(np.int8)


def segment_by_age(known: Known) -> np.ndarray:
    """int8 position in `AGES` per product: never sold before the anchor, or weeks since first sold."""
    first = known.first_sold
    weeks = (known.anchor_day - first) // 7
    return np.where(first < 0, 0, 1 + np.searchsorted([4, 13], weeks, side="right")).astype(np.int8)


def vectorise_facets(products: pd.DataFrame) -> sparse.csr_matrix | None:
    """csr[n_products, brands + categories + verticals], rows of length 1 (empty where nothing is
    known); None where no product has any. The cosine of two full rows is their share of equal facets."""
    blocks = [encode_one_hot(products[name]) for name in FACETS if name in products]
    facets = sparse.hstack(blocks, format="csr") if blocks else sparse.csr_matrix((len(products), 0))
    if facets.nnz == 0:
        return None
    length = np.sqrt(np.diff(facets.indptr))
    return sparse.csr_matrix(
        (np.repeat(1 / np.maximum(length, 1), np.diff(facets.indptr)), facets.indices, facets.indptr),
        shape=facets.shape,
    )


def evaluate(
    models: Mapping[str, Mapping[str, pd.DataFrame]],
    known: Known,
    truth: sparse.csr_matrix,
    *,
    as_of: date,
    customers: np.ndarray | None = None,
    ks: Sequence[int] = metrics.KS,
    seed: int = 0,
    resamples: int = bootstrap.RESAMPLES,
) -> pd.DataFrame:
    """Score lists made from `known` against the purchases of the label window after it.

    In a view only customers with at least one true product of that view count: "new" are
    products the customer had never bought before the anchor, "repeat" those they had.

    Args:
        models: recommender -> view ("all", "new", "repeat") -> list frame (customer, product,
            rank) made with that view; a missing view is not evaluated for that recommender.
        known: what the lists were made from; its `as_of` is the test anchor.
        truth: csr[n_customers, n_products]: bought within the label window.
        as_of: the week the metrics belong to.
        customers: codes to evaluate (`sample_customers`); None for all.
        ks: list lengths.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Returns:
        Columns of model.metrics: as_of, anchor, view, segment ("all", "depth:0", "depth:1-2",
        "depth:3-9", "depth:10+" of customers, "age:unsold", "age:0-3w", "age:4-12w", "age:13w+" of
        the true products; empty segments are absent), recommender, metric (precision, recall, ndcg,
        map, hit_rate, coverage, novelty, diversity, serendipity, popularity_bias; recall and
        hit_rate only by product age), k, value, ci_low, ci_high (NaN unless segment "all" and map,
        ndcg, recall or hit_rate at 12), customers (evaluated). Sorted as written: view,
        recommender, segment, metric, k. What has no value is absent: novelty and popularity_bias
        without a list, diversity of single products or without facets, serendipity and product
        ages in view "repeat".

    Raises:
        ValueError: truth of another shape, or an unknown view.
    """
    shape = (known.n_customers, known.n_products)
    if truth.shape != shape:
        raise ValueError(f"truth is {truth.shape}, but known has {shape} customers and products.")
    unknown = {view for views in models.values() for view in views} - set(VIEWS)
    if unknown:
        raise ValueError(f"Unknown view {sorted(unknown)}; views are {VIEWS}.")
    evaluated: np.ndarray = np.arange(known.n_customers) if customers is None else np.sort(customers)
    information = metrics.self_information(known.history)
    facets = vectorise_facets(known.products)
    depth, age = segment_by_depth(known.order_counts), segment_by_age(known)
    parts = []
    for view, true in split_views(truth, known.history).items():
        buyers = evaluated[np.diff(true.indptr)[evaluated] > 0]
        if len(buyers) == 0:
            continue
        names = [name for name in models if view in models[name]]
        values = {name: metrics.measure_customers(models[name][view], true, buyers, ks) for name in names}
        low, high = _find_intervals(values, seed, resamples)
        segments = {"all": np.ones(len(buyers), dtype=bool)}
        segments |= {f"depth:{label}": depth[buyers] == number for number, label in enumerate(DEPTHS)}
        for name in names:
            lists = models[name][view]
            lists = lists[(lists["rank"] <= max(ks)).to_numpy()]
            means = {("novelty", k): v for k, v in metrics.novelty(lists, information, buyers, ks).items()}
            if facets is not None:
                means |= {
                    ("diversity", k): v for k, v in metrics.diversity(lists, facets, buyers, ks).items()
                }
            if view != "repeat":
                found = metrics.serendipity(lists, true, known.history, known.available, buyers, ks)
                means |= {("serendipity", k): v for k, v in found.items()}
            shown_popularity, own_popularity = metrics.popularity(lists, known.history, buyers, ks)
            inside = np.zeros(known.n_customers, dtype=np.int8) - 1
            inside[buyers] = depth[buyers]
            member = inside[lists["customer"].to_numpy()]
            for number, (segment, mask) in enumerate(segments.items()):
                if not mask.any():
                    continue
                shown = lists[(member >= 0) if segment == "all" else (member == number - 1)]
                shares = metrics.coverage(shown, known.available, ks) if known.available.any() else {}
                rows = [(metric, k, float(found[mask].mean())) for (metric, k), found in values[name].items()]
                rows += [("coverage", k, share) for k, share in shares.items()]
                rows += [
                    (metric, k, float(np.nanmean(found[mask])))
                    for (metric, k), found in means.items()
                    if np.isfinite(found[mask]).any()
                ]
                for k, popular in shown_popularity.items():
                    both = mask & np.isfinite(popular) & np.isfinite(own_popularity)
                    if both.any():
                        bias = popular[both].mean() / own_popularity[both].mean() - 1
                        rows.append(("popularity_bias", k, float(bias)))
                ends = [
                    (low.get((name, m, k), np.nan), high.get((name, m, k), np.nan))
                    if segment == "all"
                    else (np.nan, np.nan)
                    for m, k, _ in rows
                ]
                parts.append(_tabulate(rows, ends, view, segment, name, int(mask.sum())))
            if view != "repeat":
                parts += _measure_by_age(lists, true, buyers, age, ks, view, name)
    result = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    result["as_of"], result["anchor"] = as_of, known.as_of
    return result[list(COLUMNS)].astype({"k": np.int32, "customers": np.int64})


def _tabulate(
    rows: list[tuple[str, int, float]],
    ends: list[tuple[float, float]],
    view: str,
    segment: str,
    name: str,
    customers: int,
) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["metric", "k", "value"])
    frame["ci_low"], frame["ci_high"] = zip(*ends, strict=True)
    frame["view"], frame["segment"], frame["recommender"] = view, segment, name
    frame["customers"] = customers
    return frame


def _measure_by_age(
    lists: pd.DataFrame,
    true: sparse.csr_matrix,
    customers: np.ndarray,
    age: np.ndarray,
    ks: Sequence[int],
    view: str,
    name: str,
) -> list[pd.DataFrame]:
    """Recall and hit rate of the true products of each age."""
    found = metrics.measure_product_classes(lists, true, customers, age, len(AGES), ks)
    parts = []
    for number, label in enumerate(AGES):
        rows = [
            (metric, k, float(values.mean()))
            for (one, metric, k), (_, values) in found.items()
            if one == number and len(values)
        ]
        if rows:
            counted = len(found[number, "recall", ks[0]][0])
            parts.append(_tabulate(rows, [(np.nan, np.nan)] * len(rows), view, f"age:{label}", name, counted))
    return parts


def split_views(truth: sparse.csr_matrix, history: sparse.csr_matrix) -> dict[str, sparse.csr_matrix]:
    """The true products of each view: all, never bought before, bought before."""
    true, had = truth.astype(bool), history.astype(bool)
    repeat = true.multiply(had).tocsr()
    # bool - bool is undefined; counts make "true and not had" a plain comparison.
    new = (true.astype(np.int8) - repeat.astype(np.int8)).tocsr()
    new.eliminate_zeros()
    return {"all": true.tocsr(), "new": new.astype(bool), "repeat": repeat}


def _find_intervals(
    values: Mapping[str, metrics.Values], seed: int, resamples: int
) -> tuple[dict[tuple[str, str, int], float], dict[tuple[str, str, int], float]]:
    """Ends of the intervals by (recommender, metric, k), all from the same resamples."""
    keys = [(name, metric, k) for name in values for metric, k in BOOTSTRAPPED if (metric, k) in values[name]]
    if not keys:
        return {}, {}
    stacked = np.column_stack([values[name][metric, k] for name, metric, k in keys])
    low, high = bootstrap.find_interval(stacked, seed, resamples)
    return dict(zip(keys, low.tolist(), strict=True)), dict(zip(keys, high.tolist(), strict=True))


def _sort_best_first(table: pd.DataFrame, view: str, k: int) -> pd.DataFrame:
    """One row per recommender of segment "all", by MAP@k from the best; ties by name."""
    here = table[(table["view"] == view) & (table["segment"] == "all") & (table["k"] == k)]
    wide = here.pivot_table(
        index="recommender",
        columns="metric",
        values=["value", "ci_low", "ci_high", "customers"],
        dropna=False,
        observed=True,
    )
    if wide.empty:
        return wide
    order = sorted(wide.index, key=lambda name: (-wide.loc[name, ("value", "map")], name))
    return wide.loc[order]


def summarise(table: pd.DataFrame, k: int = 12) -> str:
    """The table of `evaluate` as markdown: one table per view at k, best MAP first.

    Intervals are 95 % percentile bootstrap intervals over customers. "-" marks what was not
    computed.
    """
    shown = [
        ("map", "MAP", 3),
        ("ndcg", "NDCG", 3),
        ("recall", "Recall", 3),
        ("precision", "Precision", 3),
        ("hit_rate", "Hit rate", 3),
        ("coverage", "Coverage", 4),
        ("novelty", "Novelty (bits)", 1),
    ]
    text = []
    for view in VIEWS:
        wide = _sort_best_first(table, view, k)
        if wide.empty:
            continue
        customers = int(wide["customers"].max().max())
        text.append(f"### {_TITLES[view]} (top {k}, {customers:,} customers)\n")
        text.append("| recommender | " + " | ".join(f"{title}@{k}" for _, title, _ in shown) + " |")
        text.append("|---|" + "---:|" * len(shown))
        for name, row in wide.iterrows():
            cells = [_format_cell(row, metric, digits) for metric, _, digits in shown]
            text.append(f"| {name} | " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text)


def _format_cell(row: pd.Series, metric: str, digits: int) -> str:
    value, low, high = (row.get((part, metric), np.nan) for part in ("value", "ci_low", "ci_high"))
    if not np.isfinite(value):
        return "-"
    ends = f" ({low:.{digits}f}–{high:.{digits}f})" if np.isfinite(low) else ""
    return f"{value:.{digits}f}{ends}"


def plot_metrics(table: pd.DataFrame, metric: str = "map", k: int = 12) -> bytes:
    """Horizontal bars with intervals, one panel per view, best first; PNG.

    The same table gives the same bytes on the same machine: no date or version is written in.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    views = [view for view in VIEWS if not _sort_best_first(table, view, k).empty]
    most = max((len(_sort_best_first(table, view, k)) for view in views), default=1)
    # One below the other: side by side they are wider than the dialog that Dagster shows them in.
    size = (8.0, 0.6 + (0.7 + 0.27 * most) * max(1, len(views)))
    figure = Figure(figsize=size, dpi=110, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for number, view in enumerate(views):
        _draw_panel(
            figure.add_subplot(len(views), 1, number + 1), _sort_best_first(table, view, k), metric, view
        )
    names = {"map": "MAP", "ndcg": "NDCG", "recall": "Recall", "hit_rate": "Hit rate"}
    figure.supxlabel(
        f"{names.get(metric, metric)}@{k}, mean over customers; lines: 95 % bootstrap interval", fontsize=9
    )
    buffer = io.BytesIO()
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _draw_panel(axes: Axes, wide: pd.DataFrame, metric: str, view: str) -> None:
    value = wide["value", metric].to_numpy()
    height = np.arange(len(value))
    colours = ["#1f5a96" if name == "blend" else "#9fb8d1" for name in wide.index]
    axes.barh(height, value, color=colours, height=0.7)
    ends = wide.get(("ci_high", metric), pd.Series(np.nan, wide.index)).to_numpy()
    low = wide.get(("ci_low", metric), pd.Series(np.nan, wide.index)).to_numpy()
    have = np.isfinite(ends)
    axes.hlines(height[have], low[have], ends[have], color="#222222", linewidth=1.4)
    edge = np.where(have, ends, value)
    reach = max(float(edge.max(initial=0)), 1e-9)
    for at, end, number in zip(height, edge, value, strict=True):
        axes.text(end + 0.02 * reach, at, f"{number:.3f}", va="center", fontsize=8)
    axes.set_yticks(height, list(wide.index), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, reach * 1.2)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(f"{_TITLES[view]} ({int(wide['customers'].max().max()):,} customers)", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
