"""What every family of the ranker's features brings: the ranker with and without it, on the same customers.

    python -m benchmarks.gains --home .recs --as-of 2018-01-01
    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --only brand,trend --seeds 5
    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --sources

The home holds a finished week and is only read. At each of its test anchors (RECS_BACKTEST_FOLDS as in the run that made
it) the ranker is fitted as the week fits it, once with the family and once without; a family that is off by default
(`without_features` in ranker.yaml) is switched on for its row. A fit with another seed moves MAP@12 by about 0.001, so a
customer's value is the mean of so many fits as `--seeds` says, and the interval is that of these means. `--sources`
measures each recommender instead: its lists are no candidates then, and its columns are no features.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.weekly import say
from recs_assets.ranking.features import FEATURES, find_feature
from recs_assets.shop import Shop
from recs_assets.training.gains import (
    Gain,
    compare_gain,
    fit_narrow,
    measure_scores,
    share_gain,
)
from recs_assets.training.products import Products
from recs_assets.training.ranker import choose_names, week_query
from recs_assets.training.tasks import CandidateSheet
from recs_assets.training.train import Lessons, load_lessons
from recs_assets.week.week import SOURCES, Week

# Signals that are finer than the families of reasons, as patterns of feature names.
SIGNALS: dict[str, tuple[str, ...]] = {
    "returns": ("customer_returns_share", "product_return_rate", "customer_product_units_returned"),
    "trend": ("product_trend_*", "product_purchases_28d_before", "category_trend_28d_before"),
    "season": ("product_purchases_year_before",),
    "category": ("category_*", "customer_category_*"),
    "browsing": ("*_views*", "*_carts*", "*_wishlists*", "*browsed", "*_dwell_*", "*_in_cart"),
    "rating": ("product_rating*", "customer_product_mean_rating"),
    "searches": ("customer_searches_28d",),
    "clicks": ("shown_not_clicked_28d", "click_share_91d", "customer_opens_28d", "customer_clicks_28d"),
}


@dataclass(frozen=True)
class Fitted:
    """Rankers with some features, one per seed.

    Attributes:
        scores: float64[candidates of the test] per seed.
        shares: feature -> its share of what the splits gained, of the first seed.
        seconds: processor time of one fit.
    """

    scores: list[np.ndarray]
    shares: Mapping[str, float]
    seconds: float


@dataclass
class Bench:
    """One test anchor of a week, with every feature that a ranker may know.

    Args:
        week: finished.
        test: one of its test anchors.
        seeds: so many fits per set of features.
        sources: whose lists are merged.
    """

    week: Week
    test: date
    seeds: int
    sources: tuple[str, ...] = SOURCES
    on: tuple[str, ...] = field(init=False)
    lessons: Lessons = field(init=False)
    sheet: CandidateSheet = field(init=False)
    frame: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        week, task = self.week, Products(self.week, self.week.as_of, week_query(self.week), "all")
        self.on, _ = choose_names(week, self.test)
        offers = (
            set(week.names) - set(week.names_without_offers) if set(self.on) != set(week.names) else set()
        )
        gone = {feature.name for feature in FEATURES if is_of_other_source(feature.column, self.sources)}
        task.sources = self.sources
        task.names = tuple(
            name
            for name in (*(feature.name for feature in FEATURES), *week.own_names)
            if name not in offers | gone
        )
        self.on = tuple(name for name in self.on if name in set(task.names))
        self.lessons = load_lessons(task, week.shop.train_anchors(self.test), say)
        self.sheet = task.label_sheet(self.test)
        self.frame = self.sheet.frame(np.arange(len(self.sheet)), len(task.names))
        self._fitted: dict[frozenset[str], Fitted] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of all columns of the frame."""
        return self.lessons.kept.names

    def fit(self, features: Iterable[str]) -> Fitted:
        """Rankers of these features; fitted once."""
        wanted = frozenset(features)
        if wanted not in self._fitted:
            settings, started = self.week.settings, time.process_time()
            rankers = [
                fit_narrow(self.lessons, wanted, settings.model_copy(update={"seed": settings.seed + number}))
                for number in range(self.seeds)
            ]
            seconds = (time.process_time() - started) / self.seeds
            self._fitted[wanted] = Fitted(
                [ranker.score(self.frame) for ranker in rankers],
                {name: share_gain(rankers[0].ranker, [name]) for name in wanted},
                seconds,
            )
        return self._fitted[wanted]

    def measure(self, fitted: Fitted) -> np.ndarray:
        """float64: MAP@12 of every customer who bought, the mean of the seeds."""
        values = measure_scores(
            self.week,
            self.test,
            self.sheet,
            {str(number): score for number, score in enumerate(fitted.scores)},
        )
        return np.mean(list(values.values()), axis=0)

    def compare(self, family: str, features: Sequence[str]) -> dict[str, Any]:
        """A row of the table: the ranker with these features and without them."""
        of_family = set(features)
        with_family = self.fit([name for name in self.names if name in of_family | set(self.on)])
        without = self.fit([name for name in self.on if name not in of_family])
        values = self.measure(with_family), self.measure(without)
        return {
            "family": family,
            "anchor": self.test,
            "on": "yes" if of_family & set(self.on) else "no",
            "features": len(of_family),
            "share": sum(with_family.shares.get(name, 0.0) for name in of_family),
            "seconds": with_family.seconds - without.seconds,
            "values": values,
        }


