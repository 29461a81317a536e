"""No response breaks a filter: random states of stock, prices, carts, purchases, dismissals and consents, asked on every
path through the endpoints. What may be answered is worked out here, from the literals below, by nothing of the server.

    RECS_STATES=10000 python -m pytest tests/serving/test_filters.py    # as many states, before a release
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.api import Caller
from helpers.serving import BEGINS, NOW, make_placement, make_product, write_version
from recs_assets.app.guard import Limits
from recs_assets.app.server import create_app
from recs_assets.serving.service import Now, open_service
from recs_assets.serving.state import State

STATES = int(os.environ.get("RECS_STATES", "250"))
SOON = NOW.timestamp() + 60
SHOP = {
    product["product_id"]: product
    for product in (
        make_product("p0", popularity=15.0, parent_id="x"),
        make_product("p1", popularity=14.0, parent_id="x"),
        make_product("p2", popularity=13.0, countries="DE AT"),
        make_product("p3", popularity=12.0, category="Coffee", name="Beans", stock=5.0),
        make_product("p4", popularity=11.0, category="Coffee", name=" BEANS"),
        make_product("p5", popularity=10.0, category="Cups", end_at=SOON),
        make_product("p6", popularity=9.0, category="Cups", start_at=SOON),
        make_product("p7", popularity=8.0, price=0.0),
        make_product("p8", popularity=7.0, never_offer=True),
        make_product("p9", popularity=6.0, category="Coffee", never_discover=True),
        make_product("p10", popularity=5.0, stock=0.0),
        make_product("p11", popularity=4.0, category="Cups"),
        make_product("p12", popularity=3.0, category="Cups", parent_id="p11"),
        make_product("p13", popularity=2.0, category="Jars"),
        make_product("p14", popularity=16.0, name=None),
    )
}
IDS = list(SHOP)
# Every list holds every product, so that each of them must be filtered.
ALL = [(product, round(0.9 - 0.05 * place, 2)) for place, product in enumerate(IDS)]
COUNTRY = {"ada": "DE", "bob": "US", "carl": None}
CUSTOMERS = [
    ("ada", {"list": ALL, "again": ALL, "country": "DE", "segment": "vip", "tastes": [("Tea", 0.6), ("Coffee", 0.4)]}),
    ("bob", {"list": ALL[::-1], "again": ALL[:3], "country": "US", "tastes": [("Cups", 1.0)]}),
    ("carl", {"segment": "vip"}),
    # Who objected in the shop's own files; the store should hold nothing else of them, and nothing of it may count.
    ("eve", {"list": ALL[::-1], "again": ALL, "country": "DE", "segment": "vip", "withdrawn": True}),
]  # fmt: skip
WITH_LIST = ("ada", "bob")
NEIGHBOURS = {product: ([row for row in ALL if row[0] != product],) * 2 for product in ("p0", "p3", "p11")}
RULES = {"complete": ["name"], "dismissed_within_days": 14}
PLACEMENTS = {
    "home": make_placement(
        blend={"personal": 1, "together": 0.5, "similar": 0.5}, session_context=True, discovery_share=0.3, discovery_floor=0,
        pinned=[{"product": "p1", "slot": 1}, {"product": "p5", "slot": 3}], rules={**RULES, "max_per_category": 3},
    ),
    "bare": make_placement("bare", blend={"similar": 1}, ladder=["global"], rules={**RULES, "dismissed_within_days": None}),
    "tested": make_placement(
        "tested", rules={**RULES, "max_per_category": None}, experiment="e", arms={"treatment": 0.5, "holdout": 0.5}
    ),
}  # fmt: skip
DISMISSED_DAYS = {"home": 14, "bare": 0, "tested": 14}
# From this moment on a count, or a price, is newer than the week's own.
COUNTED = BEGINS + 3600
MOMENTS = [
    *(NOW.timestamp() - 86_400 * days for days in (29, 27, 15, 13)),
    BEGINS - 1, BEGINS + 1, BEGINS + 7200, NOW.timestamp() - 60,
]  # fmt: skip

# -- what may happen, and what may be asked -----------------------------------------------------

# What happens does so mostly to those who ask, and to what may be sold: else it would make no difference.
PRODUCT, MOMENT = st.sampled_from([*IDS, "p0", "p2", "p3", "p4", "p11", "p13"]), st.sampled_from(MOMENTS)
SOME = st.lists(PRODUCT, max_size=2).map(tuple)
WHO = st.sampled_from(
    [
        {"customer_id": "ada"},
        {"customer_id": "ada"},
        {"customer_id": "bob"},
        {"customer_id": "eve"},
        {"visitor_id": "v"},
        {"session_id": "s", "visitor_id": "w"},
        {"customer_id": "ada", "visitor_id": "v"},
    ]
)


def write_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def make_event(kind: str, product: str, who: dict[str, str], at: float) -> tuple[str, dict[str, Any]]:
    row = {"event_type": kind, "product_id": product, "occurred_at": write_time(at), **who}
    return "browsing_events" if kind in ("view", "add_to_cart") else "campaign_events", row


KINDS = st.sampled_from(
    ["purchased", "purchased", "added_to_cart", "add_to_cart", "dismissed", "dismissed", "view"]
)
EVENT = st.builds(make_event, KINDS, PRODUCT, WHO, MOMENT)
CHANGE = st.one_of(
    st.builds(
        lambda product, at, stock: (
            "inventory",
            {"product_id": product, "counted_at": write_time(at), "stock": stock},
        ),
        PRODUCT,
        MOMENT,
        st.sampled_from([0.0, 0.5, 1.0, 7.0]),
    ),
    st.builds(
        lambda product, at, price: (
            "prices",
            {"product_id": product, "changed_at": write_time(at), "price": price},
        ),
        PRODUCT,
        MOMENT,
        st.sampled_from([0.0, 0.001, 0.005, 3.0]),
    ),
    st.builds(
        lambda who, state: (
            "consents",
            {"customer_id": who, "state": state, "effective_at": NOW.isoformat()},
        ),
        st.sampled_from(["ada", "bob"]),
        st.sampled_from(["objected", "erased", "unsubscribed"]),
    ),
)
RECORDS = st.tuples(
    st.lists(EVENT, min_size=3, max_size=12), st.lists(CHANGE, max_size=4), st.randoms(use_true_random=False)
).map(lambda drawn: drawn[2].sample([*drawn[0], *drawn[1]], len(drawn[0]) + len(drawn[1])))


@dataclass(frozen=True)
class Asked:
    """What a page asks; None and () are not sent."""

    n: int
    placement: str
    customer: str
    visitor: str | None
    session: str | None
    context: tuple[str, ...]
    cart: tuple[str, ...] | None
    exclude: tuple[str, ...]
    category: tuple[str, ...]
    country: str | None
    # Of the session that is posted: type and product.
    happened: tuple[tuple[str, str], ...] = field(default=())


ASKED = st.builds(
    Asked,
    n=st.sampled_from([15, 15, 4, 1]),
    placement=st.sampled_from(list(PLACEMENTS)),
    customer=st.sampled_from(["ada", "ada", "ada", "bob", "carl", "eve", "nobody"]),
    visitor=st.sampled_from(["v", None, "w"]),
    session=st.sampled_from([None, "s"]),
    context=SOME,
    cart=st.none() | SOME,
    exclude=SOME,
    category=st.sampled_from([(), (), (), ("tea",), ("Coffee", "Cups"), (" JARS ",)]),
    country=st.sampled_from([None, "DE", "DE", "us"]),
    happened=st.lists(
        st.tuples(st.sampled_from(["view", "add_to_cart", "clicked", "dismissed", "purchased"]), PRODUCT), max_size=4
    ).map(tuple),
)  # fmt: skip

# -- what may be answered -----------------------------------------------------------------------


def fold(name: str) -> str:
    return " ".join(name.casefold().split())


def family(product: str) -> str:
    """What variants share: their parent, which may be a product itself."""
    return SHOP[product]["parent_id"] or product


def list_families(products: Iterable[str]) -> set[str]:
    mine = {family(product) for product in products}
    return {product for product in IDS if family(product) in mine}


def list_titles(products: Iterable[str]) -> set[str]:
    mine = {fold(SHOP[product]["name"]) for product in products if SHOP[product]["name"]}
    return {product for product in IDS if SHOP[product]["name"] and fold(SHOP[product]["name"]) in mine}


def find_newest(
    records: list[tuple[str, dict[str, Any]]], table: str, value: str, time: str, product: str
) -> Any:
    """The newest value that is newer than the week's own, else that; of two at one moment the one reported later."""
    there = [row for name, row in records if name == table and row["product_id"] == product]
    newer = [row for row in there if datetime.fromisoformat(row[time]).timestamp() > COUNTED]
    newer.sort(key=lambda row: datetime.fromisoformat(row[time]))
    return newer[-1][value] if newer else SHOP[product][value]


