"""The last look at the shelf, when an email's files are written: what sold out since, or may not be sold at the
time of the send, gives its slot to the recipient's next product that the rules allow.

The published table stays as it is; only the files differ. A recipient for whom nothing is left is taken out
whole: an email has all its slots or does not go out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from recs_assets.exports.email import recommendation_ids, tagged_urls

SOLD_OUT, SALE_OVER, NOT_YET_SOLD = "sold_out", "sale_over", "not_yet_on_sale"
REASONS = (SOLD_OUT, SALE_OVER, NOT_YET_SOLD)

# What a reserve brings with it, and what is the catalogue's; the rest of a row is its recipient's.
OF_RESERVE = (
    "product_id", "url", "expires_at", "score", "p_purchase", "source", "slot_type", "fallback_level", "repeat",
    "reason_code", "reason_text", "reason_family", "because_product_id", "because_at", "support", "confidence",
)  # fmt: skip
OF_PRODUCT = (
    "title", "image_url", "price", "list_price", "price_kind", "price_from", "category", "brand",
)  # fmt: skip


@dataclass(frozen=True)
class LastLook:
    """What the last look did.

    Attributes:
        refilled: reason -> slots that were given to another product.
        removed: reason -> recipients taken out, because nothing was left for one of their slots.
    """

    refilled: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, int]:
        """For manifest and metadata: every reason, 0 included."""
        return {
            f"{what}_{reason}": getattr(self, what).get(reason, 0)
            for what in ("refilled", "removed")
            for reason in REASONS
        }


def refill(
    long: pd.DataFrame,
    reserves: pd.DataFrame,
    shelf: pd.DataFrame,
    catalogue: pd.DataFrame,
    send_at: datetime,
    utm_source: str,
) -> tuple[pd.DataFrame, LastLook]:
    """Give every slot whose product is gone to the recipient's next reserve, in the order of the reserves.

    A reserve fits where its product is not gone itself and no limit forbids it beside the products that stay
    (`rules.pipeline.Selection.reserves`). The slot keeps its place; the others keep theirs and their ids.

    Args:
        long: a campaign's rows with the columns of `email.LONG`, by customer and slot; not changed.
        reserves: of the campaign, with ids: customer_id, slot, product_id, `OF_RESERVE`, min_stock, and
            of every limit "<name>" and "<name>_most". Without columns where the shop cannot sell out.
        shelf: product_id, stock (at the newest count; null: never counted), start_at and end_at (on the
            shop's clock, null unknown), of every product of the catalogue at this moment.
        catalogue: product_id and `OF_PRODUCT`, as published.
        send_at: when the email goes out, on the shop's clock, without time zone.
        utm_source: of the campaign.

    Returns:
        The rows, with the stock of the newest count; and what was done.
    """
    shelf = shelf.set_index("product_id")
    stock = long["product_id"].map(shelf["stock"])
    long = long.assign(stock=stock.astype("Float64").fillna(long["stock"]))
    ended = set(shelf.index[(shelf["end_at"] <= send_at).to_numpy()])
    ahead = set(shelf.index[(shelf["start_at"] > send_at).to_numpy()])
    counted = shelf["stock"].dropna().to_dict()

    def gone(product: str, least: float) -> str | None:
        if product in ended:
            return SALE_OVER
        if product in ahead:
            return NOT_YET_SOLD
        return SOLD_OUT if counted.get(product, least) < least else None

    # Below one nothing can be sold, whatever the campaign asks for.
    lowest = max(1.0, float(reserves["min_stock"].max())) if len(reserves) else 1.0
    suspects = {product for product in long["product_id"].unique() if gone(product, lowest)}
    touched = long.loc[long["product_id"].isin(suspects), "customer_id"].unique()
    spare = dict(list(_of(reserves, touched)))
    limits = [name for name in reserves if f"{name}_most" in reserves]
    by_customer = dict(list(_of(long, touched)))
    places: dict[object, tuple[str, int]] = {}  # row of `long` -> the customer and their reserve
    refilled, removed, leaving = Counter(), Counter(), []
    for customer in touched:
        rows, own = by_customer[customer], spare.get(customer, reserves.iloc[:0])
        least = (
            max(1.0, float(own["min_stock"].max())) if len(own) and own["min_stock"].notna().any() else 1.0
        )
        lost = {at: why for at, product in rows["product_id"].items() if (why := gone(product, least))}
        here = set(rows["product_id"])
        held = own[own["product_id"].isin(set(rows["product_id"].drop(list(lost))))]
        chosen: dict[object, int] = {}
        for at in lost:
            fit = next(
                (
                    place
                    for place, line in own.iterrows()
                    if line["product_id"] not in here
                    and gone(line["product_id"], least) is None
                    and all(
                        line[name] < 0 or (held[name] == line[name]).sum() < line[f"{name}_most"]
                        for name in limits
                    )
                ),
                None,
            )
            if fit is None:
                break
            here.add(own["product_id"].loc[fit])
            held = pd.concat([held, own.loc[[fit]]])
            chosen[at] = fit
        if len(chosen) < len(lost):
            leaving.append(customer)
            removed[next(why for at, why in lost.items() if at not in chosen)] += 1
            continue
        refilled.update(lost.values())
        places |= chosen
    long = _written(long, reserves, catalogue, shelf, places, utm_source)
    kept = long[~long["customer_id"].isin(leaving)].reset_index(drop=True)
    return kept, LastLook(dict(refilled), dict(removed))


def _of(rows: pd.DataFrame, customers: object) -> pd.core.groupby.DataFrameGroupBy | list:
    """The rows of these customers, by customer."""
    return rows[rows["customer_id"].isin(customers)].groupby("customer_id") if len(rows) else []


def _written(
    long: pd.DataFrame,
    reserves: pd.DataFrame,
    catalogue: pd.DataFrame,
    shelf: pd.DataFrame,
    places: Mapping[object, int],
    utm_source: str,
) -> pd.DataFrame:
    """The rows with the reserves in their places."""
    if not places:
        return long
    at, line = list(places), reserves.loc[list(places.values())]
    of_product = catalogue.set_index("product_id").reindex(line["product_id"])
    new = long.loc[at].copy()
    for name in OF_RESERVE:
        new[name] = pd.Series(line[name].array, index=at).astype(long[name].dtype)
    for name in OF_PRODUCT:
        new[name] = pd.Series(of_product[name].array, index=at).astype(long[name].dtype)
    new["stock"] = new["product_id"].map(shelf["stock"]).astype(long["stock"].dtype)
    new["recommendation_id"] = recommendation_ids(new)
    new["url"] = tagged_urls(new, utm_source)
    return pd.concat([long.drop(index=at), new]).sort_values(["customer_id", "slot"], ignore_index=True)
