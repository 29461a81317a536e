"""What context adds to an answer of the server: of each later basket one line is hidden, and asked for.

    RECS_HOME=/tmp/earlier python -m recs_assets backtest --folds 1 --as-of 2017-12-04
    python -m benchmarks.complete_the_basket /tmp/earlier/backtest:2017-12-04 .recs:2018-01-01

Every HOME holds a finished week. At the week's test anchor the server's store is made as a publish makes it: lists of the
tested ranker, neighbours of models fitted there, popularity and prices of that day. Baskets are the orders of the label
window with two different products at least, of customers who have a list. The hidden line is the product whose hash with
the order's id is the smallest; the others, in the order of their hashes, are the cart, or the first of them the product
whose page is open. Every answer comes from `serving.answer`, with the placement's file; only the weights change.

The last week is reported. The row "best earlier" has the weights with the highest hit rate on the weeks before it.
Baselines know no rules: they offer whatever may be sold and is not in the cart. Intervals are 95 % percentile bootstrap
intervals over customers, who are drawn with all their baskets; differences are paired.

With `--published` nothing is measured: answers from the store made here at the week itself are compared with those from the
store that the week published.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pandas as pd
from scipy import sparse

from benchmarks.simple_lists import rank_in_simple_lists
from recs_assets import __version__
from recs_assets.arrays import is_stored
from recs_assets.campaigns.context import build_storefront_context
from recs_assets.campaigns.storefront import LIST_LENGTH, choose_rows, find_neighbours
from recs_assets.delivery import join_parts
from recs_assets.evaluation.bootstrap import resample_means
from recs_assets.known.interactions import Known
from recs_assets.ranking.strata import find_strata
from recs_assets.serving import publish
from recs_assets.serving.answer import Question, answer
from recs_assets.serving.placement import Blend, Placement, load_folder
from recs_assets.serving.state import State
from recs_assets.serving.store import FILE, FileStore
from recs_assets.serving.version import Version
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.store.text import quote
from recs_assets.week.ranked import PublishedRanker
from recs_assets.week.week import Week, make_recommender

LONGEST = 12
# Weights beside `together: 1`; only their ratio counts.
PERSONAL = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
SIMILAR = (0.0, 0.1, 0.2, 0.5)
# Weights are tried on every fourth basket of the earlier weeks: an answer takes a millisecond.
EVERY = 4
# The product page is open; in the others the cart is.
PRODUCT = "product"
PLACEMENTS = ("cart", PRODUCT)
UNLIMITED = "unlimited"
BEST = "best earlier"
SHIPPED = "both, as shipped"
BASKETS = """
    select order_id, customer_id, date_diff('second', $anchor::timestamp, min(ordered_at)) as seconds,
        list(distinct product_id) as products
    from marts.order_lines join marts.products using (product_id)
    where ordered_at >= $anchor and ordered_at < $end and learned_from and is_product and customer_id is not null
    group by order_id, customer_id having count(distinct product_id) >= 2 order by order_id
"""
# What a publish reads, as it would have been at an earlier anchor.
TABLES = {
    "customers": "select * from week.marts.customers",
    "order_lines": """
        select * replace (case when fully_returned_at < $anchor then fully_returned_at end as fully_returned_at)
        from week.marts.order_lines where ordered_at < $anchor
    """,
    "products": """
        select products.* exclude (name, price), products.name as product_name, features.price
        from week.marts.products as products
        join week.features.product_features as features
          on products.product_id = features.product_id and features.as_of = $anchor
    """,
    "model_decisions": "select $anchor::date as as_of, 'ranker' as chosen, 1 as step",
    "customer_recommendations": """
        select $anchor::date as as_of, *, null as reason_code, null as reason_text, null as because_product_id,
            null as recommendation_id
        from listed
    """,
    "buy_it_again": "select * from recs.customer_recommendations where false",
    "frequently_bought_together": """
        select $anchor::date as as_of, *, null as reason_text, null as recommendation_id from bought_together_pairs
    """,
    "similar_products": """
        select $anchor::date as as_of, *, null as reason_text, null as recommendation_id from similar_pairs
    """,
}


@dataclass(frozen=True)
class Basket:
    """A later basket with one line hidden.

    Attributes:
        customer: who bought it.
        at: seconds after the anchor's midnight.
        hidden: the product to find.
        rest: the others, in the order of their hashes.
        new: the customer had not bought the hidden product before the anchor.
    """

    customer: str
    at: float
    hidden: str
    rest: tuple[str, ...]
    new: bool = False


def hide_line(order_id: str, products: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The hidden product of an order and the rest, by the hashes of their ids with the order's."""
    hidden, *rest = sorted(
        products, key=lambda product: hashlib.sha256(join_parts((order_id, product))).digest()
    )
    return hidden, tuple(rest)


