"""A WooCommerce shop as CSV: its own product export, and the orders of Advanced Order Export, one row per product."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from helpers.platforms.shopify import Row, write_csv
from helpers.platforms.world import Order, World, make_world

ORDER_COLUMNS = [
    "Order Number", "Order Status", "Order Date", "Customer Note", "First Name (Billing)", "Last Name (Billing)",
    "Company (Billing)", "Address 1&2 (Billing)", "City (Billing)", "State Code (Billing)", "Postcode (Billing)",
    "Country Code (Billing)", "Email (Billing)", "Phone (Billing)", "First Name (Shipping)", "Last Name (Shipping)",
    "Address 1&2 (Shipping)", "City (Shipping)", "State Code (Shipping)", "Postcode (Shipping)",
    "Country Code (Shipping)", "Payment Method Title", "Cart Discount Amount", "Order Subtotal Amount",
    "Shipping Method Title", "Order Shipping Amount", "Order Refund Amount", "Order Total Amount",
    "Order Total Tax Amount", "SKU", "Item #", "Item Name", "Quantity (- Refund)", "Item Cost", "Coupon Code",
    "Discount Amount", "Discount Amount Tax",
]  # fmt: skip
PRODUCT_COLUMNS = [
    "ID", "Type", "SKU", "GTIN, UPC, EAN, or ISBN", "Name", "Published", "Is featured?", "Visibility in catalog",
    "Short description", "Description", "Date sale price starts", "Date sale price ends", "Tax status", "Tax class",
    "In stock?", "Stock", "Low stock amount", "Backorders allowed?", "Sold individually?", "Weight (kg)", "Length (cm)",
    "Width (cm)", "Height (cm)", "Allow customer reviews?", "Purchase note", "Sale price", "Regular price", "Categories",
    "Tags", "Shipping class", "Images", "Download limit", "Download expiry days", "Parent", "Grouped products", "Upsells",
    "Cross-sells", "External URL", "Button text", "Position", "Brands", "Attribute 1 name", "Attribute 1 value(s)",
    "Attribute 1 visible", "Attribute 1 global",
]  # fmt: skip


def make_order_rows(order: Order) -> list[Row]:
    gross = sum(line.gross for line in order.lines)
    # A sixth of what is paid is tax; the file has prices and discounts without it.
    head: Row = {
        "Order Number": order.number, "Order Status": "Completed",
        "Order Date": (order.ordered_at + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M"),
        "First Name (Billing)": order.customer.first_name, "Last Name (Billing)": order.customer.last_name,
        "Country Code (Billing)": order.customer.country, "Email (Billing)": order.customer.email,
        "Phone (Billing)": order.customer.phone, "Postcode (Billing)": order.customer.postcode,
        "Cart Discount Amount": order.discount / 1.2,
        "Order Subtotal Amount": gross / 1.2, "Order Shipping Amount": order.shipping / 1.2, "Order Refund Amount": 0,
        "Order Total Amount": round(order.goods + order.shipping, 2),
        "Order Total Tax Amount": (order.goods + order.shipping) / 6,
    }  # fmt: skip
    return [
        head
        | {
            "SKU": "" if line.product.category == "Candles" else line.product.sku(line.size), "Item #": place,
            "Item Name": line.product.title + (f" - {line.size}" if line.size else ""),
            "Quantity (- Refund)": line.quantity,
            "Item Cost": line.product.price / 1.2 * (1 - order.discount / gross),
        }
        for place, line in enumerate(order.lines, start=1)
    ]  # fmt: skip


def make_product_rows(world: World) -> list[Row]:
    rows: list[Row] = []
    for product in world.products:
        parent: Row = {
            "ID": 100 + product.number, "Type": "variable" if product.sizes else "simple", "SKU": product.sku(None),
            "Name": product.title, "Published": 1, "Visibility in catalog": "visible", "Description": f"<p>{product.title}</p>",
            "In stock?": 1, "Stock": "" if product.sizes else product.stock, "Backorders allowed?": 0,
            "Regular price": "" if product.sizes else product.price, "Brands": product.brand,
            "Categories": f"{product.department} > {product.category}, New",
            "Images": f"https://shop.example.com/{product.handle}.jpg, https://shop.example.com/2.jpg",
        }  # fmt: skip
        rows.append(parent)
        rows += [
            {
                "ID": 1000 + product.number * 10 + place, "Type": "variation", "SKU": product.sku(size),
                "Name": f"{product.title} - {size}", "Published": 1, "In stock?": 1, "Stock": product.stock,
                "Backorders allowed?": 0, "Regular price": product.price,
                "Parent": f"id:{100 + product.number}" if place else product.sku(None),
            }
            for place, size in enumerate(product.sizes)
        ]  # fmt: skip
    rows[0] |= {
        "Sale price": 20,
        "Date sale price starts": "2025-05-01",
        "Date sale price ends": "2025-05-10",
    }
    rows[1] |= {"In stock?": 0}
    rows[2] |= {"Backorders allowed?": "notify"}
    plain = dict(rows[0]) | {"Sale price": "", "Date sale price starts": "", "Date sale price ends": ""}
    return [
        *rows,
        plain
        | {"ID": 900, "SKU": "GIFT", "Name": "Gift card", "Categories": "Gift Cards", "Type": "gift-card"},
        plain | {"ID": 901, "SKU": "DRAFT", "Name": "Next summer", "Published": -1},
    ]


def make_trap_rows() -> list[Row]:
    """Orders 9001 on, all by the first customer on 2025-03-03; 20 % tax, so that goods of 60 without it cost 72."""

    def line(number: int, place: int, item: str, cost: float, quantity: float = 1, **more: object) -> Row:
        return {
            "Order Number": number, "Order Status": "Completed", "Order Date": "2025-03-03 10:00",
            "Email (Billing)": "Ben.Brook1@Example.com", "Country Code (Billing)": "AT", "Cart Discount Amount": 0,
            "Order Subtotal Amount": 100, "Order Shipping Amount": 0, "Order Refund Amount": 0, "Order Total Amount": 120,
            "Order Total Tax Amount": 20, "Item #": place, "Item Name": item, "Quantity (- Refund)": quantity,
            "Item Cost": cost, **more,
        }  # fmt: skip

    discount = {"Cart Discount Amount": 10, "Order Total Amount": 108, "Order Total Tax Amount": 18}
    back = {"Order Refund Amount": 48}
    return [
        # A tenth off, which `Item Cost` leaves out as some versions of the plugin do.
        line(9001, 1, "Classic Coffee", 60, SKU="SKU-001", **discount),
        line(9001, 2, "Fresh Coffee", 40, SKU="SKU-002", **discount),
        # Of two units of 40 one came back, for 48 with tax.
        line(9002, 1, "Classic Coffee", 20, SKU="SKU-001", **back),
        line(9002, 2, "Fresh Coffee", 40, SKU="SKU-002", **back),
        # 30 of 120 came back without goods.
        line(9003, 1, "Classic Coffee", 60, SKU="SKU-001", **{"Order Refund Amount": 30}),
        line(9003, 2, "Fresh Coffee", 40, SKU="SKU-002", **{"Order Refund Amount": 30}),
        # All of a line came back.
        line(9004, 1, "Classic Coffee", 60, 0, SKU="SKU-001", **{"Order Refund Amount": 72}),
        line(9004, 2, "Fresh Coffee", 40, SKU="SKU-002", **{"Order Refund Amount": 72}),
        # Without an address.
        line(9005, 1, "Gift card", 100, SKU="GIFT", **{"Email (Billing)": "", "Order Total Tax Amount": 0, "Order Total Amount": 100}),
        line(9006, 1, "Classic Coffee", 100, SKU="SKU-001", **{"Order Status": "Pending payment"}),
        line(9007, 1, "Classic Coffee", 100, SKU="SKU-001", **{"Order Status": "On hold"}),
        line(9008, 1, "Classic Coffee", 100, SKU="SKU-001", **{"Order Status": "Refunded", "Order Refund Amount": 120}),
        # Neither is in the catalogue.
        line(9009, 1, "Old pan", 60, SKU="OLD-1"),
        line(9009, 2, "Repair", 40),
    ]  # fmt: skip


def write_woocommerce_csv(folder: Path) -> World:
    """Two files of orders (the first ten orders in both, still being processed in the first) and one of products."""
    world = make_world()
    orders = [make_order_rows(order) for order in world.orders]
    early = [row | {"Order Status": "Processing"} for rows in orders[:10] for row in rows]
    write_csv(
        folder / "orders-2025-05-31.csv",
        ORDER_COLUMNS,
        [*early, *(row for rows in orders[10:] for row in rows)],
    )
    write_csv(
        folder / "orders-2025-06-30.csv",
        ORDER_COLUMNS,
        [*(row for rows in orders[:10] for row in rows), *make_trap_rows()],
    )
    write_csv(
        folder / "wc-product-export-30-6-2025-1751299200000.csv", PRODUCT_COLUMNS, make_product_rows(world)
    )
    return world
