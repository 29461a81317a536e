"""Bought together: association rules with their counts."""

from __future__ import annotations

from math import comb
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import PairIndex, encode_pairs, find_sorted, list_entries, mark_starts, rank_within
from recs_assets.known.facts import as_array
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender, require_fitted
from recs_assets.recommenders.because import find_strongest
from recs_assets.recommenders.carry import ArrayAxes
from recs_assets.recommenders.chance import find_pairs_beyond_chance

# Multiply-adds of one block of the basket product; its result holds at most that many counts (240 MB).
BLOCK_PRODUCTS = 20_000_000
# Of the baskets with a product, the share with another that makes the sentence say "often".
OFTEN_SHARE = 0.1


class AssociationRules(Recommender):
    """Rules "who has A in the basket has B in it", and lists made of them.

    Pairs are counted exactly: the sparse product (baskets x products).T @ (baskets x products),
    in blocks of antecedents. With n baskets, n_A, n_B and n_AB those holding A, B and both:

        support = n_AB / n                      confidence = n_AB / n_A
        lift = confidence / (n_B / n)           leverage = support - (n_A / n) * (n_B / n)
        conviction = (1 - n_B / n) / (1 - confidence)
        lift_shrunk = (n_AB + damping) / (n_A * n_B / n + damping)
        p_value = P(X >= n_AB), X hypergeometric: n_A draws from n baskets of which n_B hold B

    Sources: Agrawal, Imielinski and Swami, 1993 (support, confidence); Brin et al., 1997 (lift,
    conviction); Piatetsky-Shapiro, 1991 (leverage); Fisher's exact test, one-sided. p_adjusted is p_value
    after Benjamini and Hochberg, 1995, over every rule that could have been looked at, so that 5 % of the
    rules with p_adjusted <= 0.05 are expected to be chance. Baskets of one customer resemble each other,
    which no test on baskets knows: `customers` says how many people a rule rests on.

    score(customer, B) = sum over A the customer bought of
    confidence(A -> B) * 0.5 ** (days since A was last bought / half_life_days).

    A basket of m products costs m^2; baskets above `max_basket_products` are not counted at all
    (neither in n), their number is `dropped_baskets_`. Memory is bounded by the rules that reach
    `min_baskets`; 5 M lines over 20,000 products and 1.3 M over 92,331 each take less than 0.4 GB.
    Sensible to some 1e9 pairs within baskets.

    Args:
        min_baskets: a pair in fewer baskets makes no rule.
        min_confidence: rules below are left out.
        max_basket_products: baskets with more distinct products are dropped.
        half_life_days: age of the antecedent's last purchase at which it counts half.
        damping: baskets of doubt in `lift_shrunk` and `neighbours`, as if so many more had been seen in which
            A and B meet as often as by chance.

    Raises:
        NotFittedError: from `recommend`, `pair_rules`, `itemset_rules`, `neighbours` before `fit`.
    """

    name = "rules"
    learned: ClassVar = {
        "total_baskets_": ArrayAxes(),
        "dropped_baskets_": ArrayAxes(),
        "product_baskets_": ArrayAxes(("product",), unknown=0),
        "pair_baskets_": ArrayAxes(("product", "product")),
    }
    attached = ("recency_",)
    reasons = ("bought_together",)

    def __init__(
        self,
        min_baskets: int = 5,
        min_confidence: float = 0.01,
        max_basket_products: int = 200,
        half_life_days: float = 90.0,
        damping: float = 10.0,
    ) -> None:
        self.min_baskets = min_baskets
        self.min_confidence = min_confidence
        self.max_basket_products = max_basket_products
        self.half_life_days = half_life_days
        self.damping = damping

    def _learn(self, known: Known) -> None:
        """Keeps `total_baskets_`, `dropped_baskets_`, `product_baskets_` int64[n_products] and
        `pair_baskets_` csr int32[n_products, n_products] of the rules that passed (row A, column B)."""
        baskets = known.baskets(self.max_basket_products)
        size = np.diff(baskets.indptr)
        self.total_baskets_ = int((size > 0).sum())
        self.dropped_baskets_ = int((size == 0).sum())
        self.product_baskets_ = np.bincount(baskets.indices, minlength=known.n_products).astype(np.int64)
        self.pair_baskets_ = self._count_pairs(baskets)

    def _attach(self, known: Known) -> None:
        """Keeps `recency_` csr float32[n_customers, n_products]."""
        self.recency_ = known.recency(self.half_life_days)

    def _count_pairs(self, baskets: sparse.csr_matrix) -> sparse.csr_matrix:
        n_products = baskets.shape[1]
        # No product below min_baskets can be in a pair at min_baskets: leave its column out.
        frequent = np.flatnonzero(self.product_baskets_ >= max(1, self.min_baskets))
        matrix = baskets[:, frequent].astype(np.int32)
        columns = matrix.T.tocsr()
        work = np.asarray(columns @ np.diff(matrix.indptr).astype(np.int64)).ravel()
        block = np.cumsum(work) // BLOCK_PRODUCTS
        parts = []
        for number in np.unique(block):
            rows = np.flatnonzero(block == number)
            counts = (columns[rows] @ matrix).tocoo()
            antecedent, consequent = rows[counts.row], counts.col
            confidence = counts.data / self.product_baskets_[frequent[antecedent]]
            keep = (
                (counts.data >= self.min_baskets)
                & (confidence >= self.min_confidence)
                & (antecedent != consequent)
            )
            parts.append((frequent[antecedent[keep]], frequent[consequent[keep]], counts.data[keep]))
        antecedent, consequent, count = (
            np.concatenate([part[position] for part in parts] or [np.empty(0, np.int64)])
            for position in range(3)
        )
        rules = sparse.csr_matrix(
            (count.astype(np.int32), (antecedent, consequent)), shape=(n_products, n_products)
        )
        rules.sort_indices()
        return rules

    def _confidence(self) -> sparse.csr_matrix:
        rules = self.pair_baskets_
        antecedent, _ = list_entries(rules)
        confidence = (rules.data / self.product_baskets_[antecedent]).astype(np.float32)
        return sparse.csr_matrix((confidence, rules.indices, rules.indptr), shape=rules.shape)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return self.recency_[customers] @ self._confidence()

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the sum above."""
        return find_strongest(self.recency_, self._confidence().T.tocsr(), customers, products)

    def bears_out(self, causes: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.bears_out`. "Often" is in `OFTEN_SHARE` of the cause's baskets at least, and more often than chance
        would give (`find_pairs_beyond_chance`)."""
        both, left, right = (
            self._count_both(causes, products),
            self.product_baskets_[causes],
            self.product_baskets_[products],
        )
        often = (both > 0) & (both >= OFTEN_SHARE * left)
        frequent = int((self.product_baskets_ >= max(1, self.min_baskets)).sum())
        often[often] = find_pairs_beyond_chance(
            both[often], left[often], right[often], self.total_baskets_, frequent
        )
        return often

    def _count_both(self, causes: np.ndarray, products: np.ndarray) -> np.ndarray:
        """int64: baskets with both products of a pair; 0 where it is no rule."""
        at = PairIndex.of(self.pair_baskets_).find(causes, products)
        count = self.pair_baskets_.data
        return (
            np.where(at >= 0, count[at], 0).astype(np.int64)
            if len(count)
            else np.zeros(len(at), dtype=np.int64)
        )

    def shares(self, causes: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Recommender.shares`; 0 where the pair is no rule."""
        baskets = self._count_both(causes, products)
        return baskets / self.total_baskets_, baskets / self.product_baskets_[causes]

    def pair_rules(self) -> pd.DataFrame:
        """Every pair rule that reaches `min_baskets` and `min_confidence`, both directions.

        Returns:
            Columns antecedent int32, consequent int32 (codes), baskets, antecedent_baskets,
            consequent_baskets, total_baskets int64, support, confidence, lift, leverage,
            conviction (NaN where confidence is 1), lift_shrunk, p_value, p_adjusted float64, sorted by
            antecedent, consequent.
            Empty with the same columns where no pair reaches the thresholds.
        """
        require_fitted(self)
        antecedent, consequent = list_entries(self.pair_baskets_)
        frame = pd.DataFrame(
            {"antecedent": antecedent.astype(np.int32), "consequent": consequent.astype(np.int32)}
        )
        frequent = int((self.product_baskets_ >= max(1, self.min_baskets)).sum())
        return frame.join(
            _measure_rules(
                self.pair_baskets_.data,
                self.product_baskets_[antecedent],
                self.product_baskets_[consequent],
                self.total_baskets_,
                self.damping,
                frequent * (frequent - 1),
            )
        )

    def pair_customers(self) -> np.ndarray:
        """int64: how many customers have the baskets of each rule of `pair_rules`, in its order; a guest's
        basket counts as one more customer."""
        known, rules = require_fitted(self), self.pair_baskets_
        n_products = known.n_products
        baskets = self._known_baskets()
        order = np.argsort(known.basket_owners, kind="stable")
        baskets, owner = baskets[order], known.basket_owners[order]
        columns = baskets.T.tocsr()  # the baskets of a product, by owner
        antecedent, consequent = list_entries(rules)
        consequents = np.unique(consequent)
        baskets = baskets[:, consequents]  # no rule ends in another product
        size = np.diff(baskets.indptr).astype(np.int64)
        rule = encode_pairs(antecedent, consequent, n_products)
        customers = np.zeros(len(rule), dtype=np.int64)
        antecedents = np.unique(antecedent)
        work = np.asarray(columns[antecedents].astype(bool) @ size).ravel()
        block = np.cumsum(work) // (BLOCK_PRODUCTS // 4)
        for number in np.unique(block):
            left, basket = list_entries(columns[antecedents[block == number]])
            left = antecedents[block == number][left]
            # Every product of every basket of every antecedent, by antecedent and then by owner.
            first, repeats = baskets.indptr[basket].astype(np.int64), size[basket]
            start = np.cumsum(repeats) - repeats
            place = np.arange(int(repeats.sum()), dtype=np.int64) + np.repeat(first - start, repeats)
            right = consequents[baskets.indices[place]]
            at = find_sorted(rule, encode_pairs(np.repeat(left, repeats), right, n_products))
            at, who = at[at >= 0], np.repeat(owner[basket], repeats)[at >= 0]
            by_rule = np.argsort(at, kind="stable")
            at, who = at[by_rule], who[by_rule]
            customers += np.bincount(at[mark_starts(at, who)], minlength=len(rule))
        return customers

    def itemset_customers(self, rules: pd.DataFrame) -> np.ndarray:
        """int64: the same of the rules of `itemset_rules`."""
        columns, owners = self._known_baskets().tocsc(), require_fitted(self).basket_owners
        customers = []
        for antecedents, consequent in zip(rules["antecedents"], rules["consequent"], strict=True):
            items = np.array([*antecedents, consequent])
            together = np.asarray(columns[:, items].sum(axis=1)).ravel() == len(items)
            customers.append(len(np.unique(owners[together])))
        return np.array(customers, dtype=np.int64)

    def itemset_rules(self, max_pairs: int = 1000, max_basket: int = 30, max_len: int = 3) -> pd.DataFrame:
        """Rules with two or more products on the left, through mlxtend's FP-growth.

        FP-growth explodes on long baskets and low support, so the work is bounded before it
        starts: only the `max_pairs` most frequent pairs may be frequent itemsets of two (their
        last count becomes the minimum count), only products of those pairs take part, and a
        basket that holds more than `max_basket` of them keeps its `max_basket` most frequent
        (then counts are lower bounds for baskets that long; on Complete Journey none is).

        Returns:
            Columns as `pair_rules`, but `antecedents`: tuple of ascending codes. Sorted by
            antecedents, consequent. Empty where no such itemset is frequent.
        """
        require_fitted(self)
        rules = self.pair_baskets_
        upper = sparse.triu(rules.maximum(rules.T), k=1).tocoo()
        if upper.nnz == 0:
            return self._frame_itemsets([], [], [], [], 0)
        by_count = np.sort(upper.data)[::-1]
        # Ties with the last pair stay out: a shop whose pairs all occur 5 times would keep them all.
        at = min(max_pairs, len(by_count) - 1)
        least = int(by_count[at]) + (1 if len(by_count) > max_pairs else 0)
        chosen = upper.data >= least
        products = np.unique(np.concatenate([upper.row[chosen], upper.col[chosen]]))
        if len(products) < 3:
            return self._frame_itemsets([], [], [], [], 0)
        baskets = self._known_baskets()[:, products]
        baskets = baskets[np.diff(baskets.indptr) >= 2]
        baskets = self._cap(baskets, products, max_basket)
        from mlxtend.frequent_patterns import fpgrowth

        frame = pd.DataFrame.sparse.from_spmatrix(baskets.astype(bool))
        itemsets = fpgrowth(frame, min_support=least / baskets.shape[0], max_len=max_len)
        counts = {
            tuple(sorted(int(products[item]) for item in items)): round(support * baskets.shape[0])
            for items, support in zip(itemsets["itemsets"], itemsets["support"], strict=True)
        }
        antecedents, consequents, both, left = [], [], [], []
        for items, count in counts.items():
            if len(items) < 3:
                continue
            for position, consequent in enumerate(items):
                rest = items[:position] + items[position + 1 :]
                antecedents.append(rest)
                consequents.append(consequent)
                both.append(count)
                left.append(counts[rest])
        # Each of three products may be the one on the right.
        tests = sum(comb(len(products), size) * size for size in range(3, max_len + 1))
        return self._frame_itemsets(antecedents, consequents, both, left, tests)

    def _known_baskets(self) -> sparse.csr_matrix:
        return self.known_.baskets(self.max_basket_products)

    def _cap(self, baskets: sparse.csr_matrix, products: np.ndarray, limit: int) -> sparse.csr_matrix:
        rows, columns = list_entries(baskets)
        order = np.lexsort((columns, -self.product_baskets_[products][columns], rows))
        order = order[rank_within(rows[order]) <= limit]
        return sparse.csr_matrix(
            (np.ones(len(order), np.float32), (rows[order], columns[order])), shape=baskets.shape
        )

    def _frame_itemsets(
        self,
        antecedents: list[tuple[int, ...]],
        consequents: list[int],
        both: list[int],
        left: list[int],
        tests: int,
    ) -> pd.DataFrame:
        consequent = np.asarray(consequents, dtype=np.int32)
        frame = pd.DataFrame({"antecedents": pd.Series(antecedents, dtype=object), "consequent": consequent})
        frame = frame.join(
            _measure_rules(
                np.asarray(both, dtype=np.int64),
                np.asarray(left, dtype=np.int64),
                self.product_baskets_[consequent],
                self.total_baskets_,
                self.damping,
                tests,
            )
        )
        frame = frame[frame["confidence"] >= self.min_confidence]
        return frame.sort_values(["antecedents", "consequent"], ignore_index=True)

    def neighbours(self, k: int, sold_within_weeks: int = 26) -> pd.DataFrame:
        """Products bought together with each product, best first.

        score = (n_AB - n_A * n_B / n) / (n_A + damping): baskets beyond what chance gives, per
        basket of A, which is confidence * (1 - 1 / lift) shrunk towards zero as if A had been
        seen in `damping` more baskets without B. Confidence alone puts the best seller next to
        everything; lift alone puts two products next to each other that met five times.
        Only positive scores (lift above 1).

        Args:
            k: at most this many neighbours per product.
            sold_within_weeks: products on the left sold in so many weeks before the anchor.

        Returns:
            Columns product int32, neighbour int32, rank int16, score float32, baskets int64,
            support, confidence, lift float64; sorted by product, rank; ties to the smaller
            neighbour; unavailable neighbours left out.
        """
        known = require_fitted(self)
        rules = self.pair_rules()
        recent = mark_recently_sold(known, sold_within_weeks)
        keep = recent[rules["antecedent"]] & known.available[rules["consequent"]]
        rules = rules[keep & (rules["lift"].to_numpy() > 1)].reset_index(drop=True)
        expected = rules["antecedent_baskets"] * (rules["consequent_baskets"] / max(1, self.total_baskets_))
        score = ((rules["baskets"] - expected) / (rules["antecedent_baskets"] + self.damping)).to_numpy(
            np.float32
        )
        order = np.lexsort((rules["consequent"], -score, rules["antecedent"]))
        rules, score = rules.iloc[order].reset_index(drop=True), score[order]
        rank = rank_within(rules["antecedent"].to_numpy())
        frame = pd.DataFrame(
            {
                "product": rules["antecedent"],
                "neighbour": rules["consequent"],
                "rank": rank.astype(np.int64),
                "score": score,
                "baskets": rules["baskets"],
                "support": rules["support"],
                "confidence": rules["confidence"],
                "lift": rules["lift"],
            }
        )
        frame = frame[frame["rank"] <= k].reset_index(drop=True)
        return frame.astype({"rank": np.int16})


def mark_recently_sold(known: Known, weeks: int) -> np.ndarray:
    """bool[n_products]: bought by a customer at least once in so many weeks before the anchor. A fact of the shop."""

    def count() -> np.ndarray:
        recent = known.purchased & (known.events.day >= known.anchor_day - 7 * weeks)
        return np.bincount(known.events.product[recent], minlength=known.n_products) > 0

    return as_array(known.shop_fact(f"sold_within_weeks/{weeks}", count))


def _measure_rules(
    both: np.ndarray, left: np.ndarray, right: np.ndarray, total: int, damping: float, tests: int
) -> pd.DataFrame:
    """The measures of rules from their counts; the formulas stand in `AssociationRules`. `tests` is how many
    rules could have been found, for the correction of the p-values."""
    from scipy.stats import hypergeom

    both, left, right = (np.asarray(part, dtype=np.int64) for part in (both, left, right))
    support, confidence = both / max(1, total), both / left
    share = right / max(1, total)
    with np.errstate(divide="ignore", invalid="ignore"):
        conviction = np.where(both == left, np.nan, (1 - share) / (1 - confidence))
    p_value = np.minimum(hypergeom.sf(both - 1, total, left, right), 1.0)
    return pd.DataFrame(
        {
            "baskets": both,
            "antecedent_baskets": left,
            "consequent_baskets": right,
            "total_baskets": np.full(len(both), total, dtype=np.int64),
            "support": support,
            "confidence": confidence,
            "lift": confidence / share,
            "leverage": support - (left / max(1, total)) * share,
            "conviction": conviction,
            "lift_shrunk": (both + damping) / (left * share + damping),
            "p_value": p_value,
            "p_adjusted": _adjust(p_value, tests),
        }
    )


def _adjust(p_value: np.ndarray, tests: int) -> np.ndarray:
    """float64: Benjamini and Hochberg's correction; of `tests` hypotheses those without a value count as 1."""
    order = np.argsort(p_value, kind="stable")
    raised = p_value[order] * tests / np.arange(1, len(order) + 1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return adjusted
