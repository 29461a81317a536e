"""What the rules look at, put together from the tables that a warehouse returns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.known.interactions import Known, number_parents
from recs_assets.known.segments import read_text
from recs_assets.rules.context import Contacts, Context, Sends, number_names


def assemble_context(
    known: Known,
    products: pd.DataFrame | None = None,
    customers: pd.DataFrame | None = None,
    carts: pd.DataFrame | None = None,
    rejected: pd.DataFrame | None = None,
    dismissed: pd.DataFrame | None = None,
    sends: pd.DataFrame | None = None,
    contacts: pd.DataFrame | None = None,
    price_drops: pd.DataFrame | None = None,
    **rest: object,
) -> Context:
    """A context from tables as a warehouse returns them; rows of unknown ids are left out.

    Args:
        known: gives the codes.
        products: product_id and any of name, url, image_url, stock, cost, parent_id, merchant_id, countries
            (ISO codes separated by blanks or commas, where alone it may be sold; empty: everywhere).
        customers: customer_id and any of consent_state, no_address, unusable_address, address,
            bounced, test_account, wholesale.
        carts: customer_id, product_id.
        rejected: customer_id, product_id: returned, or rated 2 or lower.
        dismissed: customer_id, product_id, day of the latest time (date or days since 1970-01-01).
        sends: customer_id, product_id, day (date or days since 1970-01-01): this campaign's.
        contacts: customer_id, day: one row per send of any campaign.
        price_drops: product_id, day.
        rest: other attributes of `Context`.

    Raises:
        RulesError: as `Context`.
    """
    parts: dict[str, object] = dict(rest)
    who, what = pd.Index(known.customers["customer_id"]), pd.Index(known.products["product_id"])
    own, people = (
        _join(known.products, products, "product_id"),
        _join(known.customers, customers, "customer_id"),
    )
    for name in ("stock", "cost"):
        if name in own:
            parts[name] = own[name].to_numpy(dtype=float, na_value=np.nan)
    parts["present"] = {
        name: read_text(own[name]).notna().to_numpy() for name in ("name", "url", "image_url") if name in own
    }
    if "parent_id" in own:
        parts["parent"] = number_parents(own)
    if "merchant_id" in own and read_text(own["merchant_id"]).notna().any():
        parts["merchant"], parts["merchants"] = number_names(own["merchant_id"])
    if "countries" in own and read_text(own["countries"]).notna().any():
        parts["country"], parts["sellable"] = _find_sellable(read_text(own["countries"]), people["country"])
    if "consent_state" in people:
        parts["consent_state"] = read_text(people["consent_state"]).fillna("").to_numpy(dtype=object)
    for name in ("no_address", "unusable_address", "bounced", "test_account", "wholesale"):
        if name in people:
            parts[name] = people[name].astype("boolean").fillna(False).to_numpy(dtype=bool)
    if "address" in people:
        parts["address"] = people["address"].astype("Int64").fillna(-1).to_numpy(dtype=np.int64)
    for name, frame in (("carts", carts), ("rejected", rejected), ("dismissed", dismissed)):
        if frame is not None:
            customer, product = (
                who.get_indexer(frame["customer_id"]),
                what.get_indexer(frame["product_id"]),
            )
            both = (customer >= 0) & (product >= 0)
            # Days are exact in float32 until the year 47,000.
            values = _number_days(frame["day"])[both] if "day" in frame else np.ones(both.sum())
            parts[name] = sparse.csr_matrix(
                (values.astype(np.float32), (customer[both], product[both])),
                shape=(known.n_customers, known.n_products),
            )
    if sends is not None:
        customer, product = who.get_indexer(sends["customer_id"]), what.get_indexer(sends["product_id"])
        both = (customer >= 0) & (product >= 0)
        parts["sends"] = Sends(customer[both], product[both], _number_days(sends["day"])[both])
    if contacts is not None:
        customer = who.get_indexer(contacts["customer_id"])
        parts["contacts"] = Contacts(customer[customer >= 0], _number_days(contacts["day"])[customer >= 0])
    if price_drops is not None:
        parts["price_drop_day"] = find_last_days(known, price_drops)
    return Context(known, **parts)


def find_last_days(known: Known, rows: pd.DataFrame) -> np.ndarray:
    """int64[n_products], the latest day of every product; -1 without one.

    Args:
        known: gives the codes.
        rows: product_id, day (date or days since 1970-01-01).
    """
    product = pd.Index(known.products["product_id"]).get_indexer(rows["product_id"])
    latest = np.full(known.n_products, -1, dtype=np.int64)
    np.maximum.at(latest, product[product >= 0], _number_days(rows["day"])[product >= 0])
    return latest


def _join(own: pd.DataFrame, more: pd.DataFrame | None, key: str) -> pd.DataFrame:
    """The rows of `own` with the columns of `more`, which win where both have one."""
    if more is None:
        return own
    matched = more.set_index(key).reindex(own[key])
    return own.assign(**{name: matched[name].to_numpy() for name in matched})


def _number_days(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)
    return pd.to_datetime(column).to_numpy(dtype="datetime64[D]").astype(np.int64)


def _find_sellable(allowed: pd.Series, country: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    code, names = number_names(country.str.upper() if len(country.dropna()) else country)
    lists = allowed.str.upper().str.split(r"[\s,]+", regex=True)
    row = {name: number for number, name in enumerate(names)}
    sellable = np.tile(allowed.isna().to_numpy(), (len(names) + 1, 1))
    for product, some in lists.dropna().items():
        for name in some:
            if name in row:
                sellable[row[name], product] = True
    return code, sellable
