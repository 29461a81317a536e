"""A small .xlsx, written as Excel does: numbers as floats, dates as numbers with a style."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DAY_ZERO = datetime(1899, 12, 30)
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/>'
    '<xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


def write_xlsx(path: Path, sheets: Mapping[str, Iterable[Sequence[Any]]]) -> Path:
    """Write rows of text, numbers, dates, times and None, by the name of the sheet."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        overrides = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="application/'
            'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
            'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName='
            '"/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
            f"{overrides}</Types>",
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1" Type="{_OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        named = "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1)
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>',
        )
        related = "".join(
            f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        related += f'<Relationship Id="s" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        book.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{_RELATIONS}">{related}</Relationships>'
        )
        book.writestr("xl/styles.xml", _STYLES)
        for n, rows in enumerate(sheets.values(), 1):
            with book.open(f"xl/worksheets/sheet{n}.xml", "w", force_zip64=True) as file:
                file.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
                for number, row in enumerate(rows, 1):
                    cells = "".join(_write_cell(cell, place, number) for place, cell in enumerate(row))
                    file.write(f'<row r="{number}">{cells}</row>'.encode())
                file.write(b"</sheetData></worksheet>")
    return path


def _write_cell(cell: Any, place: int, row: int) -> str:
    where = f"{chr(65 + place)}{row}"
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f'<c r="{where}" s="1"><v>{(cell - _DAY_ZERO).total_seconds() / 86400!r}</v></c>'
    if isinstance(cell, date):
        days = (datetime(cell.year, cell.month, cell.day) - _DAY_ZERO).days
        return f'<c r="{where}" s="2"><v>{days}</v></c>'
    if isinstance(cell, int | float):
        return f'<c r="{where}"><v>{cell!r}</v></c>'
    return f'<c r="{where}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
