"""Each gate with figures that can be checked by hand."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from recs_assets.config import read_yaml
from recs_assets.evaluation import gates, metrics
from recs_assets.evaluation.facts import WithdrawalCounts
from recs_assets.evaluation.thresholds import Change, Gates, Range, Volume
from recs_assets.evaluation.verdict import ADVICE, Verdict, explain_refusals, overrule, tabulate
from recs_assets.schema import SettingsError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "recs_assets" / "gates.yaml"
LIMITS = read_yaml(SHIPPED, Gates, "The gates")
EARLIER = date(2025, 6, 23)
WEEK = date(2025, 6, 30)


def rows(lists: list[list[int]], score: float | None = None) -> pd.DataFrame:
    """Lists by customer: products in order of rank, with falling scores or one."""
    return pd.DataFrame(
        [
            (customer, product, rank, score if score is not None else customer + 1 / rank)
            for customer, products in enumerate(lists)
            for rank, product in enumerate(products, 1)
        ],
        columns=["customer", "product", "rank", "score"],
    )


# 20 customers with twelve products each, no two with the same set.
DIFFERENT = [list(range(customer, customer + 12)) for customer in range(20)]
SAME = [list(range(12)) for _ in range(20)]


def spread(lists: pd.DataFrame, limits: Gates = LIMITS) -> list[Verdict]:
    columns = (lists[name].to_numpy() for name in ("customer", "product", "score"))
    return gates.judge_spread(*columns, "lists", limits)


# -- volume -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "passed"),
    [
        (1000, 1000, True),
        (1000, 101, True),
        (1000, 100, False),  # a tenth
        (1000, 9999, True),
        (1000, 10_000, False),  # ten times
        (8, 80, False),  # ten times, and 72 more
        (5, 54, True),  # more than ten times, but 49 more
        (5, 55, False),
        (60, 11, True),
        (60, 10, True),  # 50 fewer, but a sixth
        (60, 6, False),
        (40, 0, True),  # all gone, but only 40
        (50, 0, False),
        (0, 49, True),
        (0, 50, False),
    ],
)
def test_a_count_may_neither_fall_to_a_tenth_nor_rise_tenfold(old: int, new: int, passed: bool) -> None:
    [verdict] = gates.judge_volume({"orders": new}, {"orders": old}, EARLIER, LIMITS.volume)
    assert verdict.passed is passed
    assert (verdict.gate, verdict.subject, verdict.value) == ("volume", "orders", new)


def test_the_refusal_of_a_spike_has_both_counts() -> None:
    before = {"orders": 310, "orders, last 7 days": 8}
    verdicts = gates.judge_volume({"orders": 382, "orders, last 7 days": 80}, before, EARLIER, LIMITS.volume)
    assert [(one.limit_low, one.limit_high) for one in verdicts] == [(32, 3099), (0, 79)]
    assert explain_refusals(verdicts) == {
        "volume": "Gate volume: orders in the last 7 days: 80 rows after 8 in week 2025-06-23, where at "
        "most 79 may be: look at the export, or set RECS_GATE_OVERRIDE to the reason why this is right."
    }


def test_directions_have_limits_of_their_own() -> None:
    limits = Volume(drop=Change(factor=2, min_change=1), spike=Change(factor=4, min_change=10), bursts=())
    passed = {
        new: gates.judge_volume({"orders": new}, {"orders": 20}, EARLIER, limits)[0].passed
        for new in (10, 11, 79, 80)
    }
    assert passed == {10: False, 11: True, 79: True, 80: False}


def test_what_comes_in_bursts_is_counted_by_week_and_judged_in_all() -> None:
    subjects = ("promotions", "promotions, last 7 days")
    verdicts = gates.judge_volume(
        dict.fromkeys(subjects, 900), dict.fromkeys(subjects, 9), EARLIER, LIMITS.volume
    )
    assert [one.passed for one in verdicts] == [False, True]
    assert verdicts[1].sentence == (
        "promotions in the last 7 days: 900 rows after 9 in week 2025-06-23 (not judged: promotions comes in "
        "bursts)."
    )


def test_the_first_events_of_the_first_campaign_stop_nothing() -> None:
    [verdict] = gates.judge_volume({"campaign_events": 900}, {"campaign_events": 0}, EARLIER, LIMITS.volume)
    assert verdict.passed
    assert verdict.sentence == (
        "campaign_events in all: 900 rows after 0 in week 2025-06-23 (not judged: campaign_events had none before)."
    )


def test_a_first_week_passes_and_says_so() -> None:
    [verdict] = gates.judge_volume({"orders": 1}, {}, None, LIMITS.volume)
    assert verdict.passed
    assert verdict.sentence == "orders in all: 1 row; no earlier week is published to compare with."


# -- freshness --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "orders", "age", "passed"),
    [
        (datetime(2025, 6, 29, 12), 50, 0.5, True),
        (datetime(2025, 6, 23), 50, 7.0, True),
        (datetime(2025, 6, 22), 50, 8.0, False),
        (datetime(2025, 6, 22), 49, 8.0, True),  # too few to say
    ],
)
def test_orders_older_than_a_week_are_stale(newest: datetime, orders: int, age: float, passed: bool) -> None:
    verdict = gates.judge_freshness(newest, orders, WEEK, LIMITS.freshness)
    assert (verdict.value, verdict.passed) == (age, passed)


def test_the_refusal_of_stale_orders_says_how_old_they_are() -> None:
    stale = gates.judge_freshness(datetime(2025, 6, 20), 310, WEEK, LIMITS.freshness)
    assert explain_refusals([stale]) == {
        "freshness": "Gate freshness: The newest order is 10.0 days old at 2025-06-30, where at most 7 may "
        "be: deliver the newest orders, or set RECS_GATE_OVERRIDE to the reason why this is right."
    }
    assert not gates.judge_freshness(None, 0, WEEK, LIMITS.freshness).passed


# -- lists ------------------------------------------------------------------------------------


def test_sound_lists_pass() -> None:
    lists = rows(DIFFERENT)
    verdicts = [
        gates.judge_finite(lists["score"].to_numpy(), "lists"),
        *spread(lists),
        gates.judge_coverage(lists, 31, "lists", LIMITS, personal=True),
        gates.judge_fill(20, 20, "lists", LIMITS),
        gates.judge_sameness(lists, 31, "lists", LIMITS, personal=True),
    ]
    assert [one.passed for one in verdicts] == [True] * 6
    assert [one.value for one in verdicts] == [0, 0, 240, 1.0, 1.0, 0.05]


def test_scores_that_are_not_finite_are_refused_and_never_let_through() -> None:
    verdict = gates.judge_finite(np.array([1.0, math.nan, math.inf, 2.0]), "lists")
    assert (verdict.value, verdict.passed) == (2, False)
    assert overrule([verdict], "I know") == [verdict]
    assert explain_refusals([verdict])["finite"].startswith(
        "Gate finite: lists: 2 of 4 scores are not finite, where at most 0 may be: "
    )


def test_constant_scores_are_refused() -> None:
    flat, distinct = spread(rows(DIFFERENT, score=0.5))
    assert (flat.value, flat.passed) == (1.0, False)
    assert (distinct.value, distinct.limit_low, distinct.passed) == (1, 5, False)


def test_half_of_the_lists_may_be_flat() -> None:
    lists = rows(DIFFERENT)
    lists.loc[lists["customer"] < 10, "score"] = 0.5
    assert (spread(lists)[0].value, spread(lists)[0].passed) == (0.5, True)
    lists.loc[lists["customer"] < 11, "score"] = 0.5
    assert (spread(lists)[0].value, spread(lists)[0].passed) == (0.55, False)


def test_a_list_of_one_row_is_not_flat_and_one_product_needs_one_score() -> None:
    flat, distinct = spread(rows([[7]] * 20, score=0.5))
    assert (flat.value, flat.passed) == (None, True)
    assert (distinct.value, distinct.limit_low, distinct.passed) == (1, 1, True)


def test_everybody_with_the_same_set_is_refused_whatever_its_order() -> None:
    turned = rows([products[::-1] if customer % 2 else products for customer, products in enumerate(SAME)])
    verdict = gates.judge_sameness(turned, 31, "emails", LIMITS, personal=True)
    assert (verdict.value, verdict.passed) == (1.0, False)
    assert verdict.sentence == (
        "emails: 20 of 20 customers get the same set of 12 (100 %), where at most 70 % may be."
    )
    by_popularity = gates.judge_sameness(turned, 31, "emails", LIMITS, personal=False)
    assert by_popularity.passed
    assert "gives everybody the same on purpose" in by_popularity.sentence
    assert not gates.judge_sameness(turned, 13, "emails", LIMITS, personal=True).passed
    assert gates.judge_sameness(turned, 12, "emails", LIMITS, personal=True).passed  # nothing to choose from


def test_sameness_looks_at_the_first_twelve_and_at_short_lists() -> None:
    tails = rows([[*range(12), 100 + customer] for customer in range(20)])
    assert gates.judge_sameness(tails, 31, "lists", LIMITS, personal=True).value == 1.0
    short = rows([[0]] * 5 + [[0, 1]] * 8 + [[1]] * 7)
    assert gates.judge_sameness(short, 31, "lists", LIMITS, personal=True).value == 0.4


def test_coverage_is_held_against_what_the_lists_could_show() -> None:
    limits = LIMITS.model_copy(
        update={"lists": LIMITS.lists.model_copy(update={"coverage": Range(low=0.1, high=0.8)})}
    )
    verdicts = [
        gates.judge_coverage(rows(SAME), 24, "lists", limits, personal=True),  # 12 of 24
        gates.judge_coverage(rows(SAME), 1000, "lists", limits, personal=True),  # 12 of 240 rows
        gates.judge_coverage(rows(DIFFERENT), 31, "lists", limits, personal=True),  # 31 of 31
    ]
    assert [one.value for one in verdicts] == [0.5, 0.05, 1.0]
    assert [one.passed for one in verdicts] == [True, False, False]


def test_half_of_the_eligible_must_have_a_full_list() -> None:
    ten, nine = (gates.judge_fill(full, 20, "weekly_email", LIMITS) for full in (10, 9))
    assert (ten.value, ten.passed, nine.value, nine.passed) == (0.5, True, 0.45, False)
    assert gates.judge_fill(0, 20, "weekly_email", LIMITS).sentence == (
        "weekly_email: 0 of 20 eligible customers have a full list (0 %), where at least 50 % must be."
    )
    assert gates.judge_fill(0, 0, "weekly_email", LIMITS).value is None
    # A refusal names the rule that stands in the way; what passes needs no excuse.
    why = "without rules.max_per_brand 15 of 20 that were looked at would have one"
    assert explain_refusals([gates.judge_fill(5, 20, "weekly_email", LIMITS, why)])["fill"] == (
        "Gate fill: weekly_email: 5 of 20 eligible customers have a full list (25 %), where at least 50 % must be, and "
        "without rules.max_per_brand 15 of 20 that were looked at would have one: look at stock, sale dates and rules, or set "
        "RECS_GATE_OVERRIDE to the reason why this is right."
    )
    assert why not in gates.judge_fill(19, 20, "weekly_email", LIMITS, why).sentence


def test_nineteen_customers_are_too_few_to_judge_a_share() -> None:
    lists = rows(SAME[:19], score=0.5)
    verdicts = [
        *spread(lists),
        gates.judge_fill(0, 19, "emails", LIMITS),
        gates.judge_sameness(lists, 31, "lists", LIMITS, personal=True),
    ]
    assert all(one.passed for one in verdicts)
    assert [one.value for one in verdicts] == [1.0, 1, 0.0, 1.0]
    assert all("(not judged: 19 customers are fewer than 20)." in one.sentence for one in verdicts)


# -- the model --------------------------------------------------------------------------------


def test_a_new_ranker_must_not_be_proven_worse() -> None:
    old = np.tile([0.5, 0.3], 20)
    worse = gates.judge_successor(old - 0.1, old, EARLIER, LIMITS, seed=1)
    assert (round(worse.value, 6), worse.limit_low, worse.passed) == (-0.1, -0.002, False)
    assert worse.sentence == (
        "ranker: MAP@12 of 0.3000 against 0.4000 of week 2025-06-23's, difference -0.1000 (-0.1000 to -0.1000)"
        ", where at least -0.002 must be."
    )
    assert gates.judge_successor(old - 0.001, old, EARLIER, LIMITS, seed=1).passed  # within the tolerance
    assert gates.judge_successor(old, old, EARLIER, LIMITS, seed=1).passed
    doubtful = old + np.tile([0.4, -0.5], 20)  # worse on average, and the interval holds 0
    assert gates.judge_successor(doubtful, old, EARLIER, LIMITS, seed=1).passed
    assert not gates.judge_successor(old[:10] - 0.1, old[:10], EARLIER, LIMITS, seed=1).passed
    assert gates.judge_successor(old[:9] - 0.1, old[:9], EARLIER, LIMITS, seed=1).passed  # too few to say


def test_lists_learned_from_shuffled_interactions_are_refused() -> None:
    """Forty customers with twelve favourites each; the new model gives everybody somebody else's."""
    from scipy import sparse

    customers = np.arange(40)
    own = rows([list(range(12 * one, 12 * one + 12)) for one in customers])
    shuffled = rows([list(range(12 * (39 - one), 12 * (39 - one) + 12)) for one in customers])
    truth = sparse.csr_matrix((np.ones(480), (own["customer"], own["product"])), shape=(40, 480))
    old, new = (metrics.measure_customers(one, truth, customers, (12,))["map", 12] for one in (own, shuffled))
    assert (old.mean(), new.mean()) == (1.0, 0.0)
    assert not gates.judge_successor(new, old, EARLIER, LIMITS, seed=1).passed


