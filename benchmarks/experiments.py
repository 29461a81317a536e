"""What the analysis of experiments claims, tried on experiments whose truth is known.

    python -m benchmarks.experiments

Every experiment is drawn anew: customers who buy more or less often, baskets of very different worth, an arm that
raises the number of orders by a known share, and arms by the hash that publishes them. It is then analysed as the weekly
run would: once a week for eight weeks, with the verdict of each. Ends with 1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.tired import draw_log
from recs_assets.experiments.analysis import ONCE, analyse
from recs_assets.experiments.fatigue import measure_fatigue
from recs_assets.experiments.file import Experiment, assign
from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.moments import Values, add_up, compare, measure
from recs_assets.experiments.off_policy import METHODS, Decisions, estimate
from recs_assets.experiments.plan import plan
from recs_assets.experiments.sample_ratio import check_sample_ratio
from recs_assets.experiments.verdict import BETTER, judge

WEEKS, BEFORE, CUSTOMERS = 8, 8, 4000
LIFT = 0.15
SEGMENTS = 20


def main(arguments: list[str] | None = None) -> int:
    """Try every claim and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000, help="drawn per claim")
    parser.add_argument("--seed", type=int, default=16)
    parsed = parser.parse_args(arguments)
    sys.stdout.write("| claim | experiments | must hold | found | 95 % of it | holds |\n")
    sys.stdout.write("|---|---:|---|---:|---:|---|\n")
    held = True
    for place, trial in enumerate(
        (
            try_peeks,
            try_rare_arm,
            try_coverage,
            try_cuped,
            try_lost_customers,
            try_draw,
            try_segments,
            try_plan,
            try_off_policy,
            try_fatigue,
            try_stolen,
        )
    ):
        begun = time.perf_counter()
        for row in trial(np.random.default_rng([parsed.seed, place]), parsed.experiments):
            held &= row.holds is not False
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
        sys.stderr.write(f"{trial.__name__}: {time.perf_counter() - begun:.0f} s\n")
    return 0 if held else 1


@dataclass(frozen=True)
class Row:
    """One line of the table; `holds` is None where nothing was claimed."""

    claim: str
    experiments: int
    wanted: str
    found: str
    interval: str
    holds: bool | None

    def __str__(self) -> str:
        holds = {None: "", True: "yes", False: "NO"}[self.holds]
        cells = (self.claim, f"{self.experiments:,}", self.wanted, self.found, self.interval, holds)
        return f"| {' | '.join(cells)} |"


def count(claim, hits, least=0.0, most=1.0, wanted=""):
    """A row about how often something happened: it holds unless the binomial interval excludes what was claimed."""
    hits = np.asarray(hits)
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    holds = None if not wanted else bool(interval.low <= most and interval.high >= least)
    ends = f"{100 * interval.low:.1f}-{100 * interval.high:.1f} %"
    return Row(claim, len(hits), wanted, f"{100 * hits.mean():.1f} %", ends, holds)


# -- a shop --------------------------------------------------------------------------------------------------------


def declare(name="trial", share=0.5, primary="revenue", guardrails=(), detectable=0.05):
    """An experiment of eight weeks."""
    return Experiment.model_validate(
        {
            "name": name,
            "hypothesis": "The ranker sells more than the blend.",
            "campaign": "weekly_email",
            "starts": date(2026, 1, 5),
            "weeks": WEEKS,
            "primary": primary,
            "guardrails": dict.fromkeys(guardrails, 0.0),
            "detectable": detectable,
            "before_weeks": BEFORE,
            "control": "blend",
            "arms": {"blend": {"share": 1 - share}, "ranker": {"share": share}},
        }
    )


@dataclass(frozen=True)
class Shop:
    """What its customers did, per metric."""

    arm: np.ndarray
    metrics: dict[str, Values]

    def read(self, name):
        return self.metrics[name]


