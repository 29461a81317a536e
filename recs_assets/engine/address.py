"""The address of a Spark Connect server. What follows the host and the port may be a secret, so nobody quotes it."""

from __future__ import annotations

import re

PORT = 15002
FORM = "sc://host:port or sc://host:port/;token=...;name=value, with / = ? # in a value as %2F %3D %3F %23"
# What pyspark takes; it quotes in its error what it does not.
_ADDRESS = re.compile(
    r"sc://(?P<host>[\w.-]+)(:(?P<port>[0-9]{1,5}))?(/(;[\w.-]+=[^/;=?#\s]*)*|/;)?", re.ASCII
)


def find_server(address: str) -> tuple[str, int] | None:
    """Host and port; None where it is no such address."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    port = int(found["port"] or PORT)
    return (found["host"], port) if 0 < port < 65_536 else None
