"""The last look at the shelf, when an email's files are written: what sold out since, left the catalogue, or may
not be sold at the time of the send, gives its slot to the recipient's next product that the rules allow.

Floors of exposure are raised again among the slots that were given away: where a floor of the campaign is short after it, the
replacement that lies nearest to a product of the floor in its recipient's reserves is exchanged for that one, first.

The published table stays as it is; only the files differ. A recipient for whom nothing is left is taken out
whole: an email has all its slots or does not go out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from recs_assets.contracts import DBT, EMAIL, find_fillers, list_staying_columns
from recs_assets.delivery import derive_recommendation_ids, shorten, tag_urls
from recs_assets.exports.email import convert_price
from recs_assets.schema import WarehouseError

SOLD_OUT, SALE_OVER, NOT_YET_SOLD = "sold_out", "sale_over", "not_yet_on_sale"
DELISTED = "not_in_catalogue"
REASONS = (SOLD_OUT, SALE_OVER, NOT_YET_SOLD, DELISTED)

# A catalogue that lacks more of the published products than this is a file cut short, not a change of range.
MOST_DELISTED = 0.5

# What a row says of its product, by who fills it: a reserve brings what the campaign says, the rest is the catalogue's.
_OF_PRODUCT = {
    name: filler for name, filler in find_fillers(EMAIL).items() if name not in list_staying_columns(EMAIL)
}
OF_RESERVE = tuple(name for name, filler in _OF_PRODUCT.items() if filler == "campaign")
# Of the shelf, and of the recipient's currency.
_OF_BOTH = ("stock", "shown_price")
OF_CATALOGUE = tuple(name for name, filler in _OF_PRODUCT.items() if filler == DBT and name not in _OF_BOTH)


@dataclass(frozen=True)
class Floor:
    """Products that are to have a share of all places.

    Attributes:
        name: as in "brand Acme".
        products: their ids.
        share: of the places, above 0.
    """

    name: str
    products: frozenset[str]
    share: float

    def count_missing(self, products: Sequence[str]) -> int:
        """How many of these places would have to be theirs, besides those that are."""
        # A share such as 0.1 is a little above itself in binary.
        return max(0, ceil(self.share * len(products) - 1e-9) - sum(own in self.products for own in products))


def explain_floors(products: Sequence[str], floors: Sequence[Floor]) -> list[str]:
    """A sentence per floor that the places of these products do not hold."""
    return [
        f"The floor of {floor.name} has {len(products) - outside} of {len(products)} places of the files, and not {floor.share:.0%} of "
        "them: products of it were gone, or recipients were, and no slot that was given away could be one of its others."
        for floor in floors
        if floor.count_missing(products)
        for outside in [sum(own not in floor.products for own in products)]
    ]


@dataclass(frozen=True)
class LastLook:
    """What the last look did.

    Attributes:
        refilled: customer_id and reason of every slot that was given to another product.
        removed: the same of every recipient taken out, because nothing was left for one of their slots.
    """

    refilled: Sequence[tuple[str, str]] = ()
    removed: Sequence[tuple[str, str]] = ()

    def facts(self, recipients: Collection[str]) -> dict[str, int]:
        """For manifest and metadata: slots refilled of these recipients, recipients removed, by reason."""
        refilled = Counter(reason for customer, reason in self.refilled if customer in recipients)
        removed = Counter(reason for _, reason in self.removed)
        return {f"refilled_{reason}": refilled[reason] for reason in REASONS} | {
            f"removed_{reason}": removed[reason] for reason in REASONS
        }


def refill(
    long: pd.DataFrame,
    reserves: pd.DataFrame,
    shelf: pd.DataFrame,
    catalogue: pd.DataFrame,
    timezone: str,
    utm_source: str,
    floors: Sequence[Floor] = (),
) -> tuple[pd.DataFrame, LastLook]:
    """Give every slot whose product is gone to the recipient's next reserve, in the order of the reserves.

    A reserve fits where its product is not gone itself and no limit forbids it beside the products that stay
    (`rules.selection.Selection.reserves`). The slot keeps its place; the others keep theirs and their ids.

    Args:
        long: a campaign's rows with the columns of `email.LONG`, by customer and slot; not changed.
        reserves: of the campaign, with ids: customer_id, slot, product_id, `OF_RESERVE`, min_stock, and
            of every limit "<name>" and "<name>_most". Without columns where the campaign has none.
        shelf: product_id, stock (at the newest count; null: never counted), start_at and end_at (on the
            shop's clock, null unknown), of every product of the catalogue at this moment.
        catalogue: product_id and `OF_CATALOGUE`, as published.
        timezone: of the shop, IANA name.
        utm_source: of the campaign.
        floors: of the campaign, in the order of its file.

    Returns:
        The rows, with the stock of the newest count, and none holding longer than its product is sold; and what was
        done.

    Raises:
        WarehouseError: the catalogue of this moment lacks more than half of the published products.
    """
    shelf, known = shelf.set_index("product_id"), catalogue["product_id"]
    missing = int((~known.isin(shelf.index)).sum())
    if missing > MOST_DELISTED * len(known):
        raise WarehouseError(
            f"The shop's products, as the files have them now, lack {missing:,} of the {len(known):,} that were "
            f"published: no file of the campaign {long['campaign'].iloc[0]} was written. Complete the products, or run "
            "the week again if so many are gone for good."
        )
    send_at = long["send_at"].iloc[0].astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    stock = long["product_id"].map(shelf["stock"])
    long = long.assign(stock=stock.astype("Float64").fillna(long["stock"])).reset_index(drop=True)
    ended = set(shelf.index[(shelf["end_at"] <= send_at).to_numpy()])
    ahead = set(shelf.index[(shelf["start_at"] > send_at).to_numpy()])
    counted = shelf["stock"].dropna().to_dict()

    def explain_gone(product: str, least: float) -> str | None:
        if product not in shelf.index:
            return DELISTED
        if product in ended:
            return SALE_OVER
        if product in ahead:
            return NOT_YET_SOLD
        return SOLD_OUT if counted.get(product, least) < least else None

    own = _Reserves.of(reserves)
    # Below one nothing can be sold, whatever the campaign asks for.
    lowest = max([1.0, *own.least])
    suspects = {product for product in long["product_id"].unique() if explain_gone(product, lowest)}
    product, customers = long["product_id"].tolist(), long["customer_id"]
    touched = customers.isin(customers[long["product_id"].isin(suspects)])
    names, by_customer = customers.tolist(), dict[str, list[int]]()
    for at in np.flatnonzero(touched).tolist():
        by_customer.setdefault(names[at], []).append(at)
    places: dict[int, int] = {}  # row of `long` -> row of `reserves`
    # Row of `long` -> rows of `reserves` that are there for it, best first.
    fitting: dict[int, list[int]] = {}
    refilled: list[tuple[str, str]] = []
    removed: list[tuple[str, str]] = []
    for customer, rows in by_customer.items():
        mine = own.rows.get(customer, range(0))
        least = max([1.0, *(own.least[row] for row in mine)])
        listed = {at: product[at] for at in rows}
        lost = {at: why for at, product in listed.items() if (why := explain_gone(product, least))}
        here = set(listed.values())
        staying = {product for at, product in listed.items() if at not in lost}
        held: Counter[tuple[int, int]] = Counter()
        for row in mine:
            if own.product[row] in staying:
                held.update(own.list_groups(row))
        chosen: dict[int, int] = {}
        for at in lost:
            for row in mine:
                other = own.product[row]
                if other not in here and explain_gone(other, least) is None and own.fits(row, held):
                    here.add(other)
                    held.update(own.list_groups(row))
                    chosen[at] = row
                    break
            else:
                break
        if len(chosen) < len(lost):
            removed.append((customer, next(why for at, why in lost.items() if at not in chosen)))
        else:
            refilled += [(customer, why) for why in lost.values()]
            places |= chosen
            there = [row for row in mine if explain_gone(own.product[row], least) is None]
            fitting |= dict.fromkeys(chosen, there)
    if floors:
        gone = {customer for customer, _ in removed}
        kept_rows = {at: product[at] for at, customer in enumerate(names) if customer not in gone}
        _raise_floors(own, floors, kept_rows, by_customer, places, fitting, names)
    long = _write_rows(long, reserves, catalogue, shelf, places, utm_source)
    ends = long["product_id"].map(shelf["end_at"]).to_frame("end")
    long["expires_at"] = shorten(long["expires_at"], ends, timezone)
    kept = long[~long["customer_id"].isin([customer for customer, _ in removed])].reset_index(drop=True)
    return kept, LastLook(refilled, removed)


@dataclass(frozen=True)
class _Reserves:
    """The reserves as lists by position.

    Attributes:
        rows: customer -> positions, in the order of the slots.
        product: ids.
        least: units in stock that the campaign asks for; 0 for any.
        limits: int[n, limits], groups, -1 none.
        most: int[n, limits].
    """

    rows: Mapping[str, Sequence[int]]
    product: Sequence[str]
    least: Sequence[float]
    limits: np.ndarray
    most: np.ndarray

    @classmethod
    def of(cls, reserves: pd.DataFrame) -> Self:
        if reserves.empty:
            none = np.empty((0, 0), dtype=np.int64)
            return cls({}, (), (), none, none)
        names = [name for name in reserves if f"{name}_most" in reserves]
        order = np.lexsort((reserves["slot"], reserves["customer_id"]))
        rows: dict[str, list[int]] = {}
        for place, customer in zip(order.tolist(), reserves["customer_id"].to_numpy()[order], strict=True):
            rows.setdefault(customer, []).append(place)
        return cls(
            rows,
            reserves["product_id"].tolist(),
            reserves["min_stock"].fillna(0).tolist(),
            reserves[names].to_numpy(dtype=np.int64),
            reserves[[f"{name}_most" for name in names]].to_numpy(dtype=np.int64),
        )

    def list_groups(self, row: int) -> list[tuple[int, int]]:
        """(limit, group) of every limit that holds for the row."""
        return [(limit, group) for limit, group in enumerate(self.limits[row].tolist()) if group >= 0]

    def fits(self, row: int, held: Mapping[tuple[int, int], int]) -> bool:
        """No group of the row is full."""
        return all(held[place] < self.most[row, place[0]] for place in self.list_groups(row))


def _raise_floors(
    own: _Reserves,
    floors: Sequence[Floor],
    kept: Mapping[int, str],
    by_customer: Mapping[str, Sequence[int]],
    places: dict[int, int],
    fitting: Mapping[int, Sequence[int]],
    names: Sequence[str],
) -> None:
    """Exchange replacements for others of a floor that is short, those first that lie least far behind, ties in the order of rows.

    Args:
        own: the reserves.
        floors: in the order of the file; none gives up what another counts.
        kept: row -> published product, of the recipients who stay.
        by_customer: rows of the recipients who lost one.
        places: row -> reserve of every slot that was given away; is changed.
        fitting: row -> reserves that could be there, best first.
        names: customer of every row.
    """
    counted = frozenset().union(*(floor.products for floor in floors))
    now = {**kept, **{at: own.product[row] for at, row in places.items()}}
    for floor in floors:
        missing = floor.count_missing(list(now.values()))
        offers = sorted(
            (number - fitting[at].index(place), at, row)
            for at, place in places.items()
            if own.product[place] not in counted
            for number, row in enumerate(fitting[at])
            if own.product[row] in floor.products
        )
        for _, at, row in offers:
            if missing == 0:
                break
            others = [now[other] for other in by_customer[names[at]] if other != at]
            by_product = {own.product[place]: place for place in own.rows[names[at]]}
            held = Counter(
                place
                for other in others
                if other in by_product
                for place in own.list_groups(by_product[other])
            )
            free = now[at] not in counted and own.product[row] not in others
            if free and own.fits(row, held):
                places[at], now[at] = row, own.product[row]
                missing -= 1


def _write_rows(
    long: pd.DataFrame,
    reserves: pd.DataFrame,
    catalogue: pd.DataFrame,
    shelf: pd.DataFrame,
    places: Mapping[int, int],
    utm_source: str,
) -> pd.DataFrame:
    """The rows with the reserves in their places."""
    if not places:
        return long
    at, line = list(places), reserves.iloc[list(places.values())]
    of_product = catalogue.set_index("product_id").reindex(line["product_id"])
    new = long.loc[at].copy()
    for name in OF_RESERVE:
        # Reserves come from Parquet with times, published rows from DuckDB with dates: a column holds one kind.
        values = pd.to_datetime(line[name]).dt.date if name == "because_at" else line[name]
        new[name] = pd.Series(values.array, index=at).astype(long[name].dtype)
    for name in OF_CATALOGUE:
        new[name] = pd.Series(of_product[name].array, index=at).astype(long[name].dtype)
    new["stock"] = new["product_id"].map(shelf["stock"]).astype(long["stock"].dtype)
    shown = [convert_price(row) for row in new.to_dict("records")]
    new["shown_price"] = pd.Series(shown, index=at, dtype=long["shown_price"].dtype)
    new["recommendation_id"] = derive_recommendation_ids(new)
    new["url"] = tag_urls(new, utm_source)
    return pd.concat([long.drop(index=at), new]).sort_values(["customer_id", "slot"], ignore_index=True)
