"""What customers of the same kind buy: for those of whom nothing else is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender

TRAITS = ("country", "locale", "segment", "referrer")
# Days since the account was opened at which an age band ends; the last band is open.
AGE_BANDS = (28, 91, 364)


class SegmentPopularity(Recommender):
    """Popularity among customers of the same country, locale, segment, referrer and age of account.

    score(customer, p) = (n(group, p) + strength * share(p)) / (n(group) + strength), with n the
    time-decayed purchase days in the customer's group and share(p) the product's share of all of
    them: the posterior mean of a Dirichlet prior centred on the whole shop (Gelman et al. 2013, *Bayesian
    Data Analysis*, section 3.4), so that a group of three customers is nearly the whole shop and one of
    ten thousand is itself. A customer's own purchases count in their group like anybody's. Traits that the shop does
    not fill are one value for all.

    Memory is groups x products; at most `max_groups` groups are kept, the others are the whole shop.

    Args:
        half_life_days: age at which a purchase counts half.
        strength: purchase days that the whole shop's shares weigh.
        max_groups: the largest groups by purchase days that are told apart.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "segment_popularity"
    attached = ("group_",)

    def __init__(self, half_life_days: float = 28.0, strength: float = 200.0, max_groups: int = 200) -> None:
        self.half_life_days = half_life_days
        self.strength = strength
        self.max_groups = max_groups

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        known.popularity(self.half_life_days)

    def _count(self, known: Known) -> None:
        """Keeps `traits_` str[groups - 1] (of the groups from 1 on) and `share_` float32[groups, n_products], NaN for
        products nobody bought; group 0 is the whole shop."""
        group = number_groups(known)
        spent = known.frequency(self.half_life_days).astype(np.float64)
        weight = np.bincount(
            group, weights=np.asarray(spent.sum(axis=1)).ravel(), minlength=group.max(initial=0) + 1
        )
        largest = np.argsort(-weight, kind="stable")[: self.max_groups]
        place = np.zeros(len(weight), dtype=np.int64)
        place[largest] = np.arange(1, len(largest) + 1)
        _, example = np.unique(group, return_index=True)
        self.traits_ = join_traits(known, example[largest[: len(example)]])
        popularity = known.popularity(self.half_life_days)
        total = np.nansum(popularity)
        prior = popularity / total if total > 0 else popularity
        member = sparse.csr_matrix(
            (np.ones(known.n_customers), (place[group], np.arange(known.n_customers))),
            shape=(len(largest) + 1, known.n_customers),
        )
        bought = (member @ spent).toarray()
        self.share_ = (
            (bought + self.strength * prior) / (bought.sum(axis=1, keepdims=True) + self.strength)
        ).astype(np.float32)

    def _attach(self, known: Known) -> None:
        """Keeps `group_` int64[n_customers]."""
        group = number_groups(known)
        _, example = np.unique(group, return_index=True)
        place = pd.Index(self.traits_).get_indexer(pd.Index(join_traits(known, example))).astype(np.int64) + 1
        self.group_ = place[group]

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        return self.share_[self.group_[customers]]


def number_groups(known: Known) -> np.ndarray:
    """int64[n_customers]: number of the customer's combination of traits and age band."""
    keys = _list_traits(known)
    if keys.shape[1] == 0:
        return np.zeros(len(keys), dtype=np.int64)
    return keys.groupby(list(keys.columns), sort=True).ngroup().to_numpy(dtype=np.int64)


def join_traits(known: Known, customers: np.ndarray) -> np.ndarray:
    """str[len(customers)]: the combinations as text, each with the length of its parts, so that none reads as another."""
    rows = _list_traits(known).iloc[customers].astype(str)
    return np.array(
        ["".join(f"{len(part)}:{part}" for part in row) for row in rows.itertuples(index=False)], dtype=str
    )


def _list_traits(known: Known) -> pd.DataFrame:
    customers = known.customers
    keys = pd.DataFrame(index=pd.RangeIndex(len(customers)))
    for trait in TRAITS:
        if trait in customers:
            keys[trait] = customers[trait].astype("string").fillna("").to_numpy(dtype=object)
    if "joined_at" in customers:
        age = (pd.Timestamp(known.as_of) - pd.to_datetime(customers["joined_at"])).dt.days.to_numpy(
            dtype=float
        )
        keys["age"] = np.where(np.isnan(age), -1, np.searchsorted(AGE_BANDS, age, side="right"))
    return keys
