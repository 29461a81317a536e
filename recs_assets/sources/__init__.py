"""Landing a shop's files as the canonical raw tables; see `docs/sources.md`."""

from recs_assets.sources.declared import some_of
from recs_assets.sources.forgotten import customers_in
from recs_assets.sources.landing import LandingResult, fingerprint, first_as_of, land, latest_as_of
from recs_assets.sources.source import Source, load_source, resolve_source, source_names

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
