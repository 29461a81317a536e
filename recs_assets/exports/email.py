"""The email table: one row per recipient and slot, and the forms in which it leaves the house.

`recs.email_recommendations`, `recs.email_holdout` and the export `long` have the columns of `LONG`. A
campaign's rows are filled with `recommendation_ids`, `arm`, `send_at`, `expires_at` and `tagged_urls` when it
is made, with `keyed_hash` when the week's tables are put together; the export adds `EXPORTED` and takes out
with `withheld` who withdrew meanwhile, with `in_time` what is over. `wide`, `feed` and `addresses` are views of
the result; `email_files.write_exports` writes them, `email_preview.preview_html` shows them.
docs/campaigns.md says what each column means and where it is filled.

Missing values are null: NA in pandas' nullable columns (`Float64`), None elsewhere. A NaN or an infinity
in a numpy column is refused, because JSON has neither and a missing price is not a broken one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import quote, unquote_plus
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import SecretStr

from recs_assets.cron import first_tick
from recs_assets.exports.rows import ExportError, finite_floats

KEY = ("campaign", "as_of", "customer_id", "slot")
RECIPIENT = ("email_hash", "locale", "currency", "timezone")
RUN = ("send_at", "run_id", "model_version", "arm")

# Every column of the tables and the files, in order, with its DuckDB type.
LONG: dict[str, str] = {
    "campaign": "VARCHAR",
    "as_of": "DATE",
    "customer_id": "VARCHAR",
    "slot": "INTEGER",
    "email_hash": "VARCHAR",
    "locale": "VARCHAR",
    "currency": "VARCHAR",
    "timezone": "VARCHAR",
    "send_at": "TIMESTAMPTZ",
    "expires_at": "TIMESTAMPTZ",
    "run_id": "VARCHAR",
    "model_version": "VARCHAR",
    "arm": "VARCHAR",
    "recommendation_id": "VARCHAR",
    "product_id": "VARCHAR",
    "title": "VARCHAR",
    "url": "VARCHAR",
    "image_url": "VARCHAR",
    "price": "DOUBLE",
    "list_price": "DOUBLE",
    "price_kind": "VARCHAR",
    "price_from": "DOUBLE",
    "margin": "DOUBLE",
    "stock": "DOUBLE",
    "category": "VARCHAR",
    "brand": "VARCHAR",
    "score": "DOUBLE",
    "p_purchase": "DOUBLE",
    "window_days": "INTEGER",
    "source": "VARCHAR",
    "slot_type": "VARCHAR",
    "fallback_level": "VARCHAR",
    "sent_before": "VARCHAR",
    "bought_before": "BOOLEAN",
    "reason_code": "VARCHAR",
    "reason_text": "VARCHAR",
    "reason_family": "VARCHAR",
    "because_product_id": "VARCHAR",
    "because_at": "DATE",
    "support": "DOUBLE",
    "confidence": "DOUBLE",
    "suppression_checked_at": "TIMESTAMPTZ",
}
# What the export fills at its last look; null in the published tables, where no look was the last.
EXPORTED = ("run_id", "suppression_checked_at")
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
    "product_id", "title", "url", "image_url", "price", "list_price", "price_kind", "price_from", "reason_text",
)  # fmt: skip

# Kinds of price: of the catalogue, of what was usually paid before discounts, and of what has no price of
# its own, as goods sold by weight: of those "from ..." is all that may be said.
CATALOGUE, USUAL, VARIES = "catalogue", "usual", "varies"

TREATMENT, HOLDOUT = "treatment", "holdout"
NO_HASH_KEY = "RECS_HASH_KEY is not set, so email_hash is null: set it to 32 random bytes as text."
WITHDRAWN = ("erased", "objected", "unsubscribed")

# ISO 4217 currencies whose minor unit is not a hundredth.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_TRACKING = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "recommendation_id")


# -- what a row is filled with -------------------------------------------------------------------


def recommendation_id(campaign: str, as_of: date, customer_id: str, slot: int, product_id: str) -> str:
    """20 hexadecimal digits that stand for one recommendation: same parts, same id.

    The head of SHA-256 over the parts, each with its length before it. 80 bits: among 10^9 of them,
    two alike come about with a probability below one in a million.

    >>> recommendation_id("weekly_email", date(2025, 6, 30), "c01", 1, "tea-01")
    '40e1f58bccd94584b4ed'
    """
    parts = (campaign, as_of.isoformat(), customer_id, str(slot), product_id)
    return hashlib.sha256(joined(parts)).hexdigest()[:20]


def recommendation_ids(rows: pd.DataFrame) -> pd.Series:
    """`recommendation_id` of every row.

    Args:
        rows: columns campaign, as_of (date or datetime64), customer_id, slot, product_id.
    """
    days = {day: pd.Timestamp(day).date() for day in rows["as_of"].unique()}
    columns = [rows[name] for name in ("campaign", "as_of", "customer_id", "slot", "product_id")]
    ids = [
        recommendation_id(campaign, days[day], customer, slot, product)
        for campaign, day, customer, slot, product in zip(*columns, strict=True)
    ]
    return pd.Series(ids, index=rows.index, name="recommendation_id", dtype="str")


def arm(customer_ids: Iterable[str], campaign: str, arms: Mapping[str, float] | None = None) -> np.ndarray:
    """The experiment arm of every customer: the same in every week of a campaign.

    A customer's place in [0, 1) is a hash of her id, keyed with the campaign; the arms divide that
    line in the order of the file. A share that grows takes from its neighbour only.

    Args:
        customer_ids: of n customers.
        campaign: its name.
        arms: arm -> share, adding up to 1; None or empty: all "treatment".

    Returns:
        object[n] of str.
    """
    customer_ids = list(customer_ids)
    if not arms:
        return np.full(len(customer_ids), TREATMENT, dtype=object)
    heads = b"".join(hashlib.sha256(joined((campaign, one))).digest()[:8] for one in customer_ids)
    place = np.frombuffer(heads, dtype=">u8") / 2.0**64
    ends = np.cumsum(list(arms.values()))[:-1]
    return np.array(list(arms), dtype=object)[np.searchsorted(ends, place, side="right")]


def keyed_hash(values: Iterable[str | None], key: bytes) -> np.ndarray:
    """HMAC-SHA256 of every address, trimmed and in lower case: who has the key can match addresses,
    nobody else can, not even by trying.

    Args:
        values: n addresses; a missing or blank one has no hash.
        key: the secret, `Settings.hash_key`.

    Returns:
        object[n]: 64 hexadecimal digits, or None.

    Raises:
        ExportError: the key is empty.

    >>> keyed_hash([" C01@Example.com", None], b"secret").tolist()
    ['d9edc162e17741b3547c81901e6ce7071b088bf201f2a1364f5077d4548d5917', None]
    """
    if not key:
        raise ExportError("The key of the hashes is empty: set RECS_HASH_KEY to 32 random bytes as text.")
    trimmed = [value.strip().lower() if isinstance(value, str) else "" for value in values]
    hashes = [hmac.digest(key, one.encode(), "sha256").hex() if one else None for one in trimmed]
    found = np.empty(len(hashes), dtype=object)
    found[:] = hashes
    return found


def hashes_of(addresses: pd.Series, key: SecretStr | None) -> np.ndarray:
    """`keyed_hash` of every address; all None without a key.

    Args:
        addresses: any number of the same.
        key: `Settings.hash_key`.
    """
    if key is None:
        return np.full(len(addresses), None, dtype=object)
    secret = key.get_secret_value().encode()
    unique = addresses.drop_duplicates()
    found = dict(zip(unique, keyed_hash(unique, secret), strict=True))
    return np.array([found.get(one) for one in addresses], dtype=object)


def send_at(campaign: Any, as_of: date, shop_timezone: str) -> datetime:
    """When a week's emails go out, in UTC: the first tick of the campaign's cron at or after midnight
    of `as_of`, in the campaign's time zone, else the shop's (`cron.first_tick`).

    Args:
        campaign: with `schedule.cron` and `schedule.timezone` (campaigns.model.Campaign).
        as_of: the week.
        shop_timezone: IANA name.
    """
    schedule = campaign.schedule
    return first_tick(schedule.cron, schedule.timezone or shop_timezone, as_of)


def expires_at(as_of: date, days: int, shop_timezone: str, ends: pd.DataFrame) -> pd.Series:
    """Until when every row holds, in UTC: the end of its window, or an earlier end that is known.

    Args:
        as_of: the week.
        days: length of the window that was predicted.
        shop_timezone: IANA name.
        ends: one row per row, in any number of datetime64 columns: when its product's offer ends, when
            the product may no longer be sold; null where neither is known. Without time zone, as landed:
            in the shop's.

    Returns:
        datetime64[us, UTC], with the index of `ends`.
    """
    window = datetime.combine(
        as_of + timedelta(days=days), time(), tzinfo=ZoneInfo(shop_timezone)
    ).astimezone(UTC)
    until = pd.Series(pd.Timestamp(window), index=ends.index, name="expires_at").dt.as_unit("us")
    return shorten(until, ends, shop_timezone)


def shorten(until: pd.Series, ends: pd.DataFrame, shop_timezone: str) -> pd.Series:
    """Times in UTC, or the earlier end that is known.

    Args:
        until: datetime64[us, UTC].
        ends: as `expires_at`, with the index of `until`.
        shop_timezone: IANA name.
    """
    zone, earliest = ZoneInfo(shop_timezone), until
    for name in ends:
        end = pd.to_datetime(ends[name])
        if end.dt.tz is None:
            first = np.ones(len(end), dtype=bool)
            end = end.dt.tz_localize(zone, nonexistent="shift_forward", ambiguous=first)
        end = end.dt.tz_convert("UTC").dt.as_unit("us")
        earliest = earliest.where(~(end < earliest), end)
    return earliest


def tagged_urls(rows: pd.DataFrame, utm_source: str = "newsletter") -> pd.Series:
    """Every row's product page with what analytics need to count a click.

    Appended to the query, before a fragment: utm_source, utm_medium=email, utm_campaign (the campaign),
    utm_content (slot-1, slot-2, ...), recommendation_id. Of these, what the page's own url has is
    replaced; the rest of it stays as it is, byte by byte. What is no http or https url stays whole.

    Args:
        rows: columns campaign, slot, url (null where unknown), recommendation_id.
        utm_source: of the campaign file.
    """
    parts = {url: _parts(url) for url in rows["url"].unique() if isinstance(url, str)}
    tagged = []
    columns = [rows[name] for name in ("url", "campaign", "slot", "recommendation_id")]
    for url, campaign, slot, identifier in zip(*columns, strict=True):
        if parts.get(url) is None:
            tagged.append(url if isinstance(url, str) else None)
            continue
        before, fragment = parts[url]
        values = (utm_source, "email", campaign, f"slot-{slot}", identifier)
        query = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in zip(_TRACKING, values, strict=True)
        )
        tagged.append(f"{before}{'&' if '?' in before else '?'}{query}{fragment}")
    return pd.Series(tagged, index=rows.index, name="url", dtype="str")


def _parts(url: str) -> tuple[str, str] | None:
    """An http url without its tracking and without a trailing ? or &, and its fragment with the #."""
    if not url.lower().startswith(("http://", "https://")):
        return None
    whole, mark, fragment = url.partition("#")
    path, _, query = whole.partition("?")
    kept = [one for one in query.split("&") if one and unquote_plus(one.partition("=")[0]) not in _TRACKING]
    return path + ("?" + "&".join(kept) if kept else ""), mark + fragment


