"""A house with a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpers.warehouse import FIRST, build, emails, publish
from recs_assets.store.warehouse import Warehouse


@pytest.fixture
def published_house(house: Warehouse) -> Iterator[Warehouse]:
    """A house with a snapshot, which must still be there, byte for byte, at the end."""
    build(house, FIRST)
    publish(house, FIRST)
    before, link = house.snapshot_path.read_bytes(), house.snapshot_path.readlink()
    yield house
    assert house.snapshot_path.readlink() == link
    assert house.snapshot_path.read_bytes() == before
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (FIRST, "c1", 2, "p2"), (FIRST, "c2", 1, "p2")]
