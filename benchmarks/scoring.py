"""Rows scored per second by the platform, beside bare LightGBM and bare implicit in the same process.

    python -m benchmarks.scoring --home .recs --as-of 2018-01-01

The home holds a finished week. Every line is measured on that week's own data, at its own anchor:

- ALS: the adapter's fit and lists (`recommend_views`, "all" and "new", ties broken, availability and
  order checked) beside implicit's own fit and two calls of its `recommend`.
- Ranker: candidates merged, joined with their features and scored, beside `Booster.predict` on the same
  frame that is in memory already.
- SHAP values of 20,000 of its rows beside LightGBM's own `pred_contrib` of the same; the tables are made before.
- The ranker's fit beside `lightgbm.train` with the same parameters on the same rows.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def als(known, threads: int, k: int) -> dict[str, float]:
    """Seconds and rows of the adapter and of implicit alone."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    from recs_assets.recommenders import REGISTRY

    customers = np.arange(known.n_customers, dtype=np.int32)
    model = REGISTRY["als"].make(0, 200, threads)
    _, fit = timed(lambda: model.fit(known))
    with ThreadPoolExecutor(threads) as pool:
        lists, listed = timed(lambda: model.recommend_views(customers, k, ("all", "new"), pool))
    bare = AlternatingLeastSquares(
        factors=model.factors,
        regularization=model.regularization,
        iterations=model.iterations,
        alpha=1.0,  # the adapter's weights hold it already
        num_threads=threads,
        random_state=0,
    )
    signals = model.confidence_
    with threadpool_limits(limits=1, user_api="blas"):
        _, bare_fit = timed(lambda: bare.fit(signals, show_progress=False))
        _, both = timed(
            lambda: [
                bare.recommend(customers, signals, N=k, filter_already_liked_items=new)
                for new in (False, True)
            ]
        )
    return {
        "rows": sum(len(rows) for rows in lists.values()),
        "platform_s": fit + listed,
        "library_s": bare_fit + both,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="that week")
    parsed = parser.parse_args(arguments)
    os.environ["RECS_HOME"] = str(parsed.home.resolve())
    import lightgbm as lgb

    from recs_assets.ranking.ranker import Ranker
    from recs_assets.settings import Settings
    from recs_assets.shop import RANKER, Shop
    from recs_assets.training.products import Products
    from recs_assets.training.ranker import week_query
    from recs_assets.training.train import load_lessons
    from recs_assets.week.lessons import join_lessons
    from recs_assets.week.ranked import load_frames, load_ranker, score_candidates
    from recs_assets.week.week import Week

    shop = Shop.from_settings(Settings())
    settings, as_of = shop.settings, parsed.as_of
    week = Week(shop, shop.warehouse(), as_of)
    known = week.known()
    rows = {"ALS: fit and two lists per customer": als(known, settings.threads, settings.candidates)}

    learned = load_ranker(week)
    if learned is None:
        sys.stderr.write(f"Week {as_of} in {parsed.home} has no ranker: run it first.\n")
        return 1
    candidates, merging = timed(lambda: week.all_candidates(as_of))
    _, scoring = timed(lambda: score_candidates(week, learned.ranker, as_of, candidates))
    frame = np.concatenate(list(load_frames(week, as_of, candidates, learned.ranker.features_)))
    used = np.ascontiguousarray(
        frame[:, [learned.ranker.features_.index(name) for name in learned.ranker.used_]]
    )
    _, bare = timed(
        lambda: learned.ranker.booster_.predict(used, raw_score=True, num_threads=settings.threads)
    )
    rows["Ranker: merge, join and score every candidate"] = {
        "rows": len(candidates), "platform_s": merging + scoring, "library_s": bare,
    }  # fmt: skip
    again, known_frame = timed(lambda: learned.ranker.score(frame))
    rows["Ranker: score a frame in memory"] = {
        "rows": len(again), "platform_s": known_frame, "library_s": bare,
    }  # fmt: skip

    some = frame[:20_000]
    learned.ranker.contributions(some[:1])  # makes the tables
    _, explaining = timed(lambda: learned.ranker.contributions(some))
    _, bare = timed(
        lambda: learned.ranker.booster_.predict(
            used[: len(some)], pred_contrib=True, num_threads=settings.threads
        )
    )
    rows["Ranker: SHAP values"] = {"rows": len(some), "platform_s": explaining, "library_s": bare}

    test = week.test_anchors[0]
    task = Products(week, as_of, week_query(week), "all")
    task.names = learned.ranker.features_
    material = join_lessons(load_lessons(task, shop.train_anchors(test), lambda message: None).earlier)
    fresh = Ranker(RANKER, settings.seed, settings.threads)
    _, fitted = timed(lambda: fresh.fit(**material, rounds=learned.ranker.rounds_, used=learned.ranker.used_))
    columns = [learned.ranker.features_.index(name) for name in learned.ranker.used_]
    matrix = np.ascontiguousarray(material["X"][:, columns])
    parameters = {**fresh.parameters(len(matrix)), "metric": "None"}
    _, bare = timed(
        lambda: lgb.train(
            parameters,
            lgb.Dataset(matrix, label=material["y"], weight=material["weight"], params=parameters),
            num_boost_round=learned.ranker.rounds_,
        )
    )
    rows["Ranker: fit"] = {"rows": len(matrix), "platform_s": fitted, "library_s": bare}

    table = pd.DataFrame(rows).T
    table["rows_per_s"] = table["rows"] / table["platform_s"]
    table["library_rows_per_s"] = table["rows"] / table["library_s"]
    table["ratio"] = table["platform_s"] / table["library_s"]
    sys.stdout.write("| what | rows | platform s | library s | rows/s | library rows/s | ratio |\n")
    sys.stdout.write("|---|---:|---:|---:|---:|---:|---:|\n")
    for name, one in table.iterrows():
        sys.stdout.write(
            f"| {name} | {one['rows']:,.0f} | {one['platform_s']:.2f} | {one['library_s']:.2f} | "
            f"{one['rows_per_s']:,.0f} | {one['library_rows_per_s']:,.0f} | {one['ratio']:.2f} |\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
