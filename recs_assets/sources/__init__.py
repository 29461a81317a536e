"""Landing a shop's files as the canonical raw tables; see `docs/sources.md`."""

from recs_assets.sources.acknowledged import EVENTS
from recs_assets.sources.copies import LANDED
from recs_assets.sources.databases import list_database_tables
from recs_assets.sources.declared import list_some
from recs_assets.sources.forgotten import customers_in
from recs_assets.sources.landing import LandingResult, find_first_as_of, find_latest_as_of, fingerprint, land
from recs_assets.sources.object_storage import Mirror
from recs_assets.sources.parts import Parts, find_parts, land_part, read_landed
from recs_assets.sources.session import find_stored_type
from recs_assets.sources.source import Source, load_source, needs_folder, resolve_source, source_names

__all__ = [
    "EVENTS",
    "LANDED",
    "LandingResult",
    "Mirror",
    "Parts",
    "Source",
    "customers_in",
    "find_first_as_of",
    "find_latest_as_of",
    "find_parts",
    "find_stored_type",
    "fingerprint",
    "land",
    "land_part",
    "list_database_tables",
    "list_some",
    "load_source",
    "needs_folder",
    "read_landed",
    "resolve_source",
    "source_names",
]
