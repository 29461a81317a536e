"""What a table of the shop's own says, where it is true and moved the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.reasons import EVENTS, PRODUCTS, day, shop
from recs_assets.known.interactions import TableRows
from recs_assets.reasons.evidence import Citable
from recs_assets.reasons.explain import explain_by_family
from recs_assets.reasons.sentences import Sentences
from recs_assets.schema import SettingsError

FAMILIES = ("context", "tags", "tickets")
OWN = {
    "tags": TableRows(np.array([-1]), np.array([3]), np.array([-1])),
    "tickets": TableRows(
        np.array([2, 4]), np.array([3, 3]), np.array([day("2015-05-03"), day("2017-01-01")])
    ),
}
SENTENCES = Sentences.load().with_own_tables(
    {
        "tags": {"de": "Wegen seines Merkmals", "en": "Picked for its tag"},
        "tickets": {"": "You asked us about it on {date}"},
    }
)


def explain(customer: int, contribution: list[float], citable: Citable | None = None) -> tuple[str, str, str]:
    known = replace(shop(PRODUCTS, EVENTS), own_tables=OWN)
    moved = np.array([contribution])
    row = explain_by_family(
        pd.DataFrame({"customer": [customer], "product": [3]}),
        known,
        {},
        np.argsort(-moved, axis=1, kind="stable"),
        moved,
        FAMILIES,
        citable,
        sentences=SENTENCES,
    ).iloc[0]
    return row["reason_code"], row["reason_family"], row["reason_text"]


def test_the_table_that_moved_the_score_most_speaks():
    assert explain(4, [0.0, 0.1, 0.2]) == ("own_table", "tickets", "You asked us about it on 1 Jan")
    assert explain(2, [0.0, 0.1, 0.2]) == ("own_table", "tickets", "You asked us about it on 3 May 2015")
    assert explain(4, [0.0, 0.3, 0.2]) == ("own_table", "tags", "Picked for its tag")


def test_it_speaks_only_where_it_is_true_and_raised_the_score():
    # Nobody else asked: the tag is the next true reason.
    assert explain(3, [0.0, 0.1, 0.2]) == ("own_table", "tags", "Picked for its tag")
    for moved in ([0.5, -0.1, -0.2], [0.5, 0.0, 0.0]):
        code, family, _ = explain(4, moved)
        assert (code == "own_table", family in OWN) == (False, False)


def test_what_may_not_be_dated_is_not_said():
    nothing = np.zeros(len(PRODUCTS), dtype=bool)
    assert explain(4, [0.0, 0.1, 0.2], Citable(~nothing, nothing))[0] != "own_table"


def test_a_language_that_is_missing_takes_the_default():
    assert SENTENCES.own_sentence("tags", "de-at") == "Wegen seines Merkmals"
    assert SENTENCES.own_sentence("tags", "fr") == "Picked for its tag"
    assert SENTENCES.own_sentence("tickets", "de", date="3. Mai") == "You asked us about it on 3. Mai"


def test_a_language_is_found_however_it_is_spelt():
    sentences = Sentences.load().with_own_tables({"tags": {"EN": "Picked", "de": "Gewählt"}})
    assert sentences.own_sentence("tags", "en") == "Picked"


@pytest.mark.parametrize("language", ["xx", "german", "de-CH"])
def test_a_language_that_nobody_reads_is_refused(language: str):
    with pytest.raises(
        SettingsError,
        match=rf"^tables/tags\.yaml: reason: there is no language {language}; the languages are de, en, es, fr, it, nl, and",
    ):
        Sentences.load().with_own_tables({"tags": {"en": "Picked", language: "Gewählt"}})
