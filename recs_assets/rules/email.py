"""The weekly email: which products go into whose slots, and who gets none and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recs_assets.interactions import Known
from recs_assets.recommenders.base import rank_within
from recs_assets.recommenders.popularity import decayed_purchase_days
from recs_assets.rules.availability import keep_offerable, offerable
from recs_assets.rules.eligibility import email_recipients
from recs_assets.rules.selection import (
    cap_per_group,
    drop_recently_bought,
    first_per_customer,
    recently_bought,
)
from recs_assets.schema import SettingsError

DEFAULT = Path(__file__).with_name("email.yaml")
FILL = "popularity"
# What a ranked product must pass, in this order.
ITEM_RULES = ("offerable", "not_bought_recently", "category_cap")
TOO_FEW = "too_few_products"
POPULARITY_HALF_LIFE_DAYS = 28.0

# Customers x popular products looked at together while filling.
BLOCK_VALUES = 4_000_000


class EmailRules(BaseModel):
    """Rules of the weekly email; `email.yaml` documents each and holds the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slots: Annotated[int, Field(ge=1, le=100)] = 12
    recently_bought_days: Annotated[int, Field(ge=0)] = 2
    max_per_category: Annotated[int, Field(ge=1)] = 4
    excluded_categories: tuple[str, ...] = ()


def load_rules(path: Path = DEFAULT) -> EmailRules:
    """Read the email's rules.

    Raises:
        SettingsError: no such file, not YAML, or a value that is refused; names file and key.
    """
    try:
        return EmailRules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"The email's rules cannot be read from {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        raise SettingsError(f"{path}: {key}: {first['msg']}. Correct the file.") from error


def select_email(rows: pd.DataFrame, known: Known, config: EmailRules) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fill the slots of every customer who may be written to.

    A product is taken in the order of the ranked list if it may be offered, was not bought within
    `recently_bought_days` before the anchor and its category has a slot left; then, where slots
    remain, popular products under the same rules. Give reasons (`ranking.reasons.explain`) to the
    result, not to `rows`: filled rows need one too.

    Args:
        rows: ranked rows (`ranking.blend.RANKED`: customer, product, score, rank, source), sorted
            by customer, rank.
        known: what the rows were made from.
        config: the rules.

    Returns:
        The selection: customer int32, slot int16 from 1 without gaps, product int32, score float32
        (0 for a filled row: it was not scored for this customer), source category; sorted by
        customer, slot; every customer in it has all slots.
        The suppressed: customer int32, reason str (`eligibility.REASONS` or "too_few_products"),
        sorted by customer. Each known customer is in exactly one of the two.
    """
    eligible, excluded = email_recipients(known.customers)
    category = _categories(known)
    rows = rows.loc[eligible[rows["customer"].to_numpy()], ["customer", "product", "score", "source"]]
    *_, (_, rows) = _filtered(rows, known, config, category)
    rows = first_per_customer(rows, config.slots)
    count = np.bincount(rows["customer"].to_numpy(), minlength=known.n_customers)
    rows = _filled(rows, known, np.flatnonzero(eligible & (count < config.slots)), category, config)

    customer = rows["customer"].to_numpy()
    complete = np.bincount(customer, minlength=known.n_customers) == config.slots
    rows = rows[complete[customer]]
    selection = pd.DataFrame(
        {
            "customer": rows["customer"].to_numpy(dtype=np.int32),
            "slot": rank_within(rows["customer"].to_numpy()).astype(np.int16),
            "product": rows["product"].to_numpy(dtype=np.int32),
            "score": rows["score"].to_numpy(dtype=np.float32),
            "source": rows["source"].to_numpy(),
        }
    )
    selection["source"] = selection["source"].astype("category")
    short = np.flatnonzero(eligible & ~complete)
    suppressed = pd.DataFrame(
        {
            "customer": np.concatenate([excluded.index.to_numpy(), short]).astype(np.int32),
            "reason": pd.Series([*excluded, *[TOO_FEW] * len(short)], dtype="str"),
        }
    ).sort_values("customer", ignore_index=True)
    return selection, suppressed


def rejected(rows: pd.DataFrame, known: Known, config: EmailRules) -> pd.DataFrame:
    """Which rule takes which rows out.

    Args:
        rows: as for `select_email`; a row is judged for customers who may not be written to, too.
        known: what the rows were made from.
        config: the rules.

    Returns:
        Columns customer, product (codes), rule (one of `ITEM_RULES`); a row stands under the first
        rule, in that order, that refuses it.
    """
    parts, left = [], rows
    for rule, kept in _filtered(rows, known, config, _categories(known)):
        gone = left.loc[left.index.difference(kept.index), ["customer", "product"]]
        parts.append(gone.assign(rule=rule))
        left = kept
    return pd.concat(parts, ignore_index=True)


def _categories(known: Known) -> np.ndarray:
    """int64[n_products]: number of the category, -1 without one."""
    category = known.products["category"].astype("string").str.strip()
    return pd.factorize(category.mask(category == ""))[0]


def _filtered(
    rows: pd.DataFrame, known: Known, config: EmailRules, category: np.ndarray
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each of `ITEM_RULES` with what is left after it."""
    rows = keep_offerable(rows, known, config.excluded_categories)
    yield ITEM_RULES[0], rows
    rows = drop_recently_bought(rows, known, config.recently_bought_days)
    yield ITEM_RULES[1], rows
    rows = cap_per_group(rows, category[rows["product"].to_numpy()], config.max_per_category)
    yield ITEM_RULES[2], rows


