"""Folders of a shop's files, and sources that read them."""

from __future__ import annotations

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TINY = REPO / "examples" / "tiny_shop"
TECHHEAVEN = REPO.parent / "shared" / "data" / "techheaven"


CUSTOMERS = "customer_id,joined_at,email_eligible\nc1,2024-01-01,true\n"
PRODUCTS = '{"product_id": "p1", "name": "Tea"}\n'
ORDERS = "order_id,customer_id,ordered_at,status\no1,c1,2024-05-01 10:00:00,completed\n"
ITEMS = "order_id,line_id,product_id,quantity,amount\no1,1,p1,1,2.5\n"


def make_source(folder: Path, sql: str, table: str = "customers", files: str | None = None) -> Path:
    """A sources directory, beside the folder of data, with one source `mini` that reads people.csv."""
    mini = folder.with_name(f"{folder.name}_sources") / "mini"
    mini.mkdir(parents=True)
    files = files or '[files."people.csv".columns]\nid = "BIGINT"\nname = "VARCHAR"\n'
    head = 'description = "x"\ntimezone = "Europe/Berlin"\nhorizon_days = 28\ncurrency = "EUR"\n'
    (mini / "source.toml").write_text(head + files)
    (mini / f"{table}.sql").write_text(sql)
    return mini.parent


class Gone:
    """Somebody who was forgotten."""

    def __init__(self, customer):
        self.customer = customer

    def find_erased(self, customer_ids):
        return [customer for customer in customer_ids if customer == self.customer]

    def find_known_keys(self, keys):
        return set()

    def find_erased_visitors(self, visitor_ids):
        return []

    def find_own_keys(self, customer_id, keys):
        return set()
