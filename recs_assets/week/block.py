"""A block of customers as a week of its own: their rows, the models and facts of the whole shop."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from recs_assets.known.interactions import Known
from recs_assets.known.load import load_known
from recs_assets.recommenders.base import Recommender, View
from recs_assets.sql_text import quote_text
from recs_assets.store.block import Block, find_blocks
from recs_assets.week.week import Week


class BlockWeek(Week):
    """The customers of one block, as if the shop had no others.

    Its build file, which is there while the block is open, holds their rows and all products, at the week's own anchor. Nothing is fitted, tested or decided here: models and facts are those of the whole week. Its
    codes of customers count from 0, its codes of products are the week's.

    Args:
        whole: the week.
        block: which customers.
        models: the recommenders of the whole week that were loaded already, by name: blocks share them.
        folder: in which the block has a folder of its own while it is open; None: one of the week's.

    Attributes:
        first_code: the code in the whole week of the customer whose code is 0 here.
    """

    def __init__(
        self, whole: Week, block: Block, models: dict[str, Recommender], folder: Path | None = None
    ) -> None:
        super().__init__(whole.shop, whole.warehouse, whole.as_of)
        self.whole, self.block = whole, block
        folder = whole.build.folder / "blocks" if folder is None else folder
        self.build = whole.warehouse.block_build(whole.as_of, folder / str(block.number))
        self._whole_models = models
        self._models: dict[str, Recommender] = {}

    def __repr__(self) -> str:
        return f"{self.whole!r}, block {self.block.number}"

    @property
    def first_code(self) -> int:
        return self.block.first_code

    @property
    def is_block(self) -> bool:
        return True

    @property
    def model_week(self) -> Week:
        # What a week decided is in its build file, and so in the block's.
        return self if self.whole.model_week is self.whole else self.whole.model_week

    @property
    def anchors(self) -> list[date]:
        return [self.as_of]

    @property
    def test_anchors(self) -> list[date]:
        return []

    @cached_property
    def own_names(self) -> tuple[str, ...]:
        return self.whole.own_names

    # -- files ------------------------------------------------------------------------------

    @contextmanager
    def open(self) -> Generator[BlockWeek]:
        """The block with its files, which are cut from the week's and gone at the end.

        Raises:
            WarehouseError: the week has no build file.
        """
        self.remove()
        try:
            self.warehouse.cut_block(self.whole.build, self.block, self.build)
            yield self
        finally:
            self.remove()

    def remove(self) -> None:
        """Delete the block's own files."""
        self.build.forget_cached()
        shutil.rmtree(self.build.folder, ignore_errors=True)
        with suppress(OSError):  # others are there
            self.build.folder.parent.rmdir()

    @contextmanager
    def read_with_snapshot(self) -> Generator[Any]:
        published = self.build.folder / "published.duckdb"
        if not published.exists():
            self.warehouse.cut_published(self.whole.build, self.block, published)
        with self.build.read() as connection:
            connection.execute(f"attach {quote_text(str(published))} as published (read_only)")
            yield connection

    # -- what is known, and what was learned ------------------------------------------------

    def known(self, anchor: date | None = None) -> Known:
        anchor = anchor or self.as_of
        if anchor not in self.build.cache:
            with self.build.read() as connection:
                known = load_known(connection, anchor)
            self.build.cache[anchor] = replace(known, facts=self.whole.known().shop_facts)
        return self.build.cache[anchor]

    def model_path(self, name: str) -> Path:
        return self.whole.model_path(name)

    def model(self, name: str) -> Recommender:
        """What the whole week's recommender learned and counted, on what is known of the block's customers."""
        if name not in self._whole_models:
            self._whole_models[name] = self.whole.load_for_blocks(name)
        if name not in self._models:
            self._models[name] = self._whole_models[name].attach(self.known())
        return self._models[name]

    def lists(
        self, name: str, anchor: date, view: View, first: int = 0, last: int | None = None
    ) -> pd.DataFrame:
        """The whole week's lists, in the block's codes."""
        end = self.known().n_customers if last is None else last
        rows = self.whole.lists(name, anchor, view, self.first_code + first, self.first_code + end)
        return rows.assign(customer=rows["customer"] - self.first_code)


def split_week(week: Week, size: int) -> list[BlockWeek]:
    """A week in blocks of at most `size` customers, in the order of their codes."""
    with week.build.read() as connection:
        blocks = find_blocks(connection, week.as_of, size)
    models: dict[str, Recommender] = {}
    return [BlockWeek(week, block, models) for block in blocks]
