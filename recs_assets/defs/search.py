"""Small seeded searches of the settings of recommenders and ranker; never part of the weekly run."""

import json
from datetime import timedelta

import dagster as dg
import numpy as np

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import FEATURES
from recs_assets.evaluation import metrics
from recs_assets.evaluation.evaluate import sample_customers, split_views
from recs_assets.evaluation.promotion import select_buyers
from recs_assets.evaluation.tuning import search
from recs_assets.files import write_whole
from recs_assets.ranking.ranker import Ranker, RankerConfig
from recs_assets.shop import RANKER
from recs_assets.store.warehouse import Warehouse
from recs_assets.training.products import Products
from recs_assets.training.ranker import week_query
from recs_assets.training.train import load_lessons
from recs_assets.week.lessons import join_lessons
from recs_assets.week.parameters import choose_parameters, search_path
from recs_assets.week.week import make_recommender

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
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        week, settings = deployment.week(warehouse, context), deployment.settings
        anchors = week.shop.train_anchors(week.test_anchors[0])
        # Fitted on the earlier training anchors, judged at the latest one.
        lessons = load_lessons(Products(week, week.as_of, week_query(week), "all"), anchors, context.log.info)
        known = week.known(anchors[0])
        kept = lessons.kept
        true = split_views(week.truth(anchors[0]), known.history)["all"]
        some = select_buyers(true, np.arange(known.n_customers))

        def value(trees: dict[str, float]) -> float:
            model = Ranker(with_trees(trees), settings.seed, settings.threads).fit(
                **join_lessons(lessons.earlier), valid=(kept.frame, kept.label, kept.group)
            )
            lists = lessons.sheet.candidates.rank(model.score(kept.frame), 12)
            return float(metrics.measure_customers(lists, true, some, (12,))["map", 12].mean())

        def trial(study: optuna.Trial) -> float:
            found = value(
                {
                    "learning_rate": study.suggest_float("learning_rate", 0.02, 0.2, log=True),
                    "num_leaves": study.suggest_int("num_leaves", 7, 127, log=True),
                    "min_data_in_leaf": study.suggest_int("min_data_in_leaf", 50, 5000, log=True),
                    "lambda_l2": study.suggest_float("lambda_l2", 0.1, 100.0, log=True),
                    "feature_fraction": study.suggest_float("feature_fraction", 0.3, 1.0),
                }
            )
            context.log.info(f"Trial {study.number + 1} of {config.trials}: MAP@12 {found:.5f}.")
            return found

        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=settings.seed)
        )
        study.optimize(trial, n_trials=config.trials)
        today = value({})
        path = week.build.folder / "models" / "ranker_search.json"
        path.write_text(
            json.dumps(
                {"best": study.best_params, "map_at_12": study.best_value, "map_at_12_of_ranker_yaml": today},
                indent=1,
                sort_keys=True,
            )
        )
        ranked = sorted(study.trials, key=lambda trial: (-trial.value, trial.number))[:10]
        return dg.MaterializeResult(
            metadata={
                **numbers({"map_at_12": study.best_value, "map_at_12_of_ranker_yaml": today}),
                "best": dg.MetadataValue.json(study.best_params),
                "trials": dg.MetadataValue.md(
                    markdown_table(
                        ["MAP@12", *ranked[0].params],
                        [(trial.value, *trial.params.values()) for trial in ranked],
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
        week, settings = deployment.week(warehouse, context), deployment.settings
        test = min(week.test_anchors)
        anchor = deployment.train_anchors(test)[0]
        known = week.known(anchor)
        ids = known.customers["customer_id"].to_numpy()
        there = np.flatnonzero(known.customers["learned_from"])
        found = search(
            lambda name, parameters: make_recommender(deployment, name, {name: dict(parameters)}),
            known,
            week.truth(anchor),
            there[sample_customers(ids[there], config.customers, settings.seed)],
            anchor + timedelta(days=deployment.horizon_days),
            choose_parameters(week).parameters,
            trials=config.trials,
            seed=settings.seed,
            say=context.log.info,
        )
        path = search_path(week)
        write_whole(path, found.to_json())
        return dg.MaterializeResult(
            metadata={
                "parameters": dg.MetadataValue.json(found.parameters),
                "trials": dg.MetadataValue.md(
                    markdown_table(
                        ["recommender", "settings", "MAP@12, half that chooses", "half that confirms"],
                        [
                            (trial.recommender, json.dumps(trial.parameters), trial.chooses, trial.confirms)
                            for trial in found.trials
                        ],
                    )
                ),
                "file": dg.MetadataValue.path(str(path)),
            }
        )

    return recommender_search


def with_trees(trees: dict[str, float]) -> RankerConfig:
    """The shipped settings with these of the trees' replaced."""
    return RANKER.model_copy(update={"trees": RANKER.trees.model_copy(update=trees)})
