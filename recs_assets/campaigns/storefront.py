"""The shop's own pages: every customer's list, the products next to a product, and the rules behind them, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np
import pandas as pd

from recs_assets.campaigns.blocks import Part, join_tables, map_customers, sum_counts
from recs_assets.campaigns.context import build_storefront_context, find_citable
from recs_assets.contracts import model_columns
from recs_assets.known.preferences import find_answered
from recs_assets.ranking.blend import blend, load_config
from recs_assets.reasons.explain import explain_neighbours
from recs_assets.reasons.offers import load_offers
from recs_assets.reasons.traces import Scorer, Wording, add_ids, explain_rows
from recs_assets.recommenders.association import AssociationRules
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.facets import share_facets
from recs_assets.recommenders.first_list import FirstList
from recs_assets.recommenders.follow_up_counts import tabulate_pairs
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, number_names
from recs_assets.rules.neighbours import find_alike, keep_neighbours
from recs_assets.rules.pipeline import select
from recs_assets.rules.selection import Selection
from recs_assets.week.blocks import blocks
from recs_assets.week.ranked import find_chosen_model, load_ranker
from recs_assets.week.week import Week

BLEND = load_config()

# Rows per customer that the rules choose from, and rows the storefront gets.
POOL = 50
LIST_LENGTH = 20
NEIGHBOURS = 12


@dataclass(frozen=True)
class StorefrontLists:
    """What the storefront gets.

    Attributes:
        rows: of `model.recommendations`.
        traces: of `model.traces`.
        chosen: the model that made the lists.
        sources: recommender -> rows that came from it.
        removed: rule -> candidates that it took out.
    """

    rows: pd.DataFrame
    traces: pd.DataFrame
    chosen: str
    sources: dict[str, int]
    removed: dict[str, int]


# -- every customer's list --------------------------------------------------------------------


def make_storefront_lists(week: Week, say: Callable[[str], None]) -> StorefrontLists:
    """What the chosen model proposes to every customer and the storefront's rules let pass, with reasons and traces."""
    chosen = find_chosen_model(week)
    say(f"This week's lists are made by {chosen}.")
    parts = map_customers(list_customers, week, chosen)
    rows, traces = (join_tables([part.tables[name] for part in parts]) for name in ("rows", "traces"))
    removed = sum_counts(part.facts["removed"] for part in parts)
    return StorefrontLists(
        rows,
        traces if len(traces.columns) else pd.DataFrame(columns=list(model_columns("traces"))),
        chosen,
        {str(name): int(count) for name, count in rows["source"].value_counts().items() if count},
        {rule: count for rule, count in removed.items() if count},
    )


def list_customers(week: Week, chosen: str) -> Part:
    """The rows and traces of `StorefrontLists`, and removed, of a block of customers."""
    known, shop, ranker = week.known(), week.shop, load_ranker(week)
    rules = shop.storefront.rule_set(LIST_LENGTH)
    facts = build_storefront_context(week, week.as_of, rules)
    choices = list(choose_rows(week, week.as_of, chosen, facts, rules))
    lists = [rows for rows, _ in choices]
    listed = pd.concat([rows for rows in lists if len(rows)] or lists[:1], ignore_index=True)
    ends = week.as_of + timedelta(days=shop.horizon_days)
    with week.build.read() as connection:
        offers = load_offers(connection, week.as_of, week.as_of, ends, shop.source.words.price_promotions)
    wording = Wording(find_citable(facts, rules), offers, shop.sentences)
    scorer = None
    if ranker is not None:
        frames = partial(week.load_published_frames, names=ranker.ranker.features_)
        scorer = Scorer(ranker.ranker, ranker.calibrator, frames, chosen == "ranker")
    rows, traces = explain_rows(listed, known, week.models(), scorer, wording)
    removed = count_removed(choice for _, choice in choices)
    return Part({"rows": add_ids(rows, known), "traces": traces}, {"removed": removed})


