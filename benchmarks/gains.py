"""What every family of the ranker's features brings: the ranker with and without it, on the same customers.

    python -m benchmarks.gains --home .recs --as-of 2018-01-01
    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --only brand,trend --seeds 5
    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --sources
    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --tried
    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --hours

The home holds a finished week and is only read. At each of its test anchors (RECS_BACKTEST_FOLDS as in the run that made
it) the ranker is fitted as the week fits it, once with the family and once without; a family that is off by default
(`without_features` in ranker.yaml) is switched on for its row. A fit with another seed moves MAP@12 by about 0.001, so a
customer's value is the mean of so many fits as `--seeds` says, and the interval is that of these means. `--sources`
measures each recommender instead: its lists are no candidates then, and its columns are no features. `--tried` measures
what the week does not have: the signals of benchmarks/signals.py and the recommenders of benchmarks/proposers.py. `--hours`
measures no ranker but when customers order (benchmarks/hours.py). `--rows`
lets the trees learn from fewer rows than the week's, which is faster.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import hours
from benchmarks.proposers import PROPOSERS
from benchmarks.signals import SIGNALS, load_signal
from benchmarks.weekly import say
from recs_assets.ranking.features import BY_NAME, FEATURES, find_feature
from recs_assets.recommenders.base import VIEWS, View
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
from recs_assets.training.train import load_lessons
from recs_assets.week.ranked import load_frames
from recs_assets.week.week import SOURCES, Week

Row = dict[str, Any]
Wanted = Callable[[str], bool]

# Signals that are finer than the families of reasons, as patterns of feature names.
PATTERNS: dict[str, tuple[str, ...]] = {
    "returns": ("customer_returns_share", "product_return_rate", "customer_product_units_returned"),
    "trend": ("product_trend_*", "product_purchases_28d_before", "category_trend_28d_before"),
    "season": ("product_purchases_year_before",),
    "category": ("category_*", "customer_category_*"),
    "browsing": ("*_views*", "*_carts*", "*_wishlists*", "*browsed", "*_dwell_*", "*_in_cart"),
    "rating": ("product_rating*", "customer_product_mean_rating"),
    "searches": ("customer_searches_28d",),
    "searched": ("searched_*",),
    "clicks": ("shown_not_clicked_28d", "click_share_91d", "customer_opens_28d", "customer_clicks_28d"),
}


class Tried(Products):
    """The week's products with further columns, and with the lists of a further recommender.

    Args:
        week: finished.
        names: of the week's features that the frame holds.
        signals: of `benchmarks.signals`.
        proposer: of `benchmarks.proposers`; None for none.
    """

    def __init__(
        self, week: Week, names: Sequence[str], signals: Sequence[str], proposer: str | None
    ) -> None:
        super().__init__(week, week.as_of, week_query(week), "all")
        self.plain, self.signals, self.proposer = tuple(names), tuple(signals), proposer
        self.more = {name: [f"{name}.{column}" for column in SIGNALS[name].columns] for name in signals}
        self._proposed: dict[date, dict[str, pd.DataFrame]] = {}
        self.listed = PROPOSERS[proposer].name if proposer else None
        if proposer and self.listed not in SOURCES:
            self.sources = (*SOURCES, proposer)
            self.more[proposer] = [f"{proposer}.{what}" for what in ("rank", "score", "new_rank")]
        self.names = (*self.plain, *(name for columns in self.more.values() for name in columns))

    def load_lists(self, name: str, anchor: date, view: View, first: int, last: int) -> pd.DataFrame:
        if name != self.listed or self.proposer is None:
            return super().load_lists(name, anchor, view, first, last)
        with self._making:
            if anchor not in self._proposed:
                model, week = PROPOSERS[self.proposer](), self.week
                model.fit(week.fit_known(anchor))
                customers = np.sort(week.find_customers_with_lists(anchor))
                self._proposed[anchor] = dict(
                    model.recommend_known(week.known(anchor), customers, week.settings.candidates, VIEWS[:2])
                )
        rows = self._proposed[anchor][view]
        return rows[slice(*np.searchsorted(rows["customer"], [first, last]))].reset_index(drop=True)

    def sheet(self, anchor: date, first: int, last: int) -> CandidateSheet:
        sheet = super().sheet(anchor, first, last)
        candidates, known = sheet.candidates, self.known(anchor)
        more = np.empty((len(sheet), 0), dtype=np.float32)
        if self.signals:
            ids = (
                known.customers["customer_id"].to_numpy(object)[candidates.customer],
                known.products["product_id"].to_numpy(object)[candidates.product],
            )
            with self.week.build.read() as connection:
                more = np.hstack(
                    [load_signal(connection, name, anchor.isoformat(), *ids) for name in self.signals]
                )
        if self.proposer in self.more:
            (rank, score), (new_rank, _) = (candidates.sources[self.proposer + of] for of in ("", ":new"))
            more = np.column_stack([more, rank, score, new_rank]).astype(np.float32)

        def load_chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
            start = 0
            for X in load_frames(self.week, anchor, candidates.take(rows), self.plain):
                yield np.hstack([X, more[rows[start : start + len(X)]]])
                start += len(X)

        return replace(sheet, chunks=load_chunks)


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


class Bench:
    """One test anchor of a week, with every feature that a ranker may know.

    Args:
        week: finished.
        test: one of its test anchors.
        seeds: so many fits per set of features.
        rows: that the trees learn from, and are stopped by; the week's own numbers if None.
        without: a recommender whose lists are left out.
        signals: that are tried.
        proposer: that is tried.
    """

    def __init__(
        self,
        week: Week,
        test: date,
        seeds: int,
        rows: int | None = None,
        *,
        without: str | None = None,
        signals: Sequence[str] = (),
        proposer: str | None = None,
    ) -> None:
        self.week, self.test, self.seeds = week, test, seeds
        on, _ = choose_names(week, test)
        offers = set(week.names) - set(week.names_without_offers) if set(on) != set(week.names) else set()
        gone = offers | {feature.name for feature in FEATURES if is_of_source(feature.column, without)}
        self.on = tuple(name for name in on if name not in gone)
        task = Tried(
            week,
            [name for name in (*(feature.name for feature in FEATURES), *week.own_names) if name not in gone],
            signals,
            proposer,
        )
        task.sources = tuple(name for name in task.sources if name != without)
        self.tried = task.more
        anchors = week.shop.train_anchors(test)
        if rows:
            task.most_rows = rows
        self.lessons = load_lessons(task, anchors, say)
        if rows:
            self.lessons = replace(self.lessons, kept=self.lessons.again)
        self.sheet = task.label_sheet(test)
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

    def measure(self, fitted: Fitted) -> dict[View, np.ndarray]:
        """Per view float64: MAP@12 of every customer who bought of it, the mean of the seeds."""
        scores = {str(number): score for number, score in enumerate(fitted.scores)}
        return {
            view: np.mean(
                list(measure_scores(self.week, self.test, self.sheet, scores, view).values()), axis=0
            )
            for view in VIEWS[:2]
        }

    def compare(self, family: str, features: Sequence[str]) -> dict[str, Any]:
        """A row of the table: the ranker with these features and without them."""
        of_family = set(features)
        with_family = self.fit([name for name in self.names if name in of_family | set(self.on)])
        without = self.fit([name for name in self.on if name not in of_family])
        on = "yes" if of_family & set(self.on) else "no"
        return make_row(family, on, features, (self, with_family), (self, without))


def make_row(
    family: str,
    on: str,
    features: Sequence[str],
    with_family: tuple[Bench, Fitted],
    without: tuple[Bench, Fitted],
) -> dict[str, Any]:
    """A row of the table."""
    (bench, fitted), (other, rest) = with_family, without
    of_family, of_rest = bench.measure(fitted), other.measure(rest)
    row = {
        "family": family, "anchor": bench.test, "on": on, "features": len(features),
        "share": sum(fitted.shares.get(name, 0.0) for name in features), "seconds": fitted.seconds - rest.seconds,
        **{view: (of_family[view], of_rest[view]) for view in of_family},
    }  # fmt: skip
    gains = [f"{view} {write(compare_gain(*row[view], bench.week.settings.seed))}" for view in of_family]
    say(f"{bench.test} {family}: {', '.join(gains)}")
    return row


def is_of_source(column: str, source: str | None) -> bool:
    """Whether a feature's column is of the lists of a recommender."""
    return column.split(".")[0].split(":")[0] == source


