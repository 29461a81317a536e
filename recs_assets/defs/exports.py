"""Files of the campaigns: made of what was published, after a last look at consent, stock and sale windows."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.make import Made, folder_of
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import numbers
from recs_assets.defs.publish import SNAPSHOT
from recs_assets.delivery import NO_HASH_KEY
from recs_assets.exports.email import (
    LONG,
    framed,
    in_time,
    withdrawn,
    withheld,
)
from recs_assets.exports.email_files import write_exports, write_predictions
from recs_assets.exports.email_preview import preview_html
from recs_assets.exports.last_look import LastLook, refill
from recs_assets.exports.load import (
    load_addresses,
    load_published_emails,
    load_published_predictions,
    load_shelf,
    load_shown_products,
    load_withdrawn_now,
)
from recs_assets.schema import RecsError, WarehouseError
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week


def export_key(campaign: Campaign) -> dg.AssetKey:
    kind = "email" if campaign.lists_products else "predictions"
    return dg.AssetKey(["exports", f"{kind}_{campaign.name}"])


def exporting(deployment: Deployment) -> list[Campaign]:
    """The campaigns that want files."""
    return [one for one in deployment.campaigns.campaigns.values() if one.exports]


def export_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [
        (_email if one.lists_products else _predictions)(deployment, one) for one in exporting(deployment)
    ]


def _predictions(deployment: Deployment, campaign: Campaign) -> dg.AssetsDefinition:
    @dg.asset(
        key=export_key(campaign),
        deps=[SNAPSHOT],
        **{**deployment.weekly, "owners": [campaign.owner]},
        group_name="exports",
        kinds={"parquet", "csv"},
        description=f"What the campaign {campaign.name} predicts, as files, without whoever withdrew by the moment "
        "they are written, switched in whole.",
    )
    def predictions(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context), warehouse.newest_published()
        if week.as_of != newest:
            return dg.MaterializeResult(metadata={"kept": f"The files stay at week {newest}."})
        manifest = write_predicted(week, campaign, context.run.run_id)
        return dg.MaterializeResult(metadata=_files_metadata(warehouse, campaign, manifest))

    return predictions


def write_predicted(week: Week, campaign: Campaign, run_id: str) -> dict[str, Any]:
    """Write what a campaign without slots predicts of a published week, without whoever withdrew; the manifest."""
    with week.warehouse.snapshot() as connection:
        rows = load_published_predictions(connection, week.as_of, campaign.name)
    customers = rows["customer_id"]
    gone = withdrawn(customers.unique().to_pandas(), consents_now(week))
    kept = rows.filter(pc.invert(pc.is_in(customers, pa.array(gone["customer_id"], pa.string()))))
    keep = week.settings.retention_weeks
    return write_predictions(
        _folder(week.warehouse, campaign), kept, as_of=week.as_of, run_id=run_id, keep=keep
    )


def _folder(warehouse: Warehouse, campaign: Campaign) -> Path:
    return warehouse.home / "exports" / campaign.name


def _files_metadata(warehouse: Warehouse, campaign: Campaign, manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "path": dg.MetadataValue.path(str(_folder(warehouse, campaign) / "current")),
        "dagster/row_count": manifest["rows"],
        "manifest": dg.MetadataValue.json(manifest),
    }


def _email(deployment: Deployment, campaign: Campaign) -> dg.AssetsDefinition:
    @dg.asset(
        key=export_key(campaign),
        deps=[SNAPSHOT],
        **{**deployment.weekly, "owners": [campaign.owner]},
        group_name="exports",
        kinds={"parquet", "csv"},
        description=f"The campaign {campaign.name} as files for the mail system ({', '.join(campaign.exports)}), "
        "without whoever withdrew by the moment they are written and what sold out by then, switched in whole.",
    )
    def email(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context), warehouse.newest_published()
        if week.as_of != newest:
            return dg.MaterializeResult(metadata={"kept": f"The files stay at week {newest}."})
        manifest, page, looked = write_email(week, campaign, context.run.run_id)
        hashed = {} if deployment.settings.hash_key else {"email_hash": NO_HASH_KEY}
        return dg.MaterializeResult(
            metadata={
                **_files_metadata(warehouse, campaign, manifest),
                "preview": dg.MetadataValue.md(page),
                "preview_file": dg.MetadataValue.path(str(_preview(week, campaign))),
                **numbers({"recipients": manifest["recipients"], **hashed, **looked}),
            }
        )

    return email


def write_email(week: Week, campaign: Campaign, run_id: str) -> tuple[dict[str, Any], str, dict[str, int]]:
    """Write a campaign's files of a published week after a last look at stock, sale windows, calendar and consent.

    Returns:
        The manifest, the preview as HTML, and what the last look found, in numbers.
    """
    rows, look = last_look(week, campaign, long_rows(week, campaign, run_id))
    rows, late = in_time(rows)
    kept, removed = withheld(rows, consents_now(week))
    looked = look.facts(set(kept["customer_id"]))
    emails = None
    if "addresses" in campaign.exports:
        with week.build.read() as connection:
            emails = load_addresses(connection)
    manifest = write_exports(
        _folder(week.warehouse, campaign),
        campaign.exports,
        kept,
        as_of=week.as_of,
        run_id=run_id,
        emails=emails,
        last_look=looked,
        keep=week.settings.retention_weeks,
    )
    page = preview_html(kept)
    _preview(week, campaign).write_text(page, encoding="utf-8")
    gone = {f"withdrawn_{name}": int(n) for name, n in removed["reason"].value_counts().items()}
    return manifest, page, {"over_when_sent": late, **looked, **gone}


def _preview(week: Week, campaign: Campaign) -> Path:
    return folder_of(week, campaign.name) / "preview.html"


def write_again(deployment: Deployment, as_of: date, run_id: str) -> dict[str, str | RecsError]:
    """Write the files of every campaign that was made of a week, after a rollback to it: with the last look of this
    moment, since who withdrew meanwhile stands in the files of then.

    Returns:
        Campaign -> name of the new version, or why there is none.
    """
    week = Week(deployment, deployment.warehouse(), as_of)
    with week.warehouse.snapshot() as connection:
        made = connection.execute(
            "select distinct campaign from recs.campaign_outcomes where as_of = ?", [as_of]
        ).fetchall()
    written: dict[str, str | RecsError] = {}
    for campaign in exporting(deployment):
        if (campaign.name,) not in made:
            continue
        write = write_email if campaign.lists_products else write_predicted
        try:
            found = write(week, campaign, run_id)
            written[campaign.name] = (found[0] if isinstance(found, tuple) else found)["version"]
        except RecsError as error:
            written[campaign.name] = error
    return written


def last_look(week: Week, campaign: Campaign, rows: pd.DataFrame) -> tuple[pd.DataFrame, LastLook]:
    """The rows of a campaign after a last look at catalogue, stock and sale windows, as the shop's files have them now."""
    if rows.empty:
        return rows, LastLook()
    timezone = week.shop.timezone
    now = datetime.now(ZoneInfo(timezone)).replace(tzinfo=None)
    with week.warehouse.scratch() as connection:
        shelf = load_shelf(connection, week.shop.land, now)
    with week.warehouse.snapshot() as connection:
        products = load_shown_products(connection)
    reserves = Made.read(folder_of(week, campaign.name)).tables.get("reserves", pd.DataFrame())
    return refill(rows, reserves, shelf, products, timezone, campaign.utm_source)


def consents_now(week: Week) -> pd.DataFrame:
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


def long_rows(week: Week, campaign: Campaign, run_id: str) -> pd.DataFrame:
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
    return framed(rows.select(list(LONG))).assign(run_id=run_id)
