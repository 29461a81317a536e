"""What is known of customers, what methods predict from it, and which one is used."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.lifetime.history import sum_spend, summarise
from recs_assets.lifetime.judge import compare_tops, correlate_ranks, find_top, judge_methods
from recs_assets.lifetime.methods import METHODS, SpendModel, learn_spend


def order(customer: int, *days_and_amounts: tuple[int, float]) -> list[tuple[int, int, float]]:
    return [(customer, day, amount) for day, amount in days_and_amounts]


def table(*rows: list[tuple[int, int, float]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in rows for row in part], columns=["customer", "day", "amount"])


SMALL = table(
    order(3, (0, 10.0), (0, 5.0), (300, 20.0), (395, 7.0), (400, 100.0)),
    order(5, (390, 30.0), (399, np.nan)),
    order(9, (401, 50.0)),
)


def test_history_counts_days_before_the_anchor():
    history = summarise(SMALL, 400)
    assert history.watched_days == 400
    assert history.rows.set_index("customer").to_dict("index") == {
        3: {
            "orders": 3, "since_first": 400, "since_last": 5, "spend": 42, "paid": 3,
            "orders_28": 1, "spend_28": 7, "orders_91": 1, "spend_91": 7, "orders_364": 2, "spend_364": 27,
        },
        # An order in a foreign currency is one, of an amount that nobody knows.
        5: {
            "orders": 2, "since_first": 10, "since_last": 1, "spend": 30, "paid": 1,
            "orders_28": 2, "spend_28": 30, "orders_91": 2, "spend_91": 30, "orders_364": 2, "spend_364": 30,
        },
    }  # fmt: skip
    assert sum_spend(SMALL, history, 400, 1).tolist() == [100, 0]


def test_simple_methods_by_hand():
    history = summarise(SMALL, 400)
    model = learn_spend(SMALL, 400, 91)
    alive = model.find_alive(history)
    assert alive.round(3).tolist() == alive.tolist()
    for method, expected in {
        "last_year": [27 / 4, 30 / 4],
        "last_quarter": [7, 30],
        # Known for ten days, which count as a quarter.
        "per_known_day": [27 / 4, 30],
        "everybody": np.array([28.5 / 4, 28.5 / 4]) / alive.mean(),
    }.items():
        assert model.predict_spend(method, history, 91) == pytest.approx(expected * alive)
        # Where nobody ever ordered twice, nothing says who left.
        staying = replace(model, orders=None).predict_spend(method, history, 91)
        assert staying * alive == pytest.approx(expected * alive)
    with pytest.raises(ValueError, match="'guess' is no method"):
        model.predict_spend("guess", history, 28)


def draw(customers: int, days: int, seed: int = 0, leave: float = 0.0) -> pd.DataFrame:
    """Customers of very different rates, all there from the first month; after each order some leave."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        rate, day = rng.gamma(1.0, 1 / 20), float(rng.integers(0, 28))
        while day < days:
            rows.append((customer, int(day), float(rng.gamma(3.0, 10.0))))
            day += rng.exponential(1 / rate) if rng.random() >= leave else days
    return pd.DataFrame(rows, columns=["customer", "day", "amount"])


def test_last_year_stays_where_nobody_changes():
    """Every customer orders the same amount at the same gap, for two years."""
    rows = [
        (customer, day, 5.0 + customer % 7)
        for customer in range(120)
        for day in range(customer % 28, 728, 7 * (1 + customer % 4))
    ]
    judged = judge_methods(pd.DataFrame(rows, columns=["customer", "day", "amount"]), 728, 364, seed=0)
    assert (judged.method, judged.days) == ("last_year", 364)
    rows = judged.rows.set_index("method")
    assert rows.index.tolist() == list(METHODS)
    assert rows["chosen"].tolist() == [True, False, False, False, False, False]
    assert rows["refused"].dropna().to_dict() == {"everybody": "top_pays_less"}
    assert rows.loc["everybody", "top_ci_high"] < 0
    assert rows.loc["last_year", ["difference", "ci_low", "ci_high"]].tolist() == [0, 0, 0]
    assert rows.loc["everybody", "ci_high"] < 0
    assert rows.loc["everybody", "top_share"] == pytest.approx(0.1)


