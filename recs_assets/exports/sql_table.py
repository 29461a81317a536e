"""A campaign's rows in any database that SQLAlchemy knows, replaced within one transaction.

    email_recommendations     the rows of `long.parquet` of every campaign that fills slots
    campaign_predictions      of every other campaign
    campaign_versions         which version of a campaign the rows are of

Readers see a campaign's old rows until all new ones are there. A column that a table lacks is added; none is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recs_assets.exports.rows import ExportError
from recs_assets.exports.versions import list_versions

if TYPE_CHECKING:
    import sqlalchemy

SLOTS, PREDICTIONS, COPIED = "email_recommendations", "campaign_predictions", "campaign_versions"
SETTING = "RECS_EXPORT_DATABASE"
BLOCK_ROWS = 5_000
# Texts that rows are looked up by have a length, without which some databases make no index.
KEYS, KEY_LENGTH = ("campaign", "customer_id"), 255


def copy_rows(folder: Path, url: str) -> dict[str, Any]:
    """Make the database hold the rows of the current version of a campaign.

    Args:
        folder: of the campaign's files, named like it.
        url: as SQLAlchemy takes it, postgresql://user:password@host/database for instance.

    Returns:
        version and rows that are there now; version is None, and rows is 0, where none is current or it has no `long`.

    Raises:
        ExportError: the database cannot be reached or refuses; its readers keep the rows they had.
    """
    import sqlalchemy as sa

    manifests = {path.name: manifest for path, manifest in list_versions(folder)}
    current = (folder / "current").resolve() if (folder / "current").is_symlink() else None
    path = None if current is None else current / "long.parquet"
    version = current.name if current is not None and path is not None and path.exists() else None
    with connect(url) as connection:
        copied = declare_versions(connection)
        of_campaign = copied.c.campaign == folder.name
        there = connection.execute(sa.select(copied.c.version, copied.c.row_count).where(of_campaign)).first()
        if there is not None and there.version == version:
            return {"version": version, "rows": there.row_count}
        known = sa.inspect(connection).get_table_names()
        for name in (SLOTS, PREDICTIONS):
            if name in known:
                table = sa.Table(name, sa.MetaData(), autoload_with=connection)
                connection.execute(table.delete().where(table.c.campaign == folder.name))
        connection.execute(copied.delete().where(of_campaign))
        if version is None:
            return {"version": None, "rows": 0}
        file = pq.ParquetFile(path)
        table = _declare_table(connection, file.schema_arrow)
        for batch in file.iter_batches(batch_size=BLOCK_ROWS):
            connection.execute(table.insert(), batch.to_pylist())
        rows = connection.execute(
            sa.select(sa.func.count()).select_from(table).where(table.c.campaign == folder.name)
        ).scalar_one()
        if rows != file.metadata.num_rows:
            raise ExportError(
                f"{SETTING}: {table.name} holds {rows} rows of {folder.name} and not {file.metadata.num_rows}; "
                "nothing was changed, look at what else writes there."
            )
        as_of = date.fromisoformat(manifests[version]["as_of"])
        connection.execute(
            copied.insert(), {"campaign": folder.name, "as_of": as_of, "version": version, "row_count": rows}
        )
        return {"version": version, "rows": rows}


def declare_versions(connection: sqlalchemy.Connection) -> sqlalchemy.Table:
    """The table that says which version of a campaign, or of other files, the rows are of."""
    import sqlalchemy as sa

    copied = sa.Table(
        COPIED,
        sa.MetaData(),
        sa.Column("campaign", sa.String(KEY_LENGTH), primary_key=True),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("version", sa.String(KEY_LENGTH), nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
    )
    copied.create(connection, checkfirst=True)
    return copied


def _declare_table(connection: sqlalchemy.Connection, schema: pa.Schema) -> sqlalchemy.Table:
    """The table for rows of such a file, with all of its columns."""
    import sqlalchemy as sa

    name = SLOTS if "slot" in schema.names else PREDICTIONS
    columns = [sa.Column(field.name, _translate_type(field)) for field in schema]
    table = sa.Table(name, sa.MetaData(), *columns, sa.Index(f"{name}_by_customer", *KEYS))
    table.create(connection, checkfirst=True)
    there = {column["name"] for column in sa.inspect(connection).get_columns(name)}
    quote = connection.dialect.identifier_preparer.quote
    for column in table.columns:
        if column.name not in there:
            kind = column.type.compile(connection.dialect)
            connection.execute(sa.text(f"alter table {quote(name)} add column {quote(column.name)} {kind}"))
    return table


def _translate_type(field: pa.Field) -> sqlalchemy.types.TypeEngine:
    import sqlalchemy as sa

    if field.name in KEYS:
        return sa.String(KEY_LENGTH)
    kinds = [
        (pa.types.is_boolean, sa.Boolean()),
        (pa.types.is_integer, sa.BigInteger()),
        (pa.types.is_floating, sa.Double()),
        (pa.types.is_date, sa.Date()),
        (pa.types.is_timestamp, sa.DateTime(timezone=True)),
    ]
    return next((kind for fits, kind in kinds if fits(field.type)), sa.Text())


@contextmanager
def connect(url: str) -> Iterator[sqlalchemy.Connection]:
    """One transaction, committed at the end. Its errors name no password and no row."""
    import sqlalchemy as sa
    from sqlalchemy import exc

    try:
        address = sa.make_url(url)
        if address.drivername == "postgresql":  # the driver that is installed with recs-assets[postgres]
            address = address.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(address, hide_parameters=True, poolclass=sa.NullPool)
    except exc.NoSuchModuleError:
        raise ExportError(
            f"{SETTING}: SQLAlchemy knows no such database; correct what stands before ://."
        ) from None
    except exc.ArgumentError:
        raise ExportError(
            f"{SETTING} is no address of a database: write it as postgresql://user:password@host/name."
        ) from None
    except ImportError as error:
        raise ExportError(
            f"{SETTING}: the driver {error.name} is not installed; run pip install {error.name}."
        ) from None
    if address.get_backend_name() == "sqlite":
        _begin_at_once(engine)
    where = address.host or address.get_backend_name()
    try:
        with engine.begin() as connection:
            yield connection
    except exc.SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        raise ExportError(
            f"{SETTING}: the database at {where} refused or went away ({kind}); its readers keep the rows they had. Repair it, "
            "then materialise the asset again."
        ) from None
    finally:
        engine.dispose()


def _begin_at_once(engine: sqlalchemy.Engine) -> None:
    """Python's sqlite3 begins a transaction before the first INSERT alone, and making a table would stay."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("begin immediate")
