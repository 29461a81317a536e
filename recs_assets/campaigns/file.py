"""One campaign is one YAML file: what to predict, for whom, when, under which rules.

A file is read as a typed, immutable model that refuses unknown keys; every error is one sentence
with the file and the line. `load_folder` keeps good campaigns apart from bad ones, so that one bad
file stops nothing but its own campaign. docs/campaigns.md explains the keys.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from recs_assets import yaml_file
from recs_assets.audit.segments import SEGMENTS, TIERS
from recs_assets.campaigns.contradictions import (
    drop_overruled,
    list_places,
    refuse_against_view,
    refuse_contradictions,
    refuse_idle_keys,
    refuse_useless_segments,
)
from recs_assets.cron import cron_problem, earliest_weekday
from recs_assets.delivery import HOLDOUT, ArmName, ArmShare, check_holdout, check_shares
from recs_assets.names import find_nearest, fold, is_time_zone
from recs_assets.queries.catalogue import CUSTOMER, Catalogue
from recs_assets.queries.compiler import find_horizon
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import Query, QueryError
from recs_assets.queries.validation import item_column, validate
from recs_assets.recommenders import REGISTRY
from recs_assets.rules.collisions import find_collisions
from recs_assets.rules.config import (
    Eligibility,
    ItemRules,
    Name,
    Rules,
    SegmentBy,
    SegmentRules,
    Share,
    Slots,
)
from recs_assets.rules.context import Context
from recs_assets.rules.contradictions import refuse_idle_due
from recs_assets.schema import RecsError

FOLDER = Path(__file__).parent
# What an arm or a shadow may change: the list, and who gets it. When emails leave, and what their links say, is one for all.
CHANGEABLE = ("query", "view", "model", "eligibility", "rules", "slots", "segments", "segment_by")
# What may make a campaign's lists, by the name that a file gives it.
MODELS = ("ranker", "blend", "fused_lists", *REGISTRY)
View = Literal["all", "new", "repeat"]
Export = Literal["long", "wide", "feed", "addresses", "klaviyo", "braze", "mailchimp", "webhook"]
# Segments whose names do not depend on the shop, by `segment_by`.
NAMED_SEGMENTS = {"rfm": SEGMENTS, "value": TIERS}

# Days: longer than any shop remembers.
EVER = 36_500
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class CampaignError(yaml_file.FileError):
    """A campaign file cannot be used."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Schedule(_Model):
    """When the campaign is made."""

    cron: str = Field(description="Five fields: minute, hour, day of the month, month, day of the week.")
    timezone: str | None = Field(None, description="IANA time zone; without one, the shop's.")

    @field_validator("cron")
    @classmethod
    def _check_cron(cls, value: str) -> str:
        if problem := cron_problem(value):
            raise ValueError(problem)
        return value

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str | None) -> str | None:
        if value is not None and not is_time_zone(value):
            raise ValueError(f"there is no time zone {value}; use an IANA name like Europe/Berlin")
        return value

    @property
    def is_weekly(self) -> bool:
        """Every Monday and on no other day: the weekly run makes such campaigns."""
        _, _, day, month, weekday = self.cron.lower().split()
        return (day, month) == ("*", "*") and weekday in ("1", "mon")


class Segment(_Model):
    """What differs for one customer segment: only the keys that are given."""

    eligibility: Eligibility = Eligibility()
    rules: ItemRules = ItemRules()
    slots: Slots = Slots()


class RepeatBounds(_Model):
    """Between which `slots.max_repeat` turns by itself."""

    least: Annotated[int, Field(ge=0, strict=True)] = Field(description="No fewer slots.")
    most: Annotated[int, Field(ge=0, strict=True)] = Field(description="No more slots.")


class ShareBounds(_Model):
    """Between which `slots.discovery_share` turns by itself."""

    least: Share = Field(description="No smaller share.")
    most: Share = Field(description="No larger share.")


