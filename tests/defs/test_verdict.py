"""The run's own sentence about the model it publishes."""

from __future__ import annotations

import pandas as pd

from recs_assets.defs.run import verdict


def decisions(*rows: tuple[str, str, float, float, float, float, bool, str]) -> pd.DataFrame:
    columns = ["candidate", "incumbent", "candidate_value", "incumbent_value", "ci_low", "ci_high", "promoted", "chosen"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(metric="map@12", difference=table["candidate_value"] - table["incumbent_value"])


def test_a_model_that_beats_the_holder_is_named_with_its_interval() -> None:
    said = verdict(
        decisions(
            ("repurchase", "popularity", 0.25, 0.125, 0.1, 0.15, True, "ranker"),
            ("blend", "repurchase", 0.2, 0.25, -0.1, -0.01, False, "ranker"),
            ("ranker", "repurchase", 0.375, 0.25, 0.0625, 0.1875, True, "ranker"),
        )
    )
    assert said == (
        "Lists made by ranker: its map@12 of 0.3750 beats repurchase's 0.2500 by 0.1250 (0.0625 to 0.1875)."
    )


def test_without_proof_the_simplest_is_said_to_be_just_that() -> None:
    said = verdict(
        decisions(
            ("repurchase", "popularity", 0.125, 0.125, -0.01, 0.01, False, "popularity"),
            ("ranker", "popularity", 0.13, 0.125, -0.01, 0.02, False, "popularity"),
        )
    )
    assert said == (
        "Lists made by popularity, the simplest model: none of repurchase, ranker is proven to beat it."
    )
