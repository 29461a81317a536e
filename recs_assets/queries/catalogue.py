"""What a query can name: tables, columns, foreign keys, and the aliases of both.

Each table says where its rows come from *as they were known at a moment*. A build file holds
everything before its week, and a backtest asks it about an earlier anchor: a return booked
since, or a price that came later, must not reach that anchor. So `Table.sql` takes two moments:
`$as_of`, the anchor, for what is known of customers and products, and `{known}` for events,
which is the anchor for the past and the end of the label window for the labels.

Left out on purpose, because they hold what was only known later: the marts' `returned_quantity`
and `fully_returned_at` of a line, and `first_order_at`, `last_order_at`, `order_count` and the first
referrer of a customer. An aggregation says the same for any anchor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from recs_assets.declared_tables.features import render_carriers
from recs_assets.declared_tables.file import BY, OWNERS, DeclaredTable, Tables, find_carried, list_owners
from recs_assets.schema import PERSONAL, RAW_TABLES

KINDS = {
    "VARCHAR": "text",
    "DOUBLE": "number",
    "BIGINT": "number",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "time",
}
CUSTOMER, PRODUCT = ("customers", "customer_id"), ("products", "product_id")
# The column by which rows belong to what predictions are made for.
KEYS = dict((CUSTOMER, PRODUCT))
# Columns of products that group them, and so can be ranked or classified themselves.
GROUPS = ("category", "brand", "vertical")


@dataclass(frozen=True)
class Field:
    """One column: name, DuckDB type, and the table that it refers to if it is a foreign key."""

    name: str
    type: str
    references: str | None = None

    @property
    def kind(self) -> str:
        """text, number, boolean or time."""
        return KINDS[self.type]


@dataclass(frozen=True)
class Table:
    """One table of a query.

    Attributes:
        name: how queries call it.
        description: what one row is.
        model: the dbt model that it reads, `schema.model`.
        key: its grain; breaks ties between events of one moment.
        fields: its columns.
        sql: SELECT of those columns; may hold `$as_of` and `{known}`.
        time: column that says when a row happened; None: not an event.
        by_value: of a table about a value that customers (or products) carry, such as a region: "customers" -> SELECT of
            its rows and of the id of everybody who carries the value at `$as_of`.
    """

    name: str
    description: str
    model: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    sql: str
    time: str | None = None
    by_value: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    def has_events_of(self, of: str) -> bool:
        """Whether a row is an event of one row of that table: of customers, or of products."""
        owner = self.by_name.get(KEYS[of])
        return self.time is not None and (
            of in self.by_value or (owner is not None and owner.references == of)
        )


# Foreign keys go by name: the column `product_id` of any table but products refers to products.
_REFERENCES = {
    "customer_id": "customers",
    "product_id": "products",
    "order_id": "orders",
    "merchant_id": "merchants",
    "parent_id": "products",
}


def _make_fields(columns: Mapping[str, str], own: tuple[str, ...]) -> tuple[Field, ...]:
    return tuple(
        Field(name, type_, None if (name,) == own else _REFERENCES.get(name))
        for name, type_ in columns.items()
    )


def _list_raw_columns(name: str, without: tuple[str, ...] = (), **extra: str) -> dict[str, str]:
    """Columns of a canonical raw table; landing stores its times as local TIMESTAMP."""
    columns = {column.name: column.type for column in RAW_TABLES[name].columns if column.name not in without}
    return {column: type_.replace("TIMESTAMPTZ", "TIMESTAMP") for column, type_ in (columns | extra).items()}


def _make_table(
    name: str,
    model: str,
    columns: dict[str, str],
    sql: str | None = None,
    description: str | None = None,
    key: tuple[str, ...] | None = None,
    time: str | None = None,
) -> Table:
    raw = RAW_TABLES.get(name)
    if raw is not None:
        description, key = description or raw.description, key or raw.key
    assert description is not None, f"{name} is no raw table, so its description has to be given"
    assert key is not None, f"{name} is no raw table, so its key has to be given"
    return Table(
        name=name,
        description=description,
        model=model,
        key=key,
        fields=_make_fields(columns, key),
        sql=sql or f"select {', '.join(columns)}\nfrom {model}",
        time=time or (raw.event_at if raw is not None else None),
    )


def _make_staging_table(name: str) -> Table:
    return _make_table(name, f"staging.stg_{name}", _list_raw_columns(name))


def _make_visited_table(name: str, description: str) -> Table:
    """A table whose rows may be a visitor's: theirs who had signed in there by then, and nobody's are left out."""
    columns = _list_raw_columns(name)
    own = {"customer_id": "coalesce(events.customer_id, visitors.customer_id) as customer_id"}
    sql = f"""\
