"""Landing a raw table: into the build file, or, on an engine and file by file, into the lake."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from recs_assets.locations import (
    delete_folder,
    list_parquet,
    locate,
    make_folder,
    read_text,
    write_whole_text,
)
from recs_assets.quality.expectations import MIN_ROWS_JUDGED, Expectation, list_raw_expectations
from recs_assets.quality.suites import PART_ROWS, judge_rows, merge_results
from recs_assets.schema import Table
from recs_assets.sources import LandingResult, Parts, find_stored_type, land_part, list_some, read_landed
from recs_assets.store.lake import show_table
from recs_assets.week.share import JOB, measure_work, open_job
from recs_assets.week.week import Week

if TYPE_CHECKING:
    from recs_assets.locations import Location


def land(week: Week, table: Table) -> tuple[LandingResult, list[dict[str, Any]]]:
    """Land a raw table of a week as the shop's files are now (`sources.land`), and judge its rows by its suite.

    With RECS_ENGINE, the Parquet files of a canonical table that lie in RECS_LAKE are landed and judged by its workers, each
    by itself, and what is landed stays there; the build file has a view over it. A night lands here.

    Returns:
        What was landed, and what Great Expectations found on each part of it (`quality.suites.judge_rows`).

    Raises:
        SourceError, SettingsError: as `sources.land`.
        EngineError: the engine does not answer, ends, or a file is not as declared.
    """
    begun, shared = time.perf_counter(), week.warehouse.shared_lake
    if week.settings.engine is not None and shared is not None and week.model_week is week:
        with week.build.write() as connection:
            parts = week.shop.find_parts(connection, table, shared)
        if parts is not None:
            return _land_on_engine(week, table, parts, begun)
    with week.build.write() as connection:
        landed = week.shop.land(connection, table.name)
    frames = week.build.read_frames(f'raw."{table.name}"', PART_ROWS)
    expectations = _list_expectations(week, table, landed.rows)
    return landed, [judge_rows(_name_suite(table), frame, expectations) for frame in frames]


def _name_suite(table: Table) -> str:
    return f"raw_{table.name}"


def _list_expectations(week: Week, table: Table, rows: int) -> list[Expectation]:
    # Of a table this small a single row would decide; dbt judges it by the same number.
    share = week.settings.max_quarantined_share if rows >= MIN_ROWS_JUDGED else 1.0
    return list_raw_expectations(table, share)


def _land_on_engine(
    week: Week, table: Table, parts: Parts, begun: float
) -> tuple[LandingResult, list[dict[str, Any]]]:
    from recs_assets.engine.blocks import describe_code, work_on_engine

    engine, relation = week.settings.engine, f"raw.{table.name}"
    assert engine is not None
    place = week.warehouse.prepare_lake(week.build)
    target = place / "given" / relation
    numbers = range(len(parts.files))
    job = {
        "parts": asdict(parts),
        "target": str(target),
        "suite": _name_suite(table),
        "expectations": [asdict(one) for one in _list_expectations(week, table, parts.rows)],
    }
    try:
        with open_job(week) as folder:
            make_folder(folder / "results")
            write_whole_text(folder / JOB, json.dumps(job))
            for _ in work_on_engine(
                engine.get_secret_value(), folder, f"{__name__}:land_on_worker", len(numbers), describe_code(),
                f"File {{}} of {table.name}",
            ):  # fmt: skip
                pass
            results = [json.loads(read_text(_find_result(folder, number))) for number in numbers]
        with week.build.write() as connection:
            connection.execute("begin")
            declared = {column.name: find_stored_type(column) for column in table.columns}
            show_table(connection, relation, list_parquet(target), declared, list_some(parts.names))
            [(rows,)] = connection.execute(f"select count(*) from {relation}").fetchall()
            connection.execute("commit")
    except BaseException:
        delete_folder(place)
        raise
    return LandingResult(rows, time.perf_counter() - begun, tuple(parts.names)), results


def _find_result(folder: Location, number: int) -> Location:
    return folder / "results" / f"{number}.json"


def land_on_worker(folder: str, number: int) -> tuple[float, float]:
    """What a worker does: land one of the files of a job and judge it; seconds, and megabytes at most
    (`week.share.measure_work`)."""
    place = locate(folder)
    job = json.loads(read_text(place / JOB))
    # As many digits as keep the files in their order.
    target = locate(job["target"]) / f"{number:06}.parquet"
    expectations = [Expectation(**one) for one in job["expectations"]]

    def work() -> None:
        land_part(Parts(**job["parts"]), number, target)
        results = [judge_rows(job["suite"], frame, expectations) for frame in read_landed(target, PART_ROWS)]
        write_whole_text(_find_result(place, number), json.dumps(merge_results(results)))

    return measure_work(work)
