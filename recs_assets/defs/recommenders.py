"""One asset per recommender: fitted at every anchor of the week, on what was known there."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.defs.deployment import RANKER, Deployment, week_of
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.interactions import Known
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import load_model, save_model, write_lists
from recs_assets.recommenders.base import VIEWS, Recommender, View, one_blas_thread
from recs_assets.warehouse import Warehouse

FEATURES = [
    dg.AssetKey(["features", "product_features"]),
    dg.AssetKey(["intermediate", "int_interactions_anchored"]),
] + [dg.AssetKey(["marts", name]) for name in ("customers", "products", "order_lines", "baskets")]


def recommender_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["recommenders", name])


def recommender_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [_recommender_asset(deployment, name) for name in REGISTRY]


def make(deployment: Deployment, name: str) -> Recommender:
    """An unfitted recommender with this deployment's seed, basket cap and threads."""
    settings = deployment.settings
    return REGISTRY[name].make(settings.seed, settings.max_basket_lines, settings.threads)


def lists_path(warehouse: Warehouse, week: date, name: str, anchor: date, view: View) -> Path:
    return warehouse.week_dir(week) / "candidates" / f"{name}-{anchor.isoformat()}-{view}.parquet"


def model_path(warehouse: Warehouse, week: date, name: str) -> Path:
    return warehouse.week_dir(week) / "models" / name


def load_fitted(
    deployment: Deployment, warehouse: Warehouse, week: date, name: str, known: Known
) -> Recommender:
    """The recommender as fitted at the week's own anchor."""
    return load_model(make(deployment, name), model_path(warehouse, week, name), known)


def listed_customers(deployment: Deployment, warehouse: Warehouse, week: date, anchor: date) -> np.ndarray:
    """int32 codes of the customers who get lists at an anchor: everybody at the week's own, and
    a seeded sample of at most so many (settings) where lists are only evaluated or learnt from."""
    customers = warehouse.known(week, anchor).customers["customer_id"].to_numpy()
    if anchor == week:
        return np.arange(len(customers), dtype=np.int32)
    settings, tests = deployment.settings, deployment.test_anchors(week)
    limits = [settings.evaluation_customers] if anchor in tests else []
    if any(anchor in deployment.train_anchors(test) for test in tests):
        limits.append(RANKER.training_customers)
    return sample_customers(customers, max(limits), settings.seed).astype(np.int32)


def anchors_of(deployment: Deployment, week: date, name: str) -> list[date]:
    """Where a recommender is fitted: what the ranker does not draw on is only evaluated and published."""
    if name in RANKER.without_sources:
        return [week, *deployment.test_anchors(week)]
    return deployment.anchors(week)


def views_at(deployment: Deployment, week: date, anchor: date) -> tuple[View, ...]:
    """The lists made at an anchor: "repeat" is evaluated only; the ranker draws on the others."""
    return VIEWS if anchor in deployment.test_anchors(week) else VIEWS[:2]


def _recommender_asset(deployment: Deployment, name: str) -> dg.AssetsDefinition:
    summary = (type(make(deployment, name)).__doc__ or "").strip()

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
        week, settings = week_of(context), deployment.settings
        metadata: dict[str, float | int | str] = {}
        anchors = anchors_of(deployment, week, name)
        for anchor in anchors:
            warehouse.known(week, anchor)  # read one after the other; the threads find them cached

        def at(anchor: date) -> tuple[float, float, Recommender | None, pd.DataFrame | None]:
            """Fit, list and write; the week's own model and lists are handed back."""
            known = warehouse.known(week, anchor)
            started = time.monotonic()
            model = make(deployment, name).fit(known)
            fitted = time.monotonic()
            customers = listed_customers(deployment, warehouse, week, anchor)
            listed = model.recommend_views(customers, settings.candidates, views_at(deployment, week, anchor))
            for view, lists in listed.items():
                write_lists(lists, known, lists_path(warehouse, week, name, anchor, view))
            kept = (model, listed["all"]) if anchor == week else (None, None)
            return fitted - started, time.monotonic() - fitted, *kept

        # Anchors side by side: most fits use one thread. The limit on BLAS is the process's, so it
        # is set once around them all.
        with one_blas_thread(), ThreadPoolExecutor(settings.threads) as pool:
            done = list(pool.map(at, anchors))
        for anchor, (fitting, listing, *_) in zip(anchors, done, strict=True):
            metadata[f"fit_seconds_{anchor}"], metadata[f"recommend_seconds_{anchor}"] = fitting, listing
        known = warehouse.known(week, week)
        model, lists = next((model, lists) for *_, model, lists in done if model is not None)
        metadata["sha256"] = save_model(model, model_path(warehouse, week, name))
        sample = lists.head(5)
        preview = markdown_table(
            ["customer", "product", "score", "rank"],
            [
                (
                    known.customers["customer_id"].iloc[row.customer],
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
                "preview": dg.MetadataValue.md(preview),
                "model": dg.MetadataValue.path(str(model_path(warehouse, week, name))),
            }
        )

    return recommender
