"""The notebook of one customer, as a script on the tiny shop's week."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import shops

pytestmark = pytest.mark.slow
NOTEBOOK = shops.ROOT / "examples" / "notebook" / "one_customer.py"


def start(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    about = {"RECS_HOME": str(home), "RECS_DATA": str(shops.TINY)}
    return subprocess.run(
        [sys.executable, str(NOTEBOOK), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **about},
        cwd=shops.ROOT,
    )


def run(home: shops.Home, *arguments: str) -> str:
    ran = start(home.path, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_one_customer_from_orders_to_email(weekly: shops.Home) -> None:
    text = run(weekly, "--customer", "c05")
    parts = dict(re.findall(r"^(\d)\. (.*?)(?=^\d\. |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert set(parts) == set("123456")
    assert parts["1"].startswith("What is known of c05 on 2025-06-30")
    assert "biscuit-02" in parts["1"]  # c05 buys oat biscuits, heather honey and the red mug
    for approach in ("association rules", "collaborative", "content", "hybrid"):
        assert approach in parts["2"]
    assert "Oat Biscuits 200 g (again)" in parts["2"]
    assert re.search(r"\d\.\d%", parts["3"])
    assert "one_per_parent" in parts["4"]
    slots = weekly.query(
        "select slot, title, reason_text from recs.email_recommendations where as_of = '2025-06-30' "
        "and campaign = 'weekly_email' and customer_id = 'c05' order by slot"
    )
    assert len(slots) == 12
    for slot, title, reason in slots:
        assert re.search(
            rf"^ +{slot} +{re.escape(title)} .*{re.escape(reason)}$", parts["5"], flags=re.MULTILINE
        )
    for model in ("user_knn", "content", "lightfm", "rules", "ranker", "popularity"):
        assert re.search(
            rf"^ *{model} .* \d\.\d{{3}} \d\.\d{{3}} to \d\.\d{{3}}$", parts["6"], flags=re.MULTILINE
        )


def test_somebody_without_an_email_is_told_why(weekly: shops.Home) -> None:
    """c35 never agreed to be written to; their pages have a list all the same."""
    text = run(weekly, "--customer", "c35")
    assert "c35 gets no email of weekly_email this week: no consent." in text


def test_what_is_not_there_is_one_sentence(weekly: shops.Home, tmp_path: Path) -> None:
    ran = start(weekly.path, "--customer", "nobody")
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: There is no customer nobody in ")
    assert ran.stderr.count("\n") == 1
    ran = start(tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ran.stderr.startswith("Error: Nothing is published yet.")
