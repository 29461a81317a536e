"""Tables that are none of the canonical ones are declared, where it can be told how."""

from __future__ import annotations

import duckdb
import pytest

from recs_assets.discovery.shop import make_shop
from recs_assets.sources import land, load_source


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [
        f"{100 + n // 2},2024-01-{1 + n % 28:02d} 10:00:00,k{n // 2 % 6},p{n % 5},Product {n % 5},{1 + n % 3},{2.5 + n % 5}"
        for n in range(60)
    ]
    head = "order_id,order_date,customer_id,product_id,product_name,quantity,unit_price"
    (folder / "sales.csv").write_text("\n".join([head, *rows, ""]), "utf-8")
    return folder


def _write(path, head, rows):
    path.write_text("\n".join([head, *rows, ""]), "utf-8")


def test_tickets_become_a_declared_table(tmp_path, data):
    _write(
        data / "support_tickets.csv",
        "Ticket No;Customer;Opened at;Resolved at;Topic;From;Severity;Customer Email;What they wrote",
        [
            f"T{n};k{n % 6};2024-01-{1 + n:02d} 09:00:00;{'' if n % 2 else f'2024-02-{1 + n:02d} 09:00:00'};{'size' if n % 2 else 'delivery'};"
            f"web;{n % 3};k{n % 6}@example.com;Where is it, my parcel of the {n}th?"
            for n in range(20)
        ],
    )
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    assert "support_tickets.csv: a table of the shop's own, tables/support_tickets.yaml." in report.taken
    source = load_source(report.folder)
    assert source.words.ignored_files == ()
    table = source.tables["support_tickets"]
    assert (table.key, table.time, table.references) == (
        "ticket_no",
        "opened_at",
        {"customer_id": "customers"},
    )
    assert table.columns == {
        "customer_id": "text", "ticket_no": "text", "opened_at": "time", "resolved_at": "time", "topic": "text", "x_from": "text",
        "severity": "number",
    }  # fmt: skip
    assert table.known_from == {"resolved_at": "resolved_at"}
    yaml = (report.folder / "tables" / "support_tickets.yaml").read_text("utf-8")
    assert "  # customer_email: text\n" in yaml
    assert any("when a row became known" in sentence for sentence in report.unsure)
    with duckdb.connect() as con:
        assert land(con, source, "support_tickets", data).rows == 20
        assert con.execute(
            "select ticket_no, customer_id, opened_at::timestamp::varchar, topic, severity from raw.support_tickets order by 1 limit 1"
        ).fetchall() == [("T0", "k0", "2024-01-01 09:00:00", "delivery", 0.0)]


def test_what_products_are_made_of_may_never_change(tmp_path, data):
    _write(
        data / "attributes.csv",
        "sku,colour,weight_g",
        [f"p{n},{'red' if n % 2 else 'blue'},{n}" for n in range(5)],
    )
    report = make_shop(data, tmp_path / "shops")
    table = load_source(report.folder).tables["attributes"]
    assert (table.key, table.static, table.references) == ("product_id", True, {"product_id": "products"})
    assert any("does a row of attributes.csv never change?" in sentence for sentence in report.unsure)


@pytest.mark.parametrize(
    ("head", "rows", "reason"),
    [
        ("visit,customer_id,shop", [f"{n},k{n % 6},Ulm" for n in range(9)], "no column says of every row since when it is known"),
        ("visit,customer_id,at", [f"{n},z{n % 6},2024-01-02" for n in range(9)], "100% of the values of 'customer_id' are not among the customers"),
        ("visit,town,at", [f"{n},Ulm,2024-01-02" for n in range(9)], "none of its columns refers to customers, products or orders"),
        ("customer_id,at", ["k1,2024-01-02"] * 9, "no column tells its rows apart"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_stays_in_ignored_files(tmp_path, data, head, rows, reason):
    _write(data / "branch.csv", head, rows)
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    source = load_source(report.folder)
    assert (source.words.ignored_files, source.tables) == (("branch.csv",), {})
    assert (
        f"branch.csv is not read: it is none of the tables that are needed, and no table of its own (docs/your_tables.md): {reason}."
        in report.unsure
    )
