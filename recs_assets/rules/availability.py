"""What may be sold."""

from __future__ import annotations

import pandas as pd

from recs_assets.interactions import Known


def keep_available(rows: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The rows whose product (code) may be sold at the anchor and is in stock."""
    return rows[known.available[rows["product"].to_numpy()]]
