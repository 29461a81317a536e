"""Small seeded searches of the settings of recommenders and ranker; never part of the weekly run."""

import json

import dagster as dg

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import FEATURES
from recs_assets.store.warehouse import Warehouse
from recs_assets.training.search import search_ranker, search_recommenders

RESEARCH = "research"


class SearchConfig(dg.Config):
    """What a search may cost."""

    trials: int = 20


class RecommenderSearchConfig(dg.Config):
    """What a search may cost: settings tried per recommender, and customers to judge them by."""

    trials: int = 12
    customers: int = 4000


def search_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey([RESEARCH, "ranker_search"]),
        deps=[RANKER_KEY],
        **deployment.weekly,
        group_name=RESEARCH,
        kinds={"python", "optuna"},
        description="Optuna (TPE, seeded) over the trees' settings: fitted on the earlier training anchors, judged "
        "by MAP@12 at the latest one, never at the test anchor. The best go into ranker.yaml by hand.",
    )
    def ranker_search(
        context: dg.AssetExecutionContext, config: SearchConfig, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        result, path = search_ranker(deployment.week(warehouse, context), config.trials, context.log.info)
        return dg.MaterializeResult(
            metadata={
                **numbers(
                    {"map_at_12": result.map_at_12, "map_at_12_of_ranker_yaml": result.map_at_12_today}
                ),
                "best": dg.MetadataValue.json(result.best),
                "trials": dg.MetadataValue.md(
                    markdown_table(
                        ["MAP@12", *result.best],
                        [(value, *trees.values()) for value, trees in result.trials[:10]],
                    )
                ),
                "file": dg.MetadataValue.path(str(path)),
            }
        )

    return ranker_search


def recommender_search_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey([RESEARCH, "recommender_search"]),
        deps=FEATURES,
        **deployment.weekly,
        group_name=RESEARCH,
        kinds={"python"},
        description="The recommenders' telling settings, tried at the latest training anchor, never at the test "
        "anchor. Half of the customers choose, the other half confirm. What is proven better is kept with the week's "
        "models and used from the next run on, until the shop is another.",
    )
    def recommender_search(
        context: dg.AssetExecutionContext,
        config: RecommenderSearchConfig,
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        result, path = search_recommenders(week, config.trials, config.customers, context.log.info)
        return dg.MaterializeResult(
            metadata={
                "parameters": dg.MetadataValue.json(result.parameters),
                "trials": dg.MetadataValue.md(
                    markdown_table(
                        ["recommender", "settings", "MAP@12, half that chooses", "half that confirms"],
                        [
                            (trial.recommender, json.dumps(trial.parameters), trial.chooses, trial.confirms)
                            for trial in result.trials
                        ],
                    )
                ),
                "file": dg.MetadataValue.path(str(path)),
            }
        )

    return recommender_search