def withheld(
    long: pd.DataFrame, consents_now: pd.DataFrame, checked_at: datetime | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last look at consent, before files are written: recipients who withdrew are taken out whole.

    Args:
        long: the campaign's rows.
        consents_now: see `withdrawn`.
        checked_at: when those were read, with a time zone; now if None.

    Returns:
        The rows kept, with `suppression_checked_at` set; and the recipients removed, as `withdrawn` gives them.
    """
    moment = datetime.now(UTC) if checked_at is None else checked_at
    if moment.tzinfo is None:
        raise ExportError(f"checked_at {moment} has no time zone: give one.")
    removed = withdrawn(long["customer_id"], consents_now)
    kept = long[~long["customer_id"].isin(removed["customer_id"])].reset_index(drop=True)
    return kept.assign(suppression_checked_at=pd.Timestamp(moment).tz_convert("UTC").as_unit("us")), removed


def withdrawn(customers: pd.Series, consents_now: pd.DataFrame) -> pd.DataFrame:
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


def in_time(long: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The last look at the calendar: recipients of whose rows one is over when the email goes out are taken
    out whole.

    Args:
        long: rows with customer_id, send_at and expires_at.

    Returns:
        The rows kept, and how many recipients were removed.
    """
    late = long.loc[long["send_at"] >= long["expires_at"], "customer_id"]
    return long[~long["customer_id"].isin(late)].reset_index(drop=True), int(late.nunique())


def joined(parts: Iterable[str]) -> bytes:
    """Parts with their lengths, so that no two lists of parts look alike."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


# -- the forms -----------------------------------------------------------------------------------


def typed(long: pd.DataFrame | pa.Table) -> pa.Table:
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
        finite_floats(long)
    table = pa.table({name: _column(long[name], name, kind) for name, kind in LONG.items()})
    for name in NEVER_NULL:
        if missing := table[name].null_count:
            raise ExportError(f"Column {name} of the email table is null in {missing} rows: fill it.")
    shown = table["email_hash"].drop_null()
    if not pc.all(pc.match_substring_regex(shown, "^[0-9a-f]{64}$"), min_count=0).as_py():
        raise ExportError("Column email_hash holds something else than hashes: fill it with keyed_hash.")
    table = table.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    if table.num_rows > 1:
        same = [pc.equal(table[name].slice(1), table[name].slice(0, table.num_rows - 1)) for name in KEY]
        twice = same[0]
        for one in same[1:]:
            twice = pc.and_(twice, one)
        if pc.any(twice).as_py():
            at = pc.index(twice, True).as_py()
            where = ", ".join(f"{name} {table[name][at].as_py()}" for name in KEY if name != "customer_id")
            raise ExportError(f"The email table holds a customer's slot twice ({where}): keep one row of it.")
    return table


def _column(values: pd.Series | pa.ChunkedArray, name: str, kind: str) -> pa.ChunkedArray:
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


def framed(table: pa.Table) -> pd.DataFrame:
    """As pandas, with numbers that may be null (Float64, Int32)."""
    kinds = {pa.float64(): pd.Float64Dtype(), pa.int32(): pd.Int32Dtype()}
    return table.to_pandas(types_mapper=kinds.get)


def wide(long: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """One row per recipient, without the holdout.

    Columns: campaign, as_of, customer_id, `RECIPIENT`, `RUN`, then of every slot 1..k, k being the
    largest there is, item_<slot>_ with each of `ITEM`, null where the recipient has no such slot.

    Raises:
        ExportError: as `typed`; or what belongs to a recipient differs between his slots.
    """
    return framed(wide_table(typed(long)))


def wide_table(table: pa.Table) -> pa.Table:
    """`wide` of a `typed` table, as Arrow."""
    table = sent(table)
    new = _first_of(table, KEY[:-1])
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
        ExportError: as `typed`; or a product has two prices in one currency.
    """
    columns = [
        "product_id", "title", "url", "image_url", "price", "list_price", "price_kind", "stock", "brand", "category",
    ]  # fmt: skip
    rows = framed(sent(typed(long)).select([*columns, "currency"]))
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
        page = None if url is None else _parts(url)
        lines.append(
            {
                "id": row["product_id"],
                "title": row["title"],
                "link": url if page is None else "".join(page),
                "image_link": row["image_url"],
                "price": money(before if reduced else now, row["currency"]),
                "sale_price": money(now, row["currency"]) if reduced else None,
                "availability": "out_of_stock"
                if not pd.isna(row["stock"]) and row["stock"] <= 0
                else "in_stock",
                "brand": row["brand"],
                "product_type": row["category"],
            }
        )
    return pd.DataFrame(lines, columns=list(FEED), dtype="str")


FEED = ("id", "title", "link", "image_link", "price", "sale_price", "availability", "brand", "product_type")


def money(amount: float | None, currency: Any) -> str | None:
    """An amount with as many decimals as its currency has, half up, and its code.

    >>> money(12.9, "USD"), money(1200.5, "JPY"), money(None, "USD")
    ('12.90 USD', '1201 JPY', None)
    """
    if amount is None:
        return None
    code = currency if isinstance(currency, str) else ""
    exact = Decimal(repr(float(amount)))
    number = exact.quantize(Decimal(1).scaleb(-_DECIMALS.get(code, 2)), rounding=ROUND_HALF_UP)
    return f"{number} {code}".rstrip()


def addresses(long: pd.DataFrame | pa.Table, emails: pd.DataFrame) -> pd.DataFrame:
    """The restricted list that joins the other forms to addresses: customer_id, email, email_hash.

    Args:
        long: the campaign's rows.
        emails: customer_id (unique) and email; recipients without one are left out.

    Returns:
        One row per recipient outside the holdout, sorted by customer_id.
    """
    table = sent(typed(long))
    recipients = framed(
        table.filter(pa.array(_first_of(table, KEY[:-1]))).select(["customer_id", "email_hash"])
    )
    found = recipients.merge(emails[["customer_id", "email"]], on="customer_id", validate="one_to_one")
    found = found[found["email"].astype("string").str.strip().fillna("") != ""]
    return found[["customer_id", "email", "email_hash"]].reset_index(drop=True)


def sent(table: pa.Table) -> pa.Table:
    """Without the holdout."""
    return table.filter(pc.not_equal(table["arm"], HOLDOUT)).combine_chunks()


def _first_of(table: pa.Table, names: Iterable[str]) -> np.ndarray:
    """bool[rows]: whether a row differs from the one before in any of the columns."""
    new = np.zeros(table.num_rows, dtype=bool)
    new[:1] = True
    if table.num_rows > 1:
        for name in names:
            values = table[name]
            new[1:] |= pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)).to_numpy()
    return new
