"""Sharded JSON Lines: one line per customer, found by hash and byte offset.

`shards/<number>.jsonl` holds lines

    {"customer_id": "17", "recommendations": [{"rank": 1, "product_id": "A", ...}, ...]}

A customer's hash is the first 8 bytes of SHA-256 of their id (UTF-8), big-endian; their shard is the
hash modulo the number of shards. `shards/<number>.index` holds one record per line, sorted by
hash: hash uint64, offset uint64, length uint32, big-endian (20 bytes). A reader in any language
needs a binary search and one read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.exports.rows import KEY, ExportError, split_by_customer

SHARDS = 64
RECORD = struct.Struct(">QQI")

# Rows turned into text at once: some 200 MB.
BLOCK_ROWS = 250_000


def customer_hash(customer_id: str) -> int:
    """The first 8 bytes of SHA-256 of the id, as an unsigned big-endian number."""
    return int.from_bytes(hashlib.sha256(customer_id.encode()).digest()[:8], "big")


def write(rows: pa.Table, folder: Path, shards: int = SHARDS) -> dict[str, int]:
    """Write all shards and their indexes.

    Args:
        rows: from `rows.check`.
        folder: an existing, empty folder.
        shards: how many; 4,000 customers of 50 products each make a shard of about 20 MB.

    Returns:
        Rows per file (path relative to `folder`, in order; 0 for an index).

    Raises:
        ExportError: a column type that JSON has no word for.
    """
    target = folder / "shards"
    target.mkdir()
    paths = [target / f"{number:04d}.jsonl" for number in range(shards)]
    index: list[list[tuple[int, int, int]]] = [[] for _ in range(shards)]
    written, lines_rows = [0] * shards, [0] * shards
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for customers in encode_blocks(rows):
            pending: list[list[bytes]] = [[] for _ in range(shards)]
            for key, text, count in customers:
                line = f'{{"{KEY}": {json.dumps(key)}, "recommendations": {text}}}\n'.encode()
                number = customer_hash(key)
                shard = number % shards
                index[shard].append((number, written[shard], len(line)))
                written[shard] += len(line)
                lines_rows[shard] += count
                pending[shard].append(line)
            for file, lines in zip(files, pending, strict=True):
                file.write(b"".join(lines))
    result = {}
    for path, records, count in zip(paths, index, lines_rows, strict=True):
        path.with_suffix(".index").write_bytes(b"".join(RECORD.pack(*record) for record in sorted(records)))
        result[f"shards/{path.name}"] = count
        result[f"shards/{path.stem}.index"] = 0
    return result


def encode_blocks(rows: pa.Table) -> Iterator[list[tuple[str, str, int]]]:
    """Blocks of customers, each with their recommendations as a JSON array and their number.

    Args:
        rows: from `rows.check`.

    Raises:
        ExportError: a column type that JSON has no word for.
    """
    for block, offsets in split_by_customer(rows, BLOCK_ROWS):
        keys = block[KEY].take(pa.array(offsets[:-1])).to_pylist()
        lists = [f"[{items}]" for items in _encode_lists(block, offsets)]
        yield list(zip(keys, lists, np.diff(offsets).tolist(), strict=True))


def _encode_lists(block: pa.Table, offsets: np.ndarray) -> list[str]:
    """Per customer, the recommendations as comma-separated JSON objects."""
    names = [name for name in block.column_names if name != KEY]
    parts: list[pa.Array | str] = []
    for number, name in enumerate(names):
        parts.append(("{" if number == 0 else ", ") + json.dumps(name) + ": ")
        parts.append(_encode_column(name, block[name].combine_chunks()))
    objects = pc.binary_join_element_wise(*parts, "}", "")
    if isinstance(objects, pa.ChunkedArray):
        objects = objects.combine_chunks()
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), objects)
    return pc.binary_join(lists, ", ").to_pylist()


def _encode_column(name: str, column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as JSON text; each distinct text is encoded once."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        text = column.cast(pa.string())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = _quote(column)
    elif pa.types.is_date(kind):
        text = _quote(column.cast(pa.date32()).cast(pa.string()))
    elif pa.types.is_null(kind):
        text = pa.nulls(len(column), pa.string())
    else:
        raise ExportError(f"Column {name} is {kind}, which the JSON Lines cache cannot hold: leave it out.")
    return pc.fill_null(text.cast(pa.string()), "null")


def _quote(column: pa.Array) -> pa.Array:
    encoded = column.cast(pa.string()).dictionary_encode()
    words = pa.array(
        [json.dumps(word, ensure_ascii=False) for word in encoded.dictionary.to_pylist()], pa.string()
    )
    return words.take(encoded.indices)


def lookup(cache_dir: Path, customer_id: str) -> list[dict[str, Any]] | None:
    """A customer's recommendations in the current version, best first; None for an unknown one.

    Three small reads, well below a millisecond; a version switched meanwhile is no problem.

    Raises:
        ExportError: there is no current version, or it is damaged.
    """
    version = (Path(cache_dir) / "current").resolve()
    try:
        shards = json.loads((version / "manifest.json").read_text(encoding="utf-8"))["jsonl_shards"]
        number = customer_hash(customer_id)
        path = version / "shards" / f"{number % shards:04d}.jsonl"
        records = path.with_suffix(".index").read_bytes()
        size = len(records) // RECORD.size
        at = bisect_left(
            range(size), number, key=lambda row: RECORD.unpack_from(records, row * RECORD.size)[0]
        )
        with path.open("rb") as file:
            while at < size:
                stored, offset, length = RECORD.unpack_from(records, at * RECORD.size)
                if stored != number:
                    return None
                file.seek(offset)
                line = json.loads(file.read(length))
                if line[KEY] == customer_id:
                    return line["recommendations"]
                at += 1
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"The cache {cache_dir} has no readable current version: {error}") from error
    return None
