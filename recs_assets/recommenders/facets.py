"""Product and customer features shared by the content and the LightFM recommender."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse


def encode_one_hot(labels: pd.Series) -> sparse.csr_matrix:
    """float32 csr[len(labels), distinct labels] of ones; missing and empty labels are empty rows."""
    text = labels.astype("string").str.strip().str.lower().fillna("").to_numpy(dtype=object)
    values, codes = np.unique(text.astype(str), return_inverse=True)
    rows = np.flatnonzero(values[codes] != "") if len(values) else np.empty(0, dtype=np.int64)
    matrix = sparse.csr_matrix(
        (np.ones(len(rows), dtype=np.float32), (rows, codes[rows])), shape=(len(text), len(values))
    )
    return matrix[:, values != ""] if len(values) else matrix


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
