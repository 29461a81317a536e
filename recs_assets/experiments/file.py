"""One experiment is one YAML file: what is expected of whom, by which metric, and for how long.

docs/experiments.md explains the keys. `load_folder` refuses two experiments that would give one customer two values of
one key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recs_assets import yaml_file
from recs_assets.delivery import (
    HOLDOUT,
    ArmName,
    ArmShare,
    assign_arms,
    check_holdout,
    check_shares,
    place_customers,
)
from recs_assets.experiments.metrics import find_problem
from recs_assets.schema import RecsError

# Days that an experiment runs at least: two of each weekday, and a second week after the first surprise.
MINIMUM_DAYS = 14
FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Place = Annotated[float, Field(ge=0, le=1)]


class ExperimentError(yaml_file.FileError):
    """An experiment's file cannot be used."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Arm(_Model):
    """One of the ways that are compared."""

    share: ArmShare = Field(description="Of the customers.")
    change: dict[str, Any] = Field({}, description="Keys of the campaign's file, as they are in this arm.")


class Layer(_Model):
    """A part of the customers that no other experiment of the layer touches."""

    name: FileName = Field(description="The experiments that name it share the customers out among them.")
    begin: Place = Field(0.0, description="From this place on the line of the layer's customers ...")
    end: Place = Field(1.0, description="... up to this one.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.begin >= self.end:
            raise ValueError(f"end must lie above begin, which is {self.begin:g}")
        return self


class Experiment(_Model):
    """One experiment as its file says."""

    name: FileName = Field(description="Of the experiment; the file is called so, too.")
    hypothesis: Annotated[str, Field(pattern=r"\S")] = Field(description="What is expected, and why.")
    campaign: FileName = Field(description="Whose lists differ between the arms.")
    starts: date = Field(description="The first week: a Monday.")
    weeks: Annotated[int, Field(ge=1, le=52, strict=True)] = Field(
        description="Until when it runs at most. Every Monday until then is one look."
    )
    minimum_days: Annotated[int, Field(ge=1, strict=True)] = Field(
        MINIMUM_DAYS, description="Before that nothing is called better."
    )
    minimum_reason: Annotated[str, Field(pattern=r"\S")] | None = Field(
        None, description=f"Why fewer than {MINIMUM_DAYS} days are enough; it stands beside every verdict."
    )
    unit: Literal["customer"] = Field("customer", description="What is assigned to an arm.")
    primary: FileName = Field(description="The metric that decides.")
    guardrails: dict[FileName, Annotated[float, Field(ge=0, lt=1)]] = Field(
        {}, description="Metric -> by which share it may get worse before that is harm."
    )
    detectable: Annotated[float, Field(ge=0.001, lt=1)] = Field(
        description="The smallest lift that would matter, as a share: 0.05 for 5 %."
    )
    before_weeks: Annotated[int, Field(ge=1, le=52, strict=True)] = Field(
        8, description="Weeks before the start whose values of the same customer take out noise."
    )
    control: ArmName = Field(description="The arm that the others are compared with: as it is today.")
    arms: dict[ArmName, Arm] = Field(description="Arm -> share and change; customers of holdout get nothing.")
    layer: Layer | None = Field(None, description="Where experiments must not overlap.")

    @field_validator("arms")
    @classmethod
    def _check_arms(cls, value: dict[str, Arm]) -> dict[str, Arm]:
        check_shares({name: arm.share for name, arm in value.items()})
        check_holdout(value, "what the experiment sends")
        if len(value) < 2:
            raise ValueError("an experiment compares two arms or more; add one")
        return value

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if days := self.starts.weekday():
            raise ValueError(
                f"starts: an experiment starts on a Monday; take {self.starts - timedelta(days)}"
            )
        for place, name in (
            ("primary", self.primary),
            *((f"guardrails.{name}", name) for name in self.guardrails),
        ):
            if problem := find_problem(name):
                raise ValueError(f"{place}: {problem}")
        if self.minimum_days < MINIMUM_DAYS and self.minimum_reason is None:
            raise ValueError(
                f"minimum_days: fewer than {MINIMUM_DAYS} days need a reason; write minimum_reason"
            )
        if self.minimum_days >= MINIMUM_DAYS and self.minimum_reason is not None:
            raise ValueError(
                f"minimum_reason: it has no effect with {MINIMUM_DAYS} days or more; remove the key"
            )
        if 7 * self.weeks < self.minimum_days:
            raise ValueError(
                f"weeks: {7 * self.weeks} days are less than the {self.minimum_days} of minimum_days"
            )
        if self.primary in self.guardrails:
            raise ValueError(f"guardrails.{self.primary}: it is the primary metric already; remove it here")
        if self.control not in self.arms:
            raise ValueError(f"control: there is no arm {self.control}; the arms are {', '.join(self.arms)}")
        if not self.challengers:
            raise ValueError(f"arms: nothing is compared with {self.control}; add an arm")
        for name in (self.control, HOLDOUT):
            if name in self.arms and self.arms[name].change:
                raise ValueError(
                    f"arms.{name}.change: {name} is what the others are compared with; remove it"
                )
        return self

    @property
    def challengers(self) -> list[str]:
        """The arms that may win."""
        return [name for name in self.arms if name not in (self.control, HOLDOUT)]

    @property
    def shares(self) -> dict[str, float]:
        return {name: arm.share for name, arm in self.arms.items()}

    @property
    def digest(self) -> str:
        """Hash of what must not change after the start: all but words and the lift that would matter."""
        data = self.model_dump(mode="json", exclude={"hypothesis", "minimum_reason", "detectable"})
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    @property
    def ends(self) -> date:
        """The day after the last."""
        return self.starts + timedelta(weeks=self.weeks)


@dataclass(frozen=True)
class Folder:
    """The experiments of a folder: name -> experiment, and the errors of the files that are not valid."""

    experiments: dict[str, Experiment]
    errors: tuple[yaml_file.FileError, ...]


def load(path: Path) -> Experiment:
    """Read one experiment.

    Raises:
        ExperimentError: the first thing that is wrong, with its line.
    """
    data, lines = yaml_file.read(path, ("an experiment", "docs/experiments.md"), ExperimentError)
    return yaml_file.check(path, data, lines, Experiment, ExperimentError)


def load_folder(folder: Path) -> Folder:
    """Every experiment of a folder; a bad file is an error beside the good ones, and so is one that overlaps an
    experiment before it in the order of the names.

    Raises:
        RecsError: there is no such folder.
    """
    if not folder.is_dir():
        raise RecsError(f"There is no folder of experiments at {folder}: create it, or name another.")
    found, errors = yaml_file.read_each(folder, load, ExperimentError)
    kept: dict[str, Experiment] = {}
    clashes = []
    for name, experiment in found.items():
        problems = filter(None, (find_clash(experiment, other) for other in kept.values()))
        if problem := next(problems, None):
            key, sentence = problem
            path = folder / f"{name}.yaml"
            _, lines = yaml_file.read(path, ("an experiment", "docs/experiments.md"), ExperimentError)
            clashes.append(ExperimentError(path, lines.find((key,)), f"{key}: {sentence}"))
        else:
            kept[name] = experiment
    return Folder(kept, (*errors, *clashes))


def find_clash(one: Experiment, other: Experiment) -> tuple[str, str] | None:
    """Key and sentence of why the first experiment cannot run beside the second; None where it can.

    They may share customers, because each draws its arms anew, but not where both change the same key of the same
    campaign.
    """
    if not can_share_customers(one, other):
        return None
    if one.layer and other.layer and one.layer.name == other.layer.name:
        return "layer", (
            f"{other.name} has customers from {other.layer.begin:g} to {other.layer.end:g} of {one.layer.name} until "
            f"{other.ends}; take others, or start then."
        )
    keys = [
        {key for arm in experiment.arms.values() for key in flatten_keys(arm.change)}
        for experiment in (one, other)
    ]
    both = sorted(keys[0] & keys[1])
    if one.campaign == other.campaign and both:
        return "arms", (
            f"{other.name} changes {', '.join(both)} of {one.campaign} until {other.ends}, too; give both the same layer "
            "with customers of their own, or start then."
        )
    return None


def can_share_customers(one: Experiment, other: Experiment) -> bool:
    """Whether two experiments are neither apart in time nor apart in one layer."""
    if one.ends <= other.starts or other.ends <= one.starts:
        return False
    if one.layer and other.layer and one.layer.name == other.layer.name:
        return one.layer.begin < other.layer.end and other.layer.begin < one.layer.end
    return True


def flatten_keys(change: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """The keys that a change names, as in rules.max_per_brand.

    >>> list(flatten_keys({"model": "ranker", "slots": {"discovery_share": 0}}))
    ['model', 'slots.discovery_share']
    """
    for key, value in change.items():
        if isinstance(value, Mapping) and value:
            yield from flatten_keys(value, f"{place}{key}.")
        else:
            yield f"{place}{key}"


def assign(experiment: Experiment, customer_ids: Iterable[str]) -> pd.DataFrame:
    """Who takes part, and in which arm: the same in every week, whoever else is there.

    Returns:
        Columns customer_id and arm, in the order of the ids.
    """
    ids = np.array(list(customer_ids), dtype=object)
    if experiment.layer is not None:
        place = place_customers(ids, "layer", experiment.layer.name)
        ids = ids[(place >= experiment.layer.begin) & (place < experiment.layer.end)]
    return pd.DataFrame({"customer_id": ids, "arm": assign_arms(ids, experiment.name, experiment.shares)})
