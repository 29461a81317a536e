"""What profiles are compared by: addresses, numbers, names and days in one form each."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import date

import phonenumbers

from recs_assets.sources.spellings import normalise_address

# What stands before the @ of an address that is nobody's own. dbt's macro `address_kind` says who is written to.
NOBODYS = frozenset(
    [
        "abuse",
        "admin",
        "anonym",
        "anonymous",
        "asdf",
        "deleted",
        "donotreply",
        "dummy",
        "email",
        "erased",
        "fake",
        "gast",
        "geloescht",
        "guest",
        "hostmaster",
        "invalid",
        "keine",
        "keineemail",
        "keinemail",
        "mailerdaemon",
        "niemand",
        "noaddress",
        "nobody",
        "noemail",
        "nomail",
        "none",
        "noone",
        "noreply",
        "null",
        "placeholder",
        "postmaster",
        "test",
        "tester",
        "testing",
        "unbekannt",
        "undefined",
        "unknown",
    ]
)
_TITLES = frozenset(["dr", "prof", "herr", "frau", "mr", "mrs", "ms", "mme", "dipl", "ing"])
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
# Days that forms are filled with.
_PLACEHOLDER_DAYS = frozenset([date(1900, 1, 1), date(1970, 1, 1), date(2000, 1, 1)])
# A number whose last digits nobody else has need not be understood: it is nobody else's.
_TAIL = 6


def normalise_email(text: str | None) -> str | None:
    """An address in lower case without what stands around it; None where it is none, or nobody's own.

    Dots and what follows a plus stay: they tell people apart with most providers.

    >>> normalise_email(" Ina <Ina@Example.com>"), normalise_email("noreply@example.com"), normalise_email("n/a")
    ('ina@example.com', None, None)
    """
    address = normalise_address(text or "")
    local, _, domain = address.partition("@")
    word = re.sub(r"[\W_\d]", "", local)
    if "." not in domain or word in NOBODYS or domain.split(".")[0] in ("none", "null", "noreply", "test"):
        return None
    if domain.rsplit(".", 1)[1] in ("invalid", "local", "localhost", "test"):
        return None
    return address


def own_part(email: str | None, first_name: str | None, last_name: str | None) -> str | None:
    """What stands before the @ where it says more than a name, which namesakes have at other providers.

    >>> own_part("sonnenblume@web.de", "ina", "lang"), own_part("ina.lang@web.de", "ina", "lang"), own_part("ina1983@web.de", "ina", None)
    ('sonnenblume', None, 'ina1983')
    """
    local = (email or "").partition("@")[0]
    letters = normalise_name(local) or ""
    named = any(name in letters for name in (first_name, last_name) if name)
    if len(local) < 5 or (named and len(re.sub(r"\D", "", local)) < 3):
        return None
    return local


def normalise_phones(numbers: Sequence[str | None], countries: Sequence[str | None]) -> list[str | None]:
    """Telephone numbers as E.164; None where there is no valid one.

    Args:
        numbers: as the shop has them.
        countries: ISO 3166-1 alpha-2, of whoever has the number: what a number without `+` is of.

    Returns:
        In the same order; a number whose last digits stand nowhere else is left as its digits.

    >>> normalise_phones(["030 901820", "+49 (0)30 901820", "123"], ["DE", None, "DE"])
    ['+4930901820', '+4930901820', None]
    """
    digits = [re.sub(r"\D", "", number or "") for number in numbers]
    tails = Counter(digit[-_TAIL:] for digit in digits)
    known: dict[tuple[str, str | None], str | None] = {}
    phones: list[str | None] = []
    for number, digit, country in zip(numbers, digits, countries, strict=True):
        if number is None or len(digit) < _TAIL:
            phones.append(None)
        elif tails[digit[-_TAIL:]] == 1:
            phones.append(digit)
        else:
            key = (number, country)
            if key not in known:
                known[key] = _parse_phone(*key)
            phones.append(known[key])
    return phones


def _parse_phone(number: str, country: str | None) -> str | None:
    try:
        parsed = phonenumbers.parse(number, (country or "").strip().upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def normalise_name(text: str | None) -> str | None:
    """A name in lower-case letters alone, umlauts in either spelling alike, titles left out; None where none is left.

    >>> normalise_name("Dr. Jürgen"), normalise_name("JUERGEN"), normalise_name("O'Neill-Weiß"), normalise_name("-")
    ('jurgen', 'jurgen', 'oneillweiss', None)
    """
    folded = unicodedata.normalize("NFKD", (text or "").casefold().translate(_LETTERS))
    letters = "".join(letter for letter in folded if not unicodedata.combining(letter))
    words = [word for word in re.split(r"[\W\d_]+", letters.replace("'", "").replace("’", "")) if word]
    name = "".join(word for word in words if word not in _TITLES)
    return re.sub(r"(ue|oe|ae)", lambda pair: pair[0][0], name) or None


def normalise_postcode(text: str | None) -> str | None:
    """A postcode in capitals without blanks and signs.

    >>> normalise_postcode("sw1a 1aa"), normalise_postcode("D-10115"), normalise_postcode(" ")
    ('SW1A1AA', '10115', None)
    """
    code = re.sub(r"[\W_]", "", (text or "").upper())
    return re.sub(r"^[A-Z]{1,2}(?=\d{4,5}$)", "", code) or None


def normalise_birth_date(day: date | None) -> date | None:
    """A day of birth; None where it is a form's filling or lies before 1900."""
    return None if day is None or day in _PLACEHOLDER_DAYS or day.year < 1900 else day