def group_features(names: Sequence[str]) -> dict[str, list[str]]:
    """Family or signal -> those of the features that belong to it, without what has none."""
    groups: dict[str, list[str]] = {}
    for name in names:
        feature = find_feature(name)
        if feature is not None:
            groups.setdefault(feature.family, []).append(name)
    for signal, patterns in PATTERNS.items():
        there = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if there:
            groups[signal] = there
    return groups


def compare_families(week: Week, test: date, seeds: int, rows: int | None, wanted: Wanted) -> list[Row]:
    """Rows of the families of features at a test anchor."""
    bench = Bench(week, test, seeds, rows)
    groups = group_features(bench.names)
    return [bench.compare(family, features) for family, features in groups.items() if wanted(family)]


def compare_sources(week: Week, test: date, seeds: int, rows: int | None, wanted: Wanted) -> list[Row]:
    """Rows of the recommenders at a test anchor: the ranker with the lists and without them."""
    bench, found = Bench(week, test, seeds, rows), []
    fitted = bench.fit(bench.on)
    for source in SOURCES:
        if wanted(source):
            rest = Bench(week, test, seeds, rows, without=source)
            own = [name for name in bench.on if name not in set(rest.on)]
            found.append(make_row(source, "yes", own, (bench, fitted), (rest, rest.fit(rest.on))))
    return found


