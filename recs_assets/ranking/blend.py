"""A transparent weighted blend of the recommenders' lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recs_assets.arrays import encode_pairs, find_runs, rank_within, split_blocks
from recs_assets.config import read_yaml
from recs_assets.schema import RecsError

DEFAULT = Path(__file__).with_name("blend.yaml")

# A product that a recommender proposes last still counts more than one it does not propose.
FLOOR = 0.01

# Rows of all lists in one block of customers; about 100 bytes each are alive at once.
BLOCK_ROWS = 4_000_000

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weights = Annotated[dict[str, Weight], Field(min_length=1)]


class BlendError(RecsError):
    """The lists do not fit the blend's configuration."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(_Model):
    """Group weights of customers with at least so many known orders."""

    from_orders: Annotated[int, Field(ge=0)]
    weights: Weights


class BlendConfig(_Model):
    """The blend's weights; `blend.yaml` documents each key and holds the defaults."""

    groups: dict[str, Weights]
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    without_cf: Weights
    fill: str

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        orders = [level.from_orders for level in self.levels]
        if orders[0] != 0 or orders != sorted(set(orders)):
            raise ValueError("levels must start at from_orders 0 and rise")
        members = [name for group in self.groups.values() for name in group]
        if len(members) != len(set(members)):
            raise ValueError("a recommender may stand in one group only")
        sets = {f"groups.{name}": weights for name, weights in self.groups.items()}
        sets |= {f"levels from_orders {level.from_orders}": level.weights for level in self.levels}
        sets["without_cf"] = self.without_cf
        for place, weights in sets.items():
            if sum(weights.values()) == 0:
                raise ValueError(f"{place}: at least one weight must be above 0")
            if not place.startswith("groups.") and (unknown := set(weights) - set(self.groups)):
                raise ValueError(f"{place}: unknown group {sorted(unknown)}")
        if self.without_cf.get("cf", 0) > 0:
            raise ValueError("without_cf cannot give weight to cf")
        return self

    @property
    def needed(self) -> tuple[str, ...]:
        """Recommenders whose lists `blend` must get, in the order of the file, the fill last."""
        used = {
            group
            for weights in (*(level.weights for level in self.levels), self.without_cf)
            for group, weight in weights.items()
            if weight > 0
        }
        names = [
            name
            for group, members in self.groups.items()
            for name, weight in members.items()
            if group in used and weight > 0
        ]
        return (*names, *([] if self.fill in names else [self.fill]))

    def weight_table(self) -> tuple[np.ndarray, np.ndarray]:
        """float64[levels, needed] of final weights (group x member, each set divided by its
        sum), and the same float64[needed] for customers without cf."""
        group_of = {name: group for group, members in self.groups.items() for name in members}

        def row(weights: Mapping[str, float]) -> list[float]:
            total = sum(weights.values())
            return [
                weights.get(group_of[name], 0.0)
                / total
                * self.groups[group_of[name]][name]
                / sum(self.groups[group_of[name]].values())
                if name in group_of
                else 0.0
                for name in self.needed
            ]

        return np.array([row(level.weights) for level in self.levels]), np.array(row(self.without_cf))


def load_config(path: Path = DEFAULT) -> BlendConfig:
    """Read the blend's weights. Raises `SettingsError` as `read_yaml` does."""
    return read_yaml(path, BlendConfig, "The blend's weights")


def blend(lists: Mapping[str, pd.DataFrame], depth: np.ndarray, config: BlendConfig, k: int) -> pd.DataFrame:
    """One ranked list per customer.

    The score of a product is the sum over recommenders of weight * normalised score. A list is
    normalised per customer to FLOOR + (1 - FLOOR) * (score - lowest) / (highest - lowest), 1 for
    all where highest = lowest. Min-max and not ranks: the tail that a recommender fills up with
    (the repurchase list beyond the customer's own products) stays far below what it means, as
    its scores are; by rank it would count nearly as much. Weights depend on the customer's number
    of orders (`BlendConfig`); who gets no row from any recommender of cf gets the weights
    `without_cf`, unless their level gives cf no weight anyway. Lists that stay short are filled
    with `config.fill`, scored below half of the customer's lowest score.

    Works in blocks of customers: about 500 MB beside the lists and the result.

    Args:
        lists: recommender -> frame (customer code, product code, score, ...) as `recommend`
            returns it, all for one view; lists the configuration does not name are ignored.
        depth: int[n_customers], known orders per customer code.
        config: weights.
        k: at most this many products per customer.

    Returns:
        Columns customer int32, product int32, score float32 above 0 (at most 1), rank int16 from
        1, source category (the recommender with the largest weighted part; ties to the first in
        the configuration; `config.fill` for filled rows), sorted by customer, rank; ties by score
        go to the smaller product code. Unique products per customer. Customers without any row in
        the lists have none here.

    Raises:
        BlendError: a needed list is missing, or a score is not finite.
        ValueError: k is not within 1..32767.
    """
    if not 1 <= k <= np.iinfo(np.int16).max:
        raise ValueError(f"k is {k}; it must be within 1..32767.")
    names = config.needed
    if missing := [name for name in names if name not in lists]:
        raise BlendError(
            f"The blend needs lists of {missing}, which no recommender made: set their weight to 0 "
            "in blend.yaml or register them."
        )
    sources = [_Source.of(name, lists[name]) for name in names]
    by_level, without_cf = config.weight_table()
    level = np.searchsorted([level.from_orders for level in config.levels], depth, side="right") - 1
    uses_cf = np.array([level.weights.get("cf", 0) > 0 for level in config.levels])
    is_cf = np.array([name in config.groups.get("cf", {}) for name in names])

    n_customers = len(depth)
    n_products = 1 + max((int(source.product.max()) for source in sources if len(source.product)), default=0)
    counts = np.zeros(n_customers, dtype=np.int64)
    for source in sources:
        counts += np.bincount(source.customer, minlength=n_customers)
    parts = []
    for start, stop in split_blocks(counts, BLOCK_ROWS):
        with_cf = np.zeros(stop - start, dtype=bool)
        for source in (source for source, cf in zip(sources, is_cf, strict=True) if cf):
            local = source.customer[source.find_slice(start, stop)] - start
            with_cf |= np.bincount(local, minlength=stop - start) > 0
        weights = by_level[level[start:stop]]
        weights[uses_cf[level[start:stop]] & ~with_cf] = without_cf
        parts.append(_blend_block(sources, weights, start, stop, n_products, names.index(config.fill), k))
    customer, product, score, rank, source = (
        np.concatenate([part[number] for part in parts]) if parts else np.empty(0, dtype)
        for number, dtype in enumerate((np.int32, np.int32, np.float32, np.int16, np.int8))
    )
    return pd.DataFrame(
        {
            "customer": customer,
            "product": product,
            "score": score,
            "rank": rank,
            "source": pd.Categorical.from_codes(source, categories=list(names)),
        }
    )


