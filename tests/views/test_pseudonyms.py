"""Pseudonyms: stable, of no use without the key, and found again."""

from __future__ import annotations

import duckdb
import pytest

from recs_assets.schema import SettingsError
from recs_assets.views.pseudonyms import Pseudonyms, load_key

KEY = b"a key of the tests"


@pytest.fixture
def connection():
    with duckdb.connect() as memory:
        memory.execute("create schema recs")
        memory.execute(
            "create table recs.customers as select 'c' || i as customer_id from range(2000) as t(i)"
        )
        yield memory


def test_a_pseudonym_stays_the_same_and_depends_on_the_key():
    assert Pseudonyms(KEY).name("c7") == "~xnbe1xspx7qa"
    assert Pseudonyms(b"another key").name("c7") != Pseudonyms(KEY).name("c7")


def test_every_customer_has_a_name_of_their_own_and_is_found_by_it(connection):
    names = Pseudonyms(KEY)
    called = {names.name(f"c{number}"): f"c{number}" for number in range(2000)}
    assert len(called) == 2000
    assert {names.find(name, connection, "v1") for name in called} == set(called.values())


def test_who_knows_the_id_finds_the_customer_too(connection):
    assert Pseudonyms(KEY).find(" c7 ", connection, "v1") == "c7"


def test_who_knows_another_id_of_a_person_finds_them(connection):
    connection.execute(
        "create table recs.customer_identities as select unnest(['c7', 'old-7']) as profile_id, 'c7' as customer_id"
    )
    names = Pseudonyms(KEY)
    found = [names.find(text, connection, "v1") for text in ("old-7", "c7", "c8", "old-8")]
    assert found == ["c7", "c7", "c8", None]


@pytest.mark.parametrize("text", ["", "c2000", "~", "~0000000000000", "~00000000000u", "' or 1=1 --"])
def test_nobody_is_called_something_else(connection, text):
    assert Pseudonyms(KEY).find(text, connection, "v1") is None


def test_another_version_has_other_customers(connection):
    names = Pseudonyms(KEY)
    assert names.find(names.name("c7"), connection, "v1") == "c7"
    connection.execute("delete from recs.customers where customer_id = 'c7'")
    assert names.find(names.name("c7"), connection, "v2") is None


def test_ids_are_shown_where_the_deployment_says_so(connection):
    names = Pseudonyms(None)
    assert (names.name("c7"), names.find("c7", connection, "v1")) == ("c7", "c7")


def test_the_key_is_made_once_and_is_its_owners(tmp_path):
    key = load_key(tmp_path, None)
    path = tmp_path / "pseudonyms.key"
    assert load_key(tmp_path, None) == key
    assert (len(key), path.stat().st_mode & 0o777) == (32, 0o600)
    assert [other.name for other in tmp_path.iterdir()] == ["pseudonyms.key"]


def test_a_secret_makes_the_key_and_is_not_the_key(tmp_path):
    key = load_key(tmp_path, "the deployment's secret")
    assert key == load_key(tmp_path, "the deployment's secret") != b"the deployment's secret"
    assert list(tmp_path.iterdir()) == []


def test_a_broken_key_is_a_sentence(tmp_path):
    (tmp_path / "pseudonyms.key").write_text("not hexadecimal")
    with pytest.raises(SettingsError, match="set RECS_HASH_KEY"):
        load_key(tmp_path, None)
