"""The pages about one customer."""

from __future__ import annotations

from typing import Any

from recs_assets.app.ui.page import Page, Shown
from recs_assets.app.ui.questions import EXAMPLE
from recs_assets.app.ui.state import State
from recs_assets.views import customers, emails, journey, lists, timeline
from recs_assets.views.desk import Look, MissingError


def _ask_for_customer(look: Look, values: dict[str, Any]) -> Shown:
    """A page without a customer: some to begin with."""
    ask = "Draw a customer, choose a segment, search by an id, or begin with one of these."
    return Shown({**values, "samples": customers.sample_customers(look)}, notes=[ask])


def read_playground(look: Look, state: State) -> Shown:
    weeks = lists.list_weeks(look)
    day = state.day("week", [week["day"] for week in weeks])
    view, k = state.choice("view", lists.VIEWS), state.count("k", 10, 1, 50)
    values = {
        "segments": customers.list_segments(look),
        "weeks": weeks,
        "day": day,
        "view": view,
        "views": lists.VIEWS,
        "k": k,
        "example": EXAMPLE,
        "customer": None,
    }
    if not state.text("customer"):
        return _ask_for_customer(look, values)
    customer = lists.require_customer(look, state.text("customer"))
    found = lists.load_lists(look, customer, day, view, k)
    lists.add_chances(look, found, day, view)
    chosen = state.choices("models")
    shown = {name: rows for name, rows in found.items() if not chosen or name in chosen}
    notes = [note for note in [lists.explain_missing(look, day)] if note]
    if not found and not notes:
        notes.append(
            f"There are no {view} lists for this customer at {day}: they were not known then, or not in the sample that is evaluated."
        )
    values |= {
        "customer": customer,
        "about": customers.describe_customer(look, customer),
        "bought": customers.list_bought(look, customer),
        "similar": customers.find_similar(look, customer),
        "lists": shown,
        "models": list(found),
        "chosen": chosen,
    }
    return Shown(values, lists.list_as_table(shown), notes)


def read_journey(look: Look, state: State) -> Shown:
    campaigns = journey.list_campaigns(look)
    campaign = state.choice("campaign", campaigns)
    values = {
        "segments": customers.list_segments(look),
        "campaigns": campaigns,
        "campaign": campaign,
        "customer": None,
        "journey": None,
    }
    if not state.text("customer"):
        return _ask_for_customer(look, values)
    customer = lists.require_customer(look, state.text("customer"))
    products = journey.list_products(look, customer, campaign)
    first = next((row["product_id"] for rows in products.values() for row in rows), "")
    product = state.text("product", first)
    values |= {"customer": customer, "products": products, "product": product}
    if not product:
        return Shown(
            values, notes=["This customer has neither a list nor slots this week. Name a product by its id."]
        )
    found = journey.load_journey(look, customer, product, campaign)
    values |= {
        "journey": found,
        "about": customers.describe_customer(look, customer),
        "similar": customers.find_similar(look, customer, 6),
    }
    notes = []
    if campaign and not found["kept"]:
        notes.append(
            f"The week does not keep what the rules of {campaign} removed. Make the campaign again to see it."
        )
    if note := lists.explain_missing(look, look.week):
        notes.append(note)
    table = [
        {
            "product_id": product,
            "part": "source",
            "name": f"{row['model']} ({row['view']})",
            "value": row["score"],
            "rank": row["rank"],
        }
        for row in found["sources"]
    ]
    if found["trace"]:
        table += [
            {
                "product_id": product,
                "part": "feature",
                "name": row["feature"],
                "value": row["contribution"],
                "rank": None,
            }
            for row in found["trace"]["features"] or []
        ]
    table += [
        {
            "product_id": product,
            "part": "rule",
            "name": row["rule"],
            "value": row["said"],
            "rank": row["step"],
        }
        for row in found["rules"]
    ]
    return Shown(values, table, notes)


def read_email(look: Look, state: State) -> Shown:
    campaigns = emails.list_campaigns(look)
    if not campaigns:
        raise MissingError(
            f"No campaign of the week {look.week} has recipients, so there is no email to look at. "
            "See Data and models for why, or run the week again."
        )
    campaign = state.choice("campaign", [row["campaign"] for row in campaigns])
    values = {
        "campaigns": campaigns,
        "campaign": campaign,
        "segments": customers.list_segments(look),
        "device": state.choice("device", ("both", "desktop", "phone")),
        "pictures": bool(state.text("pictures")),
    }
    named = state.text("customer")
    customer = lists.require_customer(look, named) if named else emails.draw_recipient(look, campaign)
    slots = [] if customer is None else emails.list_slots(look, campaign, customer)
    notes = [] if slots or customer is None else [emails.explain_none(look, campaign, customer)]
    return Shown({**values, "customer": customer, "slots": slots, "drawn": not named}, slots, notes)


def read_timeline(look: Look, state: State) -> Shown:
    models = [*timeline.list_models(look), lists.PUBLISHED]
    preferred = "repurchase" if "repurchase" in models else models[0]
    values = {
        "segments": customers.list_segments(look),
        "models": models,
        "model": state.choice("model", models, preferred),
        "k": state.count("k", 8, 1, 20),
        "customer": None,
    }
    if not state.text("customer"):
        return _ask_for_customer(look, values)
    customer = lists.require_customer(look, state.text("customer"))
    evolution = timeline.load_evolution(look, customer, values["model"], values["k"])
    values |= {
        "customer": customer,
        "orders": timeline.list_orders(look, customer),
        "evolution": evolution,
    }
    notes = [note for note in [lists.explain_missing(look, look.week)] if note]
    if len(evolution["days"]) < 2 and not notes:
        notes.append(
            "Earlier lists of this model are not kept for this customer: choose another model, or another customer."
        )
    return Shown(values, timeline.evolution_as_table(evolution), notes)


PLAYGROUND = Page(
    "playground",
    "Playground",
    "Every model's list for one customer, side by side with what they bought.",
    read_playground,
)
JOURNEY = Page(
    "journey",
    "Journey",
    "One recommendation from the first proposal to its slot, or why it is not there.",
    read_journey,
)
EMAIL = Page(
    "email", "Email preview", "A campaign as its recipient sees it, on a phone and on a desktop.", read_email
)
TIMELINE = Page(
    "timeline",
    "Purchase timeline",
    "What a customer bought over time, and how the lists changed with it.",
    read_timeline,
)
