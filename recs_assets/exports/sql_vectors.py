"""The vectors of products and customers in any database that SQLAlchemy knows, replaced within one transaction.

    product_embeddings     primary key model, product_id
    customer_embeddings    primary key model, customer_id

Where a Postgres has the extension pgvector, their column `embedding` is a `vector`; elsewhere it is the same text, such as
`[0.5,-0.25]`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recs_assets.exports.embeddings import TABLES
from recs_assets.exports.rows import ExportError
from recs_assets.exports.sql_table import BLOCK_ROWS, KEY_LENGTH, SETTING, connect, declare_versions
from recs_assets.exports.versions import list_versions

if TYPE_CHECKING:
    import sqlalchemy


def copy_vectors(folder: Path, url: str) -> dict[str, Any]:
    """Make the database hold the vectors of the current version.

    Args:
        folder: of the versions.
        url: as of `sql_table.copy_rows`.

    Returns:
        version and rows that are there now; version is None, and rows is 0, where none is current.

    Raises:
        ExportError: the database cannot be reached or refuses; its readers keep the rows they had.
    """
    import sqlalchemy as sa

    manifests = {path.name: manifest for path, manifest in list_versions(folder)}
    current = (folder / "current").resolve() if (folder / "current").is_symlink() else None
    version = current.name if current is not None else None
    with connect(url) as connection:
        copied = declare_versions(connection)
        of_folder = copied.c.campaign == folder.name
        there = connection.execute(sa.select(copied.c.version, copied.c.row_count).where(of_folder)).first()
        if there is not None and there.version == version:
            return {"version": version, "rows": there.row_count}
        connection.execute(copied.delete().where(of_folder))
        rows = 0
        for name in TABLES:
            path = None if current is None else current / f"{name}.parquet"
            rows += _replace_table(connection, name, path)
        if version is None:
            return {"version": None, "rows": 0}
        as_of = date.fromisoformat(manifests[version]["as_of"])
        connection.execute(
            copied.insert(), {"campaign": folder.name, "as_of": as_of, "version": version, "row_count": rows}
        )
        return {"version": version, "rows": rows}


def _replace_table(connection: sqlalchemy.Connection, name: str, path: Path | None) -> int:
    """Make a table hold what a file does, or nothing; its rows."""
    import sqlalchemy as sa

    table = _declare_table(connection, name)
    connection.execute(table.delete())
    if path is None:
        return 0
    file = pq.ParquetFile(path)
    for batch in file.iter_batches(batch_size=BLOCK_ROWS):
        at = batch.schema.names.index("embedding")
        texts = write_vectors(batch.column("embedding"))
        connection.execute(table.insert(), batch.set_column(at, "embedding", texts).to_pylist())
    rows = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    if rows != file.metadata.num_rows:
        raise ExportError(
            f"{SETTING}: {name} holds {rows} rows and not {file.metadata.num_rows}; nothing was changed, look at what else "
            "writes there."
        )
    return rows


def write_vectors(vectors: pa.ListArray) -> pa.StringArray:
    """Each vector as pgvector reads it, with as many digits as bring its floats back.

    >>> write_vectors(pa.array([[0.5, -0.1]], pa.list_(pa.float32()))).to_pylist()
    ['[0.5,-0.1]']
    """
    texts = pa.ListArray.from_arrays(
        pc.subtract(vectors.offsets, vectors.offsets[0]), pc.cast(vectors.flatten(), pa.string())
    )
    return pc.binary_join_element_wise("[", pc.binary_join(texts, ","), "]", "")


def _declare_table(connection: sqlalchemy.Connection, name: str) -> sqlalchemy.Table:
    """The table, made where it is not there, and anew where it has another type of vectors."""
    import sqlalchemy as sa

    class Vector(sa.types.UserDefinedType):
        cache_ok = True

        def get_col_spec(self, **named: Any) -> str:
            return "vector"

    is_postgres = connection.dialect.name == "postgresql"
    kind: sa.types.TypeEngine = sa.Text()
    if is_postgres and connection.scalar(sa.text("select 1 from pg_extension where extname = 'vector'")):
        kind = Vector()
    key = name.replace("_embeddings", "_id")
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column(key, sa.String(KEY_LENGTH), primary_key=True),
        sa.Column("model", sa.String(KEY_LENGTH), primary_key=True),
        sa.Column("dimensions", sa.Integer, nullable=False),
        sa.Column("embedding", kind, nullable=False),
    )
    if is_postgres:
        asked = sa.text(
            "select udt_name from information_schema.columns "
            "where table_schema = current_schema() and table_name = :name and column_name = 'embedding'"
        )
        if connection.scalar(asked, {"name": name}) not in (None, kind.compile(connection.dialect).lower()):
            table.drop(connection)
    table.create(connection, checkfirst=True)
    return table
