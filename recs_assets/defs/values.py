"""What customers will spend: the table of the week, and the decision which way of predicting makes it."""

import dagster as dg

from recs_assets.campaigns.values import value_customers
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import numbers
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.store.warehouse import Warehouse

TABLES = {
    "customer_values": "What every customer is expected to order and to spend in the next quarter and year.",
    "value_methods": "How each way of predicting spend did on spend held out, and which one is used.",
}
READS = ("baskets", "customers")


def values_asset(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [dg.AssetKey(["marts", table]) for table in READS]

    @model_tables(deployment, "customer_values", "evaluation", deps, TABLES)
    def customer_values(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        made = value_customers(week)
        for sentence in made.sentences:
            context.log.info(sentence)
        yield dg.MaterializeResult(
            asset_key=model_key("customer_values"),
            metadata={
                **write_model_table(week, "customer_values", made.values),
                **numbers({"customers": len(made.values)}),
            },
        )
        yield dg.MaterializeResult(
            asset_key=model_key("value_methods"),
            metadata={
                **write_model_table(week, "value_methods", made.methods),
                "decision": " ".join(made.sentences),
            },
        )

    return customer_values
