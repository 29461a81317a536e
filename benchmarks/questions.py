"""What a shop asks somebody new, and what it asks where answers say nothing.

    python -m benchmarks.questions --home .recs .recs/techheaven
    python -m benchmarks.questions --noise 40
    python -m benchmarks.questions --noise 1 --size 200000 10 20000 300

Of a home the newest finished week's build file is read, and nothing is written: the questions, what they say, and the processor
seconds of choosing them. Shops of noise buy products at random, whoever buys: how many of them ask something.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from recs_assets.campaigns.questionnaire import choose_questions
from recs_assets.known.interactions import PURCHASE, Events, Known
from recs_assets.known.load import load_known
from recs_assets.settings import Settings
from recs_assets.shop import Shop

# Customers, purchases of each (on average, where customers differ), products, categories.
NOISE = ((60, 10, 40, 6), (1000, 6, 200, 12), (5000, 10, 300, 12))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, nargs="+", default=[])
    parser.add_argument("--noise", type=int, default=0, help="shops of noise of each size")
    parser.add_argument(
        "--size",
        type=int,
        nargs=4,
        help="customers, purchases of each, products and categories of such a shop",
    )
    parsed = parser.parse_args(arguments)
    for home in parsed.home:
        report_home(home)
    for size in [parsed.size] if parsed.size else NOISE:
        for differ in (False, True) if parsed.noise else ():
            report_noise(size, differ, parsed.noise)
    return 0


def report_noise(size: tuple[int, ...], differ: bool, shops: int) -> None:
    asked, seconds = 0, 0.0
    for seed in range(shops):
        known = make_noise(*size, differ, seed)
        began = time.process_time()
        asked += not choose_questions(known).empty
        seconds += time.process_time() - began
    title = "{:,} customers with {} purchases, {:,} products in {} categories".format(*size)
    write_line(
        f"{title}{', customers and products differ' * differ}: {asked} of {shops} ask something, "
        f"{seconds / shops:.1f} processor seconds each"
    )


def report_home(home: Path) -> None:
    build = max(home.glob("weeks/*/build.duckdb"))
    with duckdb.connect(str(build), read_only=True) as connection:
        connection.execute("set threads = 1")
        known = load_known(connection, date.fromisoformat(build.parent.name))
    sensitive = Shop.from_settings(Settings()).sensitive.classify(known.products).topic >= 0
    began = time.process_time()
    rows = choose_questions(known, sensitive)
    seconds = time.process_time() - began
    purchases = known.purchased.sum()
    write_line(
        f"{home}: {known.n_customers:,} customers, {purchases:,} purchases, {seconds:.1f} processor seconds"
    )
    for _, options in rows.groupby("question"):
        first = options.iloc[0]
        write_line(f"| {first.question} | {first.kind} | {', '.join(options['answer'])} | {first.bits:.4f} |")


def make_noise(customers: int, days: int, products: int, categories: int, differ: bool, seed: int) -> Known:
    """Who buys what is drawn alike for everybody; where `differ`, some buy on more days and some products sell better."""
    rng = np.random.default_rng(seed)
    times = rng.geometric(1 / days, customers) if differ else np.full(customers, days)
    share = 1 / np.arange(1, products + 1) if differ else np.ones(products)
    n = int(times.sum())
    day = np.concatenate([np.arange(count) for count in times]).astype(np.int32)
    customer = np.repeat(np.arange(customers), times).astype(np.int32)
    product = rng.choice(products, n, p=share / share.sum()).astype(np.int32)
    one = np.ones(n, dtype=np.float32)
    goods = np.arange(products)
    return Known(
        date(2024, 3, 4),
        pd.DataFrame({"customer_id": [f"c{number:05}" for number in range(customers)], "learned_from": True}),
        pd.DataFrame(
            {
                "product_id": [f"p{number:04}" for number in goods],
                "category": [f"category {number % categories}" for number in goods],
                "brand": [f"brand {number % 7}" for number in goods],
                "available": True,
            }
        ),
        Events(
            customer,
            product,
            np.arange(n, dtype=np.int32),
            day,
            np.full(n, PURCHASE, dtype=np.int8),
            one,
            one,
        ),
    )


def write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
