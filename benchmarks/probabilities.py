"""Probabilities against what came true, at weeks whose future is known: `python -m benchmarks.probabilities HOME:WEEK ...`.

Every HOME holds a finished run of its WEEK (`RECS_HOME=HOME python -m recs_assets run --as-of WEEK`); the shop's files go on
after it. The published rows of the emails, of the shop lists and of buy it again are compared with the raw orders of
their windows: how many purchases were promised, how many happened, their ratio with its 95 % interval (customers drawn
anew), and the expected calibration error (ten bins), for all rows and for each class of at least
`--rows` rows by slot type, by days since the customer's last order, by days on which they had ordered, and for
buy it again by days on which they had bought the product.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from recs_assets.evaluation.bootstrap import resample_means
from recs_assets.ranking.calibration import expected_calibration_error

ROWS = {
    "email": """
        select customer_id, product_id, p_purchase as p, slot_type as class, window_days as days
        from recs.email_recommendations where campaign = $campaign and as_of = $week and p_purchase is not null
    """,
    "list": """
        select customer_id, product_id, p_purchase as p, null as class, $horizon as days
        from recs.customer_recommendations where as_of = $week and rank <= 12 and p_purchase is not null
    """,
    "buy it again": """
        select customer_id, product_id, p_repeat as p, least(order_days, 6)::varchar as class, $horizon as days
        from recs.buy_it_again where as_of = $week and p_repeat is not null and replaces_product_id is null
    """,
}
JUDGED = """
    with lines as (
        select orders.customer_id, items.product_id, orders.ordered_at
        from build.raw.orders as orders join build.raw.order_items as items using (order_id)
    ),
    history as (
        select customer_id, count(distinct ordered_at::date) as order_days, $week - max(ordered_at)::date as silence
        from lines where ordered_at < $week group by customer_id
    )
    select rows.customer_id, p, class, order_days, silence,
        exists (
            select 1 from lines
            where lines.customer_id = rows.customer_id and lines.product_id = rows.product_id
              and ordered_at >= $week and ordered_at < $week + days::integer
        ) as bought
    from ({rows}) as rows left join history using (customer_id)
    order by rows.customer_id, product_id
"""


def read(home: Path, week: date, kind: str, campaign: str, horizon: int) -> pd.DataFrame:
    """Published rows of a kind with what came of them: customer_id, p, class, order_days, silence (days), bought."""
    parameters = {"week": week} | ({"campaign": campaign} if kind == "email" else {"horizon": horizon})
    with duckdb.connect(str(home / "weeks" / str(week) / "build.duckdb"), read_only=True) as connection:
        connection.execute(f"attach '{home / 'published' / 'recs.duckdb'}' as published (read_only)")
        text = ROWS[kind].replace("recs.", "published.recs.")
        return connection.execute(JUDGED.format(rows=text), parameters).df()


def classes(rows: pd.DataFrame, at_least: int) -> pd.DataFrame:
    """A line per class of at least so many rows: rows, promised, true, ratio with its interval, ece."""
    silence = pd.cut(rows["silence"], [0, 7, 14, 28, np.inf], labels=["1-7", "8-14", "15-28", "29+"])
    history = pd.cut(rows["order_days"], [0, 2, 9, 29, np.inf], labels=["1-2", "3-9", "10-29", "30+"])
    groups = {("all", ""): np.ones(len(rows), dtype=bool)}
    for name, values in (
        ("class", rows["class"]),
        ("days since an order", silence),
        ("order days", history),
    ):
        groups |= {(name, value): (values == value).to_numpy() for value in sorted(values.dropna().unique())}
    lines = []
    for (name, value), mask in groups.items():
        some = rows[mask]
        if len(some) < at_least:
            continue
        ratio, low, high = ratio_of_sums(some)
        ece = expected_calibration_error(some["p"].to_numpy(), some["bought"].to_numpy(float))
        lines.append(
            (
                f"{name} {value}".strip(),
                len(some),
                some["p"].sum(),
                some["bought"].sum(),
                ratio,
                low,
                high,
                ece,
            )
        )
    return pd.DataFrame(lines, columns=["rows of", "rows", "promised", "true", "ratio", "low", "high", "ece"])


def ratio_of_sums(rows: pd.DataFrame, seed: int = 0) -> tuple[float, float, float]:
    """What came true per purchase promised, with its 95 % interval over customers drawn anew."""
    sums = rows.groupby("customer_id")[["p", "bought"]].sum().to_numpy(float)
    promised, true = resample_means(sums, seed).T
    low, high = np.quantile(true / promised, [0.025, 0.975])
    return sums[:, 1].sum() / sums[:, 0].sum(), low, high


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probabilities", description=__doc__)
    parser.add_argument("weeks", nargs="+", metavar="HOME:WEEK")
    parser.add_argument("--campaign", default="weekly_email")
    parser.add_argument("--horizon", type=int, default=28, help="days, of lists and of buy it again")
    parser.add_argument("--rows", type=int, default=1_000, help="of the smallest class that is shown")
    parsed = parser.parse_args(arguments)
    for text in parsed.weeks:
        home, _, week = text.rpartition(":")
        for kind in ROWS:
            rows = read(Path(home), date.fromisoformat(week), kind, parsed.campaign, parsed.horizon)
            table = classes(rows, parsed.rows)
            sys.stdout.write(
                f"{week}, {kind}\n{table.to_string(index=False, float_format='{:.3f}'.format)}\n\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
