"""Nobody who said no in any file is taken for a yes."""

from __future__ import annotations

import re

import duckdb
import pytest

from recs_assets.discovery.shop import make_shop
from recs_assets.sources import land, load_source

_LINES = [
    (100 + n // 2, f"2024-01-{1 + n % 28:02d} 10:00:00", f"k{n // 2 % 6}", f"p{n % 5}", 1 + n % 3)
    for n in range(60)
]


def _write_lines(folder, head: str = "", said=lambda customer: ""):
    folder.mkdir(exist_ok=True)
    rows = [
        f"{order},{day},{customer},{product},Product {product},{units},{2.5 * (1 + int(product[1:])):.2f}{said(customer)}"
        for order, day, customer, product, units in _LINES
    ]
    head = f"order_id,order_date,customer_id,product_id,product_name,quantity,unit_price{head}"
    (folder / "sales.csv").write_text("\n".join([head, *rows, ""]), "utf-8")


def _list_willing(folder, shops):
    report = make_shop(folder, shops)
    assert report.problem is None
    with duckdb.connect() as con:
        land(con, load_source(report.folder), "customers", folder)
        rows = con.execute(
            "select customer_id, bool_and(email_eligible) from raw.customers group by 1"
        ).fetchall()
    return sorted(customer for customer, willing in rows if willing), report.unsure


@pytest.mark.parametrize(
    ("head", "said", "willing"),
    [
        ("unsubscribed", ["true", "false", "false", "", "true", "false"], ["k1", "k2", "k3", "k5"]),
        ("marketing_opt_out", ["Y", "N", "N", "N", "Y", "N"], ["k1", "k2", "k3", "k5"]),
        ("do_not_email", ["1", "0", "0", "0", "1", "0"], ["k1", "k2", "k3", "k5"]),
        ("Newsletter abgemeldet", ["ja", "nein", "nein", "nein", "ja", ""], ["k1", "k2", "k3", "k5"]),
        ("unsubscribed_at", ["2024-01-03", "", "", "", "2024-02-01", ""], ["k1", "k2", "k3", "k5"]),
        ("unsubscribe_reason", ["too many", "", "", "", "x", ""], ["k1", "k2", "k3", "k5"]),
        ("newsletter", ["unsubscribed", "subscribed", "pending", "cleaned", "", "subscribed"], ["k1", "k5"]),
        ("newsletter_subscribed_at", ["", "2024-01-03", "", "", "", "2024-02-01"], ["k1", "k5"]),
        ("email_status", ["bounced", "active", "inactive", "bounced", "unsubscribed", "active"], ["k1", "k5"]),
        ("newsletter,unsubscribed", ["yes,yes", "yes,no", "no,no", "no,yes", ",", "yes,"], ["k1", "k5"]),
        ("sms_consent,email_consent", ["yes,no", "no,yes", "yes,no", "yes,", "yes,no", "no,yes"], ["k1", "k5"]),
    ],
)  # fmt: skip
def test_customers_say_who_may_be_written_to(tmp_path, head, said, willing):
    _write_lines(tmp_path / "shop")
    rows = [f"k{number},k{number}@example.com,{text}" for number, text in enumerate(said)]
    text = "\n".join([f"customer_id,email,{head}", *rows, ""])
    (tmp_path / "shop" / "customers.csv").write_text(text, "utf-8")
    assert _list_willing(tmp_path / "shop", tmp_path / "shops")[0] == willing


def test_one_no_among_a_customers_lines_is_a_no(tmp_path):
    answers = iter(["yes", "no"] + ["yes"] * 58)
    _write_lines(tmp_path / "shop", ",newsletter_opt_in", lambda customer: f",{next(answers)}")
    assert _list_willing(tmp_path / "shop", tmp_path / "shops")[0] == ["k1", "k2", "k3", "k4", "k5"]


def test_a_withdrawal_in_the_lines_counts_more_than_a_yes_in_the_customers(tmp_path):
    _write_lines(tmp_path / "shop", ",opted_out", lambda customer: ",true" if customer == "k2" else ",false")
    rows = [f"k{number},k{number}@example.com,yes" for number in range(5)]
    text = "\n".join(["customer_id,email,newsletter", *rows, ""])
    (tmp_path / "shop" / "customers.csv").write_text(text, "utf-8")
    # Of k5 the file of consents knows nothing.
    assert _list_willing(tmp_path / "shop", tmp_path / "shops")[0] == ["k0", "k1", "k3", "k4"]


def test_nobody_may_be_written_to_while_a_file_about_it_is_not_understood(tmp_path):
    _write_lines(tmp_path / "shop")
    (tmp_path / "shop" / "unsubscribes.csv").write_text("email\nk1@example.com\n", "utf-8")
    willing, unsure = _list_willing(tmp_path / "shop", tmp_path / "shops")
    assert willing == []
    assert (
        "who may be written to? unsubscribes.csv says something of it and was not understood, so nobody may until you write it "
        "into email_eligible."
    ) in unsure


@pytest.mark.parametrize(
    ("head", "said", "customers"),
    [
        ("", "", None),  # one flat file
        (",email", ",someone@example.com", None),  # with addresses in it
        ("", "", "customer_id,email\nk1,k1@example.com\n"),  # a file of customers
    ],
)
def test_nobody_has_agreed_by_silence(tmp_path, head, said, customers):
    _write_lines(tmp_path / "shop", head, lambda customer: said)
    if customers is not None:
        (tmp_path / "shop" / "customers.csv").write_text(customers, "utf-8")
    report = make_shop(tmp_path / "shop", tmp_path / "shops")
    assert (
        "may everybody be written to? Nothing in the files says who agreed, so nobody may and emails are empty; the line to change "
        "if everybody agreed stands at email_eligible in customers.sql."
    ) in report.unsure
    [sentence] = [sentence for sentence in report.figures if sentence.startswith("Nobody")]
    named = re.fullmatch(
        r"Nobody may be written to, so emails will be empty; pages have their lists all the same\. If everybody agreed, write true in "
        r"place of false in line (\d+) of customers\.sql\.",
        sentence,
    )
    # Whoever does as the sentence says has a shop in which everybody may be written to.
    sql = tmp_path / "shops" / "shop" / "customers.sql"
    lines = sql.read_text("utf-8").splitlines(keepends=True)
    line = int(named.group(1)) - 1
    assert lines[line].startswith("    false as email_eligible")
    lines[line] = lines[line].replace("false", "true")
    with duckdb.connect() as con:
        land(con, load_source(report.folder), "customers", tmp_path / "shop")
        willing = "select count(*) filter (email_eligible), count(*) from raw.customers"
        assert con.execute(willing).fetchall() == [(0, 6)]
        sql.write_text("".join(lines), "utf-8")
        land(con, load_source(report.folder), "customers", tmp_path / "shop")
        assert con.execute(willing).fetchall() == [(6, 6)]


def test_orders_that_say_no_of_some_say_nothing_of_whoever_never_ordered(tmp_path):
    _write_lines(tmp_path / "shop", ",opted_out", lambda customer: ",true" if customer == "k2" else ",false")
    (tmp_path / "shop" / "customers.csv").write_text(
        "customer_id,email\nk1,k1@example.com\nk9,k9@example.com\n", "utf-8"
    )
    assert _list_willing(tmp_path / "shop", tmp_path / "shops")[0] == ["k0", "k1", "k3", "k4", "k5"]


@pytest.mark.parametrize(
    ("answers", "willing"),
    [
        ("k1,subscribed,2024-01-03\nk2,subscribed,2024-01-03\nk2,unsubscribed,2024-01-04\nk3,unsubscribed,2024-01-04\n", ["k1"]),
        ("k2,unsubscribed,2024-01-04\nk3,unsubscribed,2024-01-04\n", []),
    ],
)  # fmt: skip
def test_a_file_of_consents_says_who_may_be_written_to(tmp_path, answers, willing):
    _write_lines(tmp_path / "shop")
    (tmp_path / "shop" / "consents.csv").write_text(f"customer_id,state,effective_at\n{answers}", "utf-8")
    assert _list_willing(tmp_path / "shop", tmp_path / "shops")[0] == willing
