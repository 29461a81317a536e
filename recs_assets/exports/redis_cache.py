"""The per-customer cache in Redis: one hash per version, one key that names the current version.

    <prefix>:current           the key of the current version
    <prefix>:version:<number>  hash: customer_id -> JSON array of recommendations, best first
    <prefix>:about             hash: as_of, run_id, version, customers, rows of the current version
    <prefix>:versions          set: every version there is, the half-written ones of killed exports too

A version is written beside the current one and counted; then one transaction names it, drops the old
one and says what it is. Whatever cuts the export short before that, readers see the old version whole.
`READ` finds a customer in one round trip in which no switch can come between. What survives a crash of
Redis itself is what its own persistence keeps; the export can be materialised again at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa

from recs_assets.exports.jsonl import encode_blocks
from recs_assets.exports.rows import ExportError, check

PREFIX = "recs"
# EVAL <READ> 1 <prefix>:current <customer_id>
READ = "local v = redis.call('GET', KEYS[1]); return v and redis.call('HGET', v, ARGV[1])"
BATCH = 1_000
TIMEOUT_SECONDS = 60


def publish(
    rows: pa.Table | pd.DataFrame, url: str, *, as_of: date, run_id: str, prefix: str = PREFIX
) -> dict[str, Any]:
    """Write a new version and make it the current one; the old one is dropped in the same moment.

    Callers keep to one writer at a time: versions that are not current are taken for left over.

    Args:
        rows: as `exports.versions.publish` takes them.
        url: redis://[user:password@]host:port/number, rediss:// or unix://.
        as_of: the week.
        run_id: of the run that made it.
        prefix: of every key.

    Returns:
        What `<prefix>:about` says.

    Raises:
        ExportError: the rows are refused (`rows.check`), or Redis cannot be reached, refuses, or ends
            midway; the sentence names no password.
    """
    table = check(rows)
    current, about, versions = (f"{prefix}:{name}" for name in ("current", "about", "versions"))
    with _connect(url) as client:
        drop(client, prefix)
        number = client.incr(f"{prefix}:number")
        version, old = f"{prefix}:version:{number}", client.get(current)
        client.sadd(versions, version)
        customers = 0
        for block in encode_blocks(table):
            for first in range(0, len(block), BATCH):
                batch = block[first : first + BATCH]
                client.hset(version, mapping={key: text for key, text, _ in batch})
                customers += len(batch)
        if (held := client.hlen(version)) != customers:
            raise ExportError(
                f"{_name_server(url)} holds {held} of {customers} customers of the new version; the old one stays: "
                "look at its memory limit and materialise the export again."
            )
        facts = {
            "as_of": as_of.isoformat(),
            "run_id": run_id,
            "version": version,
            "customers": customers,
            "rows": table.num_rows,
        }
        with client.pipeline(transaction=True) as together:
            together.set(current, version)
            together.delete(about)
            together.hset(about, mapping=facts)
            if old is not None:
                together.unlink(old)
                together.srem(versions, old)
            together.execute()
    return facts


def purge(customer_id: str, url: str, prefix: str = PREFIX) -> int:
    """Delete a customer from every version; in how many they were.

    Raises:
        ExportError: as `publish`.
    """
    with _connect(url) as client:
        return sum(client.hdel(key, customer_id) for key in client.smembers(f"{prefix}:versions"))


def count(customer_id: str, url: str, prefix: str = PREFIX) -> int:
    """In how many versions a customer is.

    Raises:
        ExportError: as `publish`.
    """
    with _connect(url) as client:
        return sum(client.hexists(key, customer_id) for key in client.smembers(f"{prefix}:versions"))


@contextmanager
def _connect(url: str) -> Iterator[Any]:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, decode_responses=True) as client:
            yield client
    except (redis.RedisError, OSError, ValueError) as error:
        raise ExportError(
            f"{_name_server(url)} refused or went away ({_shorten(error)}); its readers keep what they had: repair it, then "
            "materialise exports/redis_cache again."
        ) from error


def drop(client: Any, prefix: str = PREFIX) -> list[str]:
    """Delete every version that is not the current one; their keys."""
    left = sorted(set(client.smembers(f"{prefix}:versions")) - {client.get(f"{prefix}:current")})
    if left:
        client.unlink(*left)
        client.srem(f"{prefix}:versions", *left)
    return left


def lookup(client: Any, customer_id: str, prefix: str = PREFIX) -> list[dict[str, Any]] | None:
    """A customer's recommendations in the current version, best first; None for an unknown one.

    Args:
        client: redis.Redis, of the storefront.
        customer_id: as in the shop's own tables.
        prefix: as the export was given it.
    """
    value = client.eval(READ, 1, f"{prefix}:current", customer_id)
    return None if value is None else json.loads(value)


def _name_server(url: str) -> str:
    """Redis and where it is, without user and password."""
    parts = urlsplit(url)
    return f"Redis at {parts.hostname or parts.path}{f':{parts.port}' if parts.port else ''}"


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
