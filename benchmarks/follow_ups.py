"""What lists of follow-ups are worth beside the recommenders that resemble them, and to the candidates.

    python -m benchmarks.follow_ups --home .recs --as-of 2018-01-01

The home holds a finished week. At its test anchor the lists of `follow_ups` and `late_follow_ups` are compared with those
of `transition` and `item_knn` on the customers who bought something in the label window, by MAP@12, in the views "all" and
"new"; and the share of what was bought that is among the merged candidates is counted with the follow-ups' lists and without.
What the ranker gains by them: python -m benchmarks.gains --tried --only follow_ups,late_follow_ups.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks.weekly import say
from recs_assets.evaluation import bootstrap, metrics
from recs_assets.ranking.candidates import merge
from recs_assets.recommenders.base import View
from recs_assets.shop import RANKER, Shop
from recs_assets.week.week import SOURCES, Week, make_recommender

K = 12
NEW = ("follow_ups", "late_follow_ups")
BESIDE = ("transition", "item_knn")
VIEWS: tuple[View, ...] = ("all", "new")


def fit_and_list(week: Week, name: str, anchor: date) -> dict:
    """View -> lists at the anchor."""
    known, started = week.known(anchor), time.monotonic()
    model = make_recommender(week.shop, name, week.parameters(name) if name not in NEW else None)
    model.fit_sample(week.fit_known(anchor), known)
    customers = week.find_customers_with_lists(anchor)
    lists = model.recommend_known(known, customers, week.settings.candidates, VIEWS)
    say(f"{name}: {time.monotonic() - started:.1f} s, {len(lists['all']):,} rows")
    return lists


def compare_lists(week: Week, lists: dict, truth: sparse.csr_matrix, buyers: np.ndarray) -> list[str]:
    """Lines of a Markdown table: MAP@12 per view, and the paired differences to the others."""
    lines = [f"| view | list | MAP@{K} | " + " | ".join(f"less {name}" for name in BESIDE) + " |"]
    lines.append("|---|---|---:|" + "---:|" * len(BESIDE))
    known = week.known(week.test_anchors[0])
    for view in VIEWS:
        wanted = truth if view == "all" else truth - truth.multiply(known.history > 0)
        wanted = sparse.csr_matrix(wanted)
        wanted.eliminate_zeros()
        asked = buyers[np.diff(wanted.indptr)[buyers] > 0]
        values = {
            name: metrics.measure_customers(own[view], wanted, asked, (K,))[("map", K)]
            for name, own in lists.items()
        }
        for name, own in values.items():
            cells = []
            for other in BESIDE:
                difference, low, high = bootstrap.compare_pairs(own, values[other], week.settings.seed)
                cells.append(f"{difference:+.4f} ({low:+.4f} to {high:+.4f})" if other != name else "")
            lines.append(f"| {view} | {name} | {own.mean():.4f} | {' | '.join(cells)} |")
        lines.append(f"| | {len(asked):,} customers | | | |")
    return lines


def compare_candidates(week: Week, lists: dict, truth: sparse.csr_matrix, buyers: np.ndarray) -> list[str]:
    """Lines of a Markdown table: share of each buyer's purchases among the candidates, without and with follow-ups."""
    anchor = week.test_anchors[0]
    known = week.known(anchor)
    # A source that is tried out may be one already.
    base = {
        label: week.lists(name, anchor, view)
        for name in SOURCES
        if name not in NEW
        for view, label in (("all", name), ("new", f"{name}:new"))
    }

    def measure(*names: str) -> np.ndarray:
        more = {
            label: lists[name][view]
            for name in names
            for view, label in (("all", name), ("new", f"{name}:new"))
        }
        pool = merge({**base, **more}, known, RANKER.pool.own, RANKER.pool.new)
        found = np.bincount(pool.customer, weights=pool.labels(truth), minlength=known.n_customers)
        return found[buyers] / np.diff(truth.indptr)[buyers]

    without = measure()
    lines = [
        "| candidates | recall | difference |",
        "|---|---:|---:|",
        f"| without | {without.mean():.4f} | |",
    ]
    for names in ((NEW[0],), (NEW[1],), NEW):
        own = measure(*names)
        difference, low, high = bootstrap.compare_pairs(own, without, week.settings.seed)
        lines.append(
            f"| with {' and '.join(names)} | {own.mean():.4f} | {difference:+.4f} ({low:+.4f} to {high:+.4f}) |"
        )
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Fit, list, compare, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.follow_ups", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="that week")
    parsed = parser.parse_args(arguments)
    os.environ["RECS_HOME"] = str(parsed.home.resolve())
    from recs_assets.settings import Settings

    shop = Shop.from_settings(Settings())
    week = Week(shop, shop.warehouse(), parsed.as_of)
    anchor = week.test_anchors[0]
    truth = week.truth(anchor)
    listed = week.find_customers_with_lists(anchor)
    buyers = listed[np.diff(truth.indptr)[listed] > 0]
    lists = {name: fit_and_list(week, name, anchor) for name in (*NEW, *BESIDE)}
    lines = [f"At {anchor}, {len(buyers):,} customers bought something.", ""]
    lines += [*compare_lists(week, lists, truth, buyers), "", *compare_candidates(week, lists, truth, buyers)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
