"""Every recommender's list of a customer, at the week and at earlier anchors, beside what was published."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from recs_assets.ranking.calibration import Calibrator
from recs_assets.views.chances import load_chances
from recs_assets.views.desk import Look, MissingError, Row

# The list that goes to the shop's pages, among the names of recommenders.
PUBLISHED = "published"
VIEWS = ("all", "new", "repeat")


def list_weeks(look: Look) -> list[Row]:
    """Where lists of customers are kept, latest first: day, and whether it is a week that was published."""
    published = look.list_published()
    return [
        {"day": day, "published": day in published}
        for day in sorted({*published, *look.files_by_day}, reverse=True)
    ]


def load_lists(
    look: Look, customer_id: str, day: date, view: str = "all", k: int = 10, model: str | None = None
) -> dict[str, list[Row]]:
    """Model -> its first `k` products for a customer at a day, the published list first; of one model where it is named.

    A row has rank, product_id, product_name, category, score, p_purchase (of the published list and the ranker) and
    reason (of the published list). Models without a list for the customer are left out.
    """
    lists: dict[str, list[Row]] = {}
    if view == "all":
        lists[PUBLISHED] = look.rows(
            "select rank, product_id, product_name, category, score, p_purchase, reason_text as reason "
            "from recs.customer_recommendations where customer_id = $customer_id and as_of = $day and rank <= $k "
            "order by rank",
            {"customer_id": customer_id, "day": day, "k": k},
        )
    for row in read_lists(look, customer_id, day, (view,), k, model):
        lists.setdefault(row.pop("model"), []).append({name: row[name] for name in row if name != "view"})
    if "ranker" in lists:
        probability = _calibrate(look, day, [row["score"] for row in lists["ranker"]])
        for row, value in zip(lists["ranker"], probability, strict=True):
            row["p_purchase"] = value
    first = [name for name in (PUBLISHED, "ranker") if lists.get(name)]
    return {name: lists[name] for name in [*first, *sorted(set(lists) - {PUBLISHED, "ranker"})]}


def add_chances(look: Look, lists: dict[str, list[Row]], day: date, view: str) -> None:
    """Give the rows of a week's lists that have no probability that of their place (`chances`)."""
    kept = look.files_by_day.get(day)
    if kept is None or kept.week != day:
        return
    chances = load_chances(look, kept, view)
    for model, rows in lists.items():
        for row in rows:
            if row["p_purchase"] is None and row["rank"] <= len(chances.get(model, ())):
                row["p_purchase"] = chances[model][row["rank"] - 1]


def read_lists(
    look: Look,
    customer_id: str,
    day: date,
    views: tuple[str, ...],
    k: int,
    model: str | None = None,
    product_id: str | None = None,
) -> list[Row]:
    """The kept lists of a customer: model, view, rank, product_id, product_name, category, score, p_purchase and reason
    (both None); of one model or product where it is named. Empty where the customer had no lists at the day."""
    kept = look.files_by_day.get(day)
    if kept is None:
        return []
    files = {
        str(path): {"model": name, "view": view}
        for view in views
        for name, path in kept.lists(day, view).items()
        if model in (None, name)
    }
    customers, products = kept.ids("customer", day), kept.ids("product", day)
    if not files or not customers.exists() or not products.exists():
        return []
    code = look.row(
        "select file_row_number as code from read_parquet($ids, file_row_number = true) where customer_id = $customer_id",
        {"ids": str(customers), "customer_id": customer_id},
    )
    if code is None:
        return []
    rows = look.rows(
        f"""
        with lists as (
            select filename, rank, product, score
            from read_parquet($files, filename = true)
            where customer = $customer and rank <= $k
        ),
        ids as (
            select file_row_number as product, product_id
            from read_parquet($products, file_row_number = true)
            where file_row_number in (select product from lists)
                {"" if product_id is None else "and product_id = $product_id"}
        )
        select
            lists.filename, lists.rank, product_id, products.product_name, products.category,
            lists.score::double as score, null::double as p_purchase, null::varchar as reason
        from lists
        join ids using (product)
        left join recs.products as products using (product_id)
        order by lists.filename, lists.rank
        """,
        {
            "files": list(files),
            "products": str(products),
            "customer": code["code"],
            "k": k,
            **({} if product_id is None else {"product_id": product_id}),
        },
    )
    return [{**files[row.pop("filename")], **row} for row in rows]


def list_as_table(lists: dict[str, list[Row]]) -> list[Row]:
    """All lists in one table, for a download."""
    return [{"model": model, **row} for model, rows in lists.items() for row in rows]


def explain_missing(look: Look, day: date) -> str | None:
    """What keeps the lists of a day from being shown; None where they are there."""
    if day in look.files_by_day:
        return None
    if not look.kept.folder.exists():
        return (
            f"The files of the week {look.week} are not kept any more: lists of single models need them. "
            f"Run the week again (python -m recs_assets run --as-of {look.week})."
        )
    return f"No lists of single models are kept at {day}; some are at {', '.join(map(str, look.files_by_day)) or 'no day'}."


def require_customer(look: Look, text: str) -> str:
    """The id that a pseudonym or an id in an address stands for.

    Raises:
        MissingError: nobody is called so.
    """
    found = look.find_customer(text)
    if found is None:
        raise MissingError(
            "Nobody is called so in the week that is published. Search again, or draw a customer."
        )
    return found


def _calibrate(look: Look, day: date, scores: list[float]) -> list[Any]:
    """Probabilities of the ranker's scores at a week; None where they depend on more than the score."""
    kept = look.files_by_day.get(day)
    facts = {} if kept is None or kept.week != day else kept.facts("ranker", "ranker.json").get("facts", {})
    found = facts.get("calibration")
    if found is None or found.get("shifts"):
        return [None] * len(scores)
    return Calibrator.from_json(found).probability(np.asarray(scores)).tolist()
