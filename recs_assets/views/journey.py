"""One product and one customer, end to end: who proposed it, what the ranker saw in it, what the rules said, where
it ended, and why not somewhere better."""

from __future__ import annotations

import inspect
from typing import Any

from recs_assets.rules.items import ORDER
from recs_assets.rules.selection import DRAWS, REMOVED
from recs_assets.views.desk import Look, Row
from recs_assets.views.lists import VIEWS, read_lists

# Places that the kept lists can tell of.
DEEPEST = 1_000


def list_campaigns(look: Look) -> list[str]:
    """The campaigns of the week that fill slots."""
    found = look.rows(
        "select campaign from recs.email_recommendations where as_of = $week union "
        "select campaign from recs.rule_outcomes where as_of = $week order by campaign",
        {"week": look.week},
    )
    return [row["campaign"] for row in found]


def list_products(look: Look, customer_id: str, campaign: str | None) -> dict[str, list[Row]]:
    """What there is to ask about: products in the campaign's slots, on the customer's list, and removed by a rule.

    Rows have product_id, product_name, and slot, rank or rule.
    """
    about = {"week": look.week, "customer_id": customer_id, "campaign": campaign}
    slots = look.rows(
        "select product_id, title as product_name, slot from recs.email_recommendations "
        "where as_of = $week and campaign = $campaign and customer_id = $customer_id order by slot",
        about,
    )
    listed = look.rows(
        "select product_id, product_name, rank from recs.customer_recommendations "
        "where as_of = $week and customer_id = $customer_id order by rank",
        {"week": look.week, "customer_id": customer_id},
    )
    return {"slots": slots, "listed": listed, "removed": _read_removed(look, customer_id, campaign)}


def load_journey(look: Look, customer_id: str, product_id: str, campaign: str | None) -> dict[str, Any]:
    """The way of a product: sources (model, view, rank, score), trace (families, features, probability), the rules
    with what they did, slot, place on the list, reserve, outcome of the customer, and the answer in a sentence."""
    about = {"week": look.week, "customer_id": customer_id, "product_id": product_id}
    slot = look.row(
        "select * from recs.email_recommendations where as_of = $week and campaign = $campaign "
        "and customer_id = $customer_id and product_id = $product_id",
        {**about, "campaign": campaign},
    )
    listed = look.row(
        "select * from recs.customer_recommendations where as_of = $week and customer_id = $customer_id "
        "and product_id = $product_id",
        about,
    )
    trace = look.row(
        "select * from recs.campaign_traces where as_of = $week and campaign = $campaign "
        "and customer_id = $customer_id and product_id = $product_id",
        {**about, "campaign": campaign},
    ) or look.row(
        "select * from recs.recommendation_traces where as_of = $week and customer_id = $customer_id "
        "and product_id = $product_id",
        about,
    )
    sources = read_lists(look, customer_id, look.week, VIEWS[:2], DEEPEST, product_id=product_id)
    outcome = look.row(
        "select outcome from recs.campaign_customers where campaign = $campaign and customer_id = $customer_id",
        {"campaign": campaign, "customer_id": customer_id},
    )
    removed = _read_removed(look, customer_id, campaign, product_id)
    rule = removed[0]["rule"] if removed else None
    reserve = _read_reserve(look, customer_id, campaign, product_id)
    kept = campaign is not None and look.kept.campaign(campaign, REMOVED).exists()
    ranked = next((row["rank"] for row in sources if row["model"] == "ranker"), None)
    passed = slot is not None or reserve is not None or (kept and rule is None and ranked is not None)
    journey = {
        "product": look.products([product_id]).get(
            product_id, {"product_id": product_id, "product_name": None}
        ),
        "slot": slot,
        "listed": listed,
        "trace": trace,
        "sources": sources,
        "rule": rule,
        "ranked": ranked,
        "kept": kept,
        "rules": _list_rules(look, campaign, rule, passed),
        "reserve": reserve,
        "draw": _read_draw(look, customer_id, campaign, product_id),
        "outcome": None if outcome is None else outcome["outcome"],
    }
    return {**journey, "answer": answer(journey)}


