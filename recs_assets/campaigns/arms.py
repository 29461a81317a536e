"""Who of a campaign gets which lists while experiments run.

An arm of an experiment is the campaign with some keys of its file changed. Customers who are in the same arms get their
lists from one variant of it; where no experiment changes anything for them, that is the campaign as its file says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from recs_assets import yaml_file
from recs_assets.campaigns.file import CHANGEABLE, Campaign
from recs_assets.campaigns.made import read_table
from recs_assets.campaigns.versions import list_taken
from recs_assets.delivery import HOLDOUT, assign_arms
from recs_assets.experiments.facts import Facts
from recs_assets.experiments.file import Experiment, ExperimentError, Folder, assign, can_share_customers
from recs_assets.experiments.moments import Values
from recs_assets.queries.syntax import QueryError
from recs_assets.schema import WarehouseError
from recs_assets.week.week import Week

ASSIGNED = ["experiment", "customer_id", "arm"]


@dataclass(frozen=True)
class Variant:
    """The campaign as some customers get it.

    Attributes:
        campaign: with the changes of their arms.
        customers: int64 codes, ascending.
    """

    campaign: Campaign
    customers: np.ndarray


@dataclass(frozen=True)
class Arms:
    """The arms of every customer of a campaign at one week.

    Attributes:
        experiments: those that run.
        arm: object[n_customers] per experiment; None: takes no part.
        shown: object[n_customers], the arm that rows carry: of the first experiment that they take part in, else of the
            campaign's own file, and holdout wherever one of them says so.
    """

    experiments: tuple[Experiment, ...]
    arm: dict[str, np.ndarray]
    shown: np.ndarray

    def tabulate(self, asked: np.ndarray, customer_ids: np.ndarray) -> pd.DataFrame:
        """Who takes part: experiment, customer_id, arm.

        Args:
            asked: bool[n_customers], for whom the campaign is.
            customer_ids: of all customers.
        """
        parts = [
            pd.DataFrame(
                {
                    "experiment": experiment.name,
                    "customer_id": customer_ids[there],
                    "arm": self.arm[experiment.name][there],
                }
            )
            for experiment in self.experiments
            for there in [asked & pd.notna(self.arm[experiment.name])]
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=ASSIGNED, dtype="str")


def find_running(experiments: Iterable[Experiment], campaign: str, as_of: date) -> tuple[Experiment, ...]:
    """The experiments of a campaign that run in a week."""
    return tuple(one for one in experiments if one.campaign == campaign and one.starts <= as_of < one.ends)


def place_arms(
    campaign: Campaign, running: Sequence[Experiment], customer_ids: np.ndarray, earlier: pd.DataFrame
) -> Arms:
    """The arm of every customer: the one they were given first, whatever the file says since.

    Args:
        campaign: as its file says.
        running: its experiments.
        customer_ids: object[n_customers].
        earlier: experiment, customer_id, arm as they were published before the week.
    """
    index = pd.Index(customer_ids)
    shown = assign_arms(customer_ids, campaign.name, campaign.arms).astype(object)
    arm: dict[str, np.ndarray] = {}
    for experiment in reversed(running):  # the first one has the last word
        own = np.full(len(index), None, dtype=object)
        of_file = assign(experiment, customer_ids)
        own[index.get_indexer(of_file["customer_id"])] = of_file["arm"].to_numpy(object)
        before = earlier[earlier["experiment"] == experiment.name]
        at = index.get_indexer(before["customer_id"])
        own[at[at >= 0]] = before["arm"].to_numpy(object)[at >= 0]
        arm[experiment.name] = own
        there = pd.notna(own) & ((shown != HOLDOUT) | (own == HOLDOUT))
        shown[there] = own[there]
    return Arms(tuple(running), arm, shown)


def list_variants(campaign: Campaign, arms: Arms) -> list[Variant]:
    """The campaign as its file says, for everybody whom no arm changes it for, then one variant per combination of
    arms that change something."""
    columns = {
        experiment.name: [
            name if name in experiment.arms and experiment.arms[name].change else ""
            for name in arms.arm[experiment.name]
        ]
        for experiment in arms.experiments
    }
    everybody = np.arange(len(arms.shown))
    if not columns:
        return [Variant(campaign, everybody)]
    groups = pd.DataFrame(columns).groupby(list(columns), sort=True).indices
    base = tuple("" for _ in columns)
    keyed = {key if isinstance(key, tuple) else (key,): rows for key, rows in groups.items()}
    variants = [Variant(campaign, np.sort(keyed.pop(base, everybody[:0])))]
    for names, rows in keyed.items():
        changes = [
            experiment.arms[name].change
            for experiment, name in zip(arms.experiments, names, strict=True)
            if name
        ]
        variants.append(Variant(campaign.change(*changes), np.sort(rows)))
    return variants


def check_changes(folder: Path, found: Folder, campaigns: Mapping[str, Campaign]) -> Folder:
    """The experiments whose changes make campaigns; the others are errors beside those of the folder."""
    good: dict[str, Experiment] = {}
    errors = []
    for name, experiment in found.experiments.items():
        problem = _find_problem(experiment, campaigns)
        beside = (_find_conflict(experiment, other, campaigns) for other in good.values())
        problem = problem or next(filter(None, beside), None)
        if problem is None:
            good[name] = experiment
            continue
        place, sentence = problem
        path = folder / f"{name}.yaml"
        _, lines = yaml_file.read(path, ("an experiment", "docs/experiments.md"), ExperimentError)
        errors.append(ExperimentError(path, lines.find(place), f"{'.'.join(place)}: {sentence}"))
    return Folder(good, (*found.errors, *errors))


def _find_problem(
    experiment: Experiment, campaigns: Mapping[str, Campaign]
) -> tuple[tuple[str, ...], str] | None:
    """Place and sentence of what is wrong with an experiment beside the campaigns; None where nothing is."""
    campaign = campaigns.get(experiment.campaign)
    if campaign is None:
        names = ", ".join(campaigns) or "none"
        return ("campaign",), f"there is no campaign {experiment.campaign}; there are {names}."
    if not campaign.lists_products:
        return ("campaign",), f"{campaign.name} fills no slots, so its arms cannot differ; name an email."
    if experiment.name in campaigns:
        return ("name",), (
            f"a campaign is called {experiment.name}, too, and its own arms are drawn by that name; take another."
        )
    for name, arm in experiment.arms.items():
        place = ("arms", name, "change")
        if unknown := sorted(set(arm.change) - set(CHANGEABLE)):
            return (*place, unknown[0]), f"no arm can change it; arms can change {', '.join(CHANGEABLE)}."
        inside, problem = _try_change(campaign, arm.change)
        if problem:
            return (*place, *inside), problem
        if arm.change and campaign.change(arm.change) == campaign.change():
            return place, f"{campaign.name} says so already; change something, or remove it."
    return None


def _find_conflict(
    one: Experiment, other: Experiment, campaigns: Mapping[str, Campaign]
) -> tuple[tuple[str, ...], str] | None:
    """Place and sentence of arms of two experiments that make no campaign together."""
    if one.campaign != other.campaign or not can_share_customers(one, other):
        return None
    campaign = campaigns[one.campaign]
    for experiment in (one, other):
        # A row names one arm, and all lists of an arm have as many slots.
        if any(campaign.change(arm.change).slots.k != campaign.slots.k for arm in experiment.arms.values()):
            beside = other.name if experiment is one else one.name
            return ("arms",), (
                f"{experiment.name} changes how many slots {campaign.name} has, and may share customers with {beside}; give both "
                "experiments one layer with customers of their own."
            )
    for (name, arm), (theirs, beside) in product(one.arms.items(), other.arms.items()):
        _, problem = _try_change(campaign, beside.change, arm.change)
        if problem:
            return ("arms", name), (
                f"some customers are in arm {theirs} of {other.name}, too, and with both changes {problem.rstrip('.')}; give "
                "both experiments one layer with customers of their own."
            )
    return None


def _try_change(campaign: Campaign, *changes: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Place and sentence of the first thing that is wrong with the changed campaign; "" where nothing is."""
    try:
        campaign.change(*changes)
    except QueryError as error:
        return ("query",), error.sentence
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        return tuple(map(str, first["loc"])), f"{message[:1].lower()}{message[1:].rstrip('.')}; correct it."
    return (), ""


