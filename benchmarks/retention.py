"""Do buyers of some products come back more than buyers of others, beyond who they are?

    python -m benchmarks.retention --build .recs/weeks/2018-01-01/build.duckdb

A goal of retention needs a value per product: how much likelier its buyers are to order again. Of every customer's first
purchase of a product it is asked whether they ordered again within the window. What customers of the same activity
(orders so far, days since the one before) do on average is taken off: a product that regulars buy is not what brings
them back. Then customers are split in two halves, at random but fixed: what is a property of the product is found in
both, so the values of the halves must agree. Their correlation over products is printed with its 95 % interval, beside
the same without taking activity off.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.weekly import say

# First purchases of a product that a half needs.
FEWEST = 20
ROWS = """
with orders as (
    select distinct customer_id, ordered_at::date as day from marts.order_lines
    where customer_id is not null and net_quantity > 0
),
paced as (
    select *, row_number() over ahead as place, day - lag(day) over ahead as since, lead(day) over ahead - day as until
    from orders window ahead as (partition by customer_id order by day)
),
firsts as (
    select customer_id, product_id, min(ordered_at::date) as day from marts.order_lines
    where customer_id is not null and net_quantity > 0 group by all
),
ends as (select max(day) as last from orders)
select product_id, hash(customer_id) % 2 = 0 as half, coalesce(until <= $window, false)::double as returned,
    concat(least(place, 12), '/', coalesce(floor(log2(since + 1)), -1)) as activity
from firsts join paced using (customer_id, day), ends
where day <= last - $window
order by product_id, customer_id
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="build file of a week")
    parser.add_argument("--window", type=int, default=90, help="days within which an order counts")
    parsed = parser.parse_args()
    with duckdb.connect(str(parsed.build), read_only=True) as connection:
        rows = connection.execute(ROWS, {"window": parsed.window}).df()
    expected = rows.groupby("activity")["returned"].transform("mean")
    for name, value in (("as it is", rows["returned"]), ("less activity", rows["returned"] - expected)):
        halves = (
            rows.assign(value=value).groupby(["product_id", "half"])["value"].agg(["mean", "size"]).unstack()
        )
        enough = (halves["size"] >= FEWEST).all(axis=1)
        both = halves.loc[enough, "mean"].to_numpy()
        n = len(both)
        if n < 4:
            say(f"{name}: {n} products have {FEWEST} buyers in both halves: too few.")
            continue
        r = float(np.corrcoef(both[:, 0], both[:, 1])[0, 1])
        low, high = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]) / np.sqrt(n - 3))
        say(
            f"{name}: correlation of the halves {r:+.3f} ({low:+.3f} to {high:+.3f}) over {n:,} products; "
            f"buyers who ordered again {rows['returned'].mean():.1%}, standard deviation between products {both.std():.3f}"
        )


if __name__ == "__main__":
    main()
