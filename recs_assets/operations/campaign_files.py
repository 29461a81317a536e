"""Write the files of a campaign: what was published, after a last look at consent, stock and sale windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.made import find_folder, read_table
from recs_assets.exports.email import LONG, drop_late, find_withdrawn, keep_in_time, make_frame, withhold
from recs_assets.exports.email_files import write_exports, write_predictions
from recs_assets.exports.email_preview import preview_html
from recs_assets.exports.last_look import Floor, LastLook, explain_floors, refill
from recs_assets.exports.load import (
    load_addresses,
    load_floors,
    load_published_emails,
    load_published_predictions,
    load_shelf,
    load_shown_products,
    load_withdrawn_now,
)
from recs_assets.schema import RecsError, WarehouseError
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week


@dataclass(frozen=True)
class CampaignFiles:
    """What was written for a campaign.

    Attributes:
        folder: `current` in it is a link to the version just written.
        manifest: of that version.
        preview: HTML page with sample emails; None of a campaign without slots.
        preview_path: where the page is.
        last_look: what the last look took out, in numbers.
        short: a sentence per floor of exposure that the files do not hold.
    """

    folder: Path
    manifest: dict[str, Any]
    preview: str | None = None
    preview_path: Path | None = None
    last_look: dict[str, int] | None = None
    short: Sequence[str] = ()


def files_folder(warehouse: Warehouse, campaign: Campaign) -> Path:
    """Where the versions of a campaign's files are."""
    return warehouse.home / "exports" / campaign.name


def write_files(week: Week, campaign: Campaign, run_id: str) -> CampaignFiles:
    """Write the files of one campaign of a published week, switched in whole.

    Raises:
        GateError: more withdrawals match no customer than the shop allows.
        SourceError, SettingsError: a file of the shop cannot be read.
        WarehouseError: the week is not published, or an earlier version of recs_assets published it.
    """
    week.warehouse.require_published(week.as_of)
    return (_write_email if campaign.lists_products else _write_predictions)(week, campaign, run_id)


def rewrite_files(week: Week, campaigns: Iterable[Campaign], run_id: str) -> dict[str, str | RecsError]:
    """Write the files of every campaign that was made of a week again, after a rollback to it.

    The last look is that of this moment: who withdrew meanwhile stands in the files of then.

    Returns:
        Campaign -> name of the new version, or why there is none.
    """
    with week.warehouse.snapshot() as connection:
        made = connection.execute(
            "select distinct campaign from recs.campaign_outcomes where as_of = ?", [week.as_of]
        ).fetchall()
    written: dict[str, str | RecsError] = {}
    for campaign in campaigns:
        if (campaign.name,) not in made:
            continue
        try:
            written[campaign.name] = write_files(week, campaign, run_id).manifest["version"]
        except RecsError as error:
            written[campaign.name] = error
    return written


def _write_predictions(week: Week, campaign: Campaign, run_id: str) -> CampaignFiles:
    """Write what a campaign without slots predicts of a published week, without whoever withdrew."""
    with week.warehouse.snapshot() as connection:
        rows = load_published_predictions(connection, week.as_of, campaign.name)
    customers = rows["customer_id"]
    gone = find_withdrawn(customers.unique().to_pandas(), find_withdrawn_now(week))
    kept = rows.filter(pc.invert(pc.is_in(customers, pa.array(gone["customer_id"], pa.string()))))
    folder = files_folder(week.warehouse, campaign)
    keep = week.settings.retention_weeks
    return CampaignFiles(folder, write_predictions(folder, kept, as_of=week.as_of, run_id=run_id, keep=keep))


def _write_email(week: Week, campaign: Campaign, run_id: str) -> CampaignFiles:
    """Write an email's rows after a last look at stock, sale windows, calendar and consent, and its preview."""
    rows, removed = withhold(_load_long(week, campaign, run_id), find_withdrawn_now(week))
    rows, look, floors = _look_again(week, campaign, rows)
    kept, late = drop_late(keep_in_time(rows))
    looked = look.facts(set(kept["customer_id"]))
    addresses = None
    if "addresses" in campaign.exports:
        with week.build.read() as connection:
            addresses = load_addresses(connection)
    folder = files_folder(week.warehouse, campaign)
    manifest = write_exports(
        folder,
        campaign.exports,
        kept,
        as_of=week.as_of,
        run_id=run_id,
        emails=addresses,
        last_look=looked,
        keep=week.settings.retention_weeks,
    )
    preview, path = preview_html(kept), find_folder(week, campaign.name) / "preview.html"
    path.write_text(preview, encoding="utf-8")
    gone = {f"withdrawn_{name}": int(count) for name, count in removed["reason"].value_counts().items()}
    short = explain_floors(kept["product_id"].tolist(), floors) if len(kept) else []
    return CampaignFiles(folder, manifest, preview, path, {"over_when_sent": late, **looked, **gone}, short)


def _look_again(
    week: Week, campaign: Campaign, rows: pd.DataFrame
) -> tuple[pd.DataFrame, LastLook, Sequence[Floor]]:
    """The rows of a campaign after a last look at catalogue, stock and sale windows, as the shop's files have them now; and
    its floors of exposure."""
    if rows.empty:
        return rows, LastLook(), ()
    timezone = week.shop.timezone
    now = datetime.now(ZoneInfo(timezone)).replace(tzinfo=None)
    with week.warehouse.scratch() as connection:
        shelf = load_shelf(connection, week.shop.land, now)
    with week.warehouse.snapshot() as connection:
        products = load_shown_products(connection)
        floors = load_floors(connection, campaign.slots.exposure)
    selection = read_table(find_folder(week, campaign.name), "selection")
    return *refill(rows, selection, shelf, products, timezone, campaign.utm_source, floors), floors


def find_withdrawn_now(week: Week) -> pd.DataFrame:
    """Who withdrew, as the shop's files say at this moment, whatever the week landed: customer_id, consent_state.

    Raises:
        GateError: more withdrawals match no customer than the shop allows.
        SourceError, SettingsError: a file cannot be read.
    """
    shop = week.shop
    tomorrow = datetime.now(ZoneInfo(shop.timezone)).replace(tzinfo=None) + timedelta(days=1)
    allowed = shop.source.words.unmatched_withdrawals
    with week.build.read() as connection, week.warehouse.scratch() as scratch:
        return load_withdrawn_now(connection, scratch, shop.land, tomorrow, allowed)


def _load_long(week: Week, campaign: Campaign, run_id: str) -> pd.DataFrame:
    """The published rows of a campaign that are to be sent, with the columns of `exports.email.LONG`.

    Args:
        week: published.
        campaign: whose rows.
        run_id: of this export.

    Raises:
        WarehouseError: an earlier version of recs_assets published the snapshot.
    """
    with week.warehouse.snapshot() as connection:
        rows = load_published_emails(connection, week.as_of, campaign.name)
    if missing := [name for name in LONG if name not in rows.column_names]:
        raise WarehouseError(
            f"recs.email_recommendations has no column {missing[0]}: an earlier version of recs_assets published it, "
            f"with the holdout among its rows; run the week again (python -m recs_assets run --as-of {week.as_of})."
        )
    return make_frame(rows.select(list(LONG))).assign(run_id=run_id)
