"""Landing a shop's files as the canonical raw tables; see `docs/sources.md`."""

from recs_assets.sources.landing import (
    LandingResult,
    Source,
    customers_in,
    fingerprint,
    first_as_of,
    land,
    latest_as_of,
    load_source,
    resolve_source,
    source_names,
)
from recs_assets.sources.reader import some_of

__all__ = [
    "LandingResult",
    "Source",
    "customers_in",
    "fingerprint",
    "first_as_of",
    "land",
    "latest_as_of",
    "load_source",
    "resolve_source",
    "some_of",
    "source_names",
]
