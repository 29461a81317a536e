"""Collaborative recommenders alone on a plain user-item split in the layout of LightGCN and BARS.

    python -m benchmarks.user_item --data gowalla --only als,ease,item_knn

The folder holds `train.txt` and `test.txt`, a user and her items per line, numbers separated by
blanks: `user item item ...`. There are no times, prices or names, so only what learns from who
bought what takes part; training items are not recommended again, as in He et al., LightGCN, 2020.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.weekly import say
from recs_assets.evaluation import metrics
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.evaluation.tuning import SPACES, Space, search
from recs_assets.known.interactions import PURCHASE, Events, Known
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.shape import Parameters, Shape, choose_settings

NAMES = ("popularity", "item_knn", "user_knn", "als", "ease", "graph_filter", "lightfm")
ANCHOR = date(2024, 1, 1)
K = 20
# Customers whose lists are alive at once.
BLOCK = 20_000
# Customers that judge the settings of a search.
SEARCH_CUSTOMERS = 4_000


def read_pairs(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """int64 users and items of every pair of a file; users without items give none.

    Raises:
        ValueError: something else than numbers; names file and line.
    """
    users: list[int] = []
    items: list[int] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                user, *rest = (int(word) for word in line.split()) if line.strip() else (0,)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            users += [user] * len(rest)
            items += rest
    return np.array(users, dtype=np.int64), np.array(items, dtype=np.int64)


def read_split(folder: Path) -> tuple[Known, sparse.csr_matrix]:
    """The training pairs as what is known, all bought on the day before the anchor, and the test
    pairs as csr[users, items]. A user's number is her code, an item's number its code."""
    user, item = read_pairs(folder / "train.txt")
    test_user, test_item = read_pairs(folder / "test.txt")
    shape = tuple(
        int(max(a.max(initial=-1), b.max(initial=-1))) + 1 for a, b in ((user, test_user), (item, test_item))
    )
    train = sparse.csr_matrix((np.ones(len(user), dtype=np.float32), (user, item)), shape=shape)
    train.sum_duplicates()
    truth = sparse.csr_matrix(
        (np.ones(len(test_user), dtype=np.float32), (test_user, test_item)), shape=shape
    )
    truth.sum_duplicates()
    pairs = train.tocoo()
    count, day = train.nnz, (ANCHOR - date(1970, 1, 1)).days - 1
    events = Events(
        customer=pairs.row.astype(np.int32),
        product=pairs.col.astype(np.int32),
        basket=pairs.row.astype(np.int32),  # one basket per user: nothing says more
        day=np.full(count, day, dtype=np.int32),
        kind=np.full(count, PURCHASE, dtype=np.int8),
        quantity=np.ones(count, dtype=np.float32),
        weight=np.ones(count, dtype=np.float32),
    )
    customers = pd.DataFrame({"customer_id": [str(number) for number in range(shape[0])]})
    customers = customers.assign(
        email_eligible=True, country=None, locale=None, segment=None, joined_at=pd.NaT
    )
    products = pd.DataFrame({"product_id": [str(number) for number in range(shape[1])]})
    products = products.assign(
        name=products["product_id"], brand=None, category=None, vertical=None, attributes=None,
        description=None, price=np.nan, available=True,
    )  # fmt: skip
    return Known(ANCHOR, customers, products, events), truth


def search_parameters(known: Known, names: Sequence[str], seed: int, threads: int, trials: int) -> Parameters:
    """The settings that the search of the `research` job chooses without the test pairs: a fifth of each
    user's training pairs, drawn by lot, stands for the window after a training anchor."""
    events = known.events
    held = np.random.default_rng(seed).random(len(events)) < 0.2
    earlier = Events(*(getattr(events, field.name)[~held] for field in fields(Events)))
    truth = sparse.csr_matrix(
        (np.ones(held.sum(), dtype=np.float32), (events.customer[held], events.product[held])),
        shape=(known.n_customers, known.n_products),
    )
    customers = sample_customers(known.customers["customer_id"].tolist(), SEARCH_CUSTOMERS, seed)
    narrowed = replace(known, events=earlier)
    found = search(
        lambda name, parameters: REGISTRY[name].make(seed, 200, threads).set_params(**parameters),
        narrowed,
        truth,
        customers,
        ANCHOR,
        choose_settings(Shape.of(narrowed)),
        trials=trials,
        seed=seed,
        # All was bought on one day: half-lives have nothing to decide.
        spaces={
            name: Space("new", {key: tried for key, tried in space.grid.items() if key != "half_life_days"})
            for name, space in SPACES.items()
            if name in names and set(space.grid) != {"half_life_days"}
        },
        say=say,
    )
    return found.parameters


