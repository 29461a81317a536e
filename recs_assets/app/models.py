"""What requests and answers look like. The page of the API is made from these."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    WithJsonSchema,
    model_validator,
)

from recs_assets.sources.cells import ADDRESS

MOST_PRODUCTS = 100
MOST_IDS = 200
MOST_EVENTS = 500

_ADDRESS = re.compile(ADDRESS)
# No control characters, and not blanks alone, which the next run would find to be no id; within a list of a query no comma either.
ID_BOUNDS: dict[str, Any] = {
    "minLength": 1,
    "maxLength": 200,
    "pattern": r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
}
IN_A_LIST = r"^[^\x00-\x1f\x7f,]*[^\s\x00-\x1f\x7f,][^\x00-\x1f\x7f,]*$"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)")


def is_id(text: str) -> bool:
    """Whether a text is within `ID_BOUNDS`."""
    return len(text) <= 200 and re.fullmatch(ID_BOUNDS["pattern"], text) is not None


def _refuse_address(text: str) -> str:
    """An id is published as it is, so a row with an address would stop the run that lands it."""
    if _ADDRESS.search(text):
        raise ValueError("it holds an email address; send the shop's own number of whom or what it means")
    return text


# Whose consent changed, or who an email went to: the run finds whose an address is, and publishes neither.
Person = Annotated[str, Field(min_length=1, max_length=200, pattern=ID_BOUNDS["pattern"])]
Id = Annotated[Person, AfterValidator(_refuse_address)]
Ids = Annotated[tuple[Id, ...], Field(max_length=MOST_IDS)]
PlacementName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Number = Annotated[int, Field(ge=1, le=MOST_PRODUCTS)]
Country = Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")]


def _read_time(text: str) -> str:
    """The time as the log has it."""
    try:
        if _TIME.fullmatch(text.upper()):
            at = datetime.fromisoformat(text.upper())
            at.astimezone(UTC)
            return write_time(at)
    except (ValueError, OverflowError):  # the 30th of February; the year 10000 of another zone
        pass
    raise ValueError("it is no time with a zone, as in 2024-03-06T12:00:00Z")


Time = Annotated[str, AfterValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})]
EVENT_TYPES = (
    "sent", "delivered", "shown", "opened", "clicked", "dismissed", "added_to_cart", "purchased", "bounced", "complained",
    "unsubscribed",
)  # fmt: skip
BROWSING_TYPES = ("view", "add_to_cart", "add_to_wishlist")


# Columns of the raw tables, as far as an event can fill them.
COLUMNS = {
    "campaign_events": (
        "event_id", "campaign", "customer_id", "product_id", "event_type", "occurred_at", "arm", "recommendation_id",
        "session_id", "visitor_id", "placement", "position", "experiment",
    ),
    "browsing_events": (
        "event_id", "customer_id", "product_id", "event_type", "occurred_at", "duration_seconds", "referrer", "device",
        "session_id", "visitor_id",
    ),
}  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Query(_Model):
    """The values of each parameter: lists are separated by commas, or given several times; nothing else is."""

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        lists = cls.lists()
        for key, value in data.items():
            if key in cls.model_fields and key not in lists and len(value) > 1:
                raise ValueError(f"{key} is given more than once")
        return {
            key: [part for text in value for part in text.split(",") if part] if key in lists else value[-1]
            for key, value in data.items()
        }

    @classmethod
    def lists(cls) -> frozenset[str]:
        """The parameters that hold several values."""
        return frozenset()


class RecommendationsQuery(_Query):
    """Of `GET /v1/customers/{customer_id}/recommendations`."""

    placement: PlacementName = Field("home", description="Where the list stands: home, product, cart, ...")
    n: Number | None = Field(None, description="How many products; default: the placement's.")
    context: Ids = Field((), description="Ids of the products that the page is about.")
    cart: Ids | None = Field(None, description="Ids in the cart; default: what the events say.")
    category: Ids = Field((), description="Only products of these categories.")
    exclude: Ids = Field((), description="Ids that the page shows elsewhere.")
    country: Country | None = Field(
        None, description="Where the visitor is; default: the customer's own country."
    )
    visitor_id: Id | None = Field(None, description="Of the browser, as in the events.")
    session_id: Id | None = Field(None, description="Of the visit, as in the events.")

    @classmethod
    def lists(cls) -> frozenset[str]:
        return frozenset({"context", "cart", "category", "exclude"})


class AgainQuery(_Query):
    """Of `GET /v1/customers/{customer_id}/buy-again`."""

    placement: PlacementName = Field("home", description="Whose product rules hold.")
    n: Number | None = Field(None, description="How many products at most; default: the placement's.")
    cart: Ids | None = Field(None, description="Ids in the cart; default: what the events say.")
    category: Ids = Field((), description="Only products of these categories.")
    exclude: Ids = Field((), description="Ids that the page shows elsewhere.")
    country: Country | None = Field(
        None, description="Where the visitor is; default: the customer's own country."
    )
    visitor_id: Id | None = Field(None, description="Of the browser, as in the events.")
    session_id: Id | None = Field(None, description="Of the visit, as in the events.")

    @classmethod
    def lists(cls) -> frozenset[str]:
        return frozenset({"cart", "category", "exclude"})


class SimilarQuery(_Query):
    """Of `GET /v1/products/{product_id}/similar`."""

    placement: PlacementName = Field("product", description="Whose product rules hold.")
    n: Number | None = Field(None, description="How many products; default: the placement's.")
    category: Ids = Field((), description="Only products of these categories.")
    exclude: Ids = Field((), description="Ids that the page shows elsewhere.")
    country: Country | None = Field(None, description="Where the visitor is.")
    customer_id: Id | None = Field(None, description="Who looks: what they bought or dismissed is left out.")
    visitor_id: Id | None = Field(None, description="Of the browser, as in the events.")
    session_id: Id | None = Field(None, description="Of the visit, as in the events.")

    @classmethod
    def lists(cls) -> frozenset[str]:
        return frozenset({"category", "exclude"})


class ProductQuery(_Query):
    """Of `GET /v1/products/{product_id}`."""

    country: Country | None = Field(None, description="Where the visitor is.")


class TogetherQuery(SimilarQuery):
    """Of `GET /v1/products/bought-together`."""

    placement: PlacementName = Field("cart", description="Whose product rules hold.")
    ids: Annotated[Ids, Field(min_length=1)] = Field(description="Ids of a product, or of a cart.")

    @classmethod
    def lists(cls) -> frozenset[str]:
        return frozenset({"ids", "category", "exclude"})


class SessionEvent(_Model):
    """Something that happened in this visit."""

    type: Literal["view", "add_to_cart", "add_to_wishlist", "clicked", "dismissed", "purchased"]
    product_id: Id


class SessionQuestion(_Model):
    """Of `POST /v1/sessions/recommendations`: nobody is signed in."""

    placement: PlacementName = Field("home", description="Where the list stands.")
    n: Number | None = Field(None, description="How many products; default: the placement's.")
    session_id: Id | None = Field(None, description="Of the visit, as in the events.")
    visitor_id: Id | None = Field(None, description="Of the browser, as in the events.")
    events: Annotated[tuple[SessionEvent, ...], Field(max_length=MOST_IDS)] = Field(
        (), description="Of this visit so far, the newest last; they need not be reported."
    )
    context: Ids = Field((), description="Ids of the products that the page is about.")
    cart: Ids | None = Field(None, description="Ids in the cart; default: what the events say.")
    category: Ids = Field((), description="Only products of these categories.")
    exclude: Ids = Field((), description="Ids that the page shows elsewhere.")
    country: Country | None = Field(
        None, description="Where the visitor is; without it, only what is sold everywhere."
    )
    referrer: Annotated[str, Field(max_length=2_000)] | None = Field(
        None, description="Where the visit came from. Kept for later; it does not change the answer yet."
    )
    device: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Kept for later; it does not change the answer yet."
    )


class Event(_Model):
    """One thing that happened."""

    event_id: Id = Field(description="Unique; who sends it twice is heard once.")
    type: Literal[EVENT_TYPES + BROWSING_TYPES] = Field(
        description="Of a recommendation (shown, clicked, dismissed, ...), or of the shop's pages (view, add_to_cart, add_to_wishlist)."
    )
    occurred_at: Time | None = Field(None, description="ISO 8601 with a zone; default: now.")
    customer_id: Person | None = None
    visitor_id: Id | None = None
    session_id: Id | None = None
    product_id: Id | None = None
    recommendation_id: Id | None = Field(None, description="Of the item, as the answer had it.")
    campaign: Id | None = None
    placement: PlacementName | None = None
    position: Annotated[int, Field(ge=1, le=10_000)] | None = None
    experiment: Id | None = None
    arm: Id | None = None
    duration_seconds: Annotated[FiniteFloat, Field(ge=0, le=86_400)] | None = Field(
        None, description="Of a view."
    )
    referrer: Annotated[str, Field(max_length=2_000)] | None = Field(None, description="Of a view.")
    device: Annotated[str, Field(max_length=200), AfterValidator(_refuse_address)] | None = Field(
        None, description="Of a view."
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Event:
        if self.customer_id is None and self.visitor_id is None:
            raise ValueError("an event needs a customer_id or a visitor_id")
        if self.type in BROWSING_TYPES and self.customer_id is not None:
            _refuse_address(self.customer_id)
        if self.type in BROWSING_TYPES and self.product_id is None:
            raise ValueError(f"{self.type} needs a product_id")
        if self.type in EVENT_TYPES and self.campaign is None and self.placement is None:
            raise ValueError(f"{self.type} needs a placement, or a campaign")
        return self


class Events(_Model):
    """Of `POST /v1/events`."""

    events: Annotated[tuple[Event, ...], Field(min_length=1, max_length=MOST_EVENTS)]


class Stock(_Model):
    product_id: Id
    stock: Annotated[FiniteFloat, Field(ge=0)] = Field(description="Units that can be sold.")
    counted_at: Time | None = Field(None, description="ISO 8601 with a zone; default: now.")


class Stocks(_Model):
    """Of `PUT /v1/stock`."""

    stock: Annotated[tuple[Stock, ...], Field(min_length=1, max_length=MOST_EVENTS)]


class Price(_Model):
    product_id: Id
    price: Annotated[FiniteFloat, Field(ge=0)]
    changed_at: Time | None = Field(None, description="ISO 8601 with a zone; default: now.")


class Prices(_Model):
    """Of `PUT /v1/prices`; they hold until the next run reads the catalogue."""

    prices: Annotated[tuple[Price, ...], Field(min_length=1, max_length=MOST_EVENTS)]


class Consent(_Model):
    customer_id: Person
    state: Literal["unsubscribed", "objected", "erased", "subscribed"]
    effective_at: Time | None = Field(None, description="ISO 8601 with a zone; default: now.")


class Consents(_Model):
    """Of `POST /v1/consents`."""

    consents: Annotated[tuple[Consent, ...], Field(min_length=1, max_length=MOST_EVENTS)]


class Preference(_Model):
    """One answer of a customer to a question."""

    customer_id: Id
    question: Id = Field(
        description="Which question: its `question_id` in `recs.questionnaire`, or the name the shop has for it; its newest answers of a facet count."
    )
    facet: Literal["category", "brand"] = Field(description="What the answer names.")
    answer: Id = Field(
        description="The category or brand that they like; several of one question are several records."
    )
    answered_at: Time | None = Field(None, description="ISO 8601 with a zone; default: now.")


class Preferences(_Model):
    """Of `POST /v1/preferences`."""

    preferences: Annotated[tuple[Preference, ...], Field(min_length=1, max_length=MOST_EVENTS)]


# -- answers ----------------------------------------------------------------------------------


class Card(BaseModel):
    """What a page shows of a product."""

    title: str | None
    url: str | None
    image_url: str | None
    price: float | None
    price_kind: str | None = Field(
        description="usual, varies, ... (docs/tables.md); now: as the shop reported it since."
    )
    price_from: float | None
    currency: str | None
    category: str | None
    brand: str | None
    merchant_id: str | None


class Item(BaseModel):
    """One product of an answer."""

    rank: int = Field(description="From 1.")
    product_id: str
    recommendation_id: str = Field(description="For the events about this item.")
    score: float = Field(description="What the answer is ordered by.")
    p_purchase: float | None = Field(
        description="Probability of a purchase within the horizon; null: unknown."
    )
    reason_code: str | None
    reason_text: str | None
    because_product_id: str | None
    source: str = Field(
        description="The recommender, bought_together, similar, buy_it_again, popularity or pinned."
    )
    slot_type: Literal["personal", "discovery", "fill", "pinned"]
    fallback_level: Literal["personal", "context", "segment", "category", "global"]
    card: Card


class Product(BaseModel):
    """One product."""

    product_id: str
    available: bool = Field(description="In stock, within its sale window, and sold in the country.")
    card: Card


class Recommendations(BaseModel):
    """A list."""

    recommendation_id: str = Field(description="Of the answer as a whole.")
    as_of: str = Field(description="The published week.")
    model_version: str
    placement: str
    experiment: str | None
    arm: str | None
    items: list[Item]


class Accepted(BaseModel):
    """What was taken in."""

    accepted: int = Field(
        description="Records that were sent and are not repeated. The disk has them, but for those of whom nothing is written down."
    )
    repeated: int = Field(description="Events that were reported before.")


class Problem(BaseModel):
    """What went wrong."""

    code: str
    message: str


class Failure(BaseModel):
    error: Problem


class Health(BaseModel):
    status: Literal["ok", "waiting"]
    as_of: str | None = None
    version: str | None = None


def write_time(time: datetime) -> str:
    """ISO 8601 with its zone."""
    return time.isoformat(timespec="microseconds")
