"""Files of the campaigns as assets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from recs_assets.campaigns.file import Campaign
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import numbers
from recs_assets.defs.publish import SNAPSHOT
from recs_assets.delivery import NO_HASH_KEY
from recs_assets.operations.campaign_files import CampaignFiles, files_folder, write_files
from recs_assets.operations.copy_files import copy_campaigns
from recs_assets.operations.embedding_files import embeddings_folder, write_embeddings
from recs_assets.operations.send_campaign import describe, send_campaign
from recs_assets.store.warehouse import Warehouse

EMBEDDINGS_KEY = dg.AssetKey(["exports", "embeddings"])
EMBEDDINGS_COPY_KEY = dg.AssetKey(["exports", "copies_embeddings"])


def export_key(campaign: Campaign) -> dg.AssetKey:
    """The asset of a campaign's files."""
    kind = "email" if campaign.lists_products else "predictions"
    return dg.AssetKey(["exports", f"{kind}_{campaign.name}"])


def list_export_keys(deployment: Deployment, campaign: Campaign) -> list[dg.AssetKey]:
    """A campaign's files, and where the deployment copies or sends them by itself, that."""
    return [
        export_key(campaign),
        *([_copy_key(campaign)] if _is_copied(deployment) else []),
        *([_sent_key(campaign)] if _list_services(deployment, campaign) else []),
    ]


def list_embedding_keys(deployment: Deployment) -> list[dg.AssetKey]:
    """The files of the vectors, and where the deployment copies them, that."""
    return [EMBEDDINGS_KEY, *([EMBEDDINGS_COPY_KEY] if _is_copied(deployment) else [])]


def _copy_key(campaign: Campaign) -> dg.AssetKey:
    return dg.AssetKey(["exports", f"copies_{campaign.name}"])


def _sent_key(campaign: Campaign) -> dg.AssetKey:
    return dg.AssetKey(["exports", f"sent_{campaign.name}"])


def export_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    """One asset per campaign that wants files, and one each where these are copied, and sent, by themselves; the vectors
    of products and customers likewise."""
    exporting = deployment.campaigns.exporting
    return [
        *(_export_asset(deployment, campaign) for campaign in exporting),
        *(_campaign_copy_asset(deployment, campaign) for campaign in exporting if _is_copied(deployment)),
        *(
            _send_asset(deployment, campaign)
            for campaign in exporting
            if _list_services(deployment, campaign)
        ),
        _embeddings_asset(deployment),
        *([_embeddings_copy_asset(deployment)] if _is_copied(deployment) else []),
    ]


def _list_services(deployment: Deployment, campaign: Campaign) -> list[str]:
    """Services that a campaign exports for and that RECS_SEND_TO names."""
    return [name for name in deployment.settings.send_to.split() if name in campaign.exports]


def _is_copied(deployment: Deployment) -> bool:
    settings = deployment.settings
    return settings.export_storage is not None or settings.export_database is not None


def _campaign_copy_asset(deployment: Deployment, campaign: Campaign) -> dg.AssetsDefinition:
    return _copy_asset(
        deployment,
        _copy_key(campaign),
        export_key(campaign),
        lambda warehouse: files_folder(warehouse, campaign),
        f"The current files of the campaign {campaign.name} in object storage, and its rows in a database, where "
        "RECS_EXPORT_STORAGE and RECS_EXPORT_DATABASE say.",
        owners=[campaign.owner],
    )


def _copy_asset(
    deployment: Deployment,
    key: dg.AssetKey,
    source: dg.AssetKey,
    find_folder: Callable[[Warehouse], Path],
    description: str,
    **other: Any,
) -> dg.AssetsDefinition:
    """What is current in a folder of files, where the deployment says."""

    @dg.asset(
        key=key,
        deps=[source],
        **{**deployment.weekly, **other},
        group_name="exports",
        description=description,
    )
    def copies(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        folder = find_folder(warehouse)
        copied = copy_campaigns([folder], deployment.settings)[folder.name]
        return dg.MaterializeResult(
            metadata=numbers(
                {
                    f"{where}_{name}": value
                    for where, facts in copied.items()
                    for name, value in facts.items()
                    if value is not None
                }
            )
        )

    return copies


def _embeddings_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=EMBEDDINGS_KEY,
        deps=[SNAPSHOT],
        **deployment.weekly,
        group_name="exports",
        kinds={"parquet"},
        description="The published vectors of products and of customers as Parquet, switched in whole.",
    )
    def files(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context).as_of, warehouse.newest_published()
        if week != newest:
            return dg.MaterializeResult(metadata={"kept": f"The files stay at week {newest}."})
        keep = deployment.settings.retention_weeks
        manifest = write_embeddings(warehouse, week, context.run.run_id, keep)
        if manifest is None:
            return dg.MaterializeResult(
                metadata={"kept": "An earlier version of recs_assets published the week."}
            )
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(embeddings_folder(warehouse) / "current")),
                "dagster/row_count": manifest["rows"],
                "manifest": dg.MetadataValue.json(manifest),
            }
        )

    return files


