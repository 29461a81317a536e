"""The vectors of products and customers as files, a version at a time like a campaign's files.

<folder>/current -> versions/<as_of>-<run_id>
<folder>/versions/<as_of>-<run_id>/product_embeddings.parquet, customer_embeddings.parquet, manifest.json
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa

from recs_assets.exports.versions import leave_out, list_versions, rewrite, switch_in

# Among the folders of campaigns, whose names have no hyphen.
FOLDER = "embedding-tables"
TABLES = ("product_embeddings", "customer_embeddings")
PERSONAL = "customer_embeddings"
ROW_GROUP = 20_000


def write(folder: Path, tables: Mapping[str, pa.Table], *, as_of: date, run_id: str, keep: int = 3) -> dict:
    """Write a new version and make it the current one; the manifest.

    Args:
        folder: of all versions; made if absent.
        tables: of `TABLES`, sorted.
        as_of: the week.
        run_id: of the run that made them.
        keep: versions kept, the current one included.

    Raises:
        ExportError: run_id or keep is refused.
        OSError: the disk.
    """
    fill = partial(_write_tables, tables)
    return switch_in(folder, as_of=as_of, run_id=run_id, keep=keep, write=fill, about=_describe(tables))


def purge(folder: Path, customer_id: str) -> dict[str, str]:
    """Write every version that holds a customer again without them; new name by old one.

    Raises:
        ExportError: a version cannot be read.
        OSError: the disk.
    """
    import pyarrow.parquet as pq

    renamed = {}
    for path, manifest in list_versions(folder):
        tables = {Path(name).stem: pq.read_table(path / name) for name in manifest["files"]}
        people = tables[PERSONAL]
        others = leave_out(people, customer_id)
        if others.num_rows < people.num_rows:
            tables[PERSONAL] = others
            fill = partial(_write_tables, tables)
            renamed[path.name] = rewrite(folder, path, manifest, fill, _describe(tables))
    return renamed


def _describe(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    return {"rows": sum(table.num_rows for table in tables.values())}


def _write_tables(tables: Mapping[str, pa.Table], aside: Path) -> dict[str, int]:
    """Rows by name of the file."""
    return {_write_table(aside, name, table): table.num_rows for name, table in tables.items()}


def _write_table(folder: Path, name: str, table: pa.Table) -> str:
    import pyarrow.parquet as pq

    file = f"{name}.parquet"
    # Floats of vectors hardly compress, and dictionaries of them only take time.
    keys = [column for column in table.column_names if column != "embedding"]
    pq.write_table(
        table.replace_schema_metadata(None),
        folder / file,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=keys,
    )
    return file
