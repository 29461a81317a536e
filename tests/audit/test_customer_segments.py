"""Segments by recency, frequency and money: scores, ties, everybody in exactly one."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.audit.segments import _GRID, SEGMENTS, order_values, segment_customers

COLUMNS = ["customer_id", "learned_from", "orders", "days_since_first", "days_since_last", "revenue"]


def segments(*rows: tuple) -> dict[str, tuple]:
    """Segment and scores by customer."""
    table = segment_customers(pd.DataFrame(list(rows), columns=COLUMNS))
    scores = ["recency_score", "frequency_score", "monetary_score", "value_score"]
    return {
        row["customer_id"]: (
            row["segment"],
            *(None if pd.isna(row[name]) else int(row[name]) for name in scores),
        )
        for _, row in table.iterrows()
    }


def test_five_customers_from_worst_to_best() -> None:
    assert segments(
        ("a", True, 1, 300, 300, 10.0),
        ("b", True, 2, 300, 200, 20.0),
        ("c", True, 3, 300, 100, 30.0),
        ("d", True, 4, 300, 50, 40.0),
        ("e", True, 5, 300, 5, 50.0),
    ) == {
        "a": ("hibernating", 1, 1, 1, 1),
        "b": ("hibernating", 2, 2, 2, 2),
        "c": ("need_attention", 3, 3, 3, 3),
        "d": ("loyal", 4, 4, 4, 4),
        "e": ("champions", 5, 5, 5, 5),
    }


def test_equal_values_share_the_middle_of_their_places() -> None:
    # Four of five have one order: 2 of 5 is the middle of their places, and in the third fifth.
    found = segments(*((name, True, 1, 300, 10, 5.0) for name in "abcd"), ("e", True, 2, 300, 10, 5.0))
    assert {found[name] for name in "abcd"} == {("need_attention", 3, 3, 3, 3)}
    assert found["e"][1:] == (3, 5, 3, 5)
    assert segments(*((name, True, 4, 300, 10, 5.0) for name in "abcd"))["a"] == (
        "need_attention",
        3,
        3,
        3,
        3,
    )


def test_who_was_among_the_best_and_stays_away() -> None:
    found = segments(
        ("best", True, 9, 500, 400, 900.0), *((f"c{n}", True, n, 300, 10 + n, 10.0 * n) for n in range(1, 10))
    )
    assert found["best"][0] == "cannot_lose"


def test_who_ordered_for_the_first_time_lately_is_new() -> None:
    old = [(f"c{n}", True, n, 300, 100 + n, 10.0 * n) for n in range(2, 6)]
    assert segments(*old, ("late", True, 1, 91, 3, 5.0))["late"][0] == "new"
    assert segments(*old, ("late", True, 1, 92, 3, 5.0))["late"][0] == "promising"


def test_nobody_is_scored_without_orders_or_who_is_not_learned_from() -> None:
    table = segment_customers(
        pd.DataFrame(
            [
                ("quiet", True, 0, None, None, None),
                ("reseller", False, 90, 400, 2, 9e5),
                ("a", True, 1, 200, 3, 5.0),
            ],
            columns=COLUMNS,
        )
    ).set_index("customer_id")
    assert table["segment"].to_dict() == {
        "a": "need_attention",  # alone in the middle
        "quiet": "no_purchase",
        "reseller": "not_segmented",
    }
    # Of somebody who objected not even a sum is kept.
    assert table.loc["reseller"].drop("segment").isna().all()
    assert table["frequency_score"].isna().to_dict() == {"a": False, "quiet": True, "reseller": True}


def test_every_place_of_the_grid_has_a_name() -> None:
    assert sorted(_GRID) == [1, 2, 3, 4, 5]
    assert {len(row) for row in _GRID.values()} == {5}
    assert {name for row in _GRID.values() for name in row} | {"new", "no_purchase", "not_segmented"} == set(
        SEGMENTS
    )


customers = st.lists(
    st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 400), st.integers(0, 50)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(customers, st.randoms(use_true_random=False))
def test_one_segment_each_whatever_the_order_of_the_rows(rows: list[tuple], random) -> None:
    numbered = [
        (
            f"c{number:02}",
            learned,
            orders,
            days + 20 if orders else None,
            days if orders else None,
            float(money) if orders else None,
        )
        for number, (learned, orders, days, money) in enumerate(rows)
    ]
    table = segment_customers(pd.DataFrame(numbered, columns=COLUMNS))
    assert list(table["customer_id"]) == [row[0] for row in numbered]
    assert set(table["segment"]) <= set(SEGMENTS)
    random.shuffle(numbered)
    again = segment_customers(pd.DataFrame(numbered, columns=COLUMNS))
    pd.testing.assert_frame_equal(table, again)
    # Some of the customers, compared with all: each block says what the whole shop says.
    whole = pd.DataFrame(numbered, columns=COLUMNS)
    ordered = order_values(whole)
    parts = [segment_customers(whole.iloc[first::3], ordered) for first in range(min(3, len(whole)))]
    if parts:
        joined = pd.concat(parts).sort_values("customer_id", ignore_index=True)
        pd.testing.assert_frame_equal(joined, table, check_dtype=False)
