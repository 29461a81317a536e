"""When a customer will buy a product again, and what of their history is worth showing.

**The model.** Purchases are distinct order-days, returns subtracted. After every purchase, the first
included, a customer drops the product with a probability of the product's; while they keep it they
buy at a constant rate. Rates differ: a customer-product's is Gamma-distributed around its
product's, a product's around its category's, a category's around the shop's. That is the Gamma-Poisson
(negative binomial) model of Bhagat, Muralidharan, Lobzhanidze and Vishwanath, Buy It Again: Modeling
Repeat Purchase Recommendations, KDD 2018, with the dropout of Fader, Hardie and Lee, "Counting Your
Customers" the Easy Way: An Alternative to the Pareto/NBD Model, 2005, allowed after the first purchase
too (Batislam, Denizel and Filiztekin, 2007) and equally likely for all customers of a product.

**The time since the last purchase** enters three times. A silence that is long beside the usual gap
speaks for a drop, so it lowers the probability that they buy at all (`alive`); as time without a
purchase it lowers the rate; and it is the numerator of `due_ratio`. It does not enter the expected gap,
which rests on gaps that have ended: a silence would otherwise lengthen the gap it is measured with,
and nothing bought once could ever become due.

**Estimation** is empirical Bayes: `ROUNDS` rounds of expectation (alive or dropped) and maximisation (mean
rates, dropping). How widely rates lie around the mean above them is found by moments, at each level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from recs_assets.arrays import encode_pairs, find_runs, find_sorted, mark_starts, rank_within
from recs_assets.known.facts import as_array
from recs_assets.known.interactions import Known, find_offerable, number_parents

ROUNDS = 10
# Where the first round starts.
FIRST_DROP = 0.2
# Bounds of what moments estimate: a Gamma's shape, and the purchases that a prior share counts for.
SHAPES = (0.05, 100.0)
STRENGTHS = (1.0, 1000.0)
# A product nobody ever bought twice has a rate, only a small one; a gap above this is this.
LONGEST_GAP_DAYS = 36_525.0
# Gaps of which a sentence may say "about every n days".
REGULAR_GAPS = 2
# A replacement costs at least half and at most twice as much.
PRICE_FACTOR = 2.0

OWN, VARIANT, SAME_BRAND = "own", "variant", "same_brand"


@dataclass(frozen=True)
class Cadence:
    """Every (customer, product) of the known purchases, sorted by customer, then product.

    Attributes:
        horizon_days: of `due_ratio` and `p_repeat`.
        customer: int32, code.
        product: int32, code.
        order_days: int32, distinct days of purchase.
        first_day: int32, days since 1970-01-01.
        last_day: int32, the same of the latest purchase.
        expected_gap: float64, days; one over the posterior mean rate given the gaps that have ended.
        alive: float64 in 0..1, posterior probability that the customer has not dropped the product.
        due_ratio: float64, days from the last purchase to the end of the horizon / expected gap. The
            horizon is in it because a list for four weeks must hold what comes due in them: milk
            bought on Saturday is not due on Monday.
        p_repeat: float64 in 0..1, posterior predictive probability of a purchase in the horizon.
        repeat_share: float64[n_products], share of the buyers who bought the product again, shrunk to
            its category and the shop. Counts buyers whose first purchase is a horizon or more ago.
    """

    horizon_days: int
    customer: np.ndarray
    product: np.ndarray
    order_days: np.ndarray
    first_day: np.ndarray
    last_day: np.ndarray
    expected_gap: np.ndarray
    alive: np.ndarray
    due_ratio: np.ndarray
    p_repeat: np.ndarray
    repeat_share: np.ndarray

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def expected_next_day(self) -> np.ndarray:
        """int64, days since 1970-01-01: last purchase plus expected gap; in the past where overdue."""
        return self.last_day + np.rint(self.expected_gap).astype(np.int64)


def fit_cadence(known: Known, horizon_days: int) -> Cadence:
    """Fit the model on everything known and predict every pair; what is fitted is a fact of the shop.

    Memory: some 20 arrays of the number of pairs.

    Raises:
        ValueError: a horizon below one day.
    """
    if horizon_days < 1:
        raise ValueError(f"The horizon is {horizon_days} days; it must be 1 or more.")
    pairs = customer, product, order_days, first, last = _summarise_pairs(known)
    fitted = as_array(known.shop_fact(f"cadence/{horizon_days}", lambda: _fit(known, pairs, horizon_days)))
    mean, drop, share, shapes = fitted
    shape = float(shapes[0]) if len(shapes) else 1.0
    gaps, span = order_days - 1.0, (last - first).astype(np.float64)
    silence = (known.anchor_day - last).astype(np.float64)
    gap, alive, p_repeat = predict(gaps, span, silence, mean[product], shape, drop[product], horizon_days)
    return Cadence(
        horizon_days=horizon_days,
        customer=customer,
        product=product,
        order_days=order_days,
        first_day=first,
        last_day=last,
        expected_gap=gap,
        alive=alive,
        due_ratio=(silence + horizon_days) / gap,
        p_repeat=p_repeat,
        repeat_share=share,
    )


def predict(
    gaps: np.ndarray,
    span: np.ndarray,
    silence: np.ndarray,
    mean: np.ndarray,
    shape: float,
    drop: np.ndarray,
    horizon_days: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What pairs are expected to do, given their priors; arrays of one length or scalars.

    Args:
        gaps: purchases after the first.
        span: days from first to last purchase.
        silence: days from the last purchase to the anchor.
        mean: prior mean rate, purchases per day.
        shape: of the Gamma prior; the number of gaps it counts for.
        drop: probability of dropping after a purchase, within 0..1, ends excluded.
        horizon_days: of the third result.

    Returns:
        Expected gap in days, probability of being alive, probability of a purchase in the horizon.
    """
    scale = shape / mean
    gap = np.minimum((scale + span) / (shape + gaps), LONGEST_GAP_DAYS)
    alive = expit(-logit(drop) - (shape + gaps) * np.log1p(silence / (scale + span)))
    some = -np.expm1(-(shape + gaps) * np.log1p(horizon_days / (scale + span + silence)))
    return gap, alive, alive * some