def compare_tried(week: Week, test: date, seeds: int, rows: int | None, wanted: Wanted) -> list[Row]:
    """Rows of the signals and the recommenders that the week does not have at a test anchor."""
    bench = Bench(week, test, seeds, rows, signals=[name for name in SIGNALS if wanted(name)])
    found = [bench.compare(name, columns) for name, columns in bench.tried.items()]
    for proposer in PROPOSERS:
        if wanted(proposer):
            more = Bench(week, test, seeds, rows, proposer=proposer)
            listed = PROPOSERS[proposer].name
            own = more.tried.get(proposer) or [
                name for name in more.on if name in BY_NAME and is_of_source(BY_NAME[name].column, listed)
            ]
            fitted = more.fit({*more.on, *own})
            found.append(make_row(proposer, "no", own, (more, fitted), (bench, bench.fit(bench.on))))
    return found


def write(gain: Gain) -> str:
    """The difference with its interval."""
    return f"{gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def tabulate(rows: Sequence[Row], seed: int) -> str:
    """The result as a Markdown table: a row per family, the customers of all test anchors together."""
    lines = [
        "| family | on | features | share of gain | MAP@12 with | difference (95 % interval) | of new products | customers "
        "| verdict | processor s |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|---:|",
    ]
    for family, of_family in pd.DataFrame(rows).groupby("family", sort=False):
        pairs = {
            view: [np.concatenate(parts) for parts in zip(*of_family[view], strict=True)]
            for view in VIEWS[:2]
        }
        gain, of_new = (compare_gain(*pairs[view], seed) for view in VIEWS[:2])
        lines.append(
            f"| {family} | {of_family['on'].iloc[0]} | {of_family['features'].iloc[0]} "
            f"| {of_family['share'].mean():.3f} | {pairs['all'][0].mean():.4f} | {write(gain)} | {write(of_new)} "
            f"| {gain.customers:,} | {gain.verdict} | {of_family['seconds'].mean():+.1f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Load, fit, compare, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gains", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of a finished week")
    parser.add_argument("--as-of", type=date.fromisoformat, help="that week; the newest one if left out")
    parser.add_argument("--only", default="", help="families, sources or signals, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="fits per set of features")
    parser.add_argument(
        "--rows", type=int, help="rows that the trees learn from; the week's own number if left out"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--sources", action="store_true", help="the recommenders instead of the families")
    what.add_argument("--tried", action="store_true", help="what the week does not have instead")
    what.add_argument("--hours", action="store_true", help="the hours and weekdays of orders instead")
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
    if parsed.hours:
        sys.stdout.write(f"{hours.tabulate(week)}\n")
        return 0
    compare = compare_sources if parsed.sources else compare_tried if parsed.tried else compare_families
    rows: list[Row] = []
    for test in week.test_anchors:
        rows += compare(week, test, parsed.seeds, parsed.rows, lambda name: not only or name in only)
    if unknown := sorted(set(only) - {row["family"] for row in rows}):
        parser.error(f"--only names {', '.join(unknown)}, which this week does not have")
    sys.stdout.write(
        f"\nWeek {as_of}, tested at {', '.join(map(str, week.test_anchors))}, {parsed.seeds} fits each\n\n"
        f"{tabulate(rows, week.settings.seed)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
