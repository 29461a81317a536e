"""What every cache is given, checked before a byte is written."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.arrays import split_blocks
from recs_assets.schema import RecsError

KEY = "customer_id"
ORDER = "rank"


class ExportError(RecsError):
    """The rows cannot be exported, or a cache cannot be written or read."""


def check(rows: pa.Table | pd.DataFrame, columns: list[str] | None = None) -> pa.Table:
    """The rows as an Arrow table that every cache can be written from.

    Args:
        rows: columns customer_id (string) and rank (integer), sorted by (customer_id as UTF-8
            bytes, rank), and whatever each recommendation should carry.
        columns: of these only the named ones, besides customer_id and rank; None for all.

    Returns:
        The table in one chunk per column, dictionaries decoded.

    Raises:
        ExportError: a column is missing or looks like an email address; customer_id or rank is
            null; the rows are not sorted or one is there twice; a number is NaN or infinite.
    """
    if isinstance(rows, pd.DataFrame):
        require_finite(rows)  # from pandas, NaN would become null and pass
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if columns is not None:
        rows = rows.select([*dict.fromkeys([KEY, ORDER, *columns])])
    if missing := {KEY, ORDER} - set(rows.column_names):
        raise ExportError(f"The rows to export lack the column(s) {sorted(missing)}.")
    for field in rows.schema:
        if "email" in field.name.lower():
            raise ExportError(
                f"Column {field.name} may hold email addresses, which no cache may: leave it out."
            )
        if pa.types.is_dictionary(field.type):
            at = rows.column_names.index(field.name)
            rows = rows.set_column(at, field.name, rows[field.name].cast(field.type.value_type))
    rows = rows.combine_chunks()
    for column in (KEY, ORDER):
        if rows[column].null_count:
            raise ExportError(f"Column {column} of the rows to export holds {rows[column].null_count} nulls.")
    require_finite(rows)
    _require_sorted(rows)
    return rows


def require_finite(rows: pa.Table | pd.DataFrame) -> None:
    """Raise ExportError where a float column, of Arrow or of numpy, holds NaN or an infinity."""
    if isinstance(rows, pa.Table):
        floats = [name for name in rows.column_names if pa.types.is_floating(rows[name].type)]
        bad = {name: pc.sum(pc.invert(pc.is_finite(rows[name]))).as_py() or 0 for name in floats}
    else:
        floats = [
            name for name, dtype in rows.dtypes.items() if isinstance(dtype, np.dtype) and dtype.kind == "f"
        ]
        bad = {name: int((~np.isfinite(rows[name].to_numpy())).sum()) for name in floats}
    for name, count in bad.items():
        if count:
            raise ExportError(
                f"Column {name} holds {count} values that are NaN or infinite; JSON has neither."
            )


def _require_sorted(rows: pa.Table) -> None:
    if rows.num_rows < 2:
        return
    key, order = rows[KEY], rows[ORDER]
    earlier, later = key.slice(0, rows.num_rows - 1), key.slice(1)
    same = pc.equal(earlier, later)
    rising = pc.less(order.slice(0, rows.num_rows - 1), order.slice(1))
    fine = pc.or_(pc.less(earlier, later), pc.and_(same, rising))
    if not pc.all(fine).as_py():
        at = pc.index(fine, False).as_py() + 1
        raise ExportError(
            f"The rows to export are not sorted by {KEY}, {ORDER} without repetition: see row {at}, "
            f"{KEY} {key[at].as_py()!r}, {ORDER} {order[at].as_py()}."
        )


def split_by_customer(rows: pa.Table, block: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Blocks of about `block` rows of whole customers, each with its customers' first rows
    (offsets within the block) and the block's length as last element."""
    if rows.num_rows == 0:
        return
    key = rows[KEY]
    change = pc.not_equal(key.slice(0, rows.num_rows - 1), key.slice(1))
    starts = np.r_[0, np.flatnonzero(change.to_numpy(zero_copy_only=False)) + 1]
    edges = np.r_[starts, rows.num_rows]
    for first, last in split_blocks(np.diff(edges), block):
        begin, end = int(edges[first]), int(edges[last])
        yield rows.slice(begin, end - begin).combine_chunks(), edges[first : last + 1] - begin
