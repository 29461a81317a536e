"""From the recommenders' lists to the tables dbt publishes: the storefront's, neighbours, association rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.campaigns.context import (
    build_storefront_context,
    find_citable,
    list_unknown_storefront_names,
)
from recs_assets.contracts import model_columns
from recs_assets.defs.deployment import OWNERS, WRITER_POOL, Deployment
from recs_assets.defs.metadata import numbers, table_metadata
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.known.interactions import Known
from recs_assets.ranking.blend import blend, load_config
from recs_assets.reasons.explain import explain_neighbours
from recs_assets.reasons.offers import load_offers
from recs_assets.reasons.sentences import Sentences
from recs_assets.reasons.traces import Scorer, Wording, add_ids, explain_rows
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.base import Recommender
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.neighbours import find_alike, keep_neighbours
from recs_assets.rules.pipeline import select
from recs_assets.rules.selection import Selection
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.blocks import blocks
from recs_assets.week.ranked import load_ranker
from recs_assets.week.week import Week

BLEND = load_config()

# Rows per customer that the rules choose from, and rows the storefront gets.
POOL = 50
LIST_LENGTH = 20
NEIGHBOURS = 12

STOREFRONT = {
    "recommendations": "What the chosen model proposes to every customer and the storefront's rules let pass, each row with its reason.",
    "traces": "For every one of these rows: its lists, its features, its contributions, its probability.",
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


def write_model_table(
    week: Week, table: str, rows: pd.DataFrame, more: Mapping[str, str] = MappingProxyType({})
) -> dict:
    """Write `model.<table>`, its columns as declared and `more`, and return its metadata."""
    week.replace_table(table, rows, {**model_columns(table), **more})
    with week.build.read() as connection:
        return table_metadata(connection, "model", table)


# -- the storefront's lists -----------------------------------------------------------


def _storefront_lists(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [*(recommender_key(name) for name in REGISTRY), RANKER_KEY, model_key("decisions")]

    @model_tables(deployment, "storefront_lists", "ranking", deps, STOREFRONT)
    def storefront_lists(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        known = week.known()
        ranker, chosen = load_ranker(week), chosen_model(week)
        context.log.info(f"This week's lists are made by {chosen}.")
        rules = deployment.storefront.rule_set(LIST_LENGTH)
        facts = build_storefront_context(week, week.as_of, rules)
        for problem in list_unknown_storefront_names(week):
            context.log.warning(problem)
        choices = [
            _chosen(_pool(week, known, chosen, first, last), facts, rules, first, last)
            for first, last in blocks(known)
        ]
        lists = [rows for rows, _ in choices]
        listed = pd.concat([rows for rows in lists if len(rows)] or lists[:1], ignore_index=True)
        ends = week.as_of + timedelta(days=deployment.horizon_days)
        with week.build.read() as connection:
            kinds = deployment.source.words.price_promotions
            offers = load_offers(connection, week.as_of, week.as_of, ends, kinds)
        wording = Wording(find_citable(facts, rules), offers, deployment.sentences)
        scorer = None
        if ranker is not None:
            frames = partial(week.published_frames, names=ranker.ranker.features_)
            scorer = Scorer(ranker.ranker, ranker.calibrator, frames, chosen == "ranker")
        rows, traces = explain_rows(listed, known, week.models(), scorer, wording)
        traces = traces if len(traces.columns) else pd.DataFrame(columns=list(model_columns("traces")))
        table = add_ids(rows, known)
        yield dg.MaterializeResult(
            asset_key=model_key("recommendations"),
            metadata={
                **write_model_table(week, "recommendations", table),
                "chosen": chosen,
                **numbers(
                    {
                        f"source_{name}": int(count)
                        for name, count in listed["source"].value_counts().items()
                        if count
                    }
                ),
                **taken_out([choice for _, choice in choices]),
            },
        )
        yield dg.MaterializeResult(
            asset_key=model_key("traces"),
            metadata=write_model_table(week, "traces", traces, trace_types(traces)),
        )

    return storefront_lists


def trace_types(traces: pd.DataFrame) -> dict[str, str]:
    """Types of the columns that a trace has per recommender and per family."""
    return {
        name: "double" if name.startswith("family_") else "smallint"
        for name in traces
        if name.startswith(("family_", "rank_"))
    }


def _pool(week: Week, known: Known, chosen: str, first: int, last: int) -> pd.DataFrame:
    """The chosen model's best `POOL` rows of customer codes `[first, last)`, with their source."""
    if chosen == "blend":
        lists = {name: week.lists(name, week.as_of, "all", first, last) for name in BLEND.needed}
        return blend(lists, known.order_counts, BLEND, POOL)
    rows = week.lists(chosen, week.as_of, "all", first, last)
    rows = rows[(rows["rank"] <= POOL).to_numpy()]
    # The ranker's rows say which recommender they came from.
    return rows if "source" in rows else rows.assign(source=chosen)


