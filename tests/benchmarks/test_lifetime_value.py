"""The benchmark on shops whose truth is known, end to end."""

import pytest

from benchmarks.lifetime_value import main, simulate_leavers


def test_report_of_customers_who_leave(capsys):
    assert main(["--leavers", "--days", "91", "--deciles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("leavers, 91 days: 4,000 customers, ")
    assert lines[1].endswith("the week would use last_year")
    cells = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ") for line in lines[4:12]}
    assert list(cells) == [
        *("spent_last_year", "last_year", "last_quarter", "per_known_day", "everybody"),
        *("buy_till_you_die", "regression", "bg_nbd"),
    ]
    # Nearest to the truth of all.
    assert min(cells, key=lambda name: float(cells[name][9])) == "buy_till_you_die"
    # What somebody spent who has left says nothing.
    assert cells["last_year"][3] == "+18.88 (+16.26 to +21.61) *"
    assert len([line for line in lines if line.startswith("| 10 |")]) == 1


def test_the_truth_is_what_customers_spend_on_average():
    orders, truth = simulate_leavers(91, seed=1)
    end = int(orders["day"].max()) + 1
    paid = orders.loc[orders["day"] >= end - 91, "amount"].sum()
    assert paid / (truth.sum() * 91) == pytest.approx(1, abs=0.1)
