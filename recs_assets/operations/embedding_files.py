"""Write the published vectors of products and customers as files."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from recs_assets.exports import embeddings
from recs_assets.exports.load import load_columns, load_published_embeddings
from recs_assets.store.warehouse import Warehouse


def embeddings_folder(warehouse: Warehouse) -> Path:
    """Where the versions of the files are."""
    return warehouse.home / "exports" / embeddings.FOLDER


def write_embeddings(warehouse: Warehouse, week: date, run_id: str, keep: int) -> dict[str, Any] | None:
    """Write what is published of a week, switched in whole; the manifest. None where an earlier version of recs_assets
    published the snapshot, without vectors.

    Raises:
        WarehouseError: nothing is published.
        ExportError: run_id or keep is refused.
    """
    with warehouse.snapshot() as connection:
        if not all(load_columns(connection, table) for table in embeddings.TABLES):
            return None
        tables = {table: load_published_embeddings(connection, table, week) for table in embeddings.TABLES}
    return embeddings.write(embeddings_folder(warehouse), tables, as_of=week, run_id=run_id, keep=keep)
