"""A campaign without slots: its predictions, less what sensitive goods rule out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import is_stored, rank_within
from recs_assets.campaigns.blocks import Part, join_tables
from recs_assets.campaigns.made import NOT_ANSWERED, NOTHING, SELECTED, Made, tabulate_outcomes
from recs_assets.campaigns.measure import tabulate_tests
from recs_assets.known.interactions import Known
from recs_assets.rules.sensitive import SensitiveGoods
from recs_assets.training import Prediction
from recs_assets.training.tasks import Task
from recs_assets.week.week import Week


def make_predictions(parts: Sequence[Part], predicted: Prediction | None, facts: dict[str, Any]) -> Made:
    """A campaign without slots.

    Args:
        parts: of all blocks of customers (`list_predictions`).
        predicted: of the whole week; None where the query has no answer.
        facts: are completed.
    """
    tables = {name: pd.DataFrame() for name in ("selection", "predictions", "rules", "price_tags", "traces")}
    tests = pd.DataFrame()
    tables |= {
        name: join_tables([part.tables[name] for part in parts]) for name in ("predictions", "outcomes")
    }
    if predicted is not None:
        tests = tabulate_tests(predicted, predicted.chosen)
        facts["customers"] = int((tables["outcomes"]["outcome"] == SELECTED).sum())
    return Made({**tables, "tests": tests}, facts)


def list_predictions(week: Week, task: Task | None, predicted: Prediction | None) -> Part:
    """The predictions of a block of customers as they are, but for sensitive goods (`admit_predictions`), and what
    became of everybody."""
    known = week.known()
    outcome = np.full(known.n_customers, NOT_ANSWERED, dtype=object)
    if task is not None and predicted is not None:
        outcome = np.where(task.eligible(week.as_of), NOTHING, "not_in_audience").astype(object)
    predictions = pd.DataFrame()
    if predicted is not None:
        table = predicted.table
        if predicted.item is not None:
            table = table[admit_predictions(table, predicted.item, known, week.shop.sensitive)]
            table = _close_ranks(table).rename(columns={predicted.item: "item"})
        outcome[known.customers["customer_id"].isin(table["customer_id"].unique()).to_numpy()] = SELECTED
        first = {"item": None, "rank": 1, "score": np.nan, "probability": np.nan, "prediction": np.nan}
        for name, value in first.items():
            if name not in table:
                table = table.assign(**{name: value})
        predictions = table[["customer_id", *first]]
    eligible = None if predicted is None else predicted.eligible
    return Part(
        {"predictions": predictions, "outcomes": tabulate_outcomes(known.customers, outcome)},
        {"eligible": eligible},
    )


def admit_predictions(table: pd.DataFrame, item: str, known: Known, goods: SensitiveGoods) -> np.ndarray:
    """bool[rows]: which predictions may be made, as far as sensitive goods go.

    A category, brand or vertical is as quiet as its own name, and as what all its products are: of what is never
    offered nothing is predicted, and what is never discovered only for customers who bought such goods of it.

    Args:
        table: customer_id and, by its own name, what was predicted.
        item: product_id, category, brand or vertical.
        known: the week's.
        goods: of the shop.
    """
    group, values = pd.factorize(known.products[item])
    sensitive = goods.classify(known.products)

    def encode_members(chosen: np.ndarray) -> sparse.csr_matrix:
        """bool csr[n_products, n_values] of the chosen products."""
        rows = np.flatnonzero(chosen & (group >= 0))
        shape = (len(group), len(values))
        return sparse.csr_matrix((np.ones(len(rows), dtype=bool), (rows, group[rows])), shape=shape)

    label = "brand" if item == "brand" else "category"
    own = goods.classify(pd.DataFrame({"name": None, "brand": None, "category": None, label: values}))

    def mark_values(level: str) -> np.ndarray:
        whole = encode_members(~getattr(sensitive, level)).getnnz(axis=0) == 0
        # An id says nothing of what it stands for.
        return whole if item == "product_id" else whole | getattr(own, level)

    never, quiet = mark_values("never_offer"), mark_values("never_discover")
    bought = known.history.astype(bool) @ encode_members(sensitive.never_discover)
    bought.sort_indices()
    value = pd.Index(values).get_indexer(table[item])
    customer = pd.Index(known.customers["customer_id"]).get_indexer(table["customer_id"])
    refused = never[value] | (quiet[value] & ~is_stored(bought, customer, value))
    return (value < 0) | ~refused


def _close_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by customer and rank, some of which were taken out: the ranks of those that stay close up."""
    if "rank" not in table:
        return table
    rank = rank_within(table["customer_id"].to_numpy())
    return table.assign(rank=rank.astype(table["rank"].dtype))
