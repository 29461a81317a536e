"""The same Shopify shop by three bulk operations: a JSON object per line, children with the id of their parent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from helpers.platforms.world import Line, Order, World, make_world

Node = dict[str, object]
GID = "gid://shopify"


def write_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount: float) -> Node:
    return {"shopMoney": {"amount": f"{amount:.2f}"}}


def product_id(number: int) -> str:
    return f"{GID}/Product/{8_000 + number}"


def make_line(parent: str, number: int, line: Line, discount: float) -> Node:
    paid = line.gross - discount
    return {
        "id": f"{GID}/LineItem/{number}", "title": line.product.title, "sku": line.product.sku(line.size),
        "vendor": line.product.brand, "quantity": line.quantity, "currentQuantity": line.quantity,
        "product": {"id": product_id(line.product.number)}, "originalTotalSet": money(line.gross),
        "discountAllocations": [{"allocatedAmountSet": money(discount)}] if discount else [],
        "taxLines": [{"priceSet": money(paid / 6)}], "__parentId": parent,
    }  # fmt: skip


def make_order(order: Order) -> list[Node]:
    parent = f"{GID}/Order/{order.number}"
    head = {
        "id": parent, "name": f"#{order.number}", "createdAt": write_time(order.ordered_at),
        "updatedAt": write_time(order.ordered_at), "cancelledAt": None, "test": False, "currencyCode": "EUR",
        "displayFinancialStatus": "PAID", "taxesIncluded": True,
        "customer": {"id": f"{GID}/Customer/{order.customer.number}"}, "refunds": [],
    }  # fmt: skip
    gross = sum(line.gross for line in order.lines)
    left, lines = order.discount, []
    for place, line in enumerate(order.lines):
        last = place == len(order.lines) - 1
        discount = round(left, 2) if last else round(order.discount * line.gross / gross, 2)
        left -= discount
        lines.append(make_line(parent, order.number * 100 + place, line, discount))
    return [head, *lines]


def make_products(world: World) -> list[Node]:
    nodes: list[Node] = []
    for product in world.products:
        parent = product_id(product.number)
        nodes.append(
            {
                "id": parent, "title": product.title, "handle": product.handle, "vendor": product.brand,
                "productType": product.category, "status": "ACTIVE", "isGiftCard": False, "tags": ["new"],
                "category": {"fullName": f"Home & Garden > {product.department} > {product.category}"},
                "descriptionHtml": f"<p>{product.title}</p>", # The third was made again in June.
                "createdAt": f"{'2025-06' if product.number == 3 else '2024-01'}-01T00:00:00Z",
                "featuredMedia": {"preview": {"image": {"url": f"https://cdn.example.com/{product.handle}.jpg"}}},
                "onlineStoreUrl": f"https://shop.example.com/products/{product.handle}",
            }
        )  # fmt: skip
        nodes += [
            {
                "id": f"{GID}/ProductVariant/{product.number * 10 + place}", "sku": product.sku(size),
                "price": f"{product.price:.2f}", "inventoryQuantity": product.stock, "inventoryPolicy": "DENY",
                "inventoryItem": {"tracked": True, "unitCost": {"amount": f"{product.price / 2:.2f}"}}, "__parentId": parent,
            }
            for place, size in enumerate(product.sizes or (None,))
        ]  # fmt: skip
    gift = dict(nodes[0]) | {
        "id": product_id(900),
        "title": "Gift card",
        "isGiftCard": True,
        "productType": "",
    }
    archived = dict(nodes[0]) | {"id": product_id(901), "title": "Last summer", "status": "ARCHIVED"}
    return [*nodes, gift, archived]


def make_customers(world: World) -> list[Node]:
    return [
        {
            "id": f"{GID}/Customer/{customer.number}", "createdAt": write_time(customer.joined_at),
            "defaultEmailAddress": {
                "emailAddress": customer.email,
                "marketingState": "SUBSCRIBED" if customer.opted_in else ["UNSUBSCRIBED", "NOT_SUBSCRIBED", "PENDING"][customer.number % 3],
            },
            "firstName": customer.first_name, "lastName": customer.last_name, "locale": "de",
            # Whose number ends in 0 has it at their address alone.
            "defaultPhoneNumber": {"phoneNumber": customer.phone} if customer.number % 10 else None,
            "defaultAddress": {"countryCodeV2": customer.country, "zip": customer.postcode, "phone": customer.phone},
        }
        for customer in world.customers
    ]  # fmt: skip


def make_traps() -> list[Node]:
    """Orders 9001 on, of customer 1, whose outcome a reader can work out; all of 2025-03-03 at 10:00."""

    def head(number: int, **more: object) -> Node:
        return {
            "id": f"{GID}/Order/{number}", "createdAt": "2025-03-03T10:00:00Z", "updatedAt": "2025-03-03T10:00:00Z",
            "cancelledAt": None, "test": False, "currencyCode": "EUR", "displayFinancialStatus": "PAID",
            "taxesIncluded": True, "customer": {"id": f"{GID}/Customer/1"}, "refunds": [], **more,
        }  # fmt: skip

    def line(
        order: int, place: int, product: int | None, amount: float, units: int = 1, **more: object
    ) -> Node:
        return {
            "id": f"{GID}/LineItem/{order * 100 + place}", "title": "Thing", "sku": "", "vendor": "Ostra", "quantity": units,
            "currentQuantity": units, "product": product and {"id": product_id(product)}, "originalTotalSet": money(amount),
            "discountAllocations": [], "taxLines": [], "__parentId": f"{GID}/Order/{order}", **more,
        }  # fmt: skip

    refund = {"refunds": [{"createdAt": "2025-03-10T12:00:00Z"}]}
    tax = {"taxLines": [{"priceSet": money(5)}, {"priceSet": money(2)}]}
    return [
        # The children stand before their parent. Two discounts of 6 and 4; tax in the prices.
        line(9001, 0, 1, 60, discountAllocations=[{"allocatedAmountSet": money(6)}, {"allocatedAmountSet": money(4)}], **tax),
        head(9001),
        # One unit of three came back a week later.
        head(9002, displayFinancialStatus="PARTIALLY_REFUNDED", **refund),
        line(9002, 0, 1, 90, 3, currentQuantity=2),
        # All of it did.
        head(9003, displayFinancialStatus="REFUNDED", **refund),
        line(9003, 0, 1, 60, currentQuantity=0),
        # A test of the shop's own.
        head(9004, test=True),
        line(9004, 0, 1, 60),
        # A gift card, by a guest.
        head(9006, customer=None),
        line(9006, 0, 900, 25),
        # Cancelled after two days.
        head(9007, displayFinancialStatus="REFUNDED", cancelledAt="2025-03-05T08:00:00Z", **refund),
        line(9007, 0, 1, 60, currentQuantity=0),
        # Taxes of 5 and 2 on top.
        head(9010, taxesIncluded=False),
        line(9010, 0, 1, 80, **tax),
        # No product of the catalogue: one that was made up at the till, one that was deleted.
        head(9011),
        line(9011, 0, None, 24, title="Repair"),
        line(9011, 1, 77_000, 10, title="Old pan"),
        # One of two units was taken out before anything was paid.
        head(9012),
        line(9012, 0, 1, 80, 2, currentQuantity=1),
    ]  # fmt: skip


def write_lines(path: Path, nodes: Iterable[Node]) -> None:
    path.write_text("".join(json.dumps(node) + "\n" for node in nodes))


def write_shopify_bulk(folder: Path) -> World:
    """bulk_orders_1.jsonl and _2.jsonl (the first ten orders in both), bulk_products.jsonl and bulk_customers.jsonl."""
    world = make_world()
    orders = [make_order(order) for order in world.orders]
    write_lines(folder / "bulk_orders_1.jsonl", [node for nodes in orders for node in nodes])
    write_lines(
        folder / "bulk_orders_2.jsonl", [*make_traps(), *(node for nodes in orders[:10] for node in nodes)]
    )
    write_lines(folder / "bulk_products.jsonl", make_products(world))
    write_lines(folder / "bulk_customers.jsonl", make_customers(world))
    return world
