"""Declared tables in the folder of a shop: proposed, written, landed as a check, and taken back where that fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from recs_assets.declared_tables.file import CANONICAL
from recs_assets.discovery.consent import list_unread
from recs_assets.discovery.draft_sql import add_made
from recs_assets.discovery.draft_tables import Proposal, propose_table
from recs_assets.discovery.found import FoundTable
from recs_assets.schema import RecsError
from recs_assets.sources.landing import land
from recs_assets.sources.source import load_source


def propose_tables(
    con: duckdb.DuckDBPyConnection, landed: duckdb.DuckDBPyConnection, strange: Sequence[FoundTable]
) -> list[Proposal]:
    """Tables that were not understood, as declared ones; what may say no to emails is none.

    Args:
        con: connection that has the tables.
        landed: with the landed canonical tables, whose ids may be referred to.
        strange: the tables.
    """
    ids = {}
    for table, column in CANONICAL.items():
        found = landed.execute(
            f"select distinct {column} as id from raw.{table} where {column} is not null"
        ).to_arrow_table()
        ids[table] = f"_ids_of_{table}"
        con.register(ids[table], found)
    of_consent = list_unread(strange)
    proposals: list[Proposal] = []
    for table in strange:
        if table.name not in of_consent and not table.parts:
            proposals.append(propose_table(con, table, ids, [proposal.name for proposal in proposals]))
    return proposals


def declare_tables(
    proposals: Sequence[Proposal],
    draft: Path,
    used: list[FoundTable],
    left_out: dict[str, str],
    made: Sequence[FoundTable],
) -> list[str]:
    """Write the YAML and the SQL of proposals; sentences about them.

    Args:
        proposals: those that are none say why in `left_out`.
        draft: folder of the shop.
        used: tables that are read; those of proposals are added.
        left_out: names of files that are not read, and why; those of proposals are taken out.
        made: tables that a SELECT makes of files.
    """
    sentences = []
    for proposal in proposals:
        table = proposal.table
        if not proposal.name:
            for file in set(table.files) & set(left_out):
                left_out[file] = (
                    f"it is none of the tables that are needed, and no table of its own (docs/your_tables.md): {proposal.reason}"
                )
            continue
        (draft / "tables").mkdir(exist_ok=True)
        (draft / "tables" / f"{proposal.name}.yaml").write_text(proposal.yaml, "utf-8")
        (draft / f"{proposal.name}.sql").write_text(add_made(proposal.sql, made), "utf-8")
        for file in table.files:
            left_out.pop(file, None)
        used.append(table)
        sentences.append(f"{table.name}: a table of the shop's own, tables/{proposal.name}.yaml.")
    return sentences


def withdraw_unlandable(
    landed: duckdb.DuckDBPyConnection,
    proposals: Sequence[Proposal],
    draft: Path,
    folder: Path,
    used: list[FoundTable],
) -> dict[str, str]:
    """Land what was declared; what does not land is declared no more. Names of its files, and why."""
    left_out: dict[str, str] = {}
    for proposal in proposals:
        if not proposal.name:
            continue
        try:
            land(landed, load_source(draft), proposal.name, folder)
        except RecsError as error:
            (draft / "tables" / f"{proposal.name}.yaml").unlink()
            (draft / f"{proposal.name}.sql").unlink()
            used.remove(proposal.table)
            read = {file for table in used for file in table.files}
            left_out |= {
                file: f"as a table of its own it does not land: {str(error).rstrip('.')}"
                for file in proposal.table.files
                if file not in read
            }
    return left_out
