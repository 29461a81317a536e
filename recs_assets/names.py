"""Names as people write them, beside names as the shop has them."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1 << 17)  # every context of a week asks for the same names
def fold(name: str) -> str:
    """The name without regard to case and to blanks around and between words.

    >>> fold(" Coffee  BEANS")
    'coffee beans'
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def find_matches(name: str, have: Collection[str]) -> list[str]:
    """The name where the shop has it as it is written, else every one that differs in case and blanks
    alone, in the order of `have`."""
    if name in have:
        return [name]
    wanted = fold(name)
    return [other for other in have if fold(other) == wanted]


def find_all_matches(names: Collection[str], have: Collection[str]) -> list[str]:
    """What `find_matches` finds for any of the names, in one pass over the names of the shop."""
    there = [name for name in names if name in have]
    wanted = {fold(name) for name in names if name not in have}
    return [*there, *(other for other in have if fold(other) in wanted)] if wanted else there


def find_nearest(name: str, have: Collection[str]) -> str | None:
    """The name of the shop that is spelled most like this one; None where none is near."""
    names = sorted(have)
    near = difflib.get_close_matches(fold(name), dict.fromkeys(map(fold, names)), n=1)
    # Where the shop spells it in several ways, the one in the case of the name.
    spelled = [other for other in names if fold(other) in near]
    return difflib.get_close_matches(name, spelled, n=1, cutoff=0)[0] if near else None


def is_time_zone(name: object) -> bool:
    """Whether there is a time zone of this IANA name; a file may hold anything in its place.

    >>> is_time_zone("Europe/Berlin"), is_time_zone("Berlin"), is_time_zone("../etc/passwd")
    (True, False, False)
    """
    try:
        ZoneInfo(name if isinstance(name, str) else "")
    except (KeyError, ValueError, OSError):
        return False
    return True
