"""One week from the shell: the same job the schedule starts, with a progress line."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TextIO

import dagster as dg
import pandas as pd
import psutil
from dagster._utils.error import SerializableErrorInfo
from sqlalchemy.exc import OperationalError

from recs_assets.campaigns.make import (
    attention,
    check_send_time,
    facts_of,
    folder_of,
    list_unknown_storefront_names,
    rules_said,
    said,
)
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.money import money_sentences, not_product_sentences, wholesale_sentences
from recs_assets.evaluation.evaluate import summary_markdown
from recs_assets.evaluation.forecasts import changes_of_demand, interval
from recs_assets.evaluation.promotion import decision_sentence
from recs_assets.exports.email import VARIES, money
from recs_assets.operations.forget import SUPPRESSED
from recs_assets.schema import RecsError, SettingsError, WarehouseError
from recs_assets.settings import Settings
from recs_assets.store.warehouse import unknown_states

STEP_EVENTS = {
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SKIPPED,
}

# Errors that only say "a step failed"; the sentence worth reading is their cause.
DAGSTER_WRAPPERS = {
    "DagsterExecutionStepExecutionError",
    "DagsterExecutionLoadInputError",
    "DagsterResourceFunctionError",
}
# What a full disk makes Python, DuckDB and SQLite raise; every later step raises it again.
DISK_ERRORS = {"OSError", "IOException", "OperationalError"}
# The step's own word for "a blocking check failed"; the check says which and why.
CHECK_FAILED = "DagsterAssetCheckFailedError"


def prepare() -> None:
    """Write what a clean checkout lacks: Dagster's home with its configuration, dbt's manifest."""
    home = dagster_home(Settings())
    from recs_assets.defs.dbt import dbt_project

    project = dbt_project()
    project.preparer.prepare(project)
    print(f"Dagster keeps its runs in {home}; the dbt manifest is at {project.manifest_path}.")


def dagster_home(settings: Settings) -> Path:
    """Create `<home>/dagster` with the shipped dagster.yaml and point DAGSTER_HOME at it."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.home.resolve() / "dagster")
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    with resources.as_file(resources.files("recs_assets.defs") / "dagster.yaml") as shipped:
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(shipped, home / "dagster.yaml")
    return home


def run_week(as_of: date | None) -> int:
    """Materialise every asset of one week and print the summary; 0 when all of it succeeded.

    A bad campaign file is said and left out.
    """
    for error in Deployment.from_settings(Settings()).campaigns.errors:
        print(f"Left out: {error}", file=sys.stderr)
    if _run_job("weekly", Settings(), as_of, "what was published before is untouched") is None:
        return 1
    print_summary()
    return 0


def run_campaign(name: str, as_of: date | None) -> int:
    """Make one campaign of a week that was built, and publish it; 0 on success.

    Raises:
        CampaignError: the campaign's file is bad.
        LateError: the email would go out when its days are over.
        SettingsError: there is no such campaign.
        WarehouseError: nothing is published yet, or the week has no build.
    """
    deployment = Deployment.from_settings(Settings())
    for error in deployment.campaigns.errors:
        if error.path.stem == name:
            raise error
    if name not in deployment.campaigns.campaigns:
        raise SettingsError(
            f"There is no campaign {name} in {deployment.settings.campaigns}; there are "
            f"{', '.join(deployment.campaigns.campaigns) or 'none'}."
        )
    warehouse = deployment.warehouse()
    week = as_of or warehouse.newest_published()
    if week.weekday() == 0 and not warehouse.build_path(week).exists():
        raise WarehouseError(
            f"The week {week} has no build in {warehouse.home}: run it first (python -m recs_assets run --as-of {week})."
        )
    check_send_time(deployment.campaigns.campaigns[name], deployment, week)
    done = _run_job(f"campaign_{name}", Settings(), week, "what was published before is untouched")
    if done is None:
        return 1
    with warehouse.snapshot() as connection:
        outcomes = connection.execute(
            """
            select outcome, customers from recs.campaign_outcomes
            where campaign = ? and as_of = ? and customers > 0 order by step
            """,
            [name, done],
        ).fetchall()
    print(f"Campaign {name} of {done}: " + ", ".join(f"{count} {what}" for what, count in outcomes) + ".")
    facts = facts_of(folder_of(warehouse, done, name))
    for text in (*rules_said(facts), *said(facts)):
        print(text)
    for sentence in warehouse.consent_sentences(done):
        print(f"Consent: {sentence}")
    return 0


