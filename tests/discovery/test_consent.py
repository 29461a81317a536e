"""Nobody who said no in any file is taken for a yes."""

from __future__ import annotations

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