def choose_rows(
    week: Week, anchor: date, chosen: str, facts: Context, rules: Rules
) -> Iterator[tuple[pd.DataFrame, Selection]]:
    """What a model proposes at an anchor of the week and the rules let pass, in blocks of customers: customer, product,
    rank, and what the model's list has beside."""
    for first, last in blocks(week.known(anchor)):
        pool = _prefer_answers(week, anchor, _load_pool(week, anchor, chosen, first, last), first, last)
        yield _choose_rows(pool, facts, rules, first, last)


def _load_pool(week: Week, anchor: date, chosen: str, first: int, last: int) -> pd.DataFrame:
    """The chosen model's best `POOL` rows of customer codes `[first, last)`, with their source."""
    if chosen == "blend":
        lists = {name: week.lists(name, anchor, "all", first, last) for name in BLEND.needed}
        return blend(lists, week.known(anchor).order_counts, BLEND, POOL)
    rows = week.lists(chosen, anchor, "all", first, last)
    rows = rows[(rows["rank"] <= POOL).to_numpy()]
    # The ranker's rows say which recommender they came from.
    return rows if "source" in rows else rows.assign(source=chosen)


def _prefer_answers(week: Week, anchor: date, pool: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """The pool of customer codes `[first, last)`; of those who answered what the shop has, did hardly anything and bought
    nothing, their first list comes before it. Their scores are 1 / rank then."""
    known = week.known(anchor)
    answered = find_answered(known)
    answered = answered[(answered >= first) & (answered < last)]
    answered = answered[np.diff(known.history.indptr)[answered] == 0]
    if len(answered) == 0 or not week.shop.storefront.answers:
        return pool
    rows = week.lists(FirstList.name, anchor, "all", first, last)
    rows = rows[rows["customer"].isin(answered).to_numpy()].sort_values(["customer", "rank"], kind="stable")
    changed = pool["customer"].isin(rows["customer"]).to_numpy()
    pool = pool.astype({"source": object})
    rest = pool[changed].sort_values(["customer", "rank"], kind="stable")
    own = pd.concat([rows.assign(source=FirstList.name), rest], ignore_index=True)
    own = own.drop_duplicates(["customer", "product"]).sort_values("customer", kind="stable")
    rank = own.groupby("customer").cumcount().to_numpy() + 1
    own = own.assign(rank=rank.astype(rows["rank"].dtype), score=(1 / rank).astype(pool["score"].dtype))
    return pd.concat([pool[~changed], own[rank <= POOL]], ignore_index=True)


def _choose_rows(
    pool: pd.DataFrame, context: Context, rules: Rules, first: int, last: int
) -> tuple[pd.DataFrame, Selection]:
    """What the rules let pass of a pool of customer codes `[first, last)`, at its new ranks."""
    # By rank: scores as close as a blend's are equal in the float32 that rules compare.
    ranked = pool.assign(score=-pool["rank"].to_numpy(dtype=np.float32))[["customer", "product", "score"]]
    choice = select(ranked, context, rules, np.arange(first, last), placement="page")
    kept = choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]
    kept = kept.merge(pool.drop(columns="rank"), on=["customer", "product"], how="left")
    return kept, choice


def count_removed(choices: Iterable[Selection]) -> dict[str, int]:
    """Rule -> candidates that it took out of the lists of several blocks of customers."""
    total = pd.concat([choice.removed for choice in choices], axis=1).sum(axis=1)
    return {str(rule): int(count) for rule, count in total.items()}


# -- products next to products ----------------------------------------------------------------


def tabulate_neighbours(week: Week, say: Callable[[str], None]) -> pd.DataFrame:
    """Up to `NEIGHBOURS` products bought together with, and similar to, each product sold lately, as the storefront's
    rules let them pass."""
    parts = []
    for kind, neighbours in find_neighbours(week, week.as_of, week.model("rules"), week.model("content")):
        say(f"{len(neighbours)} neighbours of kind {kind}.")
        parts.append(_name_neighbours(week, neighbours, kind))
    return pd.concat(parts, ignore_index=True)


