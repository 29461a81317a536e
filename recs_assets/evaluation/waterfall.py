"""Where the purchases of the label window were lost on the way to the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import encode_pairs, find_sorted
from recs_assets.evaluation.evaluate import DEPTHS, segment_by_depth, split_views
from recs_assets.known.interactions import Known

COLUMNS = ("anchor", "view", "segment", "k", "source", "stage", "purchases", "share")


class CandidateSet(Protocol):
    """What `trace_purchases` reads of `ranking.candidates.Candidates`."""

    customer: np.ndarray
    product: np.ndarray
    sources: Mapping[str, tuple[np.ndarray, np.ndarray]]


def trace_purchases(
    candidates: CandidateSet,
    lists: pd.DataFrame,
    known: Known,
    truth: sparse.csr_matrix,
    *,
    k: int = 12,
    customers: np.ndarray | None = None,
    removed: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Follow every true (customer, product) pair from the sources through the pool to the list.

    Args:
        candidates: the pool: int customer[n], product[n] (codes, unique pairs) and sources: name ->
            (rank float[n], score float[n]), rank NaN where that source did not propose the pair. A
            list "name:new" counts for the source "name".
        lists: the final lists: customer, product, rank.
        known: what the candidates were made from.
        truth: csr[n_customers, n_products]: bought within the label window.
        k: length of the list that was sent.
        customers: codes to follow; None for all.
        removed: customer, product, rule: candidates that a rule took out before or after ranking;
            a pair under several rules counts for the first in the frame.

    Returns:
        Columns anchor, view (all, new, repeat), segment ("all", "depth:..."), k, source, stage,
        purchases (true pairs), share (of all true pairs of view and segment), in that order. Source
        "all" has the stages listed, outranked, removed:<rule> and not_retrieved, which add up to
        share 1. Every single source has retrieved (recall of its part of the pool) and retrieved_alone
        (by no other source: what dropping it would lose). Segments without true pairs are absent.

    Raises:
        ValueError: truth of another shape.
    """
    if truth.shape != (known.n_customers, known.n_products):
        raise ValueError(f"truth is {truth.shape}, not {(known.n_customers, known.n_products)}.")
    asked = np.zeros(known.n_customers, dtype=bool)
    asked[slice(None) if customers is None else np.asarray(customers)] = True
    depth = segment_by_depth(known.order_counts)
    width = known.n_products
    pool = encode_pairs(candidates.customer, candidates.product, width)
    order = np.argsort(pool, kind="stable")
    pool = pool[order]
    proposed: dict[str, np.ndarray] = {}
    for name, (rank, _) in candidates.sources.items():
        source = name.partition(":")[0]
        by_list = np.isfinite(rank)[order]
        proposed[source] = proposed[source] | by_list if source in proposed else by_list
    how_many = sum((one.astype(np.int32) for one in proposed.values()), np.zeros(len(pool), np.int32))
    top = lists[(lists["rank"] <= k).to_numpy()]
    listed = np.sort(encode_pairs(top["customer"].to_numpy(), top["product"].to_numpy(), width))
    rules, rule_of, struck = [], np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if removed is not None and len(removed):
        first = removed.drop_duplicates(["customer", "product"])
        struck = encode_pairs(first["customer"].to_numpy(), first["product"].to_numpy(), width)
        rule_of, found = pd.factorize(first["rule"].astype(str), sort=True)
        rules = list(found)

    rows = []
    for view, true in split_views(truth, known.history).items():
        pair = true.tocoo()
        keep = asked[pair.row] & (pair.data != 0)
        owner, wanted = pair.row[keep], encode_pairs(pair.row[keep], pair.col[keep], width)
        at = find_sorted(pool, wanted)
        inside = at >= 0
        shown = find_sorted(listed, wanted) >= 0
        stages = {"listed": shown}
        if len(struck):
            by_key = np.argsort(struck, kind="stable")
            place = find_sorted(struck[by_key], wanted)
            rule = np.where(place >= 0, rule_of[by_key][place], -1)
            stages |= {f"removed:{name}": ~shown & (rule == number) for number, name in enumerate(rules)}
        gone = np.any(list(stages.values()), axis=0)
        stages |= {"outranked": ~gone & inside, "not_retrieved": ~gone & ~inside}
        counted = [("all", stage, mask) for stage, mask in stages.items()]
        for name, one in proposed.items():
            by_it = inside & one[at] if len(pool) else np.zeros(len(wanted), dtype=bool)
            alone = by_it & (how_many[at] == 1) if len(pool) else by_it
            counted += [(name, "retrieved", by_it), (name, "retrieved_alone", alone)]
        segments = {"all": np.ones(len(wanted), dtype=bool)}
        segments |= {f"depth:{label}": depth[owner] == number for number, label in enumerate(DEPTHS)}
        for segment, mask in segments.items():
            total = int(mask.sum())
            if total:
                rows += [
                    (known.as_of, view, segment, k, source, stage, hits := int((found & mask).sum()), hits / total)
                    for source, stage, found in counted
                ]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"k": np.int32, "purchases": np.int64, "share": np.float64})