def collect_assigned(week: Week) -> pd.DataFrame:
    """Whom the campaigns that were made of a week are for, as far as experiments run: experiment, customer_id, arm."""
    parts = [read_table(folder, "assigned") for folder in list_taken(week)]
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame(columns=ASSIGNED, dtype="str")


def count_slots_by_arm(
    experiments: Iterable[Experiment], campaigns: Mapping[str, Campaign]
) -> dict[tuple[str, str], int]:
    """(experiment, arm) -> slots of its lists."""
    return {
        (experiment.name, name): campaigns[experiment.campaign].change(arm.change).slots.k
        for experiment in experiments
        for name, arm in experiment.arms.items()
    }


def load_past(week: Week, experiment: Experiment) -> Values:
    """The primary metric of the customers whom a campaign reached in a published week, as if the experiment had run before it.

    Raises:
        WarehouseError: the campaign reached nobody.
    """
    with week.read_with_snapshot() as connection:
        reached = connection.execute(
            """
            select distinct customer_id from published.recs.campaign_customers
            where campaign = ? and outcome in ('selected', 'holdout', 'too_few_products', 'nothing_predicted') order by customer_id
            """,
            [experiment.campaign],
        ).df()
        if reached.empty:
            raise WarehouseError(
                f"The week {week.as_of} sends nothing of {experiment.campaign}, so there is no past to plan with: make the "
                f"campaign first (python -m recs_assets campaign {experiment.campaign})."
            )
        [(slots,)] = connection.execute(
            "select coalesce(max(slot), 0) from published.recs.email_recommendations where campaign = ? and as_of = ?",
            [experiment.campaign, week.as_of],
        ).fetchall()
        starts = week.as_of - timedelta(weeks=experiment.weeks)
        before = experiment.before_weeks
        facts = Facts(
            connection, week.as_of, experiment.campaign, starts, before, reached.assign(slots=slots)
        )
        try:
            return facts.read(experiment.primary)
        finally:
            facts.close()
