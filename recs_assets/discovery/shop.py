"""`init`: look at a folder, write the folder of a shop that reads it, and land it once as a check."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import duckdb

from recs_assets.discovery.databases import list_tables, read_tables
from recs_assets.discovery.draft_sql import write_tables
from recs_assets.discovery.draft_toml import is_table_name, list_questions, write_source
from recs_assets.discovery.embedded import find_embedded, flatten_objects, type_texts
from recs_assets.discovery.facts import Facts, gather_facts
from recs_assets.discovery.folder import read_folder
from recs_assets.discovery.found import FoundTable
from recs_assets.discovery.meaning import understand
from recs_assets.discovery.own_tables import declare_tables, propose_tables, withdraw_unlandable
from recs_assets.discovery.places import Place, find_country, find_place
from recs_assets.discovery.proposals import Suspect, count_wholesale, explain_states, find_no_products
from recs_assets.discovery.roles import Role, is_epoch
from recs_assets.discovery.spoilt import explain_spelt_dates, explain_spoilt
from recs_assets.discovery.sql_parts import order_owner
from recs_assets.discovery.templates import ADDITIONS, PLATFORMS, Found, Match, find_platforms, write_platform
from recs_assets.schema import RAW_TABLES, RecsError, SettingsError, SourceError
from recs_assets.sources.declared import list_some
from recs_assets.sources.folder import list_canonical_names
from recs_assets.sources.landing import land
from recs_assets.sources.source import CANONICAL, SHOPS, Source, load_source, resolve_source
from recs_assets.sql_text import quote

Say = Callable[[str], None]


@dataclass
class Report:
    """What was written, and what people are told: `folder` is None where nothing is needed."""

    name: str
    folder: Path | None
    taken: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    problem: str | None = None


def name_shop(folder: Path) -> str:
    """The name of a shop for a folder: lower-case letters, digits and `_`."""
    stem = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")
    return stem if re.match("[a-z]", stem) else f"shop_{stem}".rstrip("_")


def make_shop(
    folder: Path | None,
    shops: Path,
    name: str | None = None,
    databases: Sequence[str] = (),
    platforms: Path = PLATFORMS,
    say: Say = lambda sentence: None,
) -> Report:
    """Write `<shops>/<name>/` for a folder of arbitrary files.

    Args:
        folder: with the export; none: the tables of `databases` are all there is.
        shops: folder of shops, as RECS_SHOPS names it; it is made where it is not there.
        name: of the shop; none: the folder's.
        databases: names of databases whose tables are looked at, too (`RECS_DATABASE_<NAME>`).
        platforms: the shops of known platforms.
        say: is told what is being done.

    Returns:
        What was taken for what, what is unsure, and what the landing came to.

    Raises:
        SettingsError: the name cannot be used, or is taken.
        SourceError: the folder holds nothing that can become a shop.
    """
    if folder is None and not databases:
        raise SettingsError(
            "init needs a folder with exported files, or --database with the name of a database."
        )
    if folder is not None and not folder.is_dir():
        raise SettingsError(f"{folder} is no folder: name the one with the exported files.")
    if name is None:
        name = databases[0] if folder is None else name_shop(folder)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SettingsError(
            f"--name {name!r}: a shop's name is lower-case letters, digits and _, a letter first."
        )
    target = shops / name
    if name == CANONICAL or name == "auto" or (SHOPS / name).exists():
        raise SettingsError(
            f"--name {name}: a shop of this name comes with the code; give another with --name."
        )
    if target.exists():
        raise SettingsError(
            f"{target} is there, and nothing in it is overwritten: edit it, give another name with --name, or move it away."
        )
    if folder is not None and not databases and (report := _explain_canonical(folder, name)) is not None:
        return report
    shops.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=shops) as scratch:
        draft = Path(scratch) / name
        draft.mkdir()
        if folder is None:
            folder = Path(scratch) / "no files"
            folder.mkdir()
        report = _write_draft(folder, draft, name, databases, platforms, say)
        report.folder = target
        shutil.move(draft, target)
    return report


def _explain_canonical(folder: Path, name: str) -> Report | None:
    """What is said of a folder that needs no shop; None where it does."""
    required = {table.name for table in RAW_TABLES.values() if table.required}
    if not required <= set(list_canonical_names(folder)):
        return None
    try:
        source = resolve_source(CANONICAL, folder)
        with duckdb.connect() as con:
            figures = _check(con, source, folder)[0]
    except RecsError:
        return None
    return Report(
        name, None, ["The files are the canonical tables already, so no shop is needed."], [], figures
    )


def _write_draft(
    folder: Path, draft: Path, name: str, databases: Sequence[str], platforms: Path, say: Say
) -> Report:
    stored = [table for database in databases for table in list_tables(database)]
    with ExitStack() as stack:
        con = stack.enter_context(duckdb.connect())
        copies = stack.enter_context(tempfile.TemporaryDirectory())
        con.execute("attach ':memory:' as files")
        tables, problems = read_folder(con, folder, say)
        if not tables and not stored:
            if not problems:
                raise SourceError(
                    f"{folder}: it holds no table that can be read; put the exported files there."
                )
            why = problems[0].removesuffix(" Until then it is named in ignored_files.")
            raise SourceError(f"{folder}: it holds no table that can be read: {why}")
        left_out = _name_problems(problems)
        found = [
            Found(table.name, table.header, table.entry) for table in [*tables, *stored] if not table.part
        ]
        matches = find_platforms(found, platforms) if platforms.is_dir() else []
        whole = [match for match in matches if match.source.name not in ADDITIONS]
        if whole:
            say(f"The files are those of {whole[0].source.name}.")
            return _use_platform(folder, draft, name, matches, tables, left_out)
        read_tables(con, stored, Path(copies), say)
        tables += stored
        empty = {
            file: "it has a header and no rows, so nothing can be said of it; export it again with its rows."
            for table in tables
            if not table.rows
            for file in table.files
        }
        problems += [f"{file}: {why} Until then it is named in ignored_files." for file, why in empty.items()]
        left_out |= empty
        tables = [table for table in tables if table.rows]
        if not tables:
            raise SourceError(
                f"{folder}: no file holds a row ({list_some(empty)}); export them again with their rows."
            )
        say("Looking for what the columns mean.")
        for table in tables:
            if table.format in (None, "parquet"):
                type_texts(con, table)
            flatten_objects(con, table)
        tables = [*tables, *find_embedded(con, tables)]
        roles, unused = understand(con, tables)
        if not any(
            column.is_time or is_epoch(column) is not None for table in tables for column in table.columns
        ):
            if spelt := explain_spelt_dates(con, tables):
                raise SourceError(spelt)
            raise SourceError(
                f"{folder}: no file has a date, so nothing says when an order was placed, and without it there is no week; add "
                "the date to the export."
            )
        if "lines" not in roles:
            kinds = ", ".join(f"{role.table.name} ({kind})" for kind, role in roles.items()) or "none"
            raise SourceError(
                f"{folder}: no file was understood as lines of orders, with a product and units or an amount (understood: {kinds}); "
                "rename the columns to what they are, such as order_id, product_id, quantity, price, or write the SQL by hand "
                "(docs/sources.md)."
            )
        spoilt = explain_spoilt(con, roles["lines"], order_owner(roles, "ordered_at") is not None)
        if spoilt:
            raise SourceError(spoilt)
        if order_owner(roles, "ordered_at") is None:
            raise SourceError(
                f"{folder}: nothing says when an order was placed, and without it there is no week; add the date to the export."
            )
        facts = gather_facts(con, roles)
        countries, place = _find_place(con, roles, tables)
        made = [table for table in tables if table.cte is not None]
        used = [table for table in tables if table.owner is None and _is_used(table, roles)]
        read = {file for table in used for file in table.files}
        left_out |= {
            file: "it was not understood as one of the tables that are needed"
            for table in unused
            if table.owner is None and table not in used
            for file in table.files
            if file not in read
        }
        problems += [
            f"{table.name} was not understood as one of the tables that are needed, and is not read."
            for table in unused
            if table.part and table not in used and set(table.files) <= read
        ]
        strange = [table for table in unused if table.owner is None and table not in used]
        for table, sql in write_tables(roles, facts, countries, made, strange).items():
            (draft / f"{table}.sql").write_text(sql, "utf-8")
        texts = " ".join(path.read_text("utf-8") for path in draft.glob("*.sql"))
        unread = [
            table for table in used if is_table_name(table.stem) and f"files.{quote(table.stem)}" not in texts
        ]
        used = [table for table in used if table not in unread]
        read = {file for table in used for file in table.files}
        left_out |= {file: "no SQL reads it" for table in unread for file in table.files if file not in read}
        description = f"{name}: as `init` understood {list_some([table.name for table in used], 4)}."

        def write(suspects: Sequence[Suspect] = (), states: Sequence[tuple[str, int, str]] = ()) -> None:
            text = write_source(description, place, used, left_out, facts.guests, suspects, states)
            (draft / "source.toml").write_text(text, "utf-8")

        write()
        say("Landing what was written, as a check.")
        report = Report(name, None, _explain_tables(roles, facts), [])
        landed = stack.enter_context(duckdb.connect())
        try:
            report.figures, suspects, states = _check(landed, load_source(draft), folder)
            write(suspects, states)
            proposals = propose_tables(con, landed, strange)
            report.taken += declare_tables(proposals, draft, used, left_out, made)
            write(suspects, states)
            left_out |= withdraw_unlandable(landed, proposals, draft, folder, used)
            write(suspects, states)
            load_source(draft)
            sure = [suspect for suspect in suspects if suspect.sure >= 0.75]
            if sure:
                named = list_some([f"{item.product_id} ({item.name})" for item in sure], 6)
                report.taken.append(f"No products: {named}, by not_products in source.toml.")
        except RecsError as error:
            report.problem = str(error)
        report.unsure = [
            *problems,
            *[
                f"{file} is not read: {left_out[file]}."
                for table in strange
                for file in table.files
                if file in left_out
            ],
            *list_questions(
                path.read_text("utf-8")
                for path in [
                    draft / "source.toml",
                    *sorted(draft.glob("*.sql")),
                    *sorted(draft.glob("tables/*.yaml")),
                ]
            ),
        ]
        return report


def _name_problems(problems: Sequence[str]) -> dict[str, str]:
    """Files that cannot be read, by name, and why: they stand in ignored_files."""
    return {
        re.split(r"(?: line \d+| row \d+| record \d+| sheet '.*')?: ", problem, maxsplit=1)[0]: problem.split(
            ": ", 1
        )[1].removesuffix(" Until then it is named in ignored_files.")
        for problem in problems
    }


def _is_used(table: FoundTable, roles: Mapping[str, Role]) -> bool:
    """Whether a file's table is read by one of those that were understood."""
    if table.parts:
        return False
    read = [other for role in roles.values() for other in (role.table, *role.table.parts)]
    return any(other is table or other.owner is table for other in read)


