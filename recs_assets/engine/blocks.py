"""One task per block of customers on the workers of an engine.

What travels is the path of a folder of the lake and the name of a function; what it works on, and what it makes, are
files there. The workers have this project installed, in the same version.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recs_assets.schema import EngineError

if TYPE_CHECKING:
    import pyarrow

    from recs_assets.locations import Location

_ROWS = "block int, seconds double, peak_megabytes double, error string"


@dataclass(frozen=True)
class Answer:
    """What a worker says of a block that is done.

    Attributes:
        block: its number.
        seconds: of the work.
        peak_megabytes: most memory that the worker's process had meanwhile; 0 where its system does not say.
    """

    block: int
    seconds: float
    peak_megabytes: float


def work_on_engine(
    address: str,
    folder: Location,
    function: str,
    blocks: int,
    needed: str,
    called: str = "Block {} of the customers",
) -> Iterator[Answer]:
    """Call `function(folder, block)` for each block on some worker; answers come as blocks are done.

    A worker that dies is replaced by the engine, which calls again: the function writes whole files or none. It returns
    seconds and megabytes.

    Args:
        address: sc://host:port.
        folder: of the lake, a path or URL under which every worker finds the same files.
        function: `<module>:<name>`, of this project.
        blocks: how many, from 0.
        needed: what `describe_code` says here; the workers must say the same.
        called: what errors call a block, with {} for its number from 1.

    Raises:
        EngineError: nothing answers, the engine ends at work, a worker lacks the project, or a block fails.
    """
    from recs_assets.engine.session import connect, ship_whole

    with connect(address) as session:
        ship_whole(sys.modules[__name__])
        tasks = session.range(0, blocks, 1, blocks).mapInArrow(
            make_worker(str(folder), function, needed, called), _ROWS
        )
        for row in tasks.toLocalIterator():
            if row.error:
                raise EngineError(row.error)
            yield Answer(row.block, row.seconds, row.peak_megabytes)


def make_worker(
    folder: str, function: str, needed: str, called: str
) -> Callable[[Iterator[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """What runs on a worker: numbers of blocks in, a row for each of them out."""

    def work(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow

        types = [("block", pyarrow.int32()), ("seconds", pyarrow.float64()), ("peak_megabytes", pyarrow.float64()),
                 ("error", pyarrow.string())]  # fmt: skip
        for batch in batches:
            rows = [
                work_on_block(folder, function, needed, number, called.format(number + 1))
                for number in batch.column(0).to_pylist()
            ]
            yield pyarrow.RecordBatch.from_pylist(rows, pyarrow.schema(types))

    return work


def work_on_block(folder: str, function: str, needed: str, number: int, called: str) -> dict[str, Any]:
    """The row of one block. It travels whole: a worker may not have this project."""
    import importlib
    import traceback

    row: dict[str, Any] = {"block": number, "seconds": 0.0, "peak_megabytes": 0.0, "error": ""}
    try:
        there = describe_code()
        if there != needed:
            row["error"] = (
                f"A worker of the engine has {there}, and this machine {needed}: install the same there."
            )
            return row
        module, _, name = function.partition(":")
        row["seconds"], row["peak_megabytes"] = getattr(importlib.import_module(module), name)(folder, number)
    except Exception as error:
        # Only the project's own errors are known to hold nobody's name.
        own = type(error).__module__.startswith("recs_assets.")
        said = str(error) if own else f"{type(error).__name__} (the worker's log says where)."
        row["error"] = f"{called} failed on the engine: {said}"
        traceback.print_exc()
    return row


def describe_code() -> str:
    """Which code is here: the version of this project and a digest of its files, and the versions of the libraries that decide
    about bits. "no recs_assets" where it is not installed."""
    import hashlib
    import importlib
    import importlib.util
    from importlib import metadata
    from pathlib import Path

    if importlib.util.find_spec("recs_assets") is None:
        return "no recs_assets"
    # By name, because the package knows all layers.
    own = importlib.import_module("recs_assets")
    digest, root = hashlib.sha256(), Path(str(own.__file__)).parent
    for path in sorted(path for kind in ("py", "sql", "yaml") for path in root.rglob(f"*.{kind}")):
        digest.update(path.read_bytes())
    names = ("duckdb", "lightgbm", "numpy", "pandas", "scipy")
    libraries = [f"{name} {metadata.version(name)}" for name in names]
    return ", ".join([f"recs_assets {own.__version__} ({digest.hexdigest()[:8]})", *libraries])
