"""What it costs the recommenders to learn from a sample of the customers (RECS_FIT_CUSTOMERS).

    python -m benchmarks.fit_sample --home .recs --as-of 2018-01-01

The home holds a finished week. At its test anchor every recommender is fitted with the week's settings on all customers
who may be learned from, on a half and on a quarter of them, drawn as the setting draws them, and lists the same customers:
those whom the evaluation counts. Most of them are then no part of the sample.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.weekly import say
from recs_assets.evaluation import bootstrap, metrics
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.recommenders import REGISTRY
from recs_assets.shop import Shop
from recs_assets.week.week import Week, make_recommender

SHARES = (1.0, 0.5, 0.25)
K = 12


def measure(week: Week, name: str) -> list[dict[str, float | str]]:
    """A row per share of the customers: MAP@12 in view "all", and its difference to the fit on all, paired."""
    anchor = week.test_anchors[0]
    known, truth = week.known(anchor), week.truth(anchor)
    listed = week.find_customers_with_lists(anchor)
    buyers = listed[np.diff(truth.indptr)[listed] > 0]
    there = np.flatnonzero(known.customers["learned_from"])
    ids = known.customers["customer_id"].to_numpy()[there]
    rows, full = [], np.empty(0)
    for share in SHARES:
        taken = there[sample_customers(ids, round(share * len(there)), week.settings.seed)]
        started = time.monotonic()
        sample = known if share == 1.0 else known.take_customers(taken)
        model = make_recommender(week.shop, name, week.parameters(name)).fit_sample(sample, known)
        seconds = time.monotonic() - started
        found = metrics.measure_customers(
            model.recommend_known(known, buyers, K, ("all",))["all"], truth, buyers, (K,)
        )[("map", K)]
        full = full if len(full) else found
        difference, low, high = bootstrap.compare_pairs(found, full, week.settings.seed)
        rows.append(
            {
                "recommender": name, "customers": len(taken), "buyers": len(buyers), "map": found.mean(),
                "difference": difference, "low": low, "high": high, "seconds": seconds,
            }
        )  # fmt: skip
        say(f"{name}: {len(taken):,} customers, MAP@{K} {found.mean():.4f}, {seconds:.1f} s")
    return rows


def markdown(table: pd.DataFrame) -> str:
    """The result as a Markdown table: a row per recommender, all first, then the difference of every sample."""
    sizes = sorted(table["customers"].unique(), reverse=True)
    head = " | ".join([f"all {sizes[0]:,}", *(f"{size:,}" for size in sizes[1:])])
    lines = [f"| recommender | {head} |", "|---|" + "---:|" * len(sizes)]
    for name, rows in table.groupby("recommender", sort=False):
        cells = [f"{rows['map'].iloc[0]:.4f}"]
        for row in rows.iloc[1:].itertuples():
            cells.append(f"{row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Fit, list, compare, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_sample", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="that week")
    parser.add_argument("--only", default=",".join(REGISTRY), help="recommenders, separated by commas")
    parsed = parser.parse_args(arguments)
    names = parsed.only.split(",")
    if unknown := sorted(set(names) - set(REGISTRY)):
        parser.error(f"--only names {unknown}; there are {', '.join(REGISTRY)}")
    os.environ["RECS_HOME"] = str(parsed.home.resolve())
    from recs_assets.settings import Settings

    shop = Shop.from_settings(Settings())
    week = Week(shop, shop.warehouse(), parsed.as_of)
    table = pd.DataFrame([row for name in names for row in measure(week, name)])
    sys.stdout.write(
        f"\nMAP@{K} over {int(table['buyers'].iloc[0]):,} customers who bought after {week.test_anchors[0]}\n\n"
        f"{markdown(table)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
