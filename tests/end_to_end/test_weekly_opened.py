"""What others open of the tiny shop's week: the quarantine, the log, the cache, the snapshot and its pages."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest

from benchmarks.reasons import check
from helpers import shops
from helpers.experiments import write
from helpers.shops import PUBLISHED, Home
from recs_assets.cli.main import main
from recs_assets.defs.publish import GATED
from recs_assets.exports.jsonl import lookup
from recs_assets.schema import RAW_TABLES

WEEK = "2025-06-30"
EARLIER = "2025-05-05"
# Queries about what the tiny shop does not have: an experiment (asked in tests/dbt/test_dbt_published.py), and
# showings (in tests/experiments/test_fatigue.py).
ASK_ELSEWHERE = ("is_the_ranker_better_than_the_blend", "are_people_tired")


# -- quarantine and log ---------------------------------------------------------------------


def test_the_six_wrong_rows_are_in_quarantine_with_their_reasons(weekly: Home) -> None:
    found = weekly.query("select source_table, row_key, reason from recs.quarantine order by all")
    assert [(table, key) for table, key, _ in found] == [
        ("browsing_events", "e0001"),
        ("order_items", "o0010|91"),
        ("order_items", "o0011|91"),
        ("order_items", "o9001|1"),
        ("orders", "o9001"),
        ("reviews", "r001"),
    ]
    assert all(len(reason) > 3 for _, _, reason in found)
    assert len({reason for _, _, reason in found}) >= 4


def test_the_log_names_both_weeks(weekly: Home) -> None:
    log = weekly.query(
        "select action, as_of::varchar, snapshot_file, row_counts, content_hashes from recs.publish_log "
        "order by published_at"
    )
    assert [row[:2] for row in log[:2]] == [("publish", EARLIER), ("publish", WEEK)]
    counts, hashes = json.loads(log[1][3]), json.loads(log[1][4])
    assert set(counts) == set(hashes) == PUBLISHED - {"publish_log"}
    assert counts["email_recommendations"] == len(weekly.query("select 1 from recs.email_recommendations"))


# -- cache ----------------------------------------------------------------------------------


def test_the_cache_answers_for_every_customer(weekly: Home) -> None:
    published = weekly.query(
        "select customer_id, list({'product_id': product_id, 'rank': rank, 'reason': reason_text} order by rank) "
        f"from recs.customer_recommendations where as_of = '{WEEK}' group by 1"
    )
    assert len(published) >= 35
    for customer, expected in published:
        cached = lookup(weekly.cache, customer)
        assert cached is not None, customer
        assert [
            {"product_id": row["product_id"], "rank": row["rank"], "reason": row["reason_text"]}
            for row in cached
        ] == expected
    assert lookup(weekly.cache, "c34") is None
    assert lookup(weekly.cache, "nobody") is None


def test_the_cache_is_of_the_newest_week(weekly: Home) -> None:
    manifest = json.loads((weekly.cache / "current" / "manifest.json").read_text())
    assert manifest["as_of"] == WEEK
    [(rows,)] = weekly.query(f"select count(*) from recs.customer_recommendations where as_of = '{WEEK}'")
    assert manifest["rows"] == rows


# -- what analysts and auditors open --------------------------------------------------------


@pytest.mark.parametrize("path", sorted((shops.ROOT / "queries").glob("*.sql")), ids=lambda path: path.stem)
def test_the_example_queries_run_on_the_snapshot(weekly: Home, path: Path) -> None:
    rows = weekly.query(path.read_text())
    assert (len(rows) == 0) == (path.stem in ASK_ELSEWHERE), path.name


def test_the_queries_of_the_readme_run_with_its_command(
    weekly: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m recs_assets sql FILE`, which needs nothing but what `make demo` installs."""
    readme = (shops.ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r"^    \S*python -m recs_assets sql (\S+)$", readme, re.MULTILINE)
    assert shown
    monkeypatch.setenv("RECS_HOME", str(weekly.path))
    for path in {*(shops.ROOT / name for name in shown), *(shops.ROOT / "queries").glob("*.sql")}:
        assert main(["sql", str(path)]) == 0, path
        table = capsys.readouterr().out.splitlines()
        assert len(table) >= (4 if path.stem in ASK_ELSEWHERE else 5), path
        assert {line.count(" | ") >= table[0].count(" | ") for line in table[:-2]} == {True}, path
        assert re.fullmatch(r"\d+ rows?", table[-1]), path


