"""What has changed since a version was built: stock, prices, consent, and what people bought, put into the cart,
dismissed and looked at.

In memory, made anew from the event log when a server starts. Bounded: of people the newest `PEOPLE`, of each the newest
`PRODUCTS` products per kind. Times are seconds since 1970; a request says from when on they count, so that one state
serves every version.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PEOPLE = 200_000
PRODUCTS = 200
EVENT_IDS = 1_000_000
# As long as a cart counts in the weekly run.
CART_SECONDS = 28 * 86_400
SESSION_SECONDS = 30 * 60
SESSION_PRODUCTS = 5
DAY = 86_400.0
BOUGHT, DISMISSED, CART, SEEN = "bought", "dismissed", "cart", "seen"
# Event type -> what it says of the product.
KINDS = {
    "purchased": BOUGHT, "dismissed": DISMISSED, "added_to_cart": CART, "clicked": SEEN,
    "view": SEEN, "add_to_cart": CART, "add_to_wishlist": SEEN,
}  # fmt: skip


@dataclass(slots=True)
class Person:
    """What somebody did: kind -> product id -> when last, the newest last."""

    did: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, kind: str, product_id: str, at: float) -> None:
        products = self.did.setdefault(kind, {})
        at = max(at, products.pop(product_id, at))
        products[product_id] = at
        if len(products) > PRODUCTS:
            del products[min(products, key=products.__getitem__)]


class People:
    """A customer, their browser and their visit, as one."""

    def __init__(self, people: list[Person], lock: threading.Lock) -> None:
        self._people, self._lock = people, lock

    def find(self, kind: str, since: float) -> dict[str, float]:
        """Product id -> when last, of what they did after `since`."""
        found: dict[str, float] = {}
        for person in self._people:
            if kind in person.did:
                with self._lock:
                    for product, at in person.did[kind].items():
                        if at >= since and at > found.get(product, since - 1):
                            found[product] = at
        return found


class State:
    """Safe for one writer and readers in other threads.

    Args:
        find_person: the id that all ids of a person stand for.
    """

    def __init__(self, find_person: Callable[[str], str] = str) -> None:
        self._find_person = find_person
        self._people: dict[tuple[str, str], Person] = {}
        self._seen: dict[bytes, None] = {}
        self.stock: dict[str, tuple[float, float]] = {}
        self.price: dict[str, tuple[float, float]] = {}
        self.withdrawn: dict[str, str] = {}
        # Customer -> question -> when it was answered last, and facet and value of these answers.
        self._answers: dict[str, dict[str, tuple[float, set[tuple[str, str]]]]] = {}
        self._lock = threading.Lock()

    # -- events -----------------------------------------------------------------------------

    def is_new(self, event_id: str) -> bool:
        """Whether an event is not known yet; from now on it is."""
        digest = hashlib.blake2b(event_id.encode(), digest_size=16).digest()
        with self._lock:
            if digest in self._seen:
                return False
            self._seen[digest] = None
            if len(self._seen) > EVENT_IDS:
                del self._seen[next(iter(self._seen))]
            return True

    def forget_event(self, event_id: str) -> None:
        """An event was not written after all."""
        with self._lock:
            self._seen.pop(hashlib.blake2b(event_id.encode(), digest_size=16).digest(), None)

    def apply(self, table: str, row: Mapping[str, Any]) -> None:
        """Take in one record of the event log; the same record twice changes nothing."""
        if table == "inventory":
            self._set_newest(
                self.stock, row["product_id"], parse_time(row["counted_at"]), float(row["stock"])
            )
        elif table == "prices":
            self._set_newest(
                self.price, row["product_id"], parse_time(row["changed_at"]), float(row["price"])
            )
        elif table == "consents":
            if row["state"] in ("objected", "erased"):
                person = self._find_person(row["customer_id"])
                self.withdrawn[person] = row["state"]
                self._people.pop(("customer", person), None)
                self._answers.pop(person, None)
        elif table == "preferences":
            self._add_answer(row)
        else:
            self._add_event(row)

    @staticmethod
    def _set_newest(values: dict[str, tuple[float, float]], key: str, at: float, value: float) -> None:
        if key not in values or values[key][0] <= at:
            values[key] = at, value

    def _add_answer(self, row: Mapping[str, Any]) -> None:
        person, at = self._find_person(row["customer_id"]), parse_time(row["answered_at"])
        with self._lock:
            if person in self.withdrawn:
                return
            questions = self._answers[person] = self._answers.pop(person, {})  # the newest last
            newest, values = questions.get(row["question"], (at, set()))
            if at >= newest:
                answer = {(row["facet"], row["answer"])}
                questions[row["question"]] = at, answer | values if at == newest else answer
            if len(self._answers) > PEOPLE:
                del self._answers[next(iter(self._answers))]

    def _add_event(self, row: Mapping[str, Any]) -> None:
        kind, product_id = KINDS.get(row["event_type"]), row.get("product_id")
        if kind is None or not product_id:
            return
        at = parse_time(row["occurred_at"])
        with self._lock:
            for key in self._list_keys(row.get("customer_id"), row.get("visitor_id"), row.get("session_id")):
                if key[0] == "customer" and key[1] in self.withdrawn:
                    continue
                person = self._people.pop(key, None) or Person()
                self._people[key] = person  # the newest last
                person.add(kind, product_id, at)
                if kind == BOUGHT:
                    cart = person.did.get(CART, {})
                    if cart.get(product_id, at + 1) <= at:
                        del cart[product_id]
            while len(self._people) > PEOPLE:
                del self._people[next(iter(self._people))]

    # -- what a request asks ----------------------------------------------------------------

    def find_people(self, customer_id: str | None, visitor_id: str | None, session_id: str | None) -> People:
        """What is known of a customer, of their browser and of this visit."""
        keys = self._list_keys(customer_id, visitor_id, session_id)
        return People([self._people[key] for key in keys if key in self._people], self._lock)

    def find_answers(self, customer_id: str, facet: str) -> list[str]:
        """Categories or brands that a customer answered they like, as far as the log goes back; the newest answers to each question."""
        with self._lock:
            questions = list(self._answers.get(self._find_person(customer_id), {}).values())
        return sorted({value for _, values in questions for name, value in values if name == facet})

    def is_withdrawn(self, customer_id: str) -> bool:
        """Erased, or objected: answered like a stranger, and never logged."""
        return self._find_person(customer_id) in self.withdrawn

    def list_changes(
        self, since: float, products: Iterable[str] | None = None
    ) -> dict[str, dict[str, float]]:
        """Product id -> stock and price, as far as they changed after `since`; of some products, or of all."""
        changes: dict[str, dict[str, float]] = {}
        for name, values in (("stock", self.stock), ("price", self.price)):
            for product in list(values) if products is None else products:
                at, value = values.get(product, (since, 0.0))
                if at > since:
                    changes.setdefault(product, {})[name] = value
        return changes

    def _list_keys(
        self, customer_id: str | None, visitor_id: str | None, session_id: str | None
    ) -> Iterator[tuple[str, str]]:
        if customer_id:
            yield "customer", self._find_person(customer_id)
        if visitor_id:
            yield "visitor", visitor_id
        if session_id:
            yield "session", session_id

    @property
    def people(self) -> int:
        """How many it knows something of."""
        return len(self._people)


def replay(state: State, records: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Take in records of the log, and remember their ids; how many."""
    count = 0
    for table, row in records:
        if event_id := row.get("event_id"):
            state.is_new(event_id)
        state.apply(table, row)
        count += 1
    return count


def parse_time(text: str) -> float:
    """ISO 8601 with a zone, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def write_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC.

    >>> write_time(0.5)
    '1970-01-01T00:00:00.500000+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
