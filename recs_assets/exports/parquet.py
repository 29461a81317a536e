"""One Parquet file with every row: the canonical export, for whatever loads caches in bulk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

FILE = "recommendations.parquet"

# Readers that want one customer skip row groups by the statistics of customer_id.
ROW_GROUP = 100_000


def write(rows: pa.Table, folder: Path) -> dict[str, int]:
    """Write `rows` (from `rows.check`, so sorted by customer_id, rank).

    Returns:
        Rows per file, the path relative to `folder`.
    """
    import pyarrow.parquet as pq

    pq.write_table(
        rows.replace_schema_metadata(None), folder / FILE, compression="zstd", row_group_size=ROW_GROUP
    )
    return {FILE: rows.num_rows}
