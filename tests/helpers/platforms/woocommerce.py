"""The MySQL tables of a WooCommerce shop with HPOS; times are in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from helpers.platforms.tables import Table, Tables
from helpers.platforms.world import Line, World, make_world

ID, TEXT, TIME, MONEY = "bigint unsigned", "longtext", "datetime", "decimal(26,8)"
NOON = datetime(2025, 3, 3, 12)


def make_empty() -> dict[str, Table]:
    """The tables without rows; only some of the columns that a real site has and nobody reads."""
    meta = {"meta_key": "varchar(255)", "meta_value": TEXT}
    return {
        "wc_orders": Table(
            {
                "id": ID, "status": "varchar(20)", "currency": "varchar(10)", "type": "varchar(20)", "tax_amount": MONEY,
                "total_amount": MONEY, "customer_id": ID, "billing_email": "varchar(320)", "date_created_gmt": TIME,
                "date_updated_gmt": TIME, "parent_order_id": ID, "payment_method": "varchar(100)", "ip_address": "varchar(100)",
            }
        ),
        "wc_order_addresses": Table(
            {
                "id": ID, "order_id": ID, "address_type": "varchar(20)", "first_name": TEXT, "last_name": TEXT, "postcode": TEXT,
                "country": TEXT, "email": "varchar(320)", "phone": "varchar(100)",
            }
        ),
        "woocommerce_order_items": Table(
            {"order_item_id": ID, "order_item_name": TEXT, "order_item_type": "varchar(200)", "order_id": ID}
        ),
        "woocommerce_order_itemmeta": Table({"meta_id": ID, "order_item_id": ID, **meta}),
        "posts": Table(
            {
                "ID": ID, "post_author": ID, "post_date": TIME, "post_date_gmt": TIME, "post_content": TEXT, "post_title": TEXT,
                "post_excerpt": TEXT, "post_status": "varchar(20)", "post_name": "varchar(200)", "post_parent": ID,
                "guid": "varchar(255)", "post_type": "varchar(20)",
            }
        ),
        "postmeta": Table({"meta_id": ID, "post_id": ID, **meta}),
        "terms": Table({"term_id": ID, "name": "varchar(200)", "slug": "varchar(200)"}),
        "term_taxonomy": Table(
            {"term_taxonomy_id": ID, "term_id": ID, "taxonomy": "varchar(32)", "description": TEXT, "parent": ID, "count": "bigint"}
        ),
        "term_relationships": Table({"object_id": ID, "term_taxonomy_id": ID, "term_order": "int"}),
        "users": Table(
            {"ID": ID, "user_login": "varchar(60)", "user_pass": "varchar(255)", "user_email": "varchar(100)", "user_registered": TIME}
        ),
        "comments": Table(
            {
                "comment_ID": ID, "comment_post_ID": ID, "comment_author_email": "varchar(100)", "comment_date_gmt": TIME,
                "comment_content": TEXT, "comment_approved": "varchar(20)", "comment_type": "varchar(20)", "user_id": ID,
            }
        ),
        "commentmeta": Table({"meta_id": ID, "comment_id": ID, **meta}),
    }  # fmt: skip


class Shop:
    """Tables that are being filled."""

    def __init__(self) -> None:
        self.tables = make_empty()
        self.terms: dict[tuple[str, str], int] = {}

    def add(self, table: str, **row: object) -> None:
        self.tables[table].rows.append(row)

    def add_meta(self, table: str, key: str, owner: int, **meta: object) -> None:
        for name, value in meta.items():
            rows = self.tables[table].rows
            rows.append(
                {
                    "meta_id": len(rows) + 1,
                    key: owner,
                    "meta_key": f"_{name}" if name != "rating" else name,
                    "meta_value": value,
                }
            )

    def tag(self, product: int, taxonomy: str, name: str, parent: int = 0) -> int:
        """Relate a product to a term, which is made when it is new; the term's number."""
        if (taxonomy, name) not in self.terms:
            # A term and its place in a taxonomy have different numbers on an old site.
            number = self.terms[taxonomy, name] = len(self.terms) + 1
            self.add("terms", term_id=number, name=name, slug=name.lower())
            self.add(
                "term_taxonomy",
                term_taxonomy_id=number + 500,
                term_id=number,
                taxonomy=taxonomy,
                parent=parent,
                count=1,
            )
        number = self.terms[taxonomy, name]
        self.add("term_relationships", object_id=product, term_taxonomy_id=number + 500, term_order=0)
        return number

    def add_post(
        self, number: int, kind: str, title: str, status: str = "publish", parent: int = 0, **more: object
    ) -> None:
        made = datetime(2024, 1, 1)
        self.add(
            "posts", ID=number, post_author=1, post_date=made, post_date_gmt=made, post_title=title, post_excerpt="",
            post_content=f"<p>{title}</p>", post_status=status, post_name=title.lower().replace(" ", "-"), post_parent=parent,
            guid=f"https://shop.example.com/?p={number}", post_type=kind,
        )  # fmt: skip
        self.tables["posts"].rows[-1] |= more

    def add_order(
        self, number: int, customer: int, email: str, moment: datetime, total: float, status: str = "wc-completed",
        kind: str = "shop_order", parent: int = 0, country: str = "DE", **address: str,
    ) -> None:  # fmt: skip
        self.add(
            "wc_orders", id=number, status=status, currency="EUR", type=kind, tax_amount=round(total / 6, 8),
            total_amount=total, customer_id=customer, billing_email=email, date_created_gmt=moment,
            date_updated_gmt=moment, parent_order_id=parent, payment_method="stripe", ip_address="192.0.2.1",
        )  # fmt: skip
        for kind_of_address in ("billing", "shipping"):
            self.add(
                "wc_order_addresses",
                order_id=number,
                address_type=kind_of_address,
                country=country,
                email=email,
                **(
                    address
                    if kind_of_address == "billing"
                    else {"first_name": "Somebody", "last_name": "Else"}
                ),
            )

    def add_item(
        self, order: int, name: str, paid: float, product: int = 0, quantity: float = 1, full: float | None = None,
        kind: str = "line_item", variation: int = 0,
    ) -> None:  # fmt: skip
        number = len(self.tables["woocommerce_order_items"].rows) + 1
        self.add(
            "woocommerce_order_items",
            order_item_id=number,
            order_item_name=name,
            order_item_type=kind,
            order_id=order,
        )
        if kind == "line_item":
            full = paid if full is None else full
            self.add_meta(
                "woocommerce_order_itemmeta", "order_item_id", number, product_id=product, variation_id=variation,
                qty=quantity, line_subtotal=full / 1.2, line_subtotal_tax=full / 6, line_total=paid / 1.2, line_tax=paid / 6,
                line_tax_data="a:2:{}",
            )  # fmt: skip
        else:
            self.add_meta("woocommerce_order_itemmeta", "order_item_id", number, cost=paid)


