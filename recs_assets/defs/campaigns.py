"""Campaigns as assets: one per file, and the tables that hold them all."""

import os
import re
from collections.abc import Iterable
from datetime import date
from zoneinfo import ZoneInfo

import dagster as dg

from recs_assets.campaigns.collect import collect_campaigns
from recs_assets.campaigns.file import Campaign, CampaignError
from recs_assets.campaigns.made import OUTCOMES, Made, find_folder
from recs_assets.campaigns.make import make
from recs_assets.campaigns.sending import LateError, check_send_time
from recs_assets.campaigns.versions import make_room
from recs_assets.contracts import model_columns
from recs_assets.defs.deployment import ALERT_KEY, Deployment
from recs_assets.defs.exports import list_embedding_keys, list_export_keys
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.defs.ranker import FEATURE_TABLES, RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.exports.load import load_addresses
from recs_assets.reasons.traces import type_traces
from recs_assets.recommenders import REGISTRY
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse

GROUP = "campaigns"
ANSWERED, FITTING, EARNING = "query_answered", "rules_fit", "email_earns"
# Set by `dg check defs` and `dagster definitions validate`, and by nothing else (their own help says so).
VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"

# model.<table> -> table of `campaigns.make.Made`, description
TABLES = {
    "email_selection": ("selection", "Every campaign's filled slots."),
    "campaign_traces": ("traces", "For every filled slot: its lists, features and contributions."),
    "shadow_recommendations": ("shadows", "The lists of every shadow, which nobody is shown."),
    "campaign_predictions": ("predictions", "What campaigns without slots predict, customer by customer."),
    "campaign_customers": ("people", "What became of every customer in every campaign, and why."),
    "campaign_outcomes": ("outcomes", "Customers per outcome of every campaign."),
    "rule_outcomes": ("rules", "How many candidates each rule of each campaign took out."),
    "rule_price_tags": (
        "price_tags",
        "What all rules together, and each, cost or earned at the test anchor.",
    ),
    "goal_frontier": (
        "frontier",
        "What each campaign's goal trades at the test anchor: purchases against revenue and margin.",
    ),
    "campaign_tests": (
        "tests",
        "How each campaign's model and lists did at the test anchor, beside the simple lists.",
    ),
}


def campaign_key(name: str) -> dg.AssetKey:
    return dg.AssetKey([GROUP, name])


def refuse_bad_files(deployment: Deployment) -> None:
    """Under `dg check defs` a bad file of a campaign or an experiment is an error of the code location.

    Anywhere else it is not: the weekly run and the other campaigns go on without it.

    Raises:
        FileError: the first bad file, with every sentence where there are several.
    """
    errors = [*deployment.campaigns.errors, *deployment.experiments.errors]
    if errors and os.environ.get(VALIDATING):
        first, *others = errors
        raise type(first)(first.path, first.line, " ".join([first.message, *map(str, others)]))


def campaign_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [
        *(_campaign_asset(deployment, campaign) for campaign in deployment.campaigns.campaigns.values()),
        *(_build_refused_asset(deployment, error) for error in deployment.campaigns.errors),
        _build_tables(deployment),
    ]


def _build_refused_asset(deployment: Deployment, error: CampaignError) -> dg.AssetsDefinition:
    """Stands in the catalogue for a file that is no campaign; in no job."""

    @dg.asset(
        key=campaign_key(re.sub(r"\W", "_", error.path.stem)),
        **deployment.weekly,
        group_name=GROUP,
        kinds={"yaml"},
        description=f"This file is not a valid campaign and cannot be made: {error}",
    )
    def bad(context: dg.AssetExecutionContext) -> None:
        raise error

    return bad


