"""One list at a time, for a request: the steps of `pipeline` for a page, in plain Python.

The arrays of `slots` pay from some dozens of customers on; for one they cost a millisecond, a request's whole budget. What
product rules refuse and how limits group products comes from the same functions (`items`), worked out once for all
products. A property test holds the lists equal to those of `pipeline.select`.

Limits that cross (a category's and a brand's) are met by taking the best product each time, where `best_set` looks for the
best set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Row:
    """One product that may stand in the list.

    Attributes:
        product: its code.
        worth: what the list is ordered by.
        chance: probability of a purchase; None: unknown.
        about: what the answer says of it.
        slot_type: as `slots.SLOT_TYPES`.
        level: as `slots.LEVELS`.
    """

    product: int
    worth: float
    chance: float | None
    about: Any
    slot_type: str = "personal"
    level: str = "personal"


class OneList:
    """A list that is being filled.

    Args:
        k: slots.
        limits: groups by product code (-1: not limited) and most, of every limit.
    """

    def __init__(self, k: int, limits: Sequence[tuple[Sequence[int], int]]) -> None:
        self.k = k
        self.rows: list[Row] = []
        self.pinned: dict[int, Row] = {}
        self._products: set[int] = set()
        self._held: list[tuple[Sequence[int], int, dict[int, int]]] = [
            (group, most, {}) for group, most in limits
        ]

    @property
    def open(self) -> int:
        """Slots that are still empty."""
        return self.k - len(self._products)

    def fits(self, product: int) -> bool:
        """Not in the list, and no limit is full of its group."""
        if product in self._products:
            return False
        for group, most, held in self._held:
            own = group[product]
            if own >= 0 and held.get(own, 0) >= most:
                return False
        return True

    def _count(self, product: int, step: int) -> None:
        for group, _, held in self._held:
            if (own := group[product]) >= 0:
                held[own] = held.get(own, 0) + step

    def _hold(self, product: int) -> None:
        self._products.add(product)
        self._count(product, 1)

    def _release(self, product: int) -> None:
        self._products.discard(product)
        self._count(product, -1)

    def pin(self, row: Row, slot: int) -> None:
        """Give a slot to a promoted product, where the limits allow."""
        if self.fits(row.product):
            self._hold(row.product)
            row.slot_type = "pinned"
            self.pinned[slot] = row

    def take(self, rows: Iterable[Row]) -> None:
        """Take the rows that fit, in their order, while there is room."""
        for row in rows:
            if not self.open:
                return
            if self.fits(row.product):
                self._hold(row.product)
                self.rows.append(row)

    def fill(self, products: Iterable[int], make: Callable[[int], Row]) -> None:
        """The same of products without worth, each made a row when it fits."""
        for product in products:
            if not self.open:
                return
            if self.fits(product):
                self._hold(product)
                self.rows.append(make(product))

    def discover(
        self, rows: Sequence[Row], shelf: Sequence[int], bought: Mapping[int, Any], quota: int, floor: float
    ) -> None:
        """Until the list holds products of `quota` new shelves, exchange one of its products for one of another new
        shelf, where the two differ least in worth (`best_set.discover`).

        Args:
            rows: candidates, best first.
            shelf: by product, -1 none.
            bought: shelves that the customer bought from; to who bought from none, nothing is new.
            quota: slots.
            floor: a product must have at least this share of the chance of the one whose place it takes.
        """
        if not bought:
            return
        # A promoted product of a new shelf is one; what no list proposes counts for none.
        promoted = [row for row in self.pinned.values() if row.level != "global"]
        new = [row for row in rows if shelf[row.product] >= 0 and shelf[row.product] not in bought]
        known = any(row.chance is not None for row in (*rows, *self.rows))
        while True:
            mine = {
                shelf[row.product]
                for row in (*self.rows, *promoted)
                if shelf[row.product] >= 0 and shelf[row.product] not in bought
            }
            if len(mine) >= quota:
                return

            def stays(old: Row, mine: set[int] = mine) -> bool:
                return shelf[old.product] in mine

            def comes(row: Row, old: Row, mine: set[int] = mine) -> bool:
                probable = not known or (row.chance or 0.0) >= floor * (old.chance or 0.0)
                return shelf[row.product] not in mine and probable

            if not self._exchange(new, stays, comes, "discovery"):
                return

    def raise_floor(
        self, rows: Sequence[Row], inside: Sequence[int], counted: Sequence[int], need: int
    ) -> None:
        """Until `need` products of the list are of a floor of exposure, exchange a personal one for one of the floor, where the
        two differ least in worth (`exposure.raise_floors`).

        Args:
            rows: candidates of the floor, best first.
            inside: by product, 1 where it is of the floor.
            counted: by product, 1 where it is of this floor or another: none gives up what another counts.
            need: places.
        """
        have = sum(inside[row.product] for row in (*self.rows, *self.pinned.values()))

        def stays(old: Row) -> bool:
            return old.slot_type != "personal" or counted[old.product] == 1

        while have < need and self._exchange(rows, stays, lambda row, old: True, "personal"):
            have += 1

    def _exchange(
        self,
        rows: Sequence[Row],
        stays: Callable[[Row], bool],
        comes: Callable[[Row, Row], bool],
        slot_type: str,
    ) -> bool:
        """Give the place of a row that need not stay to one that may come in its stead, where the list loses the least worth;
        whether there was one.

        Args:
            rows: what may come, best first.
            stays: of a row of the list.
            comes: of a row, in place of one of the list.
            slot_type: of the place then.
        """
        best: tuple[float, int, Row] | None = None
        for place, old in enumerate(self.rows):
            if stays(old):
                continue
            self._release(old.product)
            row = next((row for row in rows if comes(row, old) and self.fits(row.product)), None)
            self._hold(old.product)
            # The others of this place are worth less.
            if row is not None and (best is None or row.worth - old.worth > best[0]):
                best = row.worth - old.worth, place, row
        if best is None:
            return False
        _, place, row = best
        self._release(self.rows[place].product)
        self._hold(row.product)
        row.slot_type = slot_type
        self.rows[place] = row
        return True

    def order(self) -> list[Row]:
        """The rows by slot: personal ones by worth, discovery by worth, fill as it came; pinned ones at their slots."""
        kinds = ("personal", "discovery", "fill")
        by_kind: dict[str, list[Row]] = {kind: [] for kind in kinds}
        for row in self.rows:
            by_kind[row.slot_type].append(row)
        for kind in kinds[:2]:
            by_kind[kind].sort(key=lambda row: -row.worth)  # of equals, who was taken first
        rest = [row for kind in kinds for row in by_kind[kind]]
        for slot in sorted(self.pinned):
            rest.insert(min(slot - 1, len(rest)), self.pinned[slot])
        return rest
