"""Rows of a prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recs_assets.arrays import rank_within
from recs_assets.queries.validation import item_column
from recs_assets.training.entities import Entities
from recs_assets.training.models import Learned
from recs_assets.training.products import Products
from recs_assets.training.tasks import CandidateSheet, Sheet, Task
from recs_assets.training.values import MOST_VALUES

# Products that a customer never bought, beyond the depth of a campaign's rows: what discovery looks among.
NEW_ROWS = 50


def calibrate_scores(task: Task, sheet: Sheet, model: Learned, score: np.ndarray) -> np.ndarray:
    """float64[n]; of values of which one comes true they add up to 1 for everybody."""
    probability = model.probability(score)
    if task.query.picks_one:
        probability = probability / np.bincount(sheet.customer, weights=probability)[sheet.customer]
    return probability


def list_sheet(
    task: Task, sheet: Sheet, score: np.ndarray, model: Learned | None, depth: int | None
) -> pd.DataFrame:
    """`Prediction.rows` of one sheet."""
    if model is None or model.calibrator is None:
        return pd.DataFrame({"customer": sheet.customer, "prediction": score})
    probability = calibrate_scores(task, sheet, model, score).astype(np.float32)
    if isinstance(task, Entities):
        return pd.DataFrame(
            {"customer": sheet.customer, "score": score.astype(np.float32), "probability": probability}
        )
    item = "product" if isinstance(task, Products) else "value"
    most = depth or task.query.top or MOST_VALUES
    order = np.lexsort((sheet.item, -score, sheet.customer))
    rank = rank_within(sheet.customer[order])
    keep = rank <= most
    if depth and isinstance(sheet, CandidateSheet) and task.view == "all":
        new = ~sheet.candidates.own[order]
        keep[np.flatnonzero(new)[rank_within(sheet.customer[order][new]) <= NEW_ROWS]] = True
    order, rank = order[keep], rank[keep]
    rows = pd.DataFrame(
        {
            "customer": sheet.customer[order],
            item: sheet.item[order],
            "rank": rank.astype(np.int32),
            "score": score[order].astype(np.float32),
            "probability": probability[order],
        }
    )
    if isinstance(sheet, CandidateSheet):
        rows["source"] = pd.Categorical(sheet.candidates.take(order).find_best_source())
    return rows


def name_rows(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    table = rows[rows["rank"] <= task.query.top] if task.query.top else rows
    ids = {task.query.entity[0].parts[1]: task.ids(task.as_of)[table["customer"]]}
    for code in ("product", "value"):
        if code in table:
            name = item_column(task.query)
            ids[name] = task.item_ids(task.as_of)[table[code]]
    if "product_id" in ids:
        names = task.week.build.query("select product_id, name from marts.products", {})
        ids["product_name"] = (
            names.set_index("product_id")["name"].reindex(ids["product_id"]).to_numpy(dtype=object)
        )
    rest = table.drop(columns=["customer", "product", "value"], errors="ignore").reset_index(drop=True)
    return pd.concat([pd.DataFrame(ids), rest], axis=1)
