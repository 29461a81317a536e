"""What has changed since a version was built: stock, prices, consent, and what people bought, put into the cart,
dismissed and looked at.

In memory, made anew from the event log when a server starts. Bounded: of people the newest `PEOPLE`, of each the newest
`PRODUCTS` products per kind and as many answers. Times are seconds since 1970; a request says from when on they count, so
that one state serves every version. What is dated later than now waits for its time, as a week knows nothing of it before;
a withdrawal alone counts at once, whatever its date.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PEOPLE = 200_000
PRODUCTS = ANSWERS = 200
# Records that wait for their time; of more, those of the nearest times.
WAITING = 100_000
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


# Which column says when; of events it is occurred_at.
TIMES = {"inventory": "counted_at", "prices": "changed_at", "preferences": "answered_at"}


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


@dataclass(slots=True)
class Answers:
    """What somebody answered: question and facet -> when last, and the value of each answer of that moment, the newest last."""

    said: dict[tuple[str, str], tuple[float, dict[str, None]]] = field(default_factory=dict)
    size: int = 0

    def add(self, question: str, facet: str, answer: str, at: float) -> None:
        # As a week does (known/sql/preferences.sql): what asks for categories and for brands is two, also under one number.
        asked = question, facet
        newest, values = self.said.get(asked, (at, {}))
        if at < newest:
            return
        if at > newest:
            self.size -= len(values)
            values = {}
        self.size += answer not in values
        values[answer] = None
        self.said[asked] = at, values
        if self.size > ANSWERS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        asked = min(self.said, key=lambda question: self.said[question][0])
        at, values = self.said.pop(asked)
        self.size -= 1
        if rest := dict.fromkeys(list(values)[1:]):
            self.said[asked] = at, rest

    def list_values(self, facet: str) -> list[str]:
        """Of one facet, each once."""
        asked = (values for (_, name), (_, values) in self.said.items() if name == facet)
        return list(dict.fromkeys(value for values in asked for value in values))


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
        clock: seconds since 1970.
    """

    def __init__(
        self, find_person: Callable[[str], str] = str, clock: Callable[[], float] = time.time
    ) -> None:
        self._find_person, self._clock = find_person, clock
        self._people: dict[tuple[str, str], Person] = {}
        self._seen: dict[bytes, None] = {}
        self.stock: dict[str, tuple[float, float]] = {}
        self.price: dict[str, tuple[float, float]] = {}
        self.withdrawn: dict[str, str] = {}
        self._answers: dict[str, Answers] = {}
        # A heap by time, of equal times in the order of their reports.
        self._waiting: list[tuple[float, int, str, Mapping[str, Any]]] = []
        self._reports = 0
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
        """Take in one record of the event log, now or at its time; the same record twice changes nothing."""
        if table == "consents":
            if row["state"] in ("objected", "erased"):
                person = self._find_person(row["customer_id"])
                self.withdrawn[person] = row["state"]
                self._people.pop(("customer", person), None)
                self._answers.pop(person, None)
            return
        at = parse_time(row[TIMES.get(table, "occurred_at")])
        if at > self._clock():
            with self._lock:
                self._wait(at, table, row)
        else:
            self._take_in(table, row, at)

    def _wait(self, at: float, table: str, row: Mapping[str, Any]) -> None:
        self._reports += 1
        heapq.heappush(self._waiting, (at, self._reports, table, row))
        if len(self._waiting) > WAITING:
            # Sorted, which is a heap; a tenth at once, so that it is seldom.
            self._waiting = heapq.nsmallest(WAITING - WAITING // 10, self._waiting)

    def catch_up(self) -> set[str]:
        """Take in what waited and whose time has come; the products whose stock or price changed by it."""
        changed: set[str] = set()
        now = self._clock() if self._waiting else 0.0
        while True:
            with self._lock:
                if not self._waiting or self._waiting[0][0] > now:
                    return changed
                at, _, table, row = heapq.heappop(self._waiting)
            self._take_in(table, row, at)
            if table in ("inventory", "prices"):
                changed.add(row["product_id"])

    def _take_in(self, table: str, row: Mapping[str, Any], at: float) -> None:
        if table == "inventory":
            self._set_newest(self.stock, row["product_id"], at, float(row["stock"]))
        elif table == "prices":
            self._set_newest(self.price, row["product_id"], at, float(row["price"]))
        elif table == "preferences":
            self._add_answer(row, at)
        else:
            self._add_event(row, at)

    @staticmethod
    def _set_newest(values: dict[str, tuple[float, float]], key: str, at: float, value: float) -> None:
        if key not in values or values[key][0] <= at:
            values[key] = at, value

    def _add_answer(self, row: Mapping[str, Any], at: float) -> None:
        person = self._find_person(row["customer_id"])
        with self._lock:
            if person in self.withdrawn:
                return
            answers = self._answers[person] = self._answers.pop(person, None) or Answers()  # the newest last
            answers.add(row["question"], row["facet"], row["answer"], at)
            if len(self._answers) > PEOPLE:
                del self._answers[next(iter(self._answers))]

    def _add_event(self, row: Mapping[str, Any], at: float) -> None:
        kind, product_id = KINDS.get(row["event_type"]), row.get("product_id")
        if kind is None or not product_id:
            return
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
        person = self._find_person(customer_id)
        with self._lock:
            answers = self._answers.get(person)
            return [] if answers is None else answers.list_values(facet)

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
