"""The dbt project of a shop with tables of its own: the project's folders, and the models of those tables.

A home has its own copy, because dbt reads a project as a whole: `<home>/dbt/project` links to what is shipped and holds
`models/declared/`, which a person can read, and which nobody edits.
"""

from __future__ import annotations

import json
from pathlib import Path

from recs_assets.declared_tables.carriers import write_carriers
from recs_assets.declared_tables.features import (
    ENTITIES,
    list_aggregates,
    list_models,
    write_features,
    write_values,
)
from recs_assets.declared_tables.file import (
    BY,
    CANONICAL,
    OWNERS,
    SHARED,
    DeclaredTable,
    Tables,
    find_carried,
    has_evidence,
    list_owners,
)
from recs_assets.files import write_whole

FOLDER = "declared"
MACRO = "declared_tables.sql"
# What is linked: the files of the project that dbt reads.
SHIPPED = ("*.yml", "models/**/*", "macros/*.sql", "tests/**/*")
# Reason of a row check: what a reference points at is not there.
ORPHANS = {"customers": "orphan_customer", "products": "orphan_product", "orders": "orphan_order"}


def write_project(shipped: Path, folder: Path, tables: Tables) -> Path:
    """Write, where it differs, the dbt project of these tables.

    Args:
        shipped: the project that comes with the code.
        folder: of the copy; made where it is not there.
        tables: of the shop; not empty.

    Returns:
        `folder`.
    """
    # File by file: dbt follows no link to a folder.
    files = [
        path
        for kind in SHIPPED
        for path in sorted(shipped.glob(kind))
        if path.is_file() and path.name != MACRO
    ]
    for path in files:
        _link(path, folder / path.relative_to(shipped))
    for path in [path for kind in SHIPPED for path in folder.glob(kind)]:
        if path.is_symlink() and not path.exists():  # gone from the project
            path.unlink()
    (folder / "models" / FOLDER).mkdir(parents=True, exist_ok=True)
    wanted = {folder / "macros" / MACRO: write_macro(tables)}
    wanted |= {folder / "models" / FOLDER / name: text for name, text in write_models(tables).items()}
    for path in (folder / "models" / FOLDER).iterdir():
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        if not path.is_file() or path.read_text("utf-8") != text:
            write_whole(path, text)
    return folder


