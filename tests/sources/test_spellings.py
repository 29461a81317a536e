"""Spellings of an id."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from recs_assets.sources import (
    spellings,
)
from recs_assets.sources.spellings import WORDS_BEFORE_IDS


def test_words_before_ids_are_those_of_the_macro():
    macro = (Path(__file__).parents[2] / "dbt_project" / "macros" / "consent.sql").read_text()
    body = macro.split("macro words_before_ids()")[1].split("endmacro")[0]
    assert set(re.findall(r"'(\w+)'", body)) == WORDS_BEFORE_IDS


def test_the_examples_of_spellings():
    assert doctest.testmod(spellings).failed == 0