def answer(journey: dict[str, Any]) -> str:
    """Where the product ended, and why: the first of the sentences that holds."""
    slot, rule, outcome = journey["slot"], journey["rule"], journey["outcome"]
    if slot is not None:
        chance = slot.get("propensity")
        lot = f", drawn by lot with the probability {chance:.1%}" if chance is not None and chance < 1 else ""
        return f"It is sent: slot {slot['slot']}, as {slot['slot_type']}{lot}."
    if outcome not in (None, "selected", "holdout"):
        return f"This customer gets no email of the campaign ({outcome.replace('_', ' ')}), whatever the product."
    if rule is not None:
        return f"The rule {rule.replace('_', ' ')} took it out: {explain_rule(rule)}"
    if (draw := journey["draw"]) is not None:
        return (
            f"The lot fell on another product: slot {draw['slot']} was drawn, and this one had the probability "
            f"{draw['probability']:.1%}."
        )
    if journey["reserve"] is not None:
        return f"It stands by as number {journey['reserve']}: it is sent where a product before it is gone by the time of sending."
    ranked = journey["ranked"]
    if ranked is not None and not journey["kept"]:
        return f"The ranker has it at place {ranked}; what the rules made of it is not kept."
    if ranked is not None:
        return (
            f"It passed the rules, and likelier products took the slots: the ranker has it at place {ranked}."
        )
    if journey["sources"]:
        best = min(journey["sources"], key=lambda row: (row["rank"], row["model"]))
        return (
            f"It was proposed (best by {best['model']}, at place {best['rank']}), and the ranker has it at none of its "
            "first places."
        )
    if journey["product"].get("product_name") is None and "category" not in journey["product"]:
        return "The catalogue of this week has no such product."
    return "No recommender proposed it: nothing this customer or others like them did points to it, or it could not be sold at the week."


def explain_rule(name: str) -> str:
    """What has to hold for a product to pass a rule, as the code says."""
    rule = next((rule for rule in ORDER if rule.name == name), None)
    said = inspect.getdoc(rule.apply) if rule is not None and rule.apply is not None else None
    return (
        "a rule of an earlier version."
        if said is None
        else f"what passes it: {' '.join(said.replace('`', '').split())}"
    )


def _list_rules(look: Look, campaign: str | None, rule: str | None, passed: bool) -> list[Row]:
    """The campaign's rules in their order with what they took out in all, and what they said of this product."""
    rows = look.rows(
        "select step, rule, removed, customers from recs.rule_outcomes where as_of = $week and campaign = $campaign order by step",
        {"week": look.week, "campaign": campaign},
    )
    names = [row["rule"] for row in rows]
    stop = names.index(rule) if rule in names else len(names) if passed else None
    return [
        {
            **row,
            "said": "not asked"
            if stop is None or at > stop
            else "removed it"
            if row["rule"] == rule
            else "passed",
        }
        for at, row in enumerate(rows)
    ]


def _read_removed(
    look: Look, customer_id: str, campaign: str | None, product_id: str | None = None
) -> list[Row]:
    """What rules took out of a customer's candidates: product_id, product_name, rule; empty where none is kept."""
    if campaign is None or not look.kept.campaign(campaign, REMOVED).exists():
        return []
    return look.rows(
        f"""
        select removed.product_id, products.product_name, removed.rule
        from read_parquet($path) as removed
        left join recs.products as products on products.product_id = removed.product_id
        where removed.customer_id = $customer_id {"" if product_id is None else "and removed.product_id = $product_id"}
        order by removed.rule, products.product_name, removed.product_id
        """,
        {
            "path": str(look.kept.campaign(campaign, REMOVED)),
            "customer_id": customer_id,
            **({} if product_id is None else {"product_id": product_id}),
        },
    )


def _read_draw(look: Look, customer_id: str, campaign: str | None, product_id: str) -> Row | None:
    """The slot that a product could have been drawn for, and the probability; None where it could not."""
    path = look.kept.campaign(campaign or "", DRAWS)
    if "slot" not in look.list_columns(path):  # of an earlier version, or of a campaign without slots
        return None
    return look.row(
        "select slot, probability from read_parquet($path) where customer_id = $customer_id and product_id = $product_id",
        {"path": str(path), "customer_id": customer_id, "product_id": product_id},
    )


def _read_reserve(look: Look, customer_id: str, campaign: str | None, product_id: str) -> int | None:
    """At which place a product stands by; None where it does not."""
    path = look.kept.campaign(campaign or "", "selection")
    if "reserve" not in look.list_columns(path):  # of an earlier version, or of a campaign without slots
        return None
    found = look.row(
        "select count(*) filter (reserve and slot <= mine) as place from (select slot, reserve, "
        "max(slot) filter (reserve and product_id = $product_id) over () as mine from read_parquet($path) "
        "where customer_id = $customer_id)",
        {"path": str(path), "customer_id": customer_id, "product_id": product_id},
    )
    return (found and found["place"]) or None
