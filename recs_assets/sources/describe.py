"""Write what the schema says of raw tables where others read it: `python -m recs_assets.sources.describe`.

The column tables of `docs/raw_tables.md`, dbt's sources and the macro `raw_tables`; and, of a table that has none
yet, the first version of its base and staging model.
"""

from __future__ import annotations

import re
from pathlib import Path

from recs_assets.schema import PERSONAL, RAW_TABLES, Table

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "raw_tables.md"
STAGING = ROOT / "dbt_project" / "models" / "staging"
SOURCES = STAGING / "_raw__sources.yml"
MACRO = ROOT / "dbt_project" / "macros" / "raw_tables.sql"
COLUMN_DOCS = ROOT / "dbt_project" / "models" / "column_docs.md"
# Where the base model dates a row by a column of its own.
DATED_BY = {"orders": "changed_at", "order_items": "seen_at"}
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def describe_columns() -> str:
    """Markdown of every canonical table: grain, whether it is required, and its columns."""
    parts = []
    for table in RAW_TABLES.values():
        kind = "required" if table.required else "optional"
        known = f"; a row counts from `{table.event_at}` on" if table.event_at else ""
        keys = ", ".join(f"`{key}`" for key in table.key)
        lines = [f"### {table.name}", "", table.description, f"One row per {keys} ({kind} table{known}).", ""]
        lines += ["| column | type | must be there | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{column.name}` | {column.type} | {'yes' if column.required else ''} | {column.description} |"
            for column in table.columns
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def update_tables(text: str) -> str:
    """The document with the part between the two marks written anew."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n\n{describe_columns()}\n\n{END}{rest.split(END)[1]}"


def dbt_sources() -> str:
    """`_raw__sources.yml`; a description that is a block of column_docs.md is named rather than repeated."""
    blocks = re.findall(r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", COLUMN_DOCS.read_text("utf-8"), re.S)
    named = {text: f"{{{{ doc('{name}') }}}}" for name, text in reversed(blocks)}
    lines = [
        "# Written by `python -m recs_assets.sources.describe`.",
        "version: 2",
        "",
        "sources:",
        "  - name: raw",
        "    schema: \"{{ env_var('RECS_DBT_SCHEMAS', '') }}raw\"",
        '    description: "The week\'s raw tables, exactly as declared in recs_assets/schema.py; times are shop-local."',
        "    tables:",
    ]
    for table in RAW_TABLES.values():
        lines += [
            f"      - name: {table.name}",
            f'        description: "{table.description}"',
            "        columns:",
        ]
        for column in table.columns:
            described = named.get(column.description, column.description)
            lines += [
                f"          - name: {column.name}",
                f"            data_type: {column.type.replace('TIMESTAMPTZ', 'TIMESTAMP').lower()}",
                f'            description: "{described}"',
            ]
    return "\n".join(lines) + "\n"


def dbt_macro() -> str:
    """`raw_tables.sql`: what the quarantine says about each raw table."""
    entries = []
    for table in RAW_TABLES.values():
        dated_by = DATED_BY.get(table.name, table.event_at)
        person = {"customer_id", "order_id"} & set(table.column_names)
        shown = [name for name in table.column_names if name not in PERSONAL]
        entries += [
            f"        {{'name': '{table.name}', 'key': {list(table.key)},",
            f"            'event_at': {repr(dated_by) if dated_by else 'none'}, 'person': {str(bool(person)).lower()},",
            f"            'columns': {shown}}},",
        ]
    head, rest = MACRO.read_text("utf-8").split("    {{ return([\n")
    return head + "    {{ return([\n" + "\n".join(entries) + "\n    ]) }}" + rest.split("    ]) }}")[1]


def start_models(table: Table) -> dict[str, str]:
    """Path below models/staging -> text of a first version of the table's base and staging model. Ids, dates, values
    that must be there and rows that stand twice are checked; checks of its own are for whoever adds the table."""
    name, texts = table.name, {column.name for column in table.columns if column.type == "VARCHAR"}
    ids, others = [
        [column for column in table.columns if (column.name in table.key) == is_key]
        for is_key in (True, False)
    ]
    checks = [f"{{{{ when_id_is_bad({[column.name for column in ids if column.name in texts]}) }}}}"]
    checks += [
        f"when {column.name} is null then 'missing_key'"
        for column in ids
        if column.name not in texts and column.name != table.event_at
    ]
    checks += [f"{{{{ when_date_is_bad('{table.event_at}') }}}}"] if table.event_at else []
    checks += [
        f"when {column.name} is null then 'missing_value'"
        for column in others
        if column.required and column.name != table.event_at
    ]
    dated = f", event_at='{table.event_at}'" if table.event_at else ""
    known = f" and {{{{ is_known('{table.event_at}') }}}}" if table.event_at else ""
    selected = ",\n        ".join(
        f"{{{{ clean_text('{column}') }}}} as {column}" if column in texts else column
        for column in table.column_names
    )
    listed, newline = ",\n        ".join(table.column_names), "\n            "
    base = f"""\
with source as (

    select
        {selected}
    from {{{{ source('raw', '{name}') }}}}

),

judged as (

    select
        *,
        case
            {newline.join(checks)}
        end as failed_check
    from source

),

final as (

    {{{{ with_duplicates_rejected(
        'judged', key={list(table.key)}, columns={[column.name for column in others]}{dated}
    ) }}}}

)

select * from final
"""
    staging = f"""\
with accepted as (

    select * from {{{{ ref('base_{name}') }}}} where reject_reason is null{known}

),

final as (

    select
        {listed}
    from accepted

)

select * from final
"""
    rejected = "reject_reason names the row check that it breaks, null where it breaks none."
    head = "version: 2\n\nmodels:\n"
    described = "\n".join(
        f'      - name: {column.name}\n        description: "{column.description}"'
        for column in table.columns
    )
    return {
        f"base/base_{name}.sql": base,
        f"base/base_{name}.yml": f"""\
{head}  - name: base_{name}
    description: "One row per row of raw.{name}, cleaned; {rejected}"
""",
        f"stg_{name}.sql": staging,
        f"stg_{name}.yml": f"""\
{head}  - name: stg_{name}
    description: "One row per {", ".join(table.key)} that passed every row check. {table.description}"
    columns:
{described}
""",
    }


if __name__ == "__main__":
    DOC.write_text(update_tables(DOC.read_text("utf-8")), "utf-8")
    SOURCES.write_text(dbt_sources(), "utf-8")
    MACRO.write_text(dbt_macro(), "utf-8")
    for raw_table in RAW_TABLES.values():
        for file, model in start_models(raw_table).items():
            if not (STAGING / file).exists():
                (STAGING / file).write_text(model, "utf-8")
