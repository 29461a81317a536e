"""Which products are alike, how much, and what they share."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from recs_assets.views.desk import Look, Row

# Kind of likeness -> the model whose vectors say it, and which array.
KINDS = {
    "reads alike": ("content", "vectors_"),
    "bought by the same customers": ("als", "product_factors_"),
}
_WORD = re.compile(r"\w\w+")


def list_neighbours(look: Look, product_id: str, kind: str, most: int = 16) -> list[str]:
    """The products nearest to a product, nearest first, without itself."""
    if kind == "reads alike":
        found = look.rows(
            "select neighbour_id from recs.similar_products "
            "where as_of = $week and product_id = $product_id order by rank limit $most",
            {"week": look.week, "product_id": product_id, "most": most},
        )
        return [row["neighbour_id"] for row in found]
    model, array = KINDS[kind]
    vectors = look.kept.arrays(model).get(array)
    if vectors is None:
        return []
    own = _find_codes(look, [product_id])
    if product_id not in own or not np.isfinite(vectors[own[product_id]]).all():
        return []
    sold = look.rows(
        "select file_row_number as code, product_id from read_parquet($ids, file_row_number = true) "
        "semi join (select distinct product_id from recs.frequently_bought_together where as_of = $week) "
        "using (product_id) order by code",
        {"ids": str(look.kept.ids("product")), "week": look.week},
    )
    codes = np.array([row["code"] for row in sold if row["code"] != own[product_id]], dtype=np.int64)
    if not len(codes):
        return []
    ids = {row["code"]: row["product_id"] for row in sold}
    cosine = np.nan_to_num(_scale(vectors[codes]) @ _scale(vectors[[own[product_id]]])[0], nan=-2.0)
    order = np.lexsort((codes, -np.round(cosine, 6)))[:most]
    return [ids[int(codes[at])] for at in order]


def list_of_category(look: Look, category: str, most: int = 24) -> list[str]:
    """The products of a category that are bought in most baskets."""
    found = look.rows(
        "select product_id from recs.products join (select product_id, max(baskets) as baskets "
        "from recs.frequently_bought_together where as_of = $week group by product_id) using (product_id) "
        "where category = $category order by baskets desc, product_id limit $most",
        {"week": look.week, "category": category, "most": most},
    )
    return [row["product_id"] for row in found]


def load_matrix(look: Look, ids: list[str], kind: str) -> list[list[float | None]]:
    """The cosine of every two products, None where the model knows one of them not; empty where there is no model."""
    model, array = KINDS[kind]
    vectors, codes = look.kept.arrays(model).get(array), _find_codes(look, ids)
    if vectors is None:
        return []
    matrix = np.full((len(ids), len(ids)), np.nan)
    known = [at for at, product in enumerate(ids) if product in codes]
    rows = _scale(vectors[[codes[ids[at]] for at in known]]) if known else np.empty((0, 1))
    matrix[np.ix_(known, known)] = rows @ rows.T
    return [[None if np.isnan(value) else round(float(value), 4) for value in line] for line in matrix]


def load_facets(look: Look, ids: list[str]) -> dict[str, Row]:
    """What is compared of products, by id."""
    found = look.rows(
        "select product_id, product_name, brand, category, vertical, price, currency, attributes from recs.products "
        "where list_contains($ids, product_id)",
        {"ids": ids},
    )
    return {row["product_id"]: row for row in found}


def share_facets(one: Row, other: Row) -> list[str]:
    """What two products share: brand, category, vertical, price within a factor of two, attributes, words of the name.

    >>> tea = {"product_name": "Green tea", "brand": "Ho", "category": "Tea", "vertical": None, "price": 4.0,
    ...     "attributes": '{"organic": true}'}
    >>> share_facets(tea, tea | {"product_name": "Black tea", "brand": None, "price": 5.5})
    ['category Tea', 'price', 'organic: true', 'words: tea']
    """
    shared = [
        f"{name} {one[name]}"
        for name in ("brand", "category", "vertical")
        if one[name] is not None and one[name] == other[name]
    ]
    prices = [row["price"] for row in (one, other)]
    if all(price is not None and price > 0 for price in prices) and abs(math.log2(prices[0] / prices[1])) < 1:
        shared.append("price")
    mine, theirs = _read_attributes(one), _read_attributes(other)
    shared += [f"{name}: {value}" for name, value in sorted(mine.items()) if theirs.get(name) == value]
    words = [set(_WORD.findall((row["product_name"] or "").lower())) for row in (one, other)]
    if both := sorted(words[0] & words[1]):
        shared.append(f"words: {', '.join(both)}")
    return shared


def _read_attributes(product: Row) -> dict[str, str]:
    try:
        found: Any = json.loads(product["attributes"] or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in found.items()
        if value is not None
    }


def _find_codes(look: Look, ids: list[str]) -> dict[str, int]:
    """Codes of products at the week; of nothing where the week keeps no ids."""
    path = look.kept.ids("product")
    if not path.exists():
        return {}
    found = look.rows(
        "select file_row_number as code, product_id from read_parquet($path, file_row_number = true) "
        "where list_contains($ids, product_id)",
        {"path": str(path), "ids": ids},
    )
    return {row["product_id"]: row["code"] for row in found}


def _scale(vectors: np.ndarray) -> np.ndarray:
    """float64 rows of unit length; NaN where a row is zero or unknown."""
    rows = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, np.nan)
