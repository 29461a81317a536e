"""What a week says of every experiment: who takes part, what each arm did, and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recs_assets.delivery import HOLDOUT
from recs_assets.experiments import words
from recs_assets.experiments.analysis import FADING, RESULTS, SEGMENTS, WEEKS, Analysis, analyse
from recs_assets.experiments.facts import (
    ASSIGNMENT,
    Facts,
    find_joining_weeks,
    load_assignments,
    load_counts,
    load_exposures,
    load_first_digest,
)
from recs_assets.experiments.file import Experiment, assign
from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.sample_ratio import SampleRatio, check_sample_ratio
from recs_assets.experiments.verdict import TOO_EARLY, Verdict, judge, refuse

if TYPE_CHECKING:
    import duckdb

STANDINGS = (
    *("experiment", "campaign", "arm", "role", "share", "starts", "ends", "week", "assigned", "analysed", "exposed"),
    *("verdict", "more_weeks", "sentence", "hypothesis", "primary_metric", "file_digest"),
)  # fmt: skip
_FADED = ("early", "late", "change", "change_low", "change_high")
_KEYS = ("experiment", "week", "metric", "arm", "control")
# Frame -> its columns beside as_of.
TABLES = {
    "assignments": (*ASSIGNMENT, "exposed_at"),
    "experiments": STANDINGS,
    "experiment_results": (*RESULTS, *_FADED),
    "experiment_weeks": WEEKS,
    "experiment_segments": SEGMENTS,
}


def report(
    connection: duckdb.DuckDBPyConnection,
    week: date,
    experiments: Mapping[str, Experiment],
    assigned: pd.DataFrame,
    slots: Mapping[tuple[str, str], int],
) -> dict[str, pd.DataFrame]:
    """The published tables of experiments (`TABLES`) of a week.

    An experiment is reported from its first week to the one after its last. Its assignments stay.

    Args:
        connection: to the build file of the week, with the snapshot attached.
        week: its Monday.
        experiments: by name.
        assigned: experiment, customer_id, arm of everybody whom the week's lists are for.
        slots: (experiment, arm) -> slots of its lists.
    """
    everybody = _add_assigned(load_assignments(connection, week), assigned, experiments, week)
    rows = load_exposures(connection, week, everybody)
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES if name != "assignments"}
    for experiment in experiments.values():
        if not experiment.starts <= week <= experiment.ends:
            continue
        own = rows[rows["experiment"] == experiment.name].reset_index(drop=True)
        new = everybody[(everybody["experiment"] == experiment.name) & (everybody["assigned_at"] == week)]
        counts, there = load_counts(connection, week, experiment.name), own["arm"].value_counts()
        for arm in experiment.arms:
            assigned_now = counts.get(arm, 0) + int((new["arm"] == arm).sum())
            # Of weeks that are not kept any more, those who are still there are all that is known.
            counts[arm] = max(assigned_now, int(there.get(arm, 0)))
        analysis, verdicts, ratio = _judge(connection, week, experiment, own, counts, slots)
        frames["experiments"].append(_tabulate_standings(experiment, week, own, counts, verdicts, ratio))
        if analysis is not None:
            faded = analysis.fading.reindex(columns=list(FADING))
            frames["experiment_results"].append(analysis.results.merge(faded, how="left", on=list(_KEYS)))
            frames["experiment_weeks"].append(analysis.weeks)
            frames["experiment_segments"].append(analysis.segments)
    tables = {"assignments": rows.reindex(columns=list(TABLES["assignments"]))}
    for name, parts in frames.items():
        some = [part for part in parts if len(part)]
        table = pd.concat(some, ignore_index=True) if some else pd.DataFrame()
        tables[name] = table.reindex(columns=list(TABLES[name])).assign(as_of=week)
    return tables


def _add_assigned(
    earlier: pd.DataFrame, assigned: pd.DataFrame, experiments: Mapping[str, Experiment], week: date
) -> pd.DataFrame:
    """Who was assigned before, and after them whoever is new: columns `ASSIGNMENT`, assigned_at as date."""
    there = pd.MultiIndex.from_frame(earlier[["experiment", "customer_id"]].astype(object))
    asked = pd.MultiIndex.from_frame(assigned[["experiment", "customer_id"]].astype(object))
    # What was made with a file that is gone, or is none any more, assigns nobody.
    new = assigned[~asked.isin(there) & assigned["experiment"].isin(list(experiments)).to_numpy()]
    new = new.assign(
        campaign=[experiments[name].campaign for name in new["experiment"]], assigned_at=pd.Timestamp(week)
    )
    both = pd.concat([part for part in (earlier, new[list(ASSIGNMENT)]) if len(part)] or [earlier])
    dates = pd.to_datetime(both["assigned_at"]).dt.date
    return both.assign(assigned_at=dates).reset_index(drop=True)


def _judge(
    connection: duckdb.DuckDBPyConnection,
    week: date,
    experiment: Experiment,
    everybody: pd.DataFrame,
    counts: Mapping[str, int],
    slots: Mapping[tuple[str, str], int],
) -> tuple[Analysis | None, list[Verdict], SampleRatio]:
    """The analysis, None in the first week, the verdicts and whether the arms have their customers."""
    # An arm that the file does not have any more is nobody's to judge.
    own = everybody[everybody["arm"].isin(experiment.arms)].reset_index(drop=True)
    ratio = check_sample_ratio(experiment.shares, counts, own["arm"].value_counts().to_dict())
    if changed := _find_change(connection, week, experiment, everybody):
        ratio = replace(ratio, problem=f"{changed} after its start; give the changed one a new name")
    over = (week - experiment.starts).days // 7
    if ratio.problem is not None and (over == 0 or own.empty):
        return None, [refuse(arm, ratio.problem) for arm in experiment.challengers], ratio
    if over == 0:
        least = _find_least(experiment)
        sentence = f"Too early: needs {words.weeks(least)}."
        return None, [Verdict(arm, TOO_EARLY, sentence, least) for arm in experiment.challengers], ratio
    customers = own[["customer_id"]].assign(
        slots=[slots.get((experiment.name, arm), 0) for arm in own["arm"]]
    )
    facts = Facts(
        connection, week, experiment.campaign, experiment.starts, experiment.before_weeks, customers
    )
    try:
        analysis = analyse(
            experiment,
            over,
            own["arm"].to_numpy(object),
            facts.read,
            joined=find_joining_weeks(experiment, own["assigned_at"]),
            segments=facts.load_segments(),
            others=METRICS,
        )
    finally:
        facts.close()
    return analysis, judge(experiment, analysis, ratio), ratio


def _find_least(experiment: Experiment) -> int:
    return -(-experiment.minimum_days // 7)


def _find_change(
    connection: duckdb.DuckDBPyConnection, week: date, experiment: Experiment, own: pd.DataFrame
) -> str:
    """What was changed since the experiment began; "" where nothing was."""
    now = assign(experiment, own["customer_id"]).set_index("customer_id")["arm"]
    moved = int((now.reindex(own["customer_id"]).to_numpy(object) != own["arm"].to_numpy(object)).sum())
    if moved:
        return f"by its file {moved:,} customers would be in another arm than they are, so it was changed"
    first = load_first_digest(connection, week, experiment.name)
    return "" if first in (None, experiment.digest) else "its file was changed"


def _tabulate_standings(
    experiment: Experiment,
    week: date,
    own: pd.DataFrame,
    counts: Mapping[str, int],
    verdicts: list[Verdict],
    ratio: SampleRatio,
) -> pd.DataFrame:
    """One row per arm."""
    by_arm = {verdict.arm: verdict for verdict in verdicts}
    lines = []
    for name, arm in experiment.arms.items():
        mine, verdict = own[own["arm"] == name], by_arm.get(name)
        role = "control" if name == experiment.control else "holdout" if name == HOLDOUT else "challenger"
        lines.append(
            {
                "experiment": experiment.name,
                "campaign": experiment.campaign,
                "arm": name,
                "role": role,
                "share": arm.share,
                "starts": experiment.starts,
                "ends": experiment.ends,
                "week": min((week - experiment.starts).days // 7, experiment.weeks),
                "assigned": counts.get(name, 0),
                "analysed": len(mine),
                "exposed": int(mine["exposed_at"].notna().sum()),
                "verdict": None if verdict is None else verdict.kind,
                "more_weeks": np.nan if verdict is None or verdict.more_weeks is None else verdict.more_weeks,
                "sentence": ratio.problem if verdict is None else verdict.sentence,
                "hypothesis": experiment.hypothesis,
                "primary_metric": experiment.primary,
                "file_digest": experiment.digest,
            }
        )
    return pd.DataFrame(lines, columns=list(STANDINGS))
