"""What kind of shop this is, and the recommenders' settings that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recs_assets.known.facts import as_array
from recs_assets.known.interactions import Known

# Recommender -> parameter -> value: what replaces the defaults of the recommenders.
Parameters = dict[str, dict[str, float]]

# Below this many pairs of customer and product nothing is said of a shop.
FEW_PAIRS = 1000
# From this share of repeats on a shop lives on them, as the grocers that the defaults were chosen on do
# (Complete Journey 0.39; Ta-Feng 0.11, TechHeaven 0.21 to 0.24). A shop of books or fashion has next to none.
REPEATS = 0.05
# Below this share of possible pairs most products have a handful of buyers.
SPARSE = 0.001


@dataclass(frozen=True)
class Shape:
    """What a shop's purchases look like at an anchor.

    Attributes:
        customers: who bought anything.
        products: that anybody bought.
        pairs: of a customer and a product they bought.
        repeat_share: share of the days on which a customer bought a product that were not the first, 0 to 1.
    """

    customers: int
    products: int
    pairs: int
    repeat_share: float

    @classmethod
    def of(cls, known: Known) -> Self:
        """The shape of what is known at an anchor, of the whole shop."""

        def count() -> np.ndarray:
            history = known.history
            days = float(history.data.sum(dtype=np.float64))
            buyers, products = int((np.diff(history.indptr) > 0).sum()), len(np.unique(history.indices))
            return np.array([buyers, products, history.nnz, 1 - history.nnz / days if days else 0.0])

        buyers, products, pairs, repeat_share = as_array(known.shop_fact("shape", count)).tolist()
        return cls(int(buyers), int(products), int(pairs), repeat_share)

    @property
    def density(self) -> float:
        """Share of the possible pairs of customer and product that were bought, 0 to 1."""
        return self.pairs / (self.customers * self.products) if self.pairs else 0.0

    def explain_difference(self, other: Shape) -> str | None:
        """What tells another shop, or this one at another time, apart; None where settings carry over."""
        if not 0.5 <= (other.density or 1e-9) / (self.density or 1e-9) <= 2:
            return f"the density was {self.density:.2g} and is {other.density:.2g}"
        if abs(other.repeat_share - self.repeat_share) > 0.1:
            return f"the repeat share was {self.repeat_share:.2f} and is {other.repeat_share:.2f}"
        return None


def choose_settings(shape: Shape) -> Parameters:
    """The settings of a shop for which nobody has searched any.

    A shop that lives on repeats, or that has sold too little to tell, keeps the defaults. Where hardly
    anything is bought twice, every purchase says the same, so that ALS has to trust it (alpha 40) and can
    afford more dimensions, as can the graph filter, and EASE shrinks less. Where, in addition, most products have a handful of
    buyers, BM25 must not prefer the rare, and the products that count are no longer a head of 4,000.

    `docs/research/user_item.md` has the figures.
    """
    if shape.pairs < FEW_PAIRS or shape.repeat_share >= REPEATS:
        return {}
    once: Parameters = {
        "als": {"alpha": 40.0, "regularization": 100.0, "factors": 128},
        "ease": {"regularization": 200.0},
        "graph_filter": {"factors": 256},
    }
    if shape.density >= SPARSE:
        return once
    return once | {
        "als": once["als"] | {"factors": 256},
        "ease": once["ease"] | {"head": 8000},
        "item_knn": {"b": 0.2, "neighbours": 200},
    }