def _find_place(
    con: duckdb.DuckDBPyConnection, roles: Mapping[str, Role], tables: Sequence[FoundTable]
) -> tuple[dict[str, str], Place]:
    """ISO codes of the countries that occur, and where the shop is."""
    counted: dict[str, int] = {}
    currencies: list[str] = []
    for role in roles.values():
        if role.has("country"):
            for value, count in con.execute(
                f"select {role.name('country')}::varchar, count(*) from {role.table.relation} where {role.name('country')} is not null group by 1 order by 2 desc, 1 limit 300"
            ).fetchall():
                counted[value] = counted.get(value, 0) + count
        if role.has("currency"):
            currencies += list(role.guesses["currency"].column.samples)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    names = [column.name for table in tables for column in table.columns] + [table.stem for table in tables]
    units = [unit for table in tables for unit in table.entry.get("units", ())]
    countries = {value: code for value, _ in ordered if (code := find_country(value)) is not None}
    return countries, find_place(names, ordered, currencies, units)


def _explain_tables(roles: Mapping[str, Role], facts: Facts) -> list[str]:
    words = {"lines": "lines of orders", "inventory": "stock", "browsing_events": "browsing events"}
    sentences = [
        f"{role.table.name}: {words.get(kind, kind)} ({role.sure:.2f} sure), with "
        + list_some([f"{column} = {guess.column.name}" for column, guess in role.guesses.items()], 12)
        + "."
        for kind, role in roles.items()
    ]
    if "orders" not in roles:
        sentences.append("Orders are made from the lines with the same number.")
    if "customers" not in roles:
        sentences.append("Customers are made from the orders.")
    if "products" not in roles:
        sentences.append("Products are made from the lines, each under its most frequent name.")
    if facts.money_note:
        sentences.append(f"Money: {facts.money_note} ({facts.money_sure:.2f} sure).")
    if facts.guest_share:
        sentences.append(
            f"Guests: {facts.guest_share:.0%} of the rows name no customer; they count for products and for nobody's history."
        )
    if facts.negative_lines:
        begin = f" (numbers with {', '.join(facts.prefixes)} before them)" if facts.prefixes else ""
        sentences.append(
            f"Cancellations: {facts.negative_lines:,} lines have negative units{begin}; they are netted against what was bought."
        )
    return sentences