def _filled(
    rows: pd.DataFrame, known: Known, short: np.ndarray, category: np.ndarray, config: EmailRules
) -> pd.DataFrame:
    """Append popular products to the customers `short`, under the same rules."""
    if len(short) == 0:
        return rows
    popularity = np.nan_to_num(decayed_purchase_days(known, POPULARITY_HALF_LIFE_DAYS))
    codes = np.flatnonzero((popularity > 0) & offerable(known, config.excluded_categories))
    codes = codes[np.lexsort((codes, -popularity[codes]))]
    own = rows[np.isin(rows["customer"].to_numpy(), short)]
    taken = own["customer"].to_numpy().astype(np.int64) * known.n_products + own["product"].to_numpy()
    barred = np.union1d(taken, recently_bought(known, config.recently_bought_days))
    pool = _pool(codes, category, barred // known.n_products, short, config)
    parts = [rows[~np.isin(rows["customer"].to_numpy(), short)]]
    block = max(1, BLOCK_VALUES // max(1, len(pool)))
    for start in range(0, len(short), block):
        some = short[start : start + block]
        more = pd.DataFrame(
            {
                "customer": np.repeat(some, len(pool)).astype(np.int32),
                "product": np.tile(pool, len(some)).astype(np.int32),
                "score": np.float32(0),
                "source": FILL,
            }
        )
        keys = more["customer"].to_numpy().astype(np.int64) * known.n_products + more["product"].to_numpy()
        more = more[~np.isin(keys, barred)]
        mine = own[np.isin(own["customer"].to_numpy(), some)].astype({"source": object})
        both = pd.concat([mine, more.astype({"source": object})], ignore_index=True)
        both = both.sort_values("customer", kind="stable", ignore_index=True)  # own rows stay first
        both = cap_per_group(both, category[both["product"].to_numpy()], config.max_per_category)
        parts.append(first_per_customer(both, config.slots))
    whole = pd.concat([part.astype({"source": object}) for part in parts], ignore_index=True)
    return whole.sort_values("customer", kind="stable", ignore_index=True)


def _pool(
    codes: np.ndarray,
    category: np.ndarray,
    barred_customer: np.ndarray,
    short: np.ndarray,
    config: EmailRules,
) -> np.ndarray:
    """As many of the popular products as the slots of any of these customers can need.

    Of one category nobody needs more than the cap plus the products barred for her (own rows,
    bought recently); beyond these and the categories her rows fill up, the slots' number suffices.
    """
    barred = int(np.bincount(barred_customer, minlength=short.max() + 1)[short].max(initial=0))
    deep = config.max_per_category + barred
    order = np.lexsort((np.arange(len(codes)), category[codes]))
    within = np.empty(len(codes), dtype=np.int64)
    within[order] = rank_within(category[codes][order])
    codes = codes[(within <= deep) | (category[codes] < 0)]
    full_categories = -(-config.slots // config.max_per_category)
    return codes[: config.slots + barred + full_categories * deep]
