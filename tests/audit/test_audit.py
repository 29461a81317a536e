"""What an audit finds in small made-up shops: every figure can be counted by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from helpers.audit import WEEK, Line, insert, make_shop
from recs_assets.audit import audit_build
from recs_assets.audit.categories import find_alike, find_spellings, judge_categories
from recs_assets.audit.customers import describe_segments, judge_customers, load_segments
from recs_assets.audit.findings import Finding, list_important, tabulate_findings, write_lines
from recs_assets.audit.inventory import judge_history, list_tables
from recs_assets.audit.money import judge_money
from recs_assets.audit.products import judge_products
from recs_assets.audit.readiness import Amount, count_amount, judge_approaches, judge_readiness
from recs_assets.audit.rows import find_personal_data, judge_rows
from recs_assets.audit.signals import judge_signals
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import Source

SHOP = Source("canonical", "", None, "UTC", 28, None, ())


def by_measure(findings: list[Finding], subject: str = "shop") -> dict[str, Finding]:
    return {finding.measure: finding for finding in findings if finding.subject == subject}


def order(customer: str | None, day: str, *products: str, amount: float = 10.0) -> list[Line]:
    """An order of these products; its id follows from who and when."""
    return [(f"{customer}-{day}", customer, day, product, amount) for product in products]


def days_ago(days: int) -> str:
    return (WEEK - timedelta(days=days)).isoformat()


# -- is it enough -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "level", "verdict"),
    [
        (Amount(999, 5000, 5000), 0, "stop"),
        (Amount(50_000, 99, 5000), 0, "stop"),
        (Amount(50_000, 5000, 49), 0, "stop"),
        (Amount(1_000, 100, 50), 1, "look"),
        (Amount(9_999, 1_000, 50), 1, "look"),
        (Amount(10_000, 999, 50), 1, "look"),
        (Amount(10_000, 1_000, 50), 2, "good"),
    ],
)
def test_the_edges_of_readiness(amount: Amount, level: int, verdict: str) -> None:
    found = by_measure(judge_readiness(amount))
    assert (found["verdict"].value, found["verdict"].verdict) == (level, verdict)


def test_no_says_what_is_missing() -> None:
    found = by_measure(judge_readiness(Amount(999, 100, 49)))
    assert found["verdict"].sentence == (
        "No: 999 purchases of 100 customers and 49 products are too few to recommend from. It takes at least 1,000 purchases (one "
        "product in one order of a known customer) and 50 products that were bought; until then show what sells most."
    )
    assert [found[name].verdict for name in ("interactions", "customers", "products")] == [
        "stop",
        "look",
        "stop",
    ]


def test_what_counts_is_a_product_in_an_order_of_somebody_before_the_week() -> None:
    shop = make_shop(
        [
            *order("ann", days_ago(9), "tea", "mug"),
            *order("ann", days_ago(2), "tea"),
            *order(None, days_ago(5), "pot"),  # a guest: the product counts
            *order("reseller", days_ago(5), "tea"),
            *order("bob", days_ago(0), "tea"),  # of the week itself
        ],
        left_out=["reseller"],
    )
    assert count_amount(shop, WEEK) == Amount(interactions=3, customers=1, products=3)
    assert count_amount(shop, WEEK + timedelta(days=1)) == Amount(interactions=4, customers=2, products=3)


def test_which_approach_fits_follows_from_the_data() -> None:
    lines = [
        line
        for customer in "abcdef"
        for day in (200, 100, 10)
        for line in order(customer, days_ago(day), "tea", "mug")
    ]
    lines += order("a", days_ago(20), "new pot")
    found = {
        finding.subject: finding
        for finding in judge_approaches(make_shop(lines, {"tea": "Tea"}), WEEK, Amount(37, 6, 3))
    }
    assert (found["neighbours"].value, found["neighbours"].verdict) == (6, "good")
    assert found["buying again"].value == pytest.approx(24 / 37)
    # In the last 91 days six customers bought two products, and one of them the new one.
    assert found["content"].value == pytest.approx(1 / 13)
    assert found["content"].verdict == "look"  # one product of three has something to read
    assert found["learned ranker"].sentence.startswith(
        "With 37 purchases of 6 customers a learned ranker will seldom"
    )


# -- files, history, rows -----------------------------------------------------------------------


def test_a_gap_of_nine_days_is_named() -> None:
    days = [WEEK - timedelta(days=number) for number in range(1, 301)]
    lost = {date(2024, 5, 6) + timedelta(days=number) for number in range(9)}
    rows = [
        {"order_id": f"{day}-{number}", "customer_id": "ann", "ordered_at": str(day)}
        for day in days
        if day not in lost
        for number in range(3)
    ]
    shop = make_shop(raw={"orders": rows})
    found = by_measure(judge_history(shop, WEEK, date(2024, 3, 1), RAW_TABLES), "orders")
    assert (found["missing_days"].value, found["missing_days"].verdict) == (9, "look")
    assert found["missing_days"].sentence == (
        "orders: 9 days without rows where the rhythm has some (2024-05-06 to 2024-05-14; about 3 % of all rows): tracking was "
        "lost, an export is cut, or the shop was closed."
    )
    assert (found["history"].value, found["history"].verdict) == (300, "good")


def test_rows_of_the_week_itself_are_not_known() -> None:
    rows = [
        {"order_id": "a", "customer_id": "ann", "ordered_at": "2024-06-10"},
        {"order_id": "b", "customer_id": "ann", "ordered_at": "2024-06-20 23:59:59"},
        {"order_id": "c", "customer_id": "ann", "ordered_at": "2024-07-01"},
        {"order_id": "d", "customer_id": "ann", "ordered_at": "1970-01-01"},
    ]
    items = [{"order_id": name, "line_id": "1", "product_id": "tea"} for name in "abcx"]
    shop = make_shop(raw={"orders": rows, "order_items": items})
    findings = list_tables(shop, WEEK, RAW_TABLES, {"orders": "orders.csv, 1.0 kB"})
    found = by_measure(findings, "orders")
    assert found["rows"].sentence == "orders: 3 rows from 2024-06-10 to 2024-06-20 (orders.csv, 1.0 kB)."
    assert (found["freshness"].value, found["freshness"].verdict) == (11, "look")
    # Without the line of the order that is not known yet; the one without an order is an orphan.
    assert by_measure(findings, "order_items")["rows"].value == 3
    assert by_measure(findings)["empty_tables"].value == len(RAW_TABLES) - 2


def test_quarantine_and_rows_that_stand_twice() -> None:
    shop = make_shop(
        [
            *order("ann", "2024-06-01", "tea", "tea", "mug"),
            *order("bob", "2024-06-02", "tea"),
            ("again", "bob", "2024-06-02", "tea", 10.0),
            ("other", "bob", "2024-06-02", "mug", 10.0),
        ],
        rejected=[
            ("orders", "any", 100, 2),
            ("orders", "orphan_customer", 100, 2),
            ("products", "any", 400, 1),
            ("products", "negative_amount", 400, 1),
        ],
    )
    findings = judge_rows(shop, WEEK)
    assert by_measure(findings)["quarantine"].value == pytest.approx(3 / 500)
    assert by_measure(findings, "orders")["orphan_customer"] == Finding(
        "rows", "orders", "orphan_customer", 0.02, "share", "look",
        "orders: 2 rows set aside as orphan_customer, 2 % of the table.",
    )  # fmt: skip
    assert by_measure(findings, "products")["negative_amount"].verdict == "good"
    assert by_measure(findings, "order_items")["repeated_lines"].value == 1
    assert by_measure(findings, "orders")["repeated_orders"].sentence == (
        "1 order (25 %) says the same as another order of the same customer (moment, products, amounts) and may be there twice."
    )


def test_personal_data_is_counted_and_not_shown() -> None:
    shop = make_shop(
        raw={
            "products": [
                {"product_id": "a", "name": "Mug", "description": "Ask ann.smith@example.com"},
                {"product_id": "b", "name": "Article 4006381333931", "description": "5 @ 2.00"},
                {"product_id": "c", "name": "Pot", "description": "Call +49 30 901820 now"},
            ],
            "reviews": [
                {"review_id": "1", "body": "mail bob@example.org", "reviewed_at": "2024-06-01"},
                {"review_id": "2", "body": "mail bob@example.org", "reviewed_at": "2024-08-01"},
            ],
        }
    )
    findings = find_personal_data(shop, WEEK)
    assert {(finding.subject, finding.measure): finding.value for finding in findings} == {
        ("products", "addresses"): 1,
        ("products", "phone_numbers"): 1,
        ("reviews", "addresses"): 1,
    }
    assert not any("example." in finding.sentence or "901820" in finding.sentence for finding in findings)


# -- customers ----------------------------------------------------------------------------------


def new_and_old(new: int, old: int) -> list[Line]:
    lines = [
        line
        for number in range(old)
        for day in (300, 30)
        for line in order(f"old{number}", days_ago(day), "tea")
    ]
    return lines + [line for number in range(new) for line in order(f"new{number}", days_ago(91), "tea")]


@pytest.mark.parametrize(("new", "old", "verdict"), [(41, 59, "look"), (40, 60, "look"), (39, 61, "good")])
def test_many_new_customers_are_a_warning(new: int, old: int, verdict: str) -> None:
    found = by_measure(judge_customers(make_shop(new_and_old(new, old)), WEEK))
    assert found["new_customers"].value == pytest.approx(new / 100)
    assert found["new_customers"].verdict == verdict
    start = f"{new} of 100 customers who ordered in the last 91 days ({new} %) did so for the first time"
    assert found["new_customers"].sentence.startswith(start)


def test_how_often_and_for_how_much() -> None:
    shop = make_shop(
        [
            *order("ann", "2024-05-01", "tea", amount=10),
            *order("ann", "2024-05-11", "tea", amount=20),
            *order("ann", "2024-06-10", "mug", amount=30),
            *order("bob", "2024-06-01", "tea", amount=20),
            *order(None, "2024-06-01", "tea", amount=500),
            *order("reseller", "2024-06-01", "tea", amount=900),
        ],
        left_out=["reseller"],
    )
    found = by_measure(judge_customers(shop, WEEK))
    assert found["customers"].value == 3
    assert found["repeat_customers"].value == 0.5
    assert found["orders_per_year"].value == 2
    assert found["median_gap"].value == 20  # 10 and 30 days
    assert (found["value_mean"].value, found["value_median"].value) == (40, 40)
    assert found["value_top_decile"].value == 0.75  # one of two: 60 of 80
    segments = load_segments(shop, WEEK)
    assert dict(zip(segments["customer_id"], segments["segment"], strict=True)) == {
        "ann": "loyal",  # scores 4, and bob 2: the middle of each half
        "bob": "hibernating",
        "reseller": "not_segmented",
    }
    sizes = {finding.subject: finding.value for finding in describe_segments(segments)}
    assert sum(sizes.values()) == pytest.approx(1)


# -- products and categories ----------------------------------------------------------------------


def test_a_category_in_two_spellings() -> None:
    shop = make_shop(
        order("ann", "2024-06-01", "a", "b", amount=30),
        {"a": "Herbal Tea", "b": "herbal-tea", "c": "Herbal Teas", "d": "Coffee", "e": None},
        raw={
            "products": [
                {"product_id": "a", "category": "Herbal Tea"},
                {"product_id": "a", "category": "Coffee"},
                {"product_id": "b", "category": "Coffee"},
            ]
        },
    )
    found = by_measure(judge_categories(shop))
    assert (found["missing"].value, found["missing"].verdict) == (pytest.approx(0.2), "look")
    assert (found["spellings"].value, found["spellings"].verdict) == (1, "look")
    assert found["spellings"].sentence == (
        "1 category is written in several ways (case, accents, blanks or marks): Herbal Tea (1) / herbal-tea (1). Give each one "
        "name, or their products do not find each other."
    )
    assert (found["near_duplicates"].value, found["near_duplicates"].verdict) == (1, "look")
    assert (found["several_of_a_product"].value, found["several_of_a_product"].verdict) == (1, "look")
    assert by_measure(judge_categories(shop), "Herbal Tea")["revenue_share"].value == 0.5


def test_names_that_are_alike() -> None:
    assert find_spellings(["Café", "cafe", "Tea & Mugs", "tea and mugs", "Pots"]) == [
        ("Café", "cafe"),
        ("Tea & Mugs", "tea and mugs"),
    ]
    names = ["Chocolate", "Chocolates", "Chocolat", "Size 10 shoes", "Size 11 shoes", "Tea", "Teas"]
    assert find_alike(names) == [
        ("Chocolat", "Chocolate"),
        ("Chocolate", "Chocolates"),
    ]
    # Many names are compared only with those that begin alike; a misspelling is found there, too.
    many = [
        f"{one}{other}{third}egory" for one in "abcdefghij" for other in "klmnopqrst" for third in "uvwxyz123"
    ]
    assert len(many) == 900
    assert ("Household goods", "Household good")[::-1] in find_alike(
        [*many, "Household goods", "Household good"]
    )


def test_the_head_and_the_tail() -> None:
    shop = make_shop(
        [
            *order("ann", "2024-06-01", "tea", amount=70),
            *order("ann", "2024-06-02", "tea", amount=10),
            *order("ann", "2024-06-03", "mug", amount=10),
            *order("bob", "2024-06-03", "tea", amount=10),
        ],
        {"never 1": None, "never 2": None},
    )
    found = by_measure(judge_products(shop, WEEK))
    assert found["sparsity"].value == 0.25  # three of the four cells are filled
    assert found["top_20_revenue"].value == 1
    assert "1 product (25 % of the catalogue) make 80 % of it" in found["top_20_revenue"].sentence
    assert found["gini"].value == pytest.approx(0.4)  # 90 and 10
    assert (found["never_sold"].value, found["sold_once"].value) == (0.5, 0.25)


# -- money and signals ----------------------------------------------------------------------------


def test_guests_and_other_currencies() -> None:
    shop = make_shop(
        [
            *order("ann", "2024-06-01", "tea"),
            *order("bob", "2024-06-01", "tea"),
            *order(None, "2024-06-02", "mug"),
        ]
    )
    found = by_measure(judge_money(shop, SHOP))
    assert (found["guest_orders"].value, found["guest_orders"].verdict) == (pytest.approx(1 / 3), "look")
    assert found["lines_without_money"].sentence.startswith("Prices are in EUR")
    assert "currencies" not in found
    shop.execute("update marts.order_lines set currency = 'GBP', amount = null where customer_id is null")
    found = by_measure(judge_money(shop, SHOP))
    assert found["lines_without_money"].value == pytest.approx(1 / 3)
    assert found["lines_without_money"].verdict == "look"
    assert found["currencies"].sentence == "Order lines by currency: EUR 67 %, GBP 33 %."


def test_a_shop_without_an_order_stops() -> None:
    findings, segments = audit_build(make_shop(), WEEK, date(2024, 4, 1), SHOP)
    assert [finding.sentence for finding in findings if finding.section == "money"] == [
        "No order counts as a purchase."
    ]
    assert findings[0].verdict == "stop"
    assert len(segments) == 0


def test_missing_signals_say_what_they_would_add() -> None:
    shop = make_shop(
        raw={
            "inventory": [{"product_id": "tea", "counted_at": "2024-06-01", "stock": 4}],
            "reviews": [{"review_id": "1", "reviewed_at": "2024-08-01"}],
            "products": [
                {"product_id": "tea", "cost": 1.0, "category": "Tea"},
                {"product_id": "mug", "category": " "},
            ],
        }
    )
    found = {finding.subject: finding for finding in judge_signals(shop, WEEK)}
    assert (found["stock"].value, found["stock"].sentence) == (1, "Stock: 1 row.")
    assert found["costs"].value == found["categories"].value == 0.5
    assert found["reviews"].sentence.startswith("Missing: reviews. With reviews, what people dislike")
    assert found["consents"].verdict == "look"
    assert found["descriptions"].value == 0


# -- all of it ------------------------------------------------------------------------------------


def test_the_verdict_comes_first_and_stops_before_looks() -> None:
    def finding(section: str, measure: str, verdict: str) -> Finding:
        return Finding(section, "shop", measure, 1.0, "rows", verdict, f"{section} {measure}.")

    findings = [
        finding("signals", "a", "look"),
        finding("money", "b", "stop"),
        finding("history", "c", "look"),
        finding("history", "d", "good"),
        finding("readiness", "verdict", "good"),
        finding("readiness", "customers", "look"),
    ]
    important, more = list_important(findings, 3)
    assert [found.measure for found in important] == ["verdict", "b", "c"]
    assert more == 1
    assert write_lines(findings, 3) == [
        "readiness verdict.",
        "stop  money b.",
        "look  history c.",
        "1 more to look at: recs.data_audit.",
    ]
    aside = Finding("rows", "shop", "quarantine", 0.001, "share", "good", "1 of 1,000 rows is set aside.")
    assert write_lines([*findings, aside], 3)[-1] == "1 of 1,000 rows is set aside."
    table = tabulate_findings(WEEK, findings)
    assert list(table["measure"]) == ["verdict", "customers", "c", "d", "b", "a"]
    assert list(table["place"]) == [1, 2, 3, 4, 5, 6]


def test_every_finding_is_there_once_and_has_a_sentence() -> None:
    shop = make_shop(new_and_old(5, 5), {"tea": "Tea"})
    insert(shop, "intermediate.int_order_states", {"status": "odd", "counts_as": "unknown", "order_count": 3})
    findings, segments = audit_build(shop, WEEK, date(2024, 4, 1), SHOP)
    keys = [(finding.section, finding.subject, finding.measure) for finding in findings]
    assert len(keys) == len(set(keys))
    assert all(finding.sentence.endswith(".") and "  " not in finding.sentence for finding in findings)
    assert len(segments) == 10
    again, _ = audit_build(shop, WEEK, date(2024, 4, 1), SHOP)
    assert again == findings
