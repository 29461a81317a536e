"""In which country, currency and time zone a shop is, by what its files say."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from recs_assets.discovery.words import load_words, split_name

_LANGUAGES = ("en", "de", "fr", "es", "nl", "it")
# Names that no locale has.
_OTHER_NAMES = {
    "eire": "IE", "usa": "US", "u.s.a.": "US", "uk": "GB", "great britain": "GB", "england": "GB", "rsa": "ZA",
    "channel islands": "JE", "holland": "NL", "czech republic": "CZ", "korea": "KR", "united states of america": "US",
    "brd": "DE",
}  # fmt: skip
_SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "eur": "EUR",
    "gbp": "GBP",
    "usd": "USD",
    "chf": "CHF",
    "pln": "PLN",
    "zł": "PLN",
    "euro": "EUR",
}
# Where a language of column names is at home.
_HOMES = {"de": "DE", "fr": "FR", "es": "ES", "nl": "NL", "it": "IT"}
# Of countries with several zones, that of most of their people.
_MAIN_ZONES = {
    "US": "America/New_York", "CA": "America/Toronto", "AU": "Australia/Sydney", "BR": "America/Sao_Paulo", "MX": "America/Mexico_City",
    "ES": "Europe/Madrid", "PT": "Europe/Lisbon", "DE": "Europe/Berlin", "RU": "Europe/Moscow", "CN": "Asia/Shanghai",
    "GB": "Europe/London", "NZ": "Pacific/Auckland", "CL": "America/Santiago",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Currency and time zone of a shop, and by what."""

    currency: str
    currency_sure: float
    currency_how: str
    timezone: str
    timezone_sure: float
    timezone_how: str


def _fold(name: str) -> str:
    text = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in text if not unicodedata.combining(letter))


@lru_cache
def _country_names() -> dict[str, str]:
    from babel import Locale

    found: dict[str, str] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha():
                found.setdefault(_fold(str(name)), code)
    return found | _OTHER_NAMES


def find_country(name: str) -> str | None:
    """ISO 3166-1 code of a country's name in one of six languages, or of its code.

    >>> find_country("Deutschland"), find_country("United Kingdom"), find_country("nl"), find_country("Atlantis")
    ('DE', 'GB', 'NL', None)
    """
    names = _country_names()
    if len(name.strip()) == 2 and name.strip().upper() in set(names.values()):
        return name.strip().upper()
    return names.get(_fold(name))


def find_place(
    names: Iterable[str],
    countries: Sequence[tuple[str, int]],
    currencies: Sequence[str],
    units: Iterable[str],
) -> Place:
    """Currency and time zone.

    Args:
        names: of all columns and files, whose language tells where the shop is.
        countries: values of a column of countries and how often, the most frequent first.
        currencies: of a column, the most frequent first.
        units: signs beside numbers.
    """
    from babel.core import get_global
    from babel.numbers import get_territory_currencies

    names = list(names)
    known = [(code, count) for name, count in countries if (code := find_country(name)) is not None]
    total = sum(count for _, count in countries)
    home, sure, how = None, 0.3, "nothing in the files tells; a guess"
    if known:
        home, count = max(known, key=lambda item: item[1])
        sure, how = (
            0.5 + 0.45 * count / max(total, 1),
            f"{count / max(total, 1):.0%} of the rows are of {home}",
        )
    else:
        language = find_language(names)
        if language in _HOMES:
            home, sure, how = _HOMES[language], 0.6, f"the columns have {language} names"
    zones = get_global("territory_zones").get(home, []) if home else []
    zone = _MAIN_ZONES.get(home or "", zones[0] if zones else "UTC")
    if len(zones) > 1 and home not in ("DE", "ES", "PT", "GB", "NZ"):
        sure_zone, how_zone = min(sure, 0.5), f"{how}, which has several zones"
    else:
        sure_zone, how_zone = sure, how
    said = next(
        (
            code
            for value in currencies
            if (
                code := _SIGNS.get(
                    value.lower(), value.upper() if len(value) == 3 and value.isalpha() else None
                )
            )
        ),
        None,
    )
    if said is None:
        said = next((_SIGNS[unit.lower()] for unit in units if unit.lower() in _SIGNS), None)
    if said is None:
        said = next((_SIGNS[word] for name in names for word in split_name(name) if word in _SIGNS), None)
    if said is not None:
        return Place(said, 0.95, "the files name it", zone, sure_zone, how_zone)
    used = get_territory_currencies(home) if home else []
    return Place(used[0] if used else "USD", sure * 0.95 if used else 0.3, how, zone, sure_zone, how_zone)


def find_language(names: Iterable[str]) -> str:
    """The language that most names of columns are in, by words that are in no other.

    >>> find_language(["Rechnungsnr", "Menge", "Einzelpreis"]), find_language(["InvoiceNo", "Quantity"])
    ('de', 'en')
    """
    votes = dict.fromkeys(_LANGUAGES, 0)
    for name in names:
        whole = "".join(split_name(name))
        for language, stems in load_words()["languages"].items():
            votes[language] += any(stem in whole for stem in stems)
    return max(_LANGUAGES, key=lambda language: (votes[language], language == "en"))
