"""The application: which endpoint asks what of the service, and the errors as sentences."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import generate_latest
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from recs_assets import __version__
from recs_assets.app import models, reference
from recs_assets.app.guard import BodyTooLarge, Guard, Limits, Metrics, write_failure
from recs_assets.app.ui import Views
from recs_assets.serving.answer import Question, answer, answer_again, describe_product
from recs_assets.serving.event_log import EventLogError, Record
from recs_assets.serving.placement import Blend, find_nearest
from recs_assets.serving.service import Service
from recs_assets.serving.store import ServingError

STATIC = Path(__file__).with_name("static")
# How often it is looked whether another version is current.
WATCH_SECONDS = 0.5
JSON = "application/json"
METRICS = "text/plain"
# What a field or a parameter may be called: a name that is no such name may be somebody's.
_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")
SIMILAR, TOGETHER = Blend(similar=1), Blend(together=1)

log = logging.getLogger("recs_assets.app")
Asked = TypeVar("Asked", bound=BaseModel)
Answer = Callable[..., bytes]


class Direct(APIRoute):
    """A route whose endpoint is given the request as it is: what FastAPI does before that for every request (reading
    parameters and dependencies of which there are none) takes as long as an answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


class Refused(Exception):  # noqa: N818 - an answer, no error of the program
    """A request that gets a status and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


def create_app(
    service: Service, limits: Limits, shop: Path | None = None, views: Views | None = None
) -> Guard:
    """The server as an ASGI application.

    Args:
        service: answers; is closed with the server.
        limits: keys, sizes, rates.
        shop: folder of the example shop. Its pages hold no key, so they are there only where no keys are set.
        views: what people look at; are closed with the server.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(watch(service))
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        service.close()
        if views is not None:
            views.close()

    app = FastAPI(
        title="recs_assets",
        version=__version__,
        description="Recommendations for a shop's pages, and the way back for what came of them.",
        docs_url=None,
        redoc_url=None,
        lifespan=live,
    )
    app.router.route_class = Direct
    add_failures(app)
    add_reading(app, service)
    add_writing(app, service, metrics)
    add_operation(app, service, metrics)
    reference.add_page(app)
    if views is not None:
        app.mount("/ui", views)
    if shop is not None and not limits.keys:
        app.mount("/shop", StaticFiles(directory=shop, html=True), name="shop")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    if limits.origins:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(limits.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["X-API-Key", "Content-Type", "If-None-Match"],
        )
    return Guard(app, limits, metrics)


async def watch(service: Service) -> None:
    """Go over to the version that is current, prepared in a thread beside the requests."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if not service.is_behind:
            continue
        try:
            prepared = await asyncio.to_thread(service.prepare)
        except (ServingError, OSError) as error:
            log.error("The new version is not used: %s", error)
            continue
        if prepared is not None:
            service.switch(prepared)
            log.info("Answering from %s.", prepared.version.name)


# -- requests and answers -----------------------------------------------------------------------


def read_query(request: Request, kind: type[Asked]) -> Asked:
    """The checked parameters of a request. FastAPI's own reading takes longer than a whole answer."""
    values: dict[str, list[str]] = {}
    text = request.scope["query_string"].decode("latin-1")
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        if "%" in value or "+" in value:
            value = unquote_plus(value)
        values.setdefault(name, []).append(value)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise explain(kind, error) from None


