"""Send the payloads of a version to a service: in batches, at its pace, again where it asks for that, with a receipt per
recipient.

What is sent is written down before each request and what became of it after the answer (`receipts`), so that a sender which is
killed is carried on by the next: a request whose fate is unknown is made again as it was, under the same key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson

from recs_assets.exports.http_calls import AGAIN, Caller, Patience, open_caller
from recs_assets.exports.payloads import SERVICES
from recs_assets.exports.receipts import ACCEPTED, REFUSED, UNKNOWN, Batch, Receipts, drop_old, open_receipts
from recs_assets.exports.rows import ExportError
from recs_assets.exports.services import Receiver
from recs_assets.exports.versions import list_versions

# Answers that say that something in the request is not as it should be: halves of it may be. Nobody in it was taken,
# by an earlier attempt either: a service that knows keys answers what it took once as it did then.
UNFIT = (400, 413, 422)


@dataclass
class Sent:
    """What became of a campaign's recipients.

    Attributes:
        campaign, week, service, host: what was sent, where to.
        accepted, refused: recipients that the service took, and did not.
        before: who had their receipt already.
        changed: of those, whose payload is another one now.
        withdrawn: who withdrew since the files were written, and was not sent.
        expired: who was not sent, because something of their email no longer holds.
        uncertain: who was sent anew although an earlier request, which could not be made again as it was, may have arrived.
        requests: batches.
        receipts: their file.
    """

    campaign: str
    week: str
    service: str
    host: str
    receipts: Path
    accepted: int = 0
    refused: int = 0
    before: int = 0
    changed: int = 0
    withdrawn: int = 0
    expired: int = 0
    uncertain: int = 0
    requests: int = 0


@dataclass
class _Line:
    customer_id: str
    digest: str
    expires_at: datetime
    payload: dict[str, Any] = field(repr=False)


def send(
    folder: Path,
    campaign: str,
    receiver: Receiver,
    *,
    withdrawn: Collection[str] = (),
    changed: bool = False,
    dry: bool = False,
    rate: float | None = None,
    patience: Patience | None = None,
    progress: Callable[[Sent], None] = lambda sent: None,
    now: datetime | None = None,
) -> Sent:
    """Send the current version's payloads to a service, to everybody who has no receipt of it for the week, and whose email
    still holds.

    Args:
        folder: of the campaign's files.
        campaign: its name.
        receiver: the service.
        withdrawn: customer ids that may not be written to now.
        changed: also to those whose payload is not the one that was accepted.
        dry: count only: nothing is sent, and no receipt is written.
        rate: requests per second; None for the service's.
        patience: with failures.
        progress: is called after each batch.
        now: what expired before it is not sent; the clock's if None.

    Raises:
        ExportError: there is no such file; everybody's email has expired, and nothing was sent; the service cannot be reached, or refuses the key or the address. What was
            sent until then has its receipts.
        WarehouseError: somebody else sends the campaign.
    """
    manifest, path = _find_payloads(folder, campaign, receiver.name)
    week = manifest["as_of"]
    with open_receipts(folder, week, receiver.name, dry) as receipts:
        sent = Sent(campaign, week, receiver.name, receiver.host, receipts.path)
        plan = _Plan(path, receipts, sent, withdrawn, datetime.now(UTC) if now is None else now, changed)
        with open_caller(rate or receiver.rate, patience or Patience()) as caller:
            sender = _Sender(receiver, receipts, sent, caller, dry, progress, path)
            for lines in _split_batches(plan.list_others(), receiver):
                sender.send_batch(lines)
            plan.refuse_expired()
            for key, lines in plan.rebuild().items():
                sender.send_batch(lines, key)
            for lines in _split_batches(plan.list_rest(), receiver):
                sender.send_batch(lines)
    if dry:
        return sent
    drop_old(folder, {kept["as_of"] for _, kept in list_versions(folder)} | {week})
    return sent


class _Sender:
    """Sends batches, one after the other."""

    def __init__(
        self,
        receiver: Receiver,
        receipts: Receipts,
        sent: Sent,
        caller: Caller,
        dry: bool,
        progress: Callable[[Sent], None],
        path: Path,
    ) -> None:
        self.receiver, self.receipts, self.sent = receiver, receipts, sent
        self.caller, self.dry, self.progress = caller, dry, progress
        self._path, self._has_catalog = path, False

    def send_batch(self, lines: Sequence[_Line], key: str | None = None) -> None:
        """One request, or where the service finds a fault in it, its halves; with a key, one that is made again."""
        elements = [self.receiver.wrap(line.customer_id, line.payload) for line in lines]
        key, request = self.receiver.make_request(self.sent.campaign, self.sent.week, elements, key)
        members = [(line.customer_id, line.digest) for line in lines]
        self.sent.requests += 1
        if self.dry:
            self.sent.accepted += len(lines)
            return
        if not self._has_catalog:
            self._send_catalog(_read_catalog(self._path, self.receiver.name))
            self._has_catalog = True
        self.receipts.begin(key, members)
        code, attempts, answer = self.caller.call(request)
        facts = {"attempts": attempts, "code": code}
        if code in UNFIT:
            self.receipts.end(key, members, REFUSED, **facts)
            if len(lines) > 1:
                half = len(lines) // 2
                self.send_batch(lines[:half])
                self.send_batch(lines[half:])
            else:
                self.sent.refused += 1
                self.progress(self.sent)
            return
        if code is None or not 200 <= code < 300:
            self.receipts.end(key, members, UNKNOWN, **facts)
            self._give_up(code, attempts)
        said = self.receiver.read(answer)
        refused = [member for place, member in enumerate(members) if place in said.refused]
        taken = [member for place, member in enumerate(members) if place not in said.refused]
        self.receipts.end(key, taken, ACCEPTED, **facts, job=said.job)
        if refused:
            self.receipts.end(key, refused, REFUSED, **facts)
        self.sent.accepted += len(taken)
        self.sent.refused += len(refused)
        self.progress(self.sent)

    def _give_up(self, code: int | None, attempts: int) -> NoReturn:
        """Raises:
        ExportError: always; it says what to do.
        """
        who = f"{self.receiver.name} at {self.receiver.host}"
        done = f"{self.sent.accepted} recipients have their receipts"
        if code is None or code in AGAIN:
            said = "does not answer" if code is None else f"answers {code}"
            raise ExportError(
                f"{who} {said} after {attempts} attempts: {done}; send again, and the others follow."
            )
        raise ExportError(
            f"{who} answers {code}: correct its settings (RECS_{self.receiver.name.upper()}_...), then send again; {done}."
        )

    def _send_catalog(self, products: Sequence[dict[str, Any]]) -> None:
        """Before anybody's payload names a product."""
        for request in self.receiver.make_catalog_requests(products):
            code, attempts, _ = self.caller.call(request)
            if code is None or not 200 <= code < 300:
                said = "does not answer" if code is None else f"answers {code}"
                raise ExportError(
                    f"{self.receiver.name} at {self.receiver.host} {said} to its catalogue after {attempts} attempts: "
                    f"correct RECS_{self.receiver.name.upper()}_CATALOG, or make that catalogue; nobody was sent anything."
                )


