"""The SQL of the canonical tables, as far as the files fill them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from recs_assets.discovery.consent import list_unread
from recs_assets.discovery.draft_customers import write_customers
from recs_assets.discovery.draft_more import (
    write_consents,
    write_events,
    write_inventory,
    write_promotions,
    write_returns,
    write_reviews,
    write_searches,
)
from recs_assets.discovery.facts import Facts
from recs_assets.discovery.found import FoundTable
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


def write_tables(
    roles: Roles,
    facts: Facts,
    countries: dict[str, str],
    made: Sequence[FoundTable],
    unread: Sequence[FoundTable] = (),
) -> dict[str, str]:
    """SQL by canonical table.

    Args:
        roles: what the files are; `lines` is among them.
        facts: how the lines are read.
        countries: ISO codes of the countries' names.
        made: tables that a SELECT makes of files, each after those that it reads.
        unread: tables that were not understood.
    """
    writers: dict[str, Callable[[], str | None]] = {
        "customers": lambda: write_customers(roles, facts, countries, list_unread(unread)),
        "products": lambda: _write_products(roles, facts),
        "orders": lambda: _write_orders(roles, facts),
        "order_items": lambda: _write_lines(roles, facts),
        "reviews": lambda: write_reviews(roles),
        "browsing_events": lambda: write_events(roles),
        "searches": lambda: write_searches(roles),
        "inventory": lambda: write_inventory(roles),
        "returns": lambda: write_returns(roles),
        "promotions": lambda: write_promotions(roles),
        "consents": lambda: write_consents(roles),
    }
    found = {table: write() for table, write in writers.items()}
    return {table: add_made(sql, made) for table, sql in found.items() if sql is not None}


def add_made(sql: str, embedded: Sequence[FoundTable]) -> str:
    """The tables that a SELECT makes stand before the SELECT that reads them."""
    used: list[FoundTable] = []
    for table in reversed(embedded):
        text = sql + "".join(other.cte or "" for other in used)
        if re.search(rf"(?<!files\.){re.escape(table.relation)}(?! as \()(?!\.)", text):
            used.insert(0, table)
    if not used:
        return sql
    ctes = ",\n\n".join(f"{table.relation} as (\n{table.cte}\n)" for table in used)
    at = sql.index("\nwith ") + 6 if "\nwith " in sql else None
    if at is not None:
        return f"{sql[:at]}{ctes},\n\n{sql[at:]}"
    head = sql.index("\nselect") + 1
    return f"{sql[:head]}with {ctes}\n\n{sql[head:]}"


def _write_lines(roles: Roles, facts: Facts) -> str:
    lines = roles["lines"]
    quantity = write_number_of(lines, "quantity") if lines.has("quantity") else "1::double"
    amount = {
        "total": lambda: write_number_of(lines, "amount"),
        "unit": lambda: f"round({quantity} * {write_number_of(lines, 'unit_price')}, 2)",
        "catalogue": lambda: f"round({quantity} * coalesce(catalogue.price, 0), 2)",
        "none": lambda: "0::double",
    }[facts.money]()
    product = write_product(roles)
    notes = [
        f"-- Lines of {lines.table.name}; {lines.sure:.2f} sure that it holds lines of orders.",
        facts.order_note,
        *lines.notes,
        remark(lines, "order_id", "line_id", "product_id", "quantity", "unit_price", "amount", "discount"),
        f"-- {facts.money_sure:.2f} sure: {facts.money_note}." if facts.money_note else "",
        f"-- Question: {facts.money_question}" if facts.money_question else "",
        f"-- Question: are {facts.credit_lines} lines with positive units and negative money credit notes? Their units count as negative, so "
        "that they take back what was bought before."
        if facts.credit_lines
        else "",
        f"-- {facts.negative_lines} lines have negative units: they take back what was bought before."
        if facts.negative_lines
        else "",
        f"-- Question: are {facts.doubled_lines} lines that are equal in everything bought twice (as they count now), or exported twice?"
        if facts.doubled_lines
        else "",
    ]
    if facts.has_line_ids:
        line = write_key_of(lines, "line_id")
    else:
        by = ", ".join(dict.fromkeys(lines.name(name) for name in lines.guesses))
        line = f"row_number() over (partition by {facts.order_id} order by {by})::varchar"
    columns = [
        f"{facts.order_id} as order_id",
        f"{line} as line_id",
        f"{product} as product_id",
        f"{facts.sign_units(quantity)} as quantity",
        f"{amount} as amount",
    ]
    if lines.has("discount"):
        columns.append(f"abs({write_number_of(lines, 'discount')}) as discount")
    relation = lines.table.relation
    if facts.money == "catalogue":
        products = roles["products"]
        relation += (
            f"\nleft join (select {write_key_of(products, 'product_id')} as id, min({write_number_of(products, 'price')}) as price "
            f"from {products.table.relation} group by 1) as catalogue on catalogue.id = {product}"
        )
    return join_parts(*notes, write_select(columns, relation, f"where {product} is not null"))


def write_product(roles: Roles, alias: str = "") -> str:
    """SQL of the product of a line: its id, or its name where there is none."""
    lines = roles["lines"]
    return (
        write_key_of(lines, "product_id", alias)
        if lines.has("product_id")
        else f"nullif(trim({alias}{lines.name('name')}), '')"
    )


def _write_orders(roles: Roles, facts: Facts) -> str:
    lines, orders = roles["lines"], roles.get("orders")
    when, customer, status, currency = (
        order_owner(roles, name) for name in ("ordered_at", "customer_id", "status", "currency")
    )
    if orders is not None and (customer is orders or customer is None) and when is orders:
        notes = [f"-- Orders of {orders.table.name}; {orders.sure:.2f} sure that it holds orders."]
        notes.append(
            remark(orders, "order_id", "customer_id", "ordered_at", "updated_at", "status", "currency")
        )
        columns = [
            f"{write_key_of(orders, 'order_id')} as order_id",
            f"{write_key_of(orders, 'customer_id') if orders.has('customer_id') else 'null::varchar'} as customer_id",
            f"{write_time_of(orders, 'ordered_at')} as ordered_at",
            f"{write_text_of(orders, 'status') if orders.has('status') else quote_text('completed')} as status",
            *list_texts(orders, "currency"),
        ]
        if orders.has("updated_at"):
            columns.append(f"{write_time_of(orders, 'updated_at')} as updated_at")
        if not orders.has("status"):
            notes.append(
                "-- Question: is every order a purchase? Nothing in the files tells their state, so all are taken as one."
            )
        if not orders.has("customer_id"):
            notes.append("-- Question: who ordered? Nothing in the files tells, so all orders are guests'.")
        return join_parts(*notes, write_select(columns, orders.table.relation))
    # Whatever an order says of itself stands in each of its lines.
    notes = [f"-- An order is all lines of {lines.table.name} with its number; it has the time of the first."]
    notes += [facts.order_note, remark(lines, "order_id", "customer_id", "ordered_at", "status", "currency")]
    relation, order_id = lines.table.relation, facts.order_id
    if orders is not None:
        order_id = write_key_of(lines, "order_id", "l.")
        relation = f"{lines.table.relation} as l\nleft join {orders.table.relation} as o on {write_key_of(orders, 'order_id', 'o.')} = {order_id}"
        notes.append(remark(orders, "order_id", "ordered_at", "customer_id", "status", "currency"))

    def aggregate(
        role: Role | None, write: Callable[[Role, str, str], str], name: str, otherwise: str, how: str = "max"
    ) -> str:
        alias = "" if orders is None else "o." if role is orders else "l."
        return otherwise if role is None else f"{how}({write(role, name, alias)})"

    if when is None:
        notes.append(
            "-- Question: when was it ordered? Nothing in the files tells; without a date there is no week."
        )
    if customer is None:
        notes.append("-- Question: who ordered? Nothing in the files tells, so all orders are guests'.")
    state = aggregate(status, write_text_of, "status", "'completed'")
    if status is None:
        starts = " or ".join(f"starts_with({order_id}, {quote_text(prefix)})" for prefix in facts.prefixes)
        if facts.prefixes:
            state = f"case when {starts} then 'cancelled' else 'completed' end"
            notes.append(
                f"-- 0.95 sure: numbers that begin with {' or '.join(facts.prefixes)} are cancellations, whose lines have negative units. "
                "They are netted against the customer's purchases."
            )
        else:
            notes.append(
                "-- Question: is every order a purchase? Nothing in the files tells their state, so all are taken as one."
            )
    columns = [
        f"{order_id} as order_id",
        f"{aggregate(customer, write_key_of, 'customer_id', 'null::varchar')} as customer_id",
        f"{aggregate(when, write_time_of, 'ordered_at', 'null::timestamp', 'min')} as ordered_at",
        f"{state} as status",
    ]
    if currency is not None:
        columns.append(f"{aggregate(currency, write_text_of, 'currency', '')} as currency")
    return join_parts(
        *notes,
        # A line without a product, such as the total below a table, makes no order.
        write_select(
            columns,
            relation,
            f"where {order_id} is not null and {write_product(roles, '' if orders is None else 'l.')} is not null\ngroup by {order_id}",
        ),
    )


def _write_products(roles: Roles, facts: Facts) -> str:
    lines, own = roles["lines"], roles.get("products")
    product = write_product(roles)
    positive = f"count(*) filter ({lines.name('quantity')} > 0)" if lines.has("quantity") else "count(*)"
    extras = [name for name in ("category", "vertical", "brand", "description") if lines.has(name)]
    names = [name for name in ("name", *extras) if lines.has(name)]
    described = (
        "sold as (\n    select\n        "
        + ",\n        ".join(
            [
                f"{product} as id",
                *[f"{write_text_of(lines, name)} as {name}" for name in names],
                f"{positive} as uses",
                "count(*) as all_uses",
            ]
        )
        + f"\n    from {lines.table.relation}\n    where {product} is not null\n    group by all\n)"
    )
    derived = (
        "derived as (\n    select\n        "
        + ",\n        ".join(
            [
                "id",
                *[
                    f"arg_max({name}, {{'uses': uses, 'all_uses': all_uses, 'text': {name}}}) filter ({name} is not null) as {name}"
                    for name in names
                ],
            ]
        )
        + "\n    from sold\n    group by id\n)"
    )
    if own is None:
        notes = [
            f"-- There is no file of products: a product is what the lines of {lines.table.name} name, under its most frequent name.",
            "-- Lines that take something back often carry remarks instead of names, so others come first.",
            remark(lines, "product_id", "name", *extras),
            "-- There is no list price: prices are the usual ones of the lines.",
        ]
        name = "coalesce(name, id)" if lines.has("name") else "id"
        if not lines.has("name"):
            notes.append("-- Question: what are the products called? The files have ids alone.")
        columns = ["id as product_id", f"{name} as name", *extras]
        return join_parts(*notes, f"with {described},\n\n{derived}\n", write_select(columns, "derived"))
    notes = [f"-- Products of {own.table.name}; {own.sure:.2f} sure that it holds products."]
    texts = [
        name for name in ("brand", "category", "vertical", "url", "image_url", "description") if own.has(name)
    ]
    numbers = [name for name in ("price", "cost") if own.has(name)]
    notes.append(remark(own, "product_id", "name", *texts, *numbers, "parent_id"))
    if not own.has("name"):
        described_by = [
            column
            for column in own.table.columns
            if column.type == "VARCHAR"
            and column.name not in {guess.column.name for guess in own.guesses.values()}
        ]
        notes.append(
            "-- Question: what are the products called? No column says so; what stands in for it is in the SQL."
        )
        parts = [f'"{column.name}"' for column in described_by[:2]] or [own.name(name) for name in texts[:2]]
        title = (
            f"coalesce(nullif(concat_ws(' ', {', '.join(parts)}), ''), {write_key_of(own, 'product_id')})"
            if parts
            else write_key_of(own, "product_id")
        )
    else:
        title = f"coalesce({write_text_of(own, 'name')}, {write_key_of(own, 'product_id')})"
    columns = [
        f"{write_key_of(own, 'product_id')} as product_id",
        f"{title} as name",
        *list_texts(own, *texts),
        *[f"{write_number_of(own, name)} as {name}" for name in numbers],
        *([f"{write_key_of(own, 'parent_id')} as parent_id"] if own.has("parent_id") else []),
    ]
    select = write_select(columns, own.table.relation, f"where {write_key_of(own, 'product_id')} is not null")
    notes.append(
        "-- What was sold and is not in it is a product, too, under the name that the lines give it."
    )
    missing = (
        "select id as product_id, "
        + ("coalesce(derived.name, id)" if lines.has("name") else "id")
        + " as name\nfrom derived\n"
        f"where id not in (select {write_key_of(own, 'product_id')} from {own.table.relation} where {write_key_of(own, 'product_id')} is not null)"
    )
    return join_parts(*notes, f"with {described},\n\n{derived}\n", f"{select}\nunion all by name\n{missing}")
