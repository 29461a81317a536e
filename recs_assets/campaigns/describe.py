"""Write the tables of `docs/queries.md` from the catalogue: `python -m recs_assets.campaigns.describe`."""

from __future__ import annotations

from pathlib import Path

from recs_assets.campaigns.catalogue import CATALOGUE, Table

DOC = Path(__file__).resolve().parents[2] / "docs" / "queries.md"
BEGIN, END = "<!-- catalogue: begin -->", "<!-- catalogue: end -->"


def _columns(table: Table) -> str:
    return ", ".join(
        f"`{one.name}` ({one.kind}{f', refers to {one.references}' if one.references else ''})"
        for one in table.fields
    )


def catalogue_tables() -> str:
    """Markdown of every table with its columns, and of every alias."""
    lines = ["| table | one row per | dated by | what it holds |", "|---|---|---|---|"]
    for table in CATALOGUE.tables.values():
        dated = f"`{table.time}`" if table.countable else ""
        keys = ", ".join(f"`{key}`" for key in table.key)
        lines.append(f"| `{table.name}` | {keys} | {dated} | {table.description} |")
    lines += ["", "Columns:", ""]
    lines += [f"- `{table.name}`: {_columns(table)}." for table in CATALOGUE.tables.values()]
    lines += ["", "| alias | stands for |", "|---|---|"]
    lines += [f"| `{alias}` | `{name}` |" for alias, name in CATALOGUE.aliases.items()]
    return "\n".join(lines)


def updated(text: str) -> str:
    """The document with the part between the two marks written anew."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n\n{catalogue_tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    DOC.write_text(updated(DOC.read_text("utf-8")), "utf-8")
