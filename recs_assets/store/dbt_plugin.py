"""Lets dbt's connection to a build file read lakes in object stores (dbt_project/profiles.yml)."""

from __future__ import annotations

import os
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from recs_assets.locations import locate
from recs_assets.store.connect import read_stores

# The lakes, a line each.
LAKES = "RECS_DBT_LAKES"


class Plugin(BasePlugin):
    """Gives the stores of the environment's lakes to dbt's connection."""

    def configure_connection(self, conn: Any) -> None:
        read_stores(conn, [locate(lake) for lake in os.environ.get(LAKES, "").splitlines()])
