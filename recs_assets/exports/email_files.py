"""A campaign's exports as files, written into a new version and switched in whole.

    <folder>/current -> versions/<as_of>-<run_id>
    <folder>/versions/<as_of>-<run_id>/long.parquet, long.csv, wide.parquet, wide.csv, feed.csv,
        feed.jsonl, restricted/addresses.parquet, restricted/addresses.csv, manifest.json,
        and for email services the files of `payloads`

Programs read Parquet and JSON Lines, which hold every value as it is. CSV is for spreadsheets: a text
that a spreadsheet would run as a formula has an apostrophe before it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.exports import payloads, versions
from recs_assets.exports.email import cast_types, drop_holdout, feed, list_addresses, widen_table
from recs_assets.exports.rows import ExportError, require_finite
from recs_assets.exports.versions import leave_out, list_versions, switch_in

EXPORTS = ("long", "wide", "feed", "addresses", *payloads.SERVICES)
RESTRICTED = "restricted"

# OWASP's list (CSV Injection): the first character that makes a spreadsheet calculate.
FORMULA = re.compile("^[=+\\-@\t\r\n＝＋－＠]")
ROW_GROUP = 100_000


def write_exports(
    folder: Path,
    campaign_exports: Collection[str],
    long: pd.DataFrame | pa.Table,
    *,
    as_of: date,
    run_id: str,
    emails: pd.DataFrame | None = None,
    last_look: Mapping[str, int] | None = None,
    keep: int = 3,
) -> dict:
    """Write a new version of a campaign's files and make it the current one.

    The same rows give the same bytes. On any failure the current version stays as it is and nothing
    new remains.

    Args:
        folder: of the campaign; made if absent.
        campaign_exports: of `EXPORTS`, as the campaign file says.
        long: the campaign's rows (`email.LONG`) of this week and run; may be empty. Whoever is held out is
            in no file.
        as_of: the week.
        run_id: letters, digits, ".", "_", "-".
        emails: customer_id and email, for addresses; the only raw addresses that leave the build file. Without that
            export no file has an address.
        last_look: what was changed since the publish, in numbers (`LastLook.facts`).
        keep: versions kept, the current one included.

    Returns:
        The manifest: schema_version, as_of, run_id, version, exports, recipients, rows, last_look,
        files (path -> rows, bytes, sha256).

    Raises:
        ExportError: the rows are refused (`email.cast_types`, `email.widen`, `email.feed`) or are of another
            week or run; an export is unknown; addresses without emails, or mailchimp without addresses.
        OSError: the disk.
    """
    if unknown := sorted(set(campaign_exports) - set(EXPORTS)):
        raise ExportError(f"There is no export {', '.join(unknown)}; the exports are {', '.join(EXPORTS)}.")
    if "addresses" in campaign_exports and emails is None:
        raise ExportError("The export addresses needs the customers' emails: give them, or leave it out.")
    if "mailchimp" in campaign_exports and "addresses" not in campaign_exports:
        raise ExportError(
            "The export mailchimp finds members by their address: add addresses to the exports."
        )
    table = drop_holdout(cast_types(long))
    for name, value in (("as_of", as_of), ("run_id", run_id)):
        if others := [other for other in table[name].unique().to_pylist() if other != value]:
            raise ExportError(f"Rows of {name} {others[0]} are among those of {value}: export them apart.")
    if len(campaigns := table["campaign"].unique().to_pylist()) > 1:
        raise ExportError(f"Rows of {' and '.join(campaigns)} are together: export each campaign apart.")

    def fill(aside: Path) -> dict[str, int]:
        counts: dict[str, int] = {}

        def put(name: str, rows: pa.Table, writers: dict[str, Callable[[pa.Table, IO[bytes]], None]]) -> None:
            for ending, write in writers.items():
                with _open(aside / f"{name}.{ending}") as file:
                    write(rows, file)
                counts[f"{name}.{ending}"] = rows.num_rows

        if "long" in campaign_exports:
            put("long", table, {"parquet": _parquet, "csv": _csv})
        if "wide" in campaign_exports:
            put("wide", widen_table(table), {"parquet": _parquet, "csv": _csv})
        if "feed" in campaign_exports:
            put("feed", _cast_texts(feed(table)), {"csv": _csv, "jsonl": _jsonl})
        addresses = None
        if "addresses" in campaign_exports:
            (aside / RESTRICTED).mkdir(mode=0o700)
            rows = _cast_texts(list_addresses(table, emails))
            put(f"{RESTRICTED}/addresses", rows, {"parquet": _parquet, "csv": _csv})
            addresses = dict(zip(rows["customer_id"].to_pylist(), rows["email"].to_pylist(), strict=True))
        services = [service for name, service in payloads.SERVICES.items() if name in campaign_exports]
        return counts | _write_payloads(aside, table, services, addresses) if services else counts

    about = {
        "exports": [name for name in EXPORTS if name in campaign_exports],
        "recipients": len(table["customer_id"].unique()),
        "rows": table.num_rows,
        "last_look": dict(last_look or {}),
    }
    return switch_in(folder, as_of=as_of, run_id=run_id, keep=keep, write=fill, about=about)


def write_predictions(folder: Path, rows: pa.Table, *, as_of: date, run_id: str, keep: int = 3) -> dict:
    """What a campaign without slots predicts, as `long.parquet` and `long.csv`: a new version, as `write_exports`.

    Args:
        folder: of the campaign.
        rows: with the columns of recs.campaign_predictions; texts, numbers and dates.
        as_of: the week.
        run_id: see `write_exports`.
        keep: see `write_exports`.

    Returns:
        The manifest, as of `write_exports`.

    Raises:
        ExportError: a value is NaN or infinite, a text has a NUL.
        OSError: the disk.
    """
    require_finite(rows)
    _refuse_nul(rows)

    def fill(aside: Path) -> dict[str, int]:
        for ending, write in (("parquet", _parquet), ("csv", _csv)):
            with _open(aside / f"long.{ending}") as file:
                write(rows, file)
        return dict.fromkeys(("long.parquet", "long.csv"), rows.num_rows)

    about = {"exports": ["long"], "recipients": len(rows["customer_id"].unique()), "rows": rows.num_rows}
    return switch_in(folder, as_of=as_of, run_id=run_id, keep=keep, write=fill, about=about)


def purge(folder: Path, customer_id: str) -> dict[str, str]:
    """Write every version of a campaign's files that holds a customer again without them; the catalogue feed
    names nobody and keeps its bytes.

    Returns:
        New name by old name, in the order written.

    Raises:
        ExportError: a version cannot be read.
        OSError: the disk.
    """
    import pyarrow.parquet as pq

    renamed, start = {}, payloads.start_line(customer_id)
    for path, manifest in list_versions(folder):
        tables = {
            name.removesuffix(".parquet"): pq.read_table(path / name)
            for name in manifest["files"]
            if name.endswith(".parquet")
        }
        others = {name: leave_out(table, customer_id) for name, table in tables.items()}
        lines = {
            name: [
                line
                for line in (path / name).read_bytes().splitlines(keepends=True)
                if not line.startswith(start)
            ]
            for name in manifest["files"]
            if Path(name).stem in payloads.RECIPIENT_FILES
        }
        if all(others[name].num_rows == table.num_rows for name, table in tables.items()) and all(
            len(kept) == manifest["files"][name]["rows"] for name, kept in lines.items()
        ):
            continue

        def fill(
            aside: Path,
            path: Path = path,
            files: dict = manifest["files"],
            others: dict = others,
            lines: dict = lines,
        ) -> dict:
            counts = {}
            for name, about in files.items():
                stem, _, ending = name.rpartition(".")
                (aside / name).parent.mkdir(mode=0o700, exist_ok=True)
                with _open(aside / name) as file:
                    if stem in others:
                        {"parquet": _parquet, "csv": _csv}[ending](others[stem], file)
                        counts[name] = others[stem].num_rows
                    elif name in lines:
                        file.writelines(lines[name])
                        counts[name] = len(lines[name])
                    else:
                        file.write((path / name).read_bytes())
                        counts[name] = about["rows"]
            return counts

        about = {name: value for name, value in manifest.items() if name not in versions.OWN}
        if "long" in tables:
            about |= {
                "rows": others["long"].num_rows,
                "recipients": len(others["long"]["customer_id"].unique()),
            }
        else:  # every recipient has all slots
            slots = about["rows"] // about["recipients"]
            about |= {"rows": about["rows"] - slots, "recipients": about["recipients"] - 1}
        renamed[path.name] = versions.rewrite(folder, path, manifest, fill, about)
    return renamed


def _write_payloads(
    aside: Path, table: pa.Table, services: Sequence[payloads.Service], addresses: dict[str, str] | None
) -> dict[str, int]:
    """The files of services; rows per file."""
    counts = {}
    shelf = feed(table)
    for service in services:
        if service.catalog is not None:
            products = payloads.list_products(shelf, service)
            with _open(aside / service.catalog) as file:
                if service.catalog.endswith(".json"):
                    file.write(json.dumps(products, indent=1, allow_nan=False).encode() + b"\n")
                else:
                    file.writelines(json.dumps(row, allow_nan=False).encode() + b"\n" for row in products)
            counts[service.catalog] = len(products)
    names = {service.place(addresses is not None): service for service in services}
    counts |= dict.fromkeys(names, 0)
    with ExitStack() as files:
        opened = [
            (name, service, files.enter_context(_open(aside / name))) for name, service in names.items()
        ]
        for customer, rows in payloads.list_recipients(table):
            email = None if addresses is None else addresses.get(customer)
            for name, service, file in opened:
                if (line := payloads.write_line(service, customer, rows, email)) is not None:
                    file.write(line)
                    counts[name] += 1
    return counts


def escape_formulas(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts with an apostrophe before those that a spreadsheet would run."""
    return pc.if_else(
        pc.match_substring_regex(values, FORMULA.pattern),
        pc.binary_join_element_wise("'", values, ""),
        values,
    )


