"""Every model against what was bought, and what follows from it."""

from datetime import timedelta

import dagster as dg
import pandas as pd

from recs_assets.campaigns.evaluate import evaluate_week
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import inline_png, markdown_table
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.evaluation.evaluate import plot_metrics, summarise
from recs_assets.recommenders import REGISTRY
from recs_assets.store.warehouse import Warehouse

TABLES = {
    "metrics": "Every recommender, the blend and the ranker at the test anchors: what they proposed "
    "against what was bought after it.",
    "backtest": "Every model over all test anchors beside the best single recommender, with paired intervals.",
    "decisions": "Which model makes this week's lists: the simplest one that no other is proven to beat.",
    "waterfall": "Where the purchases of the test's label window were lost on the way to the email.",
    "forecasts": "What the probabilities promised, for the test anchor and for emails of earlier weeks, "
    "against what was bought.",
}


def evaluation_asset(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [*(recommender_key(name) for name in REGISTRY), RANKER_KEY]

    @model_tables(deployment, "evaluation", "evaluation", deps, TABLES)
    def evaluation(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        result = evaluate_week(week, deployment.campaigns.main)
        picture = week.build.folder / "evaluation.png"
        picture.write_bytes(plot_metrics(result.newest))
        window = f"Label window [{result.anchor}, {result.anchor + timedelta(days=deployment.horizon_days)})."
        more = {
            "metrics": {
                "evaluation": dg.MetadataValue.md(f"{window}\n\n{summarise(result.newest)}"),
                "plot": dg.MetadataValue.md(inline_png(picture.read_bytes(), "MAP@12 by recommender")),
                "plot_file": dg.MetadataValue.path(str(picture)),
            },
            "backtest": {"map_at_12": dg.MetadataValue.md(_show_backtest(result.tables["backtest"]))},
            "decisions": {"chosen": result.chosen},
        }
        for table in TABLES:
            metadata = write_model_table(week, table, result.tables[table])
            yield dg.MaterializeResult(
                asset_key=model_key(table), metadata={**metadata, **more.get(table, {})}
            )

    return evaluation


def _show_backtest(backtest: pd.DataFrame) -> str:
    """MAP@12 of every view and model, the best first, as a Markdown table."""
    rows = backtest[backtest["metric"] == "map"].sort_values(["view", "value"], ascending=[True, False])
    columns = ["view", "recommender", "value", "baseline", "difference", "ci_low", "ci_high"]
    return markdown_table(
        ["view", "model", "MAP@12", "baseline", "difference", "low", "high"],
        list(rows[columns].itertuples(index=False, name=None)),
    )