def find_week(folder: Path, campaign: str) -> str:
    """The week of a campaign's current files.

    Raises:
        ExportError: there are none.
    """
    return _read_manifest(folder, campaign)["as_of"]


def _read_manifest(folder: Path, campaign: str) -> dict[str, Any]:
    path = folder / "current" / "manifest.json"
    if not path.exists():
        raise ExportError(
            f"The campaign {campaign} has no files yet: run it first (python -m recs_assets campaign {campaign})."
        )
    return json.loads(path.read_text("utf-8"))


def _find_payloads(folder: Path, campaign: str, service: str) -> tuple[dict[str, Any], Path]:
    """The manifest of the current version, and its file of recipients.

    Raises:
        ExportError: there is none.
    """
    current = (folder / "current").resolve()
    manifest = _read_manifest(folder, campaign)
    for addresses in (True, False):
        path = current / SERVICES[service].place(addresses)
        if str(path.relative_to(current)) in manifest["files"]:
            return manifest, path
    raise ExportError(
        f"The files of the campaign {campaign} hold nothing for {service}: add {service} to exports in its file, then run "
        f"python -m recs_assets campaign {campaign}."
    )


def _read_catalog(path: Path, service: str) -> list[dict[str, Any]]:
    name = SERVICES[service].catalog
    if name is None or not name.endswith(".jsonl"):
        return []
    folder = path.parent.parent if path.parent.name == "restricted" else path.parent
    return [json.loads(line) for line in (folder / name).read_bytes().splitlines()]


