"""The learned ranker as an asset: trained, tested and refitted at the week's anchors."""

import dagster as dg

from recs_assets.campaigns.judge import RANKER_GATES
from recs_assets.contracts import model_columns
from recs_assets.declared_tables.features import list_models
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import inline_png, markdown_table, numbers
from recs_assets.defs.recommenders import FEATURES as MARTS
from recs_assets.defs.recommenders import recommender_key
from recs_assets.evaluation import gates
from recs_assets.evaluation.verdict import COLUMNS, tabulate
from recs_assets.ranking.calibration import reliability_plot
from recs_assets.ranking.features import TABLES
from recs_assets.store.warehouse import Warehouse
from recs_assets.training.ranker import (
    NoLastGood,
    delete_ranker,
    find_last_good,
    keep_last_good,
    list_week,
    publish_ranker,
    train_ranker,
)
from recs_assets.week.week import SOURCES

FEATURE_TABLES = [dg.AssetKey(["features", model]) for model, _ in TABLES.values()]
RANKER_KEY = dg.AssetKey(["recommenders", "ranker"])
VERDICT_TYPES = {name: type_ for name, type_ in model_columns("gates").items() if name in COLUMNS}
NOTHING_LEARNED = "No candidate was bought in a label window: nothing to learn"


def ranker_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=RANKER_KEY,
        deps=[
            *(recommender_key(name) for name in SOURCES),
            *MARTS,
            *FEATURE_TABLES,
            *(dg.AssetKey(["features", model]) for model in list_models(deployment.source.tables)),
        ],
        **deployment.weekly,
        group_name="ranking",
        kinds={"python", "lightgbm"},
        description="Gradient-boosted trees over every recommender's candidates: fitted on the training "
        "anchors, stopped and calibrated on the latest of them, tested, and refitted with the test anchor.",
    )
    def ranker(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, log = deployment.week(warehouse, context), context.log
        delete_ranker(week)
        last, tested = find_last_good(week), None
        for test in reversed(week.test_anchors):
            tested = train_ranker(week, test, last, log.info)
        verdicts = [gates.skip_successor(NOTHING_LEARNED)] if tested is None else tested.verdicts
        week.replace_table(RANKER_GATES, tabulate(verdicts), VERDICT_TYPES)
        for verdict in verdicts:
            if not verdict.passed:
                way = f"is overridden ({verdict.reason})" if verdict.overridden else "refuses the new ranker"
                log.warning(f"Gate {verdict.gate} {way}: {verdict.sentence}")
        if tested is None:
            # An honest end: the decision falls to the simpler models, and the run says so.
            return dg.MaterializeResult(metadata={"trained": False, "why": f"{NOTHING_LEARNED}."})
        if tested.refused is not None:
            metadata = {"trained": False, "why": tested.refused}
            if isinstance(last, NoLastGood):
                log.warning(
                    "There is no earlier ranker to keep: this week has none, and a simpler model makes the lists."
                )
            else:
                origin, digest = keep_last_good(week, last, tested.refused)
                log.warning(f"The ranker of week {origin} is kept for week {week.as_of}.")
                list_week(week)
                metadata |= {"kept_from": origin, **numbers({"sha256": digest})}
            return dg.MaterializeResult(metadata=metadata)
        final, digest = publish_ranker(week, tested)
        facts = tested.facts
        gains = final.importance().head(15)
        picture = reliability_plot(tested.probability, tested.label)
        return dg.MaterializeResult(
            metadata={
                **numbers(
                    {
                        **{name: value for name, value in facts.items() if isinstance(value, float | int)},
                        "rounds": tested.model.rounds_,
                        "training_rows": sum(len(lesson.label) for lesson in tested.lessons),
                        "sha256": digest,
                    }
                ),
                "promotion_calendar": facts["promotion_calendar"],
                "features_that_matter": dg.MetadataValue.md(
                    markdown_table(
                        ["feature", "share of gain"], list(gains.itertuples(index=False, name=None))
                    )
                ),
                "calibration": dg.MetadataValue.json(facts["quality"]),
                "reliability": dg.MetadataValue.md(inline_png(picture, "Reliability at the test anchor")),
            }
        )

    return ranker
