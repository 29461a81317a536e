"""The SQL of the tables that a shop may have: reviews, events, searches, stock, returns, promotions, consents."""

from __future__ import annotations

from recs_assets.discovery.roles import Role
from recs_assets.discovery.sql_parts import (
    Roles,
    join_parts,
    list_texts,
    order_owner,
    remark,
    write_key_of,
    write_number_of,
    write_select,
    write_text_of,
    write_time_of,
)
from recs_assets.sql_text import quote_text

_EVENTS = {
    "view": ("view", "views", "product_view", "view_item", "pageview", "page_view", "detail", "productview", "click", "ansicht", "vue", "vista", "bekeken"),
    "add_to_cart": ("add_to_cart", "addtocart", "cart", "add to cart", "add", "basket", "warenkorb", "panier", "carrito", "carrello", "winkelwagen"),
    "add_to_wishlist": ("add_to_wishlist", "wishlist", "addtowishlist", "favorite", "favourite", "merkzettel", "like"),
}  # fmt: skip


def write_reviews(roles: Roles) -> str | None:
    role = roles.get("reviews")
    if role is None or not role.has("customer_id", "product_id", "rating", "reviewed_at"):
        return None
    columns = [
        f"{_number_of_row(role, 'review_id')} as review_id",
        f"{write_key_of(role, 'customer_id')} as customer_id",
        f"{write_key_of(role, 'product_id')} as product_id",
        f"{write_number_of(role, 'rating')} as rating",
        f"{write_time_of(role, 'reviewed_at')} as reviewed_at",
        *list_texts(role, "title", "body"),
    ]
    return _write_draft(role, "Reviews", columns)


def _write_draft(role: Role, what: str, columns: list[str], question: str = "") -> str:
    """The SELECT of a table, below what it is, a question if there is one, and how its columns were found."""
    return join_parts(
        f"-- {what} of {role.table.name}; {role.sure:.2f} sure.",
        question,
        remark(role, *role.guesses),
        write_select(columns, role.table.relation),
    )


def _customer_if_known(role: Role) -> str:
    return write_key_of(role, "customer_id") if role.has("customer_id") else "null::varchar"


def _number_of_row(role: Role, name: str) -> str:
    """SQL of a row's own id: its column, or its place among the rows."""
    if role.has(name) and role.guesses[name].column.is_unique:
        return write_key_of(role, name)
    by = ", ".join(dict.fromkeys(role.name(other) for other in role.guesses))
    return f"row_number() over (order by {by})::varchar"


def write_events(roles: Roles) -> str | None:
    role = roles.get("browsing_events")
    if role is None:
        return None
    kind = f"lower(trim({write_text_of(role, 'event_type')}))"
    cases = "\n".join(
        f"        when {kind} in ({', '.join(map(quote_text, words))}) then '{name}'"
        for name, words in _EVENTS.items()
    )
    columns = [
        f"{_number_of_row(role, 'event_id')} as event_id",
        f"{_customer_if_known(role)} as customer_id",
        f"{write_key_of(role, 'product_id')} as product_id",
        f"case\n{cases}\n        else {kind}\n    end as event_type",
        f"{write_time_of(role, 'occurred_at')} as occurred_at",
        *list_texts(role, "session_id", "visitor_id", "device", "referrer"),
    ]
    known = {word for words in _EVENTS.values() for word in words}
    strange = [value for value in role.guesses["event_type"].column.samples if value.lower() not in known]
    rest = f"where {kind} in ({', '.join(quote_text(word) for words in _EVENTS.values() for word in words)})"
    asked = (
        f"-- Question: what do {', '.join(strange[:6])} mean? They are left out; only views, carts and wishlists count."
        if strange
        else ""
    )
    return join_parts(
        f"-- Events of {role.table.name}; {role.sure:.2f} sure.",
        remark(role, *role.guesses),
        asked,
        write_select(columns, role.table.relation, rest),
    )


def write_searches(roles: Roles) -> str | None:
    role = roles.get("searches")
    if role is None:
        return None
    columns = [
        f"{_number_of_row(role, 'search_id')} as search_id",
        f"{_customer_if_known(role)} as customer_id",
        f"{write_text_of(role, 'query')} as query",
        f"{write_time_of(role, 'searched_at')} as searched_at",
    ]
    return _write_draft(role, "Searches", columns)


def write_inventory(roles: Roles) -> str | None:
    role, when = roles.get("inventory"), order_owner(roles, "ordered_at")
    note = ""
    if role is None and "products" in roles and roles["products"].has("stock"):
        role = roles["products"]
    if role is None:
        return None
    counted = f"{write_time_of(role, 'counted_at')}" if role.has("counted_at") else None
    if counted is None:
        if when is None:
            return None
        note = "-- Question: when was it counted? The file has no date; it counts as counted on the day of the last order, and not before."
        counted = f"(select max({write_time_of(when, 'ordered_at')})::date from {when.table.relation})"
    product = write_key_of(role, "product_id")
    stock = f"greatest(sum({write_number_of(role, 'stock')}), 0)"
    # A product may lie in several places.
    columns = [f"{product} as product_id", f"{counted} as counted_at", f"{stock} as stock"]
    return join_parts(
        f"-- Stock of {role.table.name}; {role.guesses['stock'].sure:.2f} sure.",
        note,
        write_select(columns, role.table.relation, f"where {product} is not null\ngroup by 1, 2"),
    )


def write_returns(roles: Roles) -> str | None:
    role = roles.get("returns")
    if role is None:
        return None
    columns = [
        f"{_number_of_row(role, 'return_id')} as return_id",
        f"{write_key_of(role, 'order_id')} as order_id",
        f"{write_key_of(role, 'product_id')} as product_id",
        f"{write_number_of(role, 'quantity')} as quantity",
        f"{write_time_of(role, 'returned_at')} as returned_at",
        *list_texts(role, "reason"),
    ]
    return _write_draft(role, "Returns", columns)


def write_promotions(roles: Roles) -> str | None:
    role = roles.get("promotions")
    if role is None:
        return None
    columns = [
        f"{_number_of_row(role, 'promotion_id')} as promotion_id",
        f"{write_key_of(role, 'product_id')} as product_id",
        f"{write_text_of(role, 'kind') if role.has('kind') else quote_text('offer')} as kind",
        f"{write_time_of(role, 'starts_at')} as announced_at",
        f"{write_time_of(role, 'starts_at')} as start_at",
        f"{write_time_of(role, 'ends_at')} as end_at",
    ]
    return _write_draft(
        role,
        "Promotions",
        columns,
        question="-- Question: from when was each known? They count from their first moment on.",
    )


def write_consents(roles: Roles) -> str | None:
    role = roles.get("consents")
    if role is None:
        return None
    columns = [
        f"{write_key_of(role, 'customer_id')} as customer_id",
        f"{write_text_of(role, 'state')} as state",
        f"{write_time_of(role, 'effective_at')} as effective_at",
    ]
    return _write_draft(role, "Consents", columns)