def test_a_forecast_says_which_way_it_was_wrong() -> None:
    sums = pd.DataFrame(
        [
            ("test_anchor", date(2017, 11, 6), 2900.4, 2804),
            ("weekly_email", date(2017, 10, 30), 9999.0, 1),  # an older window of the same campaign
            ("weekly_email", date(2017, 11, 6), 3461.0, 2804),
            ("shy", date(2017, 11, 6), 90.0, 100),
            ("shyer", date(2017, 11, 6), 89.0, 100),
            ("small", date(2017, 11, 6), 99.0, 20),
            ("nothing", date(2017, 11, 6), 120.0, 0),
        ],
        columns=["campaign", "forecast_as_of", "forecast_purchases", "actual_purchases"],
    )
    found = {one.subject: one for one in gates.judge_forecasts(sums, LIMITS.forecast)}
    assert {name: one.passed for name, one in found.items()} == {
        "nothing": False, "shy": True, "shyer": False, "small": True, "test_anchor": True, "weekly_email": False,
    }  # fmt: skip
    assert found["weekly_email"].sentence == (
        "weekly_email's forecast of 2017-11-06 promised 3,461 purchases, 2,804 were made, 23.4 % too many: a ratio of "
        "1.23, where at most 1.1 may be."
    )
    assert found["shyer"].sentence == (
        "shyer's forecast of 2017-11-06 promised 89 purchases, 100 were made, 11 % too few: a ratio of 0.89, where "
        "at least 0.9 must be."
    )
    assert found["small"].sentence == (
        "small's forecast of 2017-11-06 promised 99 purchases, 20 were made (not judged: fewer than 100 purchases)."
    )
    assert found["test_anchor"].sentence == (
        "the test anchor's forecast of 2017-11-06 promised 2,900 purchases, 2,804 were made, 3.4 % too many: a ratio of "
        "1.03."
    )
    assert found["nothing"].value == 120.0
    assert gates.judge_forecasts(sums.iloc[:0], LIMITS.forecast) == []