def find_unsellable(records: list[tuple[str, dict[str, Any]]], country: str | None) -> dict[str, set[str]]:
    """Filter -> products that it keeps from everybody, at a place."""
    refused: dict[str, set[str]] = {"stock": set(), "window": set(), "country": set(), "price": set()}
    for product, facts in SHOP.items():
        stock = find_newest(records, "inventory", "stock", "counted_at", product)
        if stock is not None and stock < 1:
            refused["stock"].add(product)
        if find_newest(records, "prices", "price", "changed_at", product) < 0.005:
            refused["price"].add(product)
        if (facts["start_at"] or 0) > NOW.timestamp() or (facts["end_at"] or SOON) <= NOW.timestamp():
            refused["window"].add(product)
        if facts["countries"] and (country or "").upper() not in facts["countries"].split():
            refused["country"].add(product)
    return refused


def is_withdrawn(records: list[tuple[str, dict[str, Any]]], customer: str) -> bool:
    return customer == "eve" or any(
        table == "consents" and row["customer_id"] == customer and row["state"] in ("objected", "erased")
        for table, row in records
    )


def find_refused(
    records: list[tuple[str, dict[str, Any]]], asked: Asked, customer: str | None
) -> tuple[dict[str, set[str]], set[str]]:
    """Filter -> products that it keeps from this asker; and those that it may keep from them, too."""
    if customer is not None and is_withdrawn(records, customer):
        customer = None
    own = None if customer is None else COUNTRY.get(customer)
    refused = find_unsellable(records, asked.country or own)
    ids = {("customer_id", customer), ("visitor_id", asked.visitor), ("session_id", asked.session)}
    mine = [
        (row["event_type"], row["product_id"], datetime.fromisoformat(row["occurred_at"]).timestamp())
        for table, row in records
        if table in ("campaign_events", "browsing_events")
        and any(
            (name, row[name]) in ids for name in ("customer_id", "visitor_id", "session_id") if name in row
        )
    ]

    def list_what(*kinds: str, since: float) -> list[tuple[str, float]]:
        return [(product, at) for kind, product, at in mine if kind in kinds and at >= since]

    bought, now = list_what("purchased", since=0), NOW.timestamp()
    carted = list_what("added_to_cart", "add_to_cart", since=now - 28 * 86_400)
    in_cart = {product for product, at in carted if not any(p == product and t >= at for p, t in bought)}
    in_cart |= {product for kind, product in asked.happened if kind == "add_to_cart"}
    cart = in_cart if asked.cart is None else set(asked.cart)
    days = DISMISSED_DAYS[asked.placement]
    refused |= {
        "bought": list_families(product for product, at in bought if at >= BEGINS),
        "cart": list_families(cart) | list_titles(cart),
        "dismissed": list_families(p for p, _ in list_what("dismissed", since=now - days * 86_400)) if days else set(),
        "context": list_families(asked.context) | list_titles(asked.context),
        "exclude": list_families(asked.exclude),
        "happened": list_families(p for kind, p in asked.happened if kind in ("dismissed", "purchased")),
        "category": {
            product
            for product in IDS
            if asked.category and fold(SHOP[product]["category"]) not in map(fold, asked.category)
        },
        "rules": {product for product in IDS if SHOP[product]["never_offer"] or not SHOP[product]["name"]},
    }  # fmt: skip
    once = {product for product, _ in carted}
    return refused, list_families(once) | list_titles(once)


