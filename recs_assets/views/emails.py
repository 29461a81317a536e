"""The email of one recipient, as they see it."""

from __future__ import annotations

from recs_assets.exports.email import LONG
from recs_assets.exports.email_preview import preview_html
from recs_assets.views.desk import Look, MissingError, Row
from recs_assets.views.lists import require_customer


def list_campaigns(look: Look) -> list[Row]:
    """Campaigns of the week with recipients: campaign, recipients, slots."""
    return look.rows(
        "select campaign, count(*) filter (slot = 1) as recipients, max(slot) as slots from recs.email_recommendations "
        "where as_of = $week group by campaign order by recipients desc, campaign",
        {"week": look.week},
    )


def draw_recipient(look: Look, campaign: str) -> str | None:
    """Any recipient of a campaign."""
    found = look.row(
        "select customer_id from recs.email_recommendations where as_of = $week and campaign = $campaign and slot = 1 "
        "order by random() limit 1",
        {"week": look.week, "campaign": campaign},
    )
    return None if found is None else found["customer_id"]


def list_slots(look: Look, campaign: str, customer_id: str) -> list[Row]:
    """The slots of a recipient's email; empty where they get none."""
    return look.rows(
        "select customer_id, slot, product_id, title, category, price, currency, p_purchase, score, slot_type, source, "
        "fallback_level, reason_code, reason_text, arm, send_at, recommendation_id from recs.email_recommendations "
        "where as_of = $week and campaign = $campaign and customer_id = $customer_id order by slot",
        {"week": look.week, "campaign": campaign, "customer_id": customer_id},
    )


def explain_none(look: Look, campaign: str, customer_id: str) -> str:
    """Why a customer gets no email of a campaign."""
    found = look.row(
        "select outcome from recs.campaign_customers where campaign = $campaign and customer_id = $customer_id",
        {"campaign": campaign, "customer_id": customer_id},
    )
    why = "the campaign does not know them" if found is None else found["outcome"].replace("_", " ")
    return f"{look.name(customer_id)} gets no email of {campaign} this week: {why}."


def preview(look: Look, campaign: str, customer: str, pictures: bool = False) -> str:
    """A whole HTML page with the email of one recipient (`exports.email_preview`), with the shop's pictures or with
    first letters in their places.

    Raises:
        MissingError: nobody is called so, or they get no email of the campaign.
    """
    customer_id = require_customer(look, customer)
    # The run is filled in when files are written.
    other = {"run_id": "'preview'", **({} if pictures else {"image_url": "null::varchar"})}
    columns = ", ".join(f"{other[name]} as {name}" if name in other else f'"{name}"' for name in LONG)
    rows = look.arrow(
        f"select {columns} from recs.email_recommendations where as_of = $week and campaign = $campaign "
        "and customer_id = $customer_id",
        {"week": look.week, "campaign": campaign, "customer_id": customer_id},
    )
    if not rows.num_rows:
        raise MissingError(explain_none(look, campaign, customer_id))
    return preview_html(rows, customers=1)
