"""One campaign at one week: its query is answered, its rules choose, the choice is explained and measured.

Arrays and frames; the assets around it are in `defs.campaigns`.
"""

from __future__ import annotations

from collections.abc import Callable

from recs_assets.campaigns.email import Email
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.made import Made
from recs_assets.campaigns.predictions import make_predictions
from recs_assets.campaigns.sending import check_send_time
from recs_assets.queries.syntax import QueryError
from recs_assets.schema import GateError
from recs_assets.training import answer_task, list_unknown_names, prepare_query
from recs_assets.week.week import Week

# Ranked rows per customer that the rules choose from; at least twice the slots.
DEPTH = 100


def make(
    campaign: Campaign,
    week: Week,
    say: Callable[[str], None] = lambda message: None,
) -> Made:
    """Answer the campaign's query at the week and fill its slots.

    A query that this shop's data cannot answer is no fault of the week: a ranking of products then
    takes every recommender's lists, fused by rank, anything else predicts nothing, and `facts["problem"]`
    says why.

    Args:
        campaign: as its file says.
        week: whose lists and features are read.
        say: is told about the progress.

    Raises:
        LateError: the email would go out after the query's window.
        GateError: the outcomes do not add up to the customers.
        WarehouseError, ArtefactError: the week is not complete.
    """
    check_send_time(campaign, week.shop, week.as_of)  # before anything is learnt
    depth = max(DEPTH, 2 * campaign.slots.k) if campaign.lists_products else None
    plan, task, predicted, problem = None, None, None, ""
    try:
        plan, task = prepare_query(campaign.target, week, campaign.view)
        predicted = answer_task(plan, task, depth, say)
    except QueryError as error:
        problem = error.sentence
        say(f"The query cannot be answered: {problem}")
    facts = {
        "campaign": campaign.name,
        "as_of": week.as_of.isoformat(),
        "problem": problem,
        "slots": 0,
        "note": "" if plan is None else plan.note,
        "eligible": None if predicted is None else predicted.eligible,
        "features": [] if predicted is None else list(predicted.features),
        "problems": list_unknown_names(campaign.target, week),
    }
    check_send_time(campaign, week.shop, week.as_of, None if plan is None else plan.query)
    if not campaign.lists_products or task is None:
        made = make_predictions(campaign, week, task, predicted, facts)
    else:
        made = Email(campaign, week, plan, task, predicted, depth).make(facts)
    outcomes, customers = made.tables["outcomes"], week.known().customers["customer_id"]
    if len(outcomes) != len(customers) or not outcomes["customer_id"].equals(customers.rename("customer_id")):
        raise GateError(
            f"The campaign {campaign.name} accounts for {len(outcomes)} of {len(customers)} customers: "
            "nothing of it is published; this is a fault of the program, please report it."
        )
    return made