def test_an_experiment_is_planned_from_the_shops_past(
    weekly: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECS_HOME", str(weekly.path))
    monkeypatch.setenv("RECS_DATA", str(shops.TINY))
    assert main(["experiment", "plan", str(write(tmp_path))]) == 0
    *table, sentence = capsys.readouterr().out.splitlines()
    assert len(table) == 8 + 5  # a line per week
    assert re.fullmatch(
        r"Within 8 weeks, \d+ customers show a lift of [\d.]+ % in revenue per customer, with a probability of 80.0 %, .*",
        sentence,
    )
    assert main(["experiment", "verdicts"]) == 0
    assert capsys.readouterr().out == "No experiment runs.\n"
    assert main(["experiment", "plan", "nothing"]) == 1
    assert re.fullmatch(
        r"Error: There is no experiment nothing in \S+; there are none\.\n", capsys.readouterr().err
    )


def test_the_snapshot_cannot_be_written(weekly: Home) -> None:
    with (
        duckdb.connect(str(weekly.snapshot), read_only=True) as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("delete from recs.customers")


def test_data_docs_are_kept_per_run_and_phone_nobody(weekly: Home) -> None:
    runs = sorted((weekly.path / "quality").iterdir())
    assert len(runs) >= 2
    for run in runs:
        pages = sorted((run / "data_docs").glob("*.html"))
        judged = {f"raw_{table}" for table in RAW_TABLES} | {f"recs_{table}" for table in GATED}
        assert {page.stem for page in pages} == {"index", *judged}
        index = (run / "data_docs" / "index.html").read_text()
        for page in pages:
            html = page.read_text()
            assert page.stem == "index" or f'href="{page.name}"' in index
            outside = re.findall(
                r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>"
                r"|@import[^;]*|url\(['\"]?(?:https?:)?//[^)]*\)",
                html,
            )
            assert outside == [], page


def test_no_address_leaves_the_build_file(weekly: Home) -> None:
    addresses = {row["email"].encode() for row in shops.rows_of(shops.TINY, "customers") if row["email"]}
    assert len(addresses) == 39
    searched = 0
    for name in ("published", "cache", "exports", "quality", "dagster", "logs", "dbt"):
        for path, data in shops.bytes_below(weekly.path / name).items():
            searched += len(data)
            assert not [address for address in addresses if address in data], path
    assert searched > 1_000_000


def test_every_reason_is_what_the_raw_files_say(weekly):
    # The check shares no code with the product.
    rows = check(weekly.snapshot, "canonical", shops.TINY)
    assert len(rows) > 1000
    assert (
        rows.loc[~rows["true"], ["list", "customer_id", "reason_code", "reason_text"]].to_dict("records")
        == []
    )
    assert not rows["quiet"].any()
    assert {"bought_often", "bought_by_others", "viewed", "replaces_same_brand"} <= set(rows["reason_code"])


def test_a_false_count_day_or_title_is_seen(weekly, tmp_path):
    wrong = tmp_path / "wrong.duckdb"
    shutil.copy(weekly.snapshot.resolve(), wrong)
    wrong.chmod(0o644)
    with duckdb.connect(str(wrong)) as con:
        week = con.execute("select max(as_of) from recs.email_recommendations").fetchone()[0]
        con.execute(
            "update recs.email_recommendations set reason_text = regexp_replace(reason_text, '[0-9]+', '99') "
            "where as_of = ? and reason_code in ('bought_often', 'bought_once')",
            [week],
        )
    rows = check(wrong, "canonical", shops.TINY)
    false = rows[~rows["true"]]
    assert set(false["reason_code"]) == {"bought_often", "bought_once"}
    assert set(false["list"]) == {"email"}
