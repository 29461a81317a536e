"""Predictions of a campaign."""

from __future__ import annotations

import pandas as pd

from recs_assets.campaigns.predictions import _close_ranks, admit_predictions
from recs_assets.rules.sensitive import SensitiveGoods


def test_predictions_leave_out_what_lists_leave_out(build_known):
    """OTHER TOBACCO holds a candle, too; of GROCERY one product is tobacco; c1 bought beer, and c2 bread."""
    goods = SensitiveGoods.model_validate(
        {
            "topics": {
                "tobacco": {"levels": ["never_offer"], "words": ["cigarette*", "tobacco"]},
                "alcohol": {"levels": ["never_discover"], "words": ["beer", "pils"]},
            }
        }
    )
    products = [
        (product, name, None, category, None, 1.0, True)
        for product, name, category in [
            ("p1", "Pack of 20", "CIGARETTES"), ("p2", "Candle", "OTHER TOBACCO"), ("p3", "Cigarettes", "GROCERY"),
            ("p4", "Bread", "GROCERY"), ("p5", "Pils", "BEER"), ("p6", "Pils", "DRINKS"), ("p7", "Water", "DRINKS"),
        ]
    ]  # fmt: skip
    known = build_known(
        [("o1", "c1", 28, ["p5"]), ("o2", "c2", 28, ["p4"])],
        [("c1", None, None), ("c2", None, None)],
        products,
    )

    def admit(item, values):
        rows = [(customer, value) for customer in ("c1", "c2") for value in values]
        table = pd.DataFrame(rows, columns=["customer_id", item])
        return table[admit_predictions(table, item, known, goods)].groupby("customer_id")[item].agg(list)

    categories = ["CIGARETTES", "OTHER TOBACCO", "GROCERY", "BEER", "DRINKS", "TOYS"]
    assert admit("category", categories).to_dict() == {
        "c1": ["GROCERY", "BEER", "DRINKS", "TOYS"], "c2": ["GROCERY", "DRINKS", "TOYS"],
    }  # fmt: skip
    assert admit("product_id", ["p2", "p3", "p4", "p5", "p6", "p7"]).to_dict() == {
        "c1": ["p4", "p5", "p7"], "c2": ["p4", "p7"],
    }  # fmt: skip


def test_ranks_close_up():
    table = pd.DataFrame({"customer_id": ["c1", "c1", "c2"], "rank": [2, 5, 3]})
    assert _close_ranks(table)["rank"].tolist() == [1, 2, 1]
