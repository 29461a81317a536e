"""What of the reports is in memory, how much of it, and from when on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recs_assets.serving import state as module
from recs_assets.serving.state import ANSWERS, State, write_time

NOW = datetime(2024, 3, 6, 12, tzinfo=UTC).timestamp()


def answer(
    state: State, question: str, value: str, at: float = NOW, customer: str = "ada", facet: str = "category"
) -> None:
    row = {"customer_id": customer, "question": question, "facet": facet, "answer": value}
    state.apply("preferences", row | {"answered_at": write_time(at)})


def test_the_newest_answers_of_a_customer_are_kept_the_oldest_go_first() -> None:
    state = State(clock=lambda: NOW)
    for number in range(ANSWERS + 50):
        answer(state, f"q{number}", f"v{number}", NOW - 1000 + number)
    assert state.find_answers("ada", "category") == [f"v{number}" for number in range(50, ANSWERS + 50)]
    answer(state, "older", "older", NOW - 2000)
    answer(state, "q60", "changed", NOW)
    found = state.find_answers("ada", "category")
    assert (len(found), "older" in found, "v60" in found, "changed" in found) == (ANSWERS, False, False, True)


def test_a_number_that_asked_for_something_else_takes_nothing_back() -> None:
    """Question 1 asked for brands in one week and for categories in the next; a later answer to either replaces its own."""
    state = State(clock=lambda: NOW)
    answer(state, "1", "Leaf", NOW - 20, facet="brand")
    answer(state, "1", "Tea", NOW - 10)
    assert [state.find_answers("ada", facet) for facet in ("brand", "category")] == [["Leaf"], ["Tea"]]
    answer(state, "1", "Bean", NOW, facet="brand")
    assert [state.find_answers("ada", facet) for facet in ("brand", "category")] == [["Bean"], ["Tea"]]


def test_answers_of_one_moment_are_bounded_too() -> None:
    state = State(clock=lambda: NOW)
    for number in range(ANSWERS + 50):
        answer(state, "1", f"v{number}")
    assert state.find_answers("ada", "category") == [f"v{number}" for number in range(50, ANSWERS + 50)]
    answer(state, "1", "other", NOW - 1)
    assert len(state.find_answers("ada", "category")) == ANSWERS
    assert state.find_answers("ada", "brand") == []


@given(st.lists(st.tuples(st.sampled_from("12"), st.sampled_from("abc"), st.integers(-3, 3)), max_size=12))
def test_an_answer_counts_from_its_time_on(said) -> None:
    """At every moment the state is as if what is dated later had not been said yet."""
    now = [NOW]
    state = State(clock=lambda: now[0])
    for question, value, seconds in said:
        answer(state, question, value, NOW + seconds)
    for step in range(5):
        now[0] = NOW + step
        state.catch_up()
        due = [row for row in said if row[2] <= step]
        newest = {question: max(at for name, _, at in due if name == question) for question, *_ in due}
        expected = {value for question, value, at in due if at == newest[question]}
        assert set(state.find_answers("ada", "category")) == expected


def test_an_event_of_tomorrow_is_not_in_todays_cart() -> None:
    now = [NOW]
    state = State(clock=lambda: now[0])
    for number, kind in enumerate(("added_to_cart", "purchased")):
        row = {"customer_id": "ada", "product_id": "p1", "event_type": kind}
        state.apply("campaign_events", row | {"occurred_at": write_time(NOW + number * 86_400)})
    assert list(state.find_people("ada", None, None).find("cart", 0)) == ["p1"]
    assert not state.find_people("ada", None, None).find("bought", 0)
    now[0] += 86_400
    assert state.catch_up() == set()
    assert list(state.find_people("ada", None, None).find("bought", 0)) == ["p1"]
    assert not state.find_people("ada", None, None).find("cart", 0)


def test_who_withdraws_meanwhile_is_not_taken_in_later() -> None:
    now = [NOW]
    state = State(clock=lambda: now[0])
    answer(state, "1", "Tea", NOW + 60)
    state.apply("consents", {"customer_id": "ada", "state": "objected", "effective_at": write_time(NOW)})
    now[0] += 60
    state.catch_up()
    assert state.find_answers("ada", "category") == []


def test_of_too_much_that_waits_the_nearest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 20)
    now = [NOW]
    state = State(clock=lambda: now[0])
    for number in reversed(range(1, 31)):
        row = {"product_id": f"p{number:02}", "stock": 1.0, "counted_at": write_time(NOW + number)}
        state.apply("inventory", row)
    now[0] += 100
    changed = state.catch_up()
    assert {f"p{number:02}" for number in range(1, 16)} <= changed
    assert len(changed) <= 20
