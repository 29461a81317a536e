"""Next-basket recommendation through the weekly pipeline, scored like "A Next Basket Recommendation
Reality Check" (Li, Jullien, Ariannezhad and de Rijke, ACM TOIS 2023).

    python -m benchmarks.next_basket --data ../shared/data/tafeng --home /tmp/tafeng

What the folder holds, `benchmarks/baskets.py` says.

Baskets are aligned at the right: a customer's n-th basket from the end falls in the n-th week
before the end, the future basket in the last week. So the weekly anchors are the protocol: the
week of `--as-of` has its test anchor one week earlier, everything before it is known, and the
future baskets are the label window. There are two regimes:

- `--regime history` (the default): nothing else is told to the pipeline, in particular no future basket of a
  training user.
- `--regime labels`: the reality check's learners may use those. Per fold, the baskets of its training
  users fall one week earlier, so that their future is what the kept training anchor asks for;
  nobody else's is told.

The tested ranker (`ranker`) is stopped at the kept anchor and learns nothing from it. What a week publishes is fitted
again with it, and that is what the rows `regrown` do at the test anchor: with the earlier anchor, with the kept
one alone (`regrown_latest`), in the second regime also with the training users' rows of it alone (`regrown_teachers`).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.baskets import Dataset, convert, read_dataset, sample
from benchmarks.tifu_knn import tifu_knn, tifu_vectors
from benchmarks.weekly import say
from recs_assets.evaluation import bootstrap, metrics
from recs_assets.known.load import load_known
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.artefacts import read_lists
from recs_assets.settings import Settings
from recs_assets.shop import RANKER, Shop
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.lessons import Lesson, join_lessons
from recs_assets.week.ranked import load_frames
from recs_assets.week.week import Week

KS = (10, 20)
HORIZON = timedelta(days=7)
COLUMNS = [f"{metric}@{k}" for k in KS for metric in ("recall", "ndcg", "phr")]
BASELINE = "tifu_knn"


def run_week(shop: Path, home: Path, as_of: date, customers: int) -> float:
    """Run the weekly pipeline's backtest on the converted shop as a user would; returns seconds.

    Raises:
        subprocess.CalledProcessError: the week failed; its own message stands on stderr.
    """
    settings = {
        "RECS_DATA": shop,
        "RECS_HOME": home,
        "RECS_HORIZON_DAYS": HORIZON.days,
        "RECS_TIMEZONE": "UTC",
        "RECS_FIRST_WEEK": as_of - timedelta(weeks=1),
        "RECS_EVALUATION_CUSTOMERS": customers,
    }
    started = time.monotonic()
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "recs_assets", "backtest", "--folds", "1", "--as-of", as_of.isoformat()],
        env={**os.environ, **{name: str(value) for name, value in settings.items()}},
        check=True,
    )
    return time.monotonic() - started


def pipeline_lists(home: Path, as_of: date) -> tuple[dict[str, pd.DataFrame], np.ndarray, np.ndarray]:
    """Every list the pipeline wrote at the test anchor (recommenders, blend, ranker).

    Returns:
        name -> frame (customer, product, rank; codes), customer ids and product ids by code.
    """
    anchor = as_of - HORIZON
    build = Warehouse(home / "backtest").build(as_of)
    with build.read() as connection:
        known = load_known(connection, anchor)
    folder = build.folder / "candidates"
    pattern = re.compile(rf"(?P<name>\w+)-{anchor.isoformat()}-all\.parquet")
    lists = {
        match["name"]: read_lists(path, known)[["customer", "product", "rank"]]
        for path in sorted(folder.iterdir())
        if (match := pattern.fullmatch(path.name))
    }
    return (
        lists,
        known.customers["customer_id"].to_numpy(dtype=object),
        known.products["product_id"].to_numpy(dtype=object),
    )


def regrown_lessons(
    earlier: Sequence[Lesson], kept: Lesson, customer_ids: np.ndarray, teachers: Collection[str]
) -> dict[str, list[Lesson]]:
    """What each row `regrown` learns from.

    Args:
        earlier: lessons of the anchors before the kept one.
        kept: lesson of the kept one.
        customer_ids: by customer code at the kept anchor.
        teachers: users whose label at the kept anchor is their future basket.

    Returns:
        `regrown`: all of it; `regrown_latest`: the kept anchor; `regrown_teachers`: the teachers' rows there, where
        there are teachers.
    """
    lessons = {"regrown": [*earlier, kept], "regrown_latest": [kept]}
    if teachers:
        theirs = np.flatnonzero(np.isin(customer_ids[kept.group], list(teachers)))
        lessons["regrown_teachers"] = [kept.take(theirs, kept.weight[theirs])]
    return lessons


def regrown_lists(
    shop: Path, home: Path, as_of: date, customers: int, teachers: Collection[str] = (), seeds: int = 1
) -> dict[str, pd.DataFrame]:
    """Lists of the ranker at the test anchor, fitted again with the kept training anchor.

    Rounds and features stay those of the tested ranker, which stopped at that anchor. The week does the same
    for what it publishes, one horizon later.

    Args:
        shop: the converted shop.
        home: of its week.
        as_of: of the week.
        customers: how many have lists at the test anchor.
        teachers: users whose label at the kept anchor is their future basket; none: nobody's is.
        seeds: so many fits, their log-odds averaged.

    Returns:
        The names of `regrown_lessons`; frames as `pipeline_lists`.
    """
    # Brings Dagster along, which the arithmetic of this module can do without.
    from recs_assets.training.products import Products
    from recs_assets.training.ranker import BEFORE_REFIT, week_query
    from recs_assets.training.train import load_lessons

    settings = Settings(
        data=shop,
        home=home / "backtest",
        horizon_days=HORIZON.days,
        timezone="UTC",
        first_week=as_of - timedelta(weeks=1),
        evaluation_customers=customers,
    )
    place = Shop.from_settings(settings)
    week = Week(place, place.warehouse(), as_of)
    test = week.test_anchors[0]
    anchors = place.train_anchors(test)
    stopped = Ranker.load(week.model_path(BEFORE_REFIT), settings.threads)
    task = Products(week, as_of, week_query(week), "all")
    task.names = stopped.features_
    lessons = load_lessons(task, anchors, lambda message: None)
    kept, earlier = lessons.again, lessons.earlier
    ids = week.known(anchors[0]).customers["customer_id"].to_numpy(dtype=object)
    regrown = regrown_lessons(earlier, kept, ids, teachers)
    candidates = task.label_sheet(test).candidates
    models = {
        name: [
            Ranker(RANKER, settings.seed + number, settings.threads).fit(
                **join_lessons(taught), rounds=stopped.rounds_, used=stopped.used_
            )
            for number in range(seeds)
        ]
        for name, taught in regrown.items()
    }
    scores: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for X in load_frames(week, test, candidates, stopped.features_):
        for name, fits in models.items():
            scores[name].append(np.mean([model.score(X) for model in fits], axis=0))
    return {
        name: candidates.rank(np.concatenate(parts), max(KS))[["customer", "product", "rank"]]
        for name, parts in scores.items()
    }


def score(
    lists: pd.DataFrame, truth: sparse.csr_matrix, customers: np.ndarray, ks: Sequence[int] = KS
) -> pd.DataFrame:
    """Per customer: recall, NDCG and PHR.

    NDCG's ideal is a list of all true items, however many there are (`get_NDCG` of the reality
    check), so that it can stay below 1 for a basket of more than k; PHR is the share of customers
    with a hit.

    Returns:
        One row per customer in the order asked, columns `COLUMNS`.
    """
    found = metrics.measure_customers(lists, truth, customers, ks)
    size = np.diff(truth[customers].indptr)
    ideal = np.r_[0.0, np.cumsum(1 / np.log2(np.arange(2, max(size.max(initial=1), max(ks)) + 2)))]
    columns = {}
    for k in ks:
        columns[f"recall@{k}"] = found["recall", k]
        columns[f"ndcg@{k}"] = found["ndcg", k] * ideal[np.minimum(size, k)] / ideal[size]
        columns[f"phr@{k}"] = found["hit_rate", k]
    return pd.DataFrame(columns)


def evaluate(
    data: Dataset,
    lists: Mapping[str, pd.DataFrame],
    customer_ids: np.ndarray,
    product_ids: np.ndarray,
) -> dict[str, pd.DataFrame]:
    """Every model, and TIFU-KNN, on the test users of every fold.

    Args:
        data: histories, truth and folds.
        lists: name -> frame (customer, product, rank) in codes.
        customer_ids: user by customer code.
        product_ids: item number, as text, by product code.

    Returns:
        name -> one row per (fold, test user): fold, user, and `COLUMNS`.
    """
    code_of_user = {user: code for code, user in enumerate(customer_ids)}
    code_of_item = {int(item): code for code, item in enumerate(product_ids)}
    pairs = [
        (code_of_user[user], code_of_item[item]) for user, basket in data.future.items() for item in basket
    ]
    rows, columns = np.array(pairs).T
    truth = sparse.csr_matrix(
        (np.ones(len(rows)), (rows, columns)), shape=(len(customer_ids), len(product_ids))
    )
    users = list(data.history)
    row_of = {user: row for row, user in enumerate(users)}
    vectors = tifu_vectors([data.history[user] for user in users], data.n_items)
    item_code = np.array([code_of_item[item] for item in range(data.n_items)])
    results: dict[str, list[pd.DataFrame]] = {}
    for number, fold in enumerate(data.folds):
        customers = np.array([code_of_user[user] for user in fold.test])
        baseline = tifu_knn(
            vectors[[row_of[user] for user in fold.test]],
            vectors[[row_of[user] for user in fold.train]],
            max(KS),
        )
        baseline["customer"] = customers[baseline["customer"]]
        baseline["product"] = item_code[baseline["product"]]
        for name, frame in {BASELINE: baseline, **lists}.items():
            rows_ = score(frame, truth, customers)
            rows_.insert(0, "fold", number)
            rows_.insert(1, "user", fold.test)
            results.setdefault(name, []).append(rows_)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in results.items()}


def summary(results: Mapping[str, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Mean over folds of every metric, and the ratio of Recall@10 and NDCG@10 to TIFU-KNN.

    The ratio's 95 % interval is a percentile bootstrap over users, paired: a user is drawn with all
    her folds and with her values of both models.

    Returns:
        Index: model, best Recall@10 first. Columns: `COLUMNS`, and ratio, ratio_low, ratio_high of
        recall@10 and ndcg@10.
    """
    table = pd.DataFrame(
        {name: rows.groupby("fold")[COLUMNS].mean().mean() for name, rows in results.items()}
    ).T
    for metric in ("recall@10", "ndcg@10"):
        total = pd.DataFrame({name: rows.groupby("user")[metric].sum() for name, rows in results.items()})
        means = pd.DataFrame(bootstrap.resample_means(total.to_numpy(), seed), columns=total.columns)
        ratio = means.div(means[BASELINE], axis=0)
        table[f"ratio {metric}"] = table[metric] / table.loc[BASELINE, metric]
        table[f"ratio {metric} low"], table[f"ratio {metric} high"] = (
            ratio.quantile(end) for end in (0.025, 0.975)
        )
    return table.sort_values("recall@10", ascending=False)


