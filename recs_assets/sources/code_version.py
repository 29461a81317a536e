"""Which code reads the files: what it read before may be kept only as long as it would read the same again."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import duckdb


@cache
def find_code_version() -> str:
    """A digest of the modules that read files and of DuckDB's version."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]
