"""Write the column tables of `docs/raw_tables.md` from the schema: `python -m recs_assets.sources.describe`."""

from __future__ import annotations

from pathlib import Path

from recs_assets.schema import RAW_TABLES

DOC = Path(__file__).resolve().parents[2] / "docs" / "raw_tables.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def column_tables() -> str:
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


def updated(text: str) -> str:
    """The document with the part between the two marks written anew."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n\n{column_tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    DOC.write_text(updated(DOC.read_text("utf-8")), "utf-8")