def _chosen(
    pool: pd.DataFrame, context: Context, rules: Rules, first: int, last: int
) -> tuple[pd.DataFrame, Selection]:
    """What the rules let pass of a pool of customer codes `[first, last)`, at its new ranks."""
    # By rank: scores as close as a blend's are equal in the float32 that rules compare.
    ranked = pool.assign(score=-pool["rank"].to_numpy(dtype=np.float32))[["customer", "product", "score"]]
    choice = select(ranked, context, rules, np.arange(first, last), placement="page")
    kept = choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]
    kept = kept.merge(pool.drop(columns="rank"), on=["customer", "product"], how="left")
    return kept, choice


def taken_out(choices: Iterable[Selection]) -> dict[str, dg.MetadataValue]:
    """Metadata: candidates that each rule took out of the lists of several blocks of customers."""
    total = pd.concat([choice.removed for choice in choices], axis=1).sum(axis=1)
    return numbers({f"without_{rule}": int(count) for rule, count in total.items() if count})


# -- products next to products ----------------------------------------------------------------


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
        known = week.known()
        parts = []
        rules, threads = deployment.storefront.rule_set(NEIGHBOURS), deployment.settings.threads
        facts = build_storefront_context(week, week.as_of, rules)
        # More than are shown, for what the rules take out: of a product with variants mostly those.
        most = NEIGHBOURS * (2 if facts.parent is None or (facts.parent < 0).all() else 4)
        for kind, name, more in (
            ("bought_together", "rules", {}),
            ("similar", "content", {"threads": threads}),
        ):
            model: Recommender = week.model(name)
            found = model.neighbours(most, **more)
            found = keep_neighbours(find_alike(found, facts) if kind == "similar" else found, facts, rules)
            context.log.info(f"{len(found)} neighbours of kind {kind}.")
            parts.append(_name_neighbours(found, kind, known, week.as_of, deployment.sentences))
        table = pd.concat(parts, ignore_index=True)
        return dg.MaterializeResult(metadata=write_model_table(week, "product_neighbours", table))

    return product_neighbours


def _name_neighbours(
    found: pd.DataFrame, kind: str, known: Known, week: date, sentences: Sentences
) -> pd.DataFrame:
    ids = known.products["product_id"].to_numpy()
    product = found["product"].to_numpy()
    table = pd.DataFrame(
        {
            "as_of": week,
            "kind": kind,
            "product_id": ids[product],
            "neighbour_id": ids[found["neighbour"].to_numpy()],
            "rank": found["rank"].to_numpy(),
            "score": found["score"].to_numpy(dtype=float),
        }
    )
    for column in ("baskets", "support", "confidence", "lift"):
        table[column] = found[column].to_numpy() if kind == "bought_together" else None
    table["reason_text"] = explain_neighbours(found, known, sentences)
    return table


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
        known = week.known()
        model = week.model("rules")
        ids = known.products["product_id"].to_numpy()
        measures = [
            name
            for name in model_columns("association_rules")
            if name not in ("as_of", "antecedent_product_ids", "consequent_product_id")
        ]
        parts = []
        pairs, longer = model.pair_rules(), model.itemset_rules()
        pairs["customers"], longer["customers"] = model.pair_customers(), model.itemset_customers(longer)
        for rules, antecedents in (
            (pairs, [[one] for one in ids[pairs["antecedent"].to_numpy()]]),
            (longer, [[ids[code] for code in codes] for codes in longer["antecedents"]]),
        ):
            parts.append(
                pd.DataFrame(
                    {
                        "as_of": week.as_of,
                        "antecedent_product_ids": pd.Series(antecedents, dtype="object"),
                        "consequent_product_id": ids[rules["consequent"].to_numpy()],
                        **{name: rules[name].to_numpy() for name in measures},
                    }
                )
            )
        table = pd.concat(parts, ignore_index=True)
        return dg.MaterializeResult(
            metadata={
                **write_model_table(week, "association_rules", table),
                **numbers({"pair_rules": len(parts[0]), "longer_rules": len(parts[1])}),
            }
        )

    return association_rules


def chosen_model(week: Week) -> str:
    """The model that this week's evaluation chose."""
    with week.build.read() as connection:
        return connection.execute("select max(chosen) from model.decisions").fetchall()[0][0]
