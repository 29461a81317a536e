"""What a service that answers before it works says later of the jobs that receipts name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from recs_assets.exports.http_calls import Patience, open_caller
from recs_assets.exports.receipts import open_receipts
from recs_assets.exports.rows import ExportError
from recs_assets.exports.services import Receiver


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        job: the service's id of it.
        recipients: how many receipts name it.
        state: the service's word.
        done, failed: of its recipients, as the service counts.
    """

    job: str
    recipients: int
    state: str
    done: int
    failed: int

    def __str__(self) -> str:
        text = f"Job {self.job}: {self.state}, {self.done} of {self.recipients} recipients done, {self.failed} failed."
        return f"{text} Its own report says which." if self.failed else text


def check_jobs(
    folder: Path, week: str, receiver: Receiver, rate: float | None = None, patience: Patience | None = None
) -> list[Job]:
    """Ask a service for the jobs of a campaign and week, in the order sent.

    Args:
        folder: of the campaign's files.
        week: as in 2025-06-30.
        receiver: the service.
        rate: requests per second; None for the service's.
        patience: with failures.

    Raises:
        ExportError: the service has no jobs, cannot be reached, or does not know one.
    """
    with open_receipts(folder, week, receiver.name, dry=True) as receipts:
        counts = Counter(receipts.jobs.values())
    jobs = []
    with open_caller(rate or receiver.rate, patience or Patience()) as caller:
        for job, recipients in counts.items():
            code, _, answer = caller.call(receiver.make_job_request(job))
            if code != 200 or not isinstance(answer, dict):
                said = "does not answer" if code is None else f"answers {code}"
                raise ExportError(
                    f"{receiver.name} at {receiver.host} {said} when asked for job {job}: ask later."
                )
            jobs.append(Job(job, recipients, *receiver.read_job(answer)))
    return jobs
