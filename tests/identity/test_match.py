from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd
import pytest

from recs_assets.identity.match import load_profiles, match_profiles
from recs_assets.schema import SettingsError
from recs_assets.sources.declaration import Identity, shop_words

COLUMNS = [
    "profile_id", "joined_at", "email", "phone", "first_name", "last_name", "postcode", "birth_date",
]  # fmt: skip


def make_profiles(*rows: tuple) -> pd.DataFrame:
    frame = pd.DataFrame([row + (None,) * (len(COLUMNS) - len(row)) for row in rows], columns=COLUMNS)
    frame["joined_at"] = pd.to_datetime(frame["joined_at"])
    frame["birth_date"] = pd.to_datetime(frame["birth_date"])
    return frame.assign(country="DE").sort_values("profile_id", ignore_index=True)


def match(*rows: tuple, **rules: object):
    return match_profiles(duckdb.connect(), make_profiles(*rows), Identity.model_validate(rules))


def people(*rows: tuple, **rules: object) -> dict[str, str]:
    return dict(match(*rows, **rules).identities.itertuples(index=False, name=None))


def statuses(*rows: tuple, **rules: object) -> dict[tuple[str, str], str]:
    return {
        (pair.profile_id, pair.other_profile_id): pair.status
        for pair in match(*rows, **rules).pairs.itertuples()
    }


INA = ("ina", "2020-01-01", "ina@example.com", "030 901820", "Ina", "Müller", "10115", "1980-02-03")


def test_one_address_is_one_person_called_by_the_oldest_profile():
    assert people(("b", "2021-01-01", "Ina@Example.com "), ("c", "2020-01-01", "ina@example.com")) == {
        "b": "c",
        "c": "c",
    }
    # Without a time of joining a profile was always there.
    assert people(("b", None, "ina@example.com"), ("c", "2020-01-01", "ina@example.com"))["c"] == "b"


def test_dots_and_plus_of_an_address_tell_people_apart():
    assert (
        people(("a", None, "i.na@gmail.com"), ("b", None, "ina@gmail.com"), ("c", None, "ina+x@gmail.com"))
        == {}
    )


@pytest.mark.parametrize(
    "address", ["noreply@example.com", "guest12@example.com", "n/a", "test@example.com", "x@y"]
)
def test_an_address_of_nobody_joins_nobody(address: str):
    assert people(("a", None, address), ("b", None, address)) == {}


def test_an_address_of_an_office_joins_nobody():
    assert people(*[(f"p{n:03}", None, "kasse@example.com") for n in range(101)]) == {}
    assert len(people(*[(f"p{n:03}", None, "kasse@example.com") for n in range(100)])) == 100


def test_one_number_is_one_person_only_with_an_alike_first_name_or_the_same_birthday():
    number = "030 901820"
    assert people(
        ("a", None, None, number, "Ina", "Alt"), ("b", None, None, "+4930901820", "Ina", "Neu")
    ) == {"a": "a", "b": "a"}
    assert people(
        ("a", None, None, number, None, None, None, "1980-02-03"),
        ("b", None, None, number, None, None, None, "1980-02-03"),
    ) == {"a": "a", "b": "a"}
    # A landline, and nothing else known: the household's.
    assert statuses(("a", None, None, number), ("b", None, None, number)) == {("a", "b"): "review"}


def test_a_household_is_not_one_person():
    peter = (
        "peter",
        "2020-01-01",
        "peter@example.com",
        "030 901820",
        "Peter",
        "Müller",
        "10115",
        "1978-05-06",
    )
    paula = ("paula", "2020-01-01", "peter@example.com", "030 901820", "Paula", "Müller", "10115", None)
    assert statuses(INA, peter) == {("ina", "peter"): "review"}
    # Even with one address: they get one email all the same.
    assert statuses(peter, paula) == {("paula", "peter"): "review"}
    assert people(peter, paula) == {}


def test_twins_are_two_people():
    ida = ("ida", "2020-01-01", "ida@example.com", "030 901820", "Ida", "Müller", "10115", "1980-02-03")
    assert people(INA, ("udo", *ida[1:4], "Udo", *ida[5:])) == {}


def test_a_nickname_with_the_same_address_and_birthday_is_one_person():
    assert people(
        ("a", None, "r@example.com", None, "Robert", "Lang", "10115", "1980-02-03"),
        ("b", None, "r@example.com", None, "Bob", "Lang", "20115", "1980-02-03"),
    ) == {"a": "a", "b": "a"}