class Adjust(_Model):
    """What turns by itself, a step a week, where `recs.monitor` proves that it should."""

    max_repeat: RepeatBounds | None = Field(None, description="Bounds of `slots.max_repeat`; null: it stays.")
    discovery_share: ShareBounds | None = Field(
        None, description="Bounds of `slots.discovery_share`; null: it stays."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for name in type(self).model_fields:
            bounds = getattr(self, name)
            if bounds is not None and bounds.least > bounds.most:
                raise ValueError(f"{name}: least {bounds.least} is above most {bounds.most}")
        return self


class Campaign(_Model):
    """One campaign as its file says.

    Attributes beside the keys of the file: `target`, the validated query; `rule_set`, the rules for
    `rules.pipeline.select`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        description="Of its assets and its table; the file is called so, too."
    )
    description: Annotated[str, Field(min_length=1)] = Field(description="One sentence, for the catalogue.")
    owner: Annotated[str, Field(pattern=r"^(team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$")] = Field(
        description="team:crm, or an email address."
    )
    query: str = Field(description="What is predicted, and for whom (docs/queries.md).")
    view: View = Field(
        "all",
        description="Rank every product, or only those that the customer never bought, or only those that they bought before.",
    )
    model: str | None = Field(
        None,
        description="Who makes the lists: ranker (what the query learns), blend, fused_lists, or the name of one recommender; null: "
        "the simplest that none is proven to beat.",
    )
    schedule: Schedule
    eligibility: Eligibility = Field(Eligibility(), description="Who may be written to, beyond consent.")
    rules: ItemRules = Field(ItemRules(), description="What may stand in a slot, beyond availability.")
    slots: Slots = Field(Slots(), description="How slots are filled; k is by default the query's TOP k.")
    adjust: Adjust = Field(
        Adjust(),
        description="What turns by itself within bounds (docs/monitoring.md#what-turns-by-itself).",
    )
    segments: dict[Name, Segment] = Field({}, description="Customer segment -> what differs in it.")
    segment_by: SegmentBy = Field(
        "shop",
        description="Whose segments: shop (customers.segment), rfm (recs.customer_segments), or value (tiers of recs.customer_values).",
    )
    exports: tuple[Export, ...] = Field((), description="Files that are written beside the table.")
    utm_source: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = Field(
        "newsletter", description="Value of utm_source in links."
    )
    arms: dict[ArmName, ArmShare] = Field(
        {}, description="Arm -> share of the recipients; holdout gets no email. Without: all treatment."
    )

    shadows: dict[ArmName, dict[str, Any]] = Field(
        {},
        description="Name -> keys of this file as they would be: lists that are made beside the campaign's, kept, and shown to nobody.",
    )

    # What the query may name, where the shop has tables of its own: the context of the validation.
    _catalogue: Catalogue | None = PrivateAttr(None)
    # The file and the lines of its keys; None: it was read from none.
    _source: tuple[Path, yaml_file.Lines] | None = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:
        self._catalogue = context if isinstance(context, Catalogue) else None

    @field_validator("query")
    @classmethod
    def _check_query(cls, value: str, info: ValidationInfo) -> str:
        # A QueryError passes through pydantic as it is and keeps its line.
        query = validate(parse(value), info.context if isinstance(info.context, Catalogue) else None)
        if query.entity[0].parts != CUSTOMER:
            raise ValueError("a campaign is for customers; write FOR EACH customers.customer_id")
        return value

    @field_validator("model")
    @classmethod
    def _check_model(cls, value: str | None) -> str | None:
        if value is not None and value not in MODELS:
            near = difflib.get_close_matches(value, MODELS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the models are {', '.join(MODELS)}"
            raise ValueError(f"there is no model {value}; {hint}")
        return value

    @field_validator("arms")
    @classmethod
    def _check_arms(cls, value: dict[str, float]) -> dict[str, float]:
        if value:
            check_shares(value)
        if list(value) == [HOLDOUT]:
            raise ValueError("with holdout alone nobody gets the email; name another arm")
        check_holdout(value, "the email")
        return value

    @model_validator(mode="before")
    @classmethod
    def _fill_slots(cls, data: Any) -> Any:
        """k is the query's where the file does not say."""
        if not isinstance(data, Mapping) or not isinstance(data.get("query"), str):
            return data
        slots = data.get("slots", {})
        if not isinstance(slots, Mapping) or "k" in slots:
            return data
        try:
            top = parse(data["query"]).top
        except QueryError:
            return data  # the field says it, with its place
        return data if top is None else {**data, "slots": {**slots, "k": top}}

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if not self.lists_products:
            of_products = {
                "model",
                "shadows",
                "eligibility",
                "rules",
                "slots",
                "adjust",
                "segments",
                "segment_by",
                "arms",
                "utm_source",
            }
            given = sorted(of_products & self.model_fields_set - self._derived)
            if given or self.view != "all":
                key = given[0] if given else "view"
                raise ValueError(f"{key}: the query ranks no products, so it has no {key}; remove the key")
            if set(self.exports) - {"long"}:
                raise ValueError("exports: the query ranks no products, so it can be exported as long alone")
        elif self.slots.k > self.target.top:
            raise ValueError(
                f"slots.k: {self.slots.k} slots need RANK TOP {self.slots.k} or more in the query"
            )
        if "mailchimp" in self.exports and "addresses" not in self.exports:
            raise ValueError("exports: mailchimp finds members by their address; add addresses, too")
        for place, part in (
            ("", self),
            *((f"segments.{name}.", part) for name, part in self.segments.items()),
        ):
            refuse_against_view(self.view, place, part)
            refuse_idle_keys(self, place, part)
        refuse_idle_due(self.rules, self.rule_set)
        if self.adjust.max_repeat is not None and self.slots.max_repeat is None:
            raise ValueError(
                "adjust.max_repeat: it has no effect while slots.max_repeat is null; set slots.max_repeat, or remove the key"
            )
        if self.segment_by in NAMED_SEGMENTS:
            self._check_segments(NAMED_SEGMENTS[self.segment_by])
        # Before what its own keys say: of a segment that gets nothing nothing else matters.
        refuse_useless_segments(self.segment_by, self.segments, self.rule_set)
        refuse_contradictions(self.segments, self.rule_set)  # segments that do not fit are refused here, too
        self._check_shadows()
        self._refuse_if_never_in_time()
        return self

    def find_collision(self, context: Context, admitted: np.ndarray, day: date) -> str | None:
        """Which keys contradict each other with the products of a shop, in one sentence with their lines; None: none do.

        Args:
            context: has the products.
            admitted: bool[n_products], what the query ranks.
            day: of sending.
        """
        for rules, locate in list_places(self.segments, self.rule_set):
            for found in find_collisions(context, rules, admitted, locate, day):
                return found.write_with_line(self._source)
        return None

    def _check_segments(self, names: Mapping[str, str]) -> None:
        """Raises:
        ValueError: there is no such segment.
        """
        for name in self.segments:
            if fold(name) not in names:
                near = find_nearest(name, names)
                hint = f"did you mean {near}?" if near else f"the segments are {', '.join(names)}"
                raise ValueError(f"segments.{name}: there is no segment {name} by {self.segment_by}; {hint}")

    def _check_shadows(self) -> None:
        """Raises:
        ValueError: a shadow is no campaign, or is this one.
        """
        for name, change in self.shadows.items():
            if unknown := sorted(set(change) - set(CHANGEABLE)):
                raise ValueError(
                    f"shadows.{name}: no shadow can change {unknown[0]}; it can change {', '.join(CHANGEABLE)}"
                )
            try:
                changed = self.change(change)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, (name, *first["loc"])))
                raise ValueError(f"shadows.{place}: {first['msg'].removeprefix('Value error, ')}") from error
            if changed == self.change():
                raise ValueError(
                    f"shadows.{name}: that is what the campaign says already; change something, or remove it"
                )

    def change(self, *changes: Mapping[str, Any]) -> Campaign:
        """The campaign with keys of its file changed, one by one below `rules`, `slots` and the like; without shadows.

        Raises:
            ValidationError, QueryError: the changed file is none.
        """
        data = self.model_dump(exclude_unset=True, exclude={"shadows"})
        if data.get("slots", {}).get("k") == self.target.top:
            data["slots"].pop("k")  # the query's, which may be another one
        for change in changes:
            drop_overruled(data, change, self.slots.k)
        for change in changes:
            data = _merge(data, change)
        changed = Campaign.model_validate(data, context=self._catalogue)
        changed._source = self._source
        return changed

    def _refuse_if_never_in_time(self) -> None:
        """Refuse a schedule of which no week's email goes out before the query's window is over."""
        monday = date(2024, 1, 1)  # any will do: of windows shorter than a week none is counted in months
        ahead = find_horizon(self.target, monday) - datetime.combine(monday, time())
        days = math.ceil(ahead / timedelta(days=1))
        first = earliest_weekday(self.schedule.cron)
        # In another time zone it may still be the day before, and the shop's zone is not the file's to know.
        if first - (self.schedule.timezone is not None) >= days:
            raise ValueError(
                f"schedule.cron: no week's email would be in time, because it goes out on {WEEKDAYS[first]} at the "
                f"earliest and the query looks {days} day{'s' * (days > 1)} ahead from Monday; take an earlier day, or a "
                "longer window"
            )

    @property
    def _derived(self) -> set[str]:
        """`slots` where it holds nothing but the query's k."""
        return (
            {"slots"} if self.slots.model_fields_set <= {"k"} and self.slots.k == self.target.top else set()
        )

    @cached_property
    def target(self) -> Query:
        return validate(parse(self.query), self._catalogue)

    @property
    def lists_products(self) -> bool:
        """Whether products are ranked; otherwise there are no slots."""
        return self.target.task == "rank" and item_column(self.target) == "product_id"

    @cached_property
    def rule_set(self) -> Rules:
        """The rules of the file, with what the view fixes: of the view `new` every slot is filled with products that the
        customer never bought, of `repeat` with products that they bought before."""
        rules = Rules(
            eligibility=self.eligibility,
            items=self.rules,
            slots=self.slots,
            segment_by=self.segment_by,
            segments={
                name: SegmentRules(eligibility=part.eligibility, items=part.rules, slots=part.slots)
                for name, part in self.segments.items()
            },
        )
        fixed = {
            "all": {},
            "new": {"items": {"bought_within_days": EVER, "due_within_days": None}},
            "repeat": {"slots": {"ladder": (), "discovery_share": 0.0}},
        }[self.view]

        def fix(part: Any) -> Any:
            changed = {name: getattr(part, name).model_copy(update=values) for name, values in fixed.items()}
            return part.model_copy(update=changed)

        segments = {name: fix(part) for name, part in rules.segments.items()}
        return fix(rules).model_copy(update={"segments": segments})


