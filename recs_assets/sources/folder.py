"""What lies in a shop's folder: which names hold which table, and what nobody reads.

A file that is left out without a word may hold everybody who said no, so every name is either read, known to
be harmless, declared as ignored by the shop, or refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from recs_assets.schema import RAW_TABLES, SettingsError, SourceError
from recs_assets.sources.declared import FORMATS, DeclaredFile, file_format

# Names, in any case, of what explains files or was left by the program that wrote them.
HARMLESS = (
    ".*", "readme*", "license*", "licence*", "_success", "*.crc", "_committed_*", "_started_*", "_metadata",
    "_common_metadata", "thumbs.db", "desktop.ini",
)  # fmt: skip
# Beside the tables, never among the parts of one.
OWN_FILES = ("manifest.json", "source.toml")


def is_harmless(name: str) -> bool:
    """Whether a name is no data by its look; `readme.csv` is data."""
    return file_format(name)[1] in (None, "txt") and any(
        fnmatchcase(name.lower(), pattern) for pattern in HARMLESS
    )


def list_folder(folder: Path, opened: Collection[str] = ()) -> list[str]:
    """Names in a folder that are neither harmless nor this project's own files, in order of name.

    Args:
        folder: of the shop.
        opened: names or patterns of folders in it, instead of which what they hold is listed, as `folder/name`;
            of `a/b`, the folders in `a` that fit `b` are opened, too.

    Raises:
        SettingsError: a folder cannot be read.
    """
    return _list_opened(folder, "", {tuple(name.split("/")) for name in opened})


def _list_opened(folder: Path, before: str, opened: set[tuple[str, ...]]) -> list[str]:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be read ({error.strerror}): give this user the right to."
        ) from None
    found = []
    for name in names:
        fitting = [pieces for pieces in opened if fnmatchcase(name, pieces[0])]
        if is_harmless(name) or (not before and name in OWN_FILES):
            continue
        if fitting and (folder / name).is_dir():
            deeper = {pieces[1:] for pieces in fitting if len(pieces) > 1}
            found += _list_opened(folder / name, f"{before}{name}/", deeper)
        else:
            found.append(before + name)
    return found


def list_opened_folders(files: Iterable[DeclaredFile]) -> set[str]:
    """The folders, as patterns, in which declared files lie: `orders/year=*` of `orders/year=*/part-*.parquet`."""
    return {file.name.rpartition("/")[0] for file in files if "/" in file.name}


def find_table(name: str) -> str | None:
    """The canonical table that a file or a folder of parts is named after; None where it is none."""
    stem, kind, _ = file_format(name)
    return stem.lower() if stem.lower() in RAW_TABLES and kind not in ("sheet", "xml") else None


def list_canonical_names(folder: Path) -> dict[str, list[str]]:
    """Files and folders that can hold a canonical table, by table; nothing is refused."""
    found: dict[str, list[str]] = {}
    for name in list_folder(folder):
        table = find_table(name)
        if table is not None and (file_format(name)[1] is not None or (folder / name).is_dir()):
            found.setdefault(table, []).append(name)
    return found


def refuse_others(folder: Path, ignored: Sequence[str]) -> None:
    """Refuse what lies in a canonical folder and is not read.

    Args:
        folder: of the shop.
        ignored: its `ignored_files`; a pattern in it leaves alone what is named after a table.

    Raises:
        SettingsError: a file of a table is ignored.
        SourceError: a name is neither a table nor ignored.
    """
    tables = {name for names in list_canonical_names(folder).values() for name in names}
    for name in list_folder(folder):
        if name in tables:
            if name in ignored:
                raise SettingsError(
                    f"source.toml: ignored_files names {name}, which holds the table {find_table(name)}; move the "
                    f"file out of {folder} instead."
                )
            continue
        table = _find_table(name)
        if name in ignored or (table is None and _match_any(name, ignored)):
            continue
        if table is not None:
            raise SourceError(
                f"{name}: it is not read under this name; save the table as {table}.csv (or "
                f"{', '.join(FORMATS[1:])}), its parts into a folder {table}/, or move it out of {folder}."
            )
        near = difflib.get_close_matches(file_format(name)[0].lower(), list(RAW_TABLES), 1, 0.7)
        parts = next((table for table in RAW_TABLES if name.lower().startswith(table)), None)
        hint = f" (it looks like {near[0]})" if near else ""
        if parts is not None:
            hint = f" (parts of {parts} go into a folder {parts}/)"
        raise SourceError(
            f"{name}: it is no canonical table; name it after one of {', '.join(RAW_TABLES)}{hint}, move it out "
            f"of {folder}, or name it in ignored_files of source.toml."
        )


def _find_table(name: str) -> str | None:
    """The table that a name says it holds, whatever its ending: `consents.xlsx`, `consents`, `Consents.csv.zip`."""
    stem = name.split(".")[0].lower()
    return stem if stem in RAW_TABLES else None


def refuse_undeclared(
    folder: Path, source: str, files: Sequence[DeclaredFile], ignored: Sequence[str]
) -> None:
    """Refuse what lies in the folder of a source of SQL and no declaration covers.

    Raises:
        SourceError: a name is neither declared nor ignored.
    """
    for name in list_folder(folder, list_opened_folders(files)):
        if not any(file.matches(name) for file in files) and not _match_any(name, ignored):
            raise SourceError(
                f"{name}: source {source!r} does not declare it; declare it in source.toml, name it in "
                f"ignored_files there, or move it out of {folder}."
            )


def _match_any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def list_parts(folder: Path, file: DeclaredFile) -> list[str]:
    """Names of the files of one declared table, in order of name.

    Raises:
        SourceError: a folder of parts holds something else, or nothing; no file fits a pattern.
    """
    if file.is_pattern:
        names = [name for name in list_folder(folder, list_opened_folders([file])) if file.matches(name)]
        if not names:
            raise SourceError(f"{file.name}: no file in {folder} has such a name; put them there.")
        return names
    if not (folder / file.name).is_dir():
        return [file.name]
    names = [name for name in list_folder(folder, {file.name}) if name.startswith(f"{file.name}/")]
    if not names:
        raise SourceError(
            f"{file.name}: the folder holds no file; put the table's parts there, or remove it."
        )
    formats = {name: file_format(name)[1] for name in names}
    for name, kind in formats.items():
        if (folder / name).is_dir():
            raise SourceError(
                f"{name}: a folder among the parts of a table is not read; put the parts right into {file.name}."
            )
        if kind in (None, "sheet", "xml") or Path(name).name in OWN_FILES:
            raise SourceError(
                f"{name}: it is no part of a table; write parts as {', '.join(FORMATS)}, and nothing else "
                f"into {file.name}."
            )
        if kind != formats[names[0]]:
            raise SourceError(
                f"{names[0]} and {name}: the parts of a table have one format; write all in one."
            )
    own = file_format(file.name)[1]
    if own is not None and own != formats[names[0]]:
        raise SourceError(f"{names[0]}: it is not of the format that {file.name} says; rename the folder.")
    return names


def is_pattern_name(name: str) -> bool:
    """Whether `source.toml` may declare a file of this name: a plain name or a pattern, perhaps in folders.

    Folders are named, but for those of partitions: `orders/year=*/*.parquet`.
    """
    pieces = name.split("/")
    return (
        all(piece not in ("", ".", "..") for piece in pieces)
        and not any(re.search(r"[*?\[]", piece) and "=" not in piece for piece in pieces[:-1])
        and file_format(pieces[-1])[1] is not None
    )
