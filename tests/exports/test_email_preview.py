"""The preview of an email shows nobody, and no text that is not escaped."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import markupsafe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.email import TEXT, make_row, make_table, small_table
from recs_assets.exports.email_preview import preview_html


def test_the_preview_names_no_id_and_says_its_language():
    page = preview_html(make_table(make_row("c1", 1, ("sku-77", None, 1.0, 2.0), locale="de_AT")))
    assert ">(no name)</a>" in page
    assert ">sku-77<" not in page
    assert '<div class="mail" lang="de-AT">' in page


class Page(HTMLParser):
    """The tags, links and texts of a page."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.links, self.texts = Counter(), [], []
        self.attributes = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_preview_shows_the_email_and_nobody():
    page = preview_html(small_table())
    seen = Page(page)
    text = "|".join(seen.texts)
    for words in ("Weekly email", "Assam & Co", "6.50 EUR|8.00 EUR", 'Mug "Big" 🍵', "12.90 EUR", "Picked for you",
                  "You bought this on 8 days", "Sample 1 of 2", "sent 2025-06-30 04:00 UTC"):  # fmt: skip
        assert words in text
    assert "<s>8.00 EUR</s>" in page
    assert "https://shop.example/tea-01.jpg" in seen.links
    assert not re.search(r"@example|\bc[123]\b|[0-9a-f]{64}|<script|<link|<iframe", page)
    assert page == preview_html(small_table().iloc[::-1])


def test_samples_are_drawn_from_those_who_are_written_to():
    long = make_table(*(make_row(f"c{number}", 1, (f"p{number}", f"Title {number}", 1.0, None)) for number in range(9)),
                 make_row("c9", 1, ("p9", "Title 9", 1.0, None), arm="holdout"))  # fmt: skip
    shown = re.findall(r"Title (\d)</a>", preview_html(long))
    assert len(shown) == 3
    assert "9" not in re.findall(r"Title (\d)</a>", preview_html(long, customers=99))
    assert shown != re.findall(r"Title (\d)</a>", preview_html(long.assign(campaign="win_back")))
    assert len(re.findall(r"Title \d</a>", preview_html(long, customers=1))) == 1


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "java\nscript:alert(1)", " https://x.example",
     'https://x.example/"onload="alert(1)', "https://x.example/<b>", "file:///etc/passwd", "", None],
)  # fmt: skip
def test_links_are_of_the_web_or_not_there(url):
    seen = Page(preview_html(make_table(make_row(url=url, image_url=url))))
    assert seen.links == []


HOSTILE = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "' onload='x",
            "&lt;b&gt;",
            "</style>",
        ]
    ),
)


@settings(deadline=None, max_examples=50)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_the_preview_never_holds_text_that_is_not_escaped(title, reason, kind, locale):
    hostile = make_row(
        "c1", 1, ("p", title, 1.0, 2.0), reason_text=reason, slot_type=kind, locale=locale, currency=kind
    )
    plain = make_row("c1", 1, ("p", "t", 1.0, 2.0), reason_text="t", slot_type="x", locale="l", currency="t")
    page = preview_html(make_table(hostile))
    seen, expected = Page(page), Page(preview_html(make_table(plain)))
    # An empty slot type has no label.
    assert +(expected.tags - seen.tags) in (Counter(), Counter({"span": 1} if not kind else {}))
    assert seen.tags - expected.tags == Counter()
    assert seen.attributes <= expected.attributes
    assert seen.links == expected.links
    assert str(markupsafe.escape(reason)) in page
