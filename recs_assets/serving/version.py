"""One published version, opened for answering; a request holds one from its beginning to its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from math import floor
from typing import Any

import orjson

from recs_assets.serving.placement import Placement
from recs_assets.serving.shelf import Shelf
from recs_assets.serving.state import State
from recs_assets.serving.store import ServingStore

# Code of a neighbour -> score within 0..1, reason, recommendation id; best first.
Near = dict[int, tuple[float, str | None, str | None]]
# Products whose card and neighbours stay decoded.
KEPT = 20_000


class Version:
    """A store, the rules of every placement over its products, and what of it is asked for again and again.

    Args:
        name: of the version.
        store: of it.
        placements: by name.
        state: whose stock and prices newer than the version's are put in.
    """

    def __init__(
        self, name: str, store: ServingStore, placements: Mapping[str, Placement], state: State
    ) -> None:
        self.name, self.store, self.placements = name, store, placements
        self.as_of = date.fromisoformat(store.about["as_of"])
        self.model_version: str = store.about["model_version"]
        self.begins_at: float = store.about["begins_at"]
        self.shelf = Shelf(store, placements)
        self._cards: dict[int, bytes] = {}
        self._neighbours: dict[int, tuple[Near, Near]] = {}
        self._segments: dict[str, list[int]] = {}
        self.update(state.list_changes(store.about["counted_at"]))

    def find_day(self, now: float) -> date:
        """The shop's day at a moment (seconds since 1970); an hour off where clocks were changed since the week began."""
        return self.as_of + timedelta(days=floor((now - self.begins_at) / 86_400))

    def update(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Take in what products have in stock and cost now."""
        self.shelf.update(changes)
        for product in changes:
            self._cards.pop(self.shelf.codes.get(product, -1), None)

    def read_card(self, code: int) -> bytes:
        """A product's card, with its price as it is now."""
        card = self._cards.get(code)
        if card is None:
            card = self.store.read_card(code)
            price = self.shelf.changed.get(code, {}).get("price")
            if price is not None:
                card = orjson.dumps(
                    {**orjson.loads(card), "price": price, "price_kind": "now", "price_from": None}
                )
            _keep(self._cards, code, card)
        return card

    def read_neighbours(self, code: int) -> tuple[Near, Near]:
        """Similar, and bought together."""
        found = self._neighbours.get(code)
        if found is None:
            similar, together = self.store.read_neighbours(code)
            found = _decode(similar), _decode(together)
            _keep(self._neighbours, code, found)
        return found

    def read_segment(self, name: str) -> list[int]:
        """Codes of a segment's most popular products."""
        if name not in self._segments:
            self._segments[name] = orjson.loads(self.store.read_segment(name) or b"[]")
        return self._segments[name]


def _decode(text: bytes | None) -> Near:
    rows = [] if text is None else orjson.loads(text)
    return {code: (min(1.0, max(0.0, score)), words, identifier) for code, score, words, identifier in rows}


def _keep(cache: dict[int, Any], code: int, value: Any) -> None:
    """The oldest makes room."""
    cache[code] = value
    if len(cache) > KEPT:
        cache.pop(next(iter(cache)), None)
