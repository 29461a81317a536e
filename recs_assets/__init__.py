"""Weekly product recommendations on Dagster, dbt and DuckDB."""

__version__ = "0.2.0"
