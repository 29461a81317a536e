"""After a rollback the snapshot, the cache and the campaigns' files show one week."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from helpers import shops
from helpers.shops import Home

EARLIER = "2025-05-05"


def test_snapshot_cache_and_files_show_one_week_and_nobody_who_withdrew_since(
    weekly: Home, tmp_path: Path
) -> None:
    """c06 got the email of 5 May and unsubscribed on 20 June: the files of then are not made current again."""
    home, data = weekly.copy(tmp_path / "home"), shops.copy(tmp_path / "data")
    (data / "manifest.json").unlink()
    gone = {"customer_id": "c06", "state": "unsubscribed", "effective_at": "2025-06-20 10:00:00"}
    shops.change(data, "consents", lambda rows: [*rows, {**dict.fromkeys(rows[0], ""), **gone}])
    done = shops.finish(shops.start(home.path, data, command=("rollback",)))
    assert done.code == 0, done.err
    assert f"Files of weekly_email -> {EARLIER}-" in done.out
    assert home.query("select max(as_of) from recs.email_recommendations")[0][0].isoformat() == EARLIER
    weeks = {}
    for path in ("cache", "serving", "exports/weekly_email", "exports/category_affinity"):
        weeks[path] = json.loads((home.path / path / "current" / "manifest.json").read_text())["as_of"]
    assert set(weeks.values()) == {EARLIER}
    [(published,)] = home.query(
        "select count(*) from recs.email_recommendations where campaign = 'weekly_email' and customer_id = 'c06'"
    )
    assert published == 12
    with duckdb.connect() as connection:
        for campaign in ("weekly_email", "category_affinity"):
            file = home.path / "exports" / campaign / "current" / "long.parquet"
            rows = connection.execute(
                f"select count(*) filter (where customer_id = 'c06'), count(*) from '{file}'"
            ).fetchall()
            assert rows[0][0] == 0
            assert rows[0][1] > 100
