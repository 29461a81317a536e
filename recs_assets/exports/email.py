"""The email table: one row per recipient and slot, and the forms in which it leaves the house.

`recs.email_recommendations`, `recs.email_holdout` and the export `long` have the columns of `LONG`. A
campaign's rows are filled with `delivery`: when it is made, and `email_hash` when the week's tables are put
together. The export adds `run_id` and `suppression_checked_at`, and takes out with `withhold` who withdrew meanwhile, with `drop_late` what is
over. `widen`, `feed` and `list_addresses` are views of
the result; `email_files.write_exports` writes them, `email_preview.preview_html` shows them.
docs/email.md says what each column means and where it is filled.

Missing values are null: NA in pandas' nullable columns (`Float64`), None elsewhere. A NaN or an infinity
in a numpy column is refused, because JSON has neither and a missing price is not a broken one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets import contracts
from recs_assets.delivery import HOLDOUT, strip_tracking
from recs_assets.exports.rows import ExportError, require_finite

KEY = ("campaign", "as_of", "customer_id", "slot")
RECIPIENT = ("email_hash", "locale", "currency", "shown_currency", "timezone")
RUN = ("send_at", "best_send_at", "run_id", "model_version", "arm")

# Every column of the tables and the files, in order, with its DuckDB type: as declared for the published table.
LONG = contracts.shorten_types(contracts.EMAIL)
_ARROW = {
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "DOUBLE": pa.float64(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
}
# What a recipient's email cannot be made or measured without.
NEVER_NULL = (*KEY, "send_at", "expires_at", "run_id", "arm", "recommendation_id", "product_id")

# Of every item in the wide form: item_1_product_id, item_1_title, ...
ITEM = (
    "product_id", "title", "url", "image_url", "price", "list_price", "price_kind", "price_from", "shown_price",
    "reason_text",
)  # fmt: skip

# Kinds of price: of the catalogue, of what was usually paid before discounts, and of what has no price of
# its own, as goods sold by weight: of those "from ..." is all that may be said.
CATALOGUE, USUAL, VARIES = "catalogue", "usual", "varies"

WITHDRAWN = ("erased", "objected", "unsubscribed")

# ISO 4217 currencies whose minor unit is not a hundredth.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
# What stands before a price that varies, by language.
_FROM = {"en": "from", "de": "ab", "fr": "à partir de", "es": "desde", "nl": "vanaf", "it": "da"}


def withhold(
    long: pd.DataFrame, consents_now: pd.DataFrame, checked_at: datetime | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last look at consent, before files are written: recipients who withdrew are taken out whole.

    Args:
        long: the campaign's rows.
        consents_now: see `find_withdrawn`.
        checked_at: when those were read, with a time zone; now if None.

    Returns:
        The rows kept, with `suppression_checked_at` set; and the recipients removed, as `find_withdrawn` gives them.
    """
    moment = datetime.now(UTC) if checked_at is None else checked_at
    if moment.tzinfo is None:
        raise ExportError(f"checked_at {moment} has no time zone: give one.")
    removed = find_withdrawn(long["customer_id"], consents_now)
    kept = long[~long["customer_id"].isin(removed["customer_id"])].reset_index(drop=True)
    return kept.assign(suppression_checked_at=pd.Timestamp(moment).tz_convert("UTC").as_unit("us")), removed


def find_withdrawn(customers: pd.Series, consents_now: pd.DataFrame) -> pd.DataFrame:
    """Which of these customers withdrew, and why.

    Args:
        customers: customer ids, in any number each.
        consents_now: customer_id and consent_state of everybody who may not be written to at the check, a row
            each (`Warehouse.newest_consents`, the one place that resolves consent).

    Returns:
        customer_id and reason (categorical `WITHDRAWN`, so that `value_counts` has all three), sorted by
        customer_id.
    """
    here = consents_now[consents_now["customer_id"].isin(customers)].sort_values("customer_id")
    return pd.DataFrame(
        {
            "customer_id": here["customer_id"].astype("str"),
            "reason": pd.Categorical(here["consent_state"], categories=list(WITHDRAWN)),
        }
    ).reset_index(drop=True)


def keep_in_time(long: pd.DataFrame) -> pd.DataFrame:
    """The rows, whose `best_send_at` is `send_at` where something of the recipient's email is over by then."""
    over = long["best_send_at"] >= long.groupby("customer_id")["expires_at"].transform("min")
    return long.assign(best_send_at=long["best_send_at"].mask(over, long["send_at"]))