select
    {", ".join(own.get(column, f"events.{column}") for column in columns)}
from staging.stg_{name} as events
left join intermediate.int_visitors_identified as visitors
    on events.visitor_id = visitors.visitor_id and events.customer_id is null and visitors.identified_at < {{known}}
    and (visitors.shared_at is null or visitors.shared_at >= {{known}})
where coalesce(events.customer_id, visitors.customer_id) is not null"""
    return _make_table(name, f"staging.stg_{name}", columns, sql, description)


_CUSTOMERS = _list_raw_columns("customers", without=PERSONAL, consent_state="VARCHAR")
_PRODUCTS = _list_raw_columns("products")
_LINES = {
    "order_id": "VARCHAR",
    "line_id": "VARCHAR",
    "customer_id": "VARCHAR",
    "product_id": "VARCHAR",
    "ordered_at": "TIMESTAMP",
    "quantity": "DOUBLE",
    "net_quantity": "DOUBLE",
    "amount": "DOUBLE",
    "net_amount": "DOUBLE",
    "discount": "DOUBLE",
    "unit_price": "DOUBLE",
}
# Fractions are summed as decimals, so that the sum does not depend on the order of the rows.
_LINES_SQL = """\
select
    lines.order_id, lines.line_id, lines.customer_id, lines.product_id, lines.ordered_at, lines.quantity,
    lines.quantity - coalesce(returned.quantity, 0) as net_quantity, lines.amount,
    round(lines.amount * (lines.quantity - coalesce(returned.quantity, 0)) / lines.quantity, 6) as net_amount,
    lines.discount, lines.unit_price
from marts.order_lines as lines
left join (
    select order_id, line_id, cast(sum(cast(quantity as decimal(38, 6))) as double) as quantity
    from intermediate.int_returns_allocated_to_lines
    where returned_at < {known}
    group by order_id, line_id
) as returned on lines.order_id = returned.order_id and lines.line_id = returned.line_id
where (lines.fully_returned_at is null or lines.fully_returned_at >= {known}) and lines.learned_from
    and lines.product_id in (select product_id from marts.products where is_product)"""

TABLES = (
    _make_table(
        "customers",
        "marts.customers",
        _CUSTOMERS,
        f"select {', '.join(_CUSTOMERS)}\nfrom marts.customers\n"
        "where (joined_at is null or joined_at < $as_of) and learned_from",
        description="Customers known at the anchor, but for those who objected, were erased, or are no persons but tills.",
    ),
    _make_table(
        "products",
        "marts.products",
        _PRODUCTS,
        f"select {', '.join('priced.price' if name == 'price' else f'products.{name}' for name in _PRODUCTS)}\n"
        """\
from marts.products as products
left join (
    select product_id, arg_max(price, as_of) as price
    from intermediate.int_product_prices_anchored where as_of <= cast($as_of as date) group by product_id
) as priced on products.product_id = priced.product_id""",
        description="The catalogue. `price` is the catalogue's; without one, the usual price of the sales before the anchor.",
    ),
    _make_table(
        "order_lines",
        "marts.order_lines",
        _LINES,
        _LINES_SQL,
        description="Lines of purchases. Cancelled and unpaid orders, bulk orders, lines wholly returned and what is no product are not in it; money of another currency than the shop's is null; "
        "`net_quantity` and `net_amount` are without the units returned.",
        key=("order_id", "line_id"),
        time="ordered_at",
    ),
    _make_table(
        "orders",
        "marts.baskets",
        {
            "order_id": "VARCHAR",
            "customer_id": "VARCHAR",
            "ordered_at": "TIMESTAMP",
            "line_count": "BIGINT",
            "product_count": "BIGINT",
            "units": "DOUBLE",
            "amount": "DOUBLE",
        },
        f"""\
select
    order_id, customer_id, ordered_at, count(*) as line_count, count(distinct product_id) as product_count,
    cast(sum(cast(net_quantity as decimal(38, 6))) as double) as units,
    cast(sum(cast(net_amount as decimal(38, 6))) as double) as amount