def markdown(table: pd.DataFrame) -> str:
    """The summary as a Markdown table."""
    head = ["model", *COLUMNS, "Recall@10 / TIFU-KNN", "NDCG@10 / TIFU-KNN"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for name, row in table.iterrows():
        cells = [f"{row[column]:.4f}" for column in COLUMNS]
        cells += [
            f"{row[f'ratio {metric}']:.2f} ({row[f'ratio {metric} low']:.2f}–{row[f'ratio {metric} high']:.2f})"
            for metric in ("recall@10", "ndcg@10")
        ]
        lines.append("| " + " | ".join([str(name), *cells]) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Convert, run the week, score, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.next_basket", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder in the layout of benchmarks/baskets.py"
    )
    parser.add_argument("--home", type=Path, required=True, help="folder for the shop and the run; kept")
    parser.add_argument("--as-of", type=date.fromisoformat, default=date(2024, 1, 1), help="a Monday")
    parser.add_argument("--regime", choices=("history", "labels"), default="history")
    parser.add_argument("--users", type=int, help="a sample of so many; the figures are the sample's")
    parser.add_argument("--folds", help="numbers, separated by commas; all without")
    parser.add_argument(
        "--seeds", type=int, default=3, help="fits whose log-odds are averaged in the rows `regrown`"
    )
    parser.add_argument("--score-only", action="store_true", help="the week has run already")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals")
    parsed = parser.parse_args(arguments)
    if parsed.as_of.weekday() != 0:
        parser.error(f"--as-of {parsed.as_of} is not a Monday")
    data = read_dataset(parsed.data)
    everybody = len(data.history)
    if parsed.users is not None:
        data = sample(data, parsed.users, parsed.seed)
    numbers = (
        range(len(data.folds))
        if parsed.folds is None
        else [int(number) for number in parsed.folds.split(",")]
    )
    data = replace(data, folds=[data.folds[number] for number in numbers])
    some = "" if len(data.history) == everybody else f" (a sample of {everybody:,})"
    say(
        f"{len(data.history):,} users{some}, {data.n_items:,} items, {len(data.folds)} folds, {parsed.regime}."
    )
    if parsed.regime == "history":
        parts = [_regime(data, (), parsed.home.resolve(), parsed)]
    else:
        parts = [
            _regime(
                replace(data, folds=[fold]),
                fold.train,
                parsed.home.resolve() / f"fold-{number}",
                parsed,
            )
            for number, fold in zip(numbers, data.folds, strict=True)
        ]
    results = {
        name: pd.concat([part[name].assign(fold=number) for number, part in enumerate(parts)])
        if parsed.regime == "labels"
        else parts[0][name]
        for name in parts[0]
    }
    table = summary(results, parsed.seed)
    table.to_csv(parsed.home / "next_basket.csv", index_label="model")
    say("\n" + markdown(table))
    return 0


def _regime(
    data: Dataset, earlier: Collection[str], home: Path, parsed: argparse.Namespace
) -> dict[str, pd.DataFrame]:
    """Results of one converted shop, as `evaluate`."""
    shop, recs = home / "shop", home / "recs"
    if not parsed.score_only:
        convert(data, shop, parsed.as_of, earlier)
        say(f"Shop written to {shop}.")
        say(f"The week took {run_week(shop, recs, parsed.as_of, len(data.history)):.0f} s.")
    lists, customers, products = pipeline_lists(recs, parsed.as_of)
    lists |= regrown_lists(shop, recs, parsed.as_of, len(data.history), earlier, parsed.seeds)
    return evaluate(data, lists, customers, products)


if __name__ == "__main__":
    sys.exit(main())
