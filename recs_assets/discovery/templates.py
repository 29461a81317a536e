"""The shops of known platforms (`recs_assets/platforms`), and which of them a folder or a database is an export of."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recs_assets.discovery.draft_toml import write_text
from recs_assets.sources.declared import DeclaredFile
from recs_assets.sources.source import Source, load_source

PLATFORMS = Path(__file__).resolve().parents[1] / "platforms"
# They add tables to another platform, and are none alone.
ADDITIONS = ("ga4", "merchant_feed")
# How a file is written is the file's, and not the platform's.
_WRITTEN = (
    "delimiter",
    "encoding",
    "quote",
    "escape",
    "skip",
    "open_end",
    "decimal",
    "thousands",
    "units",
    "dates",
    "nulls",
    "sheet",
    "lines",
    "records",
)


@dataclass(frozen=True)
class Found:
    """A file or a pattern of files that was found, or a table of a database: its name, columns and dialect."""

    name: str
    columns: tuple[str, ...]
    entry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """A platform, and what each of its declared files is called here."""

    source: Source
    names: dict[str, Found]


def find_platforms(found: Sequence[Found], folder: Path = PLATFORMS) -> list[Match]:
    """The platforms of which everything is there: one, and what may be added to it.

    A declared file is there if something has all of its required columns, and half of all where few are required; of several,
    that whose name fits, then that with the fewest others.

    Args:
        found: files and tables.
        folder: with one folder per platform.
    """
    matches = []
    for path in sorted(folder.glob("*/source.toml")):
        source = load_source(path.parent)
        match = _match(source, found)
        if match is not None:
            matches.append(match)
    whole = [match for match in matches if match.source.name not in ADDITIONS]
    # The one that explains most columns: WooCommerce's files are no Shopify's, whatever a column is called.
    whole.sort(key=lambda match: (-sum(len(file.columns) for file in match.source.files), match.source.name))
    added = [match for match in matches if match.source.name in ADDITIONS]
    return [*whole[:1], *added]


def _match(source: Source, found: Sequence[Found]) -> Match | None:
    names: dict[str, Found] = {}
    taken: set[str] = set()
    for file in source.files:
        # Of a database's tables many have the columns of one with few; only the name tells them apart.
        fitting = [
            other
            for other in found
            if other.name not in taken
            and (":" in other.name) == (":" in file.name)
            and (":" not in file.name or other.name.lower().endswith(file.stem.lower()))
            and all(column.name in other.columns for column in file.columns if column.required)
            # Records of JSON that lie together share few keys, so that few are required and say little.
            and (
                sum(column.required for column in file.columns) >= 5
                or 2 * sum(column.name in other.columns for column in file.columns) >= len(file.columns)
            )
        ]
        if not fitting:
            return None
        chosen = min(fitting, key=lambda other: (_rank_name(file, other), len(other.columns), other.name))
        names[file.name] = chosen
        taken.add(chosen.name)
    return Match(source, names)


def _rank_name(file: DeclaredFile, found: Found) -> int:
    """0: it is called as declared, but for the prefix of a table; 1: the name is part of it; 2: it is called otherwise."""
    stem, name = file.stem.lower(), found.name.lower()
    if file.matches(found.name) or name.endswith(stem):
        return 0
    return 1 if stem in name else 2


def write_platform(
    matches: Sequence[Match],
    target: Path,
    head: Mapping[str, Any],
    comments: Sequence[str],
    left_out: Sequence[str],
) -> None:
    """Write the folder of a shop out of platforms: their SQL as it is, their files under the names found.

    Args:
        matches: the platform, and what is added to it.
        target: folder to write, which exists.
        head: `timezone`, `currency` and the like, instead of the platform's.
        comments: lines at the top.
        left_out: names of files that nothing reads.
    """
    texts = []
    for place, match in enumerate(matches):
        assert match.source.folder is not None
        text = (match.source.folder / "source.toml").read_text("utf-8")
        texts.append(_rename(text, match, head if place == 0 else None))
        for path in sorted(match.source.folder.iterdir()):
            # What the platform says of a table wins over what is added.
            if path.name != "source.toml" and not (target / path.name).exists() and path.is_file():
                (target / path.name).write_text(path.read_text("utf-8"), "utf-8")
    first = "".join(f"# {line}\n" for line in comments)
    ignored = f"ignored_files = {write_text(list(left_out))}\n" if left_out else ""
    (target / "source.toml").write_text(first + ignored + "\n".join(texts), "utf-8")


def _rename(text: str, match: Match, head: Mapping[str, Any] | None) -> str:
    """The text of a platform's source.toml with the names, the dialects and the head of this shop."""
    lines: list[str] = []
    in_files, skipped = False, False
    current: Found | None = None
    aliases = {file.name: file.stem for file in match.source.files}
    declared = tomllib.loads(text)["files"]
    for line in text.splitlines():
        section = re.match(r'\[files\."([^"]+)"(\.columns)?\]', line)
        if section:
            in_files, name = True, section.group(1)
            current = match.names.get(name)
            skipped = current is None
            if current is not None:
                lines.append(line.replace(f'"{name}"', write_text(current.name), 1))
                if not section.group(2):
                    if "as" not in declared[name] and DeclaredFile(current.name, ()).stem != aliases[name]:
                        lines.append(f"as = {write_text(aliases[name])}")
                    written = {
                        key: value
                        for key, value in current.entry.items()
                        if key in _WRITTEN and key not in declared[name]
                    }
                    lines += [f"{key} = {write_text(value)}" for key, value in written.items()]
            continue
        if line.startswith("["):
            skipped = head is None
        if skipped:
            continue
        if not in_files:
            key = re.match(r"(\w+) *=", line)
            if head is None:  # what is added has files only
                continue
            if key and key.group(1) in head:
                lines.append(f"{key.group(1)} = {write_text(head[key.group(1)])}")
                continue
        lines.append(line)
    return "\n".join(lines) + "\n"