def _embeddings_copy_asset(deployment: Deployment) -> dg.AssetsDefinition:
    return _copy_asset(
        deployment,
        EMBEDDINGS_COPY_KEY,
        EMBEDDINGS_KEY,
        embeddings_folder,
        "The current vectors in object storage and in a database, where RECS_EXPORT_STORAGE and "
        "RECS_EXPORT_DATABASE say.",
    )


def _send_asset(deployment: Deployment, campaign: Campaign) -> dg.AssetsDefinition:
    services = _list_services(deployment, campaign)

    @dg.asset(
        key=_sent_key(campaign),
        deps=[export_key(campaign)],
        **{**deployment.weekly, "owners": [campaign.owner]},
        group_name="exports",
        kinds={"http"},
        description=f"The campaign {campaign.name}, sent to {' and '.join(services)} as RECS_SEND_TO says: to everybody who "
        "has no receipt of it for the week.",
    )
    def sent(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context), warehouse.newest_published()
        if week.as_of != newest:
            return dg.MaterializeResult(metadata={"kept": f"Only the week {newest} is sent."})
        metadata: dict[str, Any] = {}
        for service in services:
            done = send_campaign(week, campaign, service)
            (context.log.warning if done.refused else context.log.info)(describe(done))
            metadata[f"{service}_receipts"] = dg.MetadataValue.path(str(done.receipts))
            counts = {name: getattr(done, name) for name in ("accepted", "refused", "before", "withdrawn")}
            metadata |= numbers({f"{service}_{name}": count for name, count in counts.items()})
        return dg.MaterializeResult(metadata=metadata)

    return sent


def _export_asset(deployment: Deployment, campaign: Campaign) -> dg.AssetsDefinition:
    if campaign.lists_products:
        description = (
            f"The campaign {campaign.name} as files for the mail system ({', '.join(campaign.exports)}), without "
            "whoever withdrew by the moment they are written and what sold out by then, switched in whole."
        )
    else:
        description = (
            f"What the campaign {campaign.name} predicts, as files, without whoever withdrew by the moment they are "
            "written, switched in whole."
        )

    @dg.asset(
        key=export_key(campaign),
        deps=[SNAPSHOT],
        **{**deployment.weekly, "owners": [campaign.owner]},
        group_name="exports",
        kinds={"parquet", "csv"},
        description=description,
    )
    def files(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context), warehouse.newest_published()
        if week.as_of != newest:
            return dg.MaterializeResult(metadata={"kept": f"The files stay at week {newest}."})
        written = write_files(week, campaign, context.run.run_id)
        for sentence in written.short:
            context.log.warning(sentence)
        return dg.MaterializeResult(
            metadata=_describe(written, hashed=deployment.settings.hash_key is not None)
        )

    return files


def _describe(written: CampaignFiles, hashed: bool) -> dict[str, Any]:
    """The metadata of a campaign's files."""
    metadata: dict[str, Any] = {
        "path": dg.MetadataValue.path(str(written.folder / "current")),
        "dagster/row_count": written.manifest["rows"],
        "manifest": dg.MetadataValue.json(written.manifest),
    }
    if written.preview is None:
        return metadata
    return metadata | {
        "preview": dg.MetadataValue.md(written.preview),
        "preview_file": dg.MetadataValue.path(str(written.preview_path)),
        **({} if hashed else numbers({"email_hash": NO_HASH_KEY})),
        **numbers({"recipients": written.manifest["recipients"], **written.last_look}),
        **({"floors_short": " ".join(written.short)} if written.short else {}),
    }