async def read_body(request: Request, kind: type[Asked]) -> Asked:
    """The checked body of a request."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
        raise Refused(415, "not_json", f"Send the header Content-Type: {JSON}.")
    try:
        return kind.model_validate_json(await request.body(), strict=True)
    except ValidationError as error:
        raise explain(kind, error) from None


def explain(kind: type[BaseModel], error: ValidationError) -> Refused:
    """What is wrong, as one sentence. What was sent is not repeated: it may name somebody."""
    every = error.errors(include_url=False, include_input=False)
    first = next((detail for detail in every if detail["type"] == "extra_forbidden"), every[0])
    if first["type"] == "json_invalid":
        return Refused(400, "not_json", f"The body is no JSON ({first['ctx']['error']}).")
    name = ".".join(str(part) if _NAME.fullmatch(str(part)) else "..." for part in first["loc"])
    if first["type"] == "extra_forbidden":
        sentence = f"There is no {name}; there are {', '.join(kind.model_fields)}."
    else:
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        sentence = f"{name}: {message}." if name else f"{message}."
    return Refused(422, "invalid", sentence)


def reply(request: Request, body: bytes) -> Response:
    """The answer, or 304 where the asker has it."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    asked = request.headers.get("if-none-match")
    if (
        request.method == "GET"
        and asked is not None
        and (asked.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in asked.split(",")))
    ):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def respond(service: Service, request: Request, find: Answer, question: Question) -> Response:
    """Answer a question from one version, from beginning to end."""
    if question.placement not in service.placements:
        near = find_nearest(question.placement, dict(service.placements))
        raise Refused(404, "no_placement", f"There is no such placement; {near}")
    now = service.require()
    return reply(request, find(now.version, now.state, question, service.clock().timestamp()))


# -- endpoints ----------------------------------------------------------------------------------


def add_reading(app: FastAPI, service: Service) -> None:
    """Lists."""
    ask = partial(reference.describe, app, answer=models.Recommendations)

    @ask("/v1/customers/{customer_id:path}/recommendations", models.RecommendationsQuery, "customer_id")
    async def recommend(request: Request) -> Response:
        """What a customer will most probably buy, filtered and blended now. An unknown customer is answered
        like a stranger."""
        asked = read_query(request, models.RecommendationsQuery)
        question = Question(
            asked.placement,
            asked.n,
            customer_id=read_id(request, "customer_id"),
            visitor_id=asked.visitor_id,
            session_id=asked.session_id,
            context=asked.context,
            cart=asked.cart,
            categories=asked.category,
            exclude=asked.exclude,
            country=asked.country and asked.country.upper(),
        )
        return respond(service, request, answer, question)

    @ask("/v1/customers/{customer_id:path}/buy-again", models.AgainQuery, "customer_id")
    async def buy_again(request: Request) -> Response:
        """What a customer buys regularly and is due again; empty where nothing is."""
        asked = read_query(request, models.AgainQuery)
        question = Question(
            asked.placement,
            asked.n,
            customer_id=read_id(request, "customer_id"),
            visitor_id=asked.visitor_id,
            session_id=asked.session_id,
            cart=asked.cart,
            categories=asked.category,
            exclude=asked.exclude,
            country=asked.country and asked.country.upper(),
        )
        return respond(service, request, answer_again, question)

    def look_around(asked: models.SimilarQuery, ids: tuple[str, ...], blend: Blend) -> Question:
        return Question(
            asked.placement,
            asked.n,
            customer_id=asked.customer_id,
            visitor_id=asked.visitor_id,
            session_id=asked.session_id,
            context=ids,
            categories=asked.category,
            exclude=asked.exclude,
            country=asked.country and asked.country.upper(),
            blend=blend,
        )

    @ask("/v1/products/bought-together", models.TogetherQuery)
    async def bought_together(request: Request) -> Response:
        """What is bought with a product, or with all products of a cart."""
        asked = read_query(request, models.TogetherQuery)
        return respond(service, request, answer, look_around(asked, asked.ids, TOGETHER))

    @ask("/v1/products/{product_id:path}/similar", models.SimilarQuery, "product_id")
    async def similar(request: Request) -> Response:
        """What could be bought in place of a product."""
        asked = read_query(request, models.SimilarQuery)
        return respond(
            service, request, answer, look_around(asked, (read_id(request, "product_id"),), SIMILAR)
        )

    show = partial(reference.describe, app, answer=models.Product, missing="There is no such product.")

    @show("/v1/products/{product_id:path}", models.ProductQuery, "product_id")
    async def product(request: Request) -> Response:
        """A product as lists show it, and whether it may be sold now."""
        asked = read_query(request, models.ProductQuery)
        now = service.require()
        found = describe_product(
            now.version, read_id(request, "product_id"), asked.country, service.clock().timestamp()
        )
        if found is None:
            raise Refused(404, "no_product", "There is no such product.")
        return reply(request, found)

    @reference.describe_body(
        app, "POST", "/v1/sessions/recommendations", models.SessionQuestion, models.Recommendations
    )
    async def session(request: Request) -> Response:
        """What a visitor who is not signed in may like, from what they did in this visit."""
        asked = await read_body(request, models.SessionQuestion)
        carted = [event.product_id for event in asked.events if event.type == "add_to_cart"]
        gone = [event.product_id for event in asked.events if event.type in ("purchased", "dismissed")]
        question = Question(
            asked.placement,
            asked.n,
            visitor_id=asked.visitor_id,
            session_id=asked.session_id,
            context=asked.context,
            cart=asked.cart,
            added=carted,
            categories=asked.category,
            exclude=(*asked.exclude, *gone),
            country=asked.country and asked.country.upper(),
            seen=[
                event.product_id
                for event in asked.events
                if event.type in ("view", "clicked", "add_to_wishlist")
            ],
        )
        return respond(service, request, answer, question)


