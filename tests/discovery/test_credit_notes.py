"""Credit notes with positive units and negative money take back what was bought."""

from __future__ import annotations

import duckdb
import pytest

from recs_assets.discovery.shop import make_shop
from recs_assets.sources import land, load_source


@pytest.mark.parametrize(
    ("header", "write"),
    [
        ("unit_price,line_total", lambda units, price, sign: f"{price:.2f},{sign * units * price:.2f}"),
        ("line_total", lambda units, price, sign: f"{sign * units * price:.2f}"),
        ("unit_price", lambda units, price, sign: f"{sign * price:.2f}"),
    ],
)
def test_positive_units_with_negative_money_are_negative_units(tmp_path, header, write):
    data = tmp_path / "shop"
    data.mkdir()
    rows = [
        f"{'G' if number >= 56 else 'R'}{100 + number},2024-01-{1 + number % 28:02d},k{number % 6},p{number % 5},Product {number % 5},"
        f"{1 + number % 3},{write(1 + number % 3, 2.5 + number % 5, -1 if number >= 56 else 1)}"
        for number in range(60)
    ]
    # A voucher is no credit note: nobody buys it for money.
    rows.append(
        f"R100,2024-01-01,k0,VOUCHER,Voucher,1,{write(1, 5.0, -1) if header != 'unit_price,line_total' else '-5.00,-5.00'}"
    )
    head = f"order_id,order_date,customer_id,product_id,product_name,quantity,{header}"
    (data / "sales.csv").write_text("\n".join([head, *rows, ""]), "utf-8")
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        source = load_source(report.folder)
        for table in ("orders", "order_items"):
            land(con, source, table, data)
        assert con.execute("select order_id, product_id, quantity, amount from raw.order_items where amount < 0 order by 1").fetchall() == [
            ("G156", "p1", -3.0, -10.5), ("G157", "p2", -1.0, -4.5), ("G158", "p3", -2.0, -11.0), ("G159", "p4", -3.0, -19.5),
            ("R100", "VOUCHER", 1.0, -5.0),
        ]  # fmt: skip
        assert con.execute("select status, count(*) from raw.orders group by 1 order by 1").fetchall() == [
            ("cancelled", 4),
            ("completed", 56),
        ]
    assert (
        "are 4 lines with positive units and negative money credit notes? Their units count as negative, so that they take back what "
        "was bought before."
    ) in report.unsure