class _Source:
    """One recommender's rows, sorted by customer."""

    def __init__(self, customer: np.ndarray, product: np.ndarray, score: np.ndarray) -> None:
        self.customer, self.product, self.score = customer, product, score

    @classmethod
    def of(cls, name: str, rows: pd.DataFrame) -> Self:
        customer, product, score = (rows[column].to_numpy() for column in ("customer", "product", "score"))
        if not np.isfinite(score).all():
            raise BlendError(f"The list of {name} holds a score that is not finite.")
        if (customer[1:] < customer[:-1]).any():
            order = np.argsort(customer, kind="stable")
            customer, product, score = customer[order], product[order], score[order]
        return cls(customer, product, score)

    def find_slice(self, start: int, stop: int) -> slice:
        return slice(*np.searchsorted(self.customer, [start, stop]))


def _normalise(local: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Min-max to [FLOOR, 1] within each run of equal customers."""
    if len(local) == 0:
        return np.empty(0)
    starts, length = find_runs(local)
    value = score.astype(np.float64)
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    spread = high - low
    flat = spread <= 0
    scale = np.where(flat, 0.0, (1 - FLOOR) / np.where(flat, 1.0, spread))
    base = np.where(flat, 1.0, FLOOR)
    return np.repeat(base, length) + (value - np.repeat(low, length)) * np.repeat(scale, length)


def _blend_block(
    sources: list[_Source], weights: np.ndarray, start: int, stop: int, n_products: int, fill: int, k: int
) -> tuple[np.ndarray, ...]:
    """`blend` for the customers start..stop-1; arrays of the columns, source as a number."""
    size = stop - start
    # (customer, product, source) in one integer: unique, so that any sort gives the same sums.
    keys, values = [], []
    filler: tuple[np.ndarray, np.ndarray] | None = None
    for number, source_rows in enumerate(sources):
        rows = source_rows.find_slice(start, stop)
        local = source_rows.customer[rows].astype(np.int64) - start
        norm = _normalise(local, source_rows.score[rows])
        pair = encode_pairs(local, source_rows.product[rows], n_products)
        if number == fill:
            filler = pair, norm
        part = weights[local, number] * norm
        used = part > 0
        keys.append((pair * len(sources) + number)[used])
        values.append(part[used])
    key, value = np.concatenate(keys), np.concatenate(values)
    order = np.argsort(key)
    key, value = key[order], value[order]
    pair, number = key // len(sources), key % len(sources)
    if len(pair):
        starts, length = find_runs(pair)
        score = np.add.reduceat(value, starts)
        top = np.repeat(np.maximum.reduceat(value, starts), length)
        # The first source that reaches the top: the others get a number beyond all.
        source = np.minimum.reduceat(np.where(value == top, number, len(sources)), starts)
        pair = pair[starts]
    else:
        score, source = np.empty(0), np.empty(0, dtype=np.int64)
    pair, score, source = _fill_short(pair, score, source, filler, fill, size, n_products, k)
    local, product = pair // n_products, pair % n_products
    rounded = score.astype(np.float32)
    # Non-negative float32 sort like their bits; pairs are sorted, so a stable sort breaks ties by product.
    descending = np.uint32(0xFFFFFFFF) - rounded.view(np.uint32)
    order = np.argsort(local << 32 | descending.astype(np.int64), kind="stable")
    rank = rank_within(local[order])
    order, rank = order[rank <= k], rank[rank <= k]
    return (
        (local[order] + start).astype(np.int32),
        product[order].astype(np.int32),
        rounded[order],
        rank.astype(np.int16),
        source[order].astype(np.int8),
    )


def _fill_short(
    pair: np.ndarray,
    score: np.ndarray,
    source: np.ndarray,
    filler: tuple[np.ndarray, np.ndarray] | None,
    fill: int,
    size: int,
    n_products: int,
    k: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add the fill's products to the customers with fewer than k; everything sorted by pair."""
    local = pair // n_products
    count = np.bincount(local, minlength=size)
    if filler is None or not (count < k).any():
        return pair, score, source
    more, norm = filler
    keep = (count < k)[more // n_products] & ~np.isin(more, pair)
    more, norm = more[keep], norm[keep]
    lowest = np.ones(size)
    np.minimum.at(lowest, local, score)
    pair = np.concatenate([pair, more])
    score = np.concatenate([score, 0.5 * lowest[more // n_products] * norm])
    source = np.concatenate([source, np.full(len(more), fill)])
    order = np.argsort(pair)
    return pair[order], score[order], source[order]
