"""Who carries which value at an anchor, for tables about regions, categories and other values that many rows share.

A customer (or product) carries one value at a time, so that the rows about it are summed up per value first and are
multiplied by nobody.
"""

from __future__ import annotations

from recs_assets.declared_tables.file import OWNERS, Carried, DeclaredTable, Tables, list_owners


def write_known(table: DeclaredTable, alias: str) -> str:
    """The condition that a row of a table, called `alias`, is known at `anchors.as_of`."""
    if table.static:
        return "true"
    known = f"{alias}.known_at < anchors.as_of"
    if table.person_key is None:
        return known
    return f"{known} and ({alias}.known_until is null or {alias}.known_until >= anchors.as_of)"


def write_value(table: DeclaredTable, column: str, alias: str) -> str:
    """A column of a table, called `alias`, as known at `anchors.as_of`."""
    at = table.known_from.get(column)
    value = f"{alias}.{column}"
    return value if at is None else f"case when {alias}.{at} < anchors.as_of then {value} end"


def list_learned(table: DeclaredTable, tables: Tables, alias: str) -> list[str]:
    """The condition that leaves out whoever objected: no model learns from them, in no count."""
    if "customer_id" not in list_owners(table, tables):
        return []
    return [
        f"(\n        {alias}.customer_id is null\n        or {alias}.customer_id in (select customer_id from "
        "{{ ref('customers') }} where learned_from)\n    )"
    ]


def write_carriers(carried: Carried, owner: str, tables: Tables) -> str:
    """SELECT of as_of, the id and the value that it carries (`carried`), one row per anchor and id, from `anchors`.

    Args:
        carried: the table and column that say it.
        owner: "customers" or "products".
        tables: of the shop.
    """
    key, target, value = OWNERS[owner], carried.target, carried.value
    if target == "customers":
        return f"""\
    select
        anchors.as_of,
        customers.customer_id,
        customers.{value} as carried
    from {{{{ ref('customers') }}}} as customers
    inner join anchors on customers.joined_at is null or customers.joined_at < anchors.as_of
    where customers.{value} is not null and customers.learned_from"""
    if target == "products":
        return f"""\
    select
        anchors.as_of,
        products.product_id,
        products.{value} as carried
    from {{{{ ref('products') }}}} as products
    cross join anchors
    where products.{value} is not null"""
    table = tables[target]
    said = write_value(table, value, f"{target}_known")
    # The latest; of a table without time there is one.
    chosen = "max(stated.carried)" if table.static else "{{ latest('stated.carried', 'stated.happened_at') }}"
    happened = "" if table.static else f",\n            {target}_known.{table.time} as happened_at"
    there = " and ".join(
        [f"{target}_known.{key} is not null", *list_learned(table, tables, f"{target}_known")]
    )
    return f"""\
    select
        stated.as_of,
        stated.{key},
        {chosen} as carried
    from (
        select
            anchors.as_of,
            {target}_known.{key},
            {said} as carried{happened}
        from {{{{ ref('stg_{target}') }}}} as {target}_known
        inner join anchors on {write_known(table, f"{target}_known")}
        where {there}
    ) as stated
    where stated.carried is not null
    group by stated.as_of, stated.{key}"""
