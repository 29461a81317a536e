"""Landing a shop's files as the canonical raw tables; see `docs/sources.md`."""

from recs_assets.sources.acknowledged import EVENTS
from recs_assets.sources.declared import list_some
from recs_assets.sources.forgotten import customers_in
from recs_assets.sources.landing import LandingResult, find_first_as_of, find_latest_as_of, fingerprint, land
from recs_assets.sources.source import Source, load_source, resolve_source, source_names

__all__ = [
    "EVENTS",
    "LandingResult",
    "Source",
    "customers_in",
    "find_first_as_of",
    "find_latest_as_of",
    "fingerprint",
    "land",
    "list_some",
    "load_source",
    "resolve_source",
    "source_names",
]