def read_id(request: Request, name: str) -> str:
    """The id in the path of a request."""
    value = request.path_params[name]
    if not models.is_id(value):
        raise Refused(
            422, "invalid", f"{name}: it must have 1 to 200 printable characters, and not blanks alone."
        )
    return value


def add_writing(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """What the shop reports."""
    take = partial(reference.describe_body, app, answer=models.Accepted)

    async def write(
        records: list[Record], sent: int, heard: Sequence[str] = (), repeated: int = 0
    ) -> Response:
        """Acknowledge everything that was sent, written down or not: the answer does not say of whom nothing is."""
        try:
            # Of what was reported before, too, nothing is acknowledged that the disk does not have.
            await asyncio.wrap_future(service.report(records))
        except EventLogError as error:
            service.refuse(heard)
            raise Refused(503, "not_written", str(error)) from None
        service.accept(records)
        for table, _ in records:
            metrics.events.labels(table).inc()
        body = orjson.dumps({"accepted": sent - repeated, "repeated": repeated})
        return Response(body, status_code=202, media_type=JSON)

    def stamp(time: str | None) -> str:
        return time or models.write_time(service.clock())

    @take("POST", "/v1/events", models.Events)
    async def events(request: Request) -> Response:
        """What came of recommendations, and what happened on the shop's pages. Of somebody who was erased or
        objected nothing is written down, and the answer does not say so."""
        asked = await read_body(request, models.Events)
        # Before any event counts as heard: a store that is away is a 503, and they are sent again.
        may_log = {name: service.may_log(name) for name in {event.customer_id for event in asked.events}}
        records: list[Record] = []
        heard: list[str] = []
        for event in asked.events:
            if not service.is_new(event.event_id):
                continue
            heard.append(event.event_id)
            if not may_log[event.customer_id]:
                continue
            row = event.model_dump(exclude_none=True, exclude={"type", "occurred_at"})
            row |= {"event_type": event.type, "occurred_at": stamp(event.occurred_at)}
            table = "browsing_events" if event.type in models.BROWSING_TYPES else "campaign_events"
            records.append((table, {name: row[name] for name in models.COLUMNS[table] if name in row}))
        return await write(records, len(asked.events), heard, len(asked.events) - len(heard))

    @take("PUT", "/v1/stock", models.Stocks)
    async def stock(request: Request) -> Response:
        """How much there is of products now; the newest count of a product holds."""
        asked = await read_body(request, models.Stocks)
        return await write(
            [("inventory", new.model_dump() | {"counted_at": stamp(new.counted_at)}) for new in asked.stock],
            len(asked.stock),
        )

    @take("PUT", "/v1/prices", models.Prices)
    async def prices(request: Request) -> Response:
        """What products cost now, until the next run reads the catalogue."""
        asked = await read_body(request, models.Prices)
        return await write(
            [("prices", new.model_dump() | {"changed_at": stamp(new.changed_at)}) for new in asked.prices],
            len(asked.prices),
        )

    @take("POST", "/v1/consents", models.Consents)
    async def consents(request: Request) -> Response:
        """Withdrawals. Whoever is erased or objected is answered like a stranger from now on."""
        asked = await read_body(request, models.Consents)
        return await write(
            [
                ("consents", new.model_dump() | {"effective_at": stamp(new.effective_at)})
                for new in asked.consents
                if not service.is_erased(new.customer_id)
            ],
            len(asked.consents),
        )

    @take("POST", "/v1/preferences", models.Preferences)
    async def preferences(request: Request) -> Response:
        """What customers answered that they like. Who sends an answer again with its time changes nothing. Of somebody who was
        erased or objected nothing is written down, and the answer does not say so."""
        asked = await read_body(request, models.Preferences)
        may_log = {name: service.may_log(name) for name in {new.customer_id for new in asked.preferences}}
        now = stamp(None)  # what is sent together was answered together
        return await write(
            [
                ("preferences", new.model_dump() | {"answered_at": new.answered_at or now})
                for new in asked.preferences
                if may_log[new.customer_id]
            ],
            len(asked.preferences),
        )


def add_operation(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Health and metrics."""

    @app.get(
        "/health/live",
        response_model=models.Health,
        responses=reference.list_failures(reference.GUARDED),
        tags=["operation"],
    )
    async def live(_: Request) -> Response:
        """The process answers."""
        return Response(orjson.dumps({"status": "ok"}), media_type=JSON)

    @app.get(
        "/health/ready",
        response_model=models.Health,
        responses={
            **reference.list_failures(reference.GUARDED),
            503: {"model": models.Health, "description": "Nothing is published yet."},
        },
        tags=["operation"],
    )
    async def ready(_: Request) -> Response:
        """A version is open and is answered from."""
        if service.now is None:
            return Response(orjson.dumps({"status": "waiting"}), status_code=503, media_type=JSON)
        version = service.now.version
        body = {"status": "ok", "as_of": version.as_of.isoformat(), "version": version.name}
        return Response(orjson.dumps(body), media_type=JSON)

    @app.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {METRICS: {"schema": {"type": "string"}}}},
            **reference.list_failures(reference.WITH_KEY),
        },
        tags=["operation"],
    )
    async def show_metrics(_: Request) -> Response:
        """Prometheus's text format."""
        metrics.switches.set(service.switches)
        if service.now is not None:
            metrics.people.set(service.now.state.people)
            metrics.as_of.set(service.now.version.begins_at)
            metrics.monitor.clear()
            for area, verdict, figures in service.now.version.store.about.get("monitor", ()):
                metrics.monitor.labels(area, verdict).set(figures)
        return Response(generate_latest(metrics.registry), media_type=f"{METRICS}; version=0.0.4")


def add_failures(app: FastAPI) -> None:
    """Every error is `models.Failure`, and none repeats what was sent."""

    def fail(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
        return Response(write_failure(code, message), status_code=status, media_type=JSON, headers=headers)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return fail(error.status, error.code, error.message)

    @app.exception_handler(ServingError)
    async def not_ready(_: Request, error: ServingError) -> Response:
        return fail(503, "not_ready", str(error), {"Retry-After": "5"})

    @app.exception_handler(BodyTooLarge)
    async def too_large(_: Request, __: BodyTooLarge) -> Response:
        return fail(413, "too_large", "The request has too many bytes: send fewer records at once.")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        return fail(500, "internal", "The server made a mistake, and its log says where: please report it.")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        words = {
            404: "There is no such page; /docs lists what there is.",
            405: "This page is not asked with this method.",
        }
        code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
        message = words.get(error.status_code, str(error.detail))
        return fail(error.status_code, code, message, dict(error.headers or {}))