def check_answer(
    records: list[tuple[str, dict[str, Any]]],
    asked: Asked,
    answer: dict[str, Any],
    customer: str | None,
    path: str,
) -> list[str]:
    """No filter is broken; the products."""
    items = answer["items"]
    ids = [item["product_id"] for item in items]
    refused, perhaps = find_refused(records, asked, customer)
    for name, products in refused.items():
        assert not products & set(ids), f"{path}: {name}"
    # What is sensitive stands in their own list alone.
    own = customer in WITH_LIST and not is_withdrawn(records, customer) and answer["arm"] != "holdout"
    quiet = {product for product in IDS if SHOP[product]["never_discover"]}
    listed = path == "buy-again" or (path == "recommendations" and PLACEMENTS[asked.placement].blend.personal)
    if not (own and listed):
        assert not quiet & set(ids), f"{path}: sensitive"
    assert len(ids) <= asked.n, path
    assert len(ids) == len({family(product) for product in ids}), f"{path}: variants"
    assert len(ids) == len({fold(SHOP[product]["name"]) for product in ids}), f"{path}: titles"
    assert [item["rank"] for item in items] == list(range(1, len(ids) + 1)), path
    free = set(IDS).difference(*refused.values(), perhaps, quiet)
    if path != "buy-again" and free:
        assert ids, f"{path}: empty, and {sorted(free)} may be sold"
    return ids


