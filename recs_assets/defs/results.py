"""From the recommenders' lists to the tables dbt publishes: the storefront's, neighbours, association rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from recs_assets.campaigns.context import list_unknown_storefront_names
from recs_assets.campaigns.questionnaire import tabulate_questionnaire
from recs_assets.campaigns.storefront import (
    NEIGHBOURS,
    make_storefront_lists,
    tabulate_association_rules,
    tabulate_follow_ups,
    tabulate_neighbours,
)
from recs_assets.contracts import model_columns
from recs_assets.defs.deployment import OWNERS, WRITER_POOL, Deployment
from recs_assets.defs.metadata import numbers, table_metadata
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.operations.nightly import load_nightly_recommendations
from recs_assets.reasons.traces import type_traces
from recs_assets.recommenders import REGISTRY
from recs_assets.store.build import replace_table
from recs_assets.store.warehouse import Warehouse
from recs_assets.training.table_gains import load_gains
from recs_assets.week.embeddings import (
    OF_CUSTOMERS,
    explain_silence,
    tabulate_customer_embeddings,
    tabulate_product_embeddings,
)
from recs_assets.week.week import Week

STOREFRONT = {
    "recommendations": "What the chosen model proposes to every customer and the storefront's rules let pass, each row with its reason.",
    "traces": "For every one of these rows: its lists, its features, its contributions, its probability.",
}

EMBEDDINGS = {
    "product_embeddings": "Every product that was bought, or that has words, as a vector.",
    "customer_embeddings": "Every customer who bought something and may be learned from, as a vector.",
}


def model_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["model", table])


def model_tables(
    deployment: Deployment, name: str, group: str, deps: Sequence[dg.AssetKey], texts: Mapping[str, str]
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """The decorator of a step that writes several tables of schema `model`; `texts` are their descriptions."""
    return dg.multi_asset(
        name=name,
        specs=[
            dg.AssetSpec(
                model_key(table),
                deps=deps,
                description=text,
                group_name=group,
                kinds={"python", "duckdb"},
                owners=OWNERS,
                partitions_def=deployment.partitions,
            )
            for table, text in texts.items()
        ],
        backfill_policy=deployment.weekly["backfill_policy"],
        pool=WRITER_POOL,
    )


def result_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [
        _storefront_lists(deployment),
        _neighbours(deployment),
        _association_rules(deployment),
        _table_asset(
            deployment,
            "follow_ups",
            [recommender_key("follow_ups"), recommender_key("late_follow_ups")],
            "What is bought within a month after a product or category, and three to six months after it.",
            tabulate_follow_ups,
        ),
        _table_asset(
            deployment,
            "nightly_recommendations",
            [dg.AssetKey(["staging", "stg_campaign_events"])],
            "What pages showed between two weeks, as far as an event names it.",
            load_nightly_recommendations,
        ),
        _table_gains(deployment),
        _table_asset(
            deployment,
            "questionnaire",
            [dg.AssetKey(["features", "product_features"]), dg.AssetKey(["marts", "interactions"])],
            "At most three questions for somebody new, whose answers say most about what customers go on to buy.",
            tabulate_questionnaire,
        ),
        _embeddings(deployment),
    ]


def _asset(deployment: Deployment, key: str, deps: Iterable[dg.AssetKey], description: str) -> dict:
    """What the assets of this file share."""
    return {
        "key": model_key(key),
        "deps": list(deps),
        **deployment.weekly,
        "group_name": "ranking",
        "kinds": {"python", "duckdb"},
        "description": description,
    }


def _table_asset(
    deployment: Deployment,
    table: str,
    deps: Iterable[dg.AssetKey],
    description: str,
    tabulate: Callable[[Week], pd.DataFrame],
) -> dg.AssetsDefinition:
    """An asset that writes one table of the week, and has nothing else to say."""

    @dg.asset(**_asset(deployment, table, deps, description))
    def rows(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        return dg.MaterializeResult(metadata=write_model_table(week, table, tabulate(week)))

    return rows


def write_model_table(
    week: Week,
    table: str,
    rows: pd.DataFrame | pa.RecordBatchReader,
    more: Mapping[str, str] = MappingProxyType({}),
) -> dict:
    """Write `model.<table>`, its columns as declared and `more`, and return its metadata."""
    with week.build.write() as connection:
        replace_table(connection, table, rows, {**model_columns(table), **more})
        return table_metadata(connection, "model", table)


def count_without(removed: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
    """Metadata: how many candidates each rule or reason took out."""
    return numbers({f"without_{name}": count for name, count in removed.items()})


def _storefront_lists(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [*(recommender_key(name) for name in REGISTRY), RANKER_KEY, model_key("decisions")]

    @model_tables(deployment, "storefront_lists", "ranking", deps, STOREFRONT)
    def storefront_lists(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        for problem in list_unknown_storefront_names(week):
            context.log.warning(problem)
        lists = make_storefront_lists(week, context.log.info)
        yield dg.MaterializeResult(
            asset_key=model_key("recommendations"),
            metadata={
                **write_model_table(week, "recommendations", lists.rows),
                "chosen": lists.chosen,
                **numbers({f"source_{name}": count for name, count in lists.sources.items()}),
                **count_without(lists.removed),
            },
        )
        yield dg.MaterializeResult(
            asset_key=model_key("traces"),
            metadata=write_model_table(week, "traces", lists.traces, type_traces(lists.traces)),
        )

    return storefront_lists


def _neighbours(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        **_asset(
            deployment,
            "product_neighbours",
            [recommender_key("rules"), recommender_key("content")],
            f"Up to {NEIGHBOURS} products bought together with, and similar to, each product sold lately.",
        )
    )
    def product_neighbours(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        table = tabulate_neighbours(week, context.log.info)
        return dg.MaterializeResult(metadata=write_model_table(week, "product_neighbours", table))

    return product_neighbours


def _table_gains(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        **_asset(
            deployment,
            "table_gains",
            [RANKER_KEY],
            "What each table of the shop's own brought to the ranker at its test anchor.",
        )
    )
    def table_gains(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        rows = load_gains(week)
        for sentence in rows["sentence"]:
            context.log.info(f"{sentence}.")
        return dg.MaterializeResult(metadata=write_model_table(week, "table_gains", rows))

    return table_gains


def _embeddings(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [recommender_key(name) for name in (*OF_CUSTOMERS, "content")]

    @model_tables(deployment, "embeddings", "ranking", deps, EMBEDDINGS)
    def embeddings(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        for sentence in explain_silence(week):
            context.log.info(sentence)
        for table, rows in (
            ("product_embeddings", tabulate_product_embeddings(week)),
            ("customer_embeddings", tabulate_customer_embeddings(week)),
        ):
            yield dg.MaterializeResult(
                asset_key=model_key(table), metadata=write_model_table(week, table, rows)
            )

    return embeddings


def _association_rules(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        **_asset(
            deployment,
            "association_rules",
            [recommender_key("rules")],
            "Pair rules by exact counting and longer rules by FP-growth, with support, confidence, lift and counts.",
        )
    )
    def association_rules(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        pairs, longer = tabulate_association_rules(week)
        table = pd.concat([pairs, longer], ignore_index=True)
        return dg.MaterializeResult(
            metadata={
                **write_model_table(week, "association_rules", table),
                **numbers({"pair_rules": len(pairs), "longer_rules": len(longer)}),
            }
        )

    return association_rules
