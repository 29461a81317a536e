"""What one deployment serves: its settings, its source, and the anchors of its weeks."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from recs_assets import yaml_file
from recs_assets.config import read_yaml
from recs_assets.declared_tables.file import DeclaredTable
from recs_assets.evaluation.thresholds import Gates
from recs_assets.files import write_whole
from recs_assets.monitoring.limits import Limits
from recs_assets.queries.catalogue import CATALOGUE, Catalogue
from recs_assets.ranking.ranker import load_config
from recs_assets.reasons.sentences import Sentences
from recs_assets.rules.sensitive import SensitiveGoods
from recs_assets.rules.storefront import Storefront, StorefrontError
from recs_assets.schema import SettingsError, SourceError, Table
from recs_assets.settings import SECRETS, Settings
from recs_assets.sources import (
    EVENTS,
    LANDED,
    LandingResult,
    Mirror,
    Parts,
    Source,
    find_first_as_of,
    find_latest_as_of,
    find_parts,
    fingerprint,
    land,
    needs_folder,
    resolve_source,
)
from recs_assets.sources.declaration import ShopWords
from recs_assets.sources.suppression import Suppression
from recs_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from recs_assets.locations import Location

# How the ranker learns (ranking/ranker.yaml): which anchors a week needs follows from it.
RANKER = load_config()

# Beside the build files: the week of the first order, with the fingerprint of the files that said so.
FIRST_WEEK = "first_week.json"
PACKAGE = Path(__file__).parent
# What a shop may say otherwise than the code does, by setting: where what is shipped lies.
SHIPPED = {
    "campaigns": PACKAGE / "campaigns",
    "experiments": PACKAGE / "experiments",  # none are shipped
    "gates": PACKAGE / "gates.yaml",
    "monitor": PACKAGE / "monitor.yaml",
    "placements": PACKAGE / "serving" / "placements",
    "sensitive": PACKAGE / "rules" / "sensitive.yaml",
    "storefront": PACKAGE / "rules" / "storefront.yaml",
    "texts": PACKAGE / "reasons" / "sentences",
}
# Settings that do not travel to workers: secrets, and places on this machine.
_STAYS = {
    *(name.removeprefix("RECS_").lower() for name in SECRETS),
    "block_customers", "data", "data_root", "home", "lake", "shops", "tables", "threads",
}  # fmt: skip
# What a source says that travels as it is.
_SAYS = ("name", "description", "timezone", "horizon_days", "currency", "canonical")
# Of a shop whose orders nobody can read yet.
FALLBACK_WEEK = date(2016, 1, 4)


def open_warehouse(settings: Settings) -> Warehouse:
    """The files of the deployment that the settings describe."""
    return Warehouse(
        settings.home,
        threads=settings.threads,
        memory_limit=settings.memory_limit,
        retention=settings.retention_weeks,
        lake=settings.lake,
    )


def open_source(settings: Settings) -> tuple[Path, Source]:
    """The folder with the shop's files, and the source that reads them.

    Of a shop whose tables are all in databases the folder may be any; of files in object storage it is one of the home.

    Raises:
        SettingsError: there is no such folder, or it may not be read; no source fits.
        SourceError: the files are none that can be read, or the store cannot be reached and never was.
    """
    mirror = None
    if isinstance(settings.data, str):
        mirror = Mirror(settings.data, settings.home / LANDED)
        try:
            mirror.refresh()
        except SourceError:
            if not mirror.is_known:
                raise  # else the run says so; loading the code must not depend on it
        data_dir = mirror.folder
    elif settings.data is None and not needs_folder(settings.source, shops_dir=settings.shops):
        data_dir = settings.home
    else:
        data_dir = settings.data_dir()
    return data_dir, replace(
        resolve_source(settings.source, data_dir, shops_dir=settings.shops, tables=settings.tables),
        mirror=mirror,
    )


def pack_shop(shop: Shop, folder: Path) -> dict[str, Any]:
    """What workers elsewhere need of a shop, for JSON: settings, none of which is secret, and what its source says.

    Files that settings or the shop's folder name are copied; what is not asked for over a block of customers (raw files,
    addresses of servers) stays.

    Args:
        shop: the shop.
        folder: where the copies go, a path that the workers find, too.
    """
    values, copies = shop.settings.model_dump(mode="json", exclude=_STAYS), {}
    for setting, shipped in SHIPPED.items():
        path = shop.path(setting)
        if path == shipped:
            continue
        copy = folder / path.name
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
        copies[setting] = copy.name
    source = {name: getattr(shop.source, name) for name in _SAYS}
    return {
        "settings": values,
        "copies": copies,
        "source": source,
        "words": TypeAdapter(ShopWords).dump_python(shop.source.words, mode="json"),
        "tables": TypeAdapter(dict[str, DeclaredTable]).dump_python(dict(shop.source.tables), mode="json"),
    }


def unpack_shop(packed: Mapping[str, Any], folder: Path, home: Path) -> Shop:
    """The shop of `pack_shop`, whose copies are in a folder, with a home of its own and one thread: a worker has many blocks
    at once."""
    copies = {setting: folder / name for setting, name in packed["copies"].items()}
    values = packed["settings"] | copies | {"home": home, "threads": 1}
    settings = Settings(**dict.fromkeys(_STAYS - {"home", "threads"}), **values)
    source = Source(
        **packed["source"],
        folder=None,
        files=(),
        words=TypeAdapter(ShopWords).validate_python(packed["words"]),
        tables=TypeAdapter(dict[str, DeclaredTable]).validate_python(packed["tables"]),
    )
    return Shop(settings, home, source)


@dataclass(frozen=True)
class Shop:
    """Settings resolved against the shop's files; `defs.deployment.Deployment` adds what Dagster needs."""

    settings: Settings
    data_dir: Path
    source: Source

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        data_dir, source = open_source(settings)
        source = replace(source, events=settings.home / EVENTS, kept=settings.home / LANDED)
        shop = cls(settings, data_dir, source)
        _ = (
            shop.sentences,
            shop.sensitive,
            shop.storefront,
        )  # a file that is wrong is said before anything runs
        return shop

    @property
    def timezone(self) -> str:
        return self.settings.timezone or self.source.timezone

    @property
    def horizon_days(self) -> int:
        return self.settings.horizon_days or self.source.horizon_days

    @property
    def data_root(self) -> Path | None:
        """The folder that every file must lie in; None: that of the files."""
        return None if self.source.mirror is not None else self.settings.data_root

    def path(self, setting: str) -> Path:
        """A file or folder of the shop: named by the setting, else in the shop's folder, else the shipped one."""
        named: Path | None = getattr(self.settings, setting)
        if named is not None:
            return named
        shipped = SHIPPED[setting]
        if self.source.folder is not None:
            own = self.source.folder / f"{setting}{shipped.suffix}"
            if own.exists():
                return own
        return shipped

    @cached_property
    def gates(self) -> Gates:
        """The thresholds of publication (RECS_GATES)."""
        return read_yaml(self.path("gates"), Gates, "The gates")

    @cached_property
    def monitor(self) -> Limits:
        """The limits of the monitor (RECS_MONITOR)."""
        return read_yaml(self.path("monitor"), Limits, "The monitor's limits")

    @cached_property
    def sensitive(self) -> SensitiveGoods:
        """The sensitive goods (RECS_SENSITIVE)."""
        return read_yaml(self.path("sensitive"), SensitiveGoods, "The sensitive goods")

    @cached_property
    def storefront(self) -> Storefront:
        """The rules of the shop's own pages (RECS_STOREFRONT)."""
        path, what = self.path("storefront"), ("the storefront's rules", "docs/rules.md")
        data, lines = yaml_file.read(path, what, StorefrontError, first="rules")
        return yaml_file.check(path, data, lines, Storefront, StorefrontError)

    @cached_property
    def sentences(self) -> Sentences:
        """What customers read, by language (RECS_TEXTS, RECS_LOCALE)."""
        sentences = Sentences.load(self.path("texts"), self.settings.locale or self.source.words.locale)
        return sentences.with_own_tables(
            {table.name: table.reasons for table in self.source.tables.values() if table.reasons}
        )

    @cached_property
    def catalogue(self) -> Catalogue:
        """What queries may name: the canonical tables and the shop's own."""
        return CATALOGUE.extend(self.source.tables)

    def find_newest_week(self) -> date:
        """The Monday that the shop's newest orders lead up to; orders dated in the future do not count."""
        tomorrow = datetime.now(ZoneInfo(self.timezone)).replace(tzinfo=None) + timedelta(days=1)
        with self.warehouse().scratch() as connection:
            return find_latest_as_of(
                connection, self.source, self.data_dir, self.timezone, tomorrow, self.data_root
            )

    @cached_property
    def first_week(self) -> date:
        """The first Monday of the shop's weeks: the setting, else the week of the first order.

        The orders are read once per state of the files. The week never moves later, because Dagster keeps
        records of the weeks that ran.
        """
        if self.settings.first_week is not None:
            return self.settings.first_week
        kept = self.settings.home / FIRST_WEEK
        try:
            before = json.loads(kept.read_text("utf-8"))
            known, seen = date.fromisoformat(before["first_week"]), before["files"]
        except (OSError, ValueError, KeyError, TypeError):
            known, seen = None, None
        try:
            files = fingerprint(self.source, self.data_dir)
        except (SourceError, SettingsError):
            return known or FALLBACK_WEEK
        if known is not None and seen == files:
            return known
        try:
            with self.warehouse().scratch() as connection:
                first = find_first_as_of(
                    connection, self.source, self.data_dir, self.timezone, self.data_root
                )
        except (SourceError, SettingsError):
            first = None  # the run says what is wrong; loading the code must not depend on it
        if first is None:
            return known or FALLBACK_WEEK
        first = first if known is None else min(first, known)
        with contextlib.suppress(OSError):  # it is read again next time
            write_whole(kept, json.dumps({"first_week": first.isoformat(), "files": files}))
        return first

    def test_anchors(self, week: date) -> list[date]:
        """The anchors of the evaluation, latest first: one horizon before the week's own, and so on
        for as many folds as the settings ask for."""
        horizon = timedelta(days=self.horizon_days)
        return [week - (fold + 1) * horizon for fold in range(self.settings.backtest_folds)]

    def train_anchors(self, test: date) -> list[date]:
        """The anchors that teach the ranker tested at `test`, latest first, half a horizon apart in whole
        weeks; no label window reaches past it."""
        latest = test - timedelta(days=self.horizon_days)
        step = timedelta(weeks=max(1, self.horizon_days // 14))
        return [latest - number * step for number in range(RANKER.train_anchors)]

    def anchors(self, week: date) -> list[date]:
        """Every date at which features and recommenders are computed: predict, test, train; latest first."""
        tests = self.test_anchors(week)
        return sorted(
            {week, *tests, *(anchor for test in tests for anchor in self.train_anchors(test))}, reverse=True
        )

    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings)

    def suppression(self) -> Suppression:
        """Who was erased (`erasure.forget`) and must not be landed.

        Raises:
            SettingsError: somebody was, and RECS_HASH_KEY is missing or another one.
        """
        return Suppression(self.settings.home, self.settings.hash_key)

    def land(self, connection: Any, table: str) -> LandingResult:
        """Land one raw table of the shop as its files are now, without whoever was erased.

        Args:
            connection: DuckDB's, to the file that gets the table.
            table: one of the source's `raw_tables`.

        Raises:
            SourceError, SettingsError: as `sources.land`.
        """
        return land(
            connection,
            self.source,
            table,
            self.data_dir,
            self.timezone,
            self.data_root,
            self.suppression().filter,
        )

    def find_parts(self, connection: Any, table: Table, shared: Location) -> Parts | None:
        """The files of a raw table, where each can be landed without the others (`sources.find_parts`).

        Args:
            connection: DuckDB's; nothing is written to it.
            table: one of the source's `raw_tables`.
            shared: lake that workers find, too.
        """
        return find_parts(
            connection,
            self.source,
            table,
            self.data_dir,
            self.timezone,
            self.data_root,
            self.suppression().filter,
            shared,
        )