def read_baskets(week: Week, anchor: date) -> tuple[list[Basket], int]:
    """Baskets of the label window of who has a list, and how many others there are."""
    known = week.known(anchor)
    end = anchor + timedelta(days=week.shop.horizon_days)
    with week.build.read() as connection:
        rows = connection.execute(BASKETS, {"anchor": anchor, "end": end}).fetchall()
    listed = set(
        known.customers["customer_id"].to_numpy(dtype=object)[week.find_customers_with_lists(anchor)]
    )
    baskets = [
        Basket(customer, seconds, *hide_line(order, products))
        for order, customer, seconds, products in rows
        if customer in listed
    ]
    customer, hidden = find_codes(known, baskets)
    owned = is_stored(known.history, customer, hidden)
    return [
        Basket(basket.customer, basket.at, basket.hidden, basket.rest, not old)
        for basket, old in zip(baskets, owned, strict=True)
    ], len(rows) - len(baskets)


def find_codes(known: Known, baskets: Sequence[Basket]) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the baskets' customers and of the hidden products."""
    customers, products = pd.Index(known.customers["customer_id"]), pd.Index(known.products["product_id"])
    return (
        customers.get_indexer([basket.customer for basket in baskets]),
        products.get_indexer([basket.hidden for basket in baskets]),
    )


def make_carts(known: Known, placement: str, baskets: Sequence[Basket]) -> sparse.csr_matrix:
    """csr[baskets, products] of ones: what the answer is about."""
    shown = [basket.rest[:1] if placement == PRODUCT else basket.rest for basket in baskets]
    rows = np.repeat(np.arange(len(baskets)), [len(products) for products in shown])
    columns = pd.Index(known.products["product_id"]).get_indexer([name for some in shown for name in some])
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(baskets), known.n_products))


# -- the store ----------------------------------------------------------------------------------


def make_version(week: Week, anchor: date, placements: Mapping[str, Placement], folder: Path) -> Version:
    """What the server would have answered from at an anchor of the week."""
    known, shop = week.known(anchor), week.shop
    rules = shop.storefront.rule_set(LIST_LENGTH)
    facts = build_storefront_context(week, anchor, rules)
    rows = pd.concat(
        [rows for rows, _ in choose_rows(week, anchor, "ranker", facts, rules)], ignore_index=True
    )
    customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
    ranker = PublishedRanker(week)
    calibrator = ranker.calibrator if anchor == week.as_of else ranker.before_test
    score = rows["score"].to_numpy(dtype=float)
    customer_ids, product_ids = (
        known.customers["customer_id"].to_numpy(dtype=object),
        known.products["product_id"].to_numpy(dtype=object),
    )
    frames = {
        "listed": pd.DataFrame(
            {
                "customer_id": customer_ids[customer],
                "product_id": product_ids[product],
                "rank": rows["rank"].to_numpy(),
                "score": score,
                "p_purchase": calibrator.probability(score, find_strata(known, customer, product)),
                "source": rows["source"].astype(object),
            }
        )
    }
    models = (make_recommender(shop, name, week.parameters(name)).fit(known) for name in ("rules", "content"))
    for kind, pairs in find_neighbours(week, anchor, *models):
        frames[f"{kind}_pairs"] = pd.DataFrame(
            {
                "product_id": product_ids[pairs["product"].to_numpy()],
                "neighbour_id": product_ids[pairs["neighbour"].to_numpy()],
                "rank": pairs["rank"].to_numpy(),
                "score": pairs["score"].to_numpy(dtype=float),
            }
        )
    never = pd.Series(pd.NaT, index=known.products.index, dtype="datetime64[us]")
    shelf = known.products[["product_id", "stock", "start_at"]].assign(end_at=never)
    with week.warehouse.scratch() as connection:
        connection.execute(f"attach '{quote(week.build.path)}' as week (read_only)")
        connection.execute("create schema recs")
        for name, frame in frames.items():
            connection.register(name, frame)
        for name, sql in TABLES.items():
            given = {"anchor": anchor} if "$anchor" in sql else {}
            connection.execute(f"create table recs.{name} as {sql}", given)
        manifest = publish.publish(
            connection,
            shelf,
            shop.sensitive,
            folder,
            as_of=anchor,
            run_id="benchmark",
            version=__version__,
            timezone=shop.timezone,
            keep=1,
            now=datetime.combine(anchor, time(), ZoneInfo(shop.timezone)),
        )
    store = FileStore(folder / "versions" / manifest["version"] / FILE)
    return Version(manifest["version"], store, placements, State())


# -- answers --------------------------------------------------------------------------------------


