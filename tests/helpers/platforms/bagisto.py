"""The MySQL tables of a Bagisto 2 shop; times are the application's, here UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

from helpers.platforms.tables import Table, Tables
from helpers.platforms.world import World, make_world

ID, MONEY, TIME = "int unsigned", "decimal(12,4)", "timestamp null"
NOON, LATER = datetime(2025, 3, 3, 12), datetime(2025, 3, 10, 9)


def make_empty() -> dict[str, Table]:
    """The tables without rows; only some of the columns that a real shop has and nobody reads."""
    return {
        "orders": Table(
            {
                "id": ID, "increment_id": "varchar(255)", "status": "varchar(255)", "is_guest": "tinyint(1)", "customer_id": ID,
                "customer_email": "varchar(255)", "order_currency_code": "varchar(255)", "grand_total": MONEY,
                "created_at": TIME, "updated_at": TIME,
            }
        ),
        "order_items": Table(
            {
                "id": ID, "order_id": ID, "parent_id": ID, "product_id": ID, "product_type": "varchar(255)", "sku": "varchar(255)",
                "type": "varchar(255)", "name": "varchar(255)", "qty_ordered": "int", "qty_canceled": "int",
                "qty_refunded": "int", "price": MONEY, "total": MONEY, "tax_amount": MONEY, "discount_amount": MONEY, "created_at": TIME, "updated_at": TIME,
            }
        ),
        "refunds": Table({"id": ID, "order_id": ID, "grand_total": MONEY, "adjustment_refund": MONEY, "adjustment_fee": MONEY, "created_at": TIME, "updated_at": TIME}),
        "refund_items": Table({"id": ID, "parent_id": ID, "refund_id": ID, "order_item_id": ID, "qty": "int", "total": MONEY, "updated_at": TIME}),
        "products": Table({"id": ID, "sku": "varchar(255)", "type": "varchar(255)", "parent_id": ID, "created_at": TIME}),
        "product_flat": Table(
            {
                "id": ID, "sku": "varchar(255)", "type": "varchar(255)", "name": "varchar(255)", "short_description": "text",
                "description": "text", "url_key": "varchar(255)", "status": "tinyint(1)", "price": MONEY, "special_price": MONEY,
                "special_price_from": "date", "special_price_to": "date", "locale": "varchar(255)", "channel": "varchar(255)",
                "product_id": ID, "parent_id": ID, "visible_individually": "tinyint(1)",
            }
        ),
        "product_images": Table({"id": ID, "type": "varchar(255)", "path": "varchar(255)", "product_id": ID}),
        "product_inventories": Table({"id": ID, "qty": "int", "product_id": ID, "inventory_source_id": ID}),
        "product_categories": Table({"product_id": ID, "category_id": ID}),
        "categories": Table({"id": ID, "position": "int", "status": "tinyint(1)", "parent_id": ID}),
        "category_translations": Table({"id": ID, "category_id": ID, "name": "text", "slug": "varchar(255)", "locale": "varchar(255)"}),
        "customers": Table(
            {
                "id": ID, "first_name": "varchar(255)", "last_name": "varchar(255)", "date_of_birth": "date", "email": "varchar(255)", "phone": "varchar(255)",
                "customer_group_id": ID, "subscribed_to_news_letter": "tinyint(1)", "created_at": TIME,
            }
        ),
        "customer_groups": Table({"id": ID, "code": "varchar(255)", "name": "varchar(255)"}),
        "subscribers_list": Table({"id": ID, "email": "varchar(255)", "is_subscribed": "tinyint(1)", "customer_id": ID}),
        "addresses": Table(
            {
                "id": ID, "address_type": "varchar(255)", "customer_id": ID, "order_id": ID, "first_name": "varchar(255)",
                "last_name": "varchar(255)", "country": "varchar(255)", "postcode": "varchar(255)", "phone": "varchar(255)",
            }
        ),
        "product_reviews": Table(
            {
                "id": ID, "title": "varchar(255)", "rating": "int", "comment": "text", "status": "varchar(255)", "product_id": ID,
                "customer_id": "int", "created_at": TIME,
            }
        ),
        "wishlist_items": Table({"id": ID, "channel_id": ID, "product_id": ID, "customer_id": ID, "created_at": TIME}),
    }  # fmt: skip


class Shop:
    """Tables that are being filled."""

    def __init__(self) -> None:
        self.tables = make_empty()

    def add(self, table: str, **row: object) -> None:
        self.tables[table].rows.append(row)

    def add_product(
        self,
        number: int,
        name: str,
        price: float,
        parent: int | None = None,
        status: bool = True,
        **more: object,
    ) -> None:
        self.add(
            "products",
            id=number,
            sku=f"SKU-{number}",
            type="simple",
            parent_id=parent,
            created_at=datetime(2024, 1, 1),
        )
        for locale in ("de", "en"):
            self.add(
                "product_flat", product_id=number, name=name if locale == "en" else f"{name} (de)", description=f"<p>{name}</p>",
                url_key=name.lower().replace(" ", "-"), status=status, price=price, locale=locale, channel="default",
                visible_individually=parent is None, **more,
            )  # fmt: skip

    def add_order(
        self,
        number: int,
        customer: int | None,
        email: str,
        moment: datetime,
        total: float,
        status: str = "completed",
        **address: str,
    ) -> None:
        self.add(
            "orders", id=number, increment_id=str(number), status=status, is_guest=customer is None, customer_id=customer,
            customer_email=email, order_currency_code="EUR", grand_total=total, created_at=moment, updated_at=moment,
        )  # fmt: skip
        for kind, parts in [
            ("order_shipping", {"first_name": "Somebody", "last_name": "Else"}),
            ("order_billing", address),
        ]:
            self.add("addresses", address_type=kind, order_id=number, customer_id=customer, **parts)

    def add_item(
        self, order: int, product: int, name: str, gross: float, units: int = 1, discount: float = 0, parent: int | None = None, canceled: int = 0
    ) -> int:  # fmt: skip
        """A line of goods that cost `gross` with tax before `discount`; its number. The tax is that before discounts."""
        number = len(self.tables["order_items"].rows) + 1
        self.add(
            "order_items", id=number, order_id=order, parent_id=parent, product_id=product, name=name, qty_ordered=units,
            qty_canceled=canceled, total=gross / 1.2, tax_amount=gross / 6, discount_amount=discount,
            updated_at=self.tables["orders"].rows[-1]["updated_at"],
        )  # fmt: skip
        return number

    def add_refund(self, number: int, order: int, total: float, adjustment: float = 0) -> None:
        """What was paid back of an order, `adjustment` of it for no line."""
        self.add(
            "refunds",
            id=number,
            order_id=order,
            grand_total=total,
            adjustment_refund=adjustment,
            created_at=LATER,
            updated_at=LATER,
        )


def add_world(shop: Shop, world: World) -> None:
    for number, code in enumerate(["guest", "general", "wholesale"], start=1):
        shop.add("customer_groups", id=number, code=code, name=code.title())
    numbers: dict[str, int] = {"Root": 1}
    shop.add("categories", id=1, parent_id=None)
    for product in world.products:
        for name, above in [(product.department, "Root"), (product.category, product.department)]:
            if name not in numbers:
                numbers[name] = len(numbers) + 1
                shop.add("categories", id=numbers[name], parent_id=numbers[above])
    for name, number in numbers.items():
        for locale in ("de", "en"):
            shop.add(
                "category_translations",
                category_id=number,
                locale=locale,
                name=name if locale == "en" else f"{name} (de)",
            )
    for product in world.products:
        number = 100 + product.number
        more = (
            {
                "special_price": 20,
                "special_price_from": date(2025, 5, 1),
                "special_price_to": date(2025, 5, 10),
            }
            if number == 101
            else {}
        )
        shop.add_product(number, product.title, 0 if product.sizes else product.price, **more)
        if product.number == 3:  # it was made again in June
            shop.tables["products"].rows[-1]["created_at"] = datetime(2025, 6, 1)
        shop.add("product_images", id=number, path=f"product/{number}/one.webp", product_id=number)
        for category in (1, numbers[product.department], numbers[product.category]):
            shop.add("product_categories", product_id=number, category_id=category)
        for place, size in enumerate(product.sizes):
            shop.add_product(
                2000 + product.number * 10 + place, f"{product.title} {size}", product.price + place, number
            )
        for owner in [2000 + product.number * 10 + place for place in range(len(product.sizes))] or [number]:
            for source in (1, 2):
                shop.add(
                    "product_inventories", qty=product.stock, product_id=owner, inventory_source_id=source
                )
    for customer in world.customers:
        if customer.number % 10:
            shop.add(
                "customers", id=customer.number, first_name=customer.first_name, last_name=customer.last_name, email=customer.email,
                phone=customer.phone if customer.number % 2 else "", date_of_birth=customer.birth_date,
                customer_group_id=2, subscribed_to_news_letter=customer.opted_in,
                created_at=customer.joined_at.astimezone(UTC).replace(tzinfo=None),
            )  # fmt: skip
            shop.add(
                "addresses",
                address_type="customer",
                customer_id=customer.number,
                country=customer.country,
                postcode=customer.postcode,
                phone=customer.phone,
            )
    for order in world.orders:
        number, customer = 20_000 + order.number, order.customer
        shop.add_order(
            number,
            customer.number if customer.number % 10 else None,
            customer.email,
            order.ordered_at.replace(tzinfo=None),
            order.goods + order.shipping,
            first_name=customer.first_name,
            last_name=customer.last_name,
            postcode=customer.postcode,
            phone=customer.phone,
            country=customer.country,
        )
        gross = sum(line.gross for line in order.lines)
        for line in order.lines:
            item = shop.add_item(
                number,
                100 + line.product.number,
                line.product.title,
                line.gross,
                line.quantity,
                order.discount * line.gross / gross,
            )
            if line.size:
                child = 2000 + line.product.number * 10 + line.product.sizes.index(line.size)
                shop.add_item(
                    number, child, f"{line.product.title} {line.size}", 0, line.quantity, parent=item
                )


def add_traps(shop: Shop) -> None:
    """Orders 29001 on, by the first customer on 2025-03-03 at noon; prices are with their tax of a sixth."""
    email = "ben.brook1@example.com"
    # 10 of 100 off; postage of 5.
    shop.add_order(29001, 1, email, NOON, 95)
    shop.add_item(29001, 101, "Classic Coffee", 60, discount=6)
    shop.add_item(29001, 102, "Fresh Coffee", 40, discount=4)
    # One of three units of a variant came back a week later.
    shop.add_order(29002, 1, email, NOON, 90)
    item = shop.add_item(29002, 106, "Little Coffee", 90, 3)
    child = shop.add_item(29002, 2060, "Little Coffee S", 0, 3, parent=item)
    shop.add_refund(1, 29002, 30)
    shop.add("refund_items", id=1, refund_id=1, order_item_id=item, qty=1, total=30, updated_at=LATER)
    shop.add(
        "refund_items", id=2, refund_id=1, parent_id=1, order_item_id=child, qty=1, total=0, updated_at=LATER
    )
    # A quarter was paid back for the trouble.
    shop.add_order(29003, 1, email, NOON, 100)
    shop.add_item(29003, 101, "Classic Coffee", 100)
    shop.add_refund(2, 29003, 25, adjustment=25)
    # All of it was.
    shop.add_order(29004, 1, email, NOON, 60, "closed")
    item = shop.add_item(29004, 101, "Classic Coffee", 60)
    shop.add_refund(3, 29004, 60)
    shop.add("refund_items", id=3, refund_id=3, order_item_id=item, qty=1, total=60, updated_at=LATER)
    # Two of three units were cancelled.
    shop.add_order(29005, 1, email, NOON, 90)
    shop.add_item(29005, 101, "Classic Coffee", 90, 3, canceled=2)
    # Guests: with the address of an account, with another, and none.
    shop.add_order(29006, None, "Ben.Brook1@Example.com", NOON, 60)
    shop.add_item(29006, 101, "Classic Coffee", 60)
    shop.add_order(
        29007,
        None,
        "Nobody@Example.com",
        NOON,
        60,
        first_name="Ada ",
        last_name="Bell",
        postcode="01067",
        phone="0351 4880",
        country="DE",
    )
    shop.add_item(29007, 101, "Classic Coffee", 60)
    shop.add_order(29008, None, "", NOON, 60)
    shop.add_item(29008, 101, "Classic Coffee", 60)
    # A variant that was ordered by itself, and what was deleted.
    shop.add_order(29009, 1, email, NOON, 70)
    shop.add_item(29009, 2061, "Little Coffee M", 40)
    shop.add_item(29009, 77_000, "Old pan", 30)
    for number, status in [
        (29010, "pending"),
        (29011, "pending_payment"),
        (29012, "canceled"),
        (29013, "fraud"),
    ]:
        shop.add_order(number, 1, email, NOON, 60, status)
        shop.add_item(number, 101, "Classic Coffee", 60)


def make_bagisto(world: World | None = None, prefix: str = "") -> tuple[World, Tables]:
    world, shop = world or make_world(), Shop()
    add_world(shop, world)
    shop.add_product(901, "Last summer", 25, status=False)
    add_traps(shop)
    # The first customer has unsubscribed by the link in an email; a guest has subscribed on the page.
    shop.add("subscribers_list", id=1, email="Ben.Brook1@example.com", is_subscribed=False)
    shop.add("subscribers_list", id=2, email="nobody@example.com", is_subscribed=True)
    for number, (customer, status) in enumerate(
        [(1, "approved"), (None, "approved"), (1, "pending")], start=1
    ):
        shop.add(
            "product_reviews", id=number, title="Good", rating=4, comment="Very good.", status=status, product_id=2060,
            customer_id=customer, created_at=NOON,
        )  # fmt: skip
    shop.add("wishlist_items", id=1, channel_id=1, product_id=2060, customer_id=1, created_at=NOON)
    return world, {prefix + name: table for name, table in shop.tables.items()}
