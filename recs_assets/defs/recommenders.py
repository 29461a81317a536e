"""One asset per recommender: fitted at every anchor of the week, on what was known there."""

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import date
from itertools import repeat

import dagster as dg
import pandas as pd

from recs_assets.arrays import one_blas_thread
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import save_model, write_lists
from recs_assets.recommenders.base import Recommender
from recs_assets.store.warehouse import Warehouse
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
        week, settings = deployment.week(warehouse, context), deployment.settings
        metadata: dict[str, float | int | str] = {}
        anchors, choice = week.anchors_of(name), choose_parameters(week)
        if choice.stale and name == next(iter(REGISTRY)):  # once, not for every recommender
            context.log.warning(f"Parameter search: {choice.stale}.")
        for anchor in anchors:
            week.known(anchor)  # read one after the other; the threads find them cached

        def at(
            anchor: date, scoring: Executor
        ) -> tuple[float, float, Recommender | None, pd.DataFrame | None]:
            """Fit, list and write; the week's own model and lists are handed back."""
            known = week.known(anchor)
            started = time.monotonic()
            model = make_recommender(deployment, name, choice.parameters).fit(known)
            fitted = time.monotonic()
            customers = week.listed_customers(anchor)
            views = week.views_at(anchor)
            listed = model.recommend_views(customers, settings.candidates, views, scoring)
            for view, lists in listed.items():
                write_lists(lists, known, week.lists_path(name, anchor, view))
            kept = (model, listed["all"]) if anchor == week.as_of else (None, None)
            return fitted - started, time.monotonic() - fitted, *kept

        # Anchors side by side: most fits use one thread. Their lists share the other pool, so that the
        # week's, which hold every customer, use all cores at the end, and no more blocks than threads are
        # alive. The limit on BLAS is the process's, so it is set once around them all.
        threads = settings.threads
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(threads) as scoring:
            done = list(pool.map(at, anchors, repeat(scoring)))
        for anchor, (fitting, listing, *_) in zip(anchors, done, strict=True):
            metadata[f"fit_seconds_{anchor}"], metadata[f"recommend_seconds_{anchor}"] = fitting, listing
        known = week.known()
        model, lists = next((model, lists) for *_, model, lists in done if model is not None)
        metadata["sha256"] = save_model(model, week.model_path(name))
        sample = lists.head(5)
        preview = markdown_table(
            ["product", "score", "rank"],
            [
                (
                    known.products["name"].iloc[row.product],
                    float(row.score),
                    row.rank,
                )
                for row in sample.itertuples(index=False)
            ],
        )
        return dg.MaterializeResult(
            metadata={
                **numbers(metadata),
                "dagster/row_count": len(lists),
                "settings": choice.why,
                "parameters": dg.MetadataValue.json(choice.parameters.get(name, {})),
                "preview": dg.MetadataValue.md(preview),
                "model": dg.MetadataValue.path(str(week.model_path(name))),
            }
        )

    return recommender
