"""Switching versions while the shop reports: nothing is lost, nothing is mixed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from helpers.serving import NOW, make_placement, make_product, write_version
from recs_assets.serving.answer import Question, answer
from recs_assets.serving.service import Service, open_service
from recs_assets.serving.store import ServingError
from recs_assets.sources.acknowledged import list_all_event_files, purge_events

SHOP = [make_product("p0", popularity=2.0), make_product("p1")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_version(tmp_path, "v1", SHOP, [("ada", {"list": [("p1", 0.5)]})])
    return tmp_path


def start(home: Path, erased=()) -> Service:
    return open_service(
        home, {"home": make_placement()}, lambda: lambda name: name in erased, 8, clock=lambda: NOW
    )


def report(service: Service, *records) -> None:
    service.report(records).result(30)
    service.accept(records)


def ids(service: Service, **question) -> list[str]:
    now = service.require()
    found = answer(now.version, now.state, Question("home", **question), NOW.timestamp())
    return [item["product_id"] for item in orjson.loads(found)["items"]]


def dismissal(product, number=0, customer="ada"):
    return "campaign_events", {
        "event_id": f"e{number}", "customer_id": customer, "product_id": product, "event_type": "dismissed",
        "occurred_at": NOW.isoformat(),
    }  # fmt: skip


def test_a_version_is_exchanged_with_its_state(home: Path) -> None:
    service = start(home)
    report(
        service,
        dismissal("p1"),
        ("inventory", {"product_id": "p0", "counted_at": NOW.isoformat(), "stock": 0.0}),
    )
    assert ids(service, customer_id="ada") == []
    assert not service.is_behind
    write_version(home, "v2", [*SHOP, make_product("p2")], [("ada", {"list": [("p1", 0.5), ("p2", 0.4)]})])
    assert service.is_behind
    prepared = service.prepare()
    # What is reported meanwhile is in the new state, too.
    assert service.is_new("e1")
    report(service, dismissal("p2", 1))
    assert ids(service, customer_id="ada") == []
    service.switch(prepared)
    assert ids(service, customer_id="ada") == []
    assert ids(service) == ["p1", "p2"]
    assert not service.is_new("e0")
    assert not service.is_new("e1")
    assert (service.switches, service.is_behind) == (2, False)
    service.close()


def test_a_stock_from_before_the_build_is_the_builds(home: Path) -> None:
    service = start(home)
    old = (NOW - timedelta(days=30)).isoformat()
    report(service, ("inventory", {"product_id": "p0", "counted_at": old, "stock": 0.0}))
    assert ids(service) == ["p0", "p1"]
    service.close()


def test_who_was_forgotten_is_unknown_after_the_switch(home: Path) -> None:
    service = start(home)
    report(service, dismissal("p0"), dismissal("p0", 1, "bob"))
    (path,) = list_all_event_files(home)
    purge_events(path, {"ada"}, set())
    write_version(home, "v1-2", SHOP)
    service.switch(service.prepare())
    assert ids(service, customer_id="ada") == ids(service) == ["p0", "p1"]
    assert ids(service, customer_id="bob") == ["p1"]
    assert service.now.state.people == 1
    service.close()


def test_nothing_is_logged_of_who_was_erased_or_objected(home: Path) -> None:
    service = start(home, erased={"eve"})
    assert [service.may_log(name) for name in (None, "ada", "eve")] == [True, True, False]
    report(
        service, ("consents", {"customer_id": "ada", "state": "objected", "effective_at": NOW.isoformat()})
    )
    assert not service.may_log("ada")
    service.close()
    # And after a restart.
    service = start(home)
    assert not service.may_log("ada")
    service.close()


def test_who_objected_in_the_shops_own_files_is_a_stranger_too(home: Path) -> None:
    write_version(home, "v2", SHOP, [("ada", {"withdrawn": True})])
    service = start(home)
    assert not service.may_log("ada")
    report(service, dismissal("p0", customer="ada"))  # from before they objected
    assert ids(service, customer_id="ada") == ["p0", "p1"]
    service.close()


def test_what_is_dated_later_changes_answers_from_its_time_on(home: Path) -> None:
    now = [NOW]
    service = open_service(home, {"home": make_placement()}, lambda: lambda _: False, 8, clock=lambda: now[0])
    soon = (NOW + timedelta(hours=1)).isoformat()
    bought = dismissal("p1")[1] | {"event_type": "purchased", "occurred_at": soon}
    report(
        service,
        ("inventory", {"product_id": "p0", "counted_at": soon, "stock": 0.0}),
        ("campaign_events", bought),
    )
    assert ids(service, customer_id="ada") == ["p1", "p0"]
    now[0] += timedelta(minutes=59)
    # A version that is opened meanwhile waits for it, too.
    write_version(home, "v2", SHOP, [("ada", {"list": [("p1", 0.5)]})])
    prepared = service.prepare()
    assert ids(service, customer_id="ada") == ["p1", "p0"]
    now[0] += timedelta(minutes=1)
    assert (ids(service, customer_id="ada"), ids(service)) == ([], ["p1"])
    service.switch(prepared)
    assert (ids(service, customer_id="ada"), ids(service)) == ([], ["p1"])
    service.close()


def test_before_the_first_week_there_is_one_sentence(tmp_path: Path) -> None:
    service = start(tmp_path)
    with pytest.raises(ServingError, match="Nothing is published yet"):
        service.require()
    # What is reported is kept all the same.
    report(service, dismissal("p0"))
    write_version(tmp_path, "v1", SHOP)
    service.switch(service.prepare())
    assert ids(service, customer_id="ada") == ["p1"]
    service.close()


def test_a_damaged_version_is_refused_and_the_old_one_goes_on(home: Path) -> None:
    service = start(home)
    (home / "serving" / "versions" / "v2").mkdir()
    (home / "serving" / "versions" / "v2" / "serving.sqlite").write_bytes(b"no database" * 500)
    (home / "serving" / ".next").symlink_to("versions/v2")
    (home / "serving" / ".next").replace(home / "serving" / "current")
    with pytest.raises(ServingError, match="materialise exports/serving_store again"):
        service.prepare()
    assert ids(service) == ["p0", "p1"]
    service.close()