def find_neighbours(
    week: Week, anchor: date, association: AssociationRules, content: Content
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Kind and rows of `tabulate_neighbours`, in codes, at an anchor of the week; the models are fitted there."""
    rules = week.shop.storefront.rule_set(NEIGHBOURS)
    facts = build_storefront_context(week, anchor, rules)
    # More than are shown, for what the rules take out: of a product with variants mostly those.
    most = NEIGHBOURS * (2 if facts.parent is None or (facts.parent < 0).all() else 4)
    together = association.neighbours(most)
    similar = find_alike(content.neighbours(most, threads=week.settings.threads), facts)
    for kind, neighbours in (("bought_together", together), ("similar", similar)):
        yield kind, keep_neighbours(neighbours, facts, rules)


def _name_neighbours(week: Week, neighbours: pd.DataFrame, kind: str) -> pd.DataFrame:
    known = week.known()
    ids = known.products["product_id"].to_numpy()
    table = pd.DataFrame(
        {
            "as_of": week.as_of,
            "kind": kind,
            "product_id": ids[neighbours["product"].to_numpy()],
            "neighbour_id": ids[neighbours["neighbour"].to_numpy()],
            "rank": neighbours["rank"].to_numpy(),
            "score": neighbours["score"].to_numpy(dtype=float),
        }
    )
    for column in ("baskets", "support", "confidence", "lift"):
        table[column] = neighbours[column].to_numpy() if kind == "bought_together" else None
    table["reason_text"] = explain_neighbours(neighbours, known, week.shop.sentences)
    pairs = (neighbours[name].to_numpy() for name in ("product", "neighbour"))
    shared = share_facets(known.products, *pairs) if kind == "similar" else [None] * len(table)
    table["shared_facets"] = pd.Series(shared, index=table.index, dtype="object")
    return table


# -- association rules ------------------------------------------------------------------------


def tabulate_association_rules(week: Week) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pair rules by exact counting, and longer rules by FP-growth, with their measures and ids."""
    model, ids = week.model("rules"), week.known().products["product_id"].to_numpy()
    pairs, longer = model.pair_rules(), model.itemset_rules()
    pairs["customers"], longer["customers"] = model.pair_customers(), model.itemset_customers(longer)
    return (
        _name_rules(week, pairs, [[product] for product in ids[pairs["antecedent"].to_numpy()]]),
        _name_rules(week, longer, [[ids[code] for code in codes] for codes in longer["antecedents"]]),
    )


def _name_rules(week: Week, rules: pd.DataFrame, antecedents: list[list[str]]) -> pd.DataFrame:
    ids = week.known().products["product_id"].to_numpy()
    named = {
        "as_of": week.as_of,
        "antecedent_product_ids": pd.Series(antecedents, dtype="object"),
        "consequent_product_id": ids[rules["consequent"].to_numpy()],
    }
    measures = [name for name in model_columns("association_rules") if name not in named]
    return pd.DataFrame({**named, **{name: rules[name].to_numpy() for name in measures}})


# -- follow-ups -------------------------------------------------------------------------------


def tabulate_follow_ups(week: Week) -> pd.DataFrame:
    """What is bought some time after a product or a category, per horizon, with ids and names of categories."""
    known = week.known()
    ids = known.products["product_id"].to_numpy(dtype=object)
    code, categories = number_names(known.products["category"])
    parts = []
    for model in (week.model("follow_ups"), week.model("late_follow_ups")):
        by_category = model.count(week.fit_known(week.as_of), code, len(categories))
        for level, names, counts in (
            ("product", ids, model.counts),
            ("category", np.array(categories, dtype=object), by_category),
        ):
            pairs = tabulate_pairs(counts, model.damping)
            parts.append(
                pairs.assign(
                    as_of=week.as_of,
                    horizon=f"{model.first_day} to {model.last_day} days",
                    level=level,
                    item=names[pairs["item"].to_numpy()],
                    follow_up=names[pairs["follow_up"].to_numpy()],
                )
            )
    return pd.concat(parts, ignore_index=True)[list(model_columns("follow_ups"))]
