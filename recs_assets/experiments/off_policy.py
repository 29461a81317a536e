"""What another policy would have earned in slots that were drawn by lot, from what the drawn products earned.

A decision is a slot that was drawn: the log has the reward of the product that stood there and, product by product, the
probability with which it was drawn. Three estimates of the mean reward per decision under the probabilities of another
policy, w being its probability of the drawn product over the logged one:

    ips     mean of w r: unbiased (Horvitz and Thompson, *A generalization of sampling without replacement from a finite
            universe*, 1952)
    snips   sum of w r over sum of w: a little bias, less noise where rewards do not lie around 0 (Swaminathan and
            Joachims, *The self-normalized estimator for counterfactual learning*, 2015)
    dr      mean of m + w (r - q): a model of the reward, q of the drawn product and m on average over the other policy's,
            and what it missed; unbiased whatever the model (Dudik, Langford and Li, *Doubly robust policy evaluation and
            learning*, 2011)

Intervals are by the influence function, over customers: several decisions of one customer are one observation. Weights are
not clipped: that would be a bias of unknown size. Where the log cannot say, it says so: the other policy's products could
not be drawn, or so few decisions carry the weight, or the reward, that no interval is to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy.stats import t

METHODS = ("ips", "snips", "dr")
# Of the other policy's probability, on average over decisions, so much may lie on what the log could not draw.
MOST_UNSUPPORTED = 0.05
# Decisions that the weights are worth, at least: (sum of w)^2 / sum of w^2.
LEAST_EFFECTIVE = 100.0
# Decisions with a reward that the other policy could have earned, at least.
LEAST_REWARDED = 10


@dataclass(frozen=True)
class Decisions:
    """n drawn slots under the log and under another policy.

    Attributes:
        reward: float64[n], of the product that stood there.
        weight: float64[n], w: the other policy's probability of it over the logged one.
        predicted: float64[n], a model's reward of it.
        expected: float64[n], the model's mean reward over what the other policy would draw.
        unsupported: float64[n], the other policy's probability of what the log could not draw; the weights and the
            model's mean are of the rest of it.
        customer: n keys, of whom.
    """

    reward: np.ndarray
    weight: np.ndarray
    predicted: np.ndarray
    expected: np.ndarray
    unsupported: np.ndarray
    customer: np.ndarray

    def take(self, which: np.ndarray) -> Decisions:
        """Some of them."""
        return Decisions(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True)
class Estimate:
    """What a policy would have earned per decision.

    Attributes:
        rows: method ("logged": what was earned), value, low, high, and less the logged one: gained, gained_low,
            gained_high; 95 % intervals, each read once. Only "logged" where the estimates are refused.
        decisions: how many there were, without those of which the log could have drawn nothing that the policy would.
        effective: how many the weights are worth.
        unsupported: the other policy's share of probability that the log could not draw.
        refusal: one sentence why the log cannot say; None where it can.
    """

    rows: pd.DataFrame
    decisions: int
    effective: float
    unsupported: float
    refusal: str | None


def match_policies(decisions: pd.DataFrame, logged: pd.DataFrame, target: pd.DataFrame) -> Decisions:
    """Decisions with the weights of another policy.

    The model of the reward is the logged `value` times one factor, fitted to what was earned.

    Args:
        decisions: decision (key), customer, action (taken), reward.
        logged: decision, action, probability, value: everything that could have been taken, the value being anything that
            the reward may be in proportion to, such as the probability of a purchase.
        target: decision, action, probability of the other policy; those of a decision add up to 1, or to less where it
            would do nothing.
    """
    key = ["decision", "action"]
    both = logged.merge(target.rename(columns={"probability": "wanted"}), how="left", on=key)
    both["wanted"] = both["wanted"].fillna(0.0)
    both["worth"] = both["wanted"] * both["value"]
    per = both.groupby("decision")[["wanted", "worth"]].sum().reindex(decisions["decision"])
    supported, worth = per["wanted"].to_numpy(), per["worth"].to_numpy()
    taken = decisions[key].merge(both, how="left", on=key)
    rest = np.where(supported > 0, supported, 1.0)
    reward, value = decisions["reward"].to_numpy(dtype=float), taken["value"].to_numpy(dtype=float)
    factor = reward.sum() / value.sum() if value.sum() > 0 else 0.0
    return Decisions(
        reward,
        (taken["wanted"] / taken["probability"]).to_numpy() / rest,
        factor * value,
        factor * worth / rest,
        np.clip(1 - supported, 0, 1),
        decisions["customer"].to_numpy(),
    )


def estimate(decisions: Decisions) -> Estimate:
    """The other policy's mean reward per decision, where the log can say: of what the log could not draw, nothing is said."""
    if len(decisions.reward) == 0:
        return Estimate(pd.DataFrame(), 0, 0.0, 0.0, "No slot was drawn, so there is nothing to learn from.")
    unsupported = float(decisions.unsupported.mean())
    if unsupported <= MOST_UNSUPPORTED:
        decisions = decisions.take(decisions.unsupported < 1)
    reward, weight, n = decisions.reward, decisions.weight, len(decisions.reward)
    squares = float(np.square(weight).sum())
    effective = float(weight.sum()) ** 2 / squares if squares else 0.0
    groups = pd.factorize(decisions.customer, sort=True)[0]
    logged = reward.mean(), reward - reward.mean()
    rows = [_describe("logged", *logged, logged, groups)]
    rewarded = int(((reward != 0) & (weight > 0)).sum())
    refusal = None
    if unsupported > MOST_UNSUPPORTED:
        refusal = (
            f"{unsupported:.1%} of what this policy would put into the drawn slots could not have been drawn there, and "
            f"the log can bear {MOST_UNSUPPORTED:.0%}: compare the two in an experiment."
        )
    elif effective < LEAST_EFFECTIVE:
        refusal = (
            f"The {n:,} drawn slots are worth {effective:.0f} for this policy, and {LEAST_EFFECTIVE:.0f} are needed: log "
            "more weeks, or raise exploration_share."
        )
    elif rewarded < LEAST_REWARDED:
        refusal = (
            f"Only {rewarded} of the drawn slots that this policy could have filled so earned anything, and "
            f"{LEAST_REWARDED} are needed: log more weeks, or ask for a reward that is less rare."
        )
    if refusal is None:
        ips, mean = weight * reward, weight.mean()
        snips = ips.sum() / weight.sum()
        dr = decisions.expected + weight * (reward - decisions.predicted)
        for method, value, influence in (
            ("ips", ips.mean(), ips - ips.mean()),
            ("snips", snips, weight * (reward - snips) / mean),
            ("dr", dr.mean(), dr - dr.mean()),
        ):
            rows.append(_describe(method, value, influence, logged, groups))
    return Estimate(pd.DataFrame(rows), n, effective, unsupported, refusal)


def _describe(
    method: str, value: float, influence: np.ndarray, logged: tuple[float, np.ndarray], groups: np.ndarray
) -> dict[str, object]:
    """One row of `Estimate.rows`."""
    reach, apart = (_measure_reach(part, groups) for part in (influence, influence - logged[1]))
    gained = value - logged[0]
    return {
        "method": method,
        "value": value,
        "low": value - reach,
        "high": value + reach,
        "gained": gained,
        "gained_low": gained - apart,
        "gained_high": gained + apart,
    }


def _measure_reach(influence: np.ndarray, groups: np.ndarray) -> float:
    """Half of the 95 % interval of a mean whose influence function adds up to 0, over groups of decisions."""
    size = int(groups.max()) + 1
    if size < 2:
        return float("inf")
    sums = np.bincount(groups, weights=influence, minlength=size)
    error = np.sqrt(np.square(sums).sum() * size / (size - 1)) / len(influence)
    return float(t.ppf(0.975, size - 1) * error)
