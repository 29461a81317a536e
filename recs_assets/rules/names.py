"""Names as people write them, beside names as the shop has them."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection


def folded(name: str) -> str:
    """The name without regard to case and to blanks around and between words.

    >>> folded(" Coffee  BEANS")
    'coffee beans'
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def matches(name: str, have: Collection[str]) -> list[str]:
    """The name where the shop has it as it is written, else every one that differs in case and blanks
    alone, in the order of `have`."""
    if name in have:
        return [name]
    wanted = folded(name)
    return [other for other in have if folded(other) == wanted]


def nearest(name: str, have: Collection[str]) -> str | None:
    """The name of the shop that is spelled most like this one; None where none is near."""
    by_folded = {folded(other): other for other in sorted(have, reverse=True)}
    near = difflib.get_close_matches(folded(name), list(by_folded), n=1)
    return by_folded[near[0]] if near else None
