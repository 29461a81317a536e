import pandas as pd

from benchmarks.shuffled import WHO, shuffled


def test_products_move_within_their_week_and_nothing_else_does():
    lines = pd.DataFrame(
        {
            "household_id": [f"h{n}" for n in range(60)],
            "store_id": "s",
            "basket_id": [f"b{n}" for n in range(60)],
            "week": [1] * 30 + [2] * 30,
            "transaction_timestamp": pd.Timestamp("2017-01-01"),
            "product_id": [f"p{n}" for n in range(60)],
            "sales_value": [float(n) for n in range(60)],
        }
    )
    dealt = shuffled(lines, 1)
    pd.testing.assert_frame_equal(dealt[WHO], lines[WHO])
    assert set(dealt["product_id"][:30]) == set(lines["product_id"][:30])
    assert (dealt["product_id"] != lines["product_id"]).sum() > 50
    assert (dealt["product_id"].str[1:].astype(float) == dealt["sales_value"]).all()
    pd.testing.assert_frame_equal(shuffled(lines, 1), dealt)


def test_a_product_stands_in_a_basket_once():
    lines = pd.DataFrame(
        {
            "household_id": "h", "store_id": "s", "basket_id": ["b1"] * 2 + ["b2"] * 2, "week": 1,
            "transaction_timestamp": pd.Timestamp("2017-01-01"), "product_id": ["p1", "p2"] * 2,
        }
    )  # fmt: skip
    for seed in range(20):
        dealt = shuffled(lines, seed)
        assert not dealt.duplicated(["basket_id", "product_id"]).any()
