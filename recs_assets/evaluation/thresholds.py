"""The thresholds of the gates (`recs_assets/gates.yaml`); `docs/gates.md` explains each."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recs_assets.schema import RAW_TABLES


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Share = Annotated[float, Field(ge=0, le=1)]


class Change(_Model):
    """How far a count may move in one direction."""

    factor: Annotated[float, Field(gt=1)]
    min_change: Annotated[int, Field(ge=1)]


class Volume(_Model):
    """Rows of the raw tables from one published week to the next."""

    drop: Change
    spike: Change
    bursts: tuple[str, ...]

    @field_validator("bursts")
    @classmethod
    def _check_tables(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in RAW_TABLES]:
            raise ValueError(f"no such raw table: {', '.join(unknown)}")
        return value


class Freshness(_Model):
    """How old the newest order may be."""

    max_age_days: Annotated[float, Field(gt=0)]
    min_orders: Annotated[int, Field(ge=1)]


class Range(_Model):
    """A share that must lie between two others."""

    low: Share
    high: Share

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class Lists(_Model):
    """What the lists must look like as a whole."""

    max_flat_share: Share
    min_distinct_scores: Annotated[int, Field(ge=2)]
    coverage: Range
    fill: Range
    max_same_share: Share


class Successor(_Model):
    """What a new ranker owes to the last one."""

    tolerance: Annotated[float, Field(ge=0)]
    min_customers: Annotated[int, Field(ge=2)]


class Forecast(_Model):
    """How far what was promised may lie from what was bought, as a ratio."""

    low: Annotated[float, Field(gt=0, le=1)]
    high: Annotated[float, Field(ge=1)]
    min_purchases: Annotated[int, Field(ge=1)]


class Gates(_Model):
    """Every threshold (recs_assets/gates.yaml)."""

    min_customers: Annotated[int, Field(ge=1)]
    volume: Volume
    freshness: Freshness
    lists: Lists
    model: Successor
    forecast: Forecast