def ask(
    version: Version, placement: str, basket: Basket, blend: Blend | None, signed_in: bool = True
) -> list[str]:
    """The products of the server's answer to a basket, the best first."""
    page = {"cart": (), "context": basket.rest[:1]} if placement == PRODUCT else {"cart": basket.rest}
    question = Question(
        placement, n=LONGEST, customer_id=basket.customer if signed_in else None, blend=blend, **page
    )
    items = orjson.loads(answer(version, State(), question, version.begins_at + basket.at))["items"]
    return [item["product_id"] for item in items]


def place(products: Sequence[str], hidden: str) -> int:
    """The rank of the hidden product; 0 where it is not among them."""
    return products.index(hidden) + 1 if hidden in products else 0


def find_places(
    version: Version, placement: str, baskets: Sequence[Basket], blend: Blend | None, signed_in: bool = True
) -> np.ndarray:
    """int64[baskets]: the hidden product's rank in the server's answers."""
    return np.array(
        [place(ask(version, placement, basket, blend, signed_in), basket.hidden) for basket in baskets],
        dtype=np.int64,
    )


# -- figures --------------------------------------------------------------------------------------


def measure(places: np.ndarray, n: int) -> np.ndarray:
    """float64[baskets, 3]: found among the first n, among the first 12, and one over the rank."""
    found = places > 0
    return np.column_stack([found & (places <= n), found, found / np.maximum(places, 1)]).astype(float)


def draw(values: np.ndarray, customers: Sequence[str], seed: int) -> np.ndarray:
    """float64[resamples, columns]: means over the baskets of customers drawn anew, each with all of theirs."""
    codes, ids = pd.factorize(np.asarray(customers, dtype=object))
    sums = np.zeros((len(ids), values.shape[1] + 1))
    np.add.at(sums, codes, np.column_stack([np.ones(len(values)), values]))
    drawn = resample_means(sums, seed)
    return drawn[:, 1:] / drawn[:, :1]