def _campaign_asset(deployment: Deployment, campaign: Campaign) -> dg.AssetsDefinition:
    key = campaign_key(campaign.name)

    @dg.asset(
        key=key,
        deps=[
            *(recommender_key(name) for name in REGISTRY), *FEATURE_TABLES, RANKER_KEY, model_key("decisions"),
        ],
        **{**deployment.weekly, "owners": [campaign.owner]},
        group_name=GROUP,
        kinds={"python", "lightgbm"},
        description=f"{campaign.description}\n\n```\n{campaign.query.strip()}\n```",
        check_specs=[
            dg.AssetCheckSpec(
                ANSWERED, asset=key, description="The shop's data can answer the campaign's query."
            ),
            dg.AssetCheckSpec(
                EARNING, asset=key, description="The email as sent is proven to beat each customer's own frequent products."
            ),
            dg.AssetCheckSpec(
                FITTING, asset=key, description="The shop has what the campaign's file names, and no rule is idle."
            ),
        ],
    )  # fmt: skip
    def campaign_asset(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterable[dg.MaterializeResult | dg.AssetCheckResult]:
        week = deployment.week(warehouse, context)
        if context.run.job_name == name_job(campaign.name):
            # It publishes some tables beside the week's others, which no gate of this job looks at.
            warehouse.require_published(week.as_of)
        result = make(campaign, week, context.log.info, deployment.experiments.experiments.values())
        folder = find_folder(week, campaign.name)
        make_room(folder)
        result.write(folder)
        yield dg.MaterializeResult(metadata=_describe(result, str(folder)))
        problem = result.facts["problem"]
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=ANSWERED,
            passed=not problem,
            severity=dg.AssetCheckSeverity.WARN,
            description=problem or "The query was answered.",
        )
        worth, earns = result.facts.get("worth", ""), result.facts.get("earns", True)
        if not earns:
            context.log.warning(f"Campaign {campaign.name}: {worth}")
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=EARNING,
            passed=earns,
            severity=dg.AssetCheckSeverity.WARN,
            description=worth or "Nothing could be compared.",
        )
        problems = result.facts["problems"]
        for text in problems:
            context.log.warning(f"Campaign {campaign.name}: {text}")
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=FITTING,
            passed=not problems,
            severity=dg.AssetCheckSeverity.ERROR
            if result.facts.get("refused")
            else dg.AssetCheckSeverity.WARN,
            description=" ".join(problems) or "The shop has what the campaign's file names.",
        )

    return campaign_asset


def _describe(made: Made, folder: str) -> dict[str, object]:
    """The metadata of a campaign: counts, forecast, test, price tags, first rows."""
    tables, facts = made.tables, made.facts
    counts = tables["outcomes"]["outcome"].value_counts()
    shown: dict[str, object] = {
        "folder": dg.MetadataValue.path(folder),
        **numbers({f"customers_{name}": int(counts[name]) for name in OUTCOMES if name in counts}),
        **numbers({name: facts[name] for name in ("verdict", "note", "problem") if facts.get(name)}),
        **numbers({f"test_{name}": value for name, value in facts.get("test", {}).items()}),
    }
    for name in ("adjusted", "problems", "notes"):
        if facts.get(name):
            shown[name] = dg.MetadataValue.md("\n".join(f"- {text}" for text in facts[name]))
    if facts.get("shortage"):
        shown["too_few_products"] = facts["shortage"]
    if "rules" in facts:
        lines = [(key, value, "default" if default else "") for key, value, default in facts["rules"]]
        shown["rules"] = dg.MetadataValue.md(markdown_table(["key", "value", ""], lines))
    if "forecast_purchases" in facts:
        shown |= numbers({"forecast_purchases": facts["forecast_purchases"]})
    columns = {
        "tests": ["metric", "model", "item", "value", "difference", "ci_low", "ci_high"],
        "price_tags": [
            "rule", "customers_changed", "purchases", "purchases_gained", "purchases_low", "purchases_high",
            "alone_gained", "margin_gained",
        ],
        "selection": ["customer_id", "slot", "product_id", "slot_type", "p_purchase", "reason_text"],
        "predictions": ["customer_id", "item", "rank", "probability", "prediction"],
    }  # fmt: skip
    for name, wanted in columns.items():
        if len(rows := made.filled if name == "selection" else tables[name]):
            # Of a test, the figures over all; the table holds those of every category.
            rows = (
                rows[rows["item"].isin(["all", "personal", "discovery", "fill"])] if name == "tests" else rows
            )
            rows = rows if name == "price_tags" else rows.head(60 if name == "tests" else 12)
            table = markdown_table(wanted, list(rows[wanted].itertuples(index=False, name=None)))
            shown["preview" if name in ("selection", "predictions") else name] = dg.MetadataValue.md(table)
    return shown


