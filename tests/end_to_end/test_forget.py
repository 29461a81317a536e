"""A customer is forgotten: planted in the shop's files, run, forgotten while the files still hold her, run again."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from helpers import shops
from helpers.experiments import write
from recs_assets.campaigns.file import FOLDER

WEEK = "2025-06-30"
CANARY, ADDRESS = "canary-77841", "canary.77841@mail.example"
KEY = "a secret for tests only"


def planted(data: Path) -> Path:
    """The tiny shop, whose customer c01 is the canary; one of their reviews fails a row check."""
    shops.copy(data)
    for stem in (
        "customers",
        "orders",
        "reviews",
        "browsing_events",
        "campaign_events",
        "searches",
        "consents",
    ):
        shops.change(
            data,
            stem,
            lambda rows: [
                row
                | ({"customer_id": CANARY} if row["customer_id"] == "c01" else {})
                | ({"email": ADDRESS} if row.get("email") == "c01@example.com" else {})
                for row in rows
            ],
        )
    shops.change(
        data,
        "reviews",
        lambda rows: [*rows, rows[0] | {"review_id": "r-canary", "customer_id": CANARY, "rating": 9}],
    )
    return data


def write_settings(folder: Path) -> dict[str, Path]:
    """Settings of a shop whose email has an experiment and a shadow."""
    campaigns, experiments = folder / "campaigns", folder / "experiments"
    campaigns.mkdir()
    experiments.mkdir()
    text = (FOLDER / "weekly_email.yaml").read_text("utf-8")
    (campaigns / "weekly_email.yaml").write_text(f"{text}shadows:\n  quiet: {{view: new}}\n", "utf-8")
    write(experiments, "2026-01-05", WEEK)
    return {"campaigns": campaigns, "experiments": experiments}


def places(home: Path) -> set[str]:
    """Files in which the canary or her address is found: in their bytes, or in a value."""
    found = set()
    for path in (path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        texts = [path.read_bytes().lower()]
        if path.suffix == ".parquet":
            texts += [str(pq.read_table(path).to_pydict()).lower().encode()]
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                for schema, table in connection.execute(
                    "select schema_name, table_name from duckdb_tables()"
                ).fetchall():
                    rows = connection.execute(f'select * from "{schema}"."{table}"').fetchall()
                    texts.append(repr(rows).lower().encode())
        if any(word.encode() in text for text in texts for word in (CANARY, ADDRESS)):
            found.add(str(path.relative_to(home)))
    return found


@pytest.mark.own_week
def test_only_the_keyed_hash_remains(tmp_path: Path) -> None:
    data, home = planted(tmp_path / "data"), tmp_path / "home"
    settings = write_settings(tmp_path)
    assert shops.run(home, data, WEEK, **settings).code == 0
    for table in ("assignments", "shadow_recommendations"):
        rows = f"select 1 from recs.{table} where customer_id = '{CANARY}'"
        assert shops.query(home / "published" / "recs.duckdb", rows), table
    before = places(home)
    assert {name.split("/")[0] for name in before} == {
        "published", "cache", "exports", "serving", "weeks", "landed",
    }  # fmt: skip
    # What a failed gate or a library may have printed before anybody thought of her.
    (home / "logs" / "old.log").write_text(f"customer {CANARY} has two addresses\n")
    (home / "quality" / "old").mkdir()
    (home / "quality" / "old" / "raw_customers.json").write_text(json.dumps({"list": [ADDRESS.upper()]}))

    # Her id in the files is untouched, and the week is run again by the command itself.
    # The newest order was hers; without it the shop's are three weeks old, which a gate refuses.
    override = "her order was the newest"
    done = shops.finish(
        shops.start(home, data, command=("forget", CANARY), hash_key=KEY, gate_override=override, **settings)
    )
    assert done.code == 0, done.err
    assert f"Week {WEEK} again, without the customer." in done.out
    assert "The raw files are the shop's own: take the customer out of them too" in done.out
    assert CANARY not in done.out + done.err

    assert places(home) == set()
    digest = hmac.new(KEY.encode(), CANARY.encode(), hashlib.sha256).hexdigest()
    assert pq.read_table(home / "suppressed.parquet").column("customer_hash").to_pylist() == [digest]
    [manifest] = (home / "erasures").iterdir()
    proof = json.loads(manifest.read_text())
    assert proof["customer_hash"] == digest
    assert proof["addresses_known"] == 1
    assert proof["matches_left"] == {}
    assert proof["files_searched"] > 100
    assert proof["deleted"] == [
        "landed", "logs/old.log", "quality/old/raw_customers.json", f"weeks/{WEEK}",
    ]  # fmt: skip
    # By file what was found before and after; what did not hold her is not among them.
    assert {name.split("/")[0] for name in proof["files"]} >= {name.split("/")[0] for name in before}
    assert {one["found_after"] for one in proof["files"].values()} == {0}
    assert not [name for name in proof["files"] if name.startswith("dbt/")]

    snapshot = home / "published" / "recs.duckdb"
    assert shops.query(
        snapshot,
        "select action from recs.publish_log",
    ) == [("publish",), ("forget",), ("publish",)]
    assert shops.query(snapshot, "select count(*) from recs.customers") == [(37,)]
    # Not even as an order without a customer.
    [(rejected,)] = shops.query(snapshot, "select count(*) from recs.quarantine")
    assert rejected == 6
    with duckdb.connect(str(home / "weeks" / WEEK / "build.duckdb"), read_only=True) as build:
        [(orders,)] = build.execute("select count(*) from raw.orders").fetchall()
        [(orphans,)] = build.execute(
            "select count(*) from raw.order_items anti join raw.orders using (order_id)"
        ).fetchall()
    assert (orders, orphans) == (300, 0)  # of 310 orders and their lines, ten were hers

    without = shops.run(home, data, WEEK)
    assert without.code == 1
    assert without.errors == [
        f"RECS_HASH_KEY is not set and {home / 'suppressed.parquet'} lists erased customers: set the key it "
        "was written with, or they would be landed again."
    ]
    other = shops.run(home, data, WEEK, hash_key="another secret for tests")
    assert [error[:38] for error in other.errors] == ["RECS_HASH_KEY is not the key that " + str(home)[:4]]
