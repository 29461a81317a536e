"""One campaign at one week: its query is answered, its rules choose, the choice is explained and measured.

Arrays and frames; the assets around it are in `defs.campaigns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from recs_assets.campaigns.adjust import adjust
from recs_assets.campaigns.arms import Arms, find_running, list_variants, place_arms
from recs_assets.campaigns.email import Email, fill_whole
from recs_assets.campaigns.email_blocks import fill_by_blocks, predict_by_blocks
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.made import REFUSED, Made
from recs_assets.campaigns.predictions import list_predictions, make_predictions
from recs_assets.campaigns.sending import check_send_time
from recs_assets.experiments.facts import load_assignments
from recs_assets.experiments.file import Experiment
from recs_assets.queries.syntax import QueryError
from recs_assets.rules.facts import load_facts
from recs_assets.rules.frames import assemble_context
from recs_assets.schema import GateError, RecsError
from recs_assets.training import Plan, Prediction, answer_task, list_unknown_names, prepare_query
from recs_assets.week.week import Week

# Ranked rows per customer that the rules choose from; at least twice the slots.
DEPTH = 100


def make(
    campaign: Campaign,
    week: Week,
    say: Callable[[str], None] = lambda message: None,
    experiments: Iterable[Experiment] = (),
) -> Made:
    """Answer the campaign's query at the week and fill its slots.

    A query that this shop's data cannot answer is no fault of the week: a ranking of products then
    takes every recommender's lists, fused by rank, anything else predicts nothing, and `facts["problem"]`
    says why.

    Args:
        campaign: as its file says.
        week: whose lists and features are read.
        say: is told about the progress.
        experiments: of the shop; those of the campaign that run in the week make arms.

    Raises:
        LateError: the email would go out after the query's window.
        GateError: the outcomes do not add up to the customers.
        WarehouseError, ArtefactError: the week is not complete.
    """
    check_send_time(campaign, week.shop, week.as_of)  # before anything is learnt
    campaign, adjusted = adjust(campaign, week)
    plan, task, predicted, problem = answer_query(campaign, week, say, listing=not week.is_cut)
    facts = {
        "campaign": campaign.name,
        "as_of": week.as_of.isoformat(),
        "problem": problem,
        "slots": 0,
        "adjusted": adjusted,
        "note": "" if plan is None else plan.note,
        "eligible": None if predicted is None else predicted.eligible,
        "features": [] if predicted is None else list(predicted.features),
        "problems": list_unknown_names(campaign.target, week),
    }
    sent_at = check_send_time(campaign, week.shop, week.as_of, None if plan is None else plan.query)
    refused = find_refusal(campaign, week, task, sent_at.astimezone(ZoneInfo(week.shop.timezone)).date())
    if refused is not None:
        facts |= {"refused": refused, "problems": [refused, *facts["problems"]]}
        made = _make_nothing(make_predictions([list_predictions(week, None, None)], None, facts))
    elif not campaign.lists_products or task is None:
        parts = (
            predict_by_blocks(campaign, week, plan, task, predicted)
            if week.is_cut
            else [list_predictions(week, task, predicted)]
        )
        made = make_predictions(parts, predicted, facts)
    else:
        emails, arms = _open_variants(campaign, week, experiments, (plan, task, predicted), say)
        shadows = {
            name: _open(campaign.change(change), week, emails[0][0], say)
            for name, change in campaign.shadows.items()
        }
        fill = fill_by_blocks if week.is_cut else fill_whole
        made = fill(emails, arms, shadows, facts)
    outcomes, customers = made.tables["outcomes"], week.known().customers["customer_id"]
    if len(outcomes) != len(customers) or not outcomes["customer_id"].equals(customers.rename("customer_id")):
        raise GateError(
            f"The campaign {campaign.name} accounts for {len(outcomes)} of {len(customers)} customers: "
            "nothing of it is published; this is a fault of the program, please report it."
        )
    return made


def find_refusal(campaign: Campaign, week: Week, task: Any, day: date) -> str | None:
    """Which rules of an email contradict each other with the products of the week, in one sentence; None: none do."""
    if not campaign.lists_products or task is None:
        return None
    known = week.known()
    with week.read_with_snapshot() as connection:
        facts = load_facts(connection, week.as_of, campaign.name, {"products"})
    return campaign.find_collision(assemble_context(known, **facts), task.admit_products(week.as_of), day)


def _make_nothing(made: Made) -> Made:
    """Of a campaign whose rules contradict each other nobody gets anything."""
    outcomes = made.tables["outcomes"].assign(outcome=REFUSED)
    return Made({**made.tables, "outcomes": outcomes}, made.facts)


Answer = tuple[Plan | None, Any, Prediction | None, str]


def answer_query(campaign: Campaign, week: Week, say: Callable[[str], None], listing: bool = True) -> Answer:
    """Plan, task and prediction of a campaign's query, None as far as it cannot be answered, and why it cannot; without
    `listing` the prediction has no rows (`answer_task`)."""
    depth = find_depth(campaign) if campaign.lists_products else None
    plan, task = None, None
    try:
        plan, task = prepare_query(campaign.target, week, campaign.view)
        return plan, task, answer_task(plan, task, depth, say, listing=listing), ""
    except QueryError as error:
        say(f"The query cannot be answered: {error.sentence}")
        return plan, task, None, error.sentence


def find_depth(campaign: Campaign) -> int:
    """Ranked rows per customer that the rules choose from."""
    return max(DEPTH, 2 * campaign.slots.k)


def _open_variants(
    campaign: Campaign,
    week: Week,
    experiments: Iterable[Experiment],
    answered: tuple[Plan, Any, Prediction | None],
    say: Callable[[str], None],
) -> tuple[list[tuple[Email, np.ndarray]], Arms]:
    """The campaign and its variants, with the customers of each, and the arms of all."""
    running = find_running(experiments, campaign.name, week.as_of)
    with week.read_with_snapshot() as connection:
        earlier = load_assignments(connection, week.as_of, [one.name for one in running])
    ids = week.known().customers["customer_id"].to_numpy(dtype=object)
    arms = place_arms(campaign, running, ids, earlier)
    base = Email(campaign, week, *answered, find_depth(campaign))
    emails = [
        (
            base if variant.campaign is campaign else _open(variant.campaign, week, base, say),
            variant.customers,
        )
        for variant in list_variants(campaign, arms)
    ]
    return emails, arms


def _open(changed: Campaign, week: Week, base: Email, say: Callable[[str], None]) -> Email:
    """A campaign with keys changed; where it asks as the campaign does, the answer is the same.

    Raises:
        RecsError: its query has no answer.
    """
    own, depth = base.campaign, find_depth(changed)
    if (changed.target, changed.view, depth) == (own.target, own.view, base.depth):
        return Email(changed, week, base.plan, base.task, base.predicted, depth)
    plan, task, predicted, problem = answer_query(changed, week, say, listing=not week.is_cut)
    if plan is None or task is None:
        raise RecsError(
            f"An arm or a shadow changes the query of {own.name}, and this shop cannot answer it ({problem}): change it, "
            "or take it out."
        )
    return Email(changed, week, plan, task, predicted, depth)
