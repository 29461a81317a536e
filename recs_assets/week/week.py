"""One week of one shop: the date, and everything that is known, listed, learned and written at it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.declared_tables.features import list_feature_names, list_models
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.evaluation.facts import NO_VERDICTS, load_earlier_verdicts
from recs_assets.known.interactions import Known
from recs_assets.known.load import load_known, load_truth
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.features import BY_NAME, SEARCHED, select_features
from recs_assets.ranking.frames import load_frame
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import (
    append_lists,
    ids_path,
    load_model,
    read_ids,
    read_lists,
    read_parameters,
    write_fit_ids,
    write_ids,
)
from recs_assets.recommenders.base import VIEWS, Recommender, View
from recs_assets.recommenders.shape import Parameters
from recs_assets.shop import RANKER, Shop
from recs_assets.store.build import Build
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.blocks import blocks, map_in_order, merge_blocks

if TYPE_CHECKING:
    from recs_assets.settings import Settings

# The recommenders whose lists the ranker ranks.
SOURCES = tuple(name for name in REGISTRY if name not in RANKER.without_sources)
FEATURES = select_features(SOURCES, RANKER.without_features)
NAMES = tuple(feature.name for feature in FEATURES if feature.table != SEARCHED)
WITHOUT_OFFERS = tuple(name for name in NAMES if BY_NAME[name].family != "promotion")
OF_SEARCHES = tuple(feature.name for feature in FEATURES if feature.table == SEARCHED)


class Week:
    """One week of one shop.

    Args:
        shop: settings, source, the dates of the anchors.
        warehouse: the deployment's files.
        as_of: the Monday.

    Attributes:
        build: the week's build file.
    """

    def __init__(self, shop: Shop, warehouse: Warehouse, as_of: date) -> None:
        self.shop, self.warehouse, self.as_of = shop, warehouse, as_of
        self.build: Build = warehouse.build(as_of)
        self._models_at_hand: dict[str, Recommender] = {}

    def __repr__(self) -> str:
        return f"Week({self.as_of})"

    @property
    def model_week(self) -> Week:
        """The week whose models list: this one."""
        return self

    @property
    def first_code(self) -> int:
        """The code of the first customer among all of the week: a block's (`BlockWeek`) may be another than 0."""
        return 0

    def count_from_first(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with the codes of customers that the whole week has for them."""
        return rows.assign(customer=rows["customer"] + np.int32(self.first_code)) if self.is_block else rows

    @property
    def is_block(self) -> bool:
        """Whether only some of the customers are here."""
        return False

    @property
    def is_cut(self) -> bool:
        """Whether its customers are worked on in blocks, each of which is a week of its own."""
        return self.settings.block_customers is not None and not self.is_block

    # -- dates ------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return self.shop.settings

    @property
    def anchors(self) -> list[date]:
        """Every date at which features and recommenders are computed, latest first."""
        return self.shop.anchors(self.as_of)

    @property
    def test_anchors(self) -> list[date]:
        """Where models are tested, latest first."""
        return self.shop.test_anchors(self.as_of)

    def anchors_of(self, name: str) -> list[date]:
        """Where a recommender is fitted: what the ranker does not draw on is only evaluated and published."""
        if name in RANKER.without_sources:
            return [self.as_of, *self.test_anchors]
        return self.anchors

    def views_at(self, anchor: date) -> tuple[View, ...]:
        """The lists made at an anchor: "repeat" is evaluated only; the ranker draws on the others."""
        return VIEWS if anchor in self.test_anchors else VIEWS[:2]

    # -- features ---------------------------------------------------------------------------

    @property
    def all_names(self) -> tuple[str, ...]:
        """Names of every feature that a ranker of the shop may know."""
        return (*BY_NAME, *list_feature_names(self.shop.source.tables))

    @cached_property
    def own_names(self) -> tuple[str, ...]:
        """Features of the shop's own tables that hold a row at an earlier anchor: from the others nothing is learned, and
        a column without a value would only change which others the trees sample."""
        models = list_models(self.shop.source.tables)
        with self.build.read() as connection:
            there = {
                model
                for model in models
                if connection.execute(
                    f'select 1 from features."{model}" where as_of < $as_of limit 1', {"as_of": self.as_of}
                ).fetchone()
            }
        return tuple(
            name for name in list_feature_names(self.shop.source.tables) if name.partition(".")[0] in there
        )

    @property
    def own_values(self) -> list[list[str | int]]:
        """What features of the shop's own tables count by place: table, column, place, value. A ranker that learned from
        other values cannot be asked."""
        if not self.shop.source.tables:
            return []
        with self.build.read() as connection:
            rows = connection.execute(
                "select source_table, column_name, place, value from intermediate.int_declared_values order by all"
            ).fetchall()
        return [list(row) for row in rows]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features that the week's ranker learns from."""
        return (*NAMES, *self._search_names, *self.own_names)

    @property
    def names_without_offers(self) -> tuple[str, ...]:
        """`names` without the promotion calendar."""
        return (*WITHOUT_OFFERS, *self._search_names, *self.own_names)

    @property
    def _search_names(self) -> tuple[str, ...]:
        return OF_SEARCHES if self.settings.search_features else ()

    # -- what is known ----------------------------------------------------------------------

    def known(self, anchor: date | None = None) -> Known:
        """Everything known before an anchor; the week's own if None.

        Raises:
            WarehouseError: the week's features hold no such anchor.
        """
        anchor = anchor or self.as_of
        if anchor not in self.build.cache:
            with self.build.read() as connection:
                self.build.cache[anchor] = load_known(connection, anchor)
        return self.build.cache[anchor]

    def fit_known(self, anchor: date) -> Known:
        """What the recommenders are fitted on at an anchor: `known(anchor)`, or, with more customers to learn from than
        RECS_FIT_CUSTOMERS, a seeded sample of them, of which a smaller one is a part, that knows the facts of all."""
        known, most = self.known(anchor), self.settings.fit_customers
        there = np.flatnonzero(known.customers["learned_from"]) if most is not None else []
        if most is None or len(there) <= most:
            return known
        key = "fit", anchor
        if key not in self.build.cache:
            ids = known.customers["customer_id"].to_numpy()[there]
            sample = there[sample_customers(ids, most, self.settings.seed)]
            self.build.cache[key] = known.take_customers(sample)
        return self.build.cache[key]

    def truth(self, anchor: date) -> sparse.csr_matrix:
        """What was bought in the label window of an anchor (`load_truth`), in codes of `known(anchor)`."""
        known = self.known(anchor)
        with self.build.read() as connection:
            return load_truth(connection, known, self.shop.horizon_days)

    def find_customers_with_lists(self, anchor: date) -> np.ndarray:
        """int32 codes of the customers who get lists at an anchor: everybody at the week's own, and
        a seeded sample of at most so many (settings), of those whom models may learn from, where lists are
        only evaluated or learned from."""
        customers = self.known(anchor).customers
        if anchor == self.as_of:
            return np.arange(len(customers), dtype=np.int32)
        there = np.flatnonzero(customers["learned_from"])
        limits = [self.settings.evaluation_customers] if anchor in self.test_anchors else []
        if any(anchor in self.shop.train_anchors(test) for test in self.test_anchors):
            limits.append(RANKER.training_customers)
        ids = customers["customer_id"].to_numpy()[there]
        return there[sample_customers(ids, max(limits), self.settings.seed)].astype(np.int32)

    # -- tables -----------------------------------------------------------------------------

    def table(self, name: str) -> pd.DataFrame:
        """All rows of `model.<name>`; see `Build.table`."""
        return self.build.table(name)

    def replace_table(self, name: str, rows: pd.DataFrame, columns: Mapping[str, str]) -> int:
        """Replace `model.<name>`; see `Build.replace_table`."""
        return self.build.replace_table(name, rows, columns)

    @contextmanager
    def read_with_snapshot(self) -> Generator[Any]:
        """A short read-only connection to the build file, with the published snapshot attached as `published`."""
        with self.build.read() as connection:
            self.warehouse.attach_snapshot(connection)
            yield connection

    def load_earlier_verdicts(self) -> tuple[date | None, pd.DataFrame]:
        """The newest earlier published week that has verdicts, and its rows of `recs.gates`; None without one."""
        if not self.warehouse.snapshot_path.exists():
            return None, NO_VERDICTS
        with self.warehouse.snapshot() as connection:
            return load_earlier_verdicts(connection, self.as_of)

    # -- recommenders and their lists ---------------------------------------------------------

    def model_path(self, name: str) -> Path:
        """The folder of a model as fitted at the week's own anchor."""
        return self.build.folder / "models" / name

    def model(self, name: str) -> Recommender:
        """A recommender as fitted at the week's own anchor."""
        if self.is_sampled:
            return self.load_for_blocks(name).attach(self.known())
        if name in self._models_at_hand:
            return self._models_at_hand[name]
        return load_model(make_recommender(self.shop, name), self.model_path(name), self.known())

    def load_for_blocks(self, name: str) -> Recommender:
        """`model`, of which blocks take what is not the customers' own (`Recommender.attach`)."""
        if name in self._models_at_hand:
            return self._models_at_hand[name]
        known = (
            read_ids(self.build.folder / "ids", self.as_of, of_fit=True) if self.is_sampled else self.known()
        )
        return load_model(make_recommender(self.shop, name), self.model_path(name), known, attached=False)

    @property
    def is_sampled(self) -> bool:
        """Whether the models were fitted on a sample of the customers (`fit_known`)."""
        return self.ids_path("fit_customer", self.as_of).exists()

    @contextmanager
    def keep_at_hand(self, model: Recommender) -> Generator[None]:
        """Answer with a model that was written just now, instead of reading it again."""
        self._models_at_hand[model.name] = model
        try:
            yield
        finally:
            del self._models_at_hand[model.name]

    def models(self) -> dict[str, Recommender]:
        """Every recommender as fitted at the week's own anchor, by name."""
        return {name: self.model(name) for name in REGISTRY}

    def parameters(self, name: str) -> Parameters:
        """What a recommender was fitted with, for another fit like it."""
        return {name: read_parameters(self.model_path(name))}

    def lists_path(self, name: str, anchor: date, view: View) -> Path:
        """The file of a model's lists at an anchor."""
        return self.build.folder / "candidates" / f"{name}-{anchor.isoformat()}-{view}.parquet"

    def ids_path(self, kind: str, anchor: date) -> Path:
        """The file of the ids of "customer", "fit_customer" or "product" at an anchor (`write_ids`)."""
        return ids_path(self.build.folder / "ids", kind, anchor)

    def keep_ids(self, anchor: date) -> None:
        """Keep what the codes in the lists of an anchor, and in the models, stand for (`write_ids`)."""
        known, folder = self.known(anchor), self.build.folder / "ids"
        write_ids(known, folder)
        if anchor == self.as_of:
            sample = self.fit_known(anchor)
            write_fit_ids(None if sample is known else sample, folder, anchor)

    def lists(
        self, name: str, anchor: date, view: View, first: int = 0, last: int | None = None
    ) -> pd.DataFrame:
        """A model's lists at an anchor, of customer codes `[first, last)` or of all (`read_lists`)."""
        return read_lists(self.lists_path(name, anchor, view), self.known(anchor), first, last)

    def write_lists(
        self, name: str, anchor: date, parts: Iterable[Mapping[View, pd.DataFrame]]
    ) -> dict[View, int]:
        """Write a model's lists at an anchor (`artefacts.write_lists`), given in parts of ascending customers, one after the
        other; returns the rows of each view."""
        known, rows = self.known(anchor), {}
        with ExitStack() as stack:
            files: dict[View, Callable[[pd.DataFrame], None]] = {}
            for part in parts:
                for view, lists in part.items():
                    if view not in files:
                        files[view] = stack.enter_context(
                            append_lists(known, self.lists_path(name, anchor, view))
                        )
                    files[view](lists)
                    rows[view] = rows.get(view, 0) + len(lists)
        return rows

    # -- candidates -------------------------------------------------------------------------

    def candidates(self, anchor: date, first: int, last: int) -> Candidates:
        """The merged candidates of customer codes `[first, last)` at an anchor."""
        lists = {}
        for name in SOURCES:
            for view, label in (("all", name), ("new", f"{name}:new")):
                lists[label] = self.lists(name, anchor, view, first, last)
        return merge(lists, self.known(anchor), RANKER.pool.own, RANKER.pool.new)

    def all_candidates(self, anchor: date) -> Candidates:
        """The candidates of all customers that have lists at an anchor."""
        threads = self.settings.threads
        return merge_blocks(partial(self.candidates, anchor), blocks(self.known(anchor), threads), threads)

    def frame(self, anchor: date, candidates: Candidates, names: Sequence[str]) -> np.ndarray:
        """float32[n, len(names)]: features of a block of candidates (`load_frame`)."""
        with self.build.read() as connection:
            return load_frame(connection, anchor, candidates, names)

    def load_published_frames(
        self,
        rows: pd.DataFrame,
        names: Sequence[str],
        pool: Callable[[int, int], Candidates] | None = None,
    ) -> Iterator[tuple[slice, Candidates, np.ndarray]]:
        """Published rows as candidates with their features, block by block.

        Args:
            rows: customer (ascending), product.
            names: of the features.
            pool: customer codes `[first, last)` -> their candidates; None: all of the week's.

        Yields:
            Which of the rows, the candidates, float32[n, len(names)].
        """
        known = self.known()
        customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()

        def load_block(block: tuple[int, int]) -> tuple[slice, Candidates, np.ndarray]:
            part = slice(*np.searchsorted(customer, block))
            candidates = pool(*block) if pool else self.candidates(self.as_of, *block)
            pairs = candidates.look_up(customer[part], product[part], known)
            return part, pairs, self.frame(self.as_of, pairs, names)

        every = blocks(known, self.settings.threads)
        there = [block for block in every if np.diff(np.searchsorted(customer, block))[0]]
        yield from map_in_order(load_block, there, self.settings.threads)


def make_recommender(shop: Shop, name: str, parameters: Parameters | None = None) -> Recommender:
    """An unfitted recommender with this shop's seed, basket cap and threads, and with what `choose_parameters` says."""
    settings = shop.settings
    recommender = REGISTRY[name].make(settings.seed, settings.max_basket_lines, settings.threads)
    return recommender.set_params(**(parameters or {}).get(name, {}))