def shrink_share(successes: np.ndarray, trials: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Shares per product, beta-binomial: shrunk to the category's, which is shrunk to the shop's.

    How many trials a prior counts for follows from moments (overdispersion against a binomial) and
    lies within `STRENGTHS`. Without any trial the shop's share is 0.5.

    Args:
        successes: float64[n_products], at most the trials.
        trials: float64[n_products].
        category: int[n_products], 0, 1, ...

    Returns:
        float64[n_products] within 0..1, ends excluded.
    """
    shop = (successes.sum() + 0.5) / (trials.sum() + 1)
    n_categories = int(category.max(initial=-1)) + 1

    def sum_by_category(values: np.ndarray) -> np.ndarray:
        return np.bincount(category, values, n_categories)

    rough = (sum_by_category(successes) + shop) / (sum_by_category(trials) + 1)
    strength = _estimate_strength(successes, trials, rough[category])
    # Customers of one product resemble each other: to the category they are fewer than they are.
    weight = (strength + 1) / (strength + np.maximum(trials, 1))
    inside, count = sum_by_category(weight * successes), sum_by_category(weight * trials)
    above = _estimate_strength(inside, count, np.full(n_categories, shop))
    middle = (inside + above * shop) / (count + above)
    return (successes + strength * middle[category]) / (trials + strength)


def _estimate_strength(successes: np.ndarray, trials: np.ndarray, share: np.ndarray) -> float:
    """Trials that the prior counts for, from the overdispersion rho: strength = 1 / rho - 1."""
    binomial = share * (1 - share)
    some = trials > 1
    excess = np.square(successes - trials * share) - trials * binomial
    scale = (trials * (trials - 1) * binomial)[some].sum()
    rho = excess[some].sum() / scale if scale > 0 else 0.0
    return float(np.clip(1 / rho - 1, *STRENGTHS)) if rho > 0 else STRENGTHS[1]


def _summarise_pairs(known: Known) -> tuple[np.ndarray, ...]:
    """customer, product, distinct days, first day and last day per pair; int32 each."""
    bought = known.purchased
    key = encode_pairs(known.events.customer[bought], known.events.product[bought], max(1, known.n_products))
    day = known.events.day[bought]
    # Events come by day, so a stable sort by pair leaves each pair's days in order.
    order = np.argsort(key, kind="stable")
    key, day = key[order], day[order]
    first = mark_starts(key, day)
    key, day = key[first], day[first]
    start, length = find_runs(key)
    customer, product = np.divmod(key[start], max(1, known.n_products))
    pairs = (customer, product, length, day[start], day[start + length - 1])
    return tuple(values.astype(np.int32) for values in pairs)


def _number_categories(known: Known) -> np.ndarray:
    """int64[n_products]; products without a category are one."""
    return pd.factorize(known.products["category"], use_na_sentinel=False)[0].astype(np.int64)


def _fit(known: Known, pairs: tuple[np.ndarray, ...], horizon_days: int) -> np.ndarray:
    """float64[4, n_products]: mean rate, dropping, share of the buyers who bought again; and the shape of customers around
    the mean rate, which is the same for all products."""
    _, product, order_days, first, last = pairs
    gaps, span = order_days - 1.0, (last - first).astype(np.float64)
    silence, category = (known.anchor_day - last).astype(np.float64), _number_categories(known)
    mean, shape, drop = _fit_rates(gaps, span, silence, product, category)
    settled = known.anchor_day - first >= horizon_days
    share = shrink_share(
        np.bincount(product[settled], gaps[settled] > 0, known.n_products),
        np.bincount(product[settled], minlength=known.n_products).astype(np.float64),
        category,
    )
    return np.stack([mean, drop, share, np.full(known.n_products, shape)])


def _fit_rates(
    gaps: np.ndarray, span: np.ndarray, silence: np.ndarray, product: np.ndarray, category: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Mean rate per product, shape of customers around it, dropping per product."""
    n_products, n_categories = len(category), int(category.max(initial=-1)) + 1
    mean, drop, alive = np.ones(n_products), np.full(n_products, FIRST_DROP), np.ones(len(gaps))
    if not len(gaps):
        return mean, 1.0, drop
    # Half a purchase at this rate is the shop's own prior: where nobody came back, "all dropped at
    # once" would otherwise explain the data better the higher the rate.
    shop = start = (gaps.sum() + 0.5) / (span + silence).sum()
    mean, middle = np.full(n_products, shop), np.full(n_categories, shop)
    shape = product_shape = category_shape = 1.0
    tries = np.bincount(product, gaps + 1, n_products)
    for number in range(ROUNDS):
        # Who has dropped a product did so with the last purchase: from then on nothing was watched.
        days = span + alive * silence
        # Each level hands up counts that weigh what they tell of the mean above them
        # (quasi-likelihood): the variance of the weighted count is then its mean again.
        weight = 1 / (1 + mean[product] * days / shape)
        n_p, t_p = (np.bincount(product, weight * values, n_products) for values in (gaps, days))
        weight = 1 / (1 + middle[category] * t_p / product_shape)
        n_c, t_c = (np.bincount(category, weight * values, n_categories) for values in (n_p, t_p))
        weight = 1 / (1 + shop * t_c / category_shape)
        shop = ((weight * n_c).sum() + 0.5) / ((weight * t_c).sum() + 0.5 / start)
        category_shape = _estimate_shape(n_c, shop * t_c)
        middle = (n_c + category_shape) / (t_c + category_shape / shop)
        product_shape = _estimate_shape(n_p, middle[category] * t_p)
        mean = (n_p + product_shape) / (t_p + product_shape / middle[category])
        shape = _estimate_shape(gaps, mean[product] * days)
        if number:
            drop = shrink_share(np.bincount(product, 1 - alive, n_products), tries, category)
        scale = shape / mean[product] + span
        alive = expit(-logit(drop[product]) - (shape + gaps) * np.log1p(silence / scale))
    return mean, shape, drop


def _estimate_shape(counts: np.ndarray, expected: np.ndarray) -> float:
    """Shape of the Gamma that counts with these means lie around: variance = mean + mean^2 / shape."""
    excess = (np.square(counts - expected) - expected).sum()
    return float(np.clip(np.square(expected).sum() / excess, *SHAPES)) if excess > 0 else SHAPES[1]


# -- what is shown ----------------------------------------------------------------------------


def list_due_again(
    known: Known,
    cadence: Cadence,
    *,
    due_ratio: float = 0.5,
    repeat_share: float = 0.1,
    limit: int | None = None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The pairs that are due, of products that are bought again, each as a product that is available.

    A pair drops out, in this order, where the product is a durable (fewer than `repeat_share` of its
    buyers came back); where it is not due by the end of the horizon; where it is not available and has
    no replacement (`find_replacements`); where its replacement is in the list anyway.

    Args:
        known: what `found` was made from.
        cadence: `fit_cadence(known, ...)`.
        due_ratio: smallest `Cadence.due_ratio`.
        repeat_share: smallest `Cadence.repeat_share`.
        limit: at most so many rows per customer, the most probable ones; None for all.

    Returns:
        Rows by customer, then p_repeat from the largest, then product: customer, product, replaces
        (int32 code of the product bought where another one stands for it, else -1), kind (category:
        `OWN`, `VARIANT`, `SAME_BRAND`), order_days, last_day, usual_gap (float64, the customer's own mean
        gap, NaN below `REGULAR_GAPS` gaps), expected_gap, expected_next_day, due_ratio, p_repeat. And
        how many pairs each step took out: durable, not_due, unavailable, doubled.
    """
    bought_again = cadence.repeat_share[cadence.product] >= repeat_share
    due = cadence.due_ratio >= due_ratio
    instead, same_parent = find_replacements(known)
    shown = np.where(known.available, np.arange(known.n_products), instead)[cadence.product]
    keep = np.flatnonzero(bought_again & due & (shown >= 0))
    single = _show_once(cadence, keep, shown[keep])
    removed = {
        "durable": int((~bought_again).sum()),
        "not_due": int((bought_again & ~due).sum()),
        "unavailable": int((bought_again & due & (shown < 0)).sum()),
        "doubled": len(keep) - len(single),
    }
    keep = single
    keep = keep[np.lexsort((shown[keep], -cadence.p_repeat[keep], cadence.customer[keep]))]
    if limit is not None:
        keep = keep[rank_within(cadence.customer[keep]) <= limit]
    own = shown[keep] == cadence.product[keep]
    kind = np.where(own, 0, np.where(same_parent[cadence.product[keep]], 1, 2))
    gaps = cadence.order_days[keep] - 1
    span = (cadence.last_day[keep] - cadence.first_day[keep]).astype(np.float64)
    rows = pd.DataFrame(
        {
            "customer": cadence.customer[keep],
            "product": shown[keep].astype(np.int32),
            "replaces": np.where(own, -1, cadence.product[keep]).astype(np.int32),
            "kind": pd.Categorical.from_codes(kind, [OWN, VARIANT, SAME_BRAND]),
            "order_days": cadence.order_days[keep],
            "last_day": cadence.last_day[keep],
            "usual_gap": np.where(gaps >= REGULAR_GAPS, span / np.maximum(gaps, 1), np.nan),
            "expected_gap": cadence.expected_gap[keep],
            "expected_next_day": cadence.expected_next_day[keep],
            "due_ratio": cadence.due_ratio[keep],
            "p_repeat": cadence.p_repeat[keep],
        }
    )
    return rows, removed


def _show_once(cadence: Cadence, keep: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """`keep` without second rows of a (customer, shown product): their own purchase of it stays, otherwise
    the most probable of those it would stand for."""
    other = shown != cadence.product[keep]
    key = encode_pairs(cadence.customer[keep], shown, int(shown.max(initial=0)) + 1)
    replaced = np.flatnonzero(other)
    replaced = replaced[np.lexsort((-cadence.p_repeat[keep[replaced]], key[replaced]))]
    first = mark_starts(key[replaced])
    own = key[~other]  # ascending, as the pairs are
    replaced = replaced[first & (find_sorted(own, key[replaced]) < 0)]
    return keep[np.sort(np.r_[np.flatnonzero(~other), replaced])]


def find_replacements(known: Known) -> tuple[np.ndarray, np.ndarray]:
    """For products that are not available at the anchor: what can be offered in their place.

    First another variant (same parent): one that came later, a successor, before one that did not; then
    the nearest price; then the smaller id. Otherwise the product of the same brand and category whose
    price is nearest by ratio, within `PRICE_FACTOR`; ties to the lower price, then the smaller id.

    Returns:
        int64[n_products], code of the replacement, -1 where there is none or none is needed; and
        bool[n_products], whether it has the same parent.
    """
    products = known.products.reset_index(drop=True)
    good = find_offerable(known)
    price = products["price"].to_numpy(dtype=float, na_value=np.nan)
    frame = pd.DataFrame({"code": np.arange(len(products)), "price": price})
    instead, same_parent = np.full(len(products), -1, dtype=np.int64), np.zeros(len(products), dtype=bool)
    if "parent_id" in products:
        start = pd.to_datetime(products["start_at"]) if "start_at" in products else pd.NaT
        variants = frame.assign(parent=number_parents(products), start=start)
        variants = variants[variants["parent"] >= 0]
        both = variants[~known.available[variants["code"]]].merge(
            variants[good[variants["code"]]], on="parent", suffixes=("", "_other")
        )
        both["later"] = both["start_other"] > both["start"]
        both["distance"] = (both["price_other"] - both["price"]).abs()
        both = both.sort_values(
            ["code", "later", "distance", "code_other"], ascending=[True, False, True, True]
        ).drop_duplicates("code")
        instead[both["code"]] = both["code_other"]
        same_parent[both["code"]] = True
    brand, category = (products[name].astype("string").str.strip() for name in ("brand", "category"))
    named = (brand.fillna("") != "") & (category.fillna("") != "") & (price > 0)
    frame["group"] = pd.MultiIndex.from_arrays([brand, category]).factorize()[0]
    frame["price"] = np.log(np.where(price > 0, price, np.nan))
    frame = frame[named].sort_values(["price", "code"])
    nearest = pd.merge_asof(
        frame[~known.available[frame["code"]] & (instead[frame["code"]] < 0)],
        frame[good[frame["code"]]].drop_duplicates(["group", "price"]),
        on="price",
        by="group",
        direction="nearest",
        tolerance=float(np.log(PRICE_FACTOR)) + 1e-9,
        suffixes=("", "_other"),
    ).dropna(subset="code_other")
    instead[nearest["code"]] = nearest["code_other"].astype(np.int64)
    return instead, same_parent