def find_variation(line: Line) -> int:
    return 0 if line.size is None else 2000 + line.product.number * 10 + line.product.sizes.index(line.size)


def add_world(shop: Shop, world: World) -> None:
    for customer in world.customers:
        # Every tenth never opened an account.
        if customer.number % 10:
            shop.add(
                "users", ID=customer.number, user_login=customer.first_name, user_pass="x",
                user_email=customer.email, user_registered=customer.joined_at.astimezone(UTC).replace(tzinfo=None),
            )  # fmt: skip
    for product in world.products:
        number = 100 + product.number
        # The third was made again in June.
        again = {"post_date_gmt": datetime(2025, 6, 1)} if product.number == 3 else {}
        shop.add_post(number, "product", product.title, **again)
        shop.add_post(
            number + 5000,
            "attachment",
            "picture",
            "inherit",
            guid=f"https://shop.example.com/{product.handle}.jpg",
        )
        single = (
            {}
            if product.sizes
            else {
                "regular_price": product.price,
                "price": product.price,
                "manage_stock": "yes",
                "stock": product.stock,
            }
        )
        shop.add_meta(
            "postmeta",
            "post_id",
            number,
            sku=product.sku(None),
            thumbnail_id=number + 5000,
            stock_status="instock",
            backorders="no",
            **single,
        )
        for place, size in enumerate(product.sizes):
            shop.add_post(
                2000 + product.number * 10 + place,
                "product_variation",
                f"{product.title} - {size}",
                parent=number,
            )
            shop.add_meta(
                "postmeta", "post_id", 2000 + product.number * 10 + place, sku=product.sku(size), regular_price=product.price,
                price=product.price, manage_stock="yes", stock=product.stock, stock_status="instock", backorders="no",
            )  # fmt: skip
        parent = shop.tag(number, "product_cat", product.department)
        shop.tag(number, "product_cat", product.category, parent)
        shop.tag(number, "product_brand", product.brand)
        shop.tag(number, "product_type", "variable" if product.sizes else "simple")
    for order in world.orders:
        customer = order.customer
        moment = order.ordered_at.replace(tzinfo=None)
        number = 20_000 + order.number
        shop.add_order(
            number,
            customer.number if customer.number % 10 else 0,
            customer.email,
            moment,
            round(order.goods + order.shipping, 2),
            country=customer.country,
            first_name=customer.first_name,
            last_name=customer.last_name,
            postcode=customer.postcode,
            phone=customer.phone,
        )
        shop.add_post(number, "shop_order_placehold", "")
        gross = sum(line.gross for line in order.lines)
        for line in order.lines:
            shop.add_item(
                number, line.product.title, line.gross * (1 - order.discount / gross), 100 + line.product.number,
                line.quantity, line.gross, variation=find_variation(line),
            )  # fmt: skip
        shop.add_item(number, "Flat rate", order.shipping, kind="shipping")


