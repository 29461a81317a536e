"""What the recommendations of earlier weeks did."""

import dagster as dg

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.experiments.attribution import Windows, attribute
from recs_assets.store.warehouse import Warehouse

TABLES = {
    "attributions": "Which purchase followed which touch of a recommendation, each at most once.",
    "recommendation_results": "What came of every campaign and placement per week: sent, shown, clicked, bought, and "
    "what it changed where customers are held out.",
    "recommended_revenue": "What was bought through recommendations and otherwise per week, and the long tail's share.",
}


def attribution_asset(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [
        *(dg.AssetKey(["marts", table]) for table in ("customers", "products", "order_lines")),
        *(
            dg.AssetKey(["intermediate", table])
            for table in ("int_campaign_events_attributed", "int_browsing_events_attributed")
        ),
        model_key("nightly_recommendations"),
    ]

    @model_tables(deployment, "attribution", "evaluation", deps, TABLES)
    def attribution(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        settings = deployment.settings
        windows = Windows(settings.attribution_click_days, settings.attribution_view_days)
        with week.read_with_snapshot() as connection:
            results = attribute(connection, week.as_of, deployment.timezone, windows)
        for table, rows in zip(TABLES, (results.attributions, results.results, results.revenue), strict=True):
            yield dg.MaterializeResult(
                asset_key=model_key(table), metadata=write_model_table(week, table, rows)
            )

    return attribution
