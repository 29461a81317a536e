"""Who was sent what, and whether it arrived: a line per recipient and step, written before a request and after it.

    <folder of the campaign>/receipts/<as_of>-<service>.jsonl

A recipient's last line is their receipt. The steps are `sending`, written before the request, and after it `accepted`,
`refused` or `unknown` (no answer came, or one that says to try again). Who is left at `sending` or `unknown` was in a request
of which nobody knows whether it arrived; it can be made again as it was, because every line names the batch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from recs_assets.exports.payloads import start_line
from recs_assets.files import sync
from recs_assets.store.lock import writer_lock

FOLDER, LOCK = "receipts", "send.lock"
SENDING, ACCEPTED, REFUSED, UNKNOWN = "sending", "accepted", "refused", "unknown"


@dataclass
class Batch:
    """Recipients of one request, in its order.

    Attributes:
        key: that stands for the request.
        size: how many there were; fewer members were read where their lines were cut off before the request went out.
            0 where one of them was forgotten since.
        members: customer id -> digest of the payload.
        open: members of whom nobody knows whether they arrived.
        moved: a member has been in another request since.
    """

    key: str
    size: int
    members: dict[str, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    moved: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the request can be made again as it was."""
        return not self.moved and len(self.members) == self.size


class Receipts:
    """The receipts of one campaign, week and service, open for one sender."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Customer id -> the service's job that accepted them.
        self.jobs: dict[str, str] = {}
        self._status: dict[str, tuple[str, str]] = {}
        self._batches: dict[str, Batch] = {}
        self._batch_of: dict[str, Batch] = {}
        self._file: IO[bytes] | None = None

    def read(self) -> None:
        """What is there. A last line that was cut off does not count."""
        for line in _read_whole_lines(self.path):
            row = json.loads(line)
            customer, status, key = row["customer_id"], row["status"], row["batch"]
            self._status[customer] = (status, row["payload"])
            if status == ACCEPTED and "job" in row:
                self.jobs[customer] = row["job"]
            if status == SENDING:
                batch = self._batches.setdefault(key, Batch(key, row["of"]))
                earlier = self._batch_of.get(customer, batch)
                if earlier is not batch:
                    earlier.open.discard(customer)
                    earlier.moved = True
                self._batch_of[customer] = batch
                batch.members[customer] = row["payload"]
                batch.open.add(customer)
            elif status != UNKNOWN and key in self._batches:
                self._batches[key].open.discard(customer)

    def list_open(self) -> list[Batch]:
        """Batches that went out and of which somebody's fate is unknown, in the order sent."""
        return [
            batch for batch in self._batches.values() if batch.open and batch.size in (0, len(batch.members))
        ]

    def find_digest(self, customer_id: str) -> str | None:
        """Of the payload that was accepted; None where none was."""
        status, digest = self._status.get(customer_id, (None, None))
        return digest if status == ACCEPTED else None

    def begin(self, key: str, members: Sequence[tuple[str, str]]) -> None:
        """Write down who is in a request that is about to go out.

        Args:
            key: of the request.
            members: customer id and digest of the payload, in its order.
        """
        self._write(
            {"customer_id": customer, "status": SENDING, "batch": key, "of": len(members), "payload": digest}
            for customer, digest in members
        )

    def end(
        self,
        key: str,
        members: Iterable[tuple[str, str]],
        status: str,
        *,
        attempts: int,
        code: int | None,
        **more: Any,
    ) -> None:
        """Write down what became of recipients of a request.

        Args:
            key: of the request.
            members: customer id and digest of the payload.
            status: ACCEPTED, REFUSED or UNKNOWN.
            attempts: requests made.
            code: of the last answer; None without one.
            more: what the service said of them.
        """
        said = {name: value for name, value in more.items() if value is not None}
        self._write(
            {
                "customer_id": customer, "status": status, "batch": key, "payload": digest, "attempts": attempts,
                "code": code, **said,
            }
            for customer, digest in members
        )  # fmt: skip

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        """On the disk before anything else happens."""
        assert self._file is not None
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = []
        for row in rows:
            self._status[row["customer_id"]] = (row["status"], row["payload"])
            lines.append(json.dumps(row | {"at": at}).encode() + b"\n")
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_receipts(folder: Path, as_of: str, service: str, dry: bool = False) -> Iterator[Receipts]:
    """The receipts of a campaign, for the one sender that there may be.

    Args:
        folder: of the campaign's files.
        as_of: the week.
        service: its name.
        dry: to be read only, and whoever else may send.

    Raises:
        WarehouseError: somebody else sends.
    """
    path = folder / FOLDER / f"{as_of}-{service}.jsonl"
    if dry:
        receipts = Receipts(path)
        receipts.read()
        yield receipts
        return
    with writer_lock(folder / FOLDER / LOCK, 0):
        receipts = Receipts(path)
        receipts.read()
        _cut_last_line(receipts.path)
        descriptor = os.open(receipts.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as receipts._file:
            sync(receipts.path.parent)
            yield receipts


def drop_old(folder: Path, kept: Collection[str]) -> None:
    """Delete the receipts of weeks of which no version is kept.

    Args:
        folder: of the campaign's files.
        kept: weeks, as in 2025-06-30.
    """
    for path in (folder / FOLDER).glob("*.jsonl"):
        if path.name[:10] not in kept:
            path.unlink()


def purge(folder: Path, customer_id: str, wait_seconds: float) -> list[Path]:
    """Write the receipts of a campaign again without a customer: the files that held them.

    Raises:
        WarehouseError: somebody still sends after `wait_seconds`.
    """
    rewritten, start = [], start_line(customer_id)
    if not (folder / FOLDER).is_dir():
        return rewritten
    with writer_lock(folder / FOLDER / LOCK, wait_seconds):
        for path in sorted((folder / FOLDER).glob("*.jsonl")):
            lines = list(_read_whole_lines(path))
            gone = [json.loads(line) for line in lines if line.startswith(start)]
            if not gone:
                continue
            broken = {row["batch"] for row in gone}
            others = [_break(line, broken) for line in lines if not line.startswith(start)]
            aside = path.with_suffix(".next")
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(others)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync(path.parent)
            rewritten.append(path)
    return rewritten


def _break(line: bytes, broken: Collection[str]) -> bytes:
    """A line that says, where its request held somebody who is forgotten, that this cannot be made again."""
    row = json.loads(line)
    if row["batch"] not in broken or "of" not in row:
        return line
    return json.dumps(row | {"of": 0}).encode() + b"\n"


def _read_whole_lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def _cut_last_line(path: Path) -> None:
    """Of a sender that was killed while it wrote."""
    if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)