def add_traps(shop: Shop) -> None:
    """Orders 29001 on, by the first customer on 2025-03-03 at noon UTC; what an item costs is with its tax of a sixth."""

    def order(
        number: int, total: float, customer: int = 1, email: str = "ben.brook1@example.com", **more: str
    ) -> None:
        shop.add_order(number, customer, email, NOON, total, **more)

    # A coupon took 10 of 100; postage and a fee are no goods.
    order(29001, 97)
    shop.add_item(29001, "Classic Coffee", 54, 101, full=60)
    shop.add_item(29001, "Fresh Coffee", 36, 102, full=40)
    shop.add_item(29001, "Post", 5, kind="shipping")
    shop.add_item(29001, "Card fee", 2, kind="fee")
    shop.add_item(29001, "TEN", 10, kind="coupon")
    # One of three units came back a week later.
    order(29002, 90)
    shop.add_item(29002, "Classic Coffee", 90, 101, 3)
    shop.add_order(29003, 0, "", datetime(2025, 3, 10, 9), -30, "wc-completed", "shop_order_refund", 29002)
    shop.add_item(29003, "Classic Coffee", -30, 101, -1)
    # A quarter was paid back for the trouble.
    order(29004, 100)
    shop.add_item(29004, "Classic Coffee", 60, 101)
    shop.add_item(29004, "Fresh Coffee", 40, 102)
    shop.add_order(29005, 0, "", datetime(2025, 3, 10, 9), -25, "wc-completed", "shop_order_refund", 29004)
    # All of it was.
    order(29006, 60, status="wc-refunded")
    shop.add_item(29006, "Classic Coffee", 60, 101)
    shop.add_order(29007, 0, "", datetime(2025, 3, 10, 9), -60, "wc-completed", "shop_order_refund", 29006)
    shop.add_item(29007, "Classic Coffee", -60, 101, -1)
    # Guests: one with the address of an account, one with another, one without.
    order(29008, 60, 0, "Ben.Brook1@Example.com")
    shop.add_item(29008, "Classic Coffee", 60, 101)
    order(
        29009,
        60,
        0,
        "Nobody@Example.com",
        first_name="Ada ",
        last_name="Bell",
        postcode="01067",
        phone="0351 4880",
    )
    shop.add_item(29009, "Classic Coffee", 60, 101)
    order(29010, 25, 0, "")
    shop.add_item(29010, "Gift card", 25, 900)
    # No purchases.
    for number, status in [
        (29011, "wc-pending"),
        (29012, "wc-on-hold"),
        (29013, "wc-failed"),
        (29014, "wc-cancelled"),
    ]:
        order(number, 60, status=status)
        shop.add_item(number, "Classic Coffee", 60, 101)
    order(29015, 60, status="wc-checkout-draft")
    shop.add_item(29015, "Classic Coffee", 60, 101)
    # Deleted from the catalogue: with and without its number.
    order(29016, 70)
    shop.add_item(29016, "Old pan", 40, 77_000)
    shop.add_item(29016, "Repair", 30, 0)


def make_woocommerce(world: World | None = None, prefix: str = "wp_") -> tuple[World, Tables]:
    world, shop = world or make_world(), Shop()
    add_world(shop, world)
    shop.add_post(900, "product", "Gift card")
    shop.add_meta("postmeta", "post_id", 900, price=25, stock_status="instock", manage_stock="no")
    shop.tag(900, "product_type", "gift-card")
    shop.add_post(901, "product", "Next summer", "draft")
    # A price for the first ten days of May; midnight in UTC.
    shop.add_meta(
        "postmeta",
        "post_id",
        101,
        sale_price=20,
        sale_price_dates_from=1746057600,
        sale_price_dates_to=1746921599,
    )
    add_traps(shop)
    for number, (email, user, approved, kind) in enumerate(
        [
            ("ben.brook1@example.com", 1, "1", "review"),
            ("nobody@example.com", 0, "1", "review"),
            ("stranger@example.com", 0, "1", "review"),
            ("spam@example.com", 1, "spam", "review"),
            ("ben.brook1@example.com", 1, "1", "comment"),
        ],
        start=1,
    ):
        shop.add(
            "comments", comment_ID=number, comment_post_ID=101, comment_author_email=email, comment_date_gmt=NOON,
            comment_content="Good.", comment_approved=approved, comment_type=kind, user_id=user,
        )  # fmt: skip
        shop.add_meta("commentmeta", "comment_id", number, rating=5 - number % 2)
    return world, {prefix + name: table for name, table in shop.tables.items()}
