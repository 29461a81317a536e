"""In what encoding and dialect a file of text is written."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from recs_assets.schema import SourceError

_DELIMITERS = (",", ";", "\t", "|", "~", "^")
# The likeliest first: what Windows writes, its text mode, the Mac's.
_WESTERN = ("cp1252", "latin-1", "cp850", "mac_roman")
_WESTERN_LETTERS = frozenset(
    "äöüÄÖÜßéèêëàâáåãçñóòôõøúùûíìîïæœýÉÈÊÀÂÁÅÃÇÑÓÒÔÕØÚÙÛÍÌÎÏÆŒ¿¡€£§°®™²³½¼µ·–—‘’“”„…«»\u00a0"
)
_SAMPLE = 1 << 18


def read_bytes(path: Path, zipped: bool, most: int | None = None) -> bytes:
    """The beginning of a file, or all of it, unpacked."""
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            return file.read() if most is None else file.read(most)
    except (EOFError, OSError):
        raise SourceError(f"{path.name}: it cannot be read, or its end is missing; copy it again.") from None


def find_encoding(path: Path, zipped: bool) -> tuple[str, float]:
    """The encoding of a text and how sure it is; utf-8 wherever all of the file is."""
    data = read_bytes(path, zipped)
    if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32", 1.0
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", 1.0
    if data[:400].count(0) > len(data[:400]) // 4:
        return ("utf-16-be" if data[0] == 0 else "utf-16-le"), 0.9
    try:
        data.decode("utf-8")
        return "utf-8", 1.0
    except UnicodeDecodeError:
        pass
    # What is told by is in the lines that hold more than ASCII.
    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_SAMPLE]
    scored = []
    for place, encoding in enumerate(_WESTERN):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        others = [letter for letter in telling.decode(encoding) if not letter.isascii()]
        scored.append((sum(letter in _WESTERN_LETTERS for letter in others) / len(others), -place, encoding))
    share, _, encoding = max(scored)
    if share > 0.9:
        return encoding, 0.95 if encoding == "cp1252" else 0.8
    from charset_normalizer import from_bytes

    best = from_bytes(telling).best()
    if best is not None:
        try:
            data.decode(best.encoding)
        except UnicodeDecodeError:
            return encoding, 0.4
        return best.encoding, 0.6
    return encoding, 0.4


def find_csv_dialect(path: Path, zipped: bool, kind: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """The dialect of a CSV file.

    Args:
        path: of the file.
        zipped: whether it is a gzip file.
        kind: csv, tsv or txt, as its name says.

    Returns:
        The keys of its dialect that are not the default, what a person is told, what they are asked.
    """
    entry: dict[str, Any] = {}
    notes: list[str] = []
    questions: list[str] = []
    encoding, sure = find_encoding(path, zipped)
    if encoding != "utf-8":
        entry["encoding"] = encoding
        if sure < 1:
            notes.append(f"{sure:.2f} sure: encoding {encoding}, in which every byte of it is a character")
    whole = read_bytes(path, zipped)
    # A character at the end of the sample may be half.
    text = whole[:_SAMPLE].decode(encoding, "ignore").removeprefix("\ufeff")
    ends = text.split("\n")
    marked = re.fullmatch(r'"?sep=(.)"?\r?', ends[0], re.IGNORECASE)
    lines = ends[1:] if marked else ends
    delimiter, skip, width = _find_delimiter(lines)
    default = "\t" if kind == "tsv" else ","
    if (delimiter != default or kind == "txt") and not marked:
        entry["delimiter"] = delimiter
    if skip:
        entry["skip"] = skip
        notes.append(f"the header is below {skip} lines of another kind")
    if '\\"' in text and '""' not in text.replace('\\"', ""):
        entry["escape"] = "\\"
    header = next(csv.reader(lines[skip:], delimiter=delimiter), [])
    if not _is_header(header):
        entry["header"] = [f"column_{place}" for place in range(1, width + 1)]
        questions.append("what are the columns called? The file has no header; these names are made up.")
    last = (
        whole[-4:].decode(encoding, "ignore")
        if not encoding.startswith("utf-")
        else whole[-8:].decode(encoding, "ignore")
    )
    if last and not last.endswith(("\n", "\r")):
        entry["open_end"] = True
        questions.append("is the file whole? Its last line has no line break.")
    return entry, notes, questions


def _find_delimiter(lines: list[str]) -> tuple[str, int, int]:
    """The delimiter, the lines above the header, and the number of columns."""
    sample = lines[:-1][:1000] if len(lines) > 1 else lines
    best: tuple[float, int, str, int] = (0.0, 1, ",", 0)
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        if width == 1:
            continue
        share = count / len(widths)
        first = widths.index(width)
        if (round(share, 2), width) > best[:2]:
            best = (round(share, 2), width, delimiter, first)
    _, width, delimiter, first = best
    # Blank lines count as lines.
    skip, seen = 0, 0
    for line in sample:
        if line.strip():
            if seen == first:
                break
            seen += 1
        skip += 1
    return delimiter, skip if first else 0, width


def _is_header(cells: list[str]) -> bool:
    """Whether a row is names: none of its cells is a number, a date or twice there."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    values = [cell for cell in filled if re.fullmatch(r"[-+]?[\d.,/: -]+", cell)]
    return bool(filled) and not values


def find_json_dialect(path: Path, zipped: bool) -> list[dict[str, Any]]:
    """The keys of the dialect of a .json file: whether it has one record per line, or where in it the records are. Of several
    lists of records one each, the longest first.

    Raises:
        SourceError: no records are in it.
    """
    entry: dict[str, Any] = {}
    encoding, _ = find_encoding(path, zipped)
    if encoding not in ("utf-8", "ascii"):
        entry["encoding"] = encoding
    head = read_bytes(path, zipped, _SAMPLE).decode(encoding, "ignore").removeprefix("\ufeff").lstrip()
    if head.startswith("["):
        return [entry]
    lines = head.split("\n")
    if len(lines) > 1:
        try:
            if isinstance(json.loads(lines[0]), dict):
                return [entry | {"lines": True}]
        except ValueError:
            pass
    try:
        content = json.loads(read_bytes(path, zipped).decode(encoding).removeprefix("\ufeff"))
    except ValueError:
        raise SourceError(f"{path.name}: it is not JSON, or is cut off; export it again.") from None
    records = find_records(content)
    if not records:
        raise SourceError(f"{path.name}: it holds no list of records; leave it out of the folder.")
    return [entry | {"records": keys} for keys in records]


def find_records(content: object, depth: int = 3) -> list[str]:
    """The keys to the lists of objects in a JSON document, the longest first; `*` where its keys are the ids of records."""
    if not isinstance(content, dict):
        return []
    lists = {
        key: value
        for key, value in content.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    }
    if lists:
        return sorted(lists, key=lambda key: -len(lists[key]))
    if depth:
        for key, value in content.items():
            found = find_records(value, depth - 1) if isinstance(value, dict) and len(content) < 20 else []
            if found:
                return [f"{key}.{keys}" for keys in found]
    values = list(content.values())
    alike = len({type(value) for value in values}) == 1 and isinstance(values[0], list | dict)
    return ["*"] if len(values) >= 20 and alike else []
