"""Sentences by language: one YAML file each, and those of the shop over them.

A file is named by its language (`de.yaml`) or language and region (`de-AT.yaml`), and holds

    dates:
      months: wide                          # or abbreviated: the names are CLDR's (Babel)
      this_year: "{day}. {month}"           # a day of the anchor's year
      other_year: "{day}. {month} {year}"   # any other
      every_day: "{day}"                    # how the number of the day is written; optional
      days: {1: "1er"}                      # and these days in particular; optional
    sentences:
      bought_once: "Von Ihnen am {date} gekauft"

A file of the shop says only what differs from the shipped file of its language. A language that is not
shipped needs every sentence, and `dates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import yaml
from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal, format_percent
from pydantic import BaseModel, ConfigDict, ValidationError

from recs_assets.schema import SettingsError

FOLDER = Path(__file__).parent
FALLBACK = "en"

# Reason code -> what its sentence must name. {product} is the product that led to the row, {category} and
# {brand} those of the recommended one, {date} a day, {days} and {months} counts; {share}, {baskets} and {total}
# speak of baskets.
PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    # The customer's own dealings with the product.
    "bought_often": ("days", "date"),
    "bought_once": ("date",),
    "bought_regularly": ("days", "date"),
    "bought_before": (),
    "replaces_variant": ("product", "date"),
    "replaces_same_brand": ("product", "date"),
    "in_cart": ("date",),
    "wished": ("date",),
    "viewed": ("date",),
    "back_in_cart": ("date",),
    "back_wished": ("date",),
    "back_viewed": ("date",),
    "back_searched": ("date",),
    "back_variant": ("product", "date"),
    # A product that led to it.
    "bought_together": ("product", "date"),
    "follow_up": ("product", "date", "days"),
    "late_follow_up": ("product", "date", "months"),
    "also_bought": ("product", "date"),
    "similar_product": ("product", "date"),
    "new_for_your_taste": ("product", "date"),
    "viewed_related": ("product", "date"),
    # What the customer answered.
    "brand_you_like": ("brand",),
    "category_you_like": ("category",),
    # What suits the customer, or is worth knowing.
    "on_offer": ("date",),
    "on_offer_from": ("date",),
    "new_arrival": (),
    "similar_customers": (),
    "brand_you_buy": ("brand",),
    "popular_in_your_category": ("category",),
    "from_your_category": ("category",),
    # What everybody does.
    "popular": (),
    "popular_in_category": ("category",),
    "bought_by_others": (),
    "from_category": ("category",),
    "first_buyers": (),
    # What a campaign's rules put into a slot.
    "picked_by_shop": (),
    "new_for_you_close_to": ("product",),
    "new_for_you": (),
    "popular_in_segment": (),
    "popular_in_shop": (),
    # A product beside a product.
    "share_of_baskets": ("share", "product", "baskets", "total"),
    "together_with": ("product",),
    "together": (),
    "similar_to": ("product",),
    "similar": (),
}


# The code of a sentence that a table of the shop's own brings along (docs/your_tables.md).
OWN_TABLE = "own_table"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dates(_Model):
    """How a language writes a day."""

    months: Literal["wide", "abbreviated"] = "wide"
    this_year: str
    other_year: str
    every_day: str = "{day}"
    days: dict[int, str] = {}


class Language(_Model):
    """The texts of one language."""

    dates: Dates
    sentences: dict[str, str]


@dataclass(frozen=True)
class Sentences:
    """The texts of every language, and which one speaks where a customer's is not there.

    Attributes:
        languages: tag in lower case ("de", "de-at") -> its texts.
        default: a tag of `languages`.
        own_tables: table of the shop's own -> language ("": any) -> its sentence.
    """

    languages: Mapping[str, Language]
    default: str
    own_tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path = FOLDER, default: str | None = None) -> Self:
        """The shipped languages and the shop's.

        Args:
            folder: with the shop's files; by default the shipped ones alone.
            default: locale of the shop; None: English.

        Raises:
            SettingsError: a file cannot be read, lacks a sentence, or a sentence lacks a placeholder or has
                one that its code does not know; or there is no language for the default.
        """
        if not folder.is_dir():
            raise SettingsError(f"RECS_TEXTS {folder} is not a folder: point it at the folder of the texts.")
        raw = _read(FOLDER)
        own = {} if folder == FOLDER else _read(folder)
        parts: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
        for tag in sorted({*raw, *own}):
            parents = [tag.rsplit("-", cut)[0] for cut in range(tag.count("-"), -1, -1)]
            parts[tag] = [some[name] for name in parents for some in (raw, own) if name in some]
        languages = {tag: _language(tag, files) for tag, files in parts.items()}
        sentences = cls(languages, FALLBACK)
        if default is None:
            return sentences
        found = sentences._tag(default)
        if found is None:
            raise SettingsError(
                f"The shop's locale {default} has no texts (there are {', '.join(languages)}): "
                "put a file for it into RECS_TEXTS, or take another locale."
            )
        return cls(languages, found)

    def with_own_tables(self, reasons: Mapping[str, Mapping[str, str]]) -> Self:
        """With the sentences of tables of the shop's own, by table and language.

        Raises:
            SettingsError: one is in a language that nobody reads.
        """
        for table, texts in reasons.items():
            for language in texts:
                if language and _spell_tag(language) not in self.languages:
                    raise SettingsError(
                        f"tables/{table}.yaml: reason: there is no language {language}; the languages are "
                        f"{', '.join(self.languages)}, and any other needs a file in RECS_TEXTS."
                    )
        return replace(self, own_tables=reasons)

    def tag(self, locale: object) -> str:
        """The language for a locale such as "de-AT": itself, its language, else the default."""
        return (self._tag(locale) if isinstance(locale, str) else None) or self.default

    def tags(self, locales: pd.Series | None, rows: int) -> tuple[np.ndarray, list[str]]:
        """int32[rows]: number of the language per locale, and the languages by number."""
        names = list(self.languages)
        if locales is None:
            return np.full(rows, names.index(self.default), dtype=np.int32), names
        code, distinct = pd.factorize(locales.astype(object), use_na_sentinel=True)
        number = np.array([names.index(self.tag(locale)) for locale in [*distinct, None]], dtype=np.int32)
        return number[code], names

    def sentence(self, code: str, tag: str, **values: Any) -> str:
        """One sentence; numbers and dates are already texts (`day`, `number`, `percent`)."""
        return self.languages[tag].sentences[code].format(**values)

    def own_sentence(self, table: str, tag: str, **values: Any) -> str:
        """The sentence of a table of the shop's own; in a language that it lacks, that of the default or the first."""
        texts = {_spell_tag(language): text for language, text in self.own_tables[table].items()}
        for language in (tag, tag.split("-")[0], "", self.default, next(iter(texts))):
            if language in texts:
                return texts[language].format(**values)
        raise AssertionError("the first of the texts is among them")

    def day(self, day: int, as_of: date, tag: str) -> str:
        """A day (since 1970-01-01) in the words of a language, with its year where that is not the anchor's."""
        dates, when = self.languages[tag].dates, date(1970, 1, 1) + timedelta(days=day)
        pattern = dates.this_year if when.year == as_of.year else dates.other_year
        number = dates.days.get(when.day) or dates.every_day.format(day=when.day)
        month = _locale(tag).months["format"][dates.months][when.month]
        return pattern.format(day=number, month=month, year=when.year)

    def number(self, value: int, tag: str) -> str:
        return _format_number(value, tag)

    def percent(self, value: float, tag: str) -> str:
        """A share as whole per cent."""
        return _format_percent(value, tag)

    def _tag(self, locale: str) -> str | None:
        tag = _spell_tag(locale)
        while tag not in self.languages:
            tag, cut, _ = tag.rpartition("-")
            if not cut:
                return None
        return tag


