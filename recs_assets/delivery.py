"""What an email's row carries so that it can be sent and measured: arm, id, times, tagged link, hashed address.

A campaign fills its rows with these; the files of the last look fill a slot that changed hands with them again.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import quote, unquote_plus
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pydantic import Field, SecretStr

from recs_assets.cron import find_first_tick
from recs_assets.schema import SettingsError

# Arms of a campaign's test; customers of the holdout get no email.
TREATMENT, HOLDOUT = "treatment", "holdout"
ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
ArmShare = Annotated[float, Field(gt=0, le=1)]
NO_HASH_KEY = "RECS_HASH_KEY is not set, so email_hash is null: set it to 32 random bytes as text."

_TRACKING = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "recommendation_id")


def derive_recommendation_id(campaign: str, as_of: date, customer_id: str, slot: int, product_id: str) -> str:
    """20 hexadecimal digits that stand for one recommendation: same parts, same id.

    The head of SHA-256 over the parts, each with its length before it. 80 bits: among 10^9 of them,
    two alike come about with a probability below one in a million.

    >>> derive_recommendation_id("weekly_email", date(2025, 6, 30), "c01", 1, "tea-01")
    '40e1f58bccd94584b4ed'
    """
    parts = (campaign, as_of.isoformat(), customer_id, str(slot), product_id)
    return hashlib.sha256(join_parts(parts)).hexdigest()[:20]


def derive_recommendation_ids(rows: pd.DataFrame) -> pd.Series:
    """`recommendation_id` of every row.

    Args:
        rows: columns campaign, as_of (date or datetime64), customer_id, slot, product_id.
    """
    numbers, days = pd.factorize(rows["as_of"])
    dates = [pd.Timestamp(day).date() for day in days]
    # Lists: a string column gives its values one by one ten times as slowly.
    columns = (rows[name].tolist() for name in ("campaign", "customer_id", "slot", "product_id"))
    ids = [
        derive_recommendation_id(campaign, dates[number], customer, slot, product)
        for number, campaign, customer, slot, product in zip(numbers.tolist(), *columns, strict=True)
    ]
    return pd.Series(ids, index=rows.index, name="recommendation_id", dtype="str")


def assign_arms(
    customer_ids: Iterable[str], campaign: str, arms: Mapping[str, float] | None = None
) -> np.ndarray:
    """The experiment arm of every customer: the same in every week of a campaign.

    A customer's place in [0, 1) is a hash of their id, keyed with the campaign; the arms divide that
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
    ends = np.cumsum(list(arms.values()))[:-1]
    place = place_customers(customer_ids, campaign)
    return np.array(list(arms), dtype=object)[np.searchsorted(ends, place, side="right")]


def place_customers(customer_ids: Iterable[str], *key: str) -> np.ndarray:
    """float64[n]: the place of every customer in [0, 1), evenly spread; another key shuffles them anew."""
    heads = b"".join(hashlib.sha256(join_parts((*key, customer))).digest()[:8] for customer in customer_ids)
    return np.frombuffer(heads, dtype=">u8") / 2.0**64


def check_shares(shares: Mapping[str, float]) -> None:
    """Raises:
    ValueError: the shares of the arms do not add up to 1.
    """
    if not math.isclose(total := math.fsum(shares.values()), 1, abs_tol=1e-9):
        raise ValueError(f"the shares add up to {total:g} and must add up to 1")


def check_holdout(arms: Iterable[str], what: str) -> None:
    """Whoever misspells the holdout would send to it.

    Args:
        arms: their names.
        what: every other arm gets, as in "the email".

    Raises:
        ValueError: a name that is nearly `HOLDOUT`.
    """
    for name in arms:
        if name != HOLDOUT and difflib.get_close_matches(name.replace("_", ""), [HOLDOUT], cutoff=0.75):
            raise ValueError(f"{name} would get {what}; for the arm that gets none write {HOLDOUT}")


def hash_addresses(values: Iterable[str | None], key: bytes) -> np.ndarray:
    """HMAC-SHA256 of every address, trimmed and in lower case: who has the key can match addresses,
    nobody else can, not even by trying.

    Args:
        values: n addresses; a missing or blank one has no hash.
        key: the secret, `Settings.hash_key`.

    Returns:
        object[n]: 64 hexadecimal digits, or None.

    Raises:
        SettingsError: the key is empty.

    >>> hash_addresses([" C01@Example.com", None], b"secret").tolist()
    ['d9edc162e17741b3547c81901e6ce7071b088bf201f2a1364f5077d4548d5917', None]
    """
    if not key:
        raise SettingsError("The key of the hashes is empty: set RECS_HASH_KEY to 32 random bytes as text.")
    trimmed = [value.strip().lower() if isinstance(value, str) else "" for value in values]
    hashes = [hmac.digest(key, address.encode(), "sha256").hex() if address else None for address in trimmed]
    values = np.empty(len(hashes), dtype=object)
    values[:] = hashes
    return values


def hash_address_column(addresses: pd.Series, key: SecretStr | None) -> np.ndarray:
    """`hash_addresses` of every address; all None without a key.

    Args:
        addresses: any number of the same.
        key: `Settings.hash_key`.
    """
    if key is None:
        return np.full(len(addresses), None, dtype=object)
    secret = key.get_secret_value().encode()
    unique = addresses.drop_duplicates()
    by_address = dict(zip(unique, hash_addresses(unique, secret), strict=True))
    return np.array([by_address.get(address) for address in addresses], dtype=object)


def find_send_time(campaign: Any, as_of: date, shop_timezone: str) -> datetime:
    """When a week's emails go out, in UTC: the first tick of the campaign's cron at or after midnight
    of `as_of`, in the campaign's time zone, else the shop's (`cron.find_first_tick`).

    Args:
        campaign: with `schedule.cron` and `schedule.timezone` (campaigns.file.Campaign).
        as_of: the week.
        shop_timezone: IANA name.
    """
    schedule = campaign.schedule
    return find_first_tick(schedule.cron, schedule.timezone or shop_timezone, as_of)


def find_expiry(as_of: date, days: int, shop_timezone: str, ends: pd.DataFrame) -> pd.Series:
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


def tag_urls(rows: pd.DataFrame, utm_source: str = "newsletter") -> pd.Series:
    """Every row's product page with what analytics need to count a click.

    Appended to the query, before a fragment: utm_source, utm_medium=email, utm_campaign (the campaign),
    utm_content (slot-1, slot-2, ...), recommendation_id. Of these, what the page's own url has is
    replaced; the rest of it stays as it is, byte by byte. What is no http or https url stays whole.

    Args:
        rows: columns campaign, slot, url (null where unknown), recommendation_id.
        utm_source: of the campaign file.
    """
    parts = {url: strip_tracking(url) for url in rows["url"].unique() if isinstance(url, str)}
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


def strip_tracking(url: str) -> tuple[str, str] | None:
    """An http url without its tracking and without a trailing ? or &, and its fragment with the #."""
    if not url.lower().startswith(("http://", "https://")):
        return None
    whole, mark, fragment = url.partition("#")
    path, _, query = whole.partition("?")
    kept = [
        pair for pair in query.split("&") if pair and unquote_plus(pair.partition("=")[0]) not in _TRACKING
    ]
    return path + ("?" + "&".join(kept) if kept else ""), mark + fragment


def join_parts(parts: Iterable[str]) -> bytes:
    """Parts with their lengths, so that no two lists of parts look alike."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