# -- asking -------------------------------------------------------------------------------------


class Served:
    """The server over the shop, whose version goes back to what was published for every state: to open one anew takes as
    long as all answers together."""

    def __init__(self, home: Path) -> None:
        write_version(home, "v", list(SHOP.values()), CUSTOMERS, NEIGHBOURS, {"vip": IDS[::-1]})
        self.service = open_service(home, PLACEMENTS, lambda: lambda _: False, 8, clock=lambda: NOW)
        self.caller = Caller(create_app(self.service, Limits({}, rate=1e9)))
        self._version = self.service.require().version
        self._passed = {name: bytes(screen.passed) for name, screen in self._version.shelf.screens.items()}

    def be_in(self, records: list[tuple[str, dict[str, Any]]], reported: int) -> None:
        """Be in a state: of so many records it knew before it opened the version."""
        for name, screen in self._version.shelf.screens.items():
            screen.passed[:] = self._passed[name]
        self._version.shelf.changed.clear()
        state = State()
        for table, row in records[:reported]:
            state.apply(table, row)
        self.service.switch(Now(self._version, state))
        self.service.accept(records[reported:])

    def close(self) -> None:
        self.caller.close()
        self.service.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.close()


def write_query(**values: Any) -> str:
    """What is said, lists with commas; an empty list is sent where it says something: for a cart."""
    said = {
        name: value
        for name, value in values.items()
        if value not in (None, ()) or (name, value) == ("cart", ())
    }
    return urlencode(
        {name: ",".join(value) if isinstance(value, tuple) else value for name, value in said.items()}
    )


def ask_everything(caller: Caller, asked: Asked) -> Iterator[tuple[str, Asked, str | None, dict[str, Any]]]:
    """Every list: path, what was asked there, of whom, the answer."""
    who = {"visitor_id": asked.visitor, "session_id": asked.session}
    common = {
        "n": asked.n, "placement": asked.placement, "category": asked.category, "exclude": asked.exclude,
        "country": asked.country,
    }  # fmt: skip
    here = replace(asked, happened=())
    base = f"/v1/customers/{asked.customer}"

    def get(path: str, **more: Any) -> dict[str, Any]:
        return caller.ask("GET", f"{path}?{write_query(**common, **who, **more)}")

    answer = get(f"{base}/recommendations", cart=asked.cart, context=asked.context)
    yield "recommendations", here, asked.customer, answer
    answer = get(f"{base}/buy-again", cart=asked.cart)
    yield "buy-again", replace(here, context=()), asked.customer, answer
    about = asked.context or ("p0",)
    answer = get("/v1/products/bought-together", ids=about, customer_id=asked.customer)
    yield "bought-together", replace(here, context=about, cart=None), asked.customer, answer
    answer = get(f"/v1/products/{about[0]}/similar", customer_id=asked.customer)
    yield "similar", replace(here, context=about[:1], cart=None), asked.customer, answer
    body = {**common, **who, "context": asked.context, "cart": asked.cart}
    body["events"] = [{"type": kind, "product_id": product} for kind, product in asked.happened]
    yield "sessions", asked, None, caller.ask("POST", "/v1/sessions/recommendations", body)


@settings(max_examples=STATES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(records=RECORDS, reported=st.integers(0, 16), asked=ASKED)
def test_no_answer_breaks_a_filter(served, records, reported, asked) -> None:
    served.be_in(records, reported)
    for path, question, customer, answer in ask_everything(served.caller, asked):
        check_answer(records, question, answer, customer, path)
    if is_withdrawn(records, asked.customer) and asked.placement != "tested":
        # Answered like a stranger.
        alike = [
            [
                [item["product_id"] for item in answer["items"]]
                for *_, answer in ask_everything(served.caller, question)
            ]
            for question in (asked, replace(asked, customer="nobody"))
        ]
        assert alike[0] == alike[1]
    unsellable = find_unsellable(records, asked.country)
    for product in (asked.exclude or ("p2",))[:1]:
        found = served.caller.ask("GET", f"/v1/products/{product}?{write_query(country=asked.country)}")
        kept = set().union(*(unsellable[name] for name in ("stock", "window", "country")))
        assert found["available"] == (product not in kept)
