"""Copy the current files of campaigns, and of vectors, to where the deployment says: object storage, a database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recs_assets.exports import embeddings
from recs_assets.exports.sql_table import copy_rows
from recs_assets.exports.sql_vectors import copy_vectors
from recs_assets.exports.stored_files import copy_files


def copy_campaigns(folders: Iterable[Path], settings: Any) -> dict[str, dict[str, Any]]:
    """Make the copies of campaigns follow their folders: what is current there, and where nothing is, nothing.

    Args:
        folders: of campaigns' files, and that of the vectors.
        settings: `settings.Settings`.

    Returns:
        Campaign -> storage and database, each as `copy_files` and `copy_rows` say, where there is one.

    Raises:
        ExportError: a store or the database cannot be reached or refuses.
    """
    copied: dict[str, dict[str, Any]] = {}
    for folder in folders:
        about = copied.setdefault(folder.name, {})
        if settings.export_storage is not None:
            about["storage"] = copy_files(folder, settings.export_storage)
        if settings.export_database is not None:
            copy = copy_vectors if folder.name == embeddings.FOLDER else copy_rows
            about["database"] = copy(folder, settings.export_database.get_secret_value())
    return copied


def list_folders(home: Path) -> list[Path]:
    """The folder of every campaign that has files, and that of the vectors."""
    return sorted(path.parent for path in (home / "exports").glob("*/versions"))
