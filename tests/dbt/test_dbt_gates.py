"""The tests that dbt runs: unit tests pass, the weekly ones fail on the fault they are there for."""

from __future__ import annotations

import re

from helpers.dbt_build import properties


def _outcomes(output: str, outcome: str) -> list[str]:
    return re.findall(rf"\d+ of \d+ {outcome} (\S+)", output)


def test_every_unit_test_passes(tested):
    written = [test["name"] for test in properties("unit_tests")]
    passed = [name.split("::")[1] for name in _outcomes(tested, "PASS") if "::" in name]
    assert sorted(passed) == sorted(written)


def test_each_fault_fails_its_test(tested):
    # A gate that raises its own sentence ends as ERROR, a test that finds rows as FAIL; both are red.
    red = set(_outcomes(tested, r"(?:FAIL \d+|ERROR)"))
    assert red == {
        "assert_buy_it_again_bought_before",
        "assert_buy_it_again_due",
        "assert_email_recipients_eligible",
        "assert_emails_apart_and_in_time",
        "assert_forecast_windows_over",
        "assert_lists_traced",
        "assert_no_email_in_recs",
        "assert_one_email_per_address",
        "assert_outcomes_reconcile",
        "assert_quarantine_shares_within_limit",
        "assert_recommended_products_available",
        "assert_recs_before_as_of",
        "assert_slots_complete",
        "assert_some_order_is_a_purchase",
        "assert_slots_traced",
        "assert_traces_add_up",
        "assert_waterfall_adds_up",
        "assert_withdrawals_matched",
        "assert_withdrawn_customers_absent",
        "email_recommendations_expectations",
    }


def test_what_columns_break_is_named(tested):
    """Bob's first slot is missing, and most columns of his second."""
    (sentence,) = re.findall(r"Invalid Input Error: (email_recommendations: .*)", tested)
    assert "slot has gaps within campaign, as_of, customer_id (1)" in sentence
    assert "score is null (1)" in sentence
    assert "window_days is null (1)" in sentence


def test_quarantine_gate_names_table_count_and_share(tested):
    said = " ".join(tested.split())
    assert (
        "orders: 3 of 100 rows (3.0 %) of orders/a.csv, orders/b.csv and 5 more, 2 late_word, 1 future_date, for "
        "example the row 1-good."
    ) in said
    assert "order_items: 40 of 49" not in tested


def test_a_shop_without_a_purchase_hears_its_states_and_the_key(tested):
    assert (
        "No order before 2024-03-04 counts as a purchase. The states of the orders are: completed (4), cancelled (1), "
        "pending (1), shipped (1). Say in source.toml which of them are purchases: "
        'order_statuses = { "a state" = "purchase" }.'
    ) in tested


def test_a_withdrawal_that_matches_nobody_stops_the_run_with_one_sentence(tested):
    """The table, the number, the limit, the kinds; an id is shown, an address is not."""
    assert (
        "Withdrawals that match no customer: 2, and 0 may. Table consents: 1 by an address that no customer has, "
        "1 by an id that no customer has (X-99). Whoever they are would be written to: correct the ids in the "
        "file, or raise unmatched_withdrawals in source.toml."
    ) in " ".join(tested.split())
    assert "ina.probe" not in tested