def tabulate(places: Mapping[str, np.ndarray], baskets: Sequence[Basket], n: int, seed: int) -> list[str]:
    """A Markdown table: a row per list, and what it has more than the shipped weights."""
    values = np.stack([measure(found, n) for found in places.values()], axis=1)
    drawn = draw(values.reshape(len(baskets), -1), [basket.customer for basket in baskets], seed)
    drawn = drawn.reshape(len(drawn), len(places), -1)
    mean, shipped = values.mean(axis=0), list(places).index(SHIPPED)
    ends = np.quantile(drawn, [0.025, 0.975], axis=0)
    more = np.quantile(drawn - drawn[:, [shipped]], [0.025, 0.975], axis=0)
    lines = [
        f"| list | hit rate@{n} | hit rate@{LONGEST} | MRR@{LONGEST} | more than shipped: hit rate@{n} | MRR@{LONGEST} |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row, name in enumerate(places):
        cells = [
            f"{mean[row, column]:.3f} ({ends[0, row, column]:.3f}–{ends[1, row, column]:.3f})"
            for column in range(3)
        ]
        for column in (0, 2):
            difference = mean[row, column] - mean[shipped, column]
            low, high = more[:, row, column]
            cells.append("" if row == shipped else f"{difference:+.4f} ({low:+.4f} to {high:+.4f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def choose_weights(find: Callable[[Blend], float]) -> tuple[Blend, list[tuple[Blend, float]]]:
    """The weights with the highest figure, and what was tried: the personal list first, then similar products."""
    tried = [(blend, find(blend)) for blend in (Blend(personal=weight, together=1) for weight in PERSONAL)]
    best = max(tried, key=lambda pair: pair[1])[0]
    for weight in SIMILAR[1:]:
        blend = Blend(personal=best.personal, together=1, similar=weight)
        tried.append((blend, find(blend)))
    return max(tried, key=lambda pair: pair[1])[0], tried


# -- the command ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A week at its test anchor."""

    week: Week
    anchor: date
    version: Version
    baskets: list[Basket]
    others: int


def open_case(text: str, folder: Path, at_week: bool = False) -> Case:
    """The week of `HOME:WEEK` at its test anchor, or at the week itself with the baskets before it."""
    home, _, as_of = text.rpartition(":")
    shop = Shop.from_settings(Settings(home=Path(home)))
    week = Week(shop, shop.warehouse(), date.fromisoformat(as_of))
    test = week.test_anchors[0]
    anchor = week.as_of if at_week else test
    placements = load_folder(shop.path("placements"))
    cart = placements[PLACEMENTS[0]]
    rules = cart.rules.model_copy(update={"max_per_category": None})
    placements[UNLIMITED] = cart.model_copy(update={"name": UNLIMITED, "rules": rules})
    baskets, others = read_baskets(week, test)
    return Case(week, anchor, make_version(week, anchor, placements, folder), baskets, others)


def write_blend(blend: Blend) -> str:
    """Weights as a placement's file has them.

    >>> write_blend(Blend(personal=0.5, together=1))
    'personal 0.5, together 1'
    """
    return ", ".join(f"{name} {weight:g}" for name, weight in blend if weight)


def rank_simply(case: Case, placement: str) -> dict[str, np.ndarray]:
    """The hidden product's rank in the lists of `simple_lists`."""
    known, baskets = case.week.known(case.anchor), case.baskets
    customer, hidden = find_codes(known, baskets)
    carts, largest = make_carts(known, placement, baskets), case.week.settings.max_basket_lines
    return rank_in_simple_lists(known, customer, carts, hidden, largest=largest, longest=LONGEST)


def report(case: Case, placement: str, best: Blend | None) -> list[str]:
    """The tables of a placement: all baskets, and those whose hidden product was new to the customer or was not."""
    version, baskets = case.version, case.baskets
    shipped = version.placements[placement]

    def find(blend: Blend | None, name: str = placement, signed_in: bool = True) -> np.ndarray:
        return find_places(version, name, baskets, blend, signed_in)

    places = {
        "personal list": find(Blend(personal=1)),
        "bought together": find(Blend(together=1)),
        "similar": find(Blend(similar=1)),
        "bought together and similar (1 : 0.5)": find(Blend(together=1, similar=0.5)),
        SHIPPED: find(None),
        "as shipped, not signed in": find(None, signed_in=False),
    }
    if best is not None:
        places[f"{BEST}: {write_blend(best)}"] = find(best)
    if placement == PLACEMENTS[0]:
        places["as shipped, without max_per_category"] = find(shipped.blend, UNLIMITED)
        if best is not None:
            places[f"{BEST}, without max_per_category"] = find(best, UNLIMITED)
    places |= rank_simply(case, placement)
    new = np.array([basket.new for basket in baskets])
    lines = [f"### {placement}: {write_blend(shipped.blend)}", ""]
    for title, mask in (
        ("All baskets", np.ones(len(new), bool)),
        ("Never bought before", new),
        ("Bought before", ~new),
    ):
        some = [basket for basket, kept in zip(baskets, mask, strict=True) if kept]
        table = tabulate(
            {name: found[mask] for name, found in places.items()}, some, shipped.n, case.week.settings.seed
        )
        lines += [f"{title} ({len(some):,}):", "", *table, ""]
    return lines


def tune(cases: Sequence[Case], placement: str) -> tuple[Blend, list[str]]:
    """The best weights of a placement on some weeks, and a table of what was tried."""

    def find(blend: Blend) -> float:
        n = cases[0].version.placements[placement].n
        hits = [
            measure(find_places(case.version, placement, case.baskets[::EVERY], blend), n)[:, 0]
            for case in cases
        ]
        return float(np.concatenate(hits).mean())

    best, tried = choose_weights(find)
    lines = [f"| {placement}, earlier weeks | hit rate |", "|---|---:|"]
    return best, [*lines, *(f"| {write_blend(blend)} | {figure:.4f} |" for blend, figure in tried), ""]


def compare_with_published(case: Case, sample: int) -> str:
    """How many answers to carts are those of the store that the week published."""
    store = FileStore(case.week.warehouse.home / publish.FOLDER / "current" / FILE)
    published = Version("published", store, case.version.placements, State())
    some = case.baskets[:: max(1, len(case.baskets) // sample)]
    same = sum(
        ask(case.version, name, basket, None) == ask(published, name, basket, None)
        for basket in some
        for name in PLACEMENTS
    )
    return f"{same:,} of {len(some) * len(PLACEMENTS):,} answers are those of the published store."


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.complete_the_basket",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weeks", nargs="+", metavar="HOME:WEEK", help="the last one is reported")
    parser.add_argument("--published", action="store_true", help="compare with the published store instead")
    parsed = parser.parse_args(arguments)

    def say(lines: Iterable[str]) -> None:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder:
        *earlier, case = [
            open_case(text, Path(folder) / str(number), parsed.published)
            for number, text in enumerate(parsed.weeks)
        ]
        if parsed.published:
            say([compare_with_published(case, 1_000)])
            return 0
        say(
            [
                f"{case.anchor}, {case.week.shop.horizon_days} days: {len(case.baskets):,} baskets of "
                f"{len({basket.customer for basket in case.baskets}):,} customers; {case.others:,} baskets of "
                "customers without a list are left out.",
                "",
            ]
        )
        for placement in PLACEMENTS:
            best = None
            if earlier:
                best, lines = tune(earlier, placement)
                say(lines)
            say(report(case, placement, best))
    return 0


if __name__ == "__main__":
    sys.exit(main())
