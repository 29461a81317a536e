"""The version that is answered from, and the way in for what the shop reports. No web here.

A version and the state beside it are exchanged together, so a request that took both never sees a mixture. A version is
exchanged when the link `current` names another one: after a publish, a rollback, and a `forget`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from recs_assets.serving import publish
from recs_assets.serving.event_log import EventLog, Record, read_records
from recs_assets.serving.placement import Placement
from recs_assets.serving.state import PEOPLE, State, replay
from recs_assets.serving.store import FILE, FileStore, ServingError, ServingStore
from recs_assets.serving.version import Version


@dataclass(frozen=True, slots=True)
class Now:
    """What one request answers from."""

    version: Version
    state: State


class Versions(Protocol):
    """Where published versions are."""

    def find_current(self) -> str | None:
        """The name of the current version; None where nothing is published."""
        ...

    def open(self, name: str) -> ServingStore: ...


class FileVersions:
    """Versions as files; another place is `serving.servers`."""

    def __init__(self, home: Path) -> None:
        self.folder = home / publish.FOLDER

    def find_current(self) -> str | None:
        """The name of the current version; None where nothing is published."""
        try:
            return (self.folder / "current").readlink().name
        except OSError:
            return None

    def open(self, name: str) -> ServingStore:
        return FileStore(self.folder / "versions" / name / FILE)


class Service:
    """Everything that the endpoints share.

    Args:
        home: of the deployment.
        versions: where they are.
        placements: by name.
        is_erased: makes the test of who was erased; made anew with every version.
        lookback: of the log, so much is read when the server starts.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        home: Path,
        versions: Versions,
        placements: Mapping[str, Placement],
        is_erased: Callable[[], Callable[[str], bool]],
        lookback: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.placements, self.clock = placements, clock
        self._versions, self._make_test, self._lookback = versions, is_erased, lookback
        self._is_erased = is_erased()
        self.log = EventLog(home, clock)
        self.now: Now | None = None
        self._next: State | None = None
        self.switches = 0

    # -- versions ---------------------------------------------------------------------------

    @property
    def is_behind(self) -> bool:
        """Whether another version is current than the one that is answered from."""
        current = self._versions.find_current()
        return current is not None and (self.now is None or current != self.now.version.name)

    def prepare(self) -> Now | None:
        """Open the current version and read the log, aside from requests; `switch` makes it the one in use.

        None where nothing is published.

        Raises:
            ServingError: the version cannot be read.
        """
        name = self._versions.find_current()
        if name is None:
            return None
        store = self._versions.open(name)
        # From here on, what is reported goes to both states.
        self._next = state = State(_make_find_person(store), lambda: self.clock().timestamp())
        replay(state, read_records(self.log.folder, self.clock() - self._lookback, {}))
        self._is_erased = self._make_test()
        return Now(Version(name, store, self.placements, state), state)

    def switch(self, prepared: Now) -> None:
        """Answer from this version from now on. In the thread that calls `accept`."""
        version = prepared.version
        prepared.state.catch_up()
        version.update(prepared.state.list_changes(version.store.about["counted_at"]))
        self.now, self._next = prepared, None
        self.switches += 1

    def require(self) -> Now:
        """What to answer from, with everything whose time has come. In the thread that calls `accept`.

        Raises:
            ServingError: nothing is published yet.
        """
        if self.now is None:
            raise ServingError("Nothing is published yet: run a week, then ask again.")
        if changed := self.now.state.catch_up():
            self._update(changed)
        return self.now

    # -- what the shop reports ---------------------------------------------------------------

    def may_log(self, customer_id: str | None) -> bool:
        """Not erased, and no objection: of nobody else anything is written down."""
        if customer_id is None:
            return True
        if self.is_erased(customer_id):
            return False
        if self.now is None:
            return True
        known = self.now.version.store.read_customer(customer_id)
        return not self.now.state.is_withdrawn(customer_id) and not (known is not None and known.withdrawn)

    def is_erased(self, customer_id: str) -> bool:
        """Forgotten before: what is reported of them is not even written down."""
        return self._is_erased(customer_id)

    def is_new(self, event_id: str) -> bool:
        """Whether an event was not reported before; from now on it was."""
        new = [state.is_new(event_id) for state in self._states]
        return all(new)

    def report(self, records: Sequence[Record]) -> Future[None]:
        """Have records written; when the future is done, `accept` them."""
        return self.log.append(records)

    def refuse(self, event_ids: Iterable[str]) -> None:
        """Events were not written: who sends them again is to be heard."""
        for event_id in event_ids:
            for state in self._states:
                state.forget_event(event_id)

    def accept(self, records: Sequence[Record]) -> None:
        """Take in records that the disk has."""
        changed: set[str] = set()
        for table, row in records:
            for state in self._states:
                state.apply(table, row)
            if table in ("inventory", "prices"):
                changed.add(row["product_id"])
        self._update(changed)

    def _update(self, products: Collection[str]) -> None:
        if products and self.now is not None:
            version = self.now.version
            version.update(self.now.state.list_changes(version.store.about["counted_at"], products))

    @property
    def _states(self) -> list[State]:
        states = [] if self.now is None else [self.now.state]
        return states if self._next is None else [*states, self._next]

    def close(self) -> None:
        self.log.close()


def _make_find_person(store: ServingStore) -> Callable[[str], str]:
    @lru_cache(maxsize=PEOPLE)
    def find_person(customer_id: str) -> str:
        known = store.read_customer(customer_id)
        return customer_id if known is None else known.person

    return find_person


def open_service(
    home: Path,
    placements: Mapping[str, Placement],
    is_erased: Callable[[], Callable[[str], bool]],
    lookback_weeks: int,
    versions: Versions | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Service:
    """A service that answers from what is published, if anything is."""
    days = max([7 * lookback_weeks, *(placement.dismissed_days for placement in placements.values())])
    service = Service(
        home, versions or FileVersions(home), placements, is_erased, timedelta(days=days), clock
    )
    if (prepared := service.prepare()) is not None:
        service.switch(prepared)
    return service
