"""What an email's row carries: values worked out by hand, and rules that hold for any text."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import Counter
from datetime import UTC, date, datetime
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.delivery import (
    assign_arms,
    derive_recommendation_id,
    derive_recommendation_ids,
    find_expiry,
    find_send_time,
    hash_addresses,
    tag_urls,
)
from recs_assets.schema import SettingsError

AS_OF = date(2025, 6, 30)
KEY = b"0123456789abcdef0123456789abcdef"


def test_the_recommendation_id_is_the_documented_one():
    parts = b"\0\0\0\x0cweekly_email\0\0\0\x0a2025-06-30\0\0\0\x03c01\0\0\0\x011\0\0\0\x06tea-01"
    expected = hashlib.sha256(parts).hexdigest()[:20]
    assert derive_recommendation_id("weekly_email", AS_OF, "c01", 1, "tea-01") == expected


def test_recommendation_ids_of_a_frame_are_those_of_its_rows():
    rows = pd.DataFrame(
        [("c2", 1, "mug-01"), ("c1", 2, "mug-01"), ("c1", 1, "tea-01"), ("c3", 1, "tea-01")],
        columns=["customer_id", "slot", "product_id"],
    ).assign(campaign="weekly_email", as_of=AS_OF)
    by_row = [derive_recommendation_id("weekly_email", AS_OF, *key) for key in
              zip(rows["customer_id"], rows["slot"], rows["product_id"], strict=True)]  # fmt: skip
    assert derive_recommendation_ids(rows).tolist() == by_row
    assert derive_recommendation_ids(rows.assign(as_of=pd.Timestamp(AS_OF))).tolist() == by_row
    assert len(set(by_row)) == 4


def test_neighbouring_parts_do_not_run_into_each_other():
    assert derive_recommendation_id("a", AS_OF, "bc", 1, "d") != derive_recommendation_id(
        "ab", AS_OF, "c", 1, "d"
    )
    assert derive_recommendation_id("a", AS_OF, "b", 1, "1d") != derive_recommendation_id(
        "a", AS_OF, "b", 11, "d"
    )


def test_without_arms_everybody_is_treated():
    assert assign_arms(["c1", "c2"], "weekly_email").tolist() == ["treatment", "treatment"]


def test_arms_have_their_shares_stay_and_differ_between_campaigns():
    ids, arms = [f"c{number}" for number in range(20_000)], {"treatment": 0.9, "holdout": 0.1}
    found = assign_arms(ids, "weekly_email", arms)
    share = Counter(found)["holdout"] / 20_000
    assert abs(share - 0.1) < 3 * math.sqrt(0.1 * 0.9 / 20_000)
    assert assign_arms(ids[::-1], "weekly_email", arms).tolist() == found[::-1].tolist()
    both = np.mean((found == "holdout") & (assign_arms(ids, "win_back", arms) == "holdout"))
    assert abs(both - 0.01) < 3 * math.sqrt(0.01 * 0.99 / 20_000)
    # A share that grows takes from its neighbour and gives nobody back.
    more = assign_arms(ids, "weekly_email", {"treatment": 0.8, "holdout": 0.2})
    assert set(more[found == "holdout"]) == {"holdout"}


def test_an_address_is_hashed_with_the_key_trimmed_and_in_lower_case():
    expected = hmac.new(KEY, b"c01@example.com", "sha256").hexdigest()
    found = hash_addresses([" C01@Example.com\n", None, "  ", float("nan")], KEY)
    assert found.tolist() == [expected, None, None, None]
    assert hash_addresses(["c01@example.com"], b"another key")[0] != expected


def test_there_is_no_hash_without_a_key():
    with pytest.raises(SettingsError, match="set RECS_HASH_KEY"):
        hash_addresses(["c01@example.com"], b"")


@pytest.mark.parametrize(
    ("own", "sent"),
    [("Europe/Berlin", "2025-06-30T04:00"), (None, "2025-06-30T10:00"), ("Asia/Tokyo", "2025-06-29T21:00")],
)
def test_an_email_goes_out_at_the_campaigns_time(own, sent):
    campaign = SimpleNamespace(schedule=SimpleNamespace(cron="0 6 * * 1", timezone=own))
    assert find_send_time(campaign, AS_OF, "America/New_York") == datetime.fromisoformat(sent).replace(
        tzinfo=UTC
    )


def test_a_row_expires_with_its_window_or_before():
    ends = pd.DataFrame(
        {
            "offer_end": pd.to_datetime(["2025-07-03", None, None, "2026-01-01"]),
            "end_at": pd.to_datetime(["2025-07-02T12:00", "2025-07-10T00:00", None, None]),
        },
        index=[5, 6, 7, 8],
    )
    found = find_expiry(AS_OF, 28, "Europe/Berlin", ends)
    assert [moment.isoformat() for moment in found] == [
        "2025-07-02T10:00:00+00:00",
        "2025-07-09T22:00:00+00:00",
        "2025-07-27T22:00:00+00:00",
        "2025-07-27T22:00:00+00:00",
    ]
    assert found.index.tolist() == [5, 6, 7, 8]
    across = find_expiry(date(2025, 10, 20), 14, "Europe/Berlin", ends)  # winter begins on 26 October
    assert across[7].isoformat() == "2025-11-02T23:00:00+00:00"


def tagged(url, source="newsletter"):
    rows = pd.DataFrame(
        {"campaign": ["weekly_email"], "slot": [3], "url": [url], "recommendation_id": ["abc"]}
    )
    return tag_urls(rows, source)[0]


TAGS = "utm_source=newsletter&utm_medium=email&utm_campaign=weekly_email&utm_content=slot-3&recommendation_id=abc"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example/tea", f"https://shop.example/tea?{TAGS}"),
        ("https://shop.example/tea?", f"https://shop.example/tea?{TAGS}"),
        ("https://shop.example", f"https://shop.example?{TAGS}"),
        ("https://shop.example/tea#top", f"https://shop.example/tea?{TAGS}#top"),
        ("https://shop.example/t?a=%C3%A4+b&c#x?y", f"https://shop.example/t?a=%C3%A4+b&c&{TAGS}#x?y"),
        ("HTTP://shop.example/t?utm_source=ads&size=2&utm%5Fmedium=x&", f"HTTP://shop.example/t?size=2&{TAGS}"),
        ("mailto:a@example.com", "mailto:a@example.com"),
        ("/tea", "/tea"),
    ],
)  # fmt: skip
def test_a_url_is_tagged(url, expected):
    assert tagged(url) == expected


def test_an_unknown_url_stays_unknown():
    assert pd.isna(tagged(None))


PATH_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"], exclude_characters="#?&[]")
)
QUERY = st.lists(st.tuples(st.sampled_from(["a", "size", "recommendation_id", "utm_source"]), PATH_TEXT)).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)


@settings(deadline=None)
@given(PATH_TEXT, QUERY, PATH_TEXT, st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_tagged_url_reads_back(path, query, fragment, source):
    url = f"https://shop.example/{path}?{query}#{fragment}"
    found, before = urlsplit(tagged(url, source)), urlsplit(url)
    assert found._replace(query="") == before._replace(query="")
    ours = dict(parse_qsl(TAGS)) | {"utm_source": source}
    theirs = [pair for pair in parse_qsl(before.query, keep_blank_values=True) if pair[0] not in ours]
    assert parse_qsl(found.query, keep_blank_values=True) == theirs + list(ours.items())
