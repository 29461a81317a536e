"""Landing a shop's files as the canonical raw tables; see `docs/sources.md`."""

from recs_assets.sources.landing import (
    LandingResult,
    Source,
    fingerprint,
    land,
    latest_as_of,
    load_source,
    resolve_source,
    source_names,
)

__all__ = [
    "LandingResult",
    "Source",
    "fingerprint",
    "land",
    "latest_as_of",
    "load_source",
    "resolve_source",
    "source_names",
]
