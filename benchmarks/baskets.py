"""Data sets of the reality check (Li, Jullien, Ariannezhad and de Rijke, ACM TOIS 2023) as a shop.

The folder holds `<name>_history.json` and `<name>_future.json` (user -> baskets of item numbers
between two [-1]) and `keyset/<name>_keyset_<fold>.json` (train, val, test users, item_num).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Fold:
    """Users of one keyset file: 72 % train, 8 % validation, 20 % test."""

    train: list[str]
    validation: list[str]
    test: list[str]


@dataclass(frozen=True)
class Dataset:
    """One data set, the sentinels removed.

    Attributes:
        history: user -> baskets, oldest first, each a list of distinct item numbers.
        future: user -> the basket to predict.
        folds: by number.
        n_items: item numbers are below this.
    """

    history: dict[str, list[list[int]]]
    future: dict[str, list[int]]
    folds: list[Fold]
    n_items: int


def read_dataset(folder: Path) -> Dataset:
    """Read a folder in the layout above.

    Raises:
        FileNotFoundError: a part is missing; names the pattern.
        ValueError: a user without exactly one future basket or without history.
    """
    history = _read_json(_find_file(folder, "*_history.json"))
    future = _read_json(_find_file(folder, "*_future.json"))
    keysets = sorted((folder / "keyset").glob("*_keyset_*.json"))
    if not keysets:
        raise FileNotFoundError(f"{folder}/keyset holds no *_keyset_<fold>.json.")
    folds, n_items = [], 0
    for path in keysets:
        keyset = _read_json(path)
        folds.append(Fold(keyset["train"], keyset["val"], keyset["test"]))
        n_items = max(n_items, int(keyset["item_num"]))
    baskets = {
        user: [list(dict.fromkeys(basket)) for basket in _strip(written)] for user, written in history.items()
    }
    nexts = {
        user: [list(dict.fromkeys(basket)) for basket in _strip(written)] for user, written in future.items()
    }
    for user, found in nexts.items():
        if len(found) != 1 or not baskets.get(user):
            raise ValueError(f"User {user} has {len(found)} future baskets; one, and a history, is expected.")
    return Dataset(baskets, {user: found[0] for user, found in nexts.items()}, folds, n_items)


def _find_file(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} holds {len(found)} files {pattern}; exactly one is expected.")
    return found[0]


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _strip(baskets: list[list[int]]) -> list[list[int]]:
    """Baskets without the [-1] at both ends."""
    return [basket for basket in baskets if basket and basket != [-1]]


def sample(data: Dataset, users: int, seed: int = 0) -> Dataset:
    """So many users of a data set, drawn by lot; folds keep theirs of them."""
    drawn = np.random.default_rng(seed).permutation(sorted(data.history))[:users].tolist()
    chosen = set(drawn)
    folds = [
        Fold(
            *([user for user in part if user in chosen] for part in (fold.train, fold.validation, fold.test))
        )
        for fold in data.folds
    ]
    return Dataset(
        {user: baskets for user, baskets in data.history.items() if user in chosen},
        {user: basket for user, basket in data.future.items() if user in chosen},
        folds,
        data.n_items,
    )


def convert(data: Dataset, folder: Path, as_of: date, earlier: Collection[str] = ()) -> None:
    """Write the data set as a canonical shop: customers, products, orders, order_items (Parquet).

    Args:
        data: what to convert.
        folder: where to; made if missing.
        as_of: the Monday after the last week.
        earlier: users whose baskets all fall a week earlier, the future one in the last known week.
    """
    early = set(earlier)
    orders, lines = [], []
    for user, history in data.history.items():
        for back, basket in enumerate([data.future[user], *reversed(history)], start=1):
            weeks = back + (user in early)
            order = f"{user}-{len(history) + 2 - back:04d}"
            # Wednesday noon: no time zone moves it out of its week.
            day = as_of - timedelta(days=7 * weeks - 2)
            orders.append((order, user, datetime(day.year, day.month, day.day, 12)))
            lines += [(order, str(item)) for item in basket]
    folder.mkdir(parents=True, exist_ok=True)
    items = pd.DataFrame(lines, columns=["order_id", "product_id"])
    items = items.assign(line_id=items["product_id"], quantity=1.0, amount=1.0)
    frames = {
        "customers": pd.DataFrame({"customer_id": sorted(data.history), "email_eligible": True}),
        # Nothing is known of an item but its number; every number that may be asked for is a product.
        "products": pd.DataFrame(
            {
                "product_id": [str(item) for item in range(data.n_items)],
                "name": [f"Item {item}" for item in range(data.n_items)],
            }
        ),
        "orders": pd.DataFrame(orders, columns=["order_id", "customer_id", "ordered_at"]).assign(
            status="completed"
        ),
        "order_items": items[["order_id", "line_id", "product_id", "quantity", "amount"]],
    }
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
