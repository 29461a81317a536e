"""How each service takes payloads: where to, in which envelope, how many at once, how often, and what its answers mean.

docs/services.md names the page that each limit is from. Nothing here knows the environment: whoever sends gives `Access`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from recs_assets.exports.rows import ExportError

# Only to these may a request go without encryption.
OWN_MACHINE = ("127.0.0.1", "localhost", "::1")
KLAVIYO_REVISION = "2026-04-15"


@dataclass(frozen=True)
class Access:
    """What the deployment says of a service; the setting that each is from is `RECS_<SERVICE>_<NAME>`."""

    url: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    list: str | None = None
    catalog: str | None = None


@dataclass(frozen=True)
class Request:
    """One call.

    Attributes:
        method: of HTTP.
        url: where to.
        headers: of the call, secrets included.
        body: JSON.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What a service said of a batch that it took.

    Attributes:
        refused: places of the recipients that it did not take, from 0.
        job: id under which it has the batch; None where it names none.
    """

    refused: frozenset[int] = frozenset()
    job: str | None = None


class Receiver:
    """A service at one address.

    Attributes:
        most, most_bytes: recipients, and bytes, of one request.
        rate: requests per second.
    """

    name = ""
    most, most_bytes, rate = 100, 5_000_000, 10.0
    content_type = "application/json"

    def __init__(self, access: Access) -> None:
        self.access = access
        self.base = _check_url(self.name, self._find_url())
        self._check()

    @property
    def host(self) -> str:
        return urlsplit(self.base).netloc

    def wrap(self, customer_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        """What stands for a recipient in the envelope."""
        return payload

    def make_request(
        self, campaign: str, week: str, elements: Sequence[dict[str, Any]], key: str | None = None
    ) -> tuple[str, Request]:
        """A request, and the key that stands for it: the same recipients with the same payloads, the same key.

        Args:
            campaign: its name.
            week: whose recommendations they are.
            elements: of `wrap`, one per recipient.
            key: of a request that is made again.
        """
        body = orjson.dumps(self._wrap(elements))
        if key is None:
            text = "\n".join((self.name, campaign, week)).encode() + b"\n" + body
            key = hashlib.sha256(text).hexdigest()[:32]
        headers = {
            "Content-Type": self.content_type,
            "Accept": self.content_type,
            "User-Agent": "recs_assets",
        }
        return key, Request("POST", self._address(), headers | self._headers(key), body)

    def make_catalog_requests(self, products: Sequence[dict[str, Any]]) -> list[Request]:
        """Requests that bring the catalogue up to date; none where the service fetches it, or was given none."""
        return []

    def make_job_request(self, job: str) -> Request:
        """A request for what became of a job.

        Raises:
            ExportError: the service has none.
        """
        raise ExportError(f"{self.name} answers when it is sent something, and has no jobs to ask for.")

    def read_job(self, answer: dict[str, Any]) -> tuple[str, int, int]:
        """The state of a job, and how many recipients are done and have failed."""
        raise NotImplementedError

    def _get(self, path: str) -> Request:
        headers = {"Accept": self.content_type, "User-Agent": "recs_assets"} | self._headers("")
        return Request("GET", f"{self.base}{path}", headers, b"")

    def read(self, answer: Any) -> Answer:
        """What an answer of 2xx says.

        Args:
            answer: its JSON; None where it is none.
        """
        return Answer()

    def _check(self) -> None:
        self._require("key", self.access.key)

    def _require(self, name: str, value: str | None) -> str:
        if not value:
            raise ExportError(
                f"RECS_{self.name.upper()}_{name.upper()} is not set: set it to send to {self.name}."
            )
        return value

    def _find_url(self) -> str:
        return self._require("url", self.access.url)

    def _address(self) -> str:
        return self.base

    def _headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access.key}"}

    def _wrap(self, elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
        raise NotImplementedError


class Webhook(Receiver):
    """A receiver of one's own, which knows a request that comes again by its Idempotency-Key."""

    name = "webhook"

    def _check(self) -> None:
        pass

    def _headers(self, key: str) -> dict[str, str]:
        # A string of RFC 9651, as the draft of the header field has it.
        own = {"Authorization": f"Bearer {self.access.key}"} if self.access.key else {}
        return own | {"Idempotency-Key": f'"{key}"'}

    def _wrap(self, elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"messages": list(elements)}


