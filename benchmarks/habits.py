"""A made-up shop whose customers have habits that Complete Journey and TechHeaven cannot show: a negative control's opposite.

    python -m benchmarks.habits /tmp/habits
    RECS_DATA=/tmp/habits RECS_DATA_ROOT=/tmp RECS_HOME=/tmp/habits-home python -m recs_assets run
    RECS_DATA=/tmp/habits RECS_DATA_ROOT=/tmp python -m benchmarks.gains --home /tmp/habits-home --tried

True of everybody, and seeded:

- 30 % of the brands do not suit them: the first product of such a brand is sent back, and none is bought again;
- they wear one size, and nine in ten of their purchases have it;
- of half of what they buy they looked at another product of that category for minutes, up to two weeks before; they also
  glance at products of any category for seconds, twice as often;
- for half of what they buy they searched "<brand> <category>", up to two weeks before.

With `--seasons` every category has its time of the year too, at which they buy it up to twenty times as often as half a year later,
and half of them live where it is half a year later.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20_261_129
FIRST, DAYS = date(2025, 1, 6), 511
CATEGORIES = (
    "coats", "shirts", "jeans", "shoes", "socks", "hats", "scarves", "belts", "dresses", "skirts", "jumpers", "shorts",
)  # fmt: skip
BRANDS = ("arbor", "birk", "cedar", "dune", "elm", "fjord", "grove", "heath", "isle", "juniper")
SIZES = ("s", "m", "l")
COUNTRIES = ("DE", "AU")  # of the north and of the south
SEASON = 0.9
MODELS = 2
DISLIKED, IN_SIZE, LOOKED, SEARCHED, GLANCES = 0.3, 0.9, 0.5, 0.5, 2


def draw_products() -> pd.DataFrame:
    """Every brand has models of every category in every size; the first size is the parent of the others."""
    rows = [
        (f"{category}-{brand}-{model}-{size}", f"{category}-{brand}-{model}", category, brand, size)
        for category in CATEGORIES
        for brand in BRANDS
        for model in range(MODELS)
        for size in SIZES
    ]
    table = pd.DataFrame(rows, columns=["product_id", "model", "category", "brand", "size"])
    return table.assign(
        name=table["brand"] + " " + table["category"].str.rstrip("s") + " " + table["size"],
        parent_id=np.where(table["size"] == SIZES[0], None, table["model"] + "-" + SIZES[0]),
        price=20.0 + 5 * (np.arange(len(table)) // (len(SIZES) * MODELS) % len(BRANDS)),
        attributes='{"size": "' + table["size"] + '"}',
    )


class Shop:
    """The rows of the shop, filled customer by customer.

    Args:
        customers: so many.
        seasons: whether categories have a time of the year, which is another one in the south.
        seed: of all draws.
    """

    def __init__(self, customers: int, seasons: bool = False, seed: int = SEED) -> None:
        self.rng, self.products = np.random.default_rng(seed), draw_products()
        self.rows: dict[str, list[tuple]] = {
            name: [] for name in ("orders", "order_items", "returns", "browsing_events", "searches")
        }
        self.customers = [f"c{number:04d}" for number in range(customers)]
        self.south = np.arange(customers) % 2 * seasons
        self.season = SEASON * seasons
        for customer, south in zip(self.customers, self.south, strict=True):
            self._live(customer, south)

    def _live(self, customer: str, south: int) -> None:
        rng = self.rng
        taste = rng.dirichlet(np.full(len(CATEGORIES), 0.4))
        suits = rng.random(len(BRANDS)) >= DISLIKED
        loved = rng.dirichlet(np.full(len(BRANDS), 0.6))
        size = rng.integers(len(SIZES))
        gone: set[int] = set()
        day = int(rng.integers(0, 30))
        while day < DAYS:
            order = f"o-{customer}-{day}"
            self.rows["orders"].append((order, customer, self._at(day, 12), "completed", "EUR"))
            bought = set()
            for _ in range(1 + rng.poisson(0.7)):
                category = int(rng.choice(len(CATEGORIES), p=self._weigh(taste, day, south)))
                weight = loved * np.array([brand not in gone for brand in range(len(BRANDS))])
                if weight.sum() <= 0:
                    continue
                brand = int(rng.choice(len(BRANDS), p=weight / weight.sum()))
                worn = size if rng.random() < IN_SIZE else int(rng.integers(len(SIZES)))
                product = self._pick(category, brand, worn)
                if product in bought:
                    continue
                bought.add(product)
                self.rows["order_items"].append((order, product, product, 1.0, 30.0))
                self._leave_traces(customer, day, category, brand)
                if not suits[brand]:
                    gone.add(brand)
                    self.rows["returns"].append(
                        (
                            f"r-{order}-{product}",
                            order,
                            product,
                            1.0,
                            self._at(day + int(rng.integers(3, 10)), 9),
                        )
                    )
            day += 1 + int(rng.exponential(12))

    def _weigh(self, taste: np.ndarray, day: int, south: int) -> np.ndarray:
        """float[categories]: how likely each is on a day, for somebody of this taste."""
        best = np.arange(len(CATEGORIES)) / len(CATEGORIES) + south / 2
        weight = taste * (1 + self.season * np.cos(2 * np.pi * (day / 365 - best)))
        return weight / weight.sum()

    def _pick(self, category: int, brand: int, size: int) -> str:
        model = int(self.rng.integers(MODELS))
        return f"{CATEGORIES[category]}-{BRANDS[brand]}-{model}-{SIZES[size]}"

    def _leave_traces(self, customer: str, day: int, category: int, brand: int) -> None:
        """What they did before they bought."""
        rng = self.rng
        before = day - int(rng.integers(1, 15))
        if before >= 0 and rng.random() < LOOKED:
            other = self._pick(category, int(rng.integers(len(BRANDS))), int(rng.integers(len(SIZES))))
            self._view(customer, before, other, int(rng.integers(60, 300)))
        for _ in range(GLANCES):
            some = self._pick(
                int(rng.integers(len(CATEGORIES))),
                int(rng.integers(len(BRANDS))),
                int(rng.integers(len(SIZES))),
            )
            self._view(customer, max(0, day - int(rng.integers(1, 15))), some, int(rng.integers(2, 12)))
        before = day - int(rng.integers(1, 15))
        if before >= 0 and rng.random() < SEARCHED:
            text = f"{BRANDS[brand]} {CATEGORIES[category]}"
            self.rows["searches"].append(
                (f"s{len(self.rows['searches'])}", customer, text, self._at(before, 20))
            )

    def _view(self, customer: str, day: int, product: str, seconds: int) -> None:
        event = f"e{len(self.rows['browsing_events'])}"
        self.rows["browsing_events"].append(
            (event, customer, product, "view", self._at(day, 19), float(seconds), None, None)
        )

    def _at(self, day: int, hour: int) -> str:
        return f"{date.fromordinal(FIRST.toordinal() + day)} {hour:02d}:00:00"

    def write(self, folder: Path) -> None:
        """The canonical tables as CSV."""
        columns = {
            "orders": ["order_id", "customer_id", "ordered_at", "status", "currency"],
            "order_items": ["order_id", "line_id", "product_id", "quantity", "amount"],
            "returns": ["return_id", "order_id", "product_id", "quantity", "returned_at"],
            "browsing_events": [
                "event_id", "customer_id", "product_id", "event_type", "occurred_at", "duration_seconds", "referrer",
                "device",
            ],
            "searches": ["search_id", "customer_id", "query", "searched_at"],
        }  # fmt: skip
        folder.mkdir(parents=True)
        for name, rows in self.rows.items():
            pd.DataFrame(rows, columns=columns[name]).to_csv(folder / f"{name}.csv", index=False)
        people = pd.DataFrame({"customer_id": self.customers, "email_eligible": "true"})
        if self.season:
            people["country"] = np.array(COUNTRIES)[self.south]
        people.to_csv(folder / "customers.csv", index=False)
        self.products.drop(columns=["model", "size"]).to_csv(folder / "products.csv", index=False)


def main(arguments: list[str] | None = None) -> int:
    """Write the folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.habits", description=__doc__)
    parser.add_argument("folder", type=Path, help="is created")
    parser.add_argument("--customers", type=int, default=1500)
    parser.add_argument(
        "--seasons", action="store_true", help="categories have a time of the year, by country"
    )
    parsed = parser.parse_args(arguments)
    shop = Shop(parsed.customers, parsed.seasons)
    shop.write(parsed.folder)
    sys.stdout.write(
        f"{len(shop.rows['order_items']):,} lines of {parsed.customers:,} customers in {parsed.folder}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
