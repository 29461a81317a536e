from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.reasons import EVENTS, PRODUCTS, Led, day, shop
from recs_assets.reasons.explain import explain_by_source
from recs_assets.reasons.sentences import FOLDER, PLACEHOLDERS, Sentences
from recs_assets.schema import SettingsError

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def write(folder, name, **content):
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def every_sentence(**changed):
    text = {
        code: " ".join(["A reason:", *(f"{{{name}}}" for name in names)])
        for code, names in PLACEHOLDERS.items()
    }
    return {**text, **changed}


DATES = {"this_year": "{day} {month}", "other_year": "{day} {month} {year}"}


def test_six_languages_have_every_sentence():
    assert SHIPPED == ["de", "en", "es", "fr", "it", "nl"]
    for tag, language in Sentences.load().languages.items():
        assert set(language.sentences) == set(PLACEHOLDERS), tag
        # Gates ask for eight characters.
        assert min(len(text) for text in language.sentences.values()) >= 8, tag


def test_every_reason_is_documented_with_its_sentence():
    page = (FOLDER.parents[2] / "docs" / "reasons.md").read_text("utf-8")
    sentences = Sentences.load().languages["en"].sentences
    assert [code for code, text in sentences.items() if f"| `{code}` | {text} | " not in page] == []


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "Often bought with BRIE, which you bought on 1 Dec 2016"),
        ("de", "Wird oft zusammen mit BRIE gekauft (Ihr Kauf vom 1. Dezember 2016)"),
        ("fr", "Produit souvent acheté avec BRIE (votre achat du 1er décembre 2016)"),
        ("es", "Se compra a menudo con BRIE, que usted compró el 1 de diciembre de 2016"),
        ("nl", "Vaak gekocht samen met BRIE (uw aankoop van 1 december 2016)"),
        ("it", "Si acquista spesso insieme a BRIE, che ha acquistato il 1º dicembre 2016"),
    ],
)
def test_a_sentence_in_every_language(locale, text):
    sentences = Sentences.load()
    when = sentences.day(day("2016-12-01"), date(2017, 1, 2), locale)
    assert sentences.sentence("bought_together", locale, product="BRIE", date=when) == text


@pytest.mark.parametrize(
    ("tag", "when", "text"),
    [
        ("en", "2017-03-08", "8 Mar"),
        ("de", "2017-03-08", "8. März"),
        ("de", "2016-03-08", "8. März 2016"),
        ("fr", "2017-08-01", "1er août"),
        ("es", "2017-03-08", "8 de marzo"),
        ("it", "2017-03-08", "l'8 marzo"),
        ("it", "2017-03-09", "il 9 marzo"),
    ],
)
def test_days_as_a_language_writes_them(tag, when, text):
    assert Sentences.load().day(day(when), date(2017, 12, 4), tag) == text


def test_numbers_as_a_language_writes_them():
    sentences = Sentences.load()
    assert [sentences.number(1234, tag) for tag in ("en", "de")] == ["1,234", "1.234"]
    assert [sentences.percent(0.094, tag) for tag in ("en", "de", "fr")] == ["9%", "9\xa0%", "9\xa0%"]


def test_customers_read_their_own_language_and_else_the_shops():
    known = shop(PRODUCTS, EVENTS)
    known.customers["locale"] = ["de-AT", "fr_FR.UTF-8", "pt-BR", None, " IT ", "??"]
    rows = pd.DataFrame({"customer": range(6), "product": 5, "source": "random"})
    said = {"de": "Aus der Kategorie CHEESE", "fr": "Du rayon CHEESE, où vous achetez", "nl": "Uit CHEESE",
            "it": "Dalla categoria CHEESE", "en": "From CHEESE"}  # fmt: skip
    for default, other in ((None, "en"), ("nl-BE", "nl")):
        found = explain_by_source(rows, known, {}, sentences=Sentences.load(default=default))
        assert found["reason_text"].tolist() == [
            said["de"], said["fr"], said[other], said[other], said["it"], said[other],
        ]  # fmt: skip


