"""One made-up shop that every platform's export is written from: people, goods and a year of orders, by a fixed seed.

Prices hold 20 % tax, which is a sixth of them. All people, addresses and brands are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

CUSTOMERS, FIRST, WEEKS = 180, datetime(2024, 7, 1, 8, 0, tzinfo=UTC), 52
DEPARTMENTS = {
    "Kitchen": ["Coffee", "Tea", "Pans"],
    "Garden": ["Seeds", "Pots", "Tools"],
    "Bath": ["Soap", "Towels", "Candles"],
}
BRANDS = ["Northlight", "Fernwood", "Ostra", "Calder"]
KINDS = ["Classic", "Fresh", "Bold", "Gentle", "Grand", "Little", "Amber", "Silver"]
FIRST_NAMES = ["Ada", "Ben", "Cleo", "Dario", "Esra", "Finn", "Gül", "Hugo", "Ida", "Jan"]
LAST_NAMES = ["Almen", "Brook", "Castel", "Dunn", "Egger", "Faber"]
COUNTRIES = ["DE", "AT", "FR"]


@dataclass(frozen=True)
class Customer:
    """`number` from 1; `opted_in`: may be written to."""

    number: int
    first_name: str
    last_name: str
    email: str
    phone: str
    country: str
    opted_in: bool
    joined_at: datetime

    @property
    def postcode(self) -> str:
        return f"{10_000 + self.number}"

    @property
    def birth_date(self) -> date:
        return date(1950 + self.number % 50, 1 + self.number % 12, 1 + self.number % 28)


@dataclass(frozen=True)
class Product:
    """`number` from 1; `sizes` are its variants, none where it has a single one. `price` in EUR with tax."""

    number: int
    title: str
    brand: str
    department: str
    category: str
    price: float
    stock: int
    sizes: tuple[str, ...]

    @property
    def handle(self) -> str:
        return self.title.lower().replace(" ", "-")

    def sku(self, size: str | None) -> str:
        return f"SKU-{self.number:03}" + (f"-{size}" if size else "")


@dataclass(frozen=True)
class Line:
    product: Product
    size: str | None
    quantity: int

    @property
    def gross(self) -> float:
        return round(self.product.price * self.quantity, 2)


@dataclass(frozen=True)
class Order:
    """`discount` is taken off the goods of the whole order, `shipping` comes on top."""

    number: int
    customer: Customer
    ordered_at: datetime
    lines: tuple[Line, ...]
    discount: float
    shipping: float

    @property
    def goods(self) -> float:
        """What is paid for the goods."""
        return round(sum(line.gross for line in self.lines) - self.discount, 2)


@dataclass(frozen=True)
class World:
    customers: tuple[Customer, ...]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]


def make_world(seed: int = 7) -> World:
    """180 customers, 72 products (every sixth in three sizes), some 1,500 orders in the 52 weeks before 2025-06-30."""
    rng = np.random.default_rng(seed)
    products = []
    for department, categories in DEPARTMENTS.items():
        for category in categories:
            for kind in KINDS:
                number = len(products) + 1
                products.append(
                    Product(
                        number,
                        f"{kind} {category}",
                        BRANDS[int(rng.integers(len(BRANDS)))],
                        department,
                        category,
                        round(float(rng.integers(300, 4000)) / 100, 2),
                        int(rng.integers(0, 40)),
                        ("S", "M", "L") if number % 6 == 0 else (),
                    )
                )
    customers = tuple(
        Customer(
            number,
            first := FIRST_NAMES[number % len(FIRST_NAMES)],
            last := LAST_NAMES[number % len(LAST_NAMES)],
            f"{first}.{last}{number}@example.com".lower().replace("ü", "u"),
            f"+4930{number:07}",
            COUNTRIES[number % len(COUNTRIES)],
            bool(rng.random() < 0.7),
            FIRST + timedelta(days=int(rng.integers(0, 120))),
        )
        for number in range(1, CUSTOMERS + 1)
    )
    orders = []
    for customer in customers:
        # Everybody has three favourites that they buy again, and a liking for one department.
        favourites = rng.choice(len(products), 3, replace=False)
        liked = [p for p in products if p.department == list(DEPARTMENTS)[int(rng.integers(3))]]
        day, gap = (customer.joined_at - FIRST).days, int(rng.integers(20, 60))
        while day < WEEKS * 7 - 1:
            moment = FIRST + timedelta(days=day, minutes=int(rng.integers(1, 720)))
            chosen = {int(rng.choice(favourites)), int(liked[int(rng.integers(len(liked)))].number) - 1}
            if rng.random() < 0.4:
                chosen.add(int(rng.integers(len(products))))
            lines = tuple(
                Line(
                    product := products[index],
                    str(rng.choice(product.sizes)) if product.sizes else None,
                    int(rng.integers(1, 3)),
                )
                for index in sorted(chosen)
            )
            gross = round(sum(line.gross for line in lines), 2)
            discount = round(gross * 0.1, 2) if rng.random() < 0.2 else 0.0
            orders.append((moment, customer, lines, discount, 0.0 if gross > 50 else 4.9))
            day += int(gap * rng.uniform(0.6, 1.5))
    orders.sort(key=lambda order: (order[0], order[1].number))
    return World(
        customers,
        tuple(products),
        tuple(
            Order(1001 + place, customer, moment, lines, discount, shipping)
            for place, (moment, customer, lines, discount, shipping) in enumerate(orders)
        ),
    )


def find_first_sale(world: World, product: Product) -> datetime:
    """When a product was first ordered, in UTC without a zone."""
    return min(
        order.ordered_at.replace(tzinfo=None)
        for order in world.orders
        if any(line.product == product for line in order.lines)
    )
