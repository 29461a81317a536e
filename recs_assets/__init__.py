"""Weekly product recommendations on Dagster, dbt and DuckDB."""

from typing import Any

__version__ = "0.3.0"
__all__ = ["predict"]


def __getattr__(name: str) -> Any:
    # Everything behind it (pandas, DuckDB, LightGBM) is imported when it is asked for.
    if name == "predict":
        from recs_assets.training import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
