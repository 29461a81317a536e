"""What the rules cost, each and all together: the same selection with and without them, against what was bought
afterwards."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import encode_pairs, is_stored
from recs_assets.evaluation.bootstrap import hold_at_zero
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, RulesError
from recs_assets.rules.items import NAMES, ORDER
from recs_assets.rules.pipeline import find_idle_rules
from recs_assets.rules.selection import Selection
from recs_assets.rules.trials import Trials

# In place of a rule's name: all of them, against none.
ALL_RULES = "all_rules"
# Two-sided 95 % of the normal distribution.
Z = 1.96


def price_rules(
    candidates: pd.DataFrame,
    context: Context,
    rules: Rules,
    truth: sparse.csr_matrix,
    margin: np.ndarray | None = None,
    customers: np.ndarray | None = None,
    threads: int = 1,
    choice: Selection | None = None,
) -> pd.DataFrame:
    """What selections hit with all item and slot rules, with none, without each, and with each alone.

    Prices of single rules do not add up: what one rule takes out another would have. The joint one is the first row.

    Customers are compared with themselves: a customer whom a rule leaves without a list hits nothing
    with it. A positive gain is what the rule earned, a negative one what it gave up. Who may be
    written to is the same on both sides, and no table here says that a rule should go: sold-out
    products are bought by nobody, and what a customer is spared is not in the data.

    Costs two selections per limit or rule of the slots that is on, and two more; of the other rules only the customers
    are selected for again of whose candidates they refuse one (`trials`).

    Args:
        candidates: as for `select`, made at a past anchor.
        context: of that anchor.
        rules: the campaign's.
        truth: csr[n_customers, n_products]; stored non-zeros were bought in the label window.
        margin: float[n_products], what one purchase earns, shop's currency; purchases of products
            with NaN are left out of the margin sums; None where the shop has no costs.
        customers: distinct codes to measure on; all if None.
        threads: as for `select`.
        choice: what `select` returns for these arguments, where it was asked before.

    Returns:
        `ALL_RULES` (kind "joint"; without: no rule at all), then one row per rule in the order of the rules: rule,
        kind, customers (eligible ones), customers_changed (other products with the rule than without), purchases
        (hit with all rules), purchases_without (hit without this one), purchases_gained (the difference),
        purchases_low and purchases_high (its 95 % interval over customers, normal), purchases_alone (hit with
        this rule only), alone_gained, alone_low and alone_high (less what no rule at all hits), and margin,
        margin_without, margin_gained, margin_low, margin_high as the purchases (NaN without `margin`).

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
    idle = find_idle_rules(candidates, context, rules)
    trials = Trials(candidates, context, rules, customers, threads)
    whole = trials.select(frozenset(), choice)
    none = whole if idle == set(NAMES) else trials.select(frozenset(NAMES))
    eligible = whole.selection.counts["selected"] + whole.selection.counts["too_few_products"]
    all_rows, no_rows = whole.selection.rows, none.selection.rows
    with_all, with_none = _count_hits(all_rows, bought, margin), _count_hits(no_rows, bought, margin)

    def line(name: str, kind: str, other: pd.DataFrame, alone: pd.DataFrame) -> dict[str, object]:
        changed = np.setxor1d(
            _encode_selected(all_rows, known.n_products),
            _encode_selected(other, known.n_products),
            assume_unique=True,
        )
        figures: dict[str, object] = {
            "rule": name,
            "kind": kind,
            "customers": eligible,
            "customers_changed": len(np.unique(changed // known.n_products)),
        }
        purchases, earned = _count_hits(other, bought, margin)
        figures |= _compare("purchases", with_all[0], purchases, eligible)
        only = _count_hits(alone, bought, margin)[0]
        gained = _compare("alone", only, with_none[0], eligible)
        figures |= {"purchases_alone": only.sum()}
        figures |= {name: gained[name] for name in ("alone_gained", "alone_low", "alone_high")}
        return figures | _compare("margin", with_all[1], earned, eligible)

    lines = [line(ALL_RULES, "joint", no_rows, all_rows)]
    for rule in ORDER:
        # Most rules are off in most campaigns: nothing to select again for.
        other, alone = all_rows, no_rows
        if rule.name not in idle:
            other = trials.select_like(whole, frozenset({rule.name}))
            alone = trials.select_like(none, frozenset(NAMES) - {rule.name})
        lines.append(line(rule.name, rule.kind, other, alone))
    return pd.DataFrame(lines)


def _compare(name: str, mine: np.ndarray, theirs: np.ndarray, eligible: int) -> dict[str, float]:
    """Sums over customers, their difference and its interval."""
    gain = mine - theirs
    # Of a sum over independent customers; those not eligible hit nothing on either side.
    spread = Z * np.sqrt(max(np.square(gain).sum() - gain.sum() ** 2 / max(eligible, 1), 0))
    low, high = hold_at_zero(gain, gain.sum() - spread, gain.sum() + spread)
    return {
        name: mine.sum(),
        f"{name}_without": theirs.sum(),
        f"{name}_gained": gain.sum(),
        f"{name}_low": float(low),
        f"{name}_high": float(high),
    }


def _encode_selected(rows: pd.DataFrame, n_products: int) -> np.ndarray:
    """int64, one per (customer, product) selected."""
    return encode_pairs(rows["customer"].to_numpy(), rows["product"].to_numpy(), n_products)


def _count_hits(
    rows: pd.DataFrame, bought: sparse.csr_matrix, margin: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Purchases hit int64[n_customers], and what they earn float64[n_customers]."""
    customer, product = (rows[name].to_numpy() for name in ("customer", "product"))
    hit = is_stored(bought, customer, product)
    customer, product, size = customer[hit], product[hit], bought.shape[0]
    purchases = np.bincount(customer, minlength=size)
    if margin is None:
        return purchases, np.full(size, np.nan)
    return purchases, np.bincount(customer, weights=np.nan_to_num(margin)[product], minlength=size)