def run(
    folder: Path,
    names: Sequence[str] = NAMES,
    seed: int = 0,
    threads: int = 2,
    settings: str = "rule",
    trials: int = 12,
) -> pd.DataFrame:
    """Fit every recommender and score it.

    Args:
        folder: with the two files.
        names: of the recommenders.
        seed: of their fits, and of the search.
        threads: of their fits.
        settings: "defaults"; "rule": those that follow from the shape of the data, as for a shop without a
            search; "search": searched among the training pairs, from the rule's on.
        trials: settings searched of each.

    Returns:
        Index: recommender, best Recall@20 first. Columns recall@20 (hits / test items), ndcg@20
        (ideal: min(20, test items) hits), users, fit_seconds, recommend_seconds.
    """
    known, truth = read_split(folder)
    parameters: Parameters = {}
    if settings == "search":
        parameters = search_parameters(known, names, seed, threads, trials)
    elif settings == "rule":
        parameters = choose_settings(Shape.of(known))
    users = np.flatnonzero(np.diff(truth.indptr)).astype(np.int32)
    rows = {}
    for name in names:
        started = time.monotonic()
        model = REGISTRY[name].make(seed, 200, threads).set_params(**parameters.get(name, {})).fit(known)
        fitted = time.monotonic()
        parts: dict[tuple[str, int], list[np.ndarray]] = {("recall", K): [], ("ndcg", K): []}
        for start in range(0, len(users), BLOCK):
            some = users[start : start + BLOCK]
            found = metrics.measure_customers(model.recommend(some, K, "new"), truth, some, (K,))
            for key, values in parts.items():
                values.append(found[key])
        rows[name] = {
            **{f"{metric}@{k}": np.concatenate(values).mean() for (metric, k), values in parts.items()},
            "users": len(users),
            "fit_seconds": fitted - started,
            "recommend_seconds": time.monotonic() - fitted,
        }
        say(f"{name}: {rows[name][f'recall@{K}']:.4f} / {rows[name][f'ndcg@{K}']:.4f}")
    table = pd.DataFrame(rows).T.rename_axis("recommender")
    return table.astype({"users": int}).sort_values(f"recall@{K}", ascending=False)


def markdown(table: pd.DataFrame) -> str:
    """The result as a Markdown table."""
    lines = ["| recommender | Recall@20 | NDCG@20 | fit s | recommend s |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {name} | {row[f'recall@{K}']:.4f} | {row[f'ndcg@{K}']:.4f} | {row['fit_seconds']:.1f} | {row['recommend_seconds']:.1f} |"
        for name, row in table.iterrows()
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Read, fit, score, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.user_item", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.txt and test.txt")
    parser.add_argument("--only", default=",".join(NAMES), help="recommenders, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", choices=("defaults", "rule", "search"), default="rule")
    parser.add_argument("--trials", type=int, default=12, help="of the search, per recommender")
    parser.add_argument("--threads", type=int, default=2)
    parsed = parser.parse_args(arguments)
    names = parsed.only.split(",")
    if unknown := sorted(set(names) - set(REGISTRY)):
        parser.error(f"--only names {unknown}; there are {', '.join(REGISTRY)}")
    table = run(parsed.data, names, parsed.seed, parsed.threads, parsed.settings, parsed.trials)
    sys.stdout.write(f"\n{int(table['users'].iloc[0]):,} test users\n\n{markdown(table)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