def run_backtest(as_of: date | None, folds: int) -> int:
    """Evaluate every model at `folds` test anchors, one horizon apart, and print the table; 0 on success.

    Works in `<home>/backtest`: the week's own build, models and snapshot are not touched.
    """
    settings = Settings()
    main, settings = settings.home, Settings(home=settings.home / "backtest", backtest_folds=folds)
    if (main / SUPPRESSED).exists():
        settings.home.mkdir(exist_ok=True)
        shutil.copyfile(main / SUPPRESSED, settings.home / SUPPRESSED)
    week = _run_job("backtest", settings, as_of, "nothing was written outside the backtest's own folder")
    if week is None:
        return 1
    with Deployment.from_settings(settings).warehouse().read(week) as connection:
        table = connection.execute(
            """
            select view, recommender, value, baseline, difference, ci_low, ci_high, folds, customers
            from model.backtest where metric = 'map' order by view, value desc, recommender
            """
        ).df()
        chosen = connection.execute("select max(chosen) from model.decisions").fetchall()[0][0]
    print(f"MAP@12, mean over customers of {folds} test anchors; difference to the best single recommender")
    print("with its paired 95 % bootstrap interval:\n")
    print(table.to_string(index=False, float_format="{:.4f}".format))
    print(f"\nThe simplest model that none is proven to beat: {chosen}")
    return 0


