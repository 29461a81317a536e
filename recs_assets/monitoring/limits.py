"""The limits of the monitor (`recs_assets/monitor.yaml`); `docs/monitoring.md` explains each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recs_assets.monitoring.figures import METRICS

Worse = Literal["up", "down", "both"]
By = Literal["value", "ratio", "difference"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Limit(_Model):
    """From where on one metric is watched, and from where on it is an alert."""

    worse: Worse
    by: By
    watch: Annotated[float, Field(ge=0)]
    alert: Annotated[float, Field(ge=0)]
    min_count: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        falls = self.worse == "down" and self.by == "value"
        if (self.alert > self.watch) if falls else (self.alert < self.watch):
            raise ValueError(f"alert {self.alert} comes before watch {self.watch}")
        if self.worse == "both" and self.by == "value":
            raise ValueError(
                "a value that is bad both ways needs a reference; take by: ratio or by: difference"
            )
        return self

    def find_range(self, reference: float, step: float) -> tuple[float | None, float | None]:
        """The smallest and the largest value within a step (`watch` or `alert`); None for any.

        >>> Limit(worse="both", by="ratio", watch=1, alert=4).find_range(10.0, 1)
        (5.0, 20.0)
        """
        if self.by == "value":
            low = high = step
        elif self.by == "ratio":
            low, high = reference / (1 + step), reference * (1 + step)
        else:
            low, high = reference - step, reference + step
        return (None if self.worse == "up" else low, None if self.worse == "down" else high)


class History(_Model):
    """Earlier published weeks: how many are compared with, at most and at least."""

    weeks: Annotated[int, Field(ge=1)]
    least: Annotated[int, Field(ge=1)]


class Bins(_Model):
    """How coarse a distribution is kept."""

    numbers: Annotated[int, Field(ge=2)]
    values: Annotated[int, Field(ge=1)]
    min_rows: Annotated[int, Field(ge=2)]


class Limits(_Model):
    """Every limit (recs_assets/monitor.yaml)."""

    history: History
    recent_days: Annotated[int, Field(ge=1)]
    list_length: Annotated[int, Field(ge=1)]
    sample_rows: Annotated[int, Field(ge=100)]
    sample_lists: Annotated[int, Field(ge=100)]
    bins: Bins
    metrics: dict[str, Limit]

    @field_validator("metrics")
    @classmethod
    def _check_names(cls, value: dict[str, Limit]) -> dict[str, Limit]:
        if unknown := sorted(value.keys() - METRICS.keys()):
            raise ValueError(f"there is no metric {unknown[0]}; the metrics are {', '.join(METRICS)}")
        if missing := [name for name in METRICS if name not in value]:
            raise ValueError(f"the metric {missing[0]} has no limit; add it")
        return value
