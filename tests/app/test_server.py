"""The endpoints: what they answer, every documented error, keys, and that no path needs another host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from helpers.api import EVENT, KEYS, start, write_shop
from helpers.serving import NOW, make_placement, make_product, write_version
from recs_assets.app.guard import Limits
from recs_assets.app.server import STATIC, create_app
from recs_assets.app.ui import Views
from recs_assets.schema import RAW_TABLES
from recs_assets.serving.service import open_service
from recs_assets.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write_shop(tmp_path)


@pytest.fixture
def client(home: Path):
    with start(home) as client:
        yield client


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["product_id"] for item in answer.json()["items"]]


def fail(answer, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    return answer.json()["error"]["message"]


def test_a_product_and_whether_it_may_be_sold(client) -> None:
    client.put("/v1/stock", json={"stock": [{"product_id": "p1", "stock": 0}]})
    products = [client.get(f"/v1/products/{name}").json() for name in ("p0", "p1")]
    assert [(product["card"]["title"], product["available"]) for product in products] == [
        ("p0", True),
        ("p1", False),
    ]
    fail(client.get("/v1/products/none"), 404, "no_product")


def test_the_widget_is_small_and_the_example_shop_is_there_without_keys(home: Path) -> None:
    assert (STATIC / "widget.js").stat().st_size < 10_000
    shop = Path(__file__).parents[2] / "examples" / "storefront"
    service = open_service(home, {"home": make_placement()}, lambda: lambda _: False, 8)
    with TestClient(create_app(service, Limits({}), shop), base_url="http://127.0.0.1") as client:
        assert "<title>Example shop</title>" in client.get("/shop/").text
        assert client.get("/shop/shop.js").status_code == client.get("/static/widget.js").status_code == 200
    with start(home, Limits(KEYS)) as client:
        assert client.get("/shop/").status_code == 404


def test_every_list(client) -> None:
    assert ids(client.get("/v1/customers/ada/recommendations")) == ["p2", "p1", "p0"]
    assert ids(client.get("/v1/customers/ada/recommendations?n=2&exclude=p2&category=Tea,Cups")) == [
        "p1",
        "p0",
    ]
    assert ids(client.get("/v1/customers/ada/recommendations?exclude=p2&exclude=p1")) == ["p0"]
    assert ids(client.get("/v1/customers/ada/buy-again")) == ["p1"]
    assert ids(client.get("/v1/products/p0/similar?n=1")) == ["p1"]
    assert ids(client.get("/v1/products/bought-together?ids=p0,p1&n=1")) == ["p2"]
    assert ids(client.post("/v1/sessions/recommendations", json={"events": [
        {"type": "add_to_cart", "product_id": "p0"}, {"type": "dismissed", "product_id": "p1"}]})) == ["p2"]  # fmt: skip


def test_ids_may_hold_any_sign(tmp_path: Path) -> None:
    odd = "a/b c?d&e=ü"
    write_version(tmp_path, "v1", [make_product("p0"), make_product(odd)], [(odd, {"list": [(odd, 0.5)]})],
                  {odd: ([("p0", 0.5)], [])})  # fmt: skip
    with start(tmp_path) as client:
        from urllib.parse import quote

        name = quote(odd, safe="")
        assert ids(client.get(f"/v1/customers/{name}/recommendations?n=1")) == [odd]
        assert ids(client.get(f"/v1/products/{name}/similar")) == ["p0"]


def test_unknown_customers_cannot_be_told_from_strangers(client) -> None:
    client.post("/v1/consents", json={"consents": [{"customer_id": "ada", "state": "erased"}]})
    answers = [client.get(f"/v1/customers/{name}/recommendations") for name in ("ada", "nobody")]
    assert answers[0].content == answers[1].content.replace(b"nobody", b"ada") or (
        ids(answers[0]) == ids(answers[1]) == ["p0", "p1", "p2"]
    )
    assert [answer.status_code for answer in answers] == [200, 200]


def test_an_answer_that_is_the_same_is_not_sent_again(client) -> None:
    first = client.get("/v1/customers/ada/recommendations")
    tag = {"If-None-Match": f'"x", {first.headers["etag"]}'}
    again = client.get("/v1/customers/ada/recommendations", headers=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    client.post("/v1/events", json={"events": [EVENT]})
    assert ids(client.get("/v1/customers/ada/recommendations", headers=tag)) == ["p1", "p0"]


def test_reports_are_heard_once_and_at_once(client, home: Path) -> None:
    first = client.post(
        "/v1/events", json={"events": [EVENT, EVENT | {"event_id": "e2", "product_id": "p1"}]}
    )
    assert (first.status_code, first.json()) == (202, {"accepted": 2, "repeated": 0})
    assert client.post("/v1/events", json={"events": [EVENT]}).json() == {"accepted": 0, "repeated": 1}
    assert ids(client.get("/v1/customers/ada/recommendations")) == ["p0"]
    assert client.put("/v1/stock", json={"stock": [{"product_id": "p0", "stock": 0}]}).status_code == 202
    assert ids(client.get("/v1/customers/bob/recommendations")) == ["p1", "p2"]
    assert client.put("/v1/prices", json={"prices": [{"product_id": "p1", "price": 7.5}]}).status_code == 202
    answer = client.get("/v1/customers/bob/recommendations").json()
    assert answer["items"][0]["card"]["price"] == 7.5
    assert sorted(path.name for path in (home / "events").iterdir()) == [
        ".lock",
        "campaign_events",
        "inventory",
        "prices",
    ]


def test_views_are_another_raw_table(client, home: Path) -> None:
    view = {"event_id": "e3", "type": "view", "visitor_id": "v", "product_id": "p0", "duration_seconds": 3.5}
    client.post("/v1/events", json={"events": [view]})
    [path] = (home / "events" / "browsing_events").iterdir()
    assert path.read_text() == (
        '{"event_id":"e3","product_id":"p0","event_type":"view","occurred_at":"2024-03-06T12:00:00.000000+00:00",'
        '"duration_seconds":3.5,"visitor_id":"v"}\n'
    )


def test_a_session_adds_to_the_cart_that_was_reported(client) -> None:
    cart = {"event_id": "e4", "type": "add_to_cart", "visitor_id": "v", "product_id": "p1"}
    client.post("/v1/events", json={"events": [cart]})
    visit = {"visitor_id": "v", "events": [{"type": "add_to_cart", "product_id": "p0"}]}
    assert ids(client.post("/v1/sessions/recommendations", json=visit)) == ["p2"]
    assert ids(client.post("/v1/sessions/recommendations", json={**visit, "cart": []})) == ["p0", "p1", "p2"]


def test_what_is_sent_to_be_answered_is_always_answered_with_a_body(client) -> None:
    again = client.post("/v1/sessions/recommendations", json={}, headers={"If-None-Match": "*"})
    assert ids(again) == ["p0", "p1", "p2"]


def test_events_are_known_after_a_restart(home: Path) -> None:
    with start(home) as client:
        client.post("/v1/events", json={"events": [EVENT]})
    with start(home) as client:
        assert ids(client.get("/v1/customers/ada/recommendations")) == ["p1", "p0"]
        assert client.post("/v1/events", json={"events": [EVENT]}).json() == {"accepted": 0, "repeated": 1}


def test_nothing_is_written_of_who_was_erased_and_the_answer_does_not_say_so(home: Path) -> None:
    with start(home, erased={"eve"}) as client:
        client.post("/v1/consents", json={"consents": [{"customer_id": "ada", "state": "objected"}]})
        said = {}
        for name in ("eve", "ada", "nobody"):
            consent = {"customer_id": name, "state": "unsubscribed"}
            bodies = [
                ("/v1/events", {"events": [EVENT | {"customer_id": name, "event_id": f"of {name}"}]}),
                ("/v1/preferences", {"preferences": [LIKES | {"customer_id": name}, LIKES]}),
                ("/v1/consents", {"consents": [consent]}),
            ]
            answers = [client.post(address, json=body) for address, body in bodies for _ in range(2)]
            said[name] = [(answer.status_code, *answer.json().values()) for answer in answers]
        expected = [(202, 1, 0), (202, 0, 1), (202, 2, 0), (202, 2, 0), (202, 1, 0), (202, 1, 0)]
        assert said == dict.fromkeys(("eve", "ada", "nobody"), expected)
    events = [
        path.read_text()
        for name in ("campaign_events", "preferences")
        for path in (home / "events" / name).iterdir()
    ]
    assert "nobody" in "".join(events)
    assert "ada" not in "".join(events)
    every = "".join(path.read_text() for path in (home / "events").rglob("*.jsonl"))
    assert not re.search(r'"eve"|of eve', every)


LIKES = {"customer_id": "newcomer", "question": "1", "facet": "category", "answer": "Cups"}


def test_what_somebody_new_answers_comes_first_in_the_next_answer_and_after_a_restart(home: Path) -> None:
    address = "/v1/customers/newcomer/recommendations"
    with start(home) as client:
        assert ids(client.get(address)) == ["p0", "p1", "p2"]
        before = LIKES | {"answered_at": "2024-03-06T11:00:00Z"}
        answer = client.post("/v1/preferences", json={"preferences": [before]})
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "repeated": 0})
        assert ids(client.get(address)) == ["p2", "p0", "p1"]
        # A customer with a list has it until the next week.
        client.post("/v1/preferences", json={"preferences": [LIKES | {"customer_id": "ada"}]})
        assert ids(client.get("/v1/customers/ada/recommendations")) == ["p2", "p1", "p0"]
        assert ids(client.get("/v1/customers/other/recommendations")) == ["p0", "p1", "p2"]
    with start(home) as client:
        assert ids(client.get(address)) == ["p2", "p0", "p1"]
        # The newest answer to a question counts, one that asks for brands is another; and nothing of whoever objects.
        newer = LIKES | {"facet": "brand", "answered_at": NOW.isoformat()}
        client.post("/v1/preferences", json={"preferences": [newer]})
        assert ids(client.get(address)) == ["p2", "p0", "p1"]
        newer = LIKES | {"answer": "Mugs of nobody", "answered_at": NOW.isoformat()}
        client.post("/v1/preferences", json={"preferences": [newer]})
        assert ids(client.get(address)) == ["p0", "p1", "p2"]
        client.post("/v1/preferences", json={"preferences": [LIKES | {"question": "2"}]})
        assert ids(client.get(address)) == ["p2", "p0", "p1"]
        client.post("/v1/consents", json={"consents": [{"customer_id": "newcomer", "state": "objected"}]})
        assert ids(client.get(address)) == ["p0", "p1", "p2"]
        client.post("/v1/preferences", json={"preferences": [LIKES]})
        assert ids(client.get(address)) == ["p0", "p1", "p2"]


def test_what_is_dated_later_counts_at_its_time_and_shuts_nothing_out(home: Path) -> None:
    later = {"answered_at": "2099-01-01T00:00:00Z", "answer": "Tea"}
    with start(home) as client:
        client.post("/v1/preferences", json={"preferences": [LIKES | later]})
        client.post("/v1/preferences", json={"preferences": [LIKES]})
        assert ids(client.get("/v1/customers/newcomer/recommendations")) == ["p2", "p0", "p1"]
        client.post("/v1/events", json={"events": [EVENT | {"occurred_at": later["answered_at"]}]})
        stock = {"product_id": "p0", "stock": 0, "counted_at": later["answered_at"]}
        client.put("/v1/stock", json={"stock": [stock]})
        price = {"product_id": "p1", "price": 0, "changed_at": later["answered_at"]}
        client.put("/v1/prices", json={"prices": [price]})
        assert ids(client.get("/v1/customers/ada/recommendations")) == ["p2", "p1", "p0"]
        beyond = {"answered_at": "9999-12-31T23:59:59-14:00"}
        answer = client.post("/v1/preferences", json={"preferences": [LIKES | beyond]})
        assert "it is no time with a zone" in fail(answer, 422, "invalid")
        # Who withdraws is withdrawn at once, whatever the date.
        consent = {"customer_id": "ada", "state": "objected", "effective_at": later["answered_at"]}
        client.post("/v1/consents", json={"consents": [consent]})
        assert ids(client.get("/v1/customers/ada/recommendations")) == ["p0", "p1", "p2"]


def test_blanks_alone_are_no_id(client) -> None:
    event = {
        **EVENT,
        "visitor_id": "v",
        "session_id": "s",
        "recommendation_id": "r",
        "campaign": "c",
        "experiment": "e",
        "arm": "a",
    }
    records = {
        "events": ("POST", event, ("event_id", "customer_id", "visitor_id", "session_id", "product_id", "recommendation_id", "campaign", "experiment", "arm")),
        "preferences": ("POST", LIKES, ("customer_id", "question", "answer")),
        "stock": ("PUT", {"product_id": "p0", "stock": 1}, ("product_id",)),
        "prices": ("PUT", {"product_id": "p0", "price": 1}, ("product_id",)),
        "consents": ("POST", {"customer_id": "ada", "state": "subscribed"}, ("customer_id",)),
    }  # fmt: skip
    for name, (method, row, fields) in records.items():
        assert client.request(method, f"/v1/{name}", json={name: [row]}).status_code == 202
        for field in fields:
            for blanks in ("", "   ", "\u00a0\u3000"):
                answer = client.request(method, f"/v1/{name}", json={name: [row | {field: blanks}]})
                assert fail(answer, 422, "invalid").startswith(f"{name}.0.{field}: ")
    for address in (
        "/v1/customers/%20%20/recommendations",
        "/v1/customers/ada/recommendations?cart=%20",
        "/v1/products/%C2%A0",
    ):
        fail(client.get(address), 422, "invalid")


def test_answers_are_written_down_as_the_raw_table_has_them(home: Path) -> None:
    timed = LIKES | {"answered_at": "2024-03-06T10:00:00+01:00"}
    with start(home, erased={"eve"}) as client:
        for _ in range(2):
            assert (
                client.post(
                    "/v1/preferences", json={"preferences": [timed, LIKES | {"answer": "Tea"}, LIKES]}
                ).status_code
                == 202
            )
        client.post("/v1/preferences", json={"preferences": [LIKES | {"customer_id": "eve"}]})
    [path] = (home / "events" / "preferences").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(row) for row in rows] == [[column.name for column in RAW_TABLES["preferences"].columns]] * 6
    assert [row["answered_at"] for row in rows] == [
        timed["answered_at"].replace("+", ".000000+"),
        *["2024-03-06T12:00:00.000000+00:00"] * 2,
    ] * 2
    assert {row["customer_id"] for row in rows} == {"newcomer"}


def test_an_address_or_a_number_is_no_answer(client, caplog) -> None:
    for wrong in (
        {"answer": "ann@x.example"},
        {"customer_id": "ann@x.example"},
        {"question": "ann@x.example"},
    ):
        answer = client.post("/v1/preferences", json={"preferences": [LIKES | wrong]})
        assert "ann@x.example" not in fail(answer, 422, "invalid")
    fail(client.post("/v1/preferences", json={"preferences": [LIKES | {"facet": "price"}]}), 422, "invalid")
    assert "newcomer" not in caplog.text
    assert "ann@" not in caplog.text


MISTAKES = {
    "an unknown parameter": ("/v1/customers/ada/recommendations?m=1", 422, "invalid", "There is no m; there are placement, n,"),
    "no number": ("/v1/customers/ada/recommendations?n=ten", 422, "invalid", "n: Input should be a valid integer"),
    "too many": ("/v1/customers/ada/recommendations?n=101", 422, "invalid", "n: Input should be less than or equal to 100."),
    "no placement": ("/v1/customers/ada/recommendations?placement=hom", 404, "no_placement", "did you mean home?"),
    "too many ids": (f"/v1/customers/ada/recommendations?cart={'a,' * 201}", 422, "invalid", "cart: "),
    "no ids": ("/v1/products/bought-together", 422, "invalid", "ids: Field required."),
    "a long id": (f"/v1/customers/{'a' * 201}/recommendations", 422, "invalid", "1 to 200 printable characters"),
    "a number given twice": ("/v1/customers/ada/recommendations?n=1&n=2", 422, "invalid", "n is given more than once."),
    "a name that may be somebody's": ("/v1/customers/ada/recommendations?ann@x.example=1", 422, "invalid", "There is no ...; there are placement,"),
    "no page": ("/v1/nothing", 404, "not_found", "There is no such page"),
    "another method": ("/v1/events", 405, "wrong_method", "not asked with this method"),
}  # fmt: skip


@pytest.mark.parametrize(("address", "status", "code", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_an_address_is_one_sentence(client, address, status, code, words) -> None:
    assert words in fail(client.get(address), status, code)


BODIES = {
    "no type": ({"content": b"{}"}, 415, "not_json", "Content-Type: application/json"),
    "no JSON": ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "not_json", "The body is no JSON"),
    "half of a letter": ({"content": b'{"events": [{"event_id": "\\ud800"}]}', "headers": {"content-type": "application/json"}}, 400, "not_json", "The body is no JSON"),
    "no number": ({"content": b'{"events": [{"position": NaN}]}', "headers": {"content-type": "application/json"}}, 422, "invalid", "events.0."),
    "no events": ({"json": {"events": []}}, 422, "invalid", "events: Tuple should have at least 1 item"),
    "an unknown type": ({"json": {"events": [EVENT | {"type": "sold"}]}}, 422, "invalid", "events.0.type: "),
    "nobody": ({"json": {"events": [{"event_id": "e", "type": "shown", "placement": "home"}]}}, 422, "invalid", "needs a customer_id or a visitor_id"),
    "no zone": ({"json": {"events": [EVENT | {"occurred_at": "2024-03-06T12:00:00"}]}}, 422, "invalid", "occurred_at"),
    "an unknown field": ({"json": {"events": [EVENT | {"email": "ada@x.example"}]}}, 422, "invalid", "There is no events.0.email"),
    "a number in quotes": ({"json": {"events": [EVENT | {"position": "1"}]}}, 422, "invalid", "events.0.position: Input should be a valid integer."),
    "a number as a time": ({"json": {"events": [EVENT | {"occurred_at": "1709726400"}]}}, 422, "invalid", "it is no time with a zone"),
    "a day that is none": ({"json": {"events": [EVENT | {"occurred_at": "2024-02-30T12:00:00Z"}]}}, 422, "invalid", "it is no time with a zone"),
    "too large": ({"json": {"events": [EVENT | {"device": "d" * 300_000}]}}, 413, "too_large", "262,144 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "code", "words"), BODIES.values(), ids=BODIES)
def test_a_mistake_in_a_body_is_one_sentence_that_repeats_nobodys_data(
    client, request_, status, code, words
) -> None:
    message = fail(client.post("/v1/events", **request_), status, code)
    assert words in message
    assert "ada" not in message


def test_a_body_in_pieces_is_cut_off_too(client) -> None:
    def pieces():
        for _ in range(300):
            yield b" " * 1000

    answer = client.post("/v1/events", content=pieces(), headers={"content-type": "application/json"})
    fail(answer, 413, "too_large")


def test_keys_and_roles(home: Path) -> None:
    with start(home, Limits(KEYS), address="10.0.0.1") as client:
        fail(client.get("/v1/customers/ada/recommendations"), 401, "no_key")
        fail(client.get("/v1/customers/ada/recommendations", headers={"X-API-Key": "wrong"}), 401, "no_key")
        mine, other = {"X-API-Key": KEYS["storefront"]}, {"X-API-Key": KEYS["analyst"]}
        assert ids(client.get("/v1/customers/ada/recommendations", headers=mine)) == ["p2", "p1", "p0"]
        assert "analyst" in fail(
            client.get("/v1/customers/ada/recommendations", headers=other), 403, "wrong_role"
        )
        fail(client.get("/metrics", headers=mine), 403, "wrong_role")
        assert client.get("/metrics", headers=other).status_code == 200
        fail(client.get("/whatever"), 401, "no_key")
        assert client.get("/health/live").json() == {"status": "ok"}


def test_without_keys_only_this_machine_is_answered(home: Path) -> None:
    with start(home, address="shop.example") as client:
        fail(client.get("/v1/customers/ada/recommendations"), 403, "not_local")
        fail(client.get("/health/live"), 403, "not_local")


def test_who_asks_too_fast_waits(home: Path) -> None:
    with start(home, Limits({}, rate=2.0)) as client:
        answers = [client.get("/health/live").status_code for _ in range(4)]
        assert answers[:2] == [200, 200]
        assert 429 in answers


def test_other_sites_may_ask_only_where_they_are_named(home: Path) -> None:
    site = {"Origin": "https://shop.example"}
    with start(home) as client:
        assert "access-control-allow-origin" not in client.get("/health/live", headers=site).headers
    with start(home, Limits({}, origins=frozenset({"https://shop.example"}))) as client:
        assert (
            client.get("/health/live", headers=site).headers["access-control-allow-origin"]
            == "https://shop.example"
        )
        other = client.get("/health/live", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_before_the_first_week(tmp_path: Path) -> None:
    with start(tmp_path) as client:
        assert client.get("/health/live").status_code == 200
        assert (client.get("/health/ready").status_code, client.get("/health/ready").json()["status"]) == (
            503,
            "waiting",
        )
        assert "run a week" in fail(client.get("/v1/customers/ada/recommendations"), 503, "not_ready")


def test_a_disk_that_refuses_is_said_and_the_event_is_heard_when_it_comes_again(client, monkeypatch) -> None:
    import os

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        fail(client.post("/v1/events", json={"events": [EVENT]}), 503, "not_written")
    assert client.post("/v1/events", json={"events": [EVENT]}).json() == {"accepted": 1, "repeated": 0}


def test_metrics_name_endpoints_and_nobody(client) -> None:
    client.get("/v1/customers/ada/recommendations")
    client.post("/v1/events", json={"events": [EVENT]})
    text = client.get("/metrics").text
    assert (
        'recs_requests_total{endpoint="/v1/customers/{customer_id:path}/recommendations",status="200"} 1.0'
        in text
    )
    assert 'recs_events_total{table="campaign_events"} 1.0' in text
    assert 'recs_monitor_figures{area="data",verdict="alert"} 1.0' in text
    assert 'recs_monitor_figures{area="lists",verdict="ok"} 12.0' in text
    assert "ada" not in text


def test_the_description_names_every_parameter_and_every_error(client) -> None:
    described = client.get("/openapi.json").json()
    lists = described["paths"]["/v1/customers/{customer_id}/recommendations"]["get"]
    assert {parameter["name"] for parameter in lists["parameters"]} == {
        "customer_id", "placement", "n", "context", "cart", "category", "exclude", "country", "visitor_id", "session_id",
    }  # fmt: skip
    assert set(lists["responses"]) == {"200", "304", "401", "403", "404", "413", "422", "429", "503"}
    assert set(described["paths"]["/v1/events"]["post"]["responses"]) == {
        "202", "400", "401", "403", "413", "415", "422", "429", "503",
    }  # fmt: skip


def test_the_page_of_the_api_needs_no_other_host(client) -> None:
    page = client.get("/docs").text
    assert "https://" not in page
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert client.get(name).status_code == 200
    for path in STATIC.iterdir():
        assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text().lower()), path


def test_a_browser_logs_in_to_the_views_with_the_analysts_key(home: Path) -> None:
    service = open_service(home, {}, lambda: lambda name: False, 8, clock=lambda: NOW)
    app = create_app(service, Limits(KEYS), views=Views(Settings(home=home)))
    with TestClient(app) as client:
        asked = client.get("/ui")
        fail(asked, 401, "no_key")
        assert asked.headers["www-authenticate"].startswith("Basic ")
        assert client.get("/ui", auth=("any", KEYS["analyst"])).status_code == 200
        assert client.get("/ui", headers={"X-API-Key": KEYS["analyst"]}).status_code == 200
        fail(client.get("/ui", auth=("any", KEYS["storefront"])), 403, "wrong_role")
        fail(client.get("/ui", headers={"Authorization": "Basic %"}), 401, "no_key")
        # Of a browser's login nothing but the pages knows.
        fail(client.get("/metrics", auth=("any", KEYS["analyst"])), 401, "no_key")


def test_an_id_that_holds_an_address_is_refused_where_the_next_run_would_stop(client) -> None:
    view = {"event_id": "e1", "type": "view", "product_id": "p1", "visitor_id": "v"}
    for wrong in (
        {"event_id": "e-ann@shop.example"},
        {"customer_id": "ann@shop.example"},
        {"device": "ann@shop.example"},
    ):
        message = fail(client.post("/v1/events", json={"events": [view | wrong]}), 422, "invalid")
        assert "it holds an email address" in message
        assert "ann" not in message
    # An email service may know an address only: the run finds whose it is.
    bounced = {
        "event_id": "e2",
        "type": "bounced",
        "customer_id": "ann@shop.example",
        "campaign": "weekly_email",
    }
    assert client.post("/v1/events", json={"events": [bounced]}).status_code == 202
