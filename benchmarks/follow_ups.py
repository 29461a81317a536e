"""What lists of follow-ups are worth beside the recommenders that resemble them, and to the candidates.

    python -m benchmarks.follow_ups --home .recs --as-of 2018-01-01

The home holds a finished week. At its test anchor the lists of `follow_ups` and `late_follow_ups` are compared with those
of `transition` and `item_knn` on the customers who bought something in the label window, by MAP@12, in the views "all" and
"new"; and the share of what was bought that is among the merged candidates is counted with the follow-ups' lists and without.

    python -m benchmarks.follow_ups --home COPY --as-of 2018-01-01 --ranker

also trains the week's ranker again, without follow-ups as sources and features and with them. It writes lists into the home:
give it a copy.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.weekly import say
from recs_assets.evaluation import bootstrap, metrics
from recs_assets.evaluation.promotion import measure_models
from recs_assets.ranking.candidates import merge
from recs_assets.ranking.features import select_features
from recs_assets.recommenders.base import View
from recs_assets.shop import RANKER, Shop
from recs_assets.training import products as products_module
from recs_assets.training.ranker import NoLastGood, train_ranker
from recs_assets.week import week as week_module
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


def train_with(week: Week, sources: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """View -> the lists at the test anchor of a ranker that draws on these recommenders."""
    anchor = week.test_anchors[0]
    features = select_features(sources, RANKER.without_features)
    names = tuple(feature.name for feature in features)
    with ExitStack() as stack:
        for module, attribute, value in (
            (week_module, "SOURCES", sources),
            (products_module, "SOURCES", sources),
            (week_module, "NAMES", names),
            (week_module, "WITHOUT_OFFERS", tuple(one.name for one in features if one.family != "promotion")),
        ):
            stack.enter_context(patch.object(module, attribute, value))
        train_ranker(week, anchor, NoLastGood("a benchmark"), say)
        return {view: week.lists("ranker", anchor, view) for view in VIEWS}


def compare_rankers(week: Week, truth: sparse.csr_matrix, listed: np.ndarray) -> list[str]:
    """Lines of a Markdown table: MAP@12 of the ranker without follow-ups, and the paired difference with them."""
    anchor = week.test_anchors[0]
    for one in week.anchors:
        if one != week.as_of:
            for name in NEW:
                week.write_lists(name, one, [fit_and_list(week, name, one)])
    base = tuple(name for name in SOURCES if name not in NEW)
    rankers = {"without": train_with(week, base)}
    for names in ((NEW[0],), (NEW[1],), NEW):
        rankers[f"with {' and '.join(names)}"] = train_with(week, (*base, *names))
    lines = [f"| view | ranker | MAP@{K} | difference |", "|---|---|---:|---:|"]
    for view in VIEWS:
        values = measure_models(
            {name: lists[view] for name, lists in rankers.items()},
            week.known(anchor),
            truth,
            listed,
            view=view,
        )
        for name, own in values.items():
            difference, low, high = bootstrap.compare_pairs(own, values["without"], week.settings.seed)
            cell = "" if name == "without" else f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"
            lines.append(f"| {view} | {name} | {own.mean():.4f} | {cell} |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Fit, list, compare, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.follow_ups", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="that week")
    parser.add_argument("--ranker", action="store_true", help="train the ranker, too; writes into the home")
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
    if parsed.ranker:
        lines += ["", *compare_rankers(week, truth, listed)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