def _read_lines(path: Path) -> Iterator[_Line]:
    with path.open("rb") as file:
        for text in file:
            line = orjson.loads(text)
            if "expires_at" not in line:
                raise ExportError(
                    "The campaign's files were written by an earlier version of recs_assets, and do not say until when they hold: "
                    "run the campaign again."
                )
            until = datetime.fromisoformat(line["expires_at"])
            yield _Line(line["customer_id"], hashlib.sha256(text).hexdigest()[:16], until, line["payload"])


class _Plan:
    """Who is to be sent, in one reading of the file: those of whom no request is open, then the open requests, then who was in
    one that cannot be made again."""

    def __init__(
        self,
        path: Path,
        receipts: Receipts,
        sent: Sent,
        withdrawn: Collection[str],
        now: datetime,
        changed: bool,
    ) -> None:
        self.path, self.receipts, self.sent = path, receipts, sent
        self.withdrawn, self.now, self.changed = set(withdrawn), now, changed
        self._batches: list[Batch] = receipts.list_open()
        self._held: dict[str, _Line | None] = {
            name: None for batch in self._batches for name in batch.members
        }
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._end: datetime | None = None

    def list_others(self) -> Iterator[_Line]:
        """Whoever is in no open request and is to be sent."""
        for line in _read_lines(self.path):
            self._end = line.expires_at if self._end is None else max(self._end, line.expires_at)
            if line.customer_id in self._held:
                self._held[line.customer_id] = line
            elif self._goes(line):
                yield line

    def refuse_expired(self) -> None:
        """Once the file is read.

        Raises:
            ExportError: everybody's email has expired, so that nobody was to be sent any.
        """
        if self._end is not None and self._end <= self.now:
            raise ExportError(
                f"The emails of the campaign {self.sent.campaign} of the week {self.sent.week} expired on {self._end:%Y-%m-%d} (UTC), "
                "and nothing was sent: make a newer week (python -m recs_assets run), then send."
            )

    def rebuild(self) -> dict[str, list[_Line]]:
        """Requests of which nobody knows whether they arrived, as they were, by key; those that cannot be made again, because a
        payload has changed, has expired, or somebody withdrew, are for `list_rest`."""
        whole: dict[str, list[_Line]] = {}
        for batch in self._batches:
            found = (self._held[name] for name in batch.members if name not in self.withdrawn)
            lines = [line for line in found if line is not None and line.expires_at > self.now]
            if batch.is_whole and [line.digest for line in lines] == list(batch.members.values()):
                whole[batch.key] = lines
            else:
                self._again |= batch.open
        self._busy = {line.customer_id for lines in whole.values() for line in lines}
        return whole

    def list_rest(self) -> Iterator[_Line]:
        """Whoever was in an open request that `rebuild` did not make again, and is to be sent; by customer, as the file is."""
        for line in sorted(filter(None, self._held.values()), key=lambda held: held.customer_id):
            if line.customer_id not in self._busy and self._goes(line):
                yield line

    def _goes(self, line: _Line) -> bool:
        """Whether it is to be sent; counts what becomes of it otherwise."""
        sent, digest = self.sent, self.receipts.find_digest(line.customer_id)
        if line.customer_id in self.withdrawn:
            sent.withdrawn += 1
            return False
        if line.expires_at <= self.now and (digest is None or (self.changed and digest != line.digest)):
            sent.expired += 1
            return False
        if digest is None:
            sent.uncertain += line.customer_id in self._again
            return True
        sent.changed += digest != line.digest
        goes = self.changed and digest != line.digest
        sent.before += not goes
        return goes


def _split_batches(lines: Iterable[_Line], receiver: Receiver) -> Iterator[list[_Line]]:
    """As many to a request as the service takes."""
    batch: list[_Line] = []
    size = 0
    for line in lines:
        own = len(orjson.dumps(receiver.wrap(line.customer_id, line.payload))) + 1
        # Of the limit a thousandth and 500 bytes are for the envelope.
        if batch and (len(batch) == receiver.most or size + own > receiver.most_bytes * 0.999 - 500):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += own
    if batch:
        yield batch