def _merge(data: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of both, those of the change first, below each other where both hold keys."""
    both = {name: (data.get(name), value) for name, value in change.items()}
    return {
        **data,
        **{
            name: _merge(old, new) if isinstance(old, Mapping) and isinstance(new, Mapping) else new
            for name, (old, new) in both.items()
        },
    }


@dataclass(frozen=True)
class Folder:
    """The campaigns of a folder: name -> campaign, and the errors of the files that are not valid."""

    campaigns: dict[str, Campaign]
    errors: tuple[CampaignError, ...]

    @property
    def exporting(self) -> list[Campaign]:
        """The campaigns that want files."""
        return [campaign for campaign in self.campaigns.values() if campaign.exports]

    @property
    def main(self) -> Campaign | None:
        """The email whose rules the evaluation follows and of which a summary shows samples.

        The first by name of those that fill slots in the weekly run; None where there is none.
        """
        emails = (
            campaign
            for campaign in self.campaigns.values()
            if campaign.lists_products and campaign.schedule.is_weekly
        )
        return next(emails, None)


def load_folder(folder: Path = FOLDER, catalogue: Catalogue | None = None) -> Folder:
    """Every `*.yaml` of a folder, in the order of the names; a bad file is an error beside the good ones.

    Args:
        folder: of the campaigns.
        catalogue: what queries may name; None: the canonical tables.

    Raises:
        RecsError: there is no such folder.
    """
    if not folder.is_dir():
        raise RecsError(f"There is no folder of campaigns at {folder}: create it, or name another.")
    return Folder(*yaml_file.read_each(folder, partial(load, catalogue=catalogue), CampaignError))


def load(path: Path, catalogue: Catalogue | None = None) -> Campaign:
    """Read one campaign; `catalogue` as in `load_folder`.

    Raises:
        CampaignError: the first thing that is wrong, with its line.
    """
    data, lines = yaml_file.read(path, ("a campaign", "docs/campaigns.md"), CampaignError)
    try:
        campaign = yaml_file.check(path, data, lines, Campaign, CampaignError, catalogue)
    except QueryError as error:
        line = lines.find_text("query", error.line)
        raise CampaignError(path, line, f"query: {error.sentence}") from error
    campaign._source = path, lines
    return campaign
