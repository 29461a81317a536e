"""Lists that anybody could make in an afternoon, for baskets to complete: what a longer way has to beat.

They know no rules: every product that may be sold and is not in the cart is offered.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.known.interactions import Known

# Half-lives in days: those of the shop's popularity, and of `recommenders.repurchase`.
POPULAR, OFTEN = 28.0, 90.0
# What orders equals must not outweigh anything else.
SMALL = 1e-3


def rank_in_simple_lists(
    known: Known,
    customer: np.ndarray,
    carts: sparse.csr_matrix,
    hidden: np.ndarray,
    *,
    largest: int,
    longest: int,
    block: int = 200,
) -> dict[str, np.ndarray]:
    """The hidden product's rank in the lists, 0 beyond `longest`.

    Args:
        known: everything before the anchor.
        customer: codes, one per basket.
        carts: csr[baskets, products] of ones, what is in the cart.
        hidden: codes of the products to find.
        largest: products of a past basket up to which its pairs are counted.
        longest: length of the lists.
        block: baskets scored at once.
    """
    bought = known.baskets(largest).astype(np.float64)
    count = np.maximum(np.asarray(bought.sum(axis=0)).ravel(), 1.0)
    pairs = (sparse.diags_array(1 / count) @ (bought.T @ bought)).tocsr()  # of A's baskets, the share with B
    popularity = np.nan_to_num(known.popularity(POPULAR))
    below = (
        popularity / max(popularity.max(), 1.0) * SMALL
    )  # orders equals, and is all for whoever bought nothing
    days, decayed, orders = known.history, known.frequency(OFTEN), np.maximum(known.order_counts, 1)
    allowed = known.available & (popularity > 0)
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(customer), block):
        part = slice(start, start + block)
        who, cart = customer[part], carts[part]
        often, confidence = days[who].toarray(), (cart @ pairs).toarray()
        size = np.maximum(np.diff(cart.indptr), 1)[:, None]
        values = {
            "popular products": np.broadcast_to(below, often.shape),
            "own products, by days bought": often + below,
            "own products, by days bought, decayed": decayed[who].toarray() + below,
            "co-purchase, by summed confidence": confidence + below * SMALL,
            "own share of orders + mean confidence": often / orders[who][:, None]
            + confidence / size
            + below * SMALL,
        }
        offered = allowed & (cart.toarray() == 0)
        for name, value in values.items():
            parts.setdefault(name, []).append(rank_hidden(value, offered, hidden[part], longest))
    return {name: np.concatenate(ranks) for name, ranks in parts.items()}


def rank_hidden(values: np.ndarray, offered: np.ndarray, hidden: np.ndarray, longest: int) -> np.ndarray:
    """int64[baskets]: the hidden product's rank among what is offered, equals by code; 0 beyond `longest`.

    Args:
        values: float64[baskets, products].
        offered: bool[baskets, products].
        hidden: codes.
        longest: the last rank that counts.
    """
    here = np.arange(len(hidden))
    own = values[here, hidden][:, None]
    rank = 1 + (offered & (values > own)).sum(axis=1)
    close = np.flatnonzero(offered[here, hidden] & (rank <= longest))
    before = np.arange(values.shape[1])[None, :] < hidden[close, None]
    rank[close] += (offered[close] & before & (values[close] == own[close])).sum(axis=1)
    return np.where(offered[here, hidden] & (rank <= longest), rank, 0).astype(np.int64)
