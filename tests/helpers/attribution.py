"""A build file and a snapshot in miniature, with the tables that attribution reads. The week is 2025-01-20, the lists are of
the two weeks before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb

from recs_assets.experiments.attribution import Results, Windows, attribute
from recs_assets.store.people import show_by_person

AS_OF = date(2025, 1, 20)
TABLES = {
    "intermediate.int_campaign_events_attributed": "event_id varchar, campaign varchar, customer_id varchar, "
    "product_id varchar, event_type varchar, occurred_at timestamp, arm varchar, recommendation_id varchar, "
    "session_id varchar, placement varchar, known_until timestamp",
    "intermediate.int_browsing_events_attributed": "event_id varchar, customer_id varchar, product_id varchar, "
    "event_type varchar, occurred_at timestamp, duration_seconds double, known_until timestamp",
    "base.base_customer_identities": "profile_id varchar, customer_id varchar",
    "marts.customers": "customer_id varchar, segment varchar",
    "marts.products": "product_id varchar, parent_id varchar, category varchar, cost double, is_product boolean",
    "marts.order_lines": "order_id varchar, line_id varchar, customer_id varchar, product_id varchar, "
    "ordered_at timestamp, amount double, net_amount double, net_quantity double",
    "model.nightly_recommendations": "recommendation_id varchar, list varchar, as_of date, customer_id varchar, "
    "product_id varchar, rank integer",
    "snapshot.recs.email_recommendations": "campaign varchar, as_of date, customer_id varchar, slot integer, "
    "send_at timestamptz, arm varchar, recommendation_id varchar, product_id varchar, source varchar, "
    "slot_type varchar, reason_code varchar",
    "snapshot.recs.email_holdout": "campaign varchar, as_of date, customer_id varchar, slot integer, "
    "send_at timestamptz, arm varchar, recommendation_id varchar, product_id varchar, source varchar, "
    "slot_type varchar, reason_code varchar",
    "snapshot.recs.customer_recommendations": "as_of date, customer_id varchar, rank integer, product_id varchar, "
    "source varchar, reason_code varchar, recommendation_id varchar",
    "snapshot.recs.similar_products": "as_of date, product_id varchar, rank integer, neighbour_id varchar, "
    "recommendation_id varchar",
}


class Shop:
    """A build file and a snapshot in memory. Ann and ben get the weekly email of both weeks, tea before mug; home's
    list of ann is honey. The red and the blue shirt are one."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("attach ':memory:' as snapshot")
        for table, columns in TABLES.items():
            self.connection.execute(f"create schema if not exists {table.rpartition('.')[0]}")
            self.connection.execute(f"create table {table} ({columns})")
        for name, segment in (("ann", "new"), ("ben", "old"), ("eve", None)):
            self.add("marts.customers", customer_id=name, segment=segment)
        for name, parent, category, cost in (
            ("tea", None, "drinks", 2.0),
            ("mug", None, None, None),
            ("honey", None, "food", 3.0),
            ("red_shirt", "shirt", "clothes", 4.0),
            ("blue_shirt", "shirt", "clothes", 4.0),
        ):
            self.add(
                "marts.products",
                product_id=name,
                parent_id=parent,
                category=category,
                cost=cost,
                is_product=True,
            )
        for day in (6, 13):
            for name in ("ann", "ben"):
                self.mail(day, name, ["tea", "mug"])
            self.add(
                "snapshot.recs.customer_recommendations",
                as_of=date(2025, 1, day), customer_id="ann", rank=1, product_id="honey", source="ease",
                reason_code="popular", recommendation_id=f"home-ann-{day}",
            )  # fmt: skip

    def add(self, table: str, **values: Any) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self.connection.execute(f"insert into {table} ({names}) values ({marks})", list(values.values()))

    def mail(
        self,
        day: int,
        customer: str,
        products: Sequence[str],
        table: str = "email_recommendations",
        arm: str = "a",
    ) -> None:
        for slot, product in enumerate(products, 1):
            self.add(
                f"snapshot.recs.{table}",
                campaign="weekly", as_of=date(2025, 1, day), customer_id=customer, slot=slot,
                send_at=f"2025-01-{day:02} 07:00:00+00", arm=arm, recommendation_id=f"{product}-{customer}-{day}",
                product_id=product, source="ranker", slot_type="discovery" if slot == 2 else "personal",
                reason_code="again",
            )  # fmt: skip

    def event(self, name: str, kind: str, at: str, customer: str | None = "ann", **values: Any) -> None:
        """An event of January 2025, `at` is "day hour:minute"."""
        self.add(
            "intermediate.int_campaign_events_attributed",
            event_id=name, event_type=kind, occurred_at=f"2025-01-{at}", customer_id=customer, **values,
        )  # fmt: skip

    def click(self, name: str, row: str, at: str, customer: str | None = "ann", **values: Any) -> None:
        self.event(name, "clicked", at, customer, campaign="weekly", recommendation_id=row, **values)

    def buy(
        self,
        order: str,
        product: str,
        at: str,
        amount: float = 10.0,
        net: float | None = None,
        customer: str | None = "ann",
    ) -> None:
        net = amount if net is None else net
        self.add(
            "marts.order_lines",
            order_id=order, line_id="1", customer_id=customer, product_id=product, ordered_at=f"2025-01-{at}",
            amount=amount, net_amount=net, net_quantity=net / amount,
        )  # fmt: skip

    def attribute(self, windows: Windows = Windows(), as_of: date = AS_OF) -> Results:  # noqa: B008
        show_by_person(self.connection)
        return attribute(self.connection, as_of, "Europe/Berlin", windows)

    def won(self, windows: Windows = Windows()) -> dict[str, str]:  # noqa: B008
        """Order -> the event that won it."""
        rows = self.attribute(windows).attributions
        return dict(zip(rows["order_id"], rows["event_id"], strict=True))