# -- the week's tables ------------------------------------------------------------------------


def _build_tables(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [campaign_key(name) for name in deployment.campaigns.campaigns]
    texts = {table: text for table, (_, text) in TABLES.items()}

    @model_tables(deployment, "campaign_tables", GROUP, deps, texts)
    def campaign_tables(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        with week.build.read() as connection:
            addresses = load_addresses(connection)
        columns = {part: list(model_columns(table)) for table, (part, _) in TABLES.items()}
        files = deployment.campaigns.campaigns
        tables = collect_campaigns(week, files, columns, addresses, deployment.settings.hash_key)
        for name in sorted(set(tables["outcomes"]["campaign"]) - set(files)):
            context.log.warning(
                f"The campaign {name} has no file any more. What was published of it for the week {week.as_of} stays, because it may "
                "have been sent."
            )
        for table, (part, _) in TABLES.items():
            rows = tables.pop(part)
            more = type_traces(rows) if part == "traces" else {}
            metadata = write_model_table(week, table, rows, more)
            yield dg.MaterializeResult(asset_key=model_key(table), metadata=metadata)

    return campaign_tables


# -- jobs and schedules -----------------------------------------------------------------------


def list_other_assets(deployment: Deployment) -> list[dg.AssetKey]:
    """What the weekly run does not make: campaigns of other days with their files, and files that are no campaign."""
    loaded = deployment.campaigns
    others = [name for name, campaign in loaded.campaigns.items() if not campaign.schedule.is_weekly]
    return [
        *(campaign_key(name) for name in others),
        *(
            key
            for campaign in loaded.exporting
            if campaign.name in others
            for key in list_export_keys(deployment, campaign)
        ),
        *(campaign_key(re.sub(r"\W", "_", error.path.stem)) for error in loaded.errors),
    ]


def name_job(campaign: str) -> str:
    """The job of a campaign, and its schedule."""
    return f"campaign_{campaign}"


def campaign_jobs(deployment: Deployment) -> list:
    """One job per campaign: its asset, the week's tables, and all that is made from them but other campaigns' files."""
    files = {
        campaign.name: list_export_keys(deployment, campaign) for campaign in deployment.campaigns.exporting
    }
    tables = dg.AssetSelection.assets(*(model_key(table) for table in TABLES)).downstream()
    return [
        dg.define_asset_job(
            name_job(name),
            selection=(dg.AssetSelection.assets(campaign_key(name)) | tables)
            - dg.AssetSelection.assets(
                ALERT_KEY,
                *list_embedding_keys(deployment),
                *(key for other, keys in files.items() if other != name for key in keys),
            ),
            description=f"The campaign {name} on a week that was built: its lists, the tables, gates, publish, caches.",
            tags={"dagster/max_runtime": str(2 * 3600)},
            executor_def=dg.in_process_executor,
        )
        for name in deployment.campaigns.campaigns
    ]


def campaign_schedules(deployment: Deployment) -> list[dg.ScheduleDefinition]:
    """Those of campaigns that the weekly run does not make."""
    return [
        _schedule(deployment, campaign)
        for campaign in deployment.campaigns.campaigns.values()
        if not campaign.schedule.is_weekly
    ]


def _schedule(deployment: Deployment, campaign: Campaign) -> dg.ScheduleDefinition:
    timezone = campaign.schedule.timezone or deployment.timezone

    @dg.schedule(
        name=name_job(campaign.name),
        job_name=name_job(campaign.name),
        cron_schedule=campaign.schedule.cron,
        execution_timezone=timezone,
        description=f"Makes the campaign {campaign.name} of the newest published week.",
    )
    def scheduled(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            week = deployment.warehouse().newest_published().isoformat()
        except WarehouseError as error:
            return dg.SkipReason(str(error))
        now = context.scheduled_execution_time
        try:
            check_send_time(campaign, deployment, date.fromisoformat(week), now=now)
        except LateError as error:
            return dg.SkipReason(str(error))
        day = now.astimezone(ZoneInfo(timezone)).date()
        return dg.RunRequest(run_key=f"{campaign.name}:{week}:{day}", partition_key=week)

    return scheduled
