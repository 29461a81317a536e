"""Write what documents say of the code: `python -m recs_assets.campaigns.describe`.

The tables of `docs/queries.md` come from the catalogue, those of a campaign's rules in
`docs/rules.md` from `rules.config`, that of `docs/email.md` from its declaration (`contracts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recs_assets import contracts
from recs_assets.queries.catalogue import CATALOGUE, Table
from recs_assets.rules.config import Eligibility, ItemRules, Slots, write_value

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOC = DOCS / "queries.md"
BEGIN, END = "<!-- catalogue: begin -->", "<!-- catalogue: end -->"


def _describe_columns(table: Table) -> str:
    return ", ".join(
        f"`{field.name}` ({field.kind}{f', refers to {field.references}' if field.references else ''})"
        for field in table.fields
    )


def catalogue_tables() -> str:
    """Markdown of every table with its columns, and of every alias."""
    lines = ["| table | one row per | dated by | what it holds |", "|---|---|---|---|"]
    for table in CATALOGUE.tables.values():
        dated = (
            f"`{table.time}`" if table.has_events_of("customers") or table.has_events_of("products") else ""
        )
        keys = ", ".join(f"`{key}`" for key in table.key)
        lines.append(f"| `{table.name}` | {keys} | {dated} | {table.description} |")
    lines += ["", "Columns:", ""]
    lines += [f"- `{table.name}`: {_describe_columns(table)}." for table in CATALOGUE.tables.values()]
    lines += ["", "| alias | stands for |", "|---|---|"]
    lines += [f"| `{alias}` | `{name}` |" for alias, name in CATALOGUE.aliases.items()]
    return "\n".join(lines)


def email_table() -> str:
    """Markdown of every column of the email table: type, meaning, who fills it."""
    meanings, fillers = contracts.descriptions(contracts.EMAIL), contracts.find_fillers(contracts.EMAIL)
    lines = ["| column | type | meaning | filled |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {type_} | {meanings[name]} | {fillers[name]} |"
        for name, type_ in contracts.shorten_types(contracts.EMAIL).items()
    ]
    return "\n".join(lines)


def rule_tables() -> str:
    """Markdown of every key of a campaign's rules: type with bounds, default, meaning."""
    parts = []
    for group, model in (("eligibility", Eligibility), ("rules", ItemRules), ("slots", Slots)):
        lines = [f"`{group}`:", "", "| key | type | default | meaning |", "|---|---|---|---|"]
        schema = model.model_json_schema()
        for name, field in model.model_fields.items():
            kind = _kind(schema["properties"][name], schema.get("$defs", {}))
            lines.append(
                f"| `{name}` | {kind} | `{write_value(field.get_default())}` | {field.description} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _kind(schema: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """A type in words, with its bounds."""
    if "anyOf" in schema:
        return " or ".join(_kind(part, models) for part in schema["anyOf"])
    if "$ref" in schema:
        fields = models[schema["$ref"].rsplit("/", 1)[1]]["properties"]
        return f"`{{{', '.join(fields)}}}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'], models)}"
    kind = {
        "integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null",
    }[schema["type"]]  # fmt: skip
    bounds = [
        f"{words} {schema[name]:g}"
        for name, words in (("minimum", "from"), ("maximum", "to"), ("exclusiveMaximum", "below"))
        if name in schema
    ]
    return " ".join([kind, *bounds])


# Page -> the marks of what is generated in it, and what writes it.
GENERATED: dict[str, tuple[str, str, Callable[[], str]]] = {
    "queries.md": (BEGIN, END, catalogue_tables),
    "rules.md": ("<!-- rules: begin -->", "<!-- rules: end -->", rule_tables),
    "email.md": ("<!-- columns: begin -->", "<!-- columns: end -->", email_table),
}


def update_tables(text: str, page: str = DOC.name) -> str:
    """The document with the part between the two marks written anew."""
    begin, end, tables = GENERATED[page]
    head, rest = text.split(begin)
    return f"{head}{begin}\n\n{tables()}\n\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    for name in GENERATED:
        path = DOCS / name
        path.write_text(update_tables(path.read_text("utf-8"), name), "utf-8")
