"""Labels of ten queries, three ways: SQL, pandas code that shares nothing with it, and by hand.

The shop is in conftest.py. Returns: ann's ham (known at the anchor), bob's first ham (2024-03-12), bob's
second ham (2024-03-25), one of ann's two jars of jam (2024-03-10).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest

from recs_assets.queries.compiler import (
    compile_entities,
    compile_items,
    compile_labels,
    compile_seen,
    compile_spans,
)
from recs_assets.queries.parser import parse
from recs_assets.queries.validation import validate

AS_OF = date(2024, 3, 4)
ANCHOR = pd.Timestamp("2024-03-04")
EACH = "FOR EACH customers.customer_id"


class Shop:
    """The rows as pandas frames, and what each of the ten label functions needs of them."""

    def __init__(self, rows: dict[str, pd.DataFrame]) -> None:
        customers = rows["marts.customers"]
        joined = customers["joined_at"].isna() | (customers["joined_at"] < ANCHOR)
        self.customers = customers[joined & (customers["consent_state"] != "objected")].set_index(
            "customer_id"
        )
        self.lines = rows["marts.order_lines"]
        self.returns = rows["staging.stg_returns"]
        self.reviews = rows["staging.stg_reviews"]
        self.events = rows["staging.stg_browsing_events"]
        self.products = rows["marts.products"].set_index("product_id").copy()
        self.products["price"] = [
            5.0 if product == "bread" else price for product, price in self.products["price"].items()
        ]

    def bought(self, start: str, end: str, known: str | None = None) -> pd.DataFrame:
        """Lines of [start, end) that nobody had wholly returned before `known` (by default `end`)."""
        lines, known = self.lines, pd.Timestamp(known or end)
        kept = lines["fully_returned_at"].isna() | (lines["fully_returned_at"] >= known)
        lines = lines[kept & (lines["ordered_at"] >= start) & (lines["ordered_at"] < end)]
        return lines.join(self.products[["price", "category", "vertical", "brand"]], on="product_id")

    def pairs(self, rows: pd.DataFrame, column: str, customers: list[str]) -> list[tuple]:
        rows = rows[rows["customer_id"].isin(customers) & rows[column].notna()]
        return sorted(set(zip(rows["customer_id"], rows[column], strict=True)))

    def values(self, values: pd.Series, default: object) -> list[tuple]:
        everyone = values.reindex(self.customers.index, fill_value=default).astype(object)
        return [(customer, None if pd.isna(value) else value) for customer, value in sorted(everyone.items())]


def three_lines(shop: Shop) -> list[tuple]:
    before = shop.bought("2023-12-05", "2024-03-04")
    counts = before[before["customer_id"].isin(shop.customers.index)].groupby("customer_id").size()
    return shop.pairs(shop.bought("2024-03-04", "2024-03-18"), "product_id", list(counts[counts >= 3].index))


def above_ten(shop: Shop) -> list[tuple]:
    after = shop.bought("2024-03-04", "2024-04-03")
    eligible = shop.customers.index[shop.customers["email_eligible"]]
    return shop.pairs(after[after["price"] > 10], "product_id", list(eligible))


def verticals(shop: Shop) -> list[tuple]:
    eligible = shop.customers.index[shop.customers["email_eligible"]]
    return shop.pairs(shop.bought("2024-03-04", "2024-04-03"), "vertical", list(eligible))


def pairs(shop: Shop) -> list[tuple]:
    return shop.pairs(shop.bought("2024-03-04", "2024-03-18"), "product_id", list(shop.customers.index))


def spent(shop: Shop) -> list[tuple]:
    total = shop.bought("2024-03-04", "2024-06-02").groupby("customer_id")["amount"].sum()
    return shop.values(total, 0.0)


def active(shop: Shop) -> list[tuple]:
    return [(customer, bool(total > 0)) for customer, total in spent(shop)]


def orders_of_a_month(shop: Shop) -> list[tuple]:
    """Orders of at least two products, in the calendar month from 29 February 2024 on."""
    after = shop.bought("2024-03-04", "2024-04-04")
    products = after.groupby(["customer_id", "order_id"])["product_id"].nunique()
    return shop.values(products[products >= 2].groupby("customer_id").size(), 0)


def last_net_amount(shop: Shop) -> list[tuple]:
    after = shop.bought("2024-03-04", "2024-04-03").copy()
    back = shop.returns[shop.returns["returned_at"] < "2024-04-03"]
    back = back.set_index(["order_id", "line_id"])["quantity"]
    after["back"] = [
        back.get((order, line), 0) for order, line in zip(after["order_id"], after["line_id"], strict=True)
    ]
    after["net"] = after["amount"] * (after["quantity"] - after["back"]) / after["quantity"]
    last = after.sort_values(["ordered_at", "order_id", "line_id"]).groupby("customer_id").tail(1)
    return shop.values(last.set_index("customer_id")["net"], None)


def viewed(shop: Shop) -> list[tuple]:
    seen = shop.events[
        (shop.events["event_type"] == "view")
        & (shop.events["occurred_at"] >= ANCHOR)
        & (shop.events["occurred_at"] < ANCHOR + pd.Timedelta(hours=36))
    ]
    return shop.values(seen.groupby("customer_id")["product_id"].nunique(), 0)


def content(shop: Shop) -> list[tuple]:
    end = "2024-04-03"
    reviews = shop.reviews[(shop.reviews["reviewed_at"] >= ANCHOR) & (shop.reviews["reviewed_at"] < end)]
    rating = reviews.groupby("customer_id")["rating"].mean()
    lines = shop.bought("2024-03-04", end)
    dear = lines[(lines["price"] > 10) | (lines["quantity"] > 1)].groupby("customer_id").size()
    back = shop.returns.merge(shop.lines[["order_id", "customer_id"]].drop_duplicates(), on="order_id")
    back = back[(back["returned_at"] >= ANCHOR) & (back["returned_at"] < end)].groupby("customer_id").size()
    return [
        (
            customer,
            bool(
                rating.get(customer, -1) >= 3
                or (dear.get(customer, 0) >= 1 and not back.get(customer, 0) > 0)
            ),
        )
        for customer in sorted(shop.customers.index)
    ]


LABELS: list[tuple[str, Callable[[Shop], list[tuple]], list[tuple]]] = [
    (  # Only ann has three lines in the 90 days: a2 has two, a3 one (the ham went back).
        "PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP 50\nFOR EACH users.user_id\n"
        "WHERE COUNT(transactions.*, -90, 0, days) >= 3",
        three_lines,
        [("ann", "jam"), ("ann", "tea")],
    ),
    (  # bob may not be written to.
        "PREDICT LIST_DISTINCT(transactions.item_id WHERE item_id.price > 10, 0, 30, days) RANK TOP 12\n"
        "FOR EACH users.user_id WHERE users.email_eligible == 1",
        above_ten,
        [("ann", "tea"), ("cay", "tea")],
    ),
    (
        "PREDICT LIST_DISTINCT(transactions.vertical, 0, 30, days) CLASSIFY\n"
        "FOR EACH users.user_id WHERE users.email_eligible == 1",
        verticals,
        [("ann", "chilled"), ("ann", "dry"), ("cay", "dry")],
    ),
    (  # bob's second ham went back after the 14 days.
        "PREDICT BOOL(orders.product_id, 0, 14, days) FOR EACH customers.customer_id, products.product_id RANK TOP 5",
        pairs,
        [("ann", "jam"), ("ann", "tea"), ("bob", "bread"), ("bob", "ham"), ("cay", "tea")],
    ),
    (
        "PREDICT SUM(order_lines.amount, 0, 90, days) FOR EACH customers.customer_id",
        spent,
        [("ann", 31.5), ("bob", 6.0), ("cay", 12.0), ("fay", 0.0)],
    ),
    (
        "PREDICT SUM(order_lines.amount, 0, 90, days) > 0 FOR EACH customers.customer_id",
        active,
        [("ann", True), ("bob", True), ("cay", True), ("fay", False)],
    ),
    (  # bob's b2 kept one product of two.
        f"PREDICT COUNT(orders.* WHERE product_count >= 2, 0, 1, month) {EACH}",
        orders_of_a_month,
        [("ann", 1), ("bob", 0), ("cay", 0), ("fay", 0)],
    ),
    (
        f"PREDICT LAST(order_lines.net_amount, 0, 30, days) {EACH}",
        last_net_amount,
        [("ann", 1.5), ("bob", 6.0), ("cay", 12.0), ("fay", None)],
    ),
    (  # ann's tea view ends a second before 36 hours with the jam; cay's starts at their end.
        f"PREDICT COUNT_DISTINCT(browsing_events.product_id WHERE event_type = 'view', 0, 36, hours) {EACH}",
        viewed,
        [("ann", 2), ("bob", 0), ("cay", 0), ("fay", 0)],
    ),
    (  # ann: mean rating 3; bob: nothing dear kept; cay: tea and nothing returned.
        "PREDICT AVG(reviews.rating, 0, 30, days) >= 3 OR COUNT(transactions.* WHERE items.price > 10 OR quantity > 1, "
        f"0, 30, days) >= 1 AND NOT COUNT(returns.*, 0, 30, days) > 0 {EACH}",
        content,
        [("ann", True), ("bob", False), ("cay", True), ("fay", False)],
    ),
]


@pytest.mark.parametrize(("text", "by_pandas", "by_hand"), LABELS, ids=[one.__name__ for _, one, _ in LABELS])
def test_labels(text, by_pandas, by_hand, rows, ask):
    labels = ask(compile_labels(parse(text), AS_OF))
    assert labels == by_pandas(Shop(rows))
    assert labels == by_hand


@pytest.mark.parametrize(
    ("condition", "eligible"),
    [
        ("segment IS NULL", ["cay"]),
        ("segment != 'family'", ["bob"]),
        ("NOT segment = 'family'", ["bob"]),
        ("segment IN ('family', 'single')", ["ann", "bob", "fay"]),
        ("segment NOT IN ('single')", ["ann", "fay"]),
        ("segment LIKE '_a%'", ["ann", "fay"]),
        ("segment NOT LIKE '%a%'", ["bob"]),
        ("segment CONTAINS 'ngl'", ["bob"]),
        ("segment CONTAINS '%'", []),
        ("segment STARTS WITH 'fam'", ["ann", "fay"]),
        ("segment STARTS WITH '_am'", []),
        ("segment ENDS WITH 'le'", ["bob"]),
        ("segment >= 'g'", ["bob"]),
        ("joined_at < '2024-02-20 08:00:01'", ["bob", "cay"]),
        ("joined_at = '2024-02-20 08:00'", ["cay"]),
        ("joined_at > 2024-02-21", ["fay"]),
        ("email_eligible = false", ["bob"]),
        ("email_eligible != 0 AND COUNT(orders.*, -INF, 0) = 0", ["fay"]),
        ("COUNT(order_lines.*, -91, -90, days) = 1", ["ann"]),  # a1, one second before the last 90 days
        ("COUNT(order_lines.*, -2, -1, months) = 1", ["bob"]),  # 4 January to 4 February
        ("SUM(orders.amount, -INF, 0, days) = 20.5", ["ann"]),  # 1.5 + 15 + 4, without the ham
        ("AVG(order_lines.unit_price, -INF, 0, days) > 9", ["bob"]),
        ("MAX(order_lines.unit_price WHERE brand = 'Farm', -INF, 0) < 2", ["ann"]),
        ("MIN(order_lines.discount, -INF, 0) = 2", ["bob"]),
        ("FIRST(order_lines.product_id, -INF, 0) = 'milk'", ["ann"]),
        ("LAST(order_lines.product_id, -INF, 0) = 'bread'", ["ann"]),
        ("FIRST(orders.ordered_at, -INF, 0) >= 2024-02-25", ["cay"]),
        ("COUNT_DISTINCT(order_lines.product_id, -INF, 0) = 3", ["ann"]),
        ("BOOL(reviews.* WHERE rating <= 2, -INF, 0) = true", ["bob"]),
        ("COUNT(returns.*, -INF, 0) = 1", ["ann"]),
        ("COUNT(order_lines.* WHERE merchants.country = 'DE', -INF, 0) >= 1", ["ann", "bob", "cay"]),
        ("COUNT(order_lines.* WHERE items.price > 4.9 AND items.price < 5.1, -INF, 0) = 1", ["ann"]),
        ("COUNT(browsing_events.duration_seconds, -INF, 0) = 1", ["ann"]),
    ],
)
def test_who_is_eligible(condition, eligible, ask):
    query = parse(f"PREDICT COUNT(orders.*, 0, 7) {EACH} WHERE {condition}")
    assert ask(compile_entities(query, AS_OF)) == [(customer,) for customer in eligible]


@pytest.mark.parametrize(
    ("identified", "shared", "eligible"),
    [
        ("2024-03-03 23:59:59", None, ["ann"]),
        ("2024-03-04 00:00:00", None, []),
        ("2024-03-02 10:00:00", "2024-03-03 23:59:59", []),
        ("2024-03-02 10:00:00", "2024-03-04 00:00:00", ["ann"]),
    ],
)
def test_what_a_visitor_did_counts_once_they_signed_in_and_until_somebody_else_does(
    identified, shared, eligible, rows, make_database
):
    """Whether it is recommendations or pages that they looked at."""
    other = make_database(rows)
    for table in ("browsing_events", "campaign_events"):
        other.execute(
            f"insert into staging.stg_{table} by name select 'new' as event_id, 'v1' as visitor_id, 'milk' as product_id, "
            "'zoom' as event_type, timestamp '2024-03-01 10:00:00' as occurred_at"
        )
    other.execute(
        "insert into intermediate.int_visitors_identified values ('v1', 'ann', ?, ?)", [identified, shared]
    )
    for table in ("browsing_events", "campaign_events"):
        condition = f"COUNT({table}.* WHERE event_type = 'zoom', -INF, 0) = 1"
        query = parse(f"PREDICT COUNT(orders.*, 0, 7) {EACH} WHERE {condition}")
        found = other.execute(*compile_entities(query, AS_OF)).fetchall()
        assert found == [(customer,) for customer in eligible], table


@pytest.mark.parametrize(
    ("target", "items"),
    [
        ("order_lines.product_id", ["bread", "ham", "jam", "milk", "tea"]),
        ("order_lines.product_id WHERE item_id.price > 10", ["ham", "tea"]),
        # The price at the anchor, 5, not the 6 of a later sale.
        ("order_lines.product_id WHERE product_id.price >= 5 AND product_id.price < 10", ["bread", "jam"]),
        # What the filter says of the line or the customer rules out no product.
        ("order_lines.product_id WHERE quantity > 1 AND vertical = 'dry'", ["jam", "tea"]),
        (
            "order_lines.product_id WHERE quantity > 1 OR vertical = 'dry'",
            ["bread", "ham", "jam", "milk", "tea"],
        ),
        ("order_lines.product_id WHERE brand = 'Farm' OR vertical = 'dry'", ["ham", "jam", "milk", "tea"]),
        ("order_lines.product_id WHERE NOT (brand = 'Farm')", ["bread", "tea"]),
        (
            "order_lines.product_id WHERE NOT (brand = 'Farm' AND quantity > 1)",
            ["bread", "ham", "jam", "milk", "tea"],
        ),
        (
            "order_lines.product_id WHERE product_id IN ('tea', 'jam') AND merchants.country = 'DE'",
            ["jam", "tea"],
        ),
        ("order_lines.category", ["bakery", "dairy", "meat", "pantry"]),
        ("order_lines.brand WHERE item_id.price < 10", ["Farm", "Mill"]),
    ],
)
def test_items_are_those_the_target_admits(target, items, ask):
    query = parse(f"PREDICT LIST_DISTINCT({target}, 0, 7) RANK TOP 3 {EACH}")
    assert ask(compile_items(query, AS_OF)) == [(item,) for item in sorted(items)]


@pytest.mark.parametrize(
    ("function", "labels"),
    [
        # Tea and jam in one basket: the first line. Ham that came back within the window was not bought.
        ("FIRST", [("ann", "pantry"), ("bob", "bakery"), ("cay", "pantry")]),
        ("LAST", [("ann", "dairy"), ("bob", "bakery"), ("cay", "pantry")]),
    ],
)
def test_the_first_and_the_last_category_are_one_label_at_most(function, labels, ask):
    query = parse(f"PREDICT {function}(order_lines.category, 0, 30, days) {EACH}")
    assert ask(compile_labels(query, AS_OF)) == labels


QUERIES = [text for text, _, _ in LABELS] + [
    f"PREDICT LIST_DISTINCT(order_lines.product_id WHERE item_id.price > 4, 0, 7) RANK TOP 3 {EACH} WHERE {condition}"
    for condition in (
        "SUM(order_lines.net_amount, -INF, 0) > 3 OR MAX(order_lines.unit_price WHERE item_id.price > 4, -INF, 0) > 1",
        "AVG(orders.amount, -90, 0) > 1 OR LAST(orders.line_count, -INF, 0) = 2 OR COUNT(returns.*, -INF, 0) = 0",
        "COUNT(reviews.*, -INF, 0) > 0 OR COUNT(browsing_events.*, -INF, 0) > 0",
    )
]


@pytest.mark.parametrize("change", ["deleted", "scrambled"])
def test_nothing_of_the_future_reaches_who_is_eligible_and_which_items(change, rows, ask, make_database):
    changed = {}
    for model, frame in rows.items():
        frame = frame.copy()
        times = [one for one in ("ordered_at", "returned_at", "reviewed_at", "occurred_at") if one in frame]
        later = (frame[times[0]] >= ANCHOR) if times else pd.Series(False, index=frame.index)
        if change == "deleted":
            frame = frame[~later].copy()
        else:
            numbers = [one for one in ("amount", "quantity", "unit_price", "rating") if one in frame]
            frame.loc[later, numbers] = 77.0
            frame.loc[later, "customer_id"] = "fay"
        if "fully_returned_at" in frame:
            frame.loc[frame["fully_returned_at"] >= ANCHOR, "fully_returned_at"] = pd.NaT
        if model == "marts.products":
            frame["price"] = 99.0  # the mart's price is of its week; queries must not read it
        changed[model] = frame
    other = make_database(changed)
    for text in QUERIES:
        query = parse(text)
        statements = [compile_entities(query, AS_OF)]
        if query.mode is not None:
            statements.append(compile_items(query, AS_OF))
        for statement in statements:
            assert other.execute(*statement).fetchall() == ask(statement), text


def test_labels_do_not_see_what_comes_after_their_window(rows, ask, make_database):
    query = parse(f"PREDICT SUM(order_lines.net_amount, 0, 14, days) {EACH}")
    statement = compile_labels(query, AS_OF)
    assert ask(statement) == [("ann", 21.0), ("bob", 17.0), ("cay", 12.0), ("fay", 0.0)]
    end = pd.Timestamp("2024-03-18")
    changed = {}
    for model, frame in rows.items():
        times = [one for one in ("ordered_at", "returned_at", "reviewed_at", "occurred_at") if one in frame]
        changed[model] = frame[frame[times[0]] < end].copy() if times else frame.copy()
    lines = changed["marts.order_lines"]
    lines.loc[lines["fully_returned_at"] >= end, "fully_returned_at"] = pd.NaT
    assert make_database(changed).execute(*statement).fetchall() == ask(statement)


def test_demand_per_product_by_hand(ask):
    """Of 14 days: jam 2 units, one of them sent back; ham of b2 is sent back in it, that of b3 later."""
    text = "PREDICT SUM(order_lines.net_quantity, 0, 14) FOR EACH products.product_id"
    assert ask(compile_labels(parse(text), AS_OF)) == [
        ("bread", 1.0), ("ham", 1.0), ("jam", 1.0), ("milk", 1.0), ("tea", 3.0),
    ]  # fmt: skip


def test_only_those_asked_about_are_answered_for(ask):
    text = "PREDICT COUNT(orders.*, 0, 7) FOR users.user_id IN ('ann', 'eve', 'nobody')"
    assert ask(compile_entities(parse(text), AS_OF)) == [("ann",)]


def test_the_target_over_windows_before_by_hand(ask):
    """ann: bread 4.0 in the last 28 days; in the last 90 also milk 3.0 and tea 12.0."""
    text = "PREDICT SUM(order_lines.amount, 0, 28) > 5 FOR EACH users.user_id"
    rows = ask(compile_spans(parse(text), AS_OF, (28, 90)))
    assert sorted(rows)[0] == ("ann", 4.0, 19.0)


def test_what_an_aggregation_can_be_over_by_hand(ask):
    query = validate(parse("PREDICT AVG(reviews.rating, 0, 28) FOR EACH users.user_id"))
    assert ask(compile_seen(query, query.target, AS_OF)) == [(2, 2, 1.0, 5.0)]
