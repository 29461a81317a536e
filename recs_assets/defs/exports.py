"""Files of the campaigns: made of what was published, after a last look at consent."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets import __version__
from recs_assets.campaigning import Made, folder_of
from recs_assets.campaigns.model import Campaign
from recs_assets.defs.deployment import Deployment, week_of
from recs_assets.defs.metadata import numbers
from recs_assets.defs.publish import SNAPSHOT
from recs_assets.exports.email import (
    LONG,
    NO_HASH_KEY,
    arm,
    expires_at,
    keyed_hash,
    recommendation_ids,
    send_at,
    tagged_urls,
    withdrawn,
    withheld,
)
from recs_assets.exports.email_files import write_exports, write_predictions
from recs_assets.exports.email_preview import preview_html
from recs_assets.sources import land
from recs_assets.warehouse import Warehouse


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
        week, newest = week_of(context), warehouse.newest_published()
        if week != newest:
            return dg.MaterializeResult(metadata={"kept": f"The files stay at week {newest}."})
        rows = warehouse.published_predictions(week, campaign.name)
        customers = rows["customer_id"]
        gone = withdrawn(customers.unique().to_pandas(), consents_now(deployment, warehouse))
        kept = rows.filter(pc.invert(pc.is_in(customers, pa.array(gone["customer_id"], pa.string()))))
        folder = warehouse.home / "exports" / campaign.name
        manifest = write_predictions(
            folder, kept, as_of=week, run_id=context.run.run_id, keep=deployment.settings.retention_weeks
        )
        return dg.MaterializeResult(metadata=_files_metadata(folder, manifest))

    return predictions


def _files_metadata(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "path": dg.MetadataValue.path(str(folder / "current")),
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
        "without whoever withdrew by the moment they are written, switched in whole.",
    )
    def email(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = week_of(context), warehouse.newest_published()
        if week != newest:
            return dg.MaterializeResult(metadata={"kept": f"The files stay at week {newest}."})
        people = warehouse.people_and_ends(week)
        rows = long_rows(deployment, warehouse, campaign, week, context.run.run_id, *people)
        kept, removed = withheld(rows, consents_now(deployment, warehouse))
        kept = kept[list(LONG)]
        folder = warehouse.home / "exports" / campaign.name
        manifest = write_exports(
            folder,
            campaign.exports,
            kept,
            as_of=week,
            run_id=context.run.run_id,
            emails=people[0],
            keep=deployment.settings.retention_weeks,
        )
        page = preview_html(kept)
        preview = folder_of(warehouse, week, campaign.name) / "preview.html"
        preview.write_text(page, encoding="utf-8")
        hashed = {} if deployment.settings.hash_key else {"email_hash": NO_HASH_KEY}
        return dg.MaterializeResult(
            metadata={
                **_files_metadata(folder, manifest),
                "preview": dg.MetadataValue.md(page),
                "preview_file": dg.MetadataValue.path(str(preview)),
                **numbers({"recipients": manifest["recipients"], **hashed}),
                **numbers(
                    {f"withdrawn_{name}": int(n) for name, n in removed["reason"].value_counts().items()}
                ),
            }
        )

    return email


def consents_now(deployment: Deployment, warehouse: Warehouse) -> pd.DataFrame:
    """Every withdrawal that the shop's files hold at this moment, whatever the week landed."""
    with warehouse.scratch() as connection:
        land(
            connection,
            deployment.source,
            "consents",
            deployment.data_dir,
            deployment.timezone,
            deployment.settings.data_root,
        )
        return connection.execute(
            "select trim(customer_id) as customer_id, state, effective_at from raw.consents"
        ).df()


def long_rows(
    deployment: Deployment,
    warehouse: Warehouse,
    campaign: Campaign,
    week: date,
    run_id: str,
    emails: pd.DataFrame,
    ends: pd.DataFrame,
) -> pd.DataFrame:
    """The published rows of a campaign with every column of the email table (`exports.email.LONG`).

    Args:
        deployment: time zone, key of the hashes.
        warehouse: with the snapshot.
        campaign: schedule, arms, utm_source.
        week: published.
        run_id: of this export.
        emails: customer_id, email.
        ends: product_id, and dates after which it is not to be offered.
    """
    rows = warehouse.published_emails(week, campaign.name)
    made = Made.read(folder_of(warehouse, week, campaign.name)).facts
    key, shop = deployment.settings.hash_key, deployment.timezone
    rows["email_hash"] = None
    if key is not None:
        addresses = rows["customer_id"].map(emails.set_index("customer_id")["email"])
        unique = addresses.drop_duplicates()
        hashes = dict(zip(unique, keyed_hash(unique, key.get_secret_value().encode()), strict=True))
        rows["email_hash"] = addresses.map(hashes)
    rows["send_at"] = pd.Timestamp(send_at(campaign, week, shop))
    rows["run_id"], rows["model_version"] = run_id, f"{made['chosen']} {__version__}"
    rows["arm"] = arm(rows["customer_id"], campaign.name, campaign.arms)
    rows["recommendation_id"] = recommendation_ids(rows)
    rows["url"] = tagged_urls(rows, campaign.utm_source)
    days = int(rows["window_days"].max()) if len(rows) else 0
    by_product = ends.set_index("product_id").reindex(rows["product_id"]).set_axis(rows.index)
    rows["expires_at"] = expires_at(week, days, shop, by_product)
    rows["suppression_checked_at"] = pd.Timestamp(datetime.now(UTC))
    numeric = ["price", "list_price", "price_from", "stock", "score", "p_purchase"]
    return rows[list(LONG)].astype(dict.fromkeys(numeric, "Float64"))
