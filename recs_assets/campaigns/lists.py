"""Which model makes a campaign's lists, and whom these are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.campaigns.made import NOTHING
from recs_assets.evaluation.promotion import ORDER, decide, explain_decision
from recs_assets.recommenders import REGISTRY
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import split_by_segment
from recs_assets.rules.selection import TOO_FEW, Selection
from recs_assets.training.products import Products
from recs_assets.week.week import Week

# Makes the lists where there is nothing to learn from: every recommender's, by reciprocal rank fusion.
FUSED = "fused_lists"
# The query's own model.
QUERY = "query"
# Of the personal frequency that an email must beat: what the customer bought, the often and lately bought first.
FREQUENCY = "repurchase"
# The lists as the rules fill them, among the models of a test.
AS_SENT = "as_sent"
# Ranks become scores by this less the rank; no list is longer (RECS_CANDIDATES).
LONGEST = 1001
# The rule that takes out what an email had lately.
SENT_LATELY = "sent_recently"


def choose_model(compared: Mapping[str, np.ndarray], seed: int) -> tuple[str, str]:
    """Who makes the lists, and one sentence why: by the rule of the week's own lists (`promotion.decide`) the simplest
    model that no other is proven to beat, the query's own being the most complex."""
    models = [name for name, values in compared.items() if name == QUERY or values.any()]
    if not any(values.any() for values in compared.values()):
        return (
            QUERY,
            "The query's model makes the lists: nobody bought anything that a list held in the test's window.",
        )
    order = [name for name in ORDER if name in models]
    order += [name for name in models if name not in (*order, QUERY)]
    decision = decide({name: compared[name] for name in models}, (*order, QUERY), seed=seed)
    return decision.chosen, explain_decision(
        decision.comparisons, decision.chosen, "The campaign's lists are"
    )


def read_own_list(week: Week, task: Products, name: str, anchor: date, depth: int) -> pd.DataFrame:
    """The list of a recommender from which no candidates are drawn, as far as a query admits it.

    Returns:
        customer, product, rank and score, which falls by 1.
    """
    rows = week.lists(name, anchor, task.view)
    keep = task.eligible(anchor)[rows["customer"].to_numpy()]
    keep &= task.admit_products(anchor)[rows["product"].to_numpy()]
    rows = rows[keep & (rows["rank"] <= depth).to_numpy()].reset_index(drop=True)
    rows["score"] = (LONGEST - rows["rank"]).astype(np.float32)
    return rows[["customer", "product", "rank", "score"]]


def explain_silence(week: Week, name: str) -> list[str]:
    """Why the recommender that makes a campaign's lists has none, where the shop's data do not allow any."""
    why = week.model(name).explain_silence() if name in REGISTRY else ""
    return [f"model: {name} has nothing to say. {why}"] if why else []


def tell_apart_unlisted(choice: Selection, ranked: pd.DataFrame, context: Context, rules: Rules) -> Selection:
    """The choice out of one recommender's list, with the outcome `NOTHING` of whoever is short of products because that
    has none for them, or none but what they were sent lately, where no ladder fills slots: they are not whom the campaign
    was meant for.

    Args:
        choice: with what the rules took out.
        ranked: customer, product: what the rules chose from.
        context: with it.
        rules: with it.
    """
    out, traced, size = choice.suppressed, choice.traced, context.known.n_products
    short = out.loc[(out["reason"] == TOO_FEW).to_numpy(), "customer"].to_numpy()
    alone = [members for _, own, members in split_by_segment(context, rules, short) if not own.slots.ladder]
    unlisted = np.concatenate([short[:0], *alone])
    listed = ranked[ranked["customer"].isin(unlisted)]
    sent = traced[(traced["rule"] == SENT_LATELY).to_numpy()]
    pairs, gone = (rows["customer"].astype(np.int64) * size + rows["product"] for rows in (listed, sent))
    unlisted = np.setdiff1d(unlisted, listed.loc[~pairs.isin(gone), "customer"])
    return replace(
        choice, suppressed=out.assign(reason=out["reason"].mask(out["customer"].isin(unlisted), NOTHING))
    )
