"""The caches that stand in servers, beside the files: those that the deployment names an address of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from recs_assets.exports import postgres_cache, redis_cache


@dataclass(frozen=True)
class ServerCache:
    """One cache.

    Attributes:
        publish: (rows, as_of=, run_id=) -> what the server now holds.
        purge: customer id -> how many entries were deleted.
        count: customer id -> how many entries there are.
    """

    publish: Callable[..., dict[str, Any]]
    purge: Callable[[str], int]
    count: Callable[[str], int]


def server_caches(redis_url: str | None, postgres_url: str | None) -> dict[str, ServerCache]:
    """By the name of its asset; without an address there is none."""
    addressed = {"redis_cache": (redis_cache, redis_url), "postgres_cache": (postgres_cache, postgres_url)}
    return {
        name: ServerCache(*(partial(job, url=url) for job in (module.publish, module.purge, module.count)))
        for name, (module, url) in addressed.items()
        if url is not None
    }