class Klaviyo(Receiver):
    """Bulk imports of profiles."""

    name = "klaviyo"
    most, rate = 10_000, 2.5
    content_type = "application/vnd.api+json"

    def read(self, answer: Any) -> Answer:
        return Answer(job=_find_text(answer, "data", "id"))

    def make_job_request(self, job: str) -> Request:
        return self._get(f"/api/profile-bulk-import-jobs/{quote(job, safe='')}")

    def read_job(self, answer: dict[str, Any]) -> tuple[str, int, int]:
        facts = answer["data"]["attributes"]
        return facts["status"], facts.get("completed_count") or 0, facts.get("failed_count") or 0

    def _find_url(self) -> str:
        return self.access.url or "https://a.klaviyo.com"

    def _address(self) -> str:
        return f"{self.base}/api/profile-bulk-import-jobs"

    def _headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Klaviyo-API-Key {self.access.key}", "revision": KLAVIYO_REVISION}

    def _wrap(self, elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            "data": {
                "type": "profile-bulk-import-job",
                "attributes": {"profiles": {"data": list(elements)}},
            }
        }


class Braze(Receiver):
    """User attributes, and the items of a catalogue."""

    name = "braze"
    most, most_bytes, rate = 75, 4_000_000, 100.0
    most_items = 50

    def make_catalog_requests(self, products: Sequence[dict[str, Any]]) -> list[Request]:
        if not self.access.catalog:
            return []
        url = f"{self.base}/catalogs/{quote(self.access.catalog, safe='')}/items"
        headers = {"Content-Type": self.content_type, "User-Agent": "recs_assets"} | self._headers("")
        return [
            Request(
                "PUT",
                url,
                headers,
                orjson.dumps({"items": list(products[start : start + self.most_items])}),
            )
            for start in range(0, len(products), self.most_items)
        ]

    def read(self, answer: Any) -> Answer:
        errors = answer.get("errors") if isinstance(answer, dict) else None
        return Answer(
            frozenset(
                error["index"]
                for error in (errors if isinstance(errors, list) else ())
                if isinstance(error, dict)
                and error.get("input_array") == "attributes"
                and isinstance(error.get("index"), int)
            )
        )

    def _address(self) -> str:
        return f"{self.base}/users/track"

    def _wrap(self, elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"attributes": list(elements)}


class Mailchimp(Receiver):
    """Batches of calls that change merge fields of members. Who is no member is not made one, and nobody's
    subscription is touched."""

    name = "mailchimp"
    most, rate = 500, 2.0

    def wrap(self, customer_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        address = payload["email_address"].strip().lower().encode()
        member = hashlib.md5(address, usedforsecurity=False).hexdigest()
        return {
            "method": "PATCH",
            "path": f"/lists/{self.access.list}/members/{member}",
            "operation_id": customer_id,
            "body": orjson.dumps({"merge_fields": payload["merge_fields"]}).decode(),
        }

    def read(self, answer: Any) -> Answer:
        return Answer(job=_find_text(answer, "id"))

    def make_job_request(self, job: str) -> Request:
        return self._get(f"/batches/{quote(job, safe='')}")

    def read_job(self, answer: dict[str, Any]) -> tuple[str, int, int]:
        failed = answer.get("errored_operations") or 0
        return answer["status"], (answer.get("finished_operations") or 0) - failed, failed

    def _check(self) -> None:
        if not re.fullmatch(r"[0-9a-z]+", self._require("list", self.access.list)):
            raise ExportError(
                "RECS_MAILCHIMP_LIST is no id of an audience: it has letters and digits, as in 9e67587f52."
            )

    def _find_url(self) -> str:
        """The key ends with the data centre, as in ...-us19."""
        center = self._require("key", self.access.key).rpartition("-")[2]
        if self.access.url is None and not re.fullmatch(r"[a-z]{2}\d+", center):
            raise ExportError(
                "RECS_MAILCHIMP_KEY does not end with a data centre, as in -us19: copy the whole key."
            )
        return self.access.url or f"https://{center}.api.mailchimp.com/3.0"

    def _address(self) -> str:
        return f"{self.base}/batches"

    def _wrap(self, elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"operations": list(elements)}


RECEIVERS: dict[str, type[Receiver]] = {kind.name: kind for kind in (Klaviyo, Braze, Mailchimp, Webhook)}


def _check_url(service: str, url: str) -> str:
    """Raises ExportError where a request would go to no address, or unencrypted over a network."""
    parts = urlsplit(url)
    own = parts.scheme == "http" and parts.hostname in OWN_MACHINE
    if not parts.hostname or not (parts.scheme == "https" or own):
        raise ExportError(
            f"RECS_{service.upper()}_URL is no address of HTTPS: write https://..., or http://127.0.0.1:... for this machine."
        )
    return url.rstrip("/")


def _find_text(answer: Any, *path: str) -> str | None:
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer if isinstance(answer, str) else None
