"""Two profiles that were one person and are two again."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from helpers.warehouse import FIRST, SECOND, THIRD, build, publish
from recs_assets.contracts import model_columns
from recs_assets.identity.match import Matched, mark_parted
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.people import keep_people, load_earlier_pairs
from recs_assets.week.week import Week

NAMES = ["profile_id", "other_profile_id", "parted_at"]


def make_matched(people: dict[str, str], *pairs: tuple[str, str, str]) -> Matched:
    """Whose the profiles are, and pairs with their status."""
    names = ["profile_id", "other_profile_id", "status", "matched_by", "probability", "agree", "differ"]
    rows = [(left, right, status, None, 0.9, "phone", "email") for left, right, status in pairs]
    identities = pd.DataFrame(list(people.items()), columns=["profile_id", "customer_id"])
    return Matched(identities, pd.DataFrame(rows, columns=names), 4)


def mark(matched: Matched, *earlier: tuple[str, str, date]) -> list[tuple]:
    pairs = mark_parted(matched, pd.DataFrame(earlier, columns=NAMES), {"a", "b", "c", "d"}).pairs
    return [
        (row.profile_id, row.other_profile_id, row.status, None if pd.isna(row.parted_at) else row.parted_at.date())
        for row in pairs.itertuples()
    ]  # fmt: skip


def test_who_was_one_person_and_is_two_is_marked_and_waits_for_review() -> None:
    matched = make_matched({"a": "a", "c": "a"}, ("a", "c", "one_person"), ("b", "c", "different"))
    earlier = [("a", "b", FIRST), ("a", "c", FIRST), ("b", "c", FIRST), ("b", "x", FIRST)]
    assert mark(matched, *earlier) == [
        ("a", "b", "review", FIRST),
        ("a", "c", "one_person", None),  # still one
        ("b", "c", "different", FIRST),  # as the shop says
    ]


def test_nobody_is_parted_without_an_earlier_week() -> None:
    assert mark(make_matched({"a": "a", "c": "a"}, ("a", "c", "one_person"))) == [
        ("a", "c", "one_person", None)
    ]
    assert mark(make_matched({})) == []


class OneWeek:
    """What matching reads of a week."""

    def __init__(self, house: Warehouse, as_of: date) -> None:
        self.warehouse, self.build, self.as_of = house, house.build(as_of), as_of
        with self.build.write() as connection:
            connection.execute("create schema if not exists raw")

    read_with_snapshot = Week.read_with_snapshot

    def load(self) -> list[tuple[str, str, str]]:
        rows = load_earlier_pairs(self)  # type: ignore[arg-type]
        return [(left, right, str(moment.date())) for left, right, moment in rows.itertuples(index=False)]


def publish_people(house: Warehouse, week: date, people: dict[str, str], parted: str = "") -> None:
    """A week in which c and d were found to be parted, where a date says so."""
    moment = f"date '{parted}'" if parted else "null::date"
    build(house, week)
    with house.build(week).write() as connection:
        connection.execute("create table recs.customer_identities (profile_id varchar, customer_id varchar)")
        connection.executemany("insert into recs.customer_identities values (?, ?)", list(people.items()))
        connection.execute(
            "create table recs.customer_matches as select 'c' as profile_id, 'd' as other_profile_id, "
            f"{moment} as parted_at"
        )
    publish(house, week)


def test_pairs_of_the_newest_week_and_those_that_were_parted_before(house: Warehouse) -> None:
    publish_people(house, FIRST, {"a": "b", "b": "b", "c": "b"}, "2024-02-26")
    second = [(*pair, "2024-03-11") for pair in (("a", "b"), ("a", "c"), ("b", "c"))]
    assert OneWeek(house, SECOND).load() == [*second, ("c", "d", "2024-02-26")]


def test_an_old_week_knows_nothing_of_later_ones(house: Warehouse) -> None:
    """c and d were parted in the third week, which the second does not know, and a and b may have been joined by then."""
    publish_people(house, THIRD, {"a": "a", "b": "a"}, "2024-03-18")
    assert OneWeek(house, SECOND).load() == []
    assert OneWeek(house, THIRD).load() == [("a", "b", "2024-03-18"), ("c", "d", "2024-03-18")]


@pytest.mark.parametrize("published", [False, True])
def test_without_a_snapshot_or_with_an_older_one_there_are_none(house: Warehouse, published: bool) -> None:
    if published:
        build(house, FIRST)
        publish(house, FIRST)
    assert OneWeek(house, SECOND).load() == []


def test_a_night_keeps_the_people_of_the_week(house: Warehouse) -> None:
    """Whose the profiles are, and who was parted: what a customer may be sent does not change over night."""
    week, night = OneWeek(house, FIRST), OneWeek(house, SECOND)
    people = pd.DataFrame({"profile_id": ["a", "b"], "customer_id": ["a", "a"]})
    pairs = mark_parted(make_matched({}), pd.DataFrame([("c", "d", FIRST)], columns=NAMES), {"c", "d"}).pairs
    for table, rows in (("customer_identities", people), ("customer_matches", pairs)):
        week.build.replace_table(table, rows, model_columns(table))
    night.model_week, week.table, night.replace_table = week, week.build.table, night.build.replace_table  # type: ignore[attr-defined]
    keep_people(night)  # type: ignore[arg-type]
    assert night.build.table("customer_identities").to_numpy().tolist() == [["a", "a"], ["b", "a"]]
    [row] = night.build.table("customer_matches").to_dict("records")
    assert (row["profile_id"], row["other_profile_id"], row["status"], row["parted_at"]) == (
        "c",
        "d",
        "review",
        pd.Timestamp(FIRST),
    )