def test_a_shop_changes_sentences_and_adds_languages(tmp_path):
    write(tmp_path, "de", sentences={"bought_once": "Von dir am {date} gekauft"})
    write(tmp_path, "de_AT", sentences={"bought_before": "Das hast du schon amol gekauft"})
    write(tmp_path, "pl", dates=DATES, sentences=every_sentence(bought_once="Kupione {date}"))
    sentences = Sentences.load(tmp_path)
    assert [sentences.tag(locale) for locale in ("de-AT", "de-CH", "pl-PL")] == ["de-at", "de", "pl"]
    assert sentences.sentence("bought_once", "de-at", date="8. März") == "Von dir am 8. März gekauft"
    assert sentences.sentence("bought_before", "de") == "Das haben Sie schon einmal gekauft"
    assert sentences.day(day("2016-12-12"), date(2017, 1, 2), "pl") == "12 grudnia 2016"
    known = shop(PRODUCTS, EVENTS)
    known.customers["locale"] = "pl"
    rows = pd.DataFrame({"customer": [1], "product": [1], "source": ["random"]})
    assert (
        explain_by_source(rows, known, {}, sentences=sentences)["reason_text"][0] == "Kupione 12 grudnia 2015"
    )


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("de", {"sentences": {"bought_once": "Von dir gekauft"}},
         r"de\.yaml: sentences\.bought_once must hold \{date\}, and it is 'Von dir gekauft'\."),
        ("de", {"sentences": {"bought_once": "Am {datum} gekauft"}}, r"sentences\.bought_once must hold \{date\}"),
        ("de", {"sentences": {"bought_before": "{date}"}}, r"sentences\.bought_before must hold no placeholder"),
        ("de", {"sentences": {"bought_before": "   "}}, r"sentences\.bought_before is empty"),
        ("de", {"sentences": {"bought_before": "halb {offen"}}, r"sentences\.bought_before: .*write a brace that is text twice"),
        ("de", {"sentences": {"bought_never": "Nie"}}, r"there is no reason bought_never"),
        ("de", {"dates": {"this_year": "{tag}"}}, r"dates\.this_year must hold \{day\}, \{month\}"),
        ("de", {"sentence": {}}, r"de\.yaml: sentence: Extra inputs"),
        ("de", {"sentences": "Nie"}, r"de\.yaml: the file must hold `dates` and `sentences`"),
        ("pl", {"dates": DATES, "sentences": {"bought_once": "Kupione {date}"}},
         r"pl\.yaml: the sentences bought_often, bought_regularly, .* are missing"),
        ("deutsch", {"dates": DATES, "sentences": every_sentence()}, r"deutsch is no language"),
    ],
)  # fmt: skip
def test_texts_are_checked_when_they_are_read(tmp_path, name, content, error):
    write(tmp_path, name, **content)
    with pytest.raises(SettingsError, match=error):
        Sentences.load(tmp_path)


def test_a_default_without_texts_and_a_folder_that_is_none(tmp_path):
    with pytest.raises(
        SettingsError, match=r"locale pt-BR has no texts \(there are de, en, es, fr, it, nl\)"
    ):
        Sentences.load(default="pt-BR")
    with pytest.raises(SettingsError, match="is not a folder"):
        Sentences.load(tmp_path / "missing")


def test_one_sentence_is_written_once_per_language(monkeypatch):
    known = shop(PRODUCTS, EVENTS)
    known.customers["locale"] = ["de", "de", "en", "en", "en", "en"]
    count, written = 0, Sentences.sentence

    def counting(self, *given, **values):
        nonlocal count
        count += 1
        return written(self, *given, **values)

    monkeypatch.setattr(Sentences, "sentence", counting)
    rows = pd.DataFrame({"customer": np.arange(6), "product": 6, "source": "random"})
    found = explain_by_source(rows, known, {"rules": Led("rules", {})})
    assert found["reason_text"].nunique() == count == 2