def is_of_other_source(column: str, sources: Sequence[str]) -> bool:
    """Whether a feature's column is of the list of a recommender that is not among these."""
    name = column.split(".")[0].split(":")[0]
    return name in SOURCES and name not in sources


def group_features(names: Sequence[str]) -> dict[str, list[str]]:
    """Family or signal -> those of the features that belong to it, without what has none."""
    groups: dict[str, list[str]] = {}
    for name in names:
        feature = find_feature(name)
        if feature is not None:
            groups.setdefault(feature.family, []).append(name)
    for signal, patterns in SIGNALS.items():
        there = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if there:
            groups[signal] = there
    return groups


def compare_families(week: Week, seeds: int, only: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of every family at every test anchor."""
    rows = []
    for test in week.test_anchors:
        bench = Bench(week, test, seeds)
        for family, features in group_features(bench.names).items():
            if not only or family in only:
                rows.append(bench.compare(family, features))
                say_row(rows[-1], week)
    return rows


def compare_sources(week: Week, seeds: int, only: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of every recommender at every test anchor: the ranker with its lists and without them."""
    rows = []
    for test in week.test_anchors:
        bench = Bench(week, test, seeds)
        of_all = bench.fit(bench.on)
        for source in SOURCES:
            if only and source not in only:
                continue
            rest = Bench(week, test, seeds, tuple(name for name in SOURCES if name != source))
            without = rest.fit(rest.on)
            own = [name for name in bench.on if name not in set(rest.on)]
            row = {
                "family": source, "anchor": test, "on": "yes", "features": len(own),
                "share": sum(of_all.shares.get(name, 0.0) for name in own),
                "seconds": of_all.seconds - without.seconds,
                "values": (bench.measure(of_all), rest.measure(without)),
            }  # fmt: skip
            rows.append(row)
            say_row(row, week)
    return rows


def say_row(row: Mapping[str, Any], week: Week) -> None:
    gain = compare_gain(*row["values"], week.settings.seed)
    say(f"{row['anchor']} {row['family']}: {write(gain)}")


def write(gain: Gain) -> str:
    """The difference with its interval."""
    return f"{gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def tabulate(rows: Sequence[Mapping[str, Any]], seed: int) -> str:
    """The result as a Markdown table: a row per family, the customers of all test anchors together."""
    lines = [
        "| family | on | features | share of gain | MAP@12 with | difference (95 % interval) | customers | verdict | "
        "processor s |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    table = pd.DataFrame(rows)
    for family, of_family in table.groupby("family", sort=False):
        pairs = [np.concatenate(parts) for parts in zip(*of_family["values"], strict=True)]
        gain = compare_gain(pairs[0], pairs[1], seed)
        lines.append(
            f"| {family} | {of_family['on'].iloc[0]} | {of_family['features'].iloc[0]} "
            f"| {of_family['share'].mean():.3f} | {pairs[0].mean():.4f} | {write(gain)} | {gain.customers:,} "
            f"| {gain.verdict} | {of_family['seconds'].mean():+.1f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Load, fit, compare, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gains", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, help="that week; the newest one if left out")
    parser.add_argument("--only", default="", help="families, or sources, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="fits per set of features")
    parser.add_argument("--sources", action="store_true", help="the recommenders instead of the families")
    parsed = parser.parse_args(arguments)
    only = [name for name in parsed.only.split(",") if name]
    os.environ["RECS_HOME"] = str(parsed.home.resolve())
    from recs_assets.settings import Settings

    shop = Shop.from_settings(Settings())
    weeks = [date.fromisoformat(folder.name) for folder in sorted((parsed.home / "weeks").iterdir())]
    as_of = parsed.as_of or max(weeks, default=None)
    if as_of is None or as_of not in weeks:
        parser.error(
            f"{parsed.home} holds no build of {as_of or 'any week'}; name a finished week with --as-of"
        )
    week = Week(shop, shop.warehouse(), as_of)
    rows = (compare_sources if parsed.sources else compare_families)(week, parsed.seeds, only)
    if unknown := sorted(set(only) - {row["family"] for row in rows}):
        parser.error(f"--only names {', '.join(unknown)}, which this week does not have")
    sys.stdout.write(
        f"\nWeek {as_of}, tested at {', '.join(map(str, week.test_anchors))}, {parsed.seeds} fits each\n\n"
        f"{tabulate(rows, week.settings.seed)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