def test_leaving_customers_are_found_by_the_model():
    orders = draw(1500, 728, leave=0.3)
    judged = judge_methods(orders, 728, 364, seed=0)
    rows = judged.rows.set_index("method")
    assert judged.method == "buy_till_you_die"
    assert rows.loc["last_year", "ci_high"] < 0
    assert 1 < rows.loc["buy_till_you_die", "predicted_share"] < 1.5
    # Last year's spend is that of those, too, who have left: times the probability that they did not, it errs by far less.
    history, model = summarise(orders, 364), learn_spend(orders, 364, 364)
    spend = sum_spend(orders, history, 364, 364)
    plain = history["spend_364"]
    told = model.predict_spend("last_year", history, 364)
    assert compare_pairs(np.abs(told - spend), np.abs(plain - spend), seed=0)[2] < 0


def test_nothing_is_expected_of_who_left():
    """Whatever the method: one customer ordered every third day of a year, and then not for half a year."""
    left = table(order(-1, *((day, 20.0) for day in range(0, 364, 3))))
    orders = pd.concat([draw(400, 546), left])
    history, model = summarise(orders, 546), learn_spend(orders, 546, 91)
    assert model.find_alive(history)[0] == 0
    assert history["spend_364"][0] > 1000
    for method in METHODS:
        assert model.predict_spend(method, history, 364)[0] == pytest.approx(0, abs=0.5)


def test_returns_that_outweigh_all_spend_are_no_error():
    """More was sent back in the last days than bought, by everybody together."""
    orders = draw(60, 300)
    back = pd.DataFrame({"customer": np.arange(60), "day": 290, "amount": -1000.0})
    model = learn_spend(pd.concat([orders, back[back["customer"] > 0]]), 300, 91)
    assert np.isfinite(model.predict_spend("regression", summarise(orders, 300), 91)).all()


def test_whose_top_tenth_pays_less():
    """Of 400 customers 40 pay 10 and the others 1: 400 of 760. One ranking knows them, the other none of them."""
    spend = np.r_[np.full(40, 10.0), np.ones(360)]
    difference, low, high = compare_tops(np.arange(400.0), spend, spend, seed=0)
    assert difference == pytest.approx(40 / 760 - 400 / 760)
    assert low < difference < high < 0
    assert compare_tops(spend, spend, spend, seed=0) == (0, 0, 0)
    assert compare_tops(spend, spend, np.zeros(400), seed=0) == (0, 0, 0)


def test_too_few_days_leave_last_year():
    judged = judge_methods(draw(20, 55), 55, 91, seed=0)
    assert (judged.method, judged.days, len(judged.rows)) == ("last_year", 0, 0)


def test_order_of_rows_changes_nothing():
    orders = draw(80, 300)
    shuffled = orders.sample(frac=1, random_state=4)
    assert learn_spend(shuffled, 300, 91) == learn_spend(orders, 300, 91)
    pd.testing.assert_frame_equal(
        judge_methods(shuffled, 300, 91, 0).rows, judge_methods(orders, 300, 91, 0).rows
    )


def test_a_prediction_depends_on_the_customer_alone():
    orders = draw(200, 300)
    model = SpendModel.from_json(learn_spend(orders, 300, 91).to_json())
    whole = summarise(orders, 300)
    block = orders[orders["customer"].between(77, 102)]
    part = summarise(block, 300, 300 - whole.watched_days)
    there = whole.rows["customer"].between(77, 102).to_numpy()
    for method in METHODS:
        one, all_of_them = (model.predict_spend(method, history, 91) for history in (part, whole))
        assert one.tolist() == all_of_them[there].tolist()


def test_top_shares_what_is_level():
    assert find_top(np.array([5.0, 1, 1, 1, 1, 1, 1, 1, 1, 1])).tolist() == [1] + [0] * 9
    assert find_top(np.ones(4), 0.5).tolist() == [0.5] * 4
    assert correlate_ranks(np.array([1.0, 2, 3]), np.array([10.0, 20, 21])) == pytest.approx(1)
    assert np.isnan(correlate_ranks(np.ones(3), np.arange(3.0)))


