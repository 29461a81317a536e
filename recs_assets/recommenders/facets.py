"""Product and customer features shared by the content and the LightFM recommender."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse


def list_labels(labels: pd.Series) -> np.ndarray:
    """str[distinct labels], ascending: the columns of `encode_one_hot`."""
    values = np.unique(_clean(labels).astype(str))
    return values[values != ""]


def encode_one_hot(labels: pd.Series, values: np.ndarray | None = None) -> sparse.csr_matrix:
    """float32 csr[len(labels), distinct labels] of ones; missing and empty labels are empty rows.

    Args:
        labels: compared without case and blanks around them.
        values: the columns; others' labels are empty rows, too; None: all that occur (`list_labels`).
    """
    if values is None:
        values = list_labels(labels)
    place = pd.Index(values, dtype=object).get_indexer(pd.Index(_clean(labels), dtype=object))
    rows = np.flatnonzero(place >= 0)
    return sparse.csr_matrix(
        (np.ones(len(rows), dtype=np.float32), (rows, place[rows])), shape=(len(place), len(values))
    )


def _clean(labels: pd.Series) -> np.ndarray:
    return labels.astype("string").str.strip().str.lower().fillna("").to_numpy(dtype=object)


def band_prices(price: pd.Series) -> pd.Series:
    """Band of prices that differ by less than a factor of two: "band 3" for 8 to 16; missing stays.

    Powers of two, because the step from 1 to 2 matters as much to a shopper as from 100 to 200,
    and because bands that do not depend on other products stay the same from week to week.
    """
    values = price.to_numpy(dtype=np.float64, na_value=np.nan)
    band = np.full(len(values), None, dtype=object)
    priced = np.isfinite(values) & (values > 0)
    band[priced] = [f"band {number:.0f}" for number in np.floor(np.log2(values[priced]))]
    return pd.Series(band, dtype="string")
