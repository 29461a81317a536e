"""What is watched: the metrics, and a figure of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recs_assets.evaluation.verdict import format_number, format_percent

AREAS = ("data", "model", "lists", "people")
# Everything of a metric, in tables.
ALL = "all"


@dataclass(frozen=True)
class Metric:
    """What a metric is.

    Attributes:
        area: of `AREAS`.
        text: the figure in a sentence; {subject} and {value} are filled in.
        unit: how its value is written.
        parts: how many of something there are of so many: its reference is that of all earlier weeks together, and
            the change has an interval.
    """

    area: str
    text: str
    unit: Literal["number", "share"] = "number"
    parts: bool = False

    def format(self, value: float) -> str:
        return format_percent(value) if self.unit == "share" else format_number(value)


METRICS: dict[str, Metric] = {
    "rows": Metric("data", "{subject} has {value} rows"),
    "drift": Metric("data", "{subject} is distributed otherwise than in the last published week by {value} (PSI)"),
    "drift_horizon": Metric("data", "{subject} is distributed otherwise than one horizon ago by {value} (PSI)"),
    "unseen": Metric("data", "{subject}: {value} of the rows have a value that the last published week did not have", "share"),
    "cold_customers": Metric("data", "{value} of the customers have bought nothing yet", "share", True),
    "cold_products": Metric("data", "{value} of the products on sale were never sold", "share", True),
    "score_drift": Metric("model", "{subject} is distributed otherwise than in the last published week by {value} (PSI)"),
    "forecast": Metric("model", "{subject}: {value} times as many purchases were promised as were made"),
    "calibration": Metric("model", "{subject}: probabilities and purchases differ by {value} of the purchases", "share"),
    "map": Metric("model", "MAP of {subject} is {value}"),
    "ndcg": Metric("model", "NDCG of {subject} is {value}"),
    "recall": Metric("model", "Recall of {subject} is {value}"),
    "hits": Metric("model", "{value} of the buyers ({subject}) bought something of their list", "share", True),
    "coverage": Metric("lists", "{subject}: the lists show {value} of the products on sale", "share"),
    "novelty": Metric("lists", "{subject}: the novelty of the lists is {value} bits"),
    "sameness": Metric("lists", "{subject}: two customers have {value} of their lists in common", "share"),
    "gini": Metric("lists", "{subject}: the Gini coefficient of the products' places is {value}"),
    "churn": Metric("lists", "{subject}: {value} of a customer's products are others than in the last published week", "share"),
    "slots": Metric("lists", "{subject}: {value} of the slots", "share"),
    "nothing": Metric("lists", "{subject}: {value} of the customers get nothing", "share", True),
    "ctr": Metric("people", "{subject}: {value} of what was shown was clicked", "share", True),
    "unsubscribes": Metric("people", "{subject}: {value} of the sends were answered by an unsubscribe", "share", True),
    "complaints": Metric("people", "{subject}: {value} of the sends were complained of", "share", True),
    "bounces": Metric("people", "{subject}: {value} of the sends bounced", "share", True),
    "fatigue": Metric("people", "{subject}: each further showing of a product is clicked {value} times as often as the one before"),
    "discovery": Metric("people", "{subject}: discovery is clicked {value} times as often as the rest"),
    "max_repeat": Metric("people", "{subject}: slots.max_repeat is {value}"),
    "discovery_share": Metric("people", "{subject}: slots.discovery_share is {value}"),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One figure of a week.

    Attributes:
        metric: key of `METRICS`.
        subject: a table, column, list, campaign, ...; "depth:1-2" is the group 1-2 of the kind depth.
        value: None where there was nothing to measure.
        count: what it rests upon: rows, customers, sends; None where that is no question.
        error: standard error of the value, where known; parts of a whole have their own.
        reference: what it is compared with, where that is not its own history.
        weeks: behind such a reference.
        chance: by how much the value may lie beyond its limits by chance alone.
        note: one more sentence.
    """

    metric: str
    subject: str
    value: float | None
    count: int | None = None
    error: float | None = None
    reference: float | None = None
    weeks: int | None = None
    chance: float = 0.0
    note: str = ""

    @property
    def kind(self) -> str | None:
        """Of its group; None where it is of no group."""
        kind, found, _ = self.subject.partition(":")
        return kind if found and " " not in kind else None
