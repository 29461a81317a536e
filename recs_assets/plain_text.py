"""Text as people read it: without HTML, entities and characters that show nothing.

dbt's staging calls `plain_text` as a function of SQL; `Plugin` gives it to dbt's connection (profiles.yml).
"""

from __future__ import annotations

import html
import re
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

# What HTML knows as a tag; anything else between < and > is text, as in "Cable <USB-C>" or "5 < 6".
_INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|nobr|q|s|samp|small|span|strike|strong"
    "|sub|sup|time|tt|u|var|wbr"
)
_BLOCK = (
    "address|article|aside|audio|base|blockquote|body|br|button|canvas|caption|center|col|colgroup|dd|details|dialog"
    "|dir|div|dl|dt|embed|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|img"
    "|input|label|legend|li|link|main|map|meta|nav|noscript|object|ol|optgroup|option|p|param|picture|pre|section"
    "|select|source|summary|svg|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|track|ul|video"
)
_UNSEEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->|<!doctype[^<>]*>", re.I | re.S)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
# A last tag may be cut off where an export cut the text.
# Browsers take a slash for a blank: <svg/onload=...> is a tag.
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK})(?:[\s/][^<>]*)?/?(?:>|(?<=[\s\"'=/])\Z)", re.I)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE})(?:[\s/][^<>]*)?/?>|<(?:{_INLINE})\s+[a-z-]+=[^<>]*\Z", re.I)
# Named entities end with a semicolon here: "R&D" and "salt&notes" are text.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")
# Soft hyphens, zero-width blanks, marks of direction and of byte order, and control characters but blanks.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
# Joiners shape Persian, Indic and emoji; between other characters they show nothing.
_JOINER = re.compile(r"(?<![\u0600-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\U0010ffff])")

# An entity may itself be written as one ("&amp;amp;"); more layers than this are no accident.
_LAYERS = 5


def plain_text(text: str) -> str:
    """The text without tags, entities and invisible characters, and with single blanks.

    >>> plain_text("Tom &amp;amp; Jerry&#39;s <b>blue</b>&nbsp;mug<br>5 < 6")
    "Tom & Jerry's blue mug 5 < 6"
    """
    for _ in range(_LAYERS):
        before = text
        if "<" in text:
            text = _CDATA.sub(r"\1", _UNSEEN.sub(" ", text))
            text = _INLINE_TAG.sub("", _BLOCK_TAG.sub(" ", text))
        if "&" in text:
            text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
        if text == before:
            break
    return " ".join(_JOINER.sub("", _INVISIBLE.sub("", text)).split())


class Plugin(BasePlugin):
    """Gives the functions of this module to dbt's connection."""

    def configure_connection(self, conn: Any) -> None:
        conn.create_function("plain_text", plain_text, ["VARCHAR"], "VARCHAR")
