"""Product and customer features shared by the content and the LightFM recommender, and facets of products in words."""

from __future__ import annotations

import json

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


def list_facets(products: pd.DataFrame) -> list[dict[str, str]]:
    """Per product, facet -> value: its brand, its category, and what its attributes say where they are a JSON object; of
    these texts, numbers and truth values, none of them empty.

    Args:
        products: columns brand, category and attributes.
    """
    facets = []
    for brand, category, attributes in zip(
        *(products[column].astype("string").fillna("") for column in ("brand", "category", "attributes")),
        strict=True,
    ):
        found = {"brand": brand.strip(), "category": category.strip()} | _read_attributes(attributes)
        facets.append({facet: value for facet, value in found.items() if value})
    return facets


def _read_attributes(text: str) -> dict[str, str]:
    try:
        read = json.loads(text)
    except ValueError:  # free text is allowed
        return {}
    if not isinstance(read, dict):
        return {}
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value).strip()
        for key, value in read.items()
        if isinstance(value, str | int | float)
    }


def share_facets(products: pd.DataFrame, left: np.ndarray, right: np.ndarray) -> list[list[str]]:
    """Per pair of product codes, what they have in common, as "facet: value", brand and category first; values are
    compared without case.

    Args:
        products: as of `list_facets`.
        left: int[n], codes.
        right: int[n], codes.
    """
    used, place = np.unique(np.concatenate([left, right]), return_inverse=True)
    facets = list_facets(products.iloc[used])
    return [
        [
            f"{facet}: {value}"
            for facet, value in facets[a].items()
            if facets[b].get(facet, "").lower() == value.lower()
        ]
        for a, b in zip(place[: len(left)], place[len(left) :], strict=True)
    ]