@settings(max_examples=3, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    gap=st.sampled_from([7, 14, 28]),
    skipped=st.sampled_from([0.0, 0.02, 0.1, 0.2]),
    customers=st.integers(2, 100),
)
def test_customers_who_order_like_clockwork_are_predicted_what_they_order(seed, gap, skipped, customers):
    """Boxes that come every so many days, some skipped: rates hardly differ, and the shape of their Gamma is huge."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 180, customers)
    rows = [
        (customer, int(day), 19.9)
        for customer, start in enumerate(starts)
        for day in range(int(start), 700, gap)
        if day == start or rng.random() >= skipped
    ]
    orders = pd.DataFrame(rows, columns=["customer", "day", "amount"])
    judged = judge_methods(orders, 700, 91, seed=0)
    assert judged.rows["mae"].notna().all()
    history = summarise(orders, 700)
    model = learn_spend(orders, 700, 91)
    expected, alive = model.predict_orders(history, 91), model.find_alive(history)
    assert np.isfinite(expected).all()
    assert ((alive >= 0) & (alive <= 1)).all()
    if skipped == 0:
        assert expected.sum() == pytest.approx(customers * 91 / gap, rel=0.12)


def test_what_cannot_be_learned_at_the_week_is_not_chosen():
    """Nobody ordered in the last 91 days, so that nothing says how spend in such days follows from what was before."""
    rng = np.random.default_rng(3)
    rows = [
        (customer, int(day), 10.0 + customer)
        for customer in range(80)
        for day in np.cumsum(rng.exponential(30, 20))
        if day < 640
    ]
    orders = pd.DataFrame(rows, columns=["customer", "day", "amount"])
    assert learn_spend(orders, 731, 91).regression is None
    judged = judge_methods(orders, 731, 91, seed=0)
    row = judged.rows.set_index("method").loc["regression"]
    assert (row["refused"], row["customers"], row["chosen"]) == ("nothing_to_learn", 80, False)
    assert np.isnan(row["mae"])
    assert judged.rows["method"].tolist() == list(METHODS)
    assert judged.method in METHODS[:-1]
    assert judge_methods(orders, 731, 91, seed=0, simplest="regression").method == judged.method


def test_a_method_that_predicts_no_number_is_out(monkeypatch):
    predict = SpendModel.predict_spend

    def fail(self, method, history, days):
        found = predict(self, method, history, days)
        return found * np.nan if method == "buy_till_you_die" else found

    monkeypatch.setattr(SpendModel, "predict_spend", fail)
    rows = judge_methods(draw(60, 300), 300, 91, seed=0).rows.set_index("method")
    assert rows.loc["buy_till_you_die", "refused"] == "no_number"
    assert rows["refused"].isin(["no_number", "nothing_to_learn"]).tolist() == rows["mae"].isna().tolist()


def test_what_another_horizon_uses_holds_until_it_is_beaten():
    orders = draw(300, 546)
    judged = judge_methods(orders, 546, 91, seed=0, simplest="per_known_day")
    assert judged.method == "per_known_day"
    assert judged.rows["method"].tolist() == [
        "per_known_day", "last_year", "last_quarter", "everybody", "buy_till_you_die", "regression",
    ]  # fmt: skip
    assert judged.rows.loc[0, ["difference", "top_difference"]].tolist() == [0, 0]
    assert judge_methods(orders, 546, 91, seed=0, simplest="everybody").method != "everybody"


def test_all_but_the_regression_is_learned_once_for_all_days():
    orders = draw(60, 300)
    of_a_quarter = learn_spend(orders, 300, 91)
    of_a_year = learn_spend(orders, 300, 364, same=of_a_quarter)
    assert of_a_year == learn_spend(orders, 300, 364)
    assert of_a_year.orders is of_a_quarter.orders
    assert of_a_year.regression != of_a_quarter.regression
