"""The one Definitions object Dagster loads."""

from recs_assets.defs import build_definitions

defs = build_definitions()
