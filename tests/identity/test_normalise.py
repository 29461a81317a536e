from __future__ import annotations

import re
from datetime import date

import pytest

from helpers.dbt_build import PROJECT
from recs_assets.identity import normalise
from recs_assets.identity.normalise import (
    NOBODYS,
    normalise_birth_date,
    normalise_email,
    normalise_name,
    normalise_phones,
)


def test_numbers_without_a_country_code_are_of_the_profiles_country():
    numbers = ["030 901820", "0049 30 901820", "030/90 18 20", "01 901820", None]
    assert normalise_phones(numbers, ["DE", "DE", "de", "AT", "DE"]) == [
        "+4930901820",
        "+4930901820",
        "+4930901820",
        "+431901820",
        None,
    ]


def test_a_number_that_nobody_else_can_have_is_not_parsed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(normalise, "_parse_phone", lambda *_: pytest.fail("parsed"))
    assert normalise_phones(["030 901820", "030 901821"], ["DE", "DE"]) == ["030901820", "030901821"]


@pytest.mark.parametrize("name", ["Müller", "Mueller", "MÜLLER", "mu\u0308ller", " Muller "])
def test_umlauts_are_alike_in_every_spelling(name: str):
    assert normalise_name(name) == "muller"


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(1900, 1, 1), date(1899, 12, 31)])
def test_what_forms_are_filled_with_is_no_birthday(day: date):
    assert normalise_birth_date(day) is None


def test_words_of_nobody_are_addresses_that_staging_does_not_write_to():
    """`NOBODYS` repeats words of dbt's `address_kind`: none may be taken for a person's there."""
    text = (PROJECT / "macros/consent.sql").read_text("utf-8")
    kinds = text[text.index("macro address_kind") : text.index("ids in other spellings")]
    words = set(re.findall(r"[a-z]+", kinds))
    # In one form: geloescht; and those that address_kind writes to, but that many people share.
    assert NOBODYS - words <= {"admin", "donotreply"}
    assert normalise_email("guest77@shop.example.org") is None
