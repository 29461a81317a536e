"""A small store to answer from, written as the publish writes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson

from recs_assets.serving.placement import Placement
from recs_assets.serving.publish import CARD, write_store
from recs_assets.serving.state import State
from recs_assets.serving.store import FACTS, FILE, FORMAT, FileStore
from recs_assets.serving.version import Version

AS_OF = "2024-03-04"
BEGINS = datetime(2024, 3, 4, tzinfo=UTC).timestamp()
NOW = datetime(2024, 3, 6, 12, tzinfo=UTC)


def make_product(product_id, **facts):
    """A product that may be sold everywhere; its title is its id."""
    return {
        **dict.fromkeys(FACTS),
        "product_id": product_id, "name": product_id, "category": "Tea", "price": 2.0, "popularity": 1.0,
        "never_offer": False, "never_discover": False, **facts,
    }  # fmt: skip


def write_products(path, products, customers=(), neighbours=None, segments=None, as_of=AS_OF, run_id="run"):
    """Write a store.

    Args:
        path: of the file.
        products: from `make_product`.
        customers: (id, {list, again, tastes, country, segment, withdrawn, person}), the lists of (product_id, p_purchase).
        neighbours: product_id -> (similar, together), lists of (product_id, score).
        segments: name -> product ids.
        as_of: the week.
        run_id: of it.
    """
    code = {product["product_id"]: number for number, product in enumerate(products)}
    categories = sorted({product["category"] for product in products if product["category"]})

    def pack(rows):
        return None if rows is None else orjson.dumps(rows)

    def write_list(rows):
        return pack(
            [
                [code[p], chance, chance, "als", "bought_often", f"because of {p}", None, f"r-{p}"]
                for p, chance in rows
            ]
        )

    def write_again(rows):
        return pack(
            [[code[p], chance, chance, "bought_regularly", f"due {p}", f"a-{p}"] for p, chance in rows]
        )

    def write_neighbours(rows, kind):
        return pack([[code[p], score, f"{kind} {p}", f"{kind}-{p}"] for p, score in rows])

    people = [
        (
            name, about.get("country"), about.get("segment"), write_list(about.get("list", ())),
            write_again(about.get("again", ())),
            pack([[categories.index(label), share] for label, share in about.get("tastes", ())]),
            int(about.get("withdrawn", False)), about.get("person", name),
        )
        for name, about in customers
    ]  # fmt: skip
    rows = []
    for number, product in enumerate(products):
        similar, together = (neighbours or {}).get(product["product_id"], ((), ()))
        card = {name: product.get("name" if name == "title" else name) for name in CARD}
        rows.append(
            (
                number,
                orjson.dumps(card),
                write_neighbours(similar, "similar"),
                write_neighbours(together, "together"),
            )
        )
    about = {
        "format": FORMAT, "as_of": as_of, "run_id": run_id, "model_version": "ranker 0.0.0", "begins_at": BEGINS,
        "counted_at": BEGINS + 3600, "monitor": [("data", "alert", 1), ("lists", "ok", 12)],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        write_store(
            store, about, [{name: [product[name] for product in products] for name in FACTS}], rows,
            [(name, pack([code[p] for p in codes])) for name, codes in (segments or {}).items()], people,
        )  # fmt: skip


def write_version(home: Path, name: str, *arguments, **more):
    """Write a version below a home and make it the current one."""
    folder = home / "serving"
    write_products(folder / "versions" / name / FILE, *arguments, **more)
    link = folder / ".next"
    link.symlink_to(Path("versions") / name)
    link.replace(folder / "current")


def make_placement(name="home", **keys):
    values = {
        "name": name,
        "description": "For tests.",
        "blend": {"personal": 1},
        "rules": {"complete": ["name"]},
    }
    return Placement.model_validate(values | keys)


def open_version(path, placement=None, state=None):
    placement = placement or make_placement()
    return Version("v", FileStore(path), {placement.name: placement}, state or State())


def make_event(kind, product_id, at=NOW, **who):
    return {
        "event_id": f"{kind}-{product_id}-{at}", "event_type": kind, "product_id": product_id,
        "occurred_at": at.isoformat(), **(who or {"customer_id": "ada"}),
    }  # fmt: skip