def _check(
    con: duckdb.DuckDBPyConnection, source: Source, folder: Path
) -> tuple[list[str], list[Suspect], list[tuple[str, int, str]]]:
    """Land every table into a scratch database, `con`; what came of it.

    Raises:
        RecsError: a table does not land, or no order does.
    """
    rows = {table: land(con, source, table, folder).rows for table in RAW_TABLES}
    if not rows["orders"] or not rows["order_items"]:
        raise SourceError(f"source {source.name!r}: it lands no orders; correct its SQL.")
    figures = [f"It lands: {', '.join(f'{count:,} {table}' for table, count in rows.items() if count)}."]
    first, last, undated = con.execute(
        "select min(ordered_at)::date, max(ordered_at)::date, count(*) filter (ordered_at is null) from raw.orders"
    ).fetchone()
    figures.append(f"Orders are from {first} to {last}." + (f" {undated:,} have no date." if undated else ""))
    lost, total = con.execute(
        "select count(*) filter (order_id not in (select order_id from raw.orders where order_id is not null)), count(*) from raw.order_items"
    ).fetchone()
    strange, _ = con.execute(
        "select count(*) filter (product_id not in (select product_id from raw.products where product_id is not null)), count(*) from raw.order_items"
    ).fetchone()
    if lost or strange:
        figures.append(
            f"Of {total:,} lines, {lost:,} have no order and {strange:,} no product; they will be in quarantine."
        )
    wholesale = count_wholesale(con)
    figures += _explain_silence(con, source)
    if wholesale:
        figures.append(
            f"{wholesale} customers buy as no person does; every week leaves wholesale buyers out by itself ([wholesale] in source.toml)."
        )
    return figures, find_no_products(con), explain_states(con)


