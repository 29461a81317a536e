"""Work by blocks of customers, so that memory does not grow with the shop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from recs_assets.known.interactions import Known
from recs_assets.ranking.candidates import Candidates

if TYPE_CHECKING:
    from recs_assets.week.week import Week

Item = TypeVar("Item")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
# Customers merged, joined and scored at once: 200 candidates x 150 features x 4 bytes x 4,000 = 480 MB.
BLOCK = 4_000


def map_blocks(
    function: Callable[Concatenate[Week, Arguments], Result],
    week: Week,
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Iterator[Result]:
    """`function(part, *arguments, **named)` for each part of the week's customers, in the order of their codes.

    The part is the week itself, with all customers; with RECS_BLOCK_CUSTOMERS the week of one block after the other
    (`week.block.BlockWeek`), whose codes of customers count from 0: `part.first_code` is the first one's in the week.
    With RECS_ENGINE, too, blocks are worked on by its workers (`week.share`); those of a night are not.

    Args:
        function: of a module, so that workers find it by name. It returns frames, arrays, plain values and dataclasses of
            this project (`week.result_files`), and writes nothing.
        week: whose customers.
        arguments: what JSON can hold.
        named: likewise.

    Raises:
        WarehouseError: the week has no build file.
        EngineError: the engine does not answer, ends, or a worker fails.
    """
    size = week.settings.block_customers
    if size is not None and not week.is_block:
        from recs_assets.week.block import split_week

        if week.settings.engine is not None and week.model_week is week:
            from recs_assets.week.share import map_on_engine

            yield from map_on_engine(function, week, size, arguments, named)
            return

        if parts := split_week(week, size):
            for part in parts:
                with part.open():
                    result = function(part, *arguments, **named)
                yield result
            return
    yield function(week, *arguments, **named)


def blocks(known: Known, threads: int = 1) -> Iterator[tuple[int, int]]:
    """Ranges of customer codes `[first, last)`; where blocks are worked on side by side, one for every thread."""
    size = choose_size(known.n_customers, threads)
    for first in range(0, known.n_customers, size):
        yield first, min(first + size, known.n_customers)


def choose_size(customers: int, threads: int) -> int:
    """Customers of one block: at most `BLOCK`, and so few that no thread is idle."""
    return max(1, min(BLOCK, -(-customers // threads)))


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Results in the order of the items, from so many threads; at most that many wait beside the one in use."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def merge_blocks(
    load: Callable[[int, int], Candidates], parts: Iterable[tuple[int, int]], threads: int
) -> Candidates:
    """The candidates of ranges of customer codes `[first, last)`, loaded side by side."""
    loaded = list(map_in_order(lambda part: load(*part), parts, threads))
    filled = [candidates for candidates in loaded if len(candidates)] or loaded[:1]
    return Candidates.concat(filled) if filled else Candidates.empty()
