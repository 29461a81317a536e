"""Who said no, from the shop's files to the tables, and once more when files are written."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pandas as pd
import pytest

from helpers.dbt_rows import RAW
from recs_assets.exports.load import load_withdrawn_now
from recs_assets.schema import RAW_TABLES, GateError
from recs_assets.store.warehouse import Warehouse as House

WEEK = date(2024, 3, 4)
NEWEST = datetime(2024, 3, 7, 12)

# Beside the shop of conftest.py: of each pair the first withdrew in some way.
CUSTOMERS = {
    "c01": "one@example.com",  # in another case
    "c02": "two@example.com",  # without the prefix
    "c03": "three@example.com",  # by address
    "c04": "Ina.Probe@example.com",  # unsubscribed
    "c05": " ina.probe@EXAMPLE.com",  # and the same person
    "c06": "six@example.com",  # complained, and subscribed later
    "c07": "seven@example.com",  # unsubscribed by an event, and subscribed later
    "c08": "eight@example.com",  # an event that looks like a complaint
    "c09": "nine@example.com",  # erased, under 9.0
    "c10": "nine@example.com",  # and the same person
    "c11": "paar@example.com",
    "c12": "PAAR@example.com",
    "c13": "n/a",
    "c14": "n/a",
    "c15": "guest",
    "c16": "nobody@example.com",
    "c17": "test@test",
    "c18": "ina.probe@",
    "c19": None,
    "guesty": "guest-17@example.com",
    "asdfer": "asdf@asdf.de",
    "abuser": "abuse@example.com",
    "till": "kasse@till.local",
    "leaver": "deleted_17@example.com",
    "annie": "Annie@annie.example",
    "c20": "twenty@example.com",  # an event of an unknown type that says nothing
}
CONSENTS = [
    ("C01", "unsubscribed", "2024-02-01"),
    ("2", "objected", "2024-02-01"),
    ("Three@Example.com", "unsubscribed", "2024-02-01"),
    ("c04", "unsubscribed", "2024-02-01"),
    ("c06", "subscribed", "2024-02-20"),
    ("c07", "subscribed", "2024-02-20"),
    ("9.0", "erased", "2024-02-01"),
    ("customer-13", "unsubscribed", "2024-02-01"),
    ("was deleted", "erased", "2024-02-01"),
    ("was deleted", "unsubscribed", "2024-01-01"),
    ("wrong-77", "unsubscribed", "2024-02-01"),
    ("Abuse@Example.com", "unsubscribed", "2024-02-01"),  # nobody is written to there
]
EVENTS = [
    ("c06", "complained", "2024-02-02"),
    ("c07", "unsubscribed", "2024-02-02"),
    ("C-08", "hat sich beschwert", "2024-02-02"),
    ("c20", "deferred", "2024-02-02"),
    ("no account", "processed", "2024-02-02"),
    ("c20", "spam_report", "2024-03-04"),
]


def _values(rows: list[tuple]) -> str:
    def literal(value: str | None) -> str:
        return "null" if value is None else f"'{value}'"

    return ", ".join(f"({', '.join(map(literal, row))})" for row in rows)


ADDED = (
    "insert into raw.customers by name select *, true as email_eligible from "
    f"(values {_values(list(CUSTOMERS.items()))}) as rows (customer_id, email)",
    f"insert into raw.consents values {_values(CONSENTS)}",
    "insert into raw.campaign_events by name select customer_id || event_type as event_id, 'mail' as campaign, * "
    f"from (values {_values(EVENTS)}) as rows (customer_id, event_type, occurred_at)",
    # Whoever was not signed in, as exports say it.
    "insert into raw.browsing_events by name select * from (values ('n1', null), ('n2', ''), ('n3', '(not set)')) "
    "as rows (event_id, customer_id), (values ('milk', 'view', timestamp '2024-02-02')) as seen (product_id, event_type, occurred_at)",
    "insert into raw.searches values ('n1', null, 'milk', '2024-02-02')",
)


@pytest.fixture(scope="module")
def said_no(build):
    return build("said_no", "run", *ADDED)


def test_withdrawals_reach_whom_they_mean(said_no):
    found = dict(
        said_no.sql(
            "select customer_id, consent_state from marts.customers where customer_id like 'c__' order by 1"
        )
    )
    assert {name: state for name, state in found.items() if state != "subscribed"} == {
        "c01": "unsubscribed",
        "c02": "objected",
        "c03": "unsubscribed",
        "c04": "unsubscribed",
        "c05": "unsubscribed",
        "c06": "unsubscribed",
        "c08": "unsubscribed",
        "c13": "unsubscribed",
    }
    # c09 is erased, and with c09 the other account of that person; c07 came back; c14 is another "n/a".
    assert {name for name in CUSTOMERS if len(name) == 3} - set(found) == {"c09", "c10"}
    assert said_no.sql(
        "select customer_id from marts.customers where email_eligible and customer_id like 'c__'"
    ) == [(name,) for name in ("c07", "c11", "c12", "c14", "c15", "c16", "c17", "c18", "c19", "c20")] + [
        ("cay",)
    ]


def test_withdrawals_that_match_nobody_are_counted(said_no):
    """The unsubscribe of somebody who was deleted since is no fault; 'wrong-77' is."""
    assert said_no.sql(
        "select withdrawals, unmatched, gone, allowed from staging.stg_withdrawals_counted"
    ) == [(16, 1, 2, 0)]
    assert said_no.sql(
        "select row_key, reason from intermediate.int_rows_rejected where source_table in ('consents', 'campaign_events')"
    ) == [
        ("C-08hat sich beschwert", "unknown_event_type"),
        ("c20deferred", "unknown_event_type"),
        ("no accountprocessed", "unknown_event_type"),
        ("[email]|unsubscribed|2024-02-01 00:00:00", "unmatched_withdrawal"),
        ("wrong-77|unsubscribed|2024-02-01 00:00:00", "unmatched_withdrawal"),
    ]


def test_events_of_unknown_types_and_visitors_stop_no_week(said_no):
    """Three events of types that nobody declared are named, three visits and a search of nobody are no fault."""
    assert said_no.sql(
        "select source_table, reason, rejected from intermediate.int_quarantine_shares "
        "where source_table in ('campaign_events', 'browsing_events', 'searches') order by all"
    ) == [
        ("browsing_events", "any", 0),
        ("campaign_events", "any", 0),
        ("campaign_events", "unknown_event_type", 3),
        ("searches", "any", 0),
    ]
    assert said_no.sql("select count(*) from marts.interactions where customer_id is null") == [(0,)]


def test_addresses_say_who_can_be_reached(said_no):
    found = said_no.sql(
        "select customer_id, address_kind, address_group from intermediate.int_customer_addresses"
    )
    kinds = {name: kind for name, kind, _ in found if name in CUSTOMERS}
    assert {name for name, kind in kinds.items() if kind == "none"} == {"c13", "c14", "c15", "c19"}
    assert {name for name, kind in kinds.items() if kind == "unusable"} == {
        "c16", "c18", "guesty", "asdfer", "abuser", "till", "leaver",
    }  # fmt: skip
    assert {name for name, kind in kinds.items() if kind == "test"} == {"c17"}
    groups = {name: group for name, _, group in found if group is not None}
    assert groups["c11"] == groups["c12"]
    assert groups["c04"] == groups["c05"]
    assert len(set(groups.values())) == len(groups) - 2


def test_a_shop_that_keeps_addresses_elsewhere_knows_nothing_of_them(said_no, tmp_path):
    copy = said_no.copy_to(tmp_path)
    copy.execute("update raw.customers set email = case when customer_id = 'c13' then 'n/a' end")
    copy.dbt("run", "--select", "int_customer_addresses")
    assert copy.sql("select count(*) from intermediate.int_customer_addresses") == [(0,)]


# -- the last look ----------------------------------------------------------------------------


class Files:
    """The shop's files as they are when files are written."""

    def __init__(self, customers: list[dict], consents: list[tuple], events: list[tuple]) -> None:
        rows = {
            "customers": customers,
            "consents": [
                dict(zip(("customer_id", "state", "effective_at"), row, strict=True)) for row in consents
            ],
            "campaign_events": [
                dict(zip(("customer_id", "event_type", "occurred_at"), row, strict=True)) for row in events
            ],
        }
        self.tables = {
            name: pd.DataFrame(rows[name], columns=list(RAW_TABLES[name].column_names)) for name in rows
        }

    def land(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        columns = ", ".join(
            f"{column.name}::{column.type.replace('TIMESTAMPTZ', 'TIMESTAMP')} as {column.name}"
            for column in RAW_TABLES[table].columns
        )
        connection.execute("create schema if not exists raw")
        connection.register("rows", self.tables[table])
        connection.execute(f"create table raw.{table} as select {columns} from rows")


@pytest.fixture(scope="module")
def house(said_no, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "weeks").mkdir()
    said_no.copy_to(home / "weeks" / WEEK.isoformat())
    return House(home, threads=1)


NOW = [{"customer_id": name, "email": email, "email_eligible": True} for name, email in CUSTOMERS.items()]


def looked(house: House, files: Files, allowed: int = 0) -> dict[str, str]:
    with house.build(WEEK).read() as connection, house.scratch() as scratch:
        found = load_withdrawn_now(connection, scratch, files.land, NEWEST, allowed)
    return dict(found.itertuples(index=False, name=None))


def test_the_last_look_finds_what_the_week_found(said_no, house):
    """The same rows, the same people: the resolution stands in one place."""
    customers = [row for row in RAW["customers"] if row["customer_id"]] + NOW
    consents = [
        tuple(row.values()) for row in RAW["consents"] if row["effective_at"] < "2024-03-04"
    ] + CONSENTS
    # bob's and ann's flags are false in a row, which the week judges apart from consent.
    expected = dict(
        said_no.sql(
            "select customer_id, consent_state from intermediate.int_consents_resolved where consent_state <> 'subscribed'"
        )
    ) | {"ann": "unsubscribed", "bob": "unsubscribed"}
    assert looked(house, Files(customers, consents, EVENTS[:-1]), allowed=1) == expected


def test_the_last_look_reads_whatever_came_since(house):
    """By then c11 unsubscribed by an address that only the week had, c12 has another; c20 complained."""
    customers = [row for row in NOW if row["customer_id"] not in ("c11", "c12")]
    customers.append({"customer_id": "c12", "email": "moved@example.com", "email_eligible": True})
    customers.append({"customer_id": "c14", "email": "n/a", "email_eligible": False})
    customers.append(
        {"customer_id": "new9", "email": "new@example.com", "email_eligible": True, "joined_at": "2024-03-06"}
    )
    consents = [
        ("paar@example.com", "unsubscribed", "2024-03-05"),
        ("new@example.com", "unsubscribed", "2024-03-06"),
        ("c15", "unsubscribed", "2024-03-05"),
        ("c15", "subscribed", "2024-03-06"),
        ("c16", "unsubscribed", "2024-03-05"),
        ("c16", "subscribed", "2024-03-08"),  # dated after the look
        ("c18", "unsubscribd", "2024-03-05"),
        ("c18", "subscribed", "2024-03-06"),
        ("c19", "objected", "2099-01-01"),
        ("c07", "subscribed", "2024-03-06"),
        ("c07", "unsubscribed", "2024-03-06"),
        ("c17", " Erased", None),
        ("c17", "objected", "2024-03-05"),
    ]
    assert looked(house, Files(customers, consents, [("c-20", "SpamReport", "2024-03-05")])) == {
        "c07": "unsubscribed",
        "c11": "unsubscribed",
        "c12": "unsubscribed",
        "c14": "unsubscribed",
        "c16": "unsubscribed",
        "c17": "erased",
        "c18": "unsubscribed",
        "c19": "objected",
        "c20": "unsubscribed",
        "new9": "unsubscribed",
    }


def test_the_last_look_stops_at_a_withdrawal_that_matches_nobody(house):
    files = Files(NOW, [("c999", "unsubscribed", "2024-03-05"), ("ina1@example.org", "objected", None)], [])
    with pytest.raises(GateError) as stopped:
        looked(house, files, allowed=1)
    assert str(stopped.value) == (
        "No file is written. Withdrawals that match no customer: 2, and 1 may. Table consents: 1 by an address that "
        "no customer has, 1 by an id that no customer has (c999). Whoever they are would be written to: correct the "
        "ids in the file, or raise unmatched_withdrawals in source.toml."
    )
    assert looked(house, files, allowed=2) == {}