def test_the_decision_against_the_baselines_is_recorded() -> None:
    decisions = pd.DataFrame(
        [
            ("repurchase", "popularity", "map@12", 0.25, 0.125, 0.125, 0.1, 0.15, True),
            ("ranker", "repurchase", "map@12", 0.26, 0.25, 0.01, -0.01, 0.03, False),
        ],
        columns=[
            "candidate", "incumbent", "metric", "candidate_value", "incumbent_value", "difference", "ci_low",
            "ci_high", "promoted",
        ],
    )  # fmt: skip
    verdict = gates.record_baselines(decisions)
    assert (verdict.value, verdict.limit_low, verdict.passed) == (-0.01, 0.0, False)
    assert verdict.sentence == (
        "ranker: map@12 of 0.2600 against repurchase's 0.2500, difference 0.0100 (-0.0100 to 0.0300)."
    )
    assert gates.record_baselines(decisions.iloc[:1]).value is None


# -- all of them ------------------------------------------------------------------------------

BROKEN = st.sampled_from([math.nan, math.inf, -math.inf])


@settings(deadline=None)
@given(bad=BROKEN, place=st.integers(0, 239), customers=st.integers(1, 20))
def test_no_gate_passes_what_is_not_a_number(bad: float, place: int, customers: int) -> None:
    lists = rows(DIFFERENT[:customers])
    lists.loc[place % len(lists), "score"] = bad
    values = np.tile([0.5, 0.3], 20)
    broken = values.copy()
    broken[place % 40] = bad
    verdicts = [
        gates.judge_finite(lists["score"].to_numpy(), "lists"),
        *spread(lists),
        gates.judge_successor(broken, values, EARLIER, LIMITS, seed=1),
        gates.judge_successor(values, broken, EARLIER, LIMITS, seed=1),
        *gates.judge_volume({"orders": bad}, {"orders": 10}, EARLIER, LIMITS.volume),
        *gates.judge_volume({"orders": 10}, {"orders": bad}, EARLIER, LIMITS.volume),
        *gates.judge_volume({"orders": bad}, {}, None, LIMITS.volume),
        *gates.judge_volume(
            {"promotions, last 7 days": bad}, {"promotions, last 7 days": 1}, EARLIER, LIMITS.volume
        ),
    ]
    assert [one.subject for one in verdicts if one.passed] == []