def _link(target: Path, link: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or link.is_file():
        link.unlink()
    link.symlink_to(target)


def write_macro(tables: Tables) -> str:
    """`declared_tables.sql`: what the quarantine says of each table."""
    entries = []
    for table in tables.values():
        # With the customer over references, by whom the rows of somebody forgotten are found.
        shown = list(dict.fromkeys([*table.columns, *list_owners(table, tables)]))
        shown = [name for name in shown if name not in table.personal]
        person = "customer_id" in list_owners(table, tables)
        entries.append(
            f"        {{'name': '{table.name}', 'key': {list(table.keys)},\n"
            f"            'event_at': {repr(table.time) if table.time else 'none'}, 'person': {str(person).lower()},\n"
            f"            'columns': {shown}}},\n"
        )
    return (
        "{# Tables of the shop's own, written from its YAML by recs_assets/declared_tables/dbt.py. #}\n"
        "{% macro declared_tables() -%}\n    {{ return([\n"
        + "".join(entries)
        + "    ]) }}\n{%- endmacro %}\n"
    )


def write_models(tables: Tables) -> dict[str, str]:
    """File name -> text of every model and of what describes them."""
    files = {}
    for table in tables.values():
        files[f"base_{table.name}.sql"] = _write_base(table, tables)
        files[f"stg_{table.name}.sql"] = _write_staging(table, tables)
    for model, (table, entity) in list_models(tables).items():
        files[f"{model}.sql"] = (
            "{{ config(schema='features', contract={'enforced': true}) }}\n"
            + write_features(table, entity, tables)
        )
    files["int_declared_values.sql"] = "{{ config(schema='intermediate') }}\n" + write_values(tables)
    files["int_declared_evidence.sql"] = "{{ config(schema='intermediate') }}\n" + _write_evidence(tables)
    files["declared.yml"] = _describe(tables)
    return files


def _find_own(table: DeclaredTable, owner: str) -> str | None:
    """The table's own column that refers to customers or to products."""
    return next((column for column, target in table.foreign_keys.items() if target == owner), None)


def _write_base(table: DeclaredTable, tables: Tables) -> str:
    texts = {name for name, kind in table.columns.items() if kind == "text"}
    cleaned = ",\n        ".join(
        f"{_clean(table, name, tables)} as {name}" if name in texts else name for name in table.columns
    )
    targets, ctes, joins, checks = dict.fromkeys(table.foreign_keys.values()), [], [], []
    for target in targets:
        if target in CANONICAL:
            extra = {
                "customers": ", joined_at as known_at",
                "products": ", cast(null as timestamp) as known_at",
            }
            columns = f"{CANONICAL[target]}{extra.get(target, ', ordered_at as known_at, customer_id')}"
        else:
            above = tables[target]
            added = [*list_owners(above, tables), *_list_values(above, tables)]
            columns = ", ".join([above.keys[0], "known_at", *added])
        ctes.append(
            f"{target} as (\n\n    select {columns} from {{{{ ref('base_{target}') }}}} where reject_reason is null\n\n),\n\n"
        )
    known = [f"source.{table.time}"] if table.time else []
    for column, target in table.foreign_keys.items():
        key = CANONICAL.get(target) or tables[target].keys[0]
        joins.append(f"    left join {target} as of_{column} on source.{column} = of_{column}.{key}\n")
        reason = ORPHANS.get(target, f"orphan_{target}")
        dated = "" if table.time is None else f", 'of_{column}.known_at', 'source.{table.time}'"
        checks.append(
            f"            {{{{ when_orphan('{reason}', 'of_{column}.{key}'{dated}, pointer='source.{column}') }}}}\n"
        )
        if target not in OWNERS and (target in CANONICAL or not tables[target].static):
            known.append(f"of_{column}.known_at")
    owners = ""
    for owner, key in OWNERS.items():
        if key not in list_owners(table, tables) or key in table.columns:
            continue
        own = _find_own(table, owner)
        sources = [f"source.{own}"] if own else [
            f"of_{column}.{key}"
            for column, target in table.foreign_keys.items()
            if (target == "orders" and owner == "customers")
            or (target in tables and key in list_owners(tables[target], tables))
        ]  # fmt: skip
        value = sources[0] if len(sources) == 1 else f"coalesce({', '.join(sources)})"
        owners += f"        {value} as {key},\n"
    for name, value in _list_values(table, tables).items():
        owners += f"        {value} as {name},\n"
    at = (
        "cast(null as timestamp)"
        if not known
        else known[0]
        if len(known) == 1
        else f"greatest({', '.join(known)})"
    )
    ids = [name for name in table.keys if name in texts]
    pointers = [f"source.{name}" for name in table.references if name not in table.keys]
    checks.insert(
        0,
        f"            {{{{ when_id_is_bad({[f'source.{name}' for name in ids]}, optional={pointers}) }}}}\n"
        + "".join(
            f"            when source.{name} is null then 'missing_key'\n"
            for name in table.keys
            if name not in ids
        ),
    )
    if table.time:
        checks.append(f"            {{{{ when_date_is_bad('source.{table.time}') }}}}\n")
    checks += [
        f"            {{{{ when_number_is_bad('source.{name}', optional=true) }}}}\n"
        for name, kind in table.columns.items()
        if kind == "number"
    ]
    dated = f", event_at='{table.time}'" if table.time else ""
    others = [name for name in table.columns if name not in table.keys]
    # Of static rows with one key the first by their values stays.
    order = others or list(table.keys)
    return (
        "{{ config(schema='base', materialized='table', persist_docs={'columns': false}) }}\n"
        f"with source as (\n\n    select\n        {cleaned}\n    from {{{{ source('raw', '{table.name}') }}}}\n\n),\n\n"
        + "".join(ctes)
        + "judged as (\n\n    select\n        source.*,\n"
        + owners
        + f"        {at} as known_at,\n        case\n"
        + "".join(checks)
        + "        end as failed_check\n    from source\n"
        + "".join(joins)
        + "\n),\n\nfinal as (\n\n"
        + f"    {{{{ with_duplicates_rejected('judged', key={list(table.keys)}, columns={order}{dated}) }}}}\n\n"
        + ")\n\nselect * from final\n"
    )


def _list_values(table: DeclaredTable, tables: Tables) -> dict[str, str]:
    """Columns that say of whoever carries which value a row is, and their SQL."""
    found = ((owner, find_carried(table, owner, tables)) for owner in OWNERS)
    return {
        BY[owner]: f"of_{carried.column}.{BY[owner]}" if carried.points else f"source.{carried.column}"
        for owner, carried in found
        if carried is not None
    }


def _clean(table: DeclaredTable, name: str, tables: Tables) -> str:
    """A text as it is cleaned where it comes from, so that a value is the same in both tables."""
    if table.foreign_keys.get(name) == "customers":
        return f"{{{{ customer_or_guest('{name}') }}}}"
    target, value = table.shared_values.get(name, (table.name, name))
    while target in tables and value in tables[target].shared_values:
        target, value = tables[target].shared_values[value]
    cleaned = f"clean_text('{name}')"
    if target in SHARED and value in ("category", "brand", "vertical"):
        cleaned = f"without_emails(plain_text({cleaned}))"
    return f"{{{{ stated({cleaned}) }}}}" if target in SHARED else f"{{{{ {cleaned} }}}}"


def _write_staging(table: DeclaredTable, tables: Tables) -> str:
    known = "" if table.static else " and {{ is_known('known_at') }}"
    columns = [
        *table.columns,
        *(key for key in list_owners(table, tables) if key not in table.columns),
        *_list_values(table, tables),
        "known_at",
    ]
    listed = ",\n        ".join(name for name in columns if name not in table.personal)
    # One person once, whatever profile the row has them under.
    people, rows, where, shown = "", "accepted", "", "*"
    if "customer_id" in list_owners(table, tables):
        people, rows = "of_people as (\n\n    {{ by_person('accepted') }}\n\n),\n\n", "of_people"
    if table.person_key is not None:
        shown = f"*, {table.person_key} as of_profile"
        people += _write_one_row(table)
        rows, where = "one_row", "\n    where place = 1" if table.static else ""
        listed += "" if table.static else ",\n        known_until"
    return (
        "{{ config(schema='staging', materialized='view') }}\n"
        f"with accepted as (\n\n    select {shown} from {{{{ ref('base_{table.name}') }}}} where reject_reason is null{known}\n\n),\n\n"
        + people
        + f"final as (\n\n    select\n        {listed}\n    from {rows}{where}\n\n)\n\nselect * from final\n"
    )


def _write_one_row(table: DeclaredTable) -> str:
    """The part that says which of the rows with one key holds, where two profiles are one person."""
    keys = ", ".join("customer_id" if name == table.person_key else name for name in table.keys)
    leading = "case when of_profile = customer_id then {} else {} end"
    if table.static:
        says = "that of the profile that they are called by"
        order = f"{leading.format(0, 1)}, of_profile"
        function, name = "row_number()", "place"
    else:
        says = "the newest, so a row is known until the next"
        order = f"known_at, {leading.format(1, 0)}, of_profile desc"
        function, name = "lead(known_at)", "known_until"
    return (
        f"-- Of a person with several profiles one row of a key holds: {says}.\n"
        f"one_row as (\n\n    select\n        *,\n        {function} over (\n            partition by {keys}\n"
        f"            order by {order}\n        ) as {name}\n    from of_people\n\n),\n\n"
    )


def _write_evidence(tables: Tables) -> str:
    """What sentences may say: the latest row of a customer and a product, or of a product."""
    parts = []
    for table in tables.values():
        owners = list_owners(table, tables)
        if not table.reasons or not has_evidence(table, tables):
            continue
        at = f"max(rows_known.{table.time})" if table.time else "cast(null as timestamp)"
        carried = find_carried(table, "products", tables)
        if carried is not None:
            parts.append(
                f"select\n    '{table.name}' as source_table,\n    cast(null as varchar) as customer_id,\n    carriers.product_id,\n"
                f"    {at} as last_at\nfrom {{{{ ref('stg_{table.name}') }}}} as rows_known\ninner join (\n"
                f"    with anchors as (select {{{{ as_of_date() }}}} as as_of)\n\n{write_carriers(carried, 'products', tables)}\n"
                f") as carriers on rows_known.{BY['products']} = carriers.carried\ngroup by carriers.product_id\n"
            )
            continue
        customer = "customer_id" if "customer_id" in owners else "cast(null as varchar)"
        there = " and ".join(f"{key} is not null" for key in owners)
        parts.append(
            f"select\n    '{table.name}' as source_table,\n    {customer} as customer_id,\n    product_id,\n    {at} as last_at\n"
            f"from {{{{ ref('stg_{table.name}') }}}} as rows_known\nwhere {there}\ngroup by {', '.join(owners)}\n"
        )
    nothing = (
        "select\n    cast(null as varchar) as source_table,\n    cast(null as varchar) as customer_id,\n"
        "    cast(null as varchar) as product_id,\n    cast(null as timestamp) as last_at\nwhere false\n"
    )
    return "union all\n".join(parts) or nothing


def _describe(tables: Tables) -> str:
    """The properties file: raw sources, and every model with its columns."""
    lines = ["# Written from the shop's tables/*.yaml.", "version: 2", "", "sources:", "  - name: raw", "    schema: \"{{ env_var('RECS_DBT_SCHEMAS', '') }}raw\"", "    tables:"]  # fmt: skip
    for table in tables.values():
        lines += [
            f"      - name: {table.name}",
            f"        description: {json.dumps(table.description)}",
            "        columns:",
        ]
        for column in table.raw.columns:
            lines += [
                f"          - name: {column.name}",
                f"            data_type: {column.type.replace('TIMESTAMPTZ', 'TIMESTAMP').lower()}",
            ]
    lines += ["", "models:"]
    for table in tables.values():
        rows = f"One row per {', '.join(table.keys)} that passed every row check."
        lines += [
            f"  - name: base_{table.name}",
            f'    description: "One row per row of raw.{table.name}, cleaned; reject_reason names the row check that it breaks."',
            f"  - name: stg_{table.name}",
            f"    description: {json.dumps(f'{rows} {table.description}')}",
        ]
    lines += [
        "  - name: int_declared_values",
        '    description: "Most frequent values of text columns of declared tables before the earliest anchor; features count them by place."',
        "  - name: int_declared_evidence",
        '    description: "Latest row of declared tables with a sentence, per customer and product, or per product."',
    ]
    for model, (table, entity) in list_models(tables).items():
        keys = ["as_of", *ENTITIES[entity]]
        one = " and ".join(key.removesuffix("_id") for key in keys[1:])
        lines += [
            f"  - name: {model}",
            f"    description: {json.dumps(f'One row per anchor and {one} with rows known then. {table.description}')}",
            "    data_tests:",
            "      - expectations:",
            f"          name: {model}_expectations",
            "          arguments:",
            "            keys:",
            f"              - [{', '.join(keys)}]",
            "    columns:",
            "      - name: as_of",
            "        data_type: date",
            "        description: \"{{ doc('anchor') }}\"",
        ]
        for key in keys[1:]:
            lines += [
                f"      - name: {key}",
                "        data_type: varchar",
                f"        description: \"{{{{ doc('{key}') }}}}\"",
            ]
        for aggregate in list_aggregates(table, entity, tables):
            lines += [
                f"      - name: {aggregate.name}",
                "        data_type: double",
                f"        description: {json.dumps(aggregate.description)}",
            ]
    return "\n".join(lines) + "\n"
