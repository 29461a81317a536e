"""Rows that the API acknowledged are landed beside the shop's own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from helpers.sources import make_source
from recs_assets.schema import SourceError
from recs_assets.sources import fingerprint, land, resolve_source
from recs_assets.sources.acknowledged import list_rows, purge_events
from recs_assets.sources.suppression import Suppression

SHOWN = {
    "event_id": "e1", "placement": "home", "position": 1, "customer_id": "c1", "product_id": "p1", "event_type": "shown",
    "occurred_at": "2024-06-03T09:00:00+02:00", "recommendation_id": "40e1f58bccd94584b4ed",
}  # fmt: skip


def append(home: Path, table: str, *rows: dict | str, name: str = "1.jsonl") -> Path:
    path = home / "events" / table / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for row in rows:
            file.write(row if isinstance(row, str) else json.dumps(row) + "\n")
    return path


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def source(shop, home):
    return replace(resolve_source("auto", shop), events=home / "events")


def test_a_shop_without_such_a_file_gets_them_in_its_own_time_zone(con, shop, home, source):
    append(home, "campaign_events", SHOWN)
    landed = land(con, source, "campaign_events", shop, "America/New_York")
    assert (landed.rows, landed.files, landed.notes) == (1, ("events/campaign_events/1.jsonl",), ())
    assert con.execute(
        "select event_id, campaign, placement, position, customer_id, occurred_at, recommendation_id from raw.campaign_events"
    ).fetchall() == [("e1", None, "home", 1, "c1", datetime(2024, 6, 3, 3), "40e1f58bccd94584b4ed")]
    assert land(con, source, "browsing_events", shop).rows == 0


def test_an_answer_that_was_sent_twice_is_landed_once(con, shop, home, source):
    answer = {"customer_id": "c1", "question": "1", "facet": "category", "answer": "Tea", "answered_at": "2024-06-03T07:00:00Z"}  # fmt: skip
    append(home, "preferences", answer, answer | {"answer": "Mugs"}, answer)
    landed = land(con, source, "preferences", shop, "Europe/Berlin")
    assert (landed.rows, landed.files) == (2, ("events/preferences/1.jsonl",))
    assert con.execute("select * from raw.preferences order by answer").fetchall() == [
        ("c1", "1", "category", name, datetime(2024, 6, 3, 9)) for name in ("Mugs", "Tea")
    ]


def test_they_join_the_rows_of_the_shops_file(con, shop, home, source):
    (shop / "inventory.csv").write_text("product_id,counted_at,stock\np1,2024-06-01 06:00:00,3\n")
    append(home, "inventory", {"product_id": "p1", "counted_at": "2024-06-02T06:00:00Z", "stock": 0})
    source = replace(resolve_source("auto", shop), events=source.events)
    landed = land(con, source, "inventory", shop)
    assert landed.files == ("inventory.csv", "events/inventory/1.jsonl")
    assert con.execute("select * from raw.inventory").fetchall() == [
        ("p1", datetime(2024, 6, 1, 6), 3.0),
        ("p1", datetime(2024, 6, 2, 6), 0.0),
    ]


def test_they_join_the_rows_of_a_source_with_sql(con, tmp_path, home):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n7,Ina\n")
    sql = (
        "select id as event_id, 'mail' as campaign, id as customer_id, 'sent' as event_type, "
        "timestamp '2024-06-01 06:00:00' as occurred_at from files.people;\n"
    )
    mini = resolve_source("mini", folder, make_source(folder, sql, "campaign_events"))
    append(home, "campaign_events", SHOWN)
    landed = land(con, replace(mini, events=home / "events"), "campaign_events", folder)
    assert landed.rows == 2
    # The zone of the source is Berlin's; its own times are local.
    assert con.execute("select event_id, placement, occurred_at from raw.campaign_events").fetchall() == [
        ("7", None, datetime(2024, 6, 1, 6)),
        ("e1", "home", datetime(2024, 6, 3, 9)),
    ]


def test_what_was_sent_twice_is_one_row_and_what_is_half_written_none(con, shop, home, source):
    append(home, "campaign_events", SHOWN, SHOWN | {"event_id": "e2"})
    append(home, "campaign_events", SHOWN, name="2.jsonl")
    append(home, "campaign_events", '{"event_id": "e3", "placement": "ho', name="2.jsonl")
    append(home, "campaign_events", '{"event_id"', name="3.jsonl")
    landed = land(con, source, "campaign_events", shop)
    assert con.execute("select event_id from raw.campaign_events order by 1").fetchall() == [("e1",), ("e2",)]
    assert landed.files == ("events/campaign_events/1.jsonl", "events/campaign_events/2.jsonl")
    assert landed.notes == (
        "events/campaign_events/2.jsonl: its last line is not finished and is left out; it is landed once it is.",
        "events/campaign_events/3.jsonl: its last line is not finished and is left out; it is landed once it is.",
    )


def test_lines_longer_than_a_block_are_found_whole(con, shop, home, source):
    path = append(home, "campaign_events", SHOWN | {"arm": "a" * 200_000})
    append(home, "campaign_events", '{"arm": "' + "b" * 200_000)
    assert land(con, source, "campaign_events", shop).rows == 1
    append(home, "campaign_events", '"}\n')
    assert len(list(list_rows(path))) == 2
    assert land(con, source, "campaign_events", shop).notes == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            SHOWN | {"colour": "red"},
            "events/campaign_events/1.jsonl: column 'colour' is not declared: leave it out of the export "
            "(declared columns: event_id, campaign, customer_id, product_id, event_type, occurred_at, arm, "
            "recommendation_id, session_id, visitor_id, placement, position and 1 more).",
        ),
        (
            SHOWN | {"position": "first"},
            "events/campaign_events/1.jsonl line 1: column 'position' holds 'first', which is not a whole number; correct the "
            "export.",
        ),
        (
            SHOWN | {"visitor_id": "ina@example.com"},
            "events/campaign_events/1.jsonl line 1: column 'visitor_id' holds an email address, and this column is published as "
            "it is; write the shop's own number of whom or what it means there.",
        ),
    ],
)
def test_what_is_not_as_declared_is_refused(con, shop, home, source, row, said):
    append(home, "campaign_events", row)
    with pytest.raises(SourceError) as error:
        land(con, source, "campaign_events", shop)
    assert str(error.value) == said


def test_a_click_starts_no_run(shop, home, source):
    before = fingerprint(source, shop)
    append(home, "campaign_events", SHOWN)
    assert fingerprint(source, shop) == before


VISITS = [
    {"event_id": "e1", "customer_id": "gone", "visitor_id": "v1"},
    {"event_id": "e2", "customer_id": None, "visitor_id": "v1"},
    {"event_id": "e3", "customer_id": "gone", "visitor_id": "shared"},
    {"event_id": "e4", "customer_id": "c1", "visitor_id": "shared"},
    {"event_id": "e5", "customer_id": None, "visitor_id": "shared"},
    {"event_id": "e6", "customer_id": None, "visitor_id": "remembered"},
    {"event_id": "e7", "customer_id": None, "visitor_id": "stranger"},
]
REST = {"product_id": "p1", "event_type": "view", "occurred_at": "2024-06-03T09:00:00Z"}


def test_what_the_forgotten_did_before_they_signed_in_is_not_landed(con, shop, home, source, tmp_path):
    """A visitor is theirs who is named with them alone, or was when they were forgotten."""
    append(home, "browsing_events", *(row | REST for row in VISITS))
    append(home, "campaign_events", SHOWN | {"customer_id": None, "visitor_id": "v1"})
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("gone", datetime(2024, 6, 1), visitors=["remembered"])
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    land(con, source, "browsing_events", shop, erased=erased)
    assert con.execute("select event_id from raw.browsing_events order by 1").fetchall() == [
        ("e4",), ("e5",), ("e7",),
    ]  # fmt: skip
    assert land(con, source, "campaign_events", shop, erased=erased).rows == 0


def test_a_file_is_written_again_without_a_persons_rows(home):
    path = append(home, "browsing_events", *VISITS, '{"half": ')
    assert purge_events(path, {"gone", "gone@example.com"}, {"v1"}) == 3
    kept = [row.get("event_id") for _, row in list_rows(path)]
    assert kept == ["e4", "e5", "e6", "e7", None]
    assert path.read_bytes().endswith(b'\n{"half": ')
    assert [file.name for file in path.parent.iterdir()] == ["1.jsonl"]
