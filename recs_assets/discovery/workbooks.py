"""The tables of a spreadsheet: which of its sheets are one table, and which are none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recs_assets.schema import SourceError
from recs_assets.sources.dialect import Dialect
from recs_assets.sources.reader_spreadsheet import read_sheet


@dataclass(frozen=True)
class _Sheet:
    name: str
    skip: int
    header: tuple[str, ...]
    rows: int


def agree(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether four in five of all columns are in both."""
    return len({*one} & {*other}) >= 0.8 * len({*one} | {*other})


def look_at_spreadsheet(path: Path, name: str) -> list[dict[str, Any]]:
    """The tables of a workbook, the longest first: sheets with the same columns, such as one per year, are one.

    Raises:
        SourceError: it cannot be read, or holds no table.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
    except (CalamineError, OSError):
        raise SourceError(
            f"{name}: it is no spreadsheet, or is protected by a password; save it again."
        ) from None
    questions: list[str] = []
    groups: list[list[_Sheet]] = []
    found = [_look_at_sheet(book, sheet) for sheet in book.sheet_names]
    for sheet in sorted(found, key=lambda sheet: -sheet.rows):
        if not sheet.header:
            continue
        if not sheet.rows:
            questions.append(
                f"is sheet {sheet.name!r} of {name} needed? It has a header and no rows, so it is not read; export it again with its rows."
            )
        elif sum(map(bool, sheet.header)) < 2:
            questions.append(
                f"is sheet {sheet.name!r} of {name} needed? It has one column and is no table, so it is not read."
            )
        else:
            for group in groups:
                if group[0].skip == sheet.skip and agree(group[0].header, sheet.header):
                    group.append(sheet)
                    break
            else:
                groups.append([sheet])
    if not groups:
        raise SourceError(
            f"{name}: no sheet of it has a header with rows below; export it again with its rows."
        )
    order = {sheet: place for place, sheet in enumerate(book.sheet_names)}
    drafts = []
    for group in groups:
        sheets = sorted((sheet.name for sheet in group), key=order.__getitem__)
        columns = tuple(dict.fromkeys(column for sheet in group for column in sheet.header))
        doubled = [column for column in columns if any(sheet.header.count(column) > 1 for sheet in group)]
        drafts.append(
            {
                "entry": ({"sheet": sheets} if len(book.sheet_names) > 1 else {})
                | ({"skip": group[0].skip} if group[0].skip else {}),
                "notes": [],
                "questions": questions if group is groups[0] else [],
                # A column that is there twice stays so: it is not read.
                "columns": (*columns, *doubled),
                "lacking": {
                    column for column in columns if not all(column in sheet.header for sheet in group)
                },
                "part": _name_sheets(sheets) if len(groups) > 1 else "",
            }
        )
    return drafts


def _name_sheets(sheets: Sequence[str]) -> str:
    """What sheets of one table are called together: `Sales` of `Sales 2023` and `Sales 2024`."""
    shared = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*sheets, strict=False))
    common = "".join(letters[0] for letters in shared)
    return sheets[0] if len(sheets) == 1 else common.rstrip(" -_.0123456789") or sheets[0]


def _look_at_sheet(book: Any, sheet: str) -> _Sheet:
    skip = _count_above(book, sheet)
    header, rows = read_sheet(book, sheet, Dialect(skip=skip))
    return _Sheet(sheet, skip, tuple(header), sum(1 for _ in rows))


def _count_above(book: Any, sheet: str) -> int:
    """How many rows stand above the header: the first row that fills nearly as many cells as most do.

    A row of titles above groups of columns, each in cells that are one, fills few.
    """
    worksheet = book.get_sheet_by_name(sheet)
    filled = [sum(cell != "" for cell in row) for row in itertools.islice(worksheet.iter_rows(), 30)]
    usual = sorted(count for count in filled if count)
    if not usual:
        return 0
    first = next(n for n, count in enumerate(filled) if count >= 0.8 * usual[len(usual) // 2])
    return worksheet.start[0] + first if first else 0