def _spell_tag(locale: str) -> str:
    return locale.strip().split(".")[0].replace("_", "-").lower()


@cache
def _locale(tag: str) -> Locale:
    return Locale.parse(tag, sep="-")


# Few numbers stand in many sentences, and Babel takes 60 microseconds for each.
@lru_cache(maxsize=65_536)
def _format_number(value: int, tag: str) -> str:
    return format_decimal(value, locale=_locale(tag))


@lru_cache(maxsize=65_536)
def _format_percent(value: float, tag: str) -> str:
    return format_percent(value, locale=_locale(tag))


def _read(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingsError(f"The texts {path} cannot be read: {error}") from error
        for part in (content, *(content.values() if isinstance(content, dict) else ())):
            if not isinstance(part, dict):
                raise SettingsError(
                    f"{path}: the file must hold `dates` and `sentences`, each with its keys."
                )
        found[path.stem.replace("_", "-").lower()] = (path, content)
    return found


def _language(tag: str, files: Sequence[tuple[Path, dict[str, Any]]]) -> Language:
    """The files of a tag put together, the later over the earlier, and checked."""
    path = files[-1][0]
    merged: dict[str, dict[str, Any]] = {}
    for _, content in files:
        for part, values in content.items():
            merged[part] = {**merged.get(part, {}), **values}
    try:
        language = Language.model_validate(merged)
        _locale(tag)
    except (UnknownLocaleError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise SettingsError(
                f"{path}: {tag} is no language that month names are known of: name the file as in de.yaml or de-AT.yaml."
            ) from error
        first = error.errors()[0]
        raise SettingsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    for key, pattern, wanted in (
        ("this_year", language.dates.this_year, {"day", "month"}),
        ("other_year", language.dates.other_year, {"day", "month", "year"}),
        ("every_day", language.dates.every_day, {"day"}),
    ):
        _check(path, f"dates.{key}", pattern, wanted)
    if unknown := sorted(language.sentences.keys() - PLACEHOLDERS.keys()):
        raise SettingsError(f"{path}: there is no reason {unknown[0]}; there are {', '.join(PLACEHOLDERS)}.")
    if missing := [code for code in PLACEHOLDERS if code not in language.sentences]:
        raise SettingsError(f"{path}: the sentences {', '.join(missing)} are missing: add them.")
    for code, text in language.sentences.items():
        _check(path, f"sentences.{code}", text, set(PLACEHOLDERS[code]))
    return language


def _check(path: Path, key: str, text: str, wanted: set[str]) -> None:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise SettingsError(f"{path}: {key}: {error}; write a brace that is text twice.") from None
    names = {name for _, name, _, _ in parts if name is not None}
    if names != wanted or any(spec or conversion for _, _, spec, conversion in parts):
        shown = ", ".join(f"{{{name}}}" for name in sorted(wanted)) or "no placeholder"
        raise SettingsError(f"{path}: {key} must hold {shown}, and it is {text!r}.")
    if not text.strip():
        raise SettingsError(f"{path}: {key} is empty: write a sentence.")
