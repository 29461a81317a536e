"""Text inside SQL."""

from __future__ import annotations


def quote(text: object) -> str:
    """Text for use between single quotes in SQL."""
    return str(text).replace("'", "''")
