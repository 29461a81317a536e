"""A week on workers of an engine: its files in the lake, a block of customers per task, results as files of the lake."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recs_assets.known.facts import load_facts, save_facts
from recs_assets.known.interactions import Known
from recs_assets.locations import delete_folder, fill_folder, locate, make_folder, open_folder
from recs_assets.recommenders.artefacts import read_ids
from recs_assets.recommenders.base import Recommender
from recs_assets.schema import WarehouseError
from recs_assets.shop import Shop, pack_shop, unpack_shop
from recs_assets.store.block import Block
from recs_assets.store.deployment import FILE
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.block import BlockWeek, split_week
from recs_assets.week.result_files import load_result, save_result
from recs_assets.week.week import Week

if TYPE_CHECKING:
    from recs_assets.locations import Location

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # Dagster, which shows it (dagster.yaml), leaves the level alone
JOB = "job.json"
_RESULT = "result"  # in the folder of a block
# An engine whose workers are threads of one process, as Sail's are, begins with all blocks at once.
_AT_ONCE = threading.BoundedSemaphore(os.cpu_count() or 1)


def map_on_engine(
    function: Callable[..., Any],
    week: Week,
    size: int,
    arguments: Sequence[object],
    named: Mapping[str, object],
) -> Iterator[Any]:
    """`function(block, *arguments, **named)` for each block of `size` customers, on the workers of RECS_ENGINE.

    Raises:
        EngineError: no engine answers, it ends, or a worker fails: with the block, and why.
        WarehouseError: the function cannot be named.
    """
    from recs_assets.engine.blocks import describe_code, work_on_engine

    engine = week.settings.engine
    assert engine is not None
    blocks = [part.block for part in split_week(week, size)]
    scratch = week.warehouse.home / "tmp"
    with open_job(week) as folder:
        with fill_folder(folder, scratch) as shared:
            share_week(week, shared)
            job = {
                "as_of": week.as_of.isoformat(),
                "shop": pack_shop(week.shop, shared / "shop"),
                "function": name_function(function),
                "arguments": list(arguments),
                "named": dict(named),
                "blocks": [asdict(block) for block in blocks],
            }
            (shared / JOB).write_text(json.dumps(job), "utf-8")
        answers = work_on_engine(
            engine.get_secret_value(), folder, f"{__name__}:work_on_block", len(blocks), describe_code()
        )
        for done, answer in enumerate(answers, start=1):
            log.info(
                f"{job['function']}: {done} of {len(blocks)} blocks done, the last one in {answer.seconds:.1f} s and "
                f"{answer.peak_megabytes:,.0f} MB."
            )
        for number in range(len(blocks)):
            place = _find_result(folder, number)
            with open_folder(place, scratch) as results:
                result = load_result(results / _RESULT)
            delete_folder(place)
            yield result


@contextmanager
def open_job(week: Week) -> Generator[Location]:
    """A folder of the lake for what workers need and make, which holds names and addresses and is gone at the end."""
    folder = week.warehouse.lake / "blocks" / f"{week.as_of}-{uuid.uuid4().hex[:8]}"
    week.warehouse.remember_lake()  # a killed run leaves the folder to `drop_unnamed_files`, and to `forget`
    try:
        make_folder(folder)
        yield folder
    finally:
        delete_folder(folder)


def name_function(function: Any) -> str:
    """`<module>:<name>` of a function of a module of this project.

    Raises:
        WarehouseError: it is none.
    """
    module, name = function.__module__, function.__qualname__
    if not name.isidentifier():
        raise WarehouseError(
            f"{module}.{name} is no function of a module, so workers cannot find it: this is a fault of the program, "
            "please report it."
        )
    return f"{module}:{name}"


def share_week(week: Week, folder: Path) -> None:
    """Put what a block needs of a week into a folder, as a home of its own.

    Files that are only ever replaced in whole are linked where the folder is on the same disk. The build file, which is
    written in place, is copied; where dbt builds on the engine it holds views over files of the lake.
    """
    place = _find_place(folder, week.as_of)
    place.mkdir(parents=True)
    week.build.require()
    shutil.copyfile(week.build.path, place / week.build.path.name)
    for kind in ("models", "candidates", "ids"):
        for path in sorted((week.build.folder / kind).rglob("*")):
            if path.is_file() and (kind == "models" or week.as_of.isoformat() in path.name):
                _link(path, place / path.relative_to(week.build.folder))
    save_facts(week.known().shop_facts, place / "facts")
    if (lakes := week.warehouse.home / FILE).exists():
        _link(lakes, folder / "home" / FILE)
    published = week.warehouse.snapshot_path
    if published.exists():
        # A file and not a link: who opens it needs no other name.
        _link(published.resolve(), folder / "home" / "published" / published.name)


def _find_result(folder: Location, number: int) -> Location:
    return folder / "results" / str(number)


def _find_place(folder: Path, as_of: date) -> Path:
    return folder / "home" / "weeks" / as_of.isoformat()


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:  # another disk
        shutil.copyfile(path, target)


class SharedWeek(Week):
    """A whole week as a worker knows it: the ids of its customers and products, what was counted of them, and nothing
    that anybody did."""

    def __init__(self, shop: Shop, warehouse: Warehouse, as_of: date) -> None:
        super().__init__(shop, warehouse, as_of)
        self.models_of_blocks: dict[str, Recommender] = {}

    def known(self, anchor: date | None = None) -> Known:
        if self.as_of not in self.build.cache:
            ids = read_ids(self.build.folder / "ids", self.as_of)
            self.build.cache[self.as_of] = replace(ids, facts=load_facts(self.build.folder / "facts"))
        return self.build.cache[anchor or self.as_of]


def work_on_block(folder: str, number: int) -> tuple[float, float]:
    """What a worker does: the job's function on one block, whose result is written whole or not at all.

    Args:
        folder: of the job.
        number: of the block.

    Returns:
        Seconds, and the most megabytes that this process had meanwhile (0 where its system does not say).
    """
    return measure_work(lambda: _work(folder, number))


def measure_work(work: Callable[[], None]) -> tuple[float, float]:
    """Do a worker's work, with as many others at once as there are processors; what `work_on_block` returns."""
    with _AT_ONCE:
        started = time.monotonic()
        _forget_peak()
        work()
        return time.monotonic() - started, _read_peak()


def _work(folder: str, number: int) -> None:
    place = locate(folder)
    with open_folder(place) as shared:
        job = json.loads((shared / JOB).read_text("utf-8"))
        week = open_shared_week(str(shared))
        module, _, name = job["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        # In the job's folder, which the run deletes in the end: a killed worker deletes nothing.
        work = shared / "work"
        work.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            part = BlockWeek(week, Block(**job["blocks"][number]), week.models_of_blocks, Path(scratch))
            with part.open():
                result = function(part, *job["arguments"], **job["named"])
        with fill_folder(_find_result(place, number), work) as results:
            save_result(result, results / _RESULT)


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _read_peak() -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


@lru_cache(maxsize=1)
def open_shared_week(folder: str) -> SharedWeek:
    """The week of a job, which a worker's process keeps from block to block."""
    place = Path(folder)
    job = json.loads((place / JOB).read_text("utf-8"))
    shop = unpack_shop(job["shop"], place / "shop", place / "home")
    return SharedWeek(shop, shop.warehouse(), date.fromisoformat(job["as_of"]))
