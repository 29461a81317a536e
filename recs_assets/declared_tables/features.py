"""What the rows of declared tables say of a customer, a product or both at an anchor, as dbt models that a person can read.

One model per table and what its rows are of, `features.<table>_of_<customers|products|pairs>`: counts, sums, means, the
latest value, distinct values, recency and trend, of the table's own columns and of those of the tables that it refers to.
The same text serves a query, whose anchors are not the week's (`render`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from recs_assets.declared_tables.carriers import list_learned, write_carriers, write_known, write_value
from recs_assets.declared_tables.file import (
    BY,
    OWNERS,
    Carried,
    DeclaredTable,
    Tables,
    find_carried,
    list_entities,
    list_owners,
)

# Days that a window reaches back from the anchor.
WINDOWS = (7, 28, 91)
# Of a text column the values that were most frequent before the earliest anchor: each is counted by itself.
MOST_VALUES = 5
ENTITIES = {
    "customers": ("customer_id",),
    "products": ("product_id",),
    "pairs": ("customer_id", "product_id"),
}
# `<table>_of_<entity>`: the model, and what comes before the dot in a feature's name.
OF = "_of_"


class Aggregate(NamedTuple):
    """One feature: the model's column, its SQL over `events`, and what it is."""

    name: str
    sql: str
    description: str


@dataclass(frozen=True)
class Measured:
    """A column that is aggregated: its name in `events`, its SQL over the tables, text, number, boolean or time."""

    name: str
    sql: str
    kind: str
    shown: str


def name_model(table: str, entity: str) -> str:
    return f"{table}{OF}{entity}"


def list_models(tables: Tables) -> dict[str, tuple[DeclaredTable, str]]:
    """Model -> its table and entity."""
    return {
        name_model(table.name, entity): (table, entity)
        for table in tables.values()
        for entity in list_entities(table, tables)
    }


def list_feature_names(tables: Tables) -> tuple[str, ...]:
    """Names of all features of declared tables: `<model>.<column>`."""
    return tuple(
        f"{model}.{aggregate.name}"
        for model, (table, entity) in list_models(tables).items()
        for aggregate in list_aggregates(table, entity, tables)
    )


def list_measured(table: DeclaredTable, tables: Tables) -> Iterator[Measured]:
    """Columns that are aggregated: the table's own, and those of the declared tables that it refers to."""
    for owner, alias, prefix in [(table, "rows_known", ""), *_list_parents(table, tables)]:
        unread = {*owner.keys, *owner.references, *owner.personal, owner.time}
        for name, kind in owner.columns.items():
            # An identifier alone is not measured; of a key of several columns the rest says something.
            if name in unread and not (
                len(owner.keys) > 1 and name in owner.keys and name not in owner.references
            ):
                continue
            if name == owner.time:
                continue
            sql = write_value(owner, name, alias)
            shown = name if not prefix else f"{name} of {owner.name}"
            yield Measured(f"{prefix}{name}", sql, "time" if kind == "date" else kind, shown)


def _list_parents(table: DeclaredTable, tables: Tables) -> list[tuple[DeclaredTable, str, str]]:
    """The declared tables that it refers to: table, alias, prefix of their columns."""
    return [
        (tables[target], f"of_{column}", f"{column.removesuffix('_id')}_")
        for column, target in table.foreign_keys.items()
        if target in tables
    ]


def list_aggregates(table: DeclaredTable, entity: str, tables: Tables) -> list[Aggregate]:
    """The features of a table for one entity, in the order of the model's columns."""
    what = table.name.replace("_", " ")
    found = [Aggregate("count_all", "count(*)", f"Rows of {what}.")]
    if not table.static:
        found += [
            Aggregate(
                f"count_{days}d",
                f"{{{{ count_where('days_ago <= {days}') }}}}",
                f"Those of the last {days} days.",
            )
            for days in WINDOWS
        ]
        found += [
            Aggregate("days_since_last", "min(days_ago)", f"Days since the latest row of {what}."),
            Aggregate(
                "trend_28d",
                "{{ ratio(count_where('days_ago <= 28') ~ ' * 3.25', count_where('days_ago <= 91')) }}",
                "Rows of the last 28 days over the 28-day mean of 91.",
            ),
        ]
    carried = find_carried(table, entity, tables) if entity in OWNERS else None
    for column in table.references:
        if column not in ENTITIES[entity] and (carried is None or column != carried.column or carried.points):
            found.append(
                Aggregate(f"{column}_distinct", f"count(distinct {column})", f"Different values of {column}.")
            )
    for column in list_measured(table, tables):
        found += _aggregate_column(column, table.static)
    return found