def _run_job(name: str, settings: Settings, as_of: date | None, untouched: str) -> date | None:
    """Run one job for one week with a progress line; the week, or None when it failed (and says why)."""
    if as_of is not None and as_of.weekday() != 0:
        raise SettingsError(f"--as-of {as_of} is not a Monday: weeks start on Monday.")
    dagster_home(settings)
    print(f"Reading settings and definitions (data: {settings.data_dir()}).", flush=True)
    from recs_assets.defs import build_definitions

    deployment = Deployment.from_settings(settings)
    deployment.suppression()
    week = deployment.checked(as_of or deployment.newest_week())
    job = build_definitions(settings).resolve_job_def(name)
    run_id = str(uuid.uuid4())
    print(f"Week {week}, source {deployment.source.name}, run {run_id}.", flush=True)
    if settings.gate_override is not None:
        print(f"Gates that fail let this run through: {settings.gate_override}", flush=True)
    started = time.monotonic()
    log = settings.home / "logs" / f"{run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            dg.DagsterInstance.get() as instance,
            Progress(instance, run_id, len(job.graph.node_dict), sys.stdout),
            log.open("w", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),  # dbt's own lines; the progress line says where the run is
        ):
            fcntl.flock(file, fcntl.LOCK_EX)  # until this process ends, however it ends
            fail_killed_runs(instance, log.parent)
            result = job.execute_in_process(
                partition_key=week.isoformat(),
                instance=instance,
                run_id=run_id,
                raise_on_error=False,
                # The progress line replaces Dagster's own on the terminal; the UI keeps every event.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
    except (OSError, OperationalError) as error:
        # Dagster keeps its records in SQLite; a disk that refuses them ends the run from outside its steps.
        said = " ".join(str(getattr(error, "orig", error)).split()).rstrip(".")
        print(f"Week {week} failed after {time.monotonic() - started:.0f} s; {untouched}.", file=sys.stderr)
        print(
            f"Error: {os.environ['DAGSTER_HOME']} or {log} cannot be written ({said}): make room on the disk or "
            "repair the cause, then run the week again.",
            file=sys.stderr,
        )
        return None
    seconds = time.monotonic() - started
    if not result.success:
        print(f"Week {week} failed after {seconds:.0f} s; {untouched}.", file=sys.stderr)
        for sentence in failures(result):
            print(f"Error: {sentence}", file=sys.stderr)
        print(f"Details: {log}, or the run in the Dagster UI (make dev).", file=sys.stderr)
        return None
    print(f"\nWeek {week} done in {seconds:.0f} s, peak memory {_peak_bytes() / 1e9:.1f} GB.\n", flush=True)
    return week


def fail_killed_runs(instance: dg.DagsterInstance, logs: Path) -> list[str]:
    """Mark as failed every run of this command that says STARTED and whose process is gone; their ids.

    Dagster's run monitoring sees the processes that Dagster launched, and a started run counts against
    the writer's pool. A run of this command holds a lock on its log file, which a kill -9 frees.

    Args:
        instance: Dagster's records.
        logs: folder with `<run>.log`; runs without one there are left alone.
    """
    found = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        log = logs / f"{run.run_id}.log"
        if not log.exists():
            continue
        with log.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            instance.report_run_failed(run, "The process of this run was killed: run the week again.")
        found.append(run.run_id)
    return found


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
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
            kind, message = _said(event.step_failure_data.error)
            if kind == CHECK_FAILED and event.step_key in checks:
                sentences.extend(checks[event.step_key])
            elif kind in DISK_ERRORS:
                said = message.partition(": ")[2].rstrip(".")
                disk.append(
                    f"{event.step_key}: the disk refuses ({said}): make room on it or repair the cause, then "
                    "run the week again."
                )
            else:
                sentences.append(f"{event.step_key}: {message}")
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            outside.append(_said(event.job_failure_data.error)[1])
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                asset = check.asset_key.to_user_string()
                checks.setdefault(event.step_key, []).append(
                    check.description or f"{asset}: {check.check_name} failed."
                )
    return sentences + disk[:1] or outside


def _said(error: SerializableErrorInfo | None) -> tuple[str | None, str]:
    """The class of the error behind Dagster's own, and the first line of what it says; an error of
    this project says it without its class."""
    while error is not None and error.cause is not None and error.cls_name in DAGSTER_WRAPPERS:
        error = error.cause
    if error is None:
        return None, "no message"
    message = error.message.strip().splitlines()[0]
    if error.cls_name in {kind.__name__ for kind in (RecsError, *_subclasses(RecsError))}:
        message = message.partition(": ")[2]
    return error.cls_name, message


def _subclasses(kind: type[RecsError]) -> list[type[RecsError]]:
    return [one for child in kind.__subclasses__() for one in (child, *_subclasses(child))]


class Progress:
    """A line per finished step and, on a terminal, a running one for the step at work.

    Steps are read from the run's event log, so the line tells what Dagster knows.
    """

    def __init__(self, instance: dg.DagsterInstance, run_id: str, steps: int, out: TextIO) -> None:
        self._instance = instance
        self._run_id = run_id
        self._steps = steps
        self._out = out
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._done = 0
        self._started: dict[str, float] = {}
        self._cursor: str | None = None

    def __enter__(self) -> Progress:
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._read()

    def _watch(self) -> None:
        last_beat = 0.0
        while not self._stop.wait(0.5):
            self._read()
            beat = 1.0 if self._out.isatty() else 3.0
            if time.monotonic() - last_beat >= beat:
                last_beat = time.monotonic()
                self._beat()

    def _read(self) -> None:
        if not self._instance.has_run(self._run_id):
            return
        found = self._instance.get_records_for_run(self._run_id, self._cursor, STEP_EVENTS)
        self._cursor = found.cursor
        for record in (one.event_log_entry for one in found.records):
            event = record.dagster_event
            key = event.step_key or ""
            if event.event_type == dg.DagsterEventType.STEP_START:
                self._started[key] = record.timestamp
                continue
            self._done += 1
            word = {
                dg.DagsterEventType.STEP_SUCCESS: "done",
                dg.DagsterEventType.STEP_FAILURE: "FAILED",
            }.get(event.event_type, "skipped")
            took = record.timestamp - self._started.pop(key, record.timestamp)
            self._say(f"[{self._done:>2}/{self._steps}] {key} {word} in {took:.1f} s\n")

    def _beat(self) -> None:
        elapsed = time.monotonic() - self._begin
        now = ", ".join(self._started) or "starting"
        memory = psutil.Process().memory_info().rss / 1e9
        line = f"[{self._done:>2}/{self._steps}] {now} ... {elapsed:.0f} s, {memory:.1f} GB"
        self._say(line if self._out.isatty() else line + "\n")

    def _say(self, text: str) -> None:
        if self._out.isatty():
            width = shutil.get_terminal_size().columns
            text = "\r\033[K" + (text if text.endswith("\n") else text[: width - 1])
        self._out.write(text)
        self._out.flush()


def print_summary() -> None:
    """Five lines (what is sent, by which model and why, what it should sell, what to look at, where it is), then what
    is behind them: campaigns, prices, consent, the evaluation, three recommendations, the UI."""
    deployment = Deployment.from_settings(Settings())
    warehouse = deployment.warehouse()
    with warehouse.snapshot() as connection:
        week = warehouse.newest_published()
        customers, eligible, listed = connection.execute(
            """
            select count(*), count(*) filter (where email_eligible),
                   (select count(distinct customer_id) from recs.email_recommendations where as_of = $week)
            from recs.customers
            """,
            {"week": week},
        ).fetchall()[0]
        metrics = connection.execute(
            "select * from recs.model_metrics where as_of = $week", {"week": week}
        ).df()
        decisions = connection.execute(
            "select * from recs.model_decisions where as_of = $week order by step", {"week": week}
        ).df()
        failed = connection.execute(
            """
            select gate, sentence, reason from recs.gates
            where as_of = $week and not passed and gate not in ('baselines', 'consent') order by gate, subject
            """,
            {"week": week},
        ).fetchall()
        unexplained = unknown_states(connection, "recs.order_states")
        campaigns = connection.execute(
            """
            select campaign, sum(customers) filter (where outcome = 'selected') as selected
            from recs.campaign_outcomes where as_of = $week group by campaign order by campaign
            """,
            {"week": week},
        ).fetchall()
        promised = connection.execute(
            """
            select campaign, max(window_days), sum(p_purchase), sum(p_purchase * (1 - p_purchase))
            from recs.email_recommendations where as_of = $week and p_purchase is not null
            group by campaign having sum(p_purchase) > 0 order by campaign
            """,
            {"week": week},
        ).fetchall()
        kept = connection.execute(
            "select actual_purchases / forecast_purchases from recs.forecasts where forecast_purchases > 0"
        ).fetchall()
        ratios = {
            name: [one for (one,) in kept]
            + changes_of_demand(connection, week, days, deployment.horizon_days)
            for name, days, *_ in promised
        }
        samples = connection.execute(
            """
            with picked as (
                select campaign, customer_id, row_number() over (order by campaign = 'weekly_email' desc, md5(customer_id)) as place
                from (select distinct campaign, customer_id from recs.email_recommendations where as_of = $week)
            )
            select slot, coalesce(title, email.product_id), price, price_kind, price_from, currency, score,
                reason_text
            from recs.email_recommendations as email join picked using (campaign, customer_id)
            where as_of = $week and place <= 3 and slot = place
            order by place
            """,
            {"week": week},
        ).fetchall()
        notes = money_sentences(connection, deployment.source)
        notes += not_product_sentences(connection, deployment.source)
        notes += wholesale_sentences(connection, deployment.source)

    folders = {name: folder_of(warehouse, week, name) for name, _ in campaigns}
    facts = {name: facts_of(folder) for name, folder in folders.items() if folder.exists()}
    warnings = [f"Campaign {name}: {text}" for name, found in facts.items() for text in attention(found)]
    for gate, sentence, reason in failed:
        what = "warns" if gate == "forecast" else "refused the new ranker"
        what = what if reason is None else f"is overridden ({reason})"
        warnings.append(f"Gate {gate} {what}: {sentence}")
    warnings += [unexplained] if unexplained else []

    for line in headline(
        week,
        (listed, eligible, customers),
        dict(campaigns),
        verdict(decisions),
        promised,
        ratios,
        warnings,
    ):
        print(line)
    print(f"Published: {warehouse.snapshot_path} (schema recs; any DuckDB client, read-only)")
    print(f"Caches:    {warehouse.home / 'cache' / 'current'}\n")
    for text in warnings:
        print(text)
    for name, found in facts.items():
        for text in said(found):
            if text not in attention(found):
                print(f"Campaign {name}: {text}")
    for text in [*list_unknown_storefront_names(deployment, warehouse, week), *notes]:
        print(text)
    for sentence in warehouse.consent_sentences(week):
        print(f"Consent:   {sentence}")
    print()
    print(summary_markdown(metrics))
    print("\nThree recommendations, and why:")
    for slot, name, price, kind, lowest, currency, score, reason in samples:  # whose, no log needs to know
        shown = f" from {money(lowest, currency)}" if kind == VARIES else f" at {money(price, currency)}"
        shown = "" if price is None else shown
        print(f"  slot {slot}: {name}{shown} (score {score:.3f}) - {reason}")
    print("\nLook around:  make dev   (Dagster UI on http://127.0.0.1:3000)")


def headline(
    week: date,
    people: tuple[int, int, int],
    campaigns: Mapping[str, int],
    decision: str,
    promised: Sequence[tuple[str, int, float, float]],
    ratios: Mapping[str, Sequence[float]],
    warnings: Sequence[str],
) -> list[str]:
    """What somebody who has ten seconds should know of a week, in four lines.

    Args:
        week: that is published.
        people: customers with an email list, eligible customers, all customers.
        campaigns: name -> customers that it reaches.
        decision: the sentence about the model that makes the lists.
        promised: of every campaign with probabilities its name, window in days, sum of p, sum of p * (1 - p).
        ratios: of every campaign: purchases made divided by purchases promised, of windows that are over, and demand
            divided by demand one horizon before.
        warnings: sentences, the weightiest first.
    """
    listed, eligible, customers = people
    reached = ", ".join(f"{name} ({int(count):,})" for name, count in campaigns.items()) or "none"
    expected = []
    for name, days, total, variance in promised:
        low, high = interval(total, variance, ratios.get(name, ()))
        expected.append(f"{name} {total:,.0f} purchases within {days} days ({low:,.0f} to {high:,.0f})")
    more = f" And {len(warnings) - 1} more below." if len(warnings) > 1 else ""
    return [
        f"Sent:      Week {week}: {listed:,} of {eligible:,} eligible customers (of {customers:,}) got an email list. "
        f"Campaigns: {reached}.",
        f"Made by:   {decision}",
        f"Expected:  {'; '.join(expected) or 'no campaign says how likely its products are bought'}.",
        f"Look at:   {warnings[0]}{more}"
        if warnings
        else "Look at:   Nothing: every gate passed, every file fits.",
    ]


def verdict(decisions: pd.DataFrame) -> str:
    """One sentence: which model makes the lists, and what the data say for it.

    Args:
        decisions: one week of recs.model_decisions, by step; at least one row.
    """
    return decision_sentence(decisions, decisions["chosen"].iloc[0])


def _peak_bytes() -> int:
    import resource

    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) * (1 if sys.platform == "darwin" else 1024)
