"""Who was forgotten, as keyed hashes, so that a later file cannot bring them back."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from recs_assets.schema import SettingsError
from recs_assets.sources.spellings import list_person_keys

SUPPRESSED = "suppressed.parquet"
_KEY_CHECK = "recs_assets: which key"
_ALSO = "recs_assets: also known as "
# Before a visitor's number among the keys: no key of `spellings` has a colon.
_VISITOR = "visitor:"


class Suppression:
    """The keyed hashes (HMAC-SHA256) of erased customers.

    Args:
        home: folder with `suppressed.parquet`, which may be absent.
        key: RECS_HASH_KEY.

    Raises:
        SettingsError: the file is there and the key is not, or it is another one.
    """

    def __init__(self, home: Path, key: SecretStr | None) -> None:
        self.path = home / SUPPRESSED
        self._key = None if key is None else key.get_secret_value().encode()
        self._erased: dict[str, datetime] = {}
        # Per customer the hashes of their other spellings and of their addresses.
        self._others: dict[str, tuple[str, ...]] = {}
        if not self.path.exists():
            return
        if self._key is None:
            raise SettingsError(
                f"RECS_HASH_KEY is not set and {self.path} lists erased customers: set the key it was "
                "written with, or they would be landed again."
            )
        table = pq.read_table(self.path)
        if (table.schema.metadata or {}).get(b"key_check", b"").decode() != self.hash(_KEY_CHECK):
            raise SettingsError(
                f"RECS_HASH_KEY is not the key that {self.path} was written with: set that one, or the erased "
                "customers would be landed again."
            )
        for row in table.to_pylist():
            self._erased[row["customer_hash"]] = row["erased_at"]
            self._others[row["customer_hash"]] = tuple(row.get("other_hashes") or ())

    def hash(self, customer_id: str) -> str:
        """The hex HMAC of an id.

        Raises:
            SettingsError: there is no key.
        """
        if self._key is None:
            raise SettingsError(
                "RECS_HASH_KEY is not set: set it to a secret of 16 characters or more and keep it; erased "
                "customers are remembered by it."
            )
        return hmac.new(self._key, customer_id.strip().encode(), hashlib.sha256).hexdigest()

    def _hash_key(self, key: str) -> str:
        """The hash of a key: not that of the same text as an id, nor an `email_hash`, which readers of the tables have."""
        return self.hash(f"{_ALSO}{key}")

    def since(self, customer_id: str) -> datetime | None:
        """When the customer was erased; None where they were not."""
        return self._erased.get(self.hash(customer_id))

    def find_erased(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the ids that were erased."""
        if not self._erased:
            return []
        return [customer for customer in customer_ids if self.hash(customer) in self._erased]

    def find_known_keys(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys (`spellings.list_person_keys`) that somebody erased had."""
        known = {digest for others in self._others.values() for digest in others}
        return {key for key in keys if known and self._hash_key(key) in known}

    def find_erased_visitors(self, visitor_ids: Iterable[str]) -> list[str]:
        """Those of the visitors that somebody erased was."""
        keys = {_VISITOR + visitor: visitor for visitor in visitor_ids}
        return [keys[key] for key in self.find_known_keys(keys)]

    def find_own_keys(self, customer_id: str, keys: Iterable[str]) -> set[str]:
        """Those of the keys that the erased customer had."""
        own = self._others.get(self.hash(customer_id), ())
        return {key for key in keys if own and self._hash_key(key) in own}

    @property
    def filter(self) -> Suppression | None:
        """Itself, or None where nobody was erased, so that landing need not ask."""
        return self if self._erased else None

    def add(
        self, customer_id: str, now: datetime, addresses: Iterable[str] = (), visitors: Iterable[str] = ()
    ) -> str:
        """Remember an erased customer, and by what a later file may mean them; the hash. Written aside and renamed."""
        own = self.hash(customer_id)
        self._erased.setdefault(own, now)
        keys = {key for address in (None, *addresses) for key in list_person_keys(customer_id, address)}
        keys |= {_VISITOR + visitor for visitor in visitors}
        self._others[own] = tuple(sorted({*self._others.get(own, ()), *map(self._hash_key, keys)}))
        table = pa.table(
            {
                "customer_hash": pa.array(sorted(self._erased), pa.string()),
                "erased_at": pa.array(
                    [self._erased[digest] for digest in sorted(self._erased)], pa.timestamp("us")
                ),
                "other_hashes": pa.array(
                    [self._others.get(digest, ()) for digest in sorted(self._erased)], pa.list_(pa.string())
                ),
            }
        ).replace_schema_metadata({"key_check": self.hash(_KEY_CHECK)})
        aside = self.path.with_suffix(".next")
        pq.write_table(table, aside)
        aside.replace(self.path)
        return own
