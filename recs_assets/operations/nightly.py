"""A day's refresh of what the server answers from, and the lists that it showed."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recs_assets.contracts import model_columns
from recs_assets.exports.versions import leave_out
from recs_assets.operations.serving_store import write_serving_store
from recs_assets.store.lake import drop_view
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.night import Night
from recs_assets.week.week import Week

# In the folder of a day: the rows that its pages may have shown.
LISTS = "lists.parquet"
# Tables of schema `recs` that a day does not make again.
OF_THE_WEEK = ("similar_products", "frequently_bought_together", "model_decisions")
# The columns of model.nightly_recommendations.
_ROWS = """
    select recommendation_id, '{table}' as list, as_of, customer_id, product_id, rank, score, reason_text
    from recs.{table} where recommendation_id is not null
"""


def serve_night(night: Night, run_id: str) -> dict[str, Any]:
    """Keep the day's lists and make them what the server answers from; the manifest.

    What the day does not make again is the week's: products beside products, and the model that was chosen.

    Args:
        night: its tables of schema `recs` are built.
        run_id: of the run.

    Raises:
        SourceError, SettingsError: a file of the shop cannot be read.
        ExportError, WarehouseError: the store cannot be written, or a server refuses its copy.
    """
    week = night.model_week.as_of
    with night.build.write() as connection:
        night.warehouse.attach_snapshot(connection)
        for table in OF_THE_WEEK:
            drop_view(connection, "recs", table)
            connection.execute(
                f"create or replace table recs.{table} as select * replace ($day as as_of) "
                f"from published.recs.{table} where as_of = $week",
                {"day": night.as_of, "week": week},
            )
    with night.build.read() as connection:
        lists = connection.execute(
            " union all ".join(
                _ROWS.format(table=table) for table in ("customer_recommendations", "buy_it_again")
            )
            + " order by 2, 4, 6"
        ).to_arrow_table()
    # First the rows, then whoever shows them: what is shown can be joined to its row.
    _write_whole(lists, night.build.folder / LISTS)
    manifest = write_serving_store(night.shop, night.as_of, run_id, night.build.read(), refreshes=week)
    _drop_all_but_lists(night.build.folder)
    night.warehouse.drop_unnamed_files()
    drop_old_nights(night.warehouse, night.as_of, night.settings.retention_weeks)
    return manifest


def _write_whole(lists: pa.Table, path: Path) -> None:
    aside = path.with_suffix(".next")
    pq.write_table(lists, aside, compression="zstd")
    aside.replace(path)


def _drop_all_but_lists(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LISTS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def drop_old_nights(warehouse: Warehouse, day: date, weeks: int) -> None:
    """Delete the lists of days more than `weeks` weeks before a day, as old weeks of the published tables go."""
    oldest = (day - timedelta(weeks=weeks)).isoformat()
    for folder in warehouse.nights.glob("*-*-*"):
        if folder.name < oldest:
            shutil.rmtree(folder)


def load_nightly_recommendations(week: Week) -> pd.DataFrame:
    """The rows that the pages showed on the days kept, by person, as far as an event of the week's staging tables names them.

    All of them would be several times the week's lists.
    """
    files = [str(path) for path in sorted(week.warehouse.nights.glob(f"*-*-*/{LISTS}"))]
    if not files:
        return pd.DataFrame(columns=list(model_columns("nightly_recommendations")))
    with week.build.read() as connection:
        return connection.execute(
            "select lists.* replace (coalesce(people.customer_id, lists.customer_id) as customer_id) "
            "from read_parquet($files) as lists semi join staging.stg_campaign_events using (recommendation_id) "
            "left join base.base_customer_identities as people on lists.customer_id = people.profile_id "
            "order by as_of, list, customer_id, rank, recommendation_id",
            {"files": files},
        ).df()


def purge_nights(warehouse: Warehouse, customer_id: str) -> list[Path]:
    """Write the lists of every day that hold a customer again without them, and delete what a killed run left;
    the files written."""
    written = []
    for folder in sorted(warehouse.nights.glob("*-*-*")):
        _drop_all_but_lists(folder)
        if (path := folder / LISTS).exists():
            lists = pq.read_table(path)
            others = leave_out(lists, customer_id)
            if len(others) < len(lists):
                _write_whole(others, path)
                written.append(path)
    return written
