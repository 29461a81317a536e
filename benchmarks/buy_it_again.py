"""What the buy-it-again list is worth at a finished week's test anchor, and what its gates cost.

    RECS_HOME=/path/to/home python -m benchmarks.buy_it_again --week 2018-01-01

Reads the week's build file and the ranker's lists, writes nothing. Every row is MAP@12 in view "repeat"
beside personal decayed frequency (`repurchase`), with the paired bootstrap interval of the difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.campaigns.due import LENGTH, order_rows
from recs_assets.defs.deployment import Deployment
from recs_assets.evaluation import bootstrap
from recs_assets.evaluation.promotion import measure_models
from recs_assets.known.interactions import Known
from recs_assets.repeats.cadence import Cadence, fit_cadence, list_due_again
from recs_assets.settings import Settings
from recs_assets.week.week import Week

BASELINE = "repurchase"


def variants(
    known: Known, found: Cadence, ranked: pd.DataFrame | None, repeat_share: float
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and list of each threshold, ordered by the cadence and by the ranker."""
    today = Cadence(
        **{
            **vars(found),
            "due_ratio": (known.anchor_day - found.last_day) / found.expected_gap,
        }
    )
    for measured, one in (("by the end of the horizon", found), ("today", today)):
        for threshold in (0.0, 0.25, 0.5, 0.75, 1.0):
            rows, _ = list_due_again(
                known, one, due_ratio=threshold, repeat_share=repeat_share if threshold else 0.0, limit=LENGTH
            )
            name = f"due {measured} >= {threshold}" if threshold else "no gate"
            yield f"p_repeat, {name}", order_rows(rows, None)
            if ranked is not None:
                yield f"ranker, {name}", order_rows(rows, ranked)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--week", type=date.fromisoformat, required=True)
    settings = Settings()
    deployment = Deployment.from_settings(settings)
    week = Week(deployment, deployment.warehouse(), parser.parse_args().week)
    anchor = week.test_anchors[0]
    known = week.known(anchor)
    truth = week.truth(anchor)
    ranked, path = None, week.lists_path("ranker", anchor, "repeat")
    lists = {BASELINE: week.lists(BASELINE, anchor, "repeat")}
    if path.exists():
        lists["ranker, its own list"] = ranked = week.lists("ranker", anchor, "repeat")
    found = fit_cadence(known, deployment.horizon_days)
    lists |= dict(variants(known, found, ranked, settings.buy_again_repeat_share))
    values = measure_models(lists, known, truth, np.arange(known.n_customers), view="repeat")
    lines = [
        f"{anchor}, {deployment.horizon_days} days, {len(values[BASELINE]):,} customers",
        "| list | MAP@12 | difference | interval |",
        "|---|---:|---:|---|",
    ]
    for name, one in values.items():
        difference, low, high = bootstrap.compare_pairs(one, values[BASELINE], settings.seed)
        lines.append(f"| {name} | {one.mean():.4f} | {difference:+.4f} | {low:+.4f} to {high:+.4f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
