"""What the rules keep out of slots is not named beside them either: which products a sentence may cite."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.items import ORDER
from recs_assets.rules.pipeline import list_parts


def find_nameable(context: Context, rules: Rules) -> tuple[np.ndarray, np.ndarray, sparse.csr_matrix | None]:
    """What the reasons of lists made under these rules may speak of.

    Args:
        context: what the rules look at.
        rules: of the lists.

    Returns:
        bool[n_products], may be named as the reason for another product: neither excluded nor sensitive
        (`items.ORDER`, silent); bool[n_products], may be counted and dated; and csr[n_customers,
        n_products], stored where a product may not be named to this customer, because they sent it back or
        rated it 2 or lower, or because it is kept out of their segment's lists; None: nothing.
    """
    size = context.count_parting()
    parts = [(own, segments) for _, own, segments in list_parts(context, rules) if size[segments].any()]
    named = [_find_nameable(context, own) for own, _ in parts] or [_find_nameable(context, rules)]
    product = np.logical_or.reduce(named)
    customers, products = context.known.events.customer, context.known.events.product
    pairs = []
    for (own, segments), mine in zip(parts, named, strict=False):
        inside = np.isin(context.parting[0], segments)
        away = inside[customers] & (product & ~mine)[products]
        pairs.append((customers[away], products[away]))
        if own.items.not_rejected and context.rejected is not None:
            who, what = context.rejected.nonzero()
            pairs.append((who[inside[who]], what[inside[who]]))
    who, what = (np.concatenate(codes) for codes in zip(*pairs, strict=True)) if pairs else ([], [])
    refused = sparse.csr_matrix(
        (np.ones(len(who), dtype=bool), (who, what)), shape=(context.known.n_customers, len(product))
    )
    goods = context.sensitive
    counted = np.ones(context.known.n_products, dtype=bool)
    if goods is not None and any(own.items.sensitive for own, _ in parts):
        counted = ~goods.no_counts
    return product, counted, refused if refused.nnz else None


def _find_nameable(context: Context, rules: Rules) -> np.ndarray:
    named = np.ones(context.known.n_products, dtype=bool)
    for rule in ORDER:
        keep = rule.apply(context, rules) if rule.silent else None
        if keep is not None:
            named &= keep
    if rules.items.sensitive and context.sensitive is not None:
        named &= ~context.sensitive.never_cite
    return named
