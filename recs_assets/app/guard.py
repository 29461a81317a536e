"""Before a request reaches an endpoint: its key, its size and its rate; after it, the metrics. Plain ASGI, no framework."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STOREFRONT, ANALYST = "storefront", "analyst"
# First part of a path -> who may ask; None: everybody. What has no line is for everybody with a key.
ROLES: Mapping[str, frozenset[str] | None] = {
    "v1": frozenset({STOREFRONT}),
    "ui": frozenset({ANALYST}),
    "metrics": frozenset({ANALYST}),
    "health": None,
    "docs": None,
    "openapi.json": None,
    "static": None,
    "shop": None,
    "": None,
}
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
KEY_HEADER = b"x-api-key"
# What people open in a browser: it asks them for the key and sends it as the password of HTTP's own login.
PAGES = "ui"
LOGIN = (
    b"www-authenticate",
    b'Basic realm="recs_assets: the key of an analyst as password", charset="UTF-8"',
)
# Addresses whose rate is remembered.
ADDRESSES = 10_000
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True)
class Limits:
    """What a deployment allows.

    Attributes:
        keys: role -> its key; none: only programs of this machine are answered.
        body_bytes: of a request.
        rate: requests per second and address, in the long run; as many at once.
        origins: of other sites whose pages may ask; none: CORS is off.
    """

    keys: Mapping[str, str]
    body_bytes: int = 262_144
    rate: float = 5_000.0
    origins: frozenset[str] = frozenset()


class Metrics:
    """What `/metrics` says."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "recs_requests_total",
            "Requests by endpoint and status.",
            ("endpoint", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "recs_request_seconds",
            "Seconds to answer.",
            ("endpoint",),
            registry=self.registry,
            buckets=SECONDS,
        )
        self.events = Counter(
            "recs_events_total", "Records written down.", ("table",), registry=self.registry
        )
        self.switches = Gauge(
            "recs_version_switches", "Versions opened since the start.", registry=self.registry
        )
        self.people = Gauge(
            "recs_state_people", "People of whom something is in memory.", registry=self.registry
        )
        self.as_of = Gauge(
            "recs_as_of_seconds", "The published week, in seconds since 1970.", registry=self.registry
        )
        self.monitor = Gauge(
            "recs_monitor_figures",
            "Figures of the published week by area and verdict (recs.monitor).",
            ("area", "verdict"),
            registry=self.registry,
        )


class Guard:
    """Wraps the application.

    Args:
        app: answers what passes.
        limits: of the deployment.
        metrics: are counted.
        clock: seconds that only rise.
    """

    def __init__(
        self, app: App, limits: Limits, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app, self._limits, self._metrics, self._clock = app, limits, metrics, clock
        self._keys = {role: key.encode() for role, key in limits.keys.items()}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._counted: dict[tuple[str, int], Any] = {}
        self._timed: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = dict(scope["headers"])
        refused = self._refuse(scope, headers, started)
        if refused is not None:
            login = refused[0] == 401 and _first_part(scope["path"]) == PAGES
            await refuse(note, *refused, login)
        else:
            await self._app(scope, self._limit_body(receive), note)
        endpoint = getattr(scope.get("route"), "path", "other")
        self._measure(endpoint, status, self._clock() - started)

    def _measure(self, endpoint: str, status: int, seconds: float) -> None:
        counted = self._counted.get((endpoint, status))
        if counted is None:  # to look labels up takes longer than to count
            counted = self._counted[endpoint, status] = self._metrics.requests.labels(endpoint, str(status))
            self._timed[endpoint] = self._metrics.seconds.labels(endpoint)
        counted.inc()
        self._timed[endpoint].observe(seconds)

    def _refuse(
        self, scope: Scope, headers: Mapping[bytes, bytes], now: float
    ) -> tuple[int, str, str] | None:
        """Status, code and sentence of a request that is not answered."""
        address = scope["client"][0] if scope.get("client") else ""
        if not self._has_turn(address, now):
            return 429, "too_many_requests", "Too many requests from this address: ask more slowly."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limits.body_bytes:
            return (
                413,
                "too_large",
                f"A request may have {self._limits.body_bytes:,} bytes: send fewer records at once.",
            )
        if (
            scope["method"] == "OPTIONS"
            and headers.get(b"origin", b"").decode("latin-1") in self._limits.origins
        ):
            return None  # a browser asks whether it may ask, and sends no key
        part = _first_part(scope["path"])
        roles = ROLES.get(part, frozenset(self._keys))
        if not self._keys:
            name = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
            # A page of another site that got a name for this machine must not read on its behalf.
            if name not in LOCAL_NAMES:
                return 403, "not_local", "No keys are set, so only programs of this machine are answered."
            return None
        if roles is None:
            return None
        given, role = headers.get(KEY_HEADER, b""), None
        if part == PAGES:
            given = given or _read_password(headers.get(b"authorization", b""))
        for name, key in self._keys.items():  # all of them, whichever fits
            if hmac.compare_digest(given, key):
                role = name
        if role is None:
            return 401, "no_key", "The header X-API-Key has no key of this server."
        if role not in roles:
            return 403, "wrong_role", f"This key is the {role}'s, which may not ask this."
        return None

    def _has_turn(self, address: str, now: float) -> bool:
        """A bucket of `rate` tokens per address, which fills with `rate` per second."""
        rate = self._limits.rate
        tokens, since = self._buckets.pop(address, (rate, now))
        tokens = min(rate, tokens + (now - since) * rate)
        self._buckets[address] = (max(0.0, tokens - 1), now)
        if len(self._buckets) > ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return tokens >= 1

    def _limit_body(self, receive: Receive) -> Receive:
        """Cut off a body that is longer than it said, or did not say."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limits.body_bytes:
                raise BodyTooLarge
            return message

        return counted


def _first_part(path: str) -> str:
    return path.split("/", 2)[1] if "/" in path else ""


def _read_password(header: bytes) -> bytes:
    """The password of HTTP's Basic login (RFC 7617); empty where there is none."""
    kind, _, text = header.partition(b" ")
    if kind.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(text, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


class BodyTooLarge(Exception):  # noqa: N818 - an answer, no error of the program
    """A body came in chunks and went on too long."""


async def refuse(send: Send, status: int, code: str, message: str, login: bool = False) -> None:
    """Answer with an error; with `login` a browser asks for the key."""
    body = write_failure(code, message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if login:
        headers.append(LOGIN)
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def write_failure(code: str, message: str) -> bytes:
    """`models.Failure` as JSON."""
    return orjson.dumps({"error": {"code": code, "message": message}})