def _explain_silence(con: duckdb.DuckDBPyConnection, source: Source) -> list[str]:
    """A sentence if nobody may be written to, and where that is said."""
    if con.execute("select coalesce(bool_or(email_eligible), false) from raw.customers").fetchone()[0]:
        return []
    sentence = "Nobody may be written to, so emails will be empty; pages have their lists all the same."
    path = None if source.folder is None else source.folder / "customers.sql"
    if path is None or not path.is_file():
        return [sentence]
    lines = path.read_text("utf-8").splitlines()
    at = [
        place
        for place, line in enumerate(lines, start=1)
        if line.strip().startswith("false as email_eligible")
    ]
    if not at:
        return [f"{sentence} email_eligible in customers.sql says who may."]
    return [
        f"{sentence} If everybody agreed, write true in place of false in line {at[-1]} of customers.sql."
    ]


def _use_platform(
    folder: Path,
    draft: Path,
    name: str,
    matches: Sequence[Match],
    tables: Sequence[FoundTable],
    left_out: dict[str, str],
) -> Report:
    """The shop of a platform, with the names of the files, the currency and the time zone of this one."""
    used = {found.name for match in matches for found in match.names.values()}
    unread = {
        file: "the platform does not need it"
        for table in tables
        if table.name not in used
        for file in table.files
        if not any(fnmatchcase(file, name) for name in used)
    }
    values: list[str] = []
    for table in tables:
        for column in table.columns:
            if column.name.lower() in ("currency", "order currency", "currency_code") and column.samples:
                values += column.samples
    place = find_place((), [], values, ())
    head: dict[str, str] = {"description": f"{name}: {matches[0].source.description}"}
    questions = []
    if place.currency_sure > 0.9:
        head["currency"] = place.currency
    else:
        questions.append(f"Question: are the prices in {matches[0].source.currency}? (currency)")
    questions.append(f"Question: is the shop's time zone {matches[0].source.timezone}? (timezone)")
    comments = [
        f"Written by `python -m recs_assets init` from the platform {' and '.join(match.source.name for match in matches)}; it is yours to edit.",
        *questions,
    ]
    write_platform(matches, draft, head, comments, [*left_out, *unread])
    report = Report(name, None)
    report.taken = [
        f"{found.name}: {declared} of {match.source.name}."
        for match in matches
        for declared, found in match.names.items()
    ]
    report.unsure = [question.removeprefix("Question: ") for question in questions]
    report.unsure += [f"{file} is not read: {why}." for file, why in (left_out | unread).items()]
    try:
        with duckdb.connect() as con:
            report.figures = _check(con, load_source(draft), folder)[0]
    except RecsError as error:
        report.problem = str(error)
    return report
