"""Chance: the floor every other recommender must clear."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recs_assets.arrays import hash_strings
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender


class Random(Recommender):
    """A uniformly random order of all available products, fixed per customer and seed.

    score(customer, p) is a hash of (seed, customer id, product id) in [0, 1): who else is in the
    shop, how customers are blocked and which other products exist change nothing. Scores have 24
    bits; the rare ties go to the smaller product id.

    Hashing is customers x products values; sensible to about 1e10 of them.

    Args:
        seed: another seed, another order.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "random"
    attached = ("customer_hash_",)

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _attach(self, known: Known) -> None:
        """Keeps `customer_hash_` uint32[n_customers]."""
        self.customer_hash_ = _hash_ids(known.customers["customer_id"], f"customer {self.seed}")

    def _count(self, known: Known) -> None:
        """Keeps `product_hash_` uint32[n_products]."""
        self.product_hash_ = _hash_ids(known.products["product_id"], f"product {self.seed}")

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        # The finaliser of MurmurHash3 (Appleby): every input bit reaches every output bit.
        mixed = self.customer_hash_[customers][:, None] ^ self.product_hash_[None, :]
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            mixed ^= mixed >> np.uint32(shift)
            mixed *= np.uint32(factor)
        mixed ^= mixed >> np.uint32(16)
        return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def _hash_ids(ids: pd.Series, salt: str) -> np.ndarray:
    """uint32 per id, the same on every machine (SipHash, as pandas hashes objects)."""
    if len(ids) == 0:
        return np.empty(0, dtype=np.uint32)
    salted = (salt + "\x1f" + ids.astype(str)).to_numpy(dtype=object)
    return (hash_strings(salted) >> np.uint64(32)).astype(np.uint32)
