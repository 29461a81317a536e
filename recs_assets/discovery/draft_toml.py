"""The text of `source.toml`, with confidence and questions as comments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from recs_assets.discovery.found import FoundTable
from recs_assets.discovery.places import Place
from recs_assets.discovery.proposals import Suspect
from recs_assets.schema import RAW_TABLES


def write_text(value: object) -> str:
    """A value as TOML has it (its strings, lists and booleans are JSON's)."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def write_key(name: str) -> str:
    """A bare or a quoted key."""
    return (
        name
        if name.isascii() and name.replace("_", "").replace("-", "").isalnum()
        else json.dumps(name, ensure_ascii=False)
    )


def write_source(
    description: str,
    place: Place,
    tables: Sequence[FoundTable],
    left_out: dict[str, str],
    guests: Sequence[str] = (),
    suspects: Sequence[Suspect] = (),
    states: Sequence[tuple[str, int, str]] = (),
) -> str:
    """The text of a shop's `source.toml`.

    Args:
        description: of the shop.
        place: its currency and time zone.
        tables: that are read.
        left_out: names of files that are not, and why.
        guests: what stands for the customer in orders of guests.
        suspects: products that look like none.
        states: of orders, how many, and what they count as.
    """
    lines = [
        "# Written by `python -m recs_assets init`. Every guess has a comment with how sure it is; all of it is yours to edit.",
        f"description = {write_text(description)}",
        f"# {place.timezone_sure:.2f} sure: {place.timezone_how}."
        + _ask(place.timezone_sure, " Question: is the shop in this time zone?"),
        f"timezone = {write_text(place.timezone)}",
        "horizon_days = 28",
        f"# {place.currency_sure:.2f} sure: {place.currency_how}."
        + _ask(place.currency_sure, " Question: are the prices in this currency?"),
        f"currency = {write_text(place.currency)}",
    ]
    if guests:
        lines += [
            "# 0.90 sure: what the orders of guests have for a customer.",
            f"guest_ids = {write_text(list(guests))}",
        ]
    if left_out:
        lines += ["", "# Files that nothing reads yet:"]
        lines += [f"# {name}: {why}" for name, why in left_out.items()]
        lines.append(f"ignored_files = {write_text(list(left_out))}")
    unknown = [(state, count) for state, count, kind in states if kind == "unknown"]
    known = [(state, kind) for state, _, kind in states if kind != "unknown"]
    if unknown:
        purchases = [state for state, kind in known if kind == "purchase"]
        lines += [
            "",
            "# Question: are orders in these states purchases? Orders whose state nobody explains do not count.",
            "[order_statuses]",
        ]
        for place_in_list, (state, count) in enumerate(unknown):
            if not purchases and place_in_list == 0:
                lines.append(
                    f'{write_text(state)} = "purchase" # 0.40 sure: most orders are in it ({count}), and no other state says purchase'
                )
            else:
                lines.append(f'# {write_text(state)} = "purchase" # {count} orders; or "not_a_purchase"')
    lines += _write_no_products(suspects)
    for table in tables:
        lines += ["", *_write_file(table)]
    return "\n".join(lines) + "\n"


def _ask(sure: float, question: str) -> str:
    return question if sure < 0.9 else ""


def _write_no_products(suspects: Sequence[Suspect]) -> list[str]:
    if not suspects:
        return []
    lines = ["", "# What is no product; without this section every week detects it anew, by the same signs."]
    sure = [suspect for suspect in suspects if suspect.sure >= 0.75]
    if sure:
        lines += ["[not_products]", "products = ["]
        lines += [
            f"    {write_text(item.product_id)}, # {item.sure:.2f} sure: {_one_line(item.name)}; {', '.join(item.signs)}"
            for item in sure
        ]
        lines.append("]")
    rest = [suspect for suspect in suspects if suspect.sure < 0.75]
    if rest:
        lines.append(
            "# Question: are these products? They look like none, and are offered until you name them above."
        )
        lines += [
            f"#   {write_text(item.product_id)}: {_one_line(item.name)}; {', '.join(item.signs)}"
            for item in rest[:20]
        ]
    return lines if sure else ["", *lines[2:]]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:60]


def _write_file(table: FoundTable) -> list[str]:
    name = write_text(table.name)
    lines = [f"# {table.rows:,} rows" + (f" in {len(table.files)} files." if len(table.files) > 1 else ".")]
    lines += [f"# {note[0].upper()}{note[1:]}{'' if note.endswith('.') else '.'}" for note in table.notes]
    lines += [f"# Question: {question}" for question in table.questions]
    entry: dict[str, Any] = dict(table.entry)
    from recs_assets.sources.declared import DeclaredFile

    if table.part:
        name = write_key(table.stem)
        entry = {"file": table.files[0], **entry}
    elif DeclaredFile(table.name, ()).stem != table.stem:
        entry = {"as": table.stem, **entry}
    lines.append(f"[files.{name}]")
    lines += [f"{key} = {write_text(value)}" for key, value in entry.items()]
    lines.append(f"[files.{name}.columns]")
    for column in table.declared or table.columns:
        comment = f" # {column.sure:.2f} sure: {column.how}" if column.how else ""
        if column.question:
            comment += f". Question: {column.question}"
        lines.append(
            f"{write_key(column.name)} = {write_text(table.stored.get(column.name, column.type))}{comment}"
        )
    return lines


def is_table_name(stem: str) -> bool:
    """Whether SQL must read a file of this stem: it is called like a canonical table."""
    return stem.lower() in RAW_TABLES


def list_questions(texts: Iterable[str]) -> list[str]:
    """The questions in the comments of files, in order, each once."""
    found = [
        line.split("Question: ", 1)[1].strip()
        for text in texts
        for line in text.splitlines()
        if ("Question: " in line and line.lstrip().startswith(("#", "--"))) or " Question: " in line
    ]
    return list(dict.fromkeys(found))