@settings(deadline=None)
@given(
    new=st.integers(0, 10**7),
    old=st.integers(0, 10**7),
    factor=st.floats(1.01, 100),
    least=st.integers(1, 10**5),
)
def test_a_change_blocks_where_both_the_factor_and_the_minimum_are_reached(
    new: int, old: int, factor: float, least: int
) -> None:
    change = Change(factor=factor, min_change=least)
    limits = Volume(drop=change, spike=change, bursts=())
    [verdict] = gates.judge_volume({"orders": new}, {"orders": old}, EARLIER, limits)
    beyond = new >= old * factor or new <= old / factor
    assert verdict.passed is not (beyond and abs(new - old) >= least)


def test_an_override_marks_what_failed_and_nothing_else() -> None:
    verdicts = gates.judge_volume(
        {"orders": 500, "reviews": 5}, {"orders": 5, "reviews": 5}, EARLIER, LIMITS.volume
    )
    assert overrule(verdicts, None) == verdicts
    first, second = overrule(verdicts, "new shop")
    assert (first.passed, first.overridden, first.reason, first.blocks) == (False, True, "new shop", False)
    assert second == verdicts[1]
    assert explain_refusals([first, second]) == {}
    assert tabulate([first, second])[["passed", "overridden", "reason"]].to_numpy(
        dtype=object, na_value=None
    ).tolist() == [[False, True, "new shop"], [True, False, None]]


