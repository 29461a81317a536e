"""Files of the tables that a shop declares beside the canonical ones (`declared_tables`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from recs_assets.declared_tables.file import DeclaredTable
from recs_assets.schema import SourceError
from recs_assets.sources.declared import FORMATS, DeclaredFile, file_format
from recs_assets.sources.folder import is_pattern_name, list_folder


def find_table_files(
    data_dir: Path, tables: Mapping[str, DeclaredTable], folder: Path | None
) -> tuple[DeclaredFile, ...]:
    """The files of declared tables as they lie in a shop's folder now; of a table with SQL there is none.

    Args:
        data_dir: with the shop's files.
        tables: as declared.
        folder: of the shop, with its SQL.

    Raises:
        SourceError: there is no file of a table, or there are two.
    """
    found = []
    for table in tables.values():
        if folder is not None and (folder / f"{table.name}.sql").is_file():
            continue
        name = table.file
        if name is not None and not is_pattern_name(name):
            raise SourceError(
                f"tables/{table.name}.yaml: file is {name!r}; write a name that ends in {', '.join(FORMATS)}, or a "
                "pattern of such names (visits_*.csv, visits/*.csv)."
            )
        if name is None:
            names = [other for other in list_folder(data_dir) if file_format(other)[0].lower() == table.name]
            if len(names) > 1:
                raise SourceError(
                    f"{' and '.join(names)}: both hold the table {table.name}; keep one of them."
                )
            name = next(iter(names), None)
        if name is None or not _is_there(data_dir, name):
            raise SourceError(
                f"{name or table.name + '.csv'}: tables/{table.name}.yaml declares it and it is not in {data_dir}; put it "
                "there, name another file in the YAML, or remove the YAML."
            )
        found.append(
            DeclaredFile(
                name,
                # What is declared is there; whether a value may be empty is for the row checks.
                tuple(replace(column, required=True) for column in table.raw.columns),
                may_be_empty=True,
                alias=table.name,
                ignored=table.ignored,
                alike=True,
                identifiers=table.identifiers,
            )
        )
    return tuple(found)


def _is_there(data_dir: Path, name: str) -> bool:
    if "*" in name or "?" in name or "[" in name:
        opened = {name.split("/")[0]} if "/" in name else set()
        return any(fnmatchcase(other, name) for other in list_folder(data_dir, opened))
    return (data_dir / name).exists()


def list_read_names(files: tuple[DeclaredFile, ...]) -> tuple[str, ...]:
    """Names, or patterns of names, in a shop's folder that hold declared tables."""
    return tuple(name for file in files for name in (file.name, file.name.split("/")[0]))
