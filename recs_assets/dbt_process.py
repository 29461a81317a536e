"""dbt in a process of its own, ready when a build asks for it.

Importing dbt and reading the project take five seconds, a build of a small shop not much more. So one process does both
while the raw tables are landed, and forks for every build: the build has the project at once, and the locks of its
database end with it.
"""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from recs_assets.schema import RecsError

LOG = "dbt.log"
# The children end at once, without giving back what Python's resource tracker counts.
WARNINGS = ("-W", "ignore:resource_tracker:UserWarning")


@dataclass(frozen=True)
class Result:
    """What became of one model or test.

    Args:
        name: as dbt calls it.
        relation: schema and name of the table, of a model.
        kind: "model", "test".
        status: "success", "pass", "fail", "error", "skipped".
        message: what dbt says of it.
        seconds: how long it took.
    """

    name: str
    relation: str
    kind: str
    status: str
    message: str
    seconds: float

    @property
    def is_table(self) -> bool:
        """Whether it is a model that was made."""
        return self.kind == "model" and self.status == "success"

    @property
    def failed(self) -> bool:
        return self.status in ("error", "fail", "runtime error")


class DbtProcess:
    """dbt for one project, started once and used for any number of builds.

    Args:
        project: folder with dbt_project.yml and profiles.yml.
        environment: variables that the project reads while it is parsed, beside this process's.
    """

    def __init__(self, project: Path, environment: Mapping[str, str] | None = None):
        self.project = project
        self.environment = dict(environment or {})
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start reading the project, without waiting for it."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, *WARNINGS, "-m", __spec__.name, str(self.project)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | self.environment,
            )

    def stop(self) -> None:
        """End the process, and with it a build that is at work."""
        if self._process is not None and self._process.stdin and self._process.stdout:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
        self._process = None

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], target: Path
    ) -> tuple[bool, list[Result]]:
        """Run one command of dbt to its end.

        Args:
            arguments: the command and its options, without those that name folders.
            environment: variables that profiles.yml reads.
            target: folder for the compiled SQL and the log.

        Returns:
            Whether everything succeeded, and what became of every model and test that dbt came to.

        Raises:
            RuntimeError: dbt stopped before its first model, or its engine did; the text says why.
        """
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        target.mkdir(parents=True, exist_ok=True)
        request = {"arguments": list(arguments), "environment": dict(environment), "target": str(target)}
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '{"error": "dbt was killed."}')
        except BaseException:  # whoever stops the run stops the build
            self.stop()
            raise
        if answer.get("error"):
            raise RuntimeError(answer["error"])
        return answer["success"], [Result(**result) for result in answer["results"]]


def serve(project: Path, requests: IO[str], answers: IO[str]) -> None:
    """Read the project, then answer requests until there are no more."""
    # Ctrl-C reaches this process, too; whoever started it decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from dbt.cli.main import dbtRunner

    folders = ["--project-dir", str(project), "--profiles-dir", str(project)]
    quiet = ["--log-level", "none", "--log-level-file", "none", "--no-write-json"]
    parsed = dbtRunner().invoke(["parse", *folders, *quiet])
    gc.freeze()
    for line in requests:
        answer = (
            _fork(parsed.result, json.loads(line), requests.fileno(), folders + quiet)
            if parsed.success
            else ""
        )
        failure = json.dumps({"error": str(parsed.exception or "dbt was killed.")})
        print(answer or failure, file=answers, flush=True)


def _fork(manifest: Any, request: dict[str, Any], requests: int, options: list[str]) -> str:
    """The answer of a child process that is gone when this returns; empty where it was killed."""
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as file:
            answer = file.read()
        os.waitpid(child, 0)
        return answer
    threading.Thread(target=_end_with_parent, args=(requests,), daemon=True).start()
    try:
        answer = json.dumps(_build(manifest, [*request["arguments"], *options], request))
    except RecsError as error:
        answer = json.dumps({"error": str(error)})
    except Exception as error:
        answer = json.dumps({"error": _explain(error, Path(request["target"]) / LOG)})
    _close_database()
    with os.fdopen(write, "w", encoding="utf-8") as file:
        file.write(answer)
    os._exit(0)


def _explain(error: BaseException, log: Path) -> str:
    """One sentence, and in the log where it was raised: the text of an error of gRPC or pyspark may hold the engine's address
    with its token."""
    kind = type(error).__name__
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        print(kind, "raised at", file=file)
        file.writelines(traceback.format_tb(error.__traceback__))
    engine = ", and the engine's own log why" if os.environ.get("RECS_DBT_ENGINE") else ""
    return f"it ended with an error of the kind {kind}: {log} says where{engine}; run the week again."


def _end_with_parent(requests: int) -> None:
    """A killed run must not leave a dbt behind that still writes its build file."""
    if not os.read(requests, 1):
        os._exit(1)


def _close_database() -> None:
    """dbt-duckdb keeps its database open until Python ends: whoever gets the answer wants to open it."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    with contextlib.suppress(Exception):  # it was never opened
        DuckDBConnectionManager.env().close()


def _open_engine() -> contextlib.AbstractContextManager[Callable[[list[str]], None]]:
    """The session of the engine that dbt builds on, where it is not DuckDB; is told which tables were made."""
    if not os.environ.get("RECS_DBT_ENGINE"):
        return contextlib.nullcontext(lambda relations: None)
    from recs_assets.engine.session import open_session_of_environment

    return open_session_of_environment()


def _build(manifest: Any, arguments: list[str], request: dict[str, Any]) -> dict[str, Any]:
    from dbt.cli.main import dbtRunner

    os.environ.update(request["environment"])
    target = Path(request["target"])
    lock = (
        threading.Lock()
    )  # dbt's threads all report here, and a text file is nothing that threads can share
    with (target / LOG).open("a", encoding="utf-8") as log:

        def write(event: Any) -> None:
            if event.info.level != "debug" and event.info.msg:
                with lock:
                    print(event.info.ts.ToJsonString()[:19], event.info.msg, file=log)

        with _open_engine() as finish:
            done = dbtRunner(manifest, callbacks=[write]).invoke([*arguments, "--target-path", str(target)])
            results = [_describe(result) for result in done.result.results] if done.result else []
            finish([result.relation for result in results if result.is_table])
    if done.exception is not None or done.result is None:
        known = done.exception is None or type(done.exception).__module__.startswith("dbt")
        return {"error": str(done.exception) if known else _explain(done.exception, target / LOG)}
    done.result.write(str(target / "run_results.json"))
    return {"success": done.success, "results": [asdict(result) for result in results]}


def _describe(result: Any) -> Result:
    relation = ""
    if result.node.resource_type == "model":
        schema = result.node.schema.removeprefix(os.environ.get("RECS_DBT_SCHEMAS", ""))
        relation = f"{schema}.{result.node.alias}"
    return Result(
        name=result.node.name,
        relation=relation,
        kind=str(result.node.resource_type),
        status=str(result.status),
        message=result.message or "",
        seconds=result.execution_time,
    )


if __name__ == "__main__":
    # dbt and what it calls print where they like: standard output is for answers alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Path(sys.argv[1]), sys.stdin, answers)
