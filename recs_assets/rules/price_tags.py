"""What each rule costs: the same selection with and without it, against what was bought afterwards."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.recommenders.base import stored
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, RulesError
from recs_assets.rules.items import ORDER
from recs_assets.rules.pipeline import Selection, idle_rules, select

# Two-sided 95 % of the normal distribution.
Z = 1.96


def price_tags(
    candidates: pd.DataFrame,
    context: Context,
    rules: Rules,
    truth: sparse.csr_matrix,
    margin: np.ndarray | None = None,
    customers: np.ndarray | None = None,
) -> pd.DataFrame:
    """Switch every item and slot rule off on its own and count what the selection then hits.

    Customers are compared with themselves: a customer whom a rule leaves without a list hits nothing
    with it. A positive gain is what the rule earned, a negative one what it gave up. Who may be
    written to is the same on both sides, and no table here says that a rule should go: sold-out
    products are bought by nobody, and what a customer is spared is not in the data.

    Costs one selection per rule that is on.

    Args:
        candidates: as for `select`, made at a past anchor.
        context: of that anchor.
        rules: the campaign's.
        truth: csr[n_customers, n_products]; stored non-zeros were bought in the label window.
        margin: float[n_products], what one purchase earns, shop's currency; purchases of products
            with NaN are left out of the margin sums; None where the shop has no costs.
        customers: distinct codes to measure on; all if None.

    Returns:
        One row per rule, in the order of the rules: rule, kind, customers (eligible ones),
        customers_changed (other products with the rule than without), purchases (hit with all
        rules), purchases_without (hit without this one), purchases_gained (the difference),
        purchases_low and purchases_high (its 95 % interval over customers, normal), and margin,
        margin_without, margin_gained, margin_low, margin_high alike (NaN without `margin`).

    Raises:
        RulesError: as `select`, or truth or margin of another shape.
    """
    known = context.known
    if truth.shape != (known.n_customers, known.n_products):
        raise RulesError(
            f"truth has shape {truth.shape}; it must be {(known.n_customers, known.n_products)}."
        )
    if margin is not None and margin.shape != (known.n_products,):
        raise RulesError(f"margin has shape {margin.shape}; it must have one value per product.")
    bought = truth.astype(bool).tocsr()
    bought.sum_duplicates()
    bought.eliminate_zeros()
    whole, idle = select(candidates, context, rules, customers), idle_rules(candidates, context, rules)
    eligible = whole.counts["selected"] + whole.counts["too_few_products"]
    with_all = _hits(whole, bought, margin)
    keys = _keys(whole, known.n_products)
    lines = []
    for rule in ORDER:
        # Most rules are off in most campaigns: nothing to select again for.
        other = whole
        if rule.name not in idle:
            other = select(candidates, context, rules, customers, without=(rule.name,))
        changed = np.setxor1d(keys, _keys(other, known.n_products), assume_unique=True) // known.n_products
        line = {
            "rule": rule.name,
            "kind": rule.kind,
            "customers": eligible,
            "customers_changed": len(np.unique(changed)),
        }
        for name, mine, theirs in zip(
            ("purchases", "margin"), with_all, _hits(other, bought, margin), strict=True
        ):
            gain = mine - theirs
            # Of a sum over independent customers; those not eligible hit nothing on either side.
            spread = Z * np.sqrt(max(np.square(gain).sum() - gain.sum() ** 2 / max(eligible, 1), 0))
            line |= {
                name: mine.sum(),
                f"{name}_without": theirs.sum(),
                f"{name}_gained": gain.sum(),
                f"{name}_low": gain.sum() - spread,
                f"{name}_high": gain.sum() + spread,
            }
        lines.append(line)
    return pd.DataFrame(lines)


def _keys(selection: Selection, n_products: int) -> np.ndarray:
    """int64, one per (customer, product) selected."""
    rows = selection.rows
    return rows["customer"].to_numpy().astype(np.int64) * n_products + rows["product"].to_numpy()


def _hits(
    selection: Selection, bought: sparse.csr_matrix, margin: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Purchases hit int64[n_customers], and what they earn float64[n_customers]."""
    customer, product = (selection.rows[name].to_numpy() for name in ("customer", "product"))
    hit = stored(bought, customer, product)
    customer, product, size = customer[hit], product[hit], bought.shape[0]
    purchases = np.bincount(customer, minlength=size)
    if margin is None:
        return purchases, np.full(size, np.nan)
    return purchases, np.bincount(customer, weights=np.nan_to_num(margin)[product], minlength=size)
