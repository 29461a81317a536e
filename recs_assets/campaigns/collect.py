"""All campaigns that were made of a week, as tables, reconciled with what is so when they are put together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import SecretStr

from recs_assets.campaigns.load import load_order_hours, load_people_and_products
from recs_assets.campaigns.made import (
    JOINED_LATER,
    OUTCOMES,
    PREDICTIONS,
    SELECTED,
    UNAVAILABLE,
    WITHDRAWN,
    Made,
    ask_to_make_again,
    find_folder,
    iterate_predictions,
    read_prediction_schema,
    read_slots,
)
from recs_assets.campaigns.sending import find_best_times
from recs_assets.campaigns.versions import list_published, take
from recs_assets.delivery import HOLDOUT, hash_address_column
from recs_assets.repeats.hours import OrderHours
from recs_assets.rules.recipients import SAME_ADDRESS, choose_accounts
from recs_assets.week.week import Week

Rows = pd.DataFrame | pa.RecordBatchReader
# What predictions get when they are put together.
_ADDED = pa.schema([("campaign", pa.string()), ("as_of", pa.date32())])
# Outcomes of customers who have rows.
FILLED = (SELECTED, HOLDOUT)


@dataclass(frozen=True)
class Now:
    """What is so when the tables are put together.

    Attributes:
        customers: as `load_people_and_products` gives them.
        available: the products that may be sold.
        erased: how many customers were erased, whom no other table has.
        addresses: customer_id, email.
        hours: at which customers order; None: not known.
        timezone: of the shop, IANA name.
    """

    customers: pd.DataFrame
    available: set[str]
    erased: int
    addresses: pd.DataFrame
    hours: OrderHours | None = None
    timezone: str = "UTC"


def collect_campaigns(
    week: Week,
    files: Collection[str],
    columns: Mapping[str, Sequence[str]],
    addresses: pd.DataFrame,
    hash_key: SecretStr | None,
) -> dict[str, Rows]:
    """Every campaign of the week, as tables (`reconcile`): those that have a file (`files`, their names) and no gate refused,
    and those that were published."""
    with week.build.read() as connection:
        people = load_people_and_products(connection, week.as_of)
        hours = OrderHours.learn(load_order_hours(connection, week.as_of), week.settings.seed)
    now = Now(*people, addresses, hours, week.shop.timezone)
    paths = take(find_folder(week, ""), files, list_published(week))
    return reconcile(paths, week.as_of, now, columns, hash_key)


def count_slots(paths: Iterable[Path]) -> int:
    """The slots of the longest email of some campaigns' folders, whatever files there are now; 0 without one.

    Raises:
        ArtefactError: a campaign was made by an earlier version of recs_assets.
    """
    return max(map(read_slots, paths), default=0)


def reconcile(
    paths: Iterable[Path],
    as_of: date,
    now: Now,
    columns: Mapping[str, Sequence[str]],
    hash_key: SecretStr | None = None,
) -> dict[str, Rows]:
    """Read campaigns and leave out what no longer holds.

    A campaign may have been made hours or days before. Customers who withdrew since, or whose list holds a
    product that may no longer be sold, are left out and counted as such, and so is the second of two
    accounts that share an address by now: the outcomes of each campaign add up to the customers of now.
    The holdout keeps its rows, which dbt puts into a table of their own. Predictions, of which there may be hundreds
    of each customer, are read when they are asked for, and once.

    Args:
        paths: one folder per campaign.
        as_of: the week.
        now: what is so now.
        columns: of the tables that are returned: those of a table without rows.
        hash_key: of `email_hash`; null without one.

    Raises:
        ArtefactError: a campaign was made by an earlier version of recs_assets.
    """
    paths = list(paths)
    parts: dict[str, list[pd.DataFrame]] = {part: [] for part in columns}
    for path in paths:
        for part, rows in _reconcile_campaign(path, as_of, now, hash_key).items():
            if part in parts and len(rows):
                parts[part].append(rows.assign(campaign=path.name, as_of=as_of))
    tables: dict[str, Rows] = {
        part: pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns[part]))
        for part, frames in parts.items()
    }
    schemas = {path: schema for path in paths if len(schema := read_prediction_schema(path))}
    if schemas:
        # A column without a value in one campaign has no type there.
        schema = pa.unify_schemas([*schemas.values(), _ADDED], promote_options="permissive")
        rows = _iterate_predictions(schemas, as_of, now.customers["customer_id"], schema)
        tables[PREDICTIONS] = pa.RecordBatchReader.from_batches(schema, rows)
    return tables


def _iterate_predictions(
    paths: Iterable[Path], as_of: date, customers: pd.Series, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """What campaigns predict of customers, with the campaign and the week."""
    known = pa.array(customers, pa.string())
    for path in paths:
        for batch in iterate_predictions(path):
            rows = batch.filter(pc.is_in(batch["customer_id"].cast(pa.string()), known))
            for name, value in (("campaign", path.name), ("as_of", as_of)):
                rows = rows.append_column(name, pa.repeat(pa.scalar(value), len(rows)))
            yield rows.cast(schema)


def _reconcile_campaign(
    path: Path, as_of: date, now: Now, hash_key: SecretStr | None
) -> dict[str, pd.DataFrame]:
    """The tables of one campaign, with `people` (an outcome per customer) and the count of every outcome."""
    made = Made.read(path)
    tables = {"shadows": pd.DataFrame(), **made.tables}
    outcome = tables["outcomes"].set_index("customer_id")["outcome"].reindex(now.customers["customer_id"])
    outcome = outcome.fillna(JOINED_LATER)
    selection = tables["selection"]
    if len(selection):
        if not {"arm", "reserve"} <= set(selection):
            lacking = "which rows are reserves" if "arm" in selection else "who is held out"
            raise ask_to_make_again(path, as_of, lacking)
        tables["selection"] = made.filled
        _update_outcomes(outcome, tables["selection"], now)
        for name in ("selection", "traces", "shadows"):
            if len(tables[name]):
                keep = tables[name]["customer_id"].map(outcome).isin(FILLED)
                tables[name] = tables[name][keep.to_numpy()]
        emails = now.addresses.set_index("customer_id")["email"]
        addresses = tables["selection"]["customer_id"].map(emails)
        tables["selection"]["email_hash"] = hash_address_column(addresses, hash_key)
        tables["selection"]["best_send_at"] = find_best_times(tables["selection"], now.hours, now.timezone)
    counts = outcome.value_counts().reindex(list(OUTCOMES), fill_value=0)
    counts["erased"] += now.erased
    tables["people"] = outcome.rename("outcome").reset_index()
    tables["outcomes"] = pd.DataFrame(
        {"step": range(1, len(OUTCOMES) + 1), "outcome": counts.index, "customers": counts.to_numpy()}
    )
    return tables


def _update_outcomes(outcome: pd.Series, selection: pd.DataFrame, now: Now) -> None:
    """Take out, in place, the customers with rows who may not get them any more; an earlier reason counts."""
    eligible = now.customers.set_index("customer_id")["email_eligible"].fillna(False).astype(bool)
    outcome[outcome.isin(FILLED) & ~eligible] = WITHDRAWN
    gone = selection.loc[~selection["product_id"].isin(now.available), "customer_id"]
    outcome[outcome.isin(FILLED) & outcome.index.isin(gone)] = UNAVAILABLE
    address, last_day = (now.customers[name].to_numpy() for name in ("address", "last_day"))
    filled = outcome.isin(FILLED).to_numpy()
    outcome[filled & ~choose_accounts(address, last_day, filled)] = SAME_ADDRESS