def test_scores_find_who_moved_married_or_was_misspelt():
    moved = ("moved", "2021-01-01", "neu@example.com", None, "Ina", "Mueller", "80331", "1980-02-03")
    married = (
        "wed",
        "2022-01-01",
        "ina.s@example.com",
        "030 901820",
        "Ina",
        "Schmidt",
        "10115",
        "1980-02-03",
    )
    swapped = ("swapped", "2022-01-01", "im@example.com", None, "Müller", "Ina", "10115", "1980-03-02")
    other = ("other", "2020-01-01", "otto@example.com", None, "Otto", "Lang", "20095", "1975-07-09")
    found = match(INA, moved, married, other)
    assert set(found.identities["customer_id"]) == {"ina"}
    assert set(found.identities["profile_id"]) == {"ina", "moved", "wed"}
    assert (found.profiles, found.people) == (4, 2)
    assert people(INA, swapped, other) == {"ina": "ina", "swapped": "ina"}


def test_what_the_shop_says_wins():
    peter = ("peter", "2019-01-01", "peter@example.com", None, "Peter", "Müller")
    assert people(INA, peter, same=[["ina", "peter"]]) == {"ina": "peter", "peter": "peter"}
    again = ("z", "2021-01-01", "ina@example.com", None, "Ina", "Müller")
    assert statuses(INA, again, different=[["z", "ina"]]) == {("ina", "z"): "different"}
    # An id that is not known yet is left out.
    assert people(INA, peter, same=[["ina", "peter", "unheard of"]]) == {"ina": "peter", "peter": "peter"}


def test_a_shop_may_decide_everything_itself():
    again = ("z", "2021-01-01", "ina@example.com")
    assert people(INA, again, match=False) == {}
    assert people(INA, again, match=False, same=[["ina", "z"]]) == {"ina": "ina", "z": "ina"}


def test_contradicting_decisions_are_refused():
    with pytest.raises(
        SettingsError, match=r"^here: identity: Value error, 'a' and 'c' are the same and different\.$"
    ):
        shop_words({"identity": {"same": [["a", "b"], ["b", "c"]], "different": [["c", "a"]]}}, "here")
    with pytest.raises(SettingsError, match="suggest"):
        shop_words({"identity": {"accept": 0.7}}, "here")


def test_pairs_hold_words_and_no_values():
    found = match(INA, ("z", "2021-01-01", "ina@example.com", None, "Ina", "Müller", "80331"))
    (pair,) = found.pairs.itertuples(index=False)
    assert (pair.matched_by, pair.agree, pair.differ) == ("email", "email, first name, last name", "postcode")
    text = found.pairs.to_json() + found.identities.to_json() + found.sentence
    for value in INA[2:]:
        assert value not in text
    assert found.sentence == "2 profiles are 1 person."


def test_two_runs_give_the_same_bits():
    rows = [
        (f"p{n:03}", None, f"m{n % 150}@example.com", None, f"Vorname{n % 37}", f"Name{n % 60}", f"{n % 90:05}", f"19{n % 80 + 10}-02-03")
        for n in range(300)
    ]  # fmt: skip
    one, two = (match(*rows) for _ in range(2))
    assert len(one.pairs) > 100
    pd.testing.assert_frame_equal(one.pairs, two.pairs, check_exact=True)
    pd.testing.assert_frame_equal(one.identities, two.identities)


def test_a_shop_without_anything_to_match_by_is_not_asked():
    found = match(("a", None), ("b", None))
    assert (len(found.identities), len(found.pairs), found.sentence) == (0, 0, "")


def test_only_who_joined_before_the_week_is_known():
    connection = duckdb.connect()
    connection.execute(
        """
        create schema raw;
        create table raw.customers as select *, null::varchar as country, null::varchar as phone, null::varchar as first_name,
            null::varchar as last_name, null::varchar as postcode, null::date as birth_date
        from (values
            (' a ', timestamp '2024-03-03 23:59:59', 'a@example.com'),
            ('a', timestamp '2024-03-01', 'first@example.com'),
            ('b', timestamp '2024-03-04', 'a@example.com'),
            ('c', null, 'c@example.com'),
            ('gast', null, 'a@example.com'),
            ('Επισκεπτησ', null, 'a@example.com'),
            ('  ', null, 'a@example.com')
        ) as rows (customer_id, joined_at, email)
        """
    )
    profiles = load_profiles(connection, date(2024, 3, 4), ["Gast ", "ΕΠΙΣΚΕΠΤΗΣ"])
    assert profiles[["profile_id", "email"]].to_numpy().tolist() == [
        ["a", "first@example.com"],
        ["c", "c@example.com"],
    ]
