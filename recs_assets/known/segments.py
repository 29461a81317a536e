"""The segments of a shop's customers, by name: blocks of customers number them alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.known.facts import as_array
from recs_assets.known.interactions import Known


def read_text(column: pd.Series) -> pd.Series:
    """Stripped, empty ones missing."""
    text = column.astype("string").str.strip()
    return text.mask(text == "")


def number_segments(known: Known) -> tuple[np.ndarray, list[str]]:
    """int64[n_customers], number of the customer's segment, -1 none; and the names in the whole shop, sorted."""
    segments = read_text(known.customers["segment"])

    def list_names() -> np.ndarray:
        return np.array(sorted(segments.dropna().unique()), dtype=np.str_)

    names = as_array(known.shop_fact("segments", list_names)).tolist()
    return pd.Index(names, dtype="object").get_indexer(segments.astype("object")).astype(np.int64), names


def count_by_segment(known: Known) -> np.ndarray:
    """int64[n_segments + 1]: customers of each in the whole shop; the last: of none."""
    segment, names = number_segments(known)
    count = known.shop_fact(
        "customers_in_segment", lambda: np.bincount(segment % (len(names) + 1), minlength=len(names) + 1)
    )
    return as_array(count)


def mark_segments(segment: np.ndarray, size: int, kind: type) -> sparse.csr_matrix:
    """csr[size, n_customers] of ones where the customer is in the segment."""
    inside = np.flatnonzero(segment >= 0)
    ones = np.ones(len(inside), dtype=kind)
    return sparse.csr_matrix((ones, (segment[inside], inside)), shape=(size, len(segment)))
