"""From the recommenders' lists to the tables dbt publishes: hybrid, email, neighbours, metrics."""

from collections.abc import Iterable
from datetime import date, timedelta

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.defs.deployment import OWNERS, WRITER_POOL, Deployment, week_of
from recs_assets.defs.metadata import inline_png, numbers, table_metadata
from recs_assets.defs.ranker import (
    RANKER_KEY,
    Trained,
    blocks,
    candidates_of,
    published_frame,
    score,
    trained,
)
from recs_assets.defs.recommenders import (
    listed_customers,
    lists_path,
    load_fitted,
    recommender_key,
)
from recs_assets.evaluation.evaluate import evaluate, plot, summary_markdown
from recs_assets.evaluation.promotion import customer_values, decide
from recs_assets.interactions import Known
from recs_assets.ranking.blend import blend, load_config
from recs_assets.ranking.reasons import explain
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import read_lists
from recs_assets.recommenders.base import VIEWS, Recommender
from recs_assets.rules.email import load_rules, select_email
from recs_assets.warehouse import Warehouse

BLEND = load_config()
EMAIL = load_rules()

# What the email and the storefront choose from, and what of it is published per customer.
POOL = 50
LIST_LENGTH = 20
BUY_IT_AGAIN = 50
NEIGHBOURS = 12
ACTIVE_DAYS = 182
# Customers are blended and explained in blocks of this size, so that memory does not grow with them.
BLOCK = 20_000

ID, DATE, TEXT, REAL, WHOLE = "varchar", "date", "varchar", "double", "integer"
REASON = {"reason_code": TEXT, "reason_text": TEXT, "because_product_id": ID, "because_at": DATE}
SCORED = {"product_id": ID, "score": REAL, "p_purchase": REAL, "source": TEXT, **REASON}
RECOMMENDATIONS = {"as_of": DATE, "customer_id": ID, "rank": WHOLE, **SCORED}
EMAIL_SELECTION = {"as_of": DATE, "customer_id": ID, "slot": WHOLE, **SCORED}
BUY_AGAIN = {
    "as_of": DATE,
    "customer_id": ID,
    "rank": WHOLE,
    "product_id": ID,
    "score": REAL,
    "p_purchase": REAL,
    "reason_text": TEXT,
}
PRODUCT_NEIGHBOURS = {
    "as_of": DATE, "kind": TEXT, "product_id": ID, "neighbour_id": ID, "rank": WHOLE, "score": REAL,
    "baskets": "bigint", "support": REAL, "confidence": REAL, "lift": REAL, "reason_text": TEXT,
}  # fmt: skip
RULES = {
    "as_of": DATE, "antecedent_product_ids": "varchar[]", "consequent_product_id": ID,
    "baskets": "bigint", "antecedent_baskets": "bigint", "consequent_baskets": "bigint", "total_baskets": "bigint",
    "support": REAL, "confidence": REAL, "lift": REAL, "leverage": REAL, "conviction": REAL,
}  # fmt: skip
METRICS = {
    "as_of": DATE, "anchor": DATE, "view": TEXT, "segment": TEXT, "recommender": TEXT, "metric": TEXT,
    "k": WHOLE, "value": REAL, "ci_low": REAL, "ci_high": REAL, "customers": "bigint",
}  # fmt: skip


DECISIONS = {
    "as_of": DATE, "anchor": DATE, "step": WHOLE, "metric": TEXT, "candidate": TEXT, "incumbent": TEXT,
    "candidate_value": REAL, "incumbent_value": REAL, "difference": REAL, "ci_low": REAL, "ci_high": REAL,
    "customers": "bigint", "promoted": "boolean", "chosen": TEXT,
}  # fmt: skip


def model_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["model", table])


def result_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [
        _hybrid(deployment),
        _buy_it_again(deployment),
        _neighbours(deployment),
        _rules(deployment),
        _evaluation(deployment),
    ]


def _asset(deployment: Deployment, key: str, deps: Iterable[dg.AssetKey], description: str) -> dict:
    """What the assets of this file share."""
    return {
        "key": model_key(key),
        "deps": list(deps),
        **deployment.weekly,
        "group_name": "hybrid" if key != "metrics" else "evaluation",
        "kinds": {"python", "duckdb"},
        "description": description,
    }