def draw(rng, experiment, customers=CUSTOMERS, lift=0.0, weeks=WEEKS):
    """Customers, their arms, and what they bought before and since.

    Orders per week are Poisson around a rate of the customer's own (gamma, so that few buy often); a basket's worth is
    log-normal around a level of their own. The arm `ranker` raises the rate by the lift.
    """
    arm = assign(experiment, (f"c{number}" for number in range(customers)))["arm"].to_numpy()
    rate = rng.gamma(0.8, 0.35, customers)
    level = rng.lognormal(3.0, 0.4, customers)
    raised = rate * np.where(arm == "ranker", 1 + lift, 1.0)
    orders = np.column_stack(
        [rng.poisson(rate * BEFORE), rng.poisson(np.repeat(raised[:, None], weeks, axis=1))]
    )
    cell = np.repeat(np.arange(orders.size), orders.ravel())
    worth = rng.lognormal(0.0, 0.7, len(cell)) * level[cell // orders.shape[1]]
    revenue = np.bincount(cell, weights=worth, minlength=orders.size).reshape(orders.shape)
    orders = orders.astype(np.float64)
    margin = revenue * 0.3
    left = (rng.random((customers, weeks)) < 0.004).astype(np.float64)
    return Shop(
        arm,
        {
            "revenue": Values(revenue[:, 1:], None, revenue[:, 0]),
            "margin": Values(margin[:, 1:], None, margin[:, 0]),
            "orders": Values(orders[:, 1:], None, orders[:, 0]),
            "order_value": Values(revenue[:, 1:], orders[:, 1:], revenue[:, 0], orders[:, 0]),
            "unsubscribes": Values(left),
        },
    )


def look_weekly(experiment, shop, **others):
    """What every week's analysis says, the first week first; the same as eight analyses
    (tests/experiments/test_experiment_analysis.py)."""
    results = analyse(experiment, WEEKS, shop.arm, shop.read, **others).results
    return {name: rows.to_dict("records") for name, rows in results.groupby("metric")}


# -- the claims ----------------------------------------------------------------------------------------------------


def try_peeks(rng, experiments, share=0.5, label="A/A, 50:50"):
    """Arms that are the same, looked at every week."""
    alarms, harms, naive = [], [], []
    for number in range(experiments):
        experiment = declare(f"trial_{number}", share, guardrails=("margin", "unsubscribes"))
        each = look_weekly(experiment, draw(rng, experiment))
        rows = each["revenue"]
        alarms.append(any(row["proven"] in ("better", "worse") for row in rows))
        guarded = (row["proven"] for name in experiment.guardrails for row in each[name])
        harms.append("worse" in set(guarded))
        naive.append(any(abs(find_distance(row)) > ONCE for row in rows))
    return [
        count(
            f"{label}: a peek every week for 8 weeks, false alarms", alarms, most=0.05, wanted="at most 5 %"
        ),
        count(f"{label}: one of two guardrails called worse", harms, most=0.05, wanted="at most 5 %"),
        count(f"{label}: the same with the interval of a single look", naive),
    ]


def try_rare_arm(rng, experiments):
    """The same with a tenth of the customers in the arm."""
    return try_peeks(rng, experiments, 0.1, "A/A, 90:10")[:2]


def find_distance(row):
    """How many standard errors an estimate is away from no effect."""
    error = (np.log1p(row["lift_high"]) - np.log1p(row["lift"])) / row["bound"]
    return np.log1p(row["lift"]) / error


def try_coverage(rng, experiments):
    """A true lift of orders, and none of the worth of an order."""
    covered = {"orders": [], "order_value": []}
    for number in range(experiments):
        experiment = declare(f"trial_{number}", 0.3, "orders")
        shop = draw(rng, experiment, lift=LIFT)
        each = look_weekly(experiment, shop, others=["order_value"])
        for metric, true in (("orders", LIFT), ("order_value", 0.0)):
            covered[metric].append([row["lift_low"] <= true <= row["lift_high"] for row in each[metric]])
    rows = []
    for metric, label in (("orders", f"true lift of {LIFT:.0%}"), ("order_value", "true lift 0 of a ratio")):
        inside = np.array(covered[metric])
        label = label.replace("%", " %")
        wanted = {"least": 0.93, "most": 0.97, "wanted": "93-97 %"}
        rows.append(count(f"{label}: in the interval of all 8 weeks", inside.all(axis=1), **wanted))
        rows.append(count(f"{label}: in the interval of the last week", inside[:, -1], **wanted))
    return rows


def try_cuped(rng, experiments):
    """How much the weeks before the start narrow the interval, and how much they should."""
    promised, got, plain, adjusted = [], [], [], []
    one, other = np.array([1]), np.array([0])
    for number in range(experiments):
        experiment = declare(f"trial_{number}")
        shop = draw(rng, experiment)
        rows, _ = add_up(shop.metrics["revenue"], METRICS["revenue"], slice(0, WEEKS))
        moments = measure(rows, (shop.arm == "ranker").astype(int), 2)
        correlation = np.corrcoef(rows[0], rows[2])[0, 1]
        with_before, without = compare(moments, one, other), compare(moments, one, other, slope=0.0)
        promised.append(1 - np.sqrt(1 - correlation**2))
        got.append(1 - with_before.error[0] / without.error[0])
        adjusted.append(with_before.estimate[0])
        plain.append(without.estimate[0])
    off = np.abs(np.array(got) - promised)
    true = 1 - np.std(adjusted) / np.std(plain)
    return [
        Row(
            "CUPED narrows the interval as the correlation promises",
            experiments,
            f"{100 * np.mean(promised):.1f} % narrower, within 1 point",
            f"{100 * np.mean(got):.1f} % narrower",
            f"off by {100 * off.mean():.2f}, at most {100 * off.max():.2f} points",
            bool(off.mean() <= 0.01),
        ),
        Row(
            "CUPED: the estimates themselves spread less",
            experiments,
            f"{100 * np.mean(promised):.1f} % less, within 4 points",
            f"{100 * true:.1f} % less",
            "",
            bool(abs(true - np.mean(promised)) <= 0.04),
        ),
    ]


def try_lost_customers(rng, experiments):
    """Even arms of which one loses customers on the way, until 2,000 are left, 55 to 45."""
    shares = {"blend": 0.5, "ranker": 0.5}
    found, wrong = [], []
    for number in range(experiments):
        experiment = declare(f"trial_{number}")
        arms = assign(experiment, (f"c{customer}" for customer in range(2222)))["arm"]
        assigned = arms.value_counts().to_dict()
        kept = {"blend": assigned["blend"], "ranker": int(rng.binomial(assigned["ranker"], 9 / 11))}
        found.append(check_sample_ratio(shares, assigned, kept).problem is not None)
        even = {arm: int(rng.binomial(size, 0.9)) for arm, size in assigned.items()}
        wrong.append(check_sample_ratio(shares, assigned, even).problem is not None)
    return [
        count("55:45 at 2,000 customers, one arm lost them", found, least=0.99, wanted="found in 99 %"),
        count("a tenth lost in both arms alike: called invalid", wrong, most=0.01, wanted="at most 1 %"),
    ]


def try_draw(rng, experiments):
    """A draw that is not even: 2,000 customers of whom each falls to one arm with 55 %."""
    shares = {"blend": 0.5, "ranker": 0.5}
    rows = []
    for customers, least, wanted in ((2000, 0.0, ""), (4000, 0.99, "found in 99 %")):
        drawn = rng.binomial(customers, 0.55, experiments)
        found = []
        for size in drawn.tolist():
            counts = {"blend": size, "ranker": customers - size}
            found.append(check_sample_ratio(shares, counts, counts).problem is not None)
        claim = f"55:45 drawn by a wrong hash, {customers:,} customers"
        rows.append(count(claim, found, least=least, wanted=wanted))
    return rows


def try_segments(rng, experiments):
    """Twenty segments that do not differ."""
    drawn_apart, alone = [], []
    for number in range(experiments):
        experiment = declare(f"trial_{number}")
        shop = draw(rng, experiment)
        of_customer = np.array([f"s{code:02d}" for code in rng.integers(0, SEGMENTS, CUSTOMERS)])
        found = analyse(experiment, WEEKS, shop.arm, shop.read, segments={"city": of_customer}).segments
        drawn_apart.append(found["differs"].any())
        rows, _ = add_up(shop.metrics["revenue"], METRICS["revenue"], slice(0, WEEKS))
        code = pd.factorize(of_customer, sort=True)[0]
        moments = measure(rows, (shop.arm == "ranker") * SEGMENTS + code, 2 * SEGMENTS)
        each = np.arange(SEGMENTS)
        lifts = compare(moments, each + SEGMENTS, each)
        alone.append((np.abs(lifts.estimate) > ONCE * lifts.error).any())
    return [
        count("20 segments alike: one is said to differ", drawn_apart, most=0.05, wanted="at most 5 %"),
        count("20 segments alike: one has an interval of its own without 0", alone),
    ]


def try_plan(rng, experiments):
    """The lift that the plan says is found with 80 %, from a shop's past."""
    experiment = declare(primary="orders", detectable=0.1)
    past = draw(np.random.default_rng(1), experiment, customers=200_000).metrics["orders"]
    table = plan(experiment, past).table
    # Noise falls with the root of the customers.
    lift = float(np.expm1(np.log1p(table["detectable"].iloc[-1]) * np.sqrt(200_000 / CUSTOMERS)))
    found = []
    for number in range(experiments):
        trial = declare(f"trial_{number}", primary="orders")
        shop = draw(rng, trial, lift=lift)
        found.append(any(row["proven"] == "better" for row in look_weekly(trial, shop)["orders"]))
    claim = f"the plan's lift of {100 * lift:.1f} % is found with the power it says"
    return [count(claim, found, least=0.77, most=0.83, wanted="80 %, within 3 points")]


def draw_slots(rng, customers, weeks=2):
    """Drawn slots of customers, two weeks each: 8 products of which some are clicked more often than the logged model says.

    Returns:
        float64[slots, 8] what each earns on average, the logged probabilities, those of a policy that knows better, and the
        logged model's own figure.
    """
    n, m = customers * weeks, 8
    likely = np.repeat(rng.beta(2, 30, (customers, m)), weeks, axis=0)
    true = likely * rng.lognormal(0.0, 0.8, (n, m))
    true = np.minimum(true * np.repeat(rng.lognormal(0.0, 0.3, customers), weeks)[:, None], 0.9)
    allowed = likely >= 0.25 * likely.max(axis=1, keepdims=True)
    share = np.where(allowed, likely, 0.0) / np.where(allowed, likely, 0.0).sum(axis=1, keepdims=True)
    first = likely == likely.max(axis=1, keepdims=True)
    logged = 0.6 * share + 0.4 * first
    guess = np.where(allowed, likely * rng.lognormal(0.0, 0.2, (n, m)) + true, 0.0)
    other = 0.3 * share + 0.7 * (guess == guess.max(axis=1, keepdims=True))
    return true, logged, other, likely


def try_off_policy(rng, experiments):
    """What another policy earns in drawn slots, from the log of the first."""
    true, _, other, _ = draw_slots(np.random.default_rng(2), 400_000)
    worth = float((true * other).sum(axis=1).mean())
    inside, width, refused = {name: [] for name in METHODS}, {name: [] for name in METHODS}, []
    for _ in range(experiments):
        true, logged, other, likely = draw_slots(rng, 2000)
        n = len(true)
        every = np.arange(n)
        lot = rng.random(n)[:, None]
        taken = np.minimum((np.cumsum(logged, axis=1) < lot).sum(axis=1), true.shape[1] - 1)
        reward = (rng.random(n) < true[every, taken]).astype(float)
        factor = reward.sum() / likely[every, taken].sum()
        log = Decisions(
            reward,
            other[every, taken] / logged[every, taken],
            factor * likely[every, taken],
            factor * (other * likely).sum(axis=1),
            np.zeros(n),
            every // 2,
        )
        for row in estimate(log).rows.to_dict("records")[1:]:
            inside[row["method"]].append(row["low"] <= worth <= row["high"])
            width[row["method"]].append(row["high"] - row["low"])
        # A policy that puts something the log never drew into a tenth of the slots.
        refused.append(
            estimate(replace(log, unsupported=(every % 10 == 0).astype(float))).refusal is not None
        )
    labels = {"ips": "IPS", "snips": "self-normalised IPS", "dr": "doubly robust"}
    rows = [
        count(f"another policy in 4,000 drawn slots, {labels[name]}: its true worth is in the interval",
              inside[name], least=0.93, most=0.97, wanted="93-97 %")
        for name in METHODS
    ]  # fmt: skip
    narrower = [1 - np.mean(width[name]) / np.mean(width["ips"]) for name in METHODS[1:]]
    found = f"{100 * narrower[0]:.1f} % and {100 * narrower[1]:.1f} %"
    return [
        *rows,
        Row(
            "intervals narrower than of IPS: self-normalised, doubly robust", experiments, "", found, "", None
        ),
        count("a tenth of it could not be drawn: refused", refused, least=1.0, wanted="always"),
    ]


def try_fatigue(rng, experiments):
    """People who tire by a known factor, and people who do not."""
    rows = []
    covers = {"least": 0.93, "most": 0.97, "wanted": "93-97 %"}
    tells = {0.8: {"least": 0.8, "wanted": "at least 80 %"}, 1.0: {"most": 0.05, "wanted": "at most 5 %"}}
    for factor, wobble in ((0.8, 0.1), (1.0, 0.1), (0.8, 0.3), (1.0, 0.3)):
        found = [measure_fatigue(draw_log(rng, factor, wobble)) for _ in range(experiments)]
        claimed = wobble == 0.1
        label = f"each further showing multiplies clicks by {factor:g}"
        if not claimed:
            label += f", p_purchase wobbles by {100 * wobble:.0f} %"
        middle = float(np.exp(np.mean(np.log([one.factor for one in found]))))
        inside = [one.low <= factor <= one.high for one in found]
        rows += [
            count(f"{label}: in the interval", inside, **(covers if claimed else {})),
            count(
                f"{label}: people are said to tire",
                [one.proven for one in found],
                **(tells[factor] if claimed else {}),
            ),
            Row(f"{label}: found on average", experiments, "", f"{middle:.3f}", "", None),
        ]
    return rows


def try_stolen(rng, experiments):
    """An arm through whose lists much is bought, all of it instead of something else."""
    wrong, sunk, share = [], [], []
    for number in range(experiments):
        experiment = declare(f"trial_{number}")
        shop = draw(rng, experiment)
        revenue, ours = shop.metrics["revenue"], shop.arm == "ranker"
        through = revenue.amounts * np.where(ours, rng.beta(3, 7, len(ours)), 0.0)[:, None]
        shop.metrics["other_revenue"] = Values(revenue.amounts - through, None, revenue.before)
        analysis = analyse(experiment, WEEKS, shop.arm, shop.read, others=["other_revenue"])
        sizes = pd.Series(shop.arm).value_counts().to_dict()
        [verdict] = judge(experiment, analysis, check_sample_ratio(experiment.shares, sizes, sizes))
        results = analysis.results
        peeks = results.loc[results["metric"] == "revenue", "proven"]
        wrong.append(verdict.kind == BETTER or (peeks == "better").any())
        sunk.append(results.loc[results["metric"] == "other_revenue", "lift_high"].iloc[-1] < 0)
        share.append(through[ours].sum() / revenue.amounts[ours].sum())
    label = "all that is bought through the lists is stolen"
    level = {"least": 0.95, "wanted": "95 %"}
    return [
        Row(
            f"{label}: attributed share of the arm's revenue",
            experiments,
            "",
            f"{100 * np.mean(share):.0f} %",
            "",
            None,
        ),
        count(f"{label}: never called better in 8 weeks", ~np.array(wrong), **level),
        count(f"{label}: less is bought outside the lists", sunk, **level),
    ]


if __name__ == "__main__":
    sys.exit(main())
