"""How many times as good as a baseline a model is, with intervals, on a finished backtest or week.

    make backtest
    python -m benchmarks.ratios --home .recs/backtest --as-of 2018-01-01 --folds 3

MAP@12 per view, for the latest test anchor alone and for all of them together; the ratio's 95 % interval
is a percentile bootstrap over customers, paired: a customer is drawn with her values of both models.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

import numpy as np

BASELINES = ("repurchase", "user_knn", "ease", "item_knn")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratios", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the finished backtest or week")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="its week")
    parser.add_argument("--folds", type=int, default=1, help="test anchors it was made with")
    parser.add_argument("--model", default="ranker")
    parsed = parser.parse_args(arguments)
    os.environ["RECS_HOME"] = str(parsed.home.resolve())
    os.environ["RECS_BACKTEST_FOLDS"] = str(parsed.folds)

    from recs_assets.campaigns.evaluate import build_fold
    from recs_assets.defs.deployment import Deployment
    from recs_assets.evaluation import bootstrap
    from recs_assets.evaluation.backtest import pool_folds
    from recs_assets.evaluation.evaluate import BOOTSTRAPPED
    from recs_assets.recommenders.base import VIEWS
    from recs_assets.settings import Settings
    from recs_assets.week.week import Week

    deployment = Deployment.from_settings(Settings())
    week = Week(deployment, deployment.warehouse(), parsed.as_of)
    anchors = deployment.test_anchors(parsed.as_of)
    folds = [build_fold(week, anchor) for anchor in anchors]
    map_at_12 = BOOTSTRAPPED.index(("map", 12))
    names = [parsed.model, *BASELINES]
    sys.stdout.write(
        f"| test anchors | view | customers | {parsed.model} | baseline | its MAP@12 | ratio |\n"
    )
    sys.stdout.write("|---|---|---:|---:|---|---:|---:|\n")
    for some in [folds[:1], folds] if len(folds) > 1 else [folds]:
        label = str(some[0].known.as_of) if len(some) == 1 else f"{len(some)}, from {some[-1].known.as_of}"
        for view in VIEWS:
            values = pool_folds(some, view, names)[:, :, map_at_12]
            drawn = bootstrap.resample_means(values, deployment.settings.seed)
            for place, name in enumerate(BASELINES, 1):
                low, high = np.quantile(drawn[:, 0] / drawn[:, place], [0.025, 0.975])
                mean = values.mean(axis=0)
                sys.stdout.write(
                    f"| {label} | {view} | {len(values)} | {mean[0]:.4f} | {name} | {mean[place]:.4f} | "
                    f"{mean[0] / mean[place]:.3f} ({low:.3f}–{high:.3f}) |\n"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
