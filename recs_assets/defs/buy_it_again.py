"""What a customer bought before and is due to buy again."""

import dagster as dg

from recs_assets.campaigns.due import LENGTH, make_due_list
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import numbers
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.defs.results import count_without, model_key, write_model_table
from recs_assets.recommenders import REGISTRY
from recs_assets.store.warehouse import Warehouse


def buy_it_again_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=model_key("buy_it_again"),
        deps=[*(recommender_key(name) for name in REGISTRY), RANKER_KEY, model_key("decisions")],
        **deployment.weekly,
        group_name="ranking",
        kinds={"python", "duckdb"},
        description=f"Up to {LENGTH} products that each customer bought before and is due to buy again.",
    )
    def buy_it_again(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        due = make_due_list(week, context.log.info)
        return dg.MaterializeResult(
            metadata={
                **write_model_table(week, "buy_it_again", due.rows),
                **numbers({"customers": due.customers, "replaced": due.replaced}),
                **count_without(due.removed),
            }
        )

    return buy_it_again
