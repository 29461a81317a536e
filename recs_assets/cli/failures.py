"""What a run that failed says for itself, in plain sentences."""

from __future__ import annotations

from typing import Any

import dagster as dg

from recs_assets.schema import RecsError

# Errors that only say "a step failed"; the sentence worth reading is their cause.
DAGSTER_WRAPPERS = {
    "DagsterExecutionStepExecutionError",
    "DagsterExecutionLoadInputError",
    "DagsterResourceFunctionError",
}
# What a full disk makes Python, DuckDB and SQLite raise; every later step raises it again.
DISK_ERRORS = {"OSError", "IOException", "OperationalError"}
MEMORY_ERROR = "OutOfMemoryException"  # DuckDB's
# The step's own word for "a blocking check failed"; the check says which and why.
CHECK_FAILED = "DagsterAssetCheckFailedError"


def list_failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """One plain sentence per failed step: its error, or what its checks found.

    Steps that were skipped because of it are not repeated, nor is a disk that refuses step after step.
    Where no step failed, what ended the run before the first one: the writer lock, say.
    """
    sentences: list[str] = []
    disk: list[str] = []
    outside: list[str] = []
    checks: dict[str | None, list[str]] = {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            kind, message = _describe_error(event.step_failure_data.error)
            if kind == CHECK_FAILED and event.step_key in checks:
                sentences.extend(checks[event.step_key])
            elif kind in DISK_ERRORS:
                reason = message.partition(": ")[2].rstrip(".")
                disk.append(
                    f"{event.step_key}: the disk refuses ({reason}): make room on it or repair the cause, then "
                    "run the week again."
                )
            elif kind == MEMORY_ERROR:
                sentences.append(
                    f"{event.step_key}: DuckDB needs more memory than RECS_MEMORY_LIMIT allows it: raise it, or make lists of "
                    "fewer customers at a time (RECS_BLOCK_CUSTOMERS), then run the week again."
                )
            else:
                sentences.append(f"{event.step_key}: {message}")
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            outside.append(_describe_error(event.job_failure_data.error)[1])
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                asset = check.asset_key.to_user_string()
                checks.setdefault(event.step_key, []).append(
                    check.description or f"{asset}: {check.check_name} failed."
                )
    return sentences + disk[:1] or outside


def _describe_error(error: Any) -> tuple[str | None, str]:
    """The class of the error behind Dagster's own, and the first line of its message.

    An error of this project is shown without its class. `error` is Dagster's serialised error, or None.
    """
    while error is not None and error.cause is not None and error.cls_name in DAGSTER_WRAPPERS:
        error = error.cause
    if error is None:
        return None, "no message"
    message = error.message.strip().splitlines()[0]
    if error.cls_name in {kind.__name__ for kind in (RecsError, *_subclasses(RecsError))}:
        message = message.partition(": ")[2]
    return error.cls_name, message


def _subclasses(kind: type[RecsError]) -> list[type[RecsError]]:
    return [subclass for child in kind.__subclasses__() for subclass in (child, *_subclasses(child))]
