"""What a campaign made, kept with the week."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recs_assets.campaigns.made import Made
from recs_assets.schema import ArtefactError


def test_what_a_campaign_made_is_read_as_it_was_written(tmp_path):
    rows = pd.DataFrame({"customer_id": ["ann"], "because_product_id": [None], "p_purchase": [np.nan]})
    made = Made({"selection": rows, "rules": pd.DataFrame()}, {"chosen": "query", "problem": ""})
    for _ in range(2):  # the second time in place of the first
        made.write(tmp_path / "campaigns" / "mail")
    found = Made.read(tmp_path / "campaigns" / "mail")
    assert found.facts == made.facts
    assert found.tables["selection"]["customer_id"].tolist() == ["ann"]
    assert found.tables["selection"].isna().sum().tolist() == [0, 1, 1]
    assert len(found.tables["rules"]) == 0
    assert [path.name for path in (tmp_path / "campaigns").iterdir()] == ["mail"]
    (tmp_path / "campaigns" / "mail" / "selection.parquet").write_bytes(b"broken")
    with pytest.raises(ArtefactError, match="materialise the campaign again"):
        Made.read(tmp_path / "campaigns" / "mail")


def test_what_rules_removed_is_written_for_the_views_and_not_read_again(tmp_path):
    removed = pd.DataFrame({"customer_id": ["ann"], "product_id": ["p1"], "rule": ["in_stock"]})
    Made({"selection": pd.DataFrame({"customer_id": ["ann"]}), "removed": removed}, {}).write(
        tmp_path / "mail"
    )
    assert pd.read_parquet(tmp_path / "mail" / "removed.parquet").equals(removed)
    assert set(Made.read(tmp_path / "mail").tables) == {"selection"}
