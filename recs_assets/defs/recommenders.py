"""One asset per recommender: fitted at every anchor of the week, on what was known there."""

import dagster as dg

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.recommenders import REGISTRY
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.fit import fit_recommender
from recs_assets.week.parameters import choose_parameters
from recs_assets.week.week import make_recommender

FEATURES = [
    dg.AssetKey(["features", "product_features"]),
    dg.AssetKey(["intermediate", "int_interactions_anchored"]),
    # The rules of lists ask who shares an address, in a backtest too.
    dg.AssetKey(["intermediate", "int_customer_addresses"]),
] + [dg.AssetKey(["marts", name]) for name in ("customers", "products", "order_lines", "baskets")]


def recommender_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["recommenders", name])


def recommender_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [_recommender_asset(deployment, name) for name in REGISTRY]


def _recommender_asset(deployment: Deployment, name: str) -> dg.AssetsDefinition:
    summary = (type(make_recommender(deployment, name)).__doc__ or "").strip()

    @dg.asset(
        key=recommender_key(name),
        description=summary,
        deps=FEATURES,
        **deployment.weekly,
        group_name="recommenders",
        kinds={"python", "numpy"},
    )
    def recommender(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        choice = choose_parameters(week)
        if choice.stale and name == next(iter(REGISTRY)):  # once, not for every recommender
            context.log.warning(f"Parameter search: {choice.stale}.")
        fitted = fit_recommender(week, name, choice.parameters)
        names, few = week.known().products["name"], week.lists(name, week.as_of, "all", 0, 1)
        preview = markdown_table(
            ["product", "score", "rank"],
            [
                (names.iloc[row.product], float(row.score), row.rank)
                for row in few.head(5).itertuples(index=False)
            ],
        )
        return dg.MaterializeResult(
            metadata={
                **numbers({**fitted.seconds, "sha256": fitted.sha256}),
                "dagster/row_count": fitted.rows,
                "settings": choice.why,
                "parameters": dg.MetadataValue.json(choice.parameters.get(name, {})),
                "preview": dg.MetadataValue.md(preview),
                "model": dg.MetadataValue.path(str(week.model_path(name))),
            }
        )

    return recommender
