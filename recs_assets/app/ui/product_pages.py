"""The pages about products."""

from __future__ import annotations

from recs_assets.app.ui.page import Page, Shown
from recs_assets.app.ui.state import State
from recs_assets.views import products, rules, similar, together
from recs_assets.views.desk import Look, MissingError


def read_together(look: Look, state: State) -> Shown:
    cart = state.choices("cart")[:10]
    if not cart and (drawn := products.draw_product(look)):
        cart = [drawn]
    if not cart:
        raise MissingError(
            f"No two products were bought together often enough in the week {look.week}: there are no rules to show."
        )
    rows = together.list_together(look, cart)
    gaps = together.list_gaps(look, cart, [row["product_id"] for row in rows])
    none = {"same_day": None, "median_days": None, "later": None}
    table = [{**row, **{name: gaps.get(row["product_id"], none)[name] for name in none}} for row in rows]
    names = look.products(cart)
    values = {
        "cart": [names.get(product, {"product_id": product, "product_name": None}) for product in cart],
        "rows": table,
        "search": state.text("q"),
        "found": products.search_products(look, state.text("q")) if state.text("q") else [],
    }
    notes = [] if rows else ["Nothing follows from these products: they were bought with others too rarely."]
    return Shown(values, table, notes)


def read_similar(look: Look, state: State) -> Shown:
    kind = state.choice("kind", list(similar.KINDS))
    category, product = state.text("category"), state.text("product")
    if not category and not product:
        product = products.draw_product(look) or ""
    if product:
        ids = [product, *similar.list_neighbours(look, product, kind)]
    else:
        ids = similar.list_of_category(look, category)
    facets = similar.load_facets(look, ids)
    ids = [one for one in ids if one in facets]
    matrix = similar.load_matrix(look, ids, kind)
    first = facets.get(ids[0]) if ids else None
    table = [
        {
            "product_id": one,
            "product_name": facets[one]["product_name"],
            "category": facets[one]["category"],
            "brand": facets[one]["brand"],
            "similarity": matrix[0][at] if matrix else None,
            "shared": "; ".join(similar.share_facets(first, facets[one])),
        }
        for at, one in enumerate(ids)
        if at and first
    ]
    values = {
        "kind": kind,
        "kinds": list(similar.KINDS),
        "category": category,
        "categories": products.list_categories(look),
        "product": product,
        "first": first,
        "ids": ids,
        "facets": facets,
        "matrix": matrix,
        "rows": table,
        "search": state.text("q"),
        "found": products.search_products(look, state.text("q")) if state.text("q") else [],
    }
    notes = []
    if not matrix:
        notes.append(
            f"The week {look.week} keeps no vectors of products ({similar.KINDS[kind][0]}): run it again."
        )
    elif len(ids) < 2:
        notes.append(
            "Nothing is known to be like this product: choose another one, or the other kind of likeness."
        )
    return Shown(values, table, notes)


def read_rules(look: Look, state: State) -> Shown:
    wanted = rules.Filter(
        support=state.number("support", 0, 0, 1),
        most_support=state.number("most_support", 1, 0, 1),
        confidence=state.number("confidence", 0, 0, 1),
        most_confidence=state.number("most_confidence", 1, 0, 1),
        lift=state.number("lift", 0, 0, 1e9),
        category=state.text("category"),
        text=state.text("q"),
    )
    order = state.choice("order", list(rules.ORDERS))
    count = rules.count_rules(look, wanted)
    if not count["all_rules"]:
        raise MissingError(
            f"The week {look.week} has no association rules: too few baskets hold two products. They come with the next "
            "week that has enough of them."
        )
    rows = rules.list_rules(look, wanted, order, state.count("rows", 50, 10, 500))
    values = {
        "wanted": wanted,
        "order": order,
        "orders": list(rules.ORDERS),
        "count": count,
        "cells": rules.bin_rules(look, wanted),
        "rows": rows,
        "categories": products.list_categories(look),
    }
    return Shown(values, rows, [] if rows else ["No rule passes these filters: loosen one of them."])


TOGETHER = Page(
    "together",
    "Bought together",
    "What goes with a product or a cart, how surely, and how many days apart.",
    read_together,
)
SIMILAR = Page(
    "similar", "Similarity", "Which products are alike, how much, and what they share.", read_similar
)
RULES = Page(
    "rules", "Rules explorer", "All association rules of the week, to filter and to sort.", read_rules
)
