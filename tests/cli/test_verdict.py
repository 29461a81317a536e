"""The run's own sentence about the model it publishes."""

from __future__ import annotations

from datetime import date

import pandas as pd

from recs_assets.cli.summary import explain_verdict, write_headline


def decisions(
    *rows: tuple[str, str, float, float, float, float, bool, str], customers: int = 200
) -> pd.DataFrame:
    columns = ["candidate", "incumbent", "candidate_value", "incumbent_value", "ci_low", "ci_high", "promoted", "chosen"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    difference = table["candidate_value"] - table["incumbent_value"]
    return table.assign(metric="map@12", customers=customers, difference=difference)


def test_a_model_that_beats_the_holder_is_named_with_its_interval() -> None:
    said = explain_verdict(
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
    said = explain_verdict(
        decisions(
            ("repurchase", "popularity", 0.125, 0.125, -0.01, 0.01, False, "popularity"),
            ("ranker", "popularity", 0.13, 0.125, -0.01, 0.02, False, "popularity"),
        )
    )
    assert said == (
        "Lists made by popularity, the simplest model: none of repurchase, ranker is proven to beat it."
    )


def test_who_are_too_few_to_prove_anything_are_counted() -> None:
    said = explain_verdict(
        decisions(("ranker", "popularity", 0.5, 0.1, 0.0, 0.6, False, "popularity"), customers=2)
    )
    assert said == (
        "Lists made by popularity, the simplest model: none of ranker is proven to beat it. "
        "Only 2 customers bought anything in the test, and so few prove nothing."
    )


def test_four_lines_say_what_somebody_in_a_hurry_should_know() -> None:
    campaigns, promised = {"weekly_email": 2469, "vip": 12}, [("weekly_email", 14, 29628, 5600.0, 4000.0)]
    lines = write_headline(
        date(2018, 1, 1),
        (2469, 2469, 2470),
        campaigns,
        "Lists made by ranker.",
        promised,
        {"weekly_email": [1.05, 0.95]},
        ["A.", "B."],
    )
    assert lines == [
        "Sent:      Week 2018-01-01: 2,469 of 2,469 eligible customers (of 2,470) got an email list. Campaigns: "
        "weekly_email (2,469), vip (12).",
        "Made by:   Lists made by ranker.",
        "Expected:  weekly_email 5,600 purchases within 14 days (5,064 to 6,193).",
        "Look at:   A. And 1 more below.",
    ]
    quiet = write_headline(date(2018, 1, 1), (0, 1, 1), {}, "x", [], {}, [])
    assert quiet[0].endswith("Campaigns: none.")
    assert quiet[2:] == [
        "Expected:  no campaign says how likely its products are bought.",
        "Look at:   Nothing: every gate passed, every file fits.",
    ]