def drop_late(long: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The last look at the calendar: recipients of whose rows one is over when the email goes out are taken
    out whole.

    Args:
        long: rows with customer_id, send_at and expires_at.

    Returns:
        The rows kept, and how many recipients were removed.
    """
    late = long.loc[long["send_at"] >= long["expires_at"], "customer_id"]
    return long[~long["customer_id"].isin(late)].reset_index(drop=True), int(late.nunique())


# -- the forms -----------------------------------------------------------------------------------


def cast_types(long: pd.DataFrame | pa.Table) -> pa.Table:
    """The rows with the types of `LONG`, checked and sorted by key (text by its UTF-8 bytes).

    Raises:
        ExportError: a column is missing or too many, or of another kind; null where none may be; NaN or
            infinite; text with a NUL; an email_hash that is no hash; a key that stands twice.
    """
    if unfit := set(long.columns if isinstance(long, pd.DataFrame) else long.column_names) ^ set(LONG):
        raise ExportError(
            f"The email table has a missing or unknown column: {', '.join(sorted(unfit))}; see LONG."
        )
    if isinstance(long, pd.DataFrame):
        require_finite(long)
    table = pa.table({name: _cast_column(long[name], name, kind) for name, kind in LONG.items()})
    for name in NEVER_NULL:
        if missing := table[name].null_count:
            raise ExportError(f"Column {name} of the email table is null in {missing} rows: fill it.")
    shown = table["email_hash"].drop_null()
    if not pc.all(pc.match_substring_regex(shown, "^[0-9a-f]{64}$"), min_count=0).as_py():
        raise ExportError("Column email_hash holds something else than hashes: fill it with hash_addresses.")
    table = table.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    if table.num_rows > 1:
        same = [pc.equal(table[name].slice(1), table[name].slice(0, table.num_rows - 1)) for name in KEY]
        twice = same[0]
        for equal in same[1:]:
            twice = pc.and_(twice, equal)
        if pc.any(twice).as_py():
            at = pc.index(twice, True).as_py()
            where = ", ".join(f"{name} {table[name][at].as_py()}" for name in KEY if name != "customer_id")
            raise ExportError(f"The email table holds a customer's slot twice ({where}): keep one row of it.")
    return table


def _cast_column(values: pd.Series | pa.ChunkedArray, name: str, kind: str) -> pa.ChunkedArray:
    """One column with its type."""
    try:
        if isinstance(values, pd.Series):
            values = pa.array(values, from_pandas=True)
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        naive = pa.types.is_timestamp(values.type) and values.type.tz is None
        if kind == "TIMESTAMPTZ" and naive:
            raise ExportError(f"Column {name} of the email table has times without time zone: give them one.")
        values = pa.chunked_array(
            values.chunks if isinstance(values, pa.ChunkedArray) else [values], values.type
        )
        values = values.cast(_ARROW[kind])
    except (pa.ArrowException, UnicodeError, TypeError) as error:
        raise ExportError(f"Column {name} of the email table cannot be read as {kind}: {error}") from error
    if kind == "DOUBLE" and not pc.all(pc.is_finite(values), min_count=0).as_py():
        raise ExportError(f"Column {name} holds values that are NaN or infinite; JSON has neither.")
    if kind == "VARCHAR" and pc.any(pc.match_substring(values, "\0")).as_py():
        raise ExportError(f"Column {name} of the email table holds text with a NUL character: remove it.")
    return values


def make_frame(table: pa.Table) -> pd.DataFrame:
    """As pandas, with numbers that may be null (Float64, Int32)."""
    kinds = {pa.float64(): pd.Float64Dtype(), pa.int32(): pd.Int32Dtype()}
    return table.to_pandas(types_mapper=kinds.get)


def widen(long: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """One row per recipient, without the holdout.

    Columns: campaign, as_of, customer_id, `RECIPIENT`, `RUN`, then of every slot 1..k, k being the
    largest there is, item_<slot>_ with each of `ITEM`, null where the recipient has no such slot.

    Raises:
        ExportError: as `cast_types`; or what belongs to a recipient differs between their slots.
    """
    return make_frame(widen_table(cast_types(long)))


def widen_table(table: pa.Table) -> pa.Table:
    """`widen` of a table of `cast_types`, as Arrow."""
    table = drop_holdout(table)
    new = _mark_first(table, KEY[:-1])
    recipient = np.cumsum(new) - 1
    start = np.flatnonzero(new)
    columns: dict[str, pa.ChunkedArray] = {}
    for name in (*KEY[:-1], *RECIPIENT, *RUN):
        values = table[name].take(pa.array(start))
        again = values.take(pa.array(recipient))
        if not again.combine_chunks().equals(table[name].combine_chunks()):
            raise ExportError(f"Column {name} differs between the slots of one recipient: make it the same.")
        columns[name] = values
    slots = table["slot"].to_numpy()
    if len(slots) and slots.min() < 1:
        raise ExportError(f"Slots count from 1, and one is {slots.min()}: number them from 1.")
    for slot in range(1, int(slots.max(initial=0)) + 1):
        at = np.full(len(start), -1)
        rows = np.flatnonzero(slots == slot)
        at[recipient[rows]] = rows
        places = pa.array(at, mask=at < 0)
        columns |= {f"item_{slot}_{name}": table[name].take(places) for name in ITEM}
    return pa.table(columns)


def feed(long: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """The catalogue of what is recommended, for services that load products apart from recipients.

    Columns are Google Merchant Center's product attributes (support.google.com/merchants/answer/7052112),
    which email services read, too: id, title, link, image_link, price ("12.90 USD"), sale_price,
    availability (in_stock, out_of_stock), brand, product_type (the category). Where a product is sold
    below its list price, `price` is the list price and `sale_price` what is to be paid. `link` is the
    page without utm parameters and recommendation_id, which belong to one recipient. Stock that was
    never counted is in stock: the campaign's rules let the product pass. Without currency, a price is
    the number alone. These attributes know no "from": a product whose price varies has none in them.

    One row per product without the holdout's, sorted by id; a product that is shown in several
    currencies has a row in each.

    Raises:
        ExportError: as `cast_types`; or a product has two prices in one currency.
    """
    columns = [
        "product_id", "title", "url", "image_url", "price", "list_price", "price_kind", "stock", "brand", "category",
    ]  # fmt: skip
    rows = make_frame(drop_holdout(cast_types(long)).select([*columns, "currency"]))
    rows = rows.drop_duplicates(["product_id", "currency", "price", "list_price"])
    rows = rows.sort_values(["product_id", "currency"], kind="stable", ignore_index=True)
    if (twice := rows.duplicated(["product_id", "currency"])).any():
        product = rows.loc[twice, "product_id"].iloc[0]
        raise ExportError(f"Product {product} has two prices in one campaign: read prices once for all rows.")
    lines = []
    for row in rows.to_dict("records"):
        hidden = row["price_kind"] == VARIES
        now, before = (
            None if hidden or pd.isna(row[name]) else row[name] for name in ("price", "list_price")
        )
        reduced = now is not None and before is not None and before > now
        url = row["url"] if isinstance(row["url"], str) else None
        page = None if url is None else strip_tracking(url)
        lines.append(
            {
                "id": row["product_id"],
                "title": row["title"],
                "link": url if page is None else "".join(page),
                "image_link": row["image_url"],
                "price": format_money(before if reduced else now, row["currency"]),
                "sale_price": format_money(now, row["currency"]) if reduced else None,
                "availability": "out_of_stock"
                if not pd.isna(row["stock"]) and row["stock"] <= 0
                else "in_stock",
                "brand": row["brand"],
                "product_type": row["category"],
            }
        )
    return pd.DataFrame(lines, columns=list(FEED), dtype="str")


FEED = ("id", "title", "link", "image_link", "price", "sale_price", "availability", "brand", "product_type")


def format_money(amount: float | None, currency: Any) -> str | None:
    """An amount with as many decimals as its currency has, half up, and its code.

    >>> format_money(12.9, "USD"), format_money(1200.5, "JPY"), format_money(None, "USD")
    ('12.90 USD', '1201 JPY', None)
    """
    if amount is None:
        return None
    code = currency if isinstance(currency, str) else ""
    return f"{_round(amount, code)} {code}".rstrip()


def write_from(locale: Any) -> str:
    """What stands before a price that varies, in the customer's language.

    >>> write_from("de-DE"), write_from(None)
    ('ab', 'from')
    """
    return _FROM.get(str(locale)[:2].lower(), _FROM["en"])


def convert_price(row: Mapping[str, Any]) -> float | None:
    """What a row of the email says of its price, in `shown_currency` (`shown_price` of a row that has changed
    since dbt wrote it); None where it says nothing."""
    price = row["price_from"] if row["price_kind"] == VARIES else row["price"]
    if pd.isna(price):
        return None
    code = row["shown_currency"] if isinstance(row["shown_currency"], str) else ""
    return float(_round(price / row["exchange_rate"], code))


def _round(amount: float, code: str) -> Decimal:
    """Half up, as people round money."""
    exact = Decimal(repr(float(amount)))
    return exact.quantize(Decimal(1).scaleb(-_DECIMALS.get(code, 2)), rounding=ROUND_HALF_UP)


def list_addresses(long: pd.DataFrame | pa.Table, emails: pd.DataFrame) -> pd.DataFrame:
    """The restricted list that joins the other forms to addresses: customer_id, email, email_hash.

    Args:
        long: the campaign's rows.
        emails: customer_id (unique) and email; recipients without one are left out.

    Returns:
        One row per recipient outside the holdout, sorted by customer_id.
    """
    table = drop_holdout(cast_types(long))
    recipients = make_frame(
        table.filter(pa.array(_mark_first(table, KEY[:-1]))).select(["customer_id", "email_hash"])
    )
    listed = recipients.merge(emails[["customer_id", "email"]], on="customer_id", validate="one_to_one")
    listed = listed[listed["email"].astype("string").str.strip().fillna("") != ""]
    return listed[["customer_id", "email", "email_hash"]].reset_index(drop=True)


def drop_holdout(table: pa.Table) -> pa.Table:
    """Without the holdout."""
    return table.filter(pc.not_equal(table["arm"], HOLDOUT)).combine_chunks()


def _mark_first(table: pa.Table, names: Iterable[str]) -> np.ndarray:
    """bool[rows]: whether a row differs from the one before in any of the columns."""
    new = np.zeros(table.num_rows, dtype=bool)
    new[:1] = True
    if table.num_rows > 1:
        for name in names:
            values = table[name]
            new[1:] |= pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)).to_numpy()
    return new
