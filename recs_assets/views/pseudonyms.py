"""Names that stand for customers on a screen: keyed hashes of their ids."""

from __future__ import annotations

import os
import secrets
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from recs_assets.schema import SettingsError

KEY_FILE = "pseudonyms.key"
# Crockford's digits: none of them reads like another.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 12


def load_key(home: Path, secret: str | None) -> bytes:
    """The key of the pseudonyms: derived from the deployment's secret, else kept in the home, where it is made once.

    Raises:
        SettingsError: there is neither a secret nor a place to keep a key.
    """
    if secret is not None:
        return blake2b(secret.encode(), digest_size=32, person=b"pseudonyms").digest()
    path = home / KEY_FILE
    try:
        if not path.exists():
            aside = path.with_name(f".{path.name}.{os.getpid()}")
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            try:
                os.link(aside, path)  # whoever is second takes the key of the first
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        return bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The key of the pseudonyms cannot be read from or written to {path} ({error}): set RECS_HASH_KEY, or let "
            "the server write there."
        ) from None


class Pseudonyms:
    """Pseudonyms of customers, and back.

    Args:
        key: of the hashes; None: customers are shown by their ids.
    """

    def __init__(self, key: bytes | None) -> None:
        self.key = key
        self._index: tuple[object, np.ndarray, np.ndarray] | None = None

    def name(self, customer_id: str) -> str:
        """What stands for a customer: the same in every week, and of no use without the key."""
        if self.key is None:
            return customer_id
        number, digits = self._hash(customer_id), []
        for _ in range(_LENGTH):
            number, digit = divmod(number, 32)
            digits.append(_DIGITS[digit])
        return "~" + "".join(reversed(digits))

    def find(self, text: str, connection: Any, version: object) -> str | None:
        """The customer that a pseudonym stands for, or whose id this is; None for nobody.

        Args:
            text: what was typed, or stands in an address.
            connection: to the snapshot.
            version: of the snapshot: the pseudonyms of its customers are computed once.
        """
        text = text.strip()
        if self.key is not None and text.startswith("~") and len(text) == _LENGTH + 1:
            number = 0
            for digit in text[1:].lower():
                if digit not in _DIGITS:
                    return None
                number = number * 32 + _DIGITS.index(digit)
            hashes, rows = self._load(connection, version)
            at = int(np.searchsorted(hashes, np.uint64(number)))
            if at == len(hashes) or hashes[at] != number:
                return None
            sql, value = "select customer_id from recs.customers limit 1 offset ?", int(rows[at])
        else:
            # A snapshot of an earlier version knows one id of everybody.
            several = connection.execute(
                "select 1 from information_schema.tables where table_schema = 'recs' and table_name = 'customer_identities'"
            ).fetchall()
            profiles = "select customer_id from recs.customer_identities where profile_id = $1 union all "
            sql, value = (
                f"{profiles if several else ''}select customer_id from recs.customers where customer_id = $1",
                text,
            )
        found = connection.execute(sql, [value]).fetchone()
        return None if found is None else found[0]

    def _hash(self, customer_id: str) -> int:
        digest = blake2b(customer_id.encode(), key=self.key or b"", digest_size=8).digest()
        return int.from_bytes(digest, "big") >> (64 - 5 * _LENGTH)

    def _load(self, connection: Any, version: object) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all customers, ascending, and their rows."""
        if self._index is None or self._index[0] != version:
            # In the order of the table, which may be a view over files: it has no row ids.
            ids = connection.execute("select customer_id from recs.customers").fetchall()
            hashes = np.array([self._hash(customer) for (customer,) in ids], dtype=np.uint64)
            order = np.argsort(hashes, kind="stable")
            self._index = version, hashes[order], order
        return self._index[1:]