# -- the file ---------------------------------------------------------------------------------


def keys(kind: type[BaseModel], before: str = "") -> set[str]:
    found = set()
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(inner, f"{before}{name}.")
        else:
            found.add(before + name)
    return found


def test_the_page_lists_every_key_with_its_default() -> None:
    page = (ROOT / "docs" / "gates.md").read_text("utf-8")
    documented = dict(
        re.findall(r"^\| `([a-z_.]+)` \| ([^|]+?) \|", page.partition("## Thresholds")[2], re.M)
    )
    assert set(documented) == keys(Gates)
    for key, shown in documented.items():
        value = LIMITS
        for name in key.split("."):
            value = getattr(value, name)
        assert shown == (", ".join(value) if isinstance(value, tuple) else f"{value:g}"), key


def test_every_gate_is_on_the_page() -> None:
    page = (ROOT / "docs" / "gates.md").read_text("utf-8").partition("## Thresholds")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", page, re.M)) == {
        *ADVICE,
        "model",
        "baselines",
        "consent",
        "forecast",
    }


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("tolerance: 0.002", "tolerence: 0.002", r"gates\.yaml: model\.tolerance: Field required"),
        ("max_age_days: 7 ", "max_age_days: .nan ", r"gates\.yaml: freshness\.max_age_days: .*finite"),
        ("factor: 10", "factor: 1", r"gates\.yaml: volume\.drop\.factor: .*greater than 1"),
        ("[campaign_events,", "[campaign_event,", r"no such raw table: campaign_event\. Correct the file"),
        ("{low: 0.5, high: 1}", "{low: 0.5, high: 0.4}", r"lists\.fill: .*low 0\.5 is above high 0\.4"),
    ],
)
def test_a_wrong_file_names_the_key(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = tmp_path / "gates.yaml"
    assert old in SHIPPED.read_text()
    path.write_text(SHIPPED.read_text().replace(old, new))
    with pytest.raises(SettingsError, match=sentence):
        read_yaml(path, Gates, "The gates")


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Gates.model_validate(LIMITS.model_dump() | {"colour": "red"})


def test_what_a_run_says_of_those_who_said_no() -> None:
    counts: WithdrawalCounts = {
        "withdrawals": 1204, "unmatched": 2, "gone": 1, "allowed": 5, "addresses": 900,
    }  # fmt: skip
    found = gates.judge_consent(counts, {})
    assert [(one.subject, one.value, one.limit_high, one.passed) for one in found] == [
        ("unmatched_withdrawals", 2.0, 5.0, True)
    ]
    assert found[0].sentence == (
        "Of 1,204 withdrawals 1,201 match a customer, 1 are of people who are gone, 2 match no customer."
    )
    counts["addresses"] = None
    elsewhere = gates.judge_consent(counts, {"delivered": 120, "soft_bounce": 1})
    assert [one.subject for one in elsewhere] == ["unmatched_withdrawals", "addresses", "unknown_event_types"]
    assert elsewhere[1].sentence.startswith("No customer has an address, so they are kept elsewhere")
    assert elsewhere[2].sentence == (
        "campaign_events: rows of types that are not known: delivered (120), soft_bounce (1)."
    )