def _aggregate_column(column: Measured, static: bool) -> Iterator[Aggregate]:
    name, shown = column.name, column.shown
    last = f"{{{{ latest('{name}', 'happened_at') }}}}"
    recent = f"case when days_ago <= 28 then {name} end"
    if column.kind == "number":
        yield Aggregate(f"{name}_sum", f"{{{{ exact_sum('{name}', 6) }}}}", f"Sum of {shown}.")
        yield Aggregate(
            f"{name}_mean", f"{{{{ ratio(exact_sum('{name}', 6), 'count({name})') }}}}", f"Mean of {shown}."
        )
        if not static:
            yield Aggregate(
                f"{name}_sum_28d", f"{{{{ exact_sum('{recent}', 6) }}}}", f"Sum of {shown}, last 28 days."
            )
            yield Aggregate(f"{name}_last", last, f"Latest {shown}.")
    elif column.kind == "boolean":
        yield Aggregate(
            f"{name}_share",
            f"{{{{ ratio(count_where('{name}'), 'count({name})') }}}}",
            f"Share of rows whose {shown} is true.",
        )
        if not static:
            yield Aggregate(
                f"{name}_last", f"cast({last} as integer)", f"1 where the latest {shown} is true."
            )
    elif column.kind == "time":
        yield Aggregate(
            f"{name}_days_since_last",
            f"{{{{ days_between('max({name})', 'as_of') }}}}",
            f"Days since the latest {shown}.",
        )
    else:
        yield Aggregate(f"{name}_distinct", f"count(distinct {name})", f"Different values of {shown}.")
        for place in range(1, MOST_VALUES + 1):
            is_value = f"{name}_place = {place}"
            which = f"whose {shown} is value {place} of intermediate.int_declared_values"
            yield Aggregate(f"{name}_{place}", f"{{{{ count_where('{is_value}') }}}}", f"Rows {which}.")
            if not static:
                yield Aggregate(
                    f"{name}_{place}_28d",
                    f"{{{{ count_where('{is_value} and days_ago <= 28') }}}}",
                    f"Rows of the last 28 days {which}.",
                )


def write_features(table: DeclaredTable, entity: str, tables: Tables) -> str:
    """The model's text."""
    keys = ENTITIES[entity]
    carried = find_carried(table, entity, tables) if entity in OWNERS else None
    of = keys if carried is None else (BY[entity],)
    measured = list(list_measured(table, tables))
    texts = [column for column in measured if column.kind == "text"]
    named = dict.fromkeys(
        [
            *list_owners(table, tables),
            *(column for column in table.references if column not in OWNERS.values()),
        ]
        + ([] if carried is None else [BY[entity]])
    )
    ago = "0" if table.static else f"{{{{ days_between('rows_known.{table.time}', 'anchors.as_of') }}}}"
    at = "cast(null as timestamp)" if table.static else f"rows_known.{table.time}"
    selected = ",\n        ".join(
        [
            "anchors.as_of",
            *(f"rows_known.{column}" for column in named),
            f"{at} as happened_at",
            f"{ago} as days_ago",
            *(f"{column.sql} as {column.name}" for column in measured),
        ]
    )
    there = " and ".join(
        [*(f"rows_known.{key} is not null" for key in of), *list_learned(table, tables, "rows_known")]
    )
    placed = "".join(f",\n        {column.name}_values.place as {column.name}_place" for column in texts)
    values = "".join(
        f"\n    left join {{{{ ref('int_declared_values') }}}} as {column.name}_values\n"
        f"        on {column.name}_values.source_table = '{table.name}' and {column.name}_values.column_name = '{column.name}'\n"
        f"        and {column.name}_values.value = events.{column.name}"
        for column in texts
    )
    aggregates = list_aggregates(table, entity, tables)
    columns = ",\n        ".join(
        f"cast({aggregate.sql} as double) as {aggregate.name}" for aggregate in aggregates
    )
    summed = f"""\
    select
        {_list_lines("as_of", *of)},
        {columns}
    from placed
    group by {", ".join(("as_of", *of))}"""
    if carried is None:
        final = f"final as (\n\n{summed}\n\n)"
    else:
        # Summed up per value before anybody is asked who carries it.
        final = f"""\
by_value as (

{summed}

),

carriers as (

{write_carriers(carried, entity, tables)}

),

final as (

    select
        {_list_lines("by_value.as_of", *(f"carriers.{key}" for key in keys))},
        {_list_lines(*(f"by_value.{aggregate.name}" for aggregate in aggregates))}
    from by_value
    inner join carriers on by_value.as_of = carriers.as_of and by_value.{BY[entity]} = carriers.carried

)"""
    return f"""\
with anchors as (
    {{{{ anchors() }}}}

),

events as (

    select
        {selected}
    from {{{{ ref('stg_{table.name}') }}}} as rows_known
    inner join anchors on {write_known(table, "rows_known")}{_join_parents(table, tables)}
    where {there}

),

placed as (

    select
        events.*{placed}
    from events{values}

),

{final}

select * from final
order by {", ".join(("as_of", *keys))}
"""