def _write(warehouse: Warehouse, week: date, table: str, rows: pd.DataFrame, columns: dict[str, str]) -> dict:
    """Write `model.<table>` and return its metadata."""
    warehouse.replace_table(week, table, rows, columns)
    with warehouse.read(week) as connection:
        return table_metadata(connection, "model", table)


# -- hybrid: the storefront's lists and the email ---------------------------------------------


def _hybrid(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="hybrid",
        specs=[
            dg.AssetSpec(
                model_key(table),
                deps=[*(recommender_key(name) for name in REGISTRY), RANKER_KEY, model_key("decisions")],
                description=text,
                group_name="hybrid",
                kinds={"python", "duckdb"},
                owners=OWNERS,
                partitions_def=deployment.partitions,
            )
            for table, text in {
                "recommendations": "What the weighted blend proposes to every customer, each row with its reason.",
                "email_selection": "The slots of the weekly email after eligibility and item rules.",
            }.items()
        ],
        backfill_policy=deployment.weekly["backfill_policy"],
        pool=WRITER_POOL,
    )
    def hybrid(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = week_of(context)
        known = warehouse.known(week, week)
        fitted = {name: load_fitted(deployment, warehouse, week, name, known) for name in REGISTRY}
        ranker, chosen = trained(deployment, warehouse, week), _chosen(warehouse, week)
        context.log.info(f"This week's lists are made by {chosen}.")
        pools = []
        for first, last in blocks(known):
            pools.append(_pool(warehouse, week, known, ranker, chosen, first, last))
        pool = pd.concat([part for part in pools if len(part)] or pools[:1], ignore_index=True)
        email, suppressed = select_email(pool, known, EMAIL)
        listed = pool[pool["rank"] <= LIST_LENGTH]
        recommendations = _published(warehouse, week, known, ranker, listed, fitted)
        yield dg.MaterializeResult(
            asset_key=model_key("recommendations"),
            metadata={
                **_write(warehouse, week, "recommendations", recommendations, RECOMMENDATIONS),
                "chosen": chosen,
                **numbers(
                    {
                        f"source_{name}": int(count)
                        for name, count in listed["source"].value_counts().items()
                        if count
                    }
                ),
            },
        )
        selection = _published(warehouse, week, known, ranker, email, fitted)
        yield dg.MaterializeResult(
            asset_key=model_key("email_selection"),
            metadata={
                **_write(warehouse, week, "email_selection", selection, EMAIL_SELECTION),
                **numbers(
                    {
                        "customers": known.n_customers,
                        "customers_with_email": int(email["customer"].nunique()),
                        "forecast_purchases": float(selection["p_purchase"].sum()),
                        **{
                            f"without_{reason}": int(n)
                            for reason, n in suppressed["reason"].value_counts().items()
                        },
                    }
                ),
            },
        )

    return hybrid


def _pool(
    warehouse: Warehouse, week: date, known: Known, ranker: Trained | None, chosen: str, first: int, last: int
) -> pd.DataFrame:
    """The chosen model's best `POOL` rows of customer codes `[first, last)`, with their source."""
    if chosen == "blend":
        return blend(
            _lists(warehouse, week, week, "all", known, first, last), known.order_counts, BLEND, POOL
        )
    if chosen == "ranker" and ranker is not None:
        candidates = candidates_of(warehouse, week, week, known, first, last)
        scores = score(ranker.ranker, warehouse, week, week, candidates)
        rows = candidates.ranked(scores, POOL)
        return rows.assign(source=candidates.best_source()[rows["row"].to_numpy()]).drop(columns="row")
    rows = read_lists(lists_path(warehouse, week, chosen, week, "all"), known, first, last)
    return rows[(rows["rank"] <= POOL).to_numpy()].assign(source=chosen)


def _published(
    warehouse: Warehouse,
    week: date,
    known: Known,
    ranker: Trained | None,
    rows: pd.DataFrame,
    fitted: dict[str, Recommender],
) -> pd.DataFrame:
    """Rows with their probability of a purchase, their reason, and ids in place of codes."""
    return _with_ids(_likely(warehouse, week, known, ranker, explain(rows, known, fitted)), known, week)


def _likely(
    warehouse: Warehouse, week: date, known: Known, ranker: Trained | None, rows: pd.DataFrame
) -> pd.DataFrame:
    """Rows with `p_purchase`, the calibrated probability of a purchase within the horizon; null
    where there was no ranker to learn it."""
    probability = np.full(len(rows), np.nan)
    if ranker is not None:
        for part, _, X in published_frame(warehouse, week, known, rows):
            probability[part] = ranker.calibrator.probability(ranker.ranker.score(X))
    return rows.assign(p_purchase=probability)


def _lists(
    warehouse: Warehouse,
    week: date,
    anchor: date,
    view: str,
    known: Known,
    first: int = 0,
    last: int | None = None,
) -> dict[str, pd.DataFrame]:
    """The lists the blend needs, of customer codes `[first, last)`."""
    return {
        name: read_lists(lists_path(warehouse, week, name, anchor, view), known, first, last)
        for name in BLEND.needed
    }


def _with_ids(rows: pd.DataFrame, known: Known, week: date) -> pd.DataFrame:
    """Codes become ids and day numbers become dates."""
    products = known.products["product_id"].to_numpy()
    named = rows.drop(columns=["customer", "product", "because_product", "because_day"], errors="ignore")
    named.insert(0, "as_of", week)
    named.insert(1, "customer_id", known.customers["customer_id"].to_numpy()[rows["customer"].to_numpy()])
    named.insert(2, "product_id", products[rows["product"].to_numpy()])
    if "because_product" in rows:
        because = rows["because_product"].to_numpy()
        present = because >= 0
        named["because_product_id"] = pd.Series(
            np.where(present, products[np.maximum(because, 0)], None), index=named.index, dtype="object"
        )
        days = pd.to_datetime(rows["because_day"].to_numpy(), unit="D")
        named["because_at"] = pd.Series(days, index=named.index).where(present)
    for column in ("source", "reason_code"):
        if column in named:
            named[column] = named[column].astype(str)
    return named


# -- buy it again ---------------------------------------------------------------------------


def _buy_it_again(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        **_asset(
            deployment,
            "buy_it_again",
            [recommender_key("repurchase"), RANKER_KEY],
            f"Up to {BUY_IT_AGAIN} products that a customer active in the last {ACTIVE_DAYS} days bought before.",
        )
    )
    def buy_it_again(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = week_of(context)
        known = warehouse.known(week, week)
        repurchase = load_fitted(deployment, warehouse, week, "repurchase", known)
        recent = known.purchased & (known.events.day >= known.anchor_day - ACTIVE_DAYS)
        active = np.unique(known.events.customer[recent])
        rows = repurchase.recommend(active, BUY_IT_AGAIN, view="repeat").assign(source="repurchase")
        explained = explain(rows, known, {"repurchase": repurchase})
        ranker = trained(deployment, warehouse, week)
        table = _with_ids(_likely(warehouse, week, known, ranker, explained), known, week)
        return dg.MaterializeResult(
            metadata={
                **_write(warehouse, week, "buy_it_again", table, BUY_AGAIN),
                **numbers({"active_customers": len(active)}),
            }
        )

    return buy_it_again


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
        week = week_of(context)
        known = warehouse.known(week, week)
        parts = []
        for kind, name in (("bought_together", "rules"), ("similar", "content")):
            model: Recommender = load_fitted(deployment, warehouse, week, name, known)
            found = model.neighbours(NEIGHBOURS)
            context.log.info(f"{len(found)} neighbours of kind {kind}.")
            parts.append(_named_neighbours(found, kind, known, week))
        table = pd.concat(parts, ignore_index=True)
        return dg.MaterializeResult(
            metadata=_write(warehouse, week, "product_neighbours", table, PRODUCT_NEIGHBOURS)
        )

    return product_neighbours


def _named_neighbours(found: pd.DataFrame, kind: str, known: Known, week: date) -> pd.DataFrame:
    ids = known.products["product_id"].to_numpy()
    names = known.products["name"].fillna(known.products["product_id"]).to_numpy()
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
    if kind == "bought_together":
        table["reason_text"] = [
            f"In {share:.0%} of the baskets with {name} ({baskets} baskets)"
            for share, name, baskets in zip(
                found["confidence"], names[product], found["baskets"], strict=True
            )
        ]
    else:
        table["reason_text"] = [f"Similar to {name}" for name in names[product]]
    return table


def _rules(deployment: Deployment) -> dg.AssetsDefinition:
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
        week = week_of(context)
        known = warehouse.known(week, week)
        model = load_fitted(deployment, warehouse, week, "rules", known)
        ids = known.products["product_id"].to_numpy()
        measures = [
            name for name in RULES if name not in ("as_of", "antecedent_product_ids", "consequent_product_id")
        ]
        parts = []
        longer = model.itemset_rules()
        for rules, antecedents in (
            (pairs := model.pair_rules(), [[one] for one in ids[pairs["antecedent"].to_numpy()]]),
            (longer, [[ids[code] for code in codes] for codes in longer["antecedents"]]),
        ):
            parts.append(
                pd.DataFrame(
                    {
                        "as_of": week,
                        "antecedent_product_ids": pd.Series(antecedents, dtype="object"),
                        "consequent_product_id": ids[rules["consequent"].to_numpy()],
                        **{name: rules[name].to_numpy() for name in measures},
                    }
                )
            )
        table = pd.concat(parts, ignore_index=True)
        return dg.MaterializeResult(
            metadata={
                **_write(warehouse, week, "association_rules", table, RULES),
                **numbers({"pair_rules": len(parts[0]), "longer_rules": len(parts[1])}),
            }
        )

    return association_rules


# -- evaluation -----------------------------------------------------------------------------


def _evaluation(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="evaluation",
        specs=[
            dg.AssetSpec(
                model_key(table),
                deps=[*(recommender_key(name) for name in REGISTRY), RANKER_KEY],
                description=text,
                group_name="evaluation",
                kinds={"python", "duckdb"},
                owners=OWNERS,
                partitions_def=deployment.partitions,
            )
            for table, text in {
                "metrics": "Every recommender, the blend and the ranker at the test anchor: what they proposed "
                "against what was bought after it.",
                "decisions": "Which model makes this week's lists: the simplest one that no other is proven to beat.",
            }.items()
        ],
        backfill_policy=deployment.weekly["backfill_policy"],
        pool=WRITER_POOL,
    )
    def evaluation(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = week_of(context)
        anchor = deployment.test_anchor(week)
        known = warehouse.known(week, anchor)
        truth = warehouse.truth(week, anchor, deployment.horizon_days)
        customers = listed_customers(deployment, warehouse, week, anchor)
        models: dict[str, dict[str, pd.DataFrame]] = {
            name: {view: read_lists(lists_path(warehouse, week, name, anchor, view), known) for view in VIEWS}
            for name in REGISTRY
        }
        models["blend"] = {
            view: blend({name: models[name][view] for name in BLEND.needed}, known.order_counts, BLEND, POOL)
            for view in VIEWS
        }
        if trained(deployment, warehouse, week) is not None:
            models["ranker"] = {
                view: read_lists(lists_path(warehouse, week, "ranker", anchor, view), known) for view in VIEWS
            }
        seed = deployment.settings.seed
        table = evaluate(models, known, truth, as_of=week, customers=customers, seed=seed)
        picture = warehouse.week_dir(week) / "evaluation.png"
        picture.write_bytes(plot(table))
        window = f"[{anchor}, {anchor + timedelta(days=deployment.horizon_days)})"
        yield dg.MaterializeResult(
            asset_key=model_key("metrics"),
            metadata={
                **_write(warehouse, week, "metrics", table, METRICS),
                "evaluation": dg.MetadataValue.md(f"Label window {window}.\n\n{summary_markdown(table)}"),
                "plot": dg.MetadataValue.md(inline_png(picture.read_bytes(), "MAP@12 by recommender")),
                "plot_file": dg.MetadataValue.path(str(picture)),
            },
        )
        decision = decide(
            customer_values({name: views["all"] for name, views in models.items()}, known, truth, customers),
            seed=seed,
        )
        record = decision.comparisons.assign(
            as_of=week, anchor=anchor, step=range(1, len(decision.comparisons) + 1)
        )
        yield dg.MaterializeResult(
            asset_key=model_key("decisions"),
            metadata={
                **_write(warehouse, week, "decisions", record, DECISIONS),
                "chosen": decision.chosen,
            },
        )

    return evaluation


def _chosen(warehouse: Warehouse, week: date) -> str:
    """The model that this week's evaluation chose."""
    with warehouse.read(week) as connection:
        return connection.execute("select max(chosen) from model.decisions").fetchall()[0][0]