def _open(path: Path) -> IO[bytes]:
    """A new file; one in the restricted folder is its owner's alone from the first byte on."""
    mode = 0o600 if path.parent.name == RESTRICTED else 0o644
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def _cast_texts(frame: pd.DataFrame) -> pa.Table:
    table = pa.table({name: pa.array(frame[name], pa.string(), from_pandas=True) for name in frame})
    _refuse_nul(table)
    return table


def _refuse_nul(rows: pa.Table) -> None:
    for name in rows.column_names:
        if pa.types.is_string(rows[name].type) and pc.any(pc.match_substring(rows[name], "\0")).as_py():
            raise ExportError(f"Column {name} of an export holds text with a NUL character: remove it.")


def _parquet(rows: pa.Table, file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    pq.write_table(
        rows.replace_schema_metadata(None), file, compression="zstd", row_group_size=ROW_GROUP, version="2.6"
    )


def _csv(rows: pa.Table, file: IO[bytes]) -> None:
    """UTF-8, header, comma, every text in quotes, null empty; times as 2025-06-30T04:00:00Z."""
    from pyarrow import csv

    shown = {}
    for name in rows.column_names:
        values = rows[name]
        if pa.types.is_timestamp(values.type):
            values = pc.strftime(values.cast(pa.timestamp("s", "UTC"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_string(values.type):
            values = escape_formulas(values)
        shown[name] = values
    csv.write_csv(pa.table(shown), file)


def _jsonl(rows: pa.Table, file: IO[bytes]) -> None:
    """One strict JSON object per line; missing values are null."""
    for row in rows.to_pylist():
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