def _list_lines(*columns: str) -> str:
    return ",\n        ".join(columns)


def _join_parents(table: DeclaredTable, tables: Tables) -> str:
    return "".join(
        f"\n    left join {{{{ ref('stg_{owner.name}') }}}} as {alias} on rows_known.{alias.removeprefix('of_')} = {alias}.{owner.keys[0]}"
        for owner, alias, _ in _list_parents(table, tables)
    )


def write_values(tables: Tables) -> str:
    """The model `int_declared_values`: the frequent values of text columns, as known before the earliest anchor."""
    parts = [
        f"    select\n        '{table.name}' as source_table,\n        '{column.name}' as column_name,\n"
        f"        {column.sql} as value\n    from {{{{ ref('stg_{table.name}') }}}} as rows_known\n"
        f"    inner join anchors on {write_known(table, 'rows_known')}{_join_parents(table, tables)}"
        + "".join(f"\n    where {condition}" for condition in list_learned(table, tables, "rows_known"))
        for table in tables.values()
        for column in list_measured(table, tables)
        if column.kind == "text"
    ]
    nothing = (
        "    select\n        cast(null as varchar) as source_table,\n        cast(null as varchar) as column_name,\n"
        "        cast(null as varchar) as value\n    where false"
    )
    rows = "\n    union all\n".join(parts) or nothing
    return f"""\
-- As known before the earliest anchor, so that no count knows more than its anchor does.
with anchors as (

    select {{{{ earliest_anchor() }}}} as as_of

),

known as (

{rows}

),

counted as (

    select
        source_table,
        column_name,
        value,
        count(*) as row_count
    from known
    where value is not null
    group by source_table, column_name, value

),

placed as (

    select
        *,
        row_number() over (partition by source_table, column_name order by row_count desc, value) as place
    from counted

),

final as (

    select
        source_table,
        column_name,
        cast(place as integer) as place,
        value,
        row_count
    from placed
    where place <= {MOST_VALUES}

)

select * from final
order by source_table, column_name, place
"""


def render(table: DeclaredTable, entity: str, tables: Tables) -> str:
    """The model's SELECT for one anchor, the parameter `$anchor`, as a query runs it on a week's build file."""
    return _ENVIRONMENT.from_string(write_features(table, entity, tables)).render()


def render_carriers(carried: Carried, owner: str, tables: Tables) -> str:
    """Who carries which value at the parameter `$as_of`, as SQL on a week's build file."""
    anchors = "    with anchors as (select cast($as_of as timestamp) as as_of)\n\n"
    return anchors + _ENVIRONMENT.from_string(write_carriers(carried, owner, tables)).render()


def _ref(name: str) -> str:
    schema = "staging" if name.startswith("stg_") else "intermediate" if name.startswith("int_") else "marts"
    return f"{schema}.{name}"


# What the macros of the dbt project write for DuckDB (a test compares).
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL, no HTML
_ENVIRONMENT.globals |= {
    "anchors": lambda: "select cast($anchor as date) as as_of",
    "ref": _ref,
    "count_where": lambda condition: f"count(case when {condition} then 1 end)",
    "exact_sum": lambda value, places: f"cast(sum(cast({value} as decimal(38, {places}))) as double)",
    "ratio": lambda over, under: f"round(cast({over} as double) / nullif({under}, 0), 6)",
    "latest": lambda value, at: f"arg_max({value}, struct_pack(at := {at}, then_by := {value}))",
    "days_between": lambda start, end: f"datediff('day', cast({start} as date), cast({end} as date))",
}
