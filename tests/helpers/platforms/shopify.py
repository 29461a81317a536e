"""A Shopify shop's three exports, as the admin writes them, with what goes wrong in real ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from helpers.platforms.world import Order, World, make_world

BERLIN = ZoneInfo("Europe/Berlin")

ORDER_COLUMNS = [
    "Name", "Email", "Financial Status", "Paid at", "Fulfillment Status", "Fulfilled at", "Accepts Marketing",
    "Currency", "Subtotal", "Shipping", "Taxes", "Total", "Discount Code", "Discount Amount", "Shipping Method",
    "Created at", "Lineitem quantity", "Lineitem name", "Lineitem price", "Lineitem compare at price",
    "Lineitem sku", "Lineitem requires shipping", "Lineitem taxable", "Lineitem fulfillment status",
    "Billing Name", "Billing Street", "Billing Address1", "Billing Address2", "Billing Company", "Billing City",
    "Billing Zip", "Billing Province", "Billing Country", "Billing Phone", "Shipping Name", "Shipping Street",
    "Shipping Address1", "Shipping Address2", "Shipping Company", "Shipping City", "Shipping Zip",
    "Shipping Province", "Shipping Country", "Shipping Phone", "Notes", "Note Attributes", "Cancelled at",
    "Payment Method", "Payment Reference", "Refunded Amount", "Vendor", "Outstanding Balance", "Employee",
    "Location", "Device ID", "Id", "Tags", "Risk Level", "Source", "Lineitem discount", "Tax 1 Name",
    "Tax 1 Value", "Tax 2 Name", "Tax 2 Value", "Tax 3 Name", "Tax 3 Value", "Tax 4 Name", "Tax 4 Value",
    "Tax 5 Name", "Tax 5 Value", "Phone", "Receipt Number", "Duties", "Billing Province Name",
    "Shipping Province Name", "Payment ID", "Payment Terms Name", "Next Payment Due At", "Payment References",
]  # fmt: skip
PRODUCT_COLUMNS = [
    "Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published", "Option1 Name",
    "Option1 Value", "Option1 Linked To", "Option2 Name", "Option2 Value", "Option2 Linked To", "Option3 Name",
    "Option3 Value", "Option3 Linked To", "Variant SKU", "Variant Grams", "Variant Inventory Tracker",
    "Variant Inventory Qty", "Variant Inventory Policy", "Variant Fulfillment Service", "Variant Price",
    "Variant Compare At Price", "Variant Requires Shipping", "Variant Taxable", "Variant Barcode", "Image Src",
    "Image Position", "Image Alt Text", "Gift Card", "SEO Title", "SEO Description", "Variant Image",
    "Variant Weight Unit", "Variant Tax Code", "Cost per item", "Status",
]  # fmt: skip
CUSTOMER_COLUMNS = [
    "Customer ID", "First Name", "Last Name", "Email", "Accepts Email Marketing", "Default Address Company",
    "Default Address Address1", "Default Address Address2", "Default Address City",
    "Default Address Province Code", "Default Address Country Code", "Default Address Zip",
    "Default Address Phone", "Phone", "Accepts SMS Marketing", "Total Spent", "Total Orders", "Note",
    "Tax Exempt", "Tags",
]  # fmt: skip

Row = dict[str, object]


def customer_id(number: int) -> str:
    return str(7_000_000_000_000 + number)


def write_time(moment: datetime) -> str:
    return moment.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S %z")


def make_order_rows(order: Order) -> list[Row]:
    """One row per line; what is of the order stands on the first one alone."""
    rows: list[Row] = []
    for line in order.lines:
        name = line.product.title + (f" - {line.size}" if line.size else "")
        # A shop that never gave its candles an SKU.
        sku = "" if line.product.category == "Candles" else line.product.sku(line.size)
        rows.append(
            {
                "Name": f"#{order.number}", "Email": order.customer.email, "Created at": write_time(order.ordered_at),
                "Lineitem quantity": line.quantity, "Lineitem name": name, "Lineitem price": line.product.price,
                "Lineitem sku": sku, "Lineitem requires shipping": "true", "Lineitem taxable": "true",
                "Lineitem fulfillment status": "fulfilled", "Lineitem discount": "0.00", "Vendor": line.product.brand,
            }
        )  # fmt: skip
    total = round(order.goods + order.shipping, 2)
    rows[0] |= {
        "Financial Status": "paid", "Paid at": write_time(order.ordered_at), "Fulfillment Status": "fulfilled",
        "Accepts Marketing": "yes" if order.customer.opted_in else "no", "Currency": "EUR", "Subtotal": order.goods,
        "Shipping": order.shipping, "Taxes": round(total / 6, 2), "Total": total, "Discount Amount": order.discount,
        "Discount Code": "TEN" if order.discount else "", "Payment Method": "Shopify Payments",
        "Refunded Amount": "0.00", "Outstanding Balance": "0.00", "Id": 5_000_000_000_000 + order.number,
        "Source": "web", "Phone": f"'{order.customer.phone}", "Billing Country": order.customer.country,
        "Billing Name": f"{order.customer.first_name} {order.customer.last_name}", "Billing Zip": f"'{order.customer.postcode}",
    }  # fmt: skip
    return rows


def make_product_rows(world: World) -> list[Row]:
    rows: list[Row] = []
    for product in world.products:
        first: Row = {
            "Title": product.title, "Body (HTML)": f"<p>{product.title} by {product.brand}</p>", "Vendor": product.brand,
            "Product Category": f"Home & Garden > {product.department} > {product.category}", "Type": product.category,
            "Tags": "sale, new", "Published": "true", "Gift Card": "false", "Status": "active",
            "Option1 Name": "Size" if product.sizes else "Title", "Image Position": 1,
            "Image Src": f"https://cdn.example.com/{product.handle}.jpg",
        }  # fmt: skip
        for size in product.sizes or (None,):
            rows.append(
                first
                | {
                    "Handle": product.handle, "Option1 Value": size or "Default Title",
                    "Variant SKU": "" if product.category == "Candles" else product.sku(size),
                    "Variant Inventory Tracker": "shopify", "Variant Inventory Qty": product.stock,
                    "Variant Inventory Policy": "deny", "Variant Price": product.price,
                    "Cost per item": round(product.price / 2, 2),
                }
            )  # fmt: skip
            first = {}
        # A row that holds a further picture and nothing else.
        rows.append(
            {
                "Handle": product.handle,
                "Image Src": f"https://cdn.example.com/{product.handle}-2.jpg",
                "Image Position": 2,
            }
        )
    gift = dict(rows[0]) | {
        "Handle": "gift-card", "Title": "Gift card", "Type": "", "Product Category": "Gift Cards", "Gift Card": "true",
        "Option1 Name": "Denominations", "Option1 Value": "25", "Variant SKU": "", "Variant Price": 25,
        "Variant Inventory Tracker": "", "Variant Inventory Qty": 0, "Variant Inventory Policy": "continue",
    }  # fmt: skip
    draft = dict(rows[0]) | {
        "Handle": "next-summer", "Title": "Next summer", "Status": "draft", "Variant SKU": "SKU-900",
    }  # fmt: skip
    return [*rows, gift, draft]


def make_customer_rows(world: World) -> list[Row]:
    return [
        {
            "Customer ID": f"'{customer_id(customer.number)}", "First Name": customer.first_name,
            "Last Name": customer.last_name, "Email": customer.email.title() if customer.number % 9 == 0 else customer.email,
            "Accepts Email Marketing": "yes" if customer.opted_in else "no",
            "Default Address Country Code": customer.country, "Phone": f"'{customer.phone}",
            "Default Address Zip": f"'{customer.postcode}",
            "Accepts SMS Marketing": "no", "Total Spent": "0.00", "Total Orders": 0, "Tax Exempt": "no",
        }
        for customer in world.customers
    ]  # fmt: skip


def make_trap_rows() -> list[Row]:
    """Orders #9001 on, whose outcome a reader can work out; all of 2025-03-03 at 10:00 in Berlin."""
    order = {
        "Created at": "2025-03-03 10:00:00 +0100", "Financial Status": "paid", "Currency": "EUR",
        "Paid at": "2025-03-03 10:00:05 +0100", "Fulfillment Status": "fulfilled", "Accepts Marketing": "yes",
        "Payment Method": "Shopify Payments", "Refunded Amount": "0.00", "Discount Amount": "0.00",
        "Lineitem quantity": 1, "Lineitem taxable": "true", "Lineitem discount": "0.00",
        "Email": "ben.brook1@example.com", "Shipping": "0.00", "Taxes": "0.00",
    }  # fmt: skip

    def line(name: str, item: str, price: float, **more: object) -> Row:
        return {
            "Name": name, "Email": order["Email"], "Created at": order["Created at"], "Lineitem quantity": 1,
            "Lineitem name": item, "Lineitem price": price, "Lineitem taxable": "true", "Lineitem discount": "0.00", **more,
        }  # fmt: skip

    def head(name: str, item: str, price: float, **more: object) -> Row:
        return order | line(name, item, price, **more) | {"Email": more.get("Email", order["Email"])}

    money = "Subtotal", "Shipping", "Taxes", "Total"

    def paid(*amounts: float) -> Row:
        return dict(zip(money, amounts, strict=True))

    return [
        # 10 off goods of 100, by a line of 60 and one of 40; with postage of 5 and tax in all prices.
        head("#9001", "Classic Coffee", 60.0, **paid(90, 5, 15.83, 95), **{"Discount Amount": 10, "Lineitem sku": "SKU-001"}),
        line("#9001", "Fresh Coffee", 40.0, **{"Lineitem sku": "SKU-002"}),
        # A quarter of all that was paid came back.
        head("#9002", "Classic Coffee", 60.0, **paid(100, 0, 16.67, 100),
             **{"Financial Status": "partially_refunded", "Refunded Amount": 25, "Lineitem sku": "SKU-001"}),
        line("#9002", "Fresh Coffee", 40.0, **{"Lineitem sku": "SKU-002"}),
        # All of it did.
        head("#9003", "Classic Coffee", 60.0, **paid(60, 0, 10, 60),
             **{"Financial Status": "refunded", "Refunded Amount": 60, "Lineitem sku": "SKU-001"}),
        # The shop tries its checkout: by the gateway for tests, and by a tag.
        head("#9004", "Classic Coffee", 60.0, **paid(60, 0, 10, 60), **{"Payment Method": "bogus", "Lineitem sku": "SKU-001"}),
        head("#9005", "Classic Coffee", 60.0, **paid(60, 0, 10, 60), **{"Tags": "b2b, Test", "Lineitem sku": "SKU-001"}),
        # A gift card, sold at the till to somebody unknown.
        head("#9006", "Gift card - 25", 25.0, **paid(25, 0, 0, 25), **{"Email": "", "Source": "pos", "Lineitem taxable": "false"}),
        # Paid, then cancelled two days later and refunded.
        head("#9007", "Classic Coffee", 60.0, **paid(60, 0, 10, 60),
             **{"Cancelled at": "2025-03-05 09:00:00 +0100", "Financial Status": "refunded", "Refunded Amount": 60,
                "Lineitem sku": "SKU-001"}),
        # Not paid, and never.
        head("#9008", "Classic Coffee", 60.0, **paid(60, 0, 10, 60), **{"Financial Status": "pending", "Paid at": "", "Lineitem sku": "SKU-001"}),
        head("#9009", "Classic Coffee", 60.0, **paid(60, 0, 10, 60), **{"Financial Status": "voided", "Paid at": "", "Lineitem sku": "SKU-001"}),
        # Sold abroad: 16 of tax on top of goods of 100, none of it on the book.
        head("#9010", "Classic Coffee", 80.0, **paid(100, 10, 16, 126), **{"Lineitem sku": "SKU-001"}),
        line("#9010", "Little book", 20.0, **{"Lineitem taxable": "false", "Vendor": "Ostra", "Lineitem sku": "BOOK-1"}),
        # A tip of 8 beside goods of 60 with 10 of tax in them.
        head("#9014", "Classic Coffee", 60.0, **paid(60, 0, 10, 68), **{"Lineitem sku": "SKU-001"}),
        # Reduced from 30: the list price is the one crossed out. No SKU: found by its name.
        head("#9011", "Classic Candles", 24.0, **paid(24, 0, 4, 24), **{"Lineitem compare at price": 30}),
        # Somebody whom customers_export.csv does not have.
        head("#9012", "Fresh Coffee", 40.0, **paid(40, 0, 6.67, 40), **{"Email": "Nobody@Example.com", "Lineitem sku": "SKU-002", "Billing Name": "Ada Maria Bell", "Billing Zip": "'01067",
                "Billing Country": "DE", "Billing Phone": "'+49 351 4880"}),
        # Ordered by telephone: no address, and a number that is a customer's.
        head("#9013", "Fresh Coffee", 40.0, **paid(40, 0, 6.67, 40), **{"Email": "", "Phone": "'+49 30 0000002", "Lineitem sku": "SKU-002"}),
    ]  # fmt: skip


def write_csv(path: Path, columns: list[str], rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_shopify(folder: Path) -> World:
    """orders_export_1.csv and _2.csv (cut within order #9002, the first ten orders in both), and the other two."""
    world = make_world()
    orders = [make_order_rows(order) for order in world.orders]
    traps = make_trap_rows()
    cut = next(place for place, row in enumerate(traps) if row["Name"] == "#9002") + 1
    first = [row for rows in orders for row in rows] + traps[:cut]
    again = [row for rows in orders[:10] for row in rows]
    write_csv(folder / "orders_export_1.csv", ORDER_COLUMNS, first)
    write_csv(folder / "orders_export_2.csv", ORDER_COLUMNS, [*traps[cut:], *again])
    write_csv(folder / "products_export_1.csv", PRODUCT_COLUMNS, make_product_rows(world))
    write_csv(folder / "customers_export.csv", CUSTOMER_COLUMNS, make_customer_rows(world))
    return world
