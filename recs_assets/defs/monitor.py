"""Whether to worry: the week beside the weeks before it, as a table, as checks that never block, and as an alert."""

from collections.abc import Iterator

import dagster as dg

from recs_assets.campaigns.adjust import load_settings
from recs_assets.campaigns.judge import LANDING_GATES
from recs_assets.defs.deployment import ALERT_KEY, WRITER_POOL, Deployment
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.defs.publish import SNAPSHOT, recs_key
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.exports.postgres_monitor import publish
from recs_assets.monitoring.alert import send, write_message
from recs_assets.monitoring.figures import ALL, AREAS
from recs_assets.monitoring.judge import ALERT, WATCH
from recs_assets.monitoring.watch import watch
from recs_assets.store.warehouse import Warehouse

TABLES = {
    "monitor": "Figures of the data, the model, the lists and the people beside those of earlier weeks, with verdicts.",
    "monitor_distributions": "How columns were distributed, for the weeks to come.",
}
CHECKS = {
    "data": "What came in looks like the weeks before.",
    "model": "The model does as it did.",
    "lists": "The lists are as varied as they were.",
    "people": "People answer as they did.",
    "verdict": "The week needs nobody's attention.",
}
NAMED = ["verdict", "metric", "subject", "sentence"]


def monitor_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    url = deployment.settings.postgres_url
    copies = [] if url is None else [_postgres(deployment, url.get_secret_value())]
    return [_monitor(deployment), _alert(deployment), *copies]


def _monitor(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [
        model_key(table)
        for table in ("recommendations", "traces", "email_selection", "campaign_outcomes", "metrics", "forecasts")
    ]  # fmt: skip

    @model_tables(deployment, "monitor", "publish", deps, TABLES)
    def monitor(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week, shop = deployment.week(warehouse, context), deployment
        settings = load_settings(deployment.campaigns.campaigns.values(), week)
        landed = week.table(LANDING_GATES)
        counted = landed[(landed["gate"] == "volume").to_numpy()]
        volumes = dict(zip(counted["subject"], counted["value"], strict=True))
        with week.read_with_snapshot() as connection:
            watched = watch(
                connection,
                week.as_of,
                shop.horizon_days,
                volumes,
                shop.monitor,
                settings,
                shop.source.raw_tables.values(),
            )
        verdicts = watched.rows["verdict"].value_counts()
        yield dg.MaterializeResult(
            asset_key=model_key("monitor"),
            metadata={
                **write_model_table(week, "monitor", watched.rows),
                **numbers({f"figures_{name}": int(count) for name, count in sorted(verdicts.items())}),
            },
        )
        yield dg.MaterializeResult(
            asset_key=model_key("monitor_distributions"),
            metadata=write_model_table(week, "monitor_distributions", watched.distributions),
        )

    return monitor


def monitor_check(deployment: Deployment) -> dg.AssetChecksDefinition:
    """One check per area and one over all; they warn and never stop a week, which is what gates are for."""
    key = recs_key("monitor")

    @dg.multi_asset_check(
        name="monitor_check",
        specs=[
            dg.AssetCheckSpec(f"monitor_{name}", asset=key, description=text) for name, text in CHECKS.items()
        ],
        pool=WRITER_POOL,
    )
    def check(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        rows = deployment.week(warehouse, context).table("monitor")
        for name in CHECKS:
            of_area = rows[(rows["area"] == (name if name in AREAS else ALL)).to_numpy()]
            bad = of_area[of_area["verdict"].isin([ALERT, WATCH]).to_numpy()].sort_values(
                ["verdict", "metric", "subject"]
            )
            counts = of_area["verdict"].value_counts()
            if name in AREAS:
                text = (
                    ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "nothing"
                )
                text = f"Of {len(of_area)} figures: {text}."
            else:
                text = of_area["sentence"].iloc[0]
                (context.log.warning if len(bad) else context.log.info)(f"Monitor: {text}")
            shown = markdown_table(NAMED, list(bad[NAMED].itertuples(index=False, name=None)))
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=f"monitor_{name}",
                passed=bad.empty,
                severity=dg.AssetCheckSeverity.WARN,
                description=text,
                metadata={"not_ok": dg.MetadataValue.md(shown)} if len(bad) else {},
            )

    return check


def _alert(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=ALERT_KEY,
        deps=[SNAPSHOT],
        **deployment.weekly,
        group_name="exports",
        kinds={"http"},
        description="The alerts of the published week, sent to the address RECS_ALERT_URL where there is one.",
    )
    def alert(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        newest = warehouse.newest_published()
        if week.as_of != newest:
            return dg.MaterializeResult(metadata={"sent": False, "note": f"The newest week is {newest}."})
        message = write_message(week.table("monitor"), week.as_of)
        if message is None:
            return dg.MaterializeResult(metadata={"sent": False, "note": "No alert."})
        for sentence in message["sentences"]:
            context.log.warning(f"Monitor: {sentence}")
        url = deployment.settings.alert_url
        if url is None:
            return dg.MaterializeResult(metadata={"sent": False, "note": "RECS_ALERT_URL is not set."})
        problem = send(url.get_secret_value(), message)
        if problem:
            context.log.warning(
                f"The alert of week {week.as_of} could not be delivered: {problem}. It stands in recs.monitor; look "
                "at the receiver, or at RECS_ALERT_URL."
            )
        return dg.MaterializeResult(metadata={"sent": problem is None, "alerts": message["alerts"]})

    return alert


def _postgres(deployment: Deployment, url: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["exports", "postgres_monitor"]),
        deps=[SNAPSHOT],
        **deployment.weekly,
        group_name="exports",
        kinds={"postgres"},
        description="The monitor's rows of all kept weeks in Postgres, for dashboards.",
    )
    def postgres_monitor(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        with warehouse.snapshot() as connection:
            rows = connection.execute("select * from recs.monitor order by all").to_arrow_table()
        return dg.MaterializeResult(metadata={"dagster/row_count": publish(rows, url)})

    return postgres_monitor
