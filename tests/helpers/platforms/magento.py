"""The MySQL tables of a Magento 2 shop; times are in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from helpers.platforms.tables import Table, Tables
from helpers.platforms.world import World, make_world

ID, SMALL, MONEY, TIME = "int unsigned", "smallint unsigned", "decimal(20,4)", "timestamp null"
NOON, LATER = datetime(2025, 3, 3, 12), datetime(2025, 3, 10, 9)
# As a fresh installation has them, but for the numbers.
ATTRIBUTES = {
    "name": 73, "description": 75, "price": 77, "special_price": 78, "special_from_date": 79, "special_to_date": 80,
    "cost": 81, "manufacturer": 83, "image": 87, "status": 97, "visibility": 99, "url_key": 121,
}  # fmt: skip
CATEGORY_NAME = 45


def make_eav(kind: str) -> Table:
    return Table({"value_id": ID, "attribute_id": SMALL, "store_id": SMALL, "entity_id": ID, "value": kind})


def make_empty() -> dict[str, Table]:
    """The tables without rows; only some of the columns that a real shop has and nobody reads."""
    return {
        "sales_order": Table(
            {
                "entity_id": ID, "state": "varchar(32)", "status": "varchar(32)", "store_id": SMALL, "customer_id": ID,
                "customer_email": "varchar(128)", "customer_is_guest": SMALL, "grand_total": MONEY, "discount_amount": MONEY,
                "shipping_incl_tax": MONEY, "order_currency_code": "varchar(3)", "increment_id": "varchar(50)",
                "created_at": TIME, "updated_at": TIME,
            }
        ),
        "sales_order_item": Table(
            {
                "item_id": ID, "order_id": ID, "parent_item_id": ID, "product_id": ID, "product_type": "varchar(255)",
                "sku": "varchar(255)", "name": "varchar(255)", "qty_ordered": "decimal(12,4)", "qty_canceled": "decimal(12,4)",
                "qty_refunded": "decimal(12,4)", "price": MONEY, "row_total": MONEY, "tax_amount": MONEY,
                "discount_amount": MONEY, "discount_tax_compensation_amount": MONEY, "row_total_incl_tax": MONEY, "created_at": TIME, "updated_at": TIME,
            }
        ),
        "sales_creditmemo": Table(
            {"entity_id": ID, "order_id": ID, "grand_total": MONEY, "adjustment_positive": MONEY, "adjustment_negative": MONEY, "created_at": TIME, "updated_at": TIME}
        ),
        "sales_creditmemo_item": Table(
            {"entity_id": ID, "parent_id": ID, "order_item_id": "int", "product_id": "int", "qty": "decimal(12,4)"}
        ),
        "sales_order_address": Table(
            {
                "entity_id": ID, "parent_id": ID, "address_type": "varchar(255)", "firstname": "varchar(255)", "lastname": "varchar(255)",
                "postcode": "varchar(255)", "telephone": "varchar(255)", "country_id": "varchar(2)", "city": "varchar(255)",
            }
        ),
        "customer_entity": Table(
            {
                "entity_id": ID, "website_id": SMALL, "email": "varchar(255)", "group_id": SMALL, "default_billing": ID, "created_at": TIME,
                "updated_at": TIME, "firstname": "varchar(255)", "lastname": "varchar(255)", "dob": "date",
            }
        ),
        "customer_address_entity": Table(
            {"entity_id": ID, "parent_id": ID, "country_id": "varchar(255)", "postcode": "varchar(255)", "telephone": "varchar(255)"}
        ),
        "customer_group": Table({"customer_group_id": ID, "customer_group_code": "varchar(32)", "tax_class_id": ID}),
        "newsletter_subscriber": Table(
            {"subscriber_id": ID, "store_id": SMALL, "customer_id": ID, "subscriber_email": "varchar(150)", "subscriber_status": "int"}
        ),
        "eav_attribute": Table({"attribute_id": SMALL, "entity_type_id": SMALL, "attribute_code": "varchar(255)"}),
        "eav_attribute_option_value": Table({"value_id": ID, "option_id": ID, "store_id": SMALL, "value": "varchar(255)"}),
        "catalog_product_entity": Table(
            {"entity_id": ID, "attribute_set_id": SMALL, "type_id": "varchar(32)", "sku": "varchar(64)", "created_at": TIME, "updated_at": TIME}
        ),
        "catalog_product_entity_varchar": make_eav("varchar(255)"),
        "catalog_product_entity_text": make_eav("mediumtext"),
        "catalog_product_entity_int": make_eav("int"),
        "catalog_product_entity_decimal": make_eav("decimal(20,6)"),
        "catalog_product_entity_datetime": make_eav("datetime"),
        "catalog_product_super_link": Table({"link_id": ID, "product_id": ID, "parent_id": ID}),
        "catalog_category_entity": Table({"entity_id": ID, "parent_id": ID, "path": "varchar(255)", "level": "int"}),
        "catalog_category_entity_varchar": make_eav("varchar(255)"),
        "catalog_category_product": Table({"entity_id": "int", "category_id": ID, "product_id": ID}),
        "cataloginventory_stock_item": Table(
            {
                "item_id": ID, "product_id": ID, "stock_id": SMALL, "qty": "decimal(12,4)", "is_in_stock": SMALL,
                "manage_stock": SMALL, "use_config_manage_stock": SMALL, "backorders": SMALL,
            }
        ),
        "review": Table({"review_id": "bigint unsigned", "created_at": TIME, "entity_id": SMALL, "entity_pk_value": ID, "status_id": SMALL}),
        "review_detail": Table({"detail_id": "bigint unsigned", "review_id": "bigint unsigned", "title": "varchar(255)", "detail": "text", "customer_id": ID}),
        "rating_option_vote": Table({"vote_id": "bigint unsigned", "review_id": "bigint unsigned", "value": "smallint", "percent": "smallint"}),
    }  # fmt: skip


class Shop:
    """Tables that are being filled."""

    def __init__(self) -> None:
        self.tables = make_empty()

    def add(self, table: str, **row: object) -> None:
        self.tables[table].rows.append(row)

    def set(self, number: int, store: int = 0, **values: object) -> None:
        """Attributes of a product, each in the table of its type."""
        for name, value in values.items():
            kind = {str: "varchar", float: "decimal", int: "int", datetime: "datetime"}[type(value)]
            kind = "text" if name == "description" else kind
            self.add(
                f"catalog_product_entity_{kind}",
                attribute_id=ATTRIBUTES[name],
                store_id=store,
                entity_id=number,
                value=value,
            )

    def add_product(
        self, number: int, kind: str, name: str, visibility: int = 4, status: int = 1, **values: object
    ) -> None:
        made = datetime(2024, 1, 1)
        self.add(
            "catalog_product_entity",
            entity_id=number,
            attribute_set_id=4,
            type_id=kind,
            sku=f"SKU-{number}",
            created_at=made,
            updated_at=made,
        )
        self.set(
            number,
            name=name,
            url_key=name.lower().replace(" ", "-"),
            visibility=visibility,
            status=status,
            **values,
        )

    def add_stock(self, number: int, units: int, in_stock: int = 1, backorders: int = 0) -> None:
        self.add(
            "cataloginventory_stock_item", product_id=number, stock_id=1, qty=units, is_in_stock=in_stock, manage_stock=0,
            use_config_manage_stock=1, backorders=backorders,
        )  # fmt: skip

    def add_order(
        self,
        number: int,
        customer: int | None,
        email: str,
        moment: datetime,
        total: float,
        state: str = "complete",
        **address: str,
    ) -> None:
        self.add(
            "sales_order", entity_id=number, state=state, status=state, store_id=1, customer_id=customer, customer_email=email,
            customer_is_guest=int(customer is None), grand_total=total, order_currency_code="EUR",
            increment_id=f"{number:09}", created_at=moment, updated_at=moment,
        )  # fmt: skip
        for kind, parts in [
            ("shipping", {"firstname": "Somebody", "lastname": "Else"}),
            ("billing", address),
        ]:
            self.add("sales_order_address", parent_id=number, address_type=kind, **parts)

    def add_item(
        self, order: int, product: int | None, name: str, gross: float, units: float = 1, discount: float = 0,
        kind: str = "simple", parent: int | None = None, canceled: float = 0,
    ) -> int:  # fmt: skip
        """A line of goods that cost `gross` with tax before `discount`, which is with tax, too; its number."""
        number = len(self.tables["sales_order_item"].rows) + 1
        paid = gross - discount
        self.add(
            "sales_order_item", item_id=number, order_id=order, parent_item_id=parent, product_id=product, product_type=kind,
            name=name, qty_ordered=units, qty_canceled=canceled, qty_refunded=0, price=gross / 1.2 / units,
            row_total=gross / 1.2, tax_amount=paid / 6, discount_amount=discount,
            # The tax within the discount, which the formula adds again.
            discount_tax_compensation_amount=discount / 6, row_total_incl_tax=gross,
            updated_at=self.tables["sales_order"].rows[-1]["updated_at"],
        )  # fmt: skip
        return number


def add_world(shop: Shop, world: World) -> None:
    for code, number in ATTRIBUTES.items():
        shop.add("eav_attribute", attribute_id=number, entity_type_id=4, attribute_code=code)
    shop.add("eav_attribute", attribute_id=CATEGORY_NAME, entity_type_id=3, attribute_code="name")
    for number, code in enumerate(["NOT LOGGED IN", "General", "Wholesale"]):
        shop.add("customer_group", customer_group_id=number, customer_group_code=code, tax_class_id=3)
    brands = sorted({product.brand for product in world.products})
    for number, brand in enumerate(brands):
        shop.add("eav_attribute_option_value", option_id=200 + number, store_id=0, value=brand)
        shop.add("eav_attribute_option_value", option_id=200 + number, store_id=1, value=brand.upper())
    places = [(1, "1", 0, "Root"), (2, "1/2", 1, "Default Category")]
    numbers: dict[str, int] = {}
    for product in world.products:
        for name, above in [(product.department, 2), (product.category, None)]:
            if name not in numbers:
                numbers[name] = len(places) + 1
                path = "1/2" if above else f"1/2/{numbers[product.department]}"
                places.append((numbers[name], f"{path}/{numbers[name]}", 2 if above else 3, name))
    for number, path, level, name in places:
        shop.add("catalog_category_entity", entity_id=number, parent_id=0, path=path, level=level)
        shop.add(
            "catalog_category_entity_varchar",
            attribute_id=CATEGORY_NAME,
            store_id=0,
            entity_id=number,
            value=name,
        )
    for product in world.products:
        number = 100 + product.number
        brand = 200 + brands.index(product.brand)
        price = {} if product.sizes else {"price": product.price, "cost": round(product.price / 2, 2)}
        shop.add_product(
            number, "configurable" if product.sizes else "simple", product.title, manufacturer=brand,
            image=f"/c/l/{product.handle}.jpg", description=f"<p>{product.title}</p>", **price,
        )  # fmt: skip
        if product.number == 3:  # it was made again in June
            shop.tables["catalog_product_entity"].rows[-1]["created_at"] = datetime(2025, 6, 1)
        # Another store calls it otherwise.
        shop.set(number, store=1, name=product.title.upper())
        for category in (product.department, product.category, "Default Category"):
            shop.add("catalog_category_product", category_id=numbers.get(category, 2), product_id=number)
        if not product.sizes:
            shop.add_stock(number, product.stock)
        for place, size in enumerate(product.sizes):
            child = 2000 + product.number * 10 + place
            shop.add_product(
                child, "simple", f"{product.title}-{size}", visibility=1, price=product.price + place
            )
            shop.add("catalog_product_super_link", product_id=child, parent_id=number)
            shop.add_stock(child, product.stock)
    for customer in world.customers:
        if customer.number % 10:
            shop.add(
                "customer_entity", entity_id=customer.number, website_id=1, email=customer.email, group_id=1,
                default_billing=customer.number, created_at=customer.joined_at.astimezone(UTC).replace(tzinfo=None),
                firstname=customer.first_name, lastname=customer.last_name, dob=customer.birth_date,
            )  # fmt: skip
            shop.add(
                "customer_address_entity",
                entity_id=customer.number,
                parent_id=customer.number,
                country_id=customer.country,
                postcode=customer.postcode,
                telephone=customer.phone,
            )
        if customer.opted_in or customer.number % 2:
            shop.add(
                "newsletter_subscriber", store_id=1, customer_id=customer.number if customer.number % 10 else 0,
                subscriber_email=customer.email, subscriber_status=1 if customer.opted_in else 2 + customer.number % 3,
            )  # fmt: skip
    for order in world.orders:
        number = 20_000 + order.number
        customer = order.customer
        shop.add_order(
            number,
            customer.number if customer.number % 10 else None,
            customer.email,
            order.ordered_at.replace(tzinfo=None),
            order.goods + order.shipping,
            firstname=customer.first_name,
            lastname=customer.last_name,
            postcode=customer.postcode,
            telephone=customer.phone,
            country_id=customer.country,
        )
        gross = sum(line.gross for line in order.lines)
        for line in order.lines:
            discount = order.discount * line.gross / gross
            kind = "configurable" if line.size else "simple"
            item = shop.add_item(
                number,
                100 + line.product.number,
                line.product.title,
                line.gross,
                line.quantity,
                discount,
                kind,
            )
            if line.size:
                child = 2000 + line.product.number * 10 + line.product.sizes.index(line.size)
                shop.add_item(
                    number, child, f"{line.product.title}-{line.size}", 0, line.quantity, parent=item
                )


def add_traps(shop: Shop) -> None:
    """Orders 29001 on, by the first customer on 2025-03-03 at noon UTC; prices are with their tax of a sixth."""
    email = "ben.brook1@example.com"
    # 10 of 100 off; postage of 5.
    shop.add_order(29001, 1, email, NOON, 95)
    shop.add_item(29001, 101, "Classic Coffee", 60, discount=6)
    shop.add_item(29001, 102, "Fresh Coffee", 40, discount=4)
    # One of three units came back a week later: of a variant, whose second row came back, too.
    shop.add_order(29002, 1, email, NOON, 90)
    item = shop.add_item(29002, 106, "Little Coffee", 90, 3, kind="configurable")
    child = shop.add_item(29002, 2060, "Little Coffee-S", 0, 3, parent=item)
    shop.add(
        "sales_creditmemo",
        entity_id=1,
        order_id=29002,
        grand_total=30,
        adjustment_positive=0,
        created_at=LATER,
        updated_at=LATER,
    )
    shop.add("sales_creditmemo_item", entity_id=1, parent_id=1, order_item_id=item, product_id=106, qty=1)
    shop.add("sales_creditmemo_item", entity_id=2, parent_id=1, order_item_id=child, product_id=2060, qty=1)
    # A quarter was paid back for the trouble.
    shop.add_order(29003, 1, email, NOON, 100)
    shop.add_item(29003, 101, "Classic Coffee", 100)
    shop.add(
        "sales_creditmemo",
        entity_id=2,
        order_id=29003,
        grand_total=25,
        adjustment_positive=25,
        created_at=LATER,
        updated_at=LATER,
    )
    # All of it was.
    shop.add_order(29004, 1, email, NOON, 60, "closed")
    item = shop.add_item(29004, 101, "Classic Coffee", 60)
    shop.add(
        "sales_creditmemo",
        entity_id=3,
        order_id=29004,
        grand_total=60,
        adjustment_positive=0,
        created_at=LATER,
        updated_at=LATER,
    )
    shop.add("sales_creditmemo_item", entity_id=3, parent_id=3, order_item_id=item, product_id=101, qty=1)
    # Two of three units were cancelled before they were sent.
    shop.add_order(29005, 1, email, NOON, 90)
    shop.add_item(29005, 101, "Classic Coffee", 90, 3, canceled=2)
    # A bundle whose price is on its parts.
    shop.add_order(29006, 1, email, NOON, 80)
    bundle = shop.add_item(29006, 101, "Coffee for two", 50, kind="bundle")
    shop.add_item(29006, 102, "Fresh Coffee", 50, discount=10, parent=bundle)
    shop.add_item(29006, 103, "Bold Coffee", 40, parent=bundle)
    # Guests: with the address of an account, with another, and none.
    shop.add_order(29007, None, "Ben.Brook1@Example.com", NOON, 60)
    shop.add_item(29007, 101, "Classic Coffee", 60)
    shop.add_order(
        29008,
        None,
        "Nobody@Example.com",
        NOON,
        60,
        firstname="Ada ",
        lastname="Bell",
        postcode="01067",
        telephone="0351 4880",
        country_id="DE",
    )
    shop.add_item(29008, 101, "Classic Coffee", 60)
    shop.add_order(29009, None, "", NOON, 25)
    shop.add_item(29009, 900, "Gift card", 25, kind="giftcard")
    # A variant that was ordered by itself, and what was deleted.
    shop.add_order(29010, 1, email, NOON, 70)
    shop.add_item(29010, 2061, "Little Coffee-M", 40)
    shop.add_item(29010, 77_000, "Old pan", 30)
    for number, state in [(29011, "new"), (29012, "holded"), (29013, "canceled"), (29014, "pending_payment")]:
        shop.add_order(number, 1, email, NOON, 60, state)
        shop.add_item(number, 101, "Classic Coffee", 60)


def make_magento(world: World | None = None, prefix: str = "") -> tuple[World, Tables]:
    world, shop = world or make_world(), Shop()
    add_world(shop, world)
    shop.add_product(900, "giftcard", "Gift card", price=25.0)
    shop.add_product(901, "simple", "Last summer", status=2, price=25.0)
    shop.set(
        101, special_price=20.0, special_from_date=datetime(2025, 5, 1), special_to_date=datetime(2025, 5, 10)
    )
    add_traps(shop)
    # The address of the third customer, who has not opted in, subscribed in one store and left in another.
    for store, status in [(1, 1), (2, 3)]:
        shop.add(
            "newsletter_subscriber",
            store_id=store,
            customer_id=0,
            subscriber_email="Dario.Dunn3@example.com",
            subscriber_status=status,
        )
    for number, (customer, status, votes) in enumerate(
        [(1, 1, [5, 4]), (None, 1, [5]), (1, 2, [1])], start=1
    ):
        shop.add(
            "review", review_id=number, created_at=NOON, entity_id=1, entity_pk_value=101, status_id=status
        )
        shop.add(
            "review_detail",
            detail_id=number,
            review_id=number,
            title="Good",
            detail="Very good.",
            customer_id=customer,
        )
        for vote in votes:
            shop.add("rating_option_vote", review_id=number, value=vote, percent=vote * 20)
    return world, {prefix + name: table for name, table in shop.tables.items()}