from (
{_LINES_SQL}
) as kept
group by order_id, customer_id, ordered_at""",
        description="Purchases that were not wholly returned; `units` and `amount` are without the units returned.",
        key=("order_id",),
        time="ordered_at",
    ),
    _make_table(
        "returns",
        "staging.stg_returns",
        _list_raw_columns("returns", customer_id="VARCHAR"),
        "select returns.*, orders.customer_id\nfrom staging.stg_returns as returns\n"
        "inner join marts.baskets as orders on returns.order_id = orders.order_id",
        description="Units customers sent back from purchases.",
    ),
    _make_staging_table("reviews"),
    _make_visited_table(
        "browsing_events",
        "Views, carts and wishlists from the storefront, also from before a customer signed in at the same browser.",
    ),
    _make_staging_table("searches"),
    _make_visited_table(
        "campaign_events",
        "What was recommended, by email or on the shop's pages, and what came of it, also from before a customer signed in.",
    ),
    *map(_make_staging_table, ("consents", "inventory", "promotions", "merchants")),
)

ALIASES = {
    "transactions": "order_lines",
    "purchases": "order_lines",
    "order_items": "order_lines",
    "baskets": "orders",
    "users": "customers",
    "items": "products",
    "user_id": "customer_id",
    "item_id": "product_id",
    "category": "product_id.category",
    "brand": "product_id.brand",
    "vertical": "product_id.vertical",
    "orders.product_id": "order_lines.product_id",
}


@dataclass(frozen=True)
class Catalogue:
    """Tables by name, and aliases.

    An alias is one of three: a name for a table (`users` -> `customers`); a name for a column, or for
    a column reached over foreign keys, in every table that has it (`vertical` ->
    `product_id.vertical`); or a column of one table that stands for a column of another
    (`orders.product_id` -> `order_lines.product_id`). A table's own column comes before an alias.
    """

    tables: Mapping[str, Table]
    aliases: Mapping[str, str]

    def follow(self, table: Table, key: str) -> Table:
        """The table that a foreign key of another one refers to."""
        references = table.by_name[key].references
        assert references is not None, f"{table.name}.{key} is no foreign key"
        return self.tables[references]

    def route(self, start: str, goal: str) -> tuple[str, ...] | None:
        """The shortest way over foreign keys from one table to another, as their names; None if there is none."""
        routes: dict[str, tuple[str, ...]] = {start: ()}
        waiting = [start]
        for table in waiting:
            for column in self.tables[table].fields:
                if column.references is not None and column.references not in routes:
                    routes[column.references] = (*routes[table], column.name)
                    waiting.append(column.references)
        return routes.get(goal)

    def extend(self, tables: Tables) -> Catalogue:
        """The catalogue of a shop that declares tables of its own."""
        if not tables:
            return self
        own = {table.name: _make_declared_table(table, tables) for table in tables.values()}
        return Catalogue({**self.tables, **own}, self.aliases)


def _make_declared_table(table: DeclaredTable, tables: Tables) -> Table:
    """A table of the shop's own. Staging has added whose row it is, over however many references; what is known when is
    asked here, because an anchor before the week knows less than the week."""
    kinds = {
        "text": "VARCHAR",
        "number": "DOUBLE",
        "boolean": "BOOLEAN",
        "time": "TIMESTAMP",
        "date": "TIMESTAMP",
    }
    there = list_owners(table, tables)
    owners = {key: entity for entity, key in OWNERS.items() if key in there}
    columns = {name: kinds[kind] for name, kind in table.columns.items() if name not in table.personal}
    columns |= {key: "VARCHAR" for key in owners if key not in columns}
    references = {**owners, **table.foreign_keys}
    selected = ", ".join(
        name
        if name not in table.known_from
        else f"case when {table.known_from[name]} < {{known}} then {name} end as {name}"
        for name in columns
    )
    model = f"staging.stg_{table.name}"
    known = "" if table.static else "\nwhere known_at < {known}"
    if known and table.person_key is not None:
        known += " and (known_until is null or known_until >= {known})"
    carried = {entity: find_carried(table, entity, tables) for entity in OWNERS}
    return Table(
        name=table.name,
        description=table.description,
        model=model,
        key=table.keys,
        fields=tuple(Field(name, type_, references.get(name)) for name, type_ in columns.items()),
        sql=f"select {selected}\nfrom {model}{known}",
        time=table.time,
        by_value={
            entity: f"select {selected}, {OWNERS[entity]}\n"
            f"from {model} as rows_known\ninner join (\n{render_carriers(found, entity, tables)}\n) as carriers\n"
            f"    on rows_known.{BY[entity]} = carriers.carried{known}"
            for entity, found in carried.items()
            if found is not None
        },
    )


CATALOGUE = Catalogue({table.name: table for table in TABLES}, ALIASES)
