"""A first list for somebody of whom hardly anything is known: popular, of many shelves, and not everybody's."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import rank_within
from recs_assets.known.interactions import Known
from recs_assets.known.preferences import ANSWERED, join_label, label_facets
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.facets import band_prices

FACETS = ("category", "brand", "price")


class FirstList(Recommender):
    """What customers said they like first, then the best sellers; spread over categories, brands and prices, and varied.

    Only who has fewer than `few_events` events gets a list. It is drawn from the top `share` of the products sold, by
    time-decayed popularity, and from all that are sold of the categories and brands that a customer answered they like:

        score(customer, p) = log popularity(p) + liking * (answers that name a facet of p)
            + variety * g(customer, p) - spread * (earlier products that share a facet of p)

    with g Gumbel-distributed and the same whenever the customer is asked, so that variety 1 draws products in proportion
    to their popularity (Gumbel-max; Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006), and the last
    term the greedy form of intra-list diversity (Ziegler et al., Improving recommendation lists through topic
    diversification, 2005), counted within each facet by the order of the other terms; a facet that was answered is no
    repetition. Scores are 1 / rank.

    Costs one sort of the drawn products per customer with few events: some milliseconds with 10,000 of them.

    Args:
        share: of the products sold that are drawn from.
        liking: what an answer adds.
        variety: strength of what differs between customers; 0: the same for all.
        spread: what each earlier product of the same category, brand or price band costs.
        few_events: from so many events on a customer's own history says more.
        half_life_days: age at which a purchase counts half.
        seed: of what differs between customers.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "first_list"
    attached = ("few_", "seeds_", "answers_")

    def __init__(
        self,
        share: float = 0.2,
        liking: float = 1.0,
        variety: float = 0.1,
        spread: float = 0.1,
        few_events: int = 5,
        half_life_days: float = 28.0,
        seed: int = 0,
    ) -> None:
        self.share, self.liking, self.variety, self.spread = share, liking, variety, spread
        self.few_events, self.half_life_days, self.seed = few_events, half_life_days, seed

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        known.popularity(self.half_life_days)

    def _count(self, known: Known) -> None:
        """Keeps `products_` int64[n] (sold, ascending), `best_` bool[n] (of the top share), `weight_` float64[n], `facet_`
        int64[facets, n] (numbers within each facet, -1: none), and, of the facets that can be answered, `labels_` str[labels]
        and `label_` int64[answered facets, n]."""
        popularity = known.popularity(self.half_life_days)
        sold = np.flatnonzero(np.isfinite(popularity) & (popularity > 0) & known.available)
        best = sold[np.argsort(-popularity[sold], kind="stable")]
        best = best[: int(np.ceil(self.share * len(best)))]
        self.products_, self.best_ = sold, np.isin(sold, best)
        self.weight_ = np.log(popularity[sold])
        self.facet_ = number_facets(known)[:, sold]
        texts = [label_facets(known, facet)[sold] for facet in ANSWERED]
        self.labels_, numbers = np.unique(np.concatenate(texts).astype(str), return_inverse=True)
        self.label_ = numbers.reshape(len(ANSWERED), len(sold)).astype(np.int64)

    def _attach(self, known: Known) -> None:
        """Keeps `few_` bool[n_customers], `seeds_` uint64[n_customers] and `answers_` csr[n_customers, labels]."""
        self.few_ = np.bincount(known.events.customer, minlength=known.n_customers) < self.few_events
        self.seeds_ = np.zeros(known.n_customers, dtype=np.uint64)
        ids = known.customers["customer_id"].to_numpy()
        for code in np.flatnonzero(self.few_):
            digest = hashlib.blake2b(f"{self.seed}:{ids[code]}".encode(), digest_size=8).digest()
            self.seeds_[code] = int.from_bytes(digest, "big")
        said = known.preferences
        texts = [join_label(*row) for row in zip(said["facet"], said["value"], strict=True)]
        label = pd.Index(self.labels_, dtype=object).get_indexer(pd.Index(texts, dtype=object))
        there = label >= 0
        self.answers_ = sparse.csr_matrix(
            (np.ones(there.sum(), np.float32), (said["customer"].to_numpy()[there], label[there])),
            shape=(known.n_customers, len(self.labels_)),
        )

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        length = np.zeros(len(customers), dtype=np.int64)
        products, scores = [np.empty(0, dtype=np.int64)], [np.empty(0)]
        for row in np.flatnonzero(self.few_[customers]):
            own, score = self._draw(int(customers[row]))
            products.append(own)
            scores.append(score)
            length[row] = len(own)
        return sparse.csr_matrix(
            (
                np.concatenate(scores).astype(np.float32),
                np.concatenate(products),
                np.r_[0, np.cumsum(length)],
            ),
            shape=(len(customers), self.known_.n_products),
        )

    def _draw(self, customer: int) -> tuple[np.ndarray, np.ndarray]:
        """Products of one customer, ascending, and 1 / rank of each, float64."""
        start, end = self.answers_.indptr[customer : customer + 2]
        liked = np.isin(self.label_, self.answers_.indices[start:end])
        answers = liked.sum(axis=0)
        # Numbers for all products are drawn, so that an answer does not change what else differs.
        noise = np.random.default_rng(int(self.seeds_[customer])).gumbel(size=len(self.products_))
        drawn = self.weight_ + self.liking * answers + self.variety * noise
        there = np.flatnonzero(self.best_ | (answers > 0))
        order = there[np.argsort(-drawn[there], kind="stable")]
        earlier = np.zeros(len(drawn))
        for name, facet in zip(FACETS, self.facet_, strict=True):
            repeats = facet[order] >= 0
            if name in ANSWERED:
                repeats &= ~liked[ANSWERED.index(name), order]
            some = order[repeats]
            by_value = some[np.argsort(facet[some], kind="stable")]
            earlier[by_value] += rank_within(facet[by_value]) - 1
        best_first = order[np.argsort(-(drawn - self.spread * earlier)[order], kind="stable")]
        score = np.zeros(len(drawn))
        score[best_first] = 1 / np.arange(1, len(best_first) + 1)
        return self.products_[there], score[there]


def number_facets(known: Known) -> np.ndarray:
    """int64[facets, n_products]: number of the product's category, brand and price band; -1 where it has none."""
    products = known.products
    columns = {
        "category": products["category"],
        "brand": products["brand"],
        "price": band_prices(products["price"]),
    }
    return np.stack(
        [pd.factorize(columns[name].astype("string"), sort=True)[0].astype(np.int64) for name in FACETS]
    )
