"""Predictive queries on a week of the tiny shop, from the shell and from a notebook."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recs_assets
from helpers import shops
from recs_assets import training
from recs_assets.arrays import is_stored
from recs_assets.cli.main import main
from recs_assets.known.interactions import Known
from recs_assets.known.load import load_known
from recs_assets.schema import RecsError
from recs_assets.store.warehouse import Warehouse
from recs_assets.training import cache

WEEK = date(2025, 6, 30)
RANK = "PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP 3 FOR EACH users.user_id"


@pytest.fixture(scope="module")
def home(weekly: shops.Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the weeks: queries keep there what they learn."""
    return Path(shutil.copytree(weekly.path, tmp_path_factory.mktemp("queries") / "home", symlinks=True))


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The week, as the environment of this process."""
    monkeypatch.setenv("RECS_HOME", str(home))
    monkeypatch.setenv("RECS_DATA", str(shops.TINY))
    return Warehouse(home)


def known_at_week(warehouse: Warehouse) -> Known:
    with warehouse.build(WEEK).read() as connection:
        return load_known(connection, WEEK)


def codes(known, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return tuple(
        pd.Index(getattr(known, frame)[column]).get_indexer(table[column])
        for frame, column in (("customers", "customer_id"), ("products", "product_id"))
    )


def test_a_ranking(here):
    table = recs_assets.predict(f"{RANK} WHERE users.email_eligible == 1")
    known = known_at_week(here)
    eligible = known.customers.set_index("customer_id")["email_eligible"]
    assert list(table.columns) == [
        "customer_id",
        "product_id",
        "product_name",
        "rank",
        "score",
        "probability",
        "source",
    ]
    assert eligible[table["customer_id"].unique()].all()
    assert table.groupby("customer_id")["rank"].agg(list).map(lambda ranks: ranks == [1, 2, 3]).all()
    assert not table.duplicated(["customer_id", "product_id"]).any()
    assert table["probability"].between(0, 1, inclusive="neither").all()
    assert (table.groupby("customer_id")["score"].diff().dropna() <= 0).all()
    assert known.available[codes(known, table)[1]].all()
    pd.testing.assert_frame_equal(
        table, recs_assets.predict(f"{RANK} WHERE email_eligible = true", "2025-06-30")
    )


@pytest.mark.parametrize("view", ["new", "repeat"])
def test_a_view_holds_only_what_it_says(here, view):
    table = recs_assets.predict(RANK, view=view)
    known = known_at_week(here)
    assert len(table)
    assert (is_stored(known.history, *codes(known, table)) == (view == "repeat")).all()


def test_a_filter_of_products_fills_the_list_from_what_it_admits(here):
    table = recs_assets.predict(RANK.replace("item_id,", "item_id WHERE item_id.price > 5,"))
    known = known_at_week(here)
    assert (known.products["price"].to_numpy()[codes(known, table)[1]] > 5).all()
    assert table.groupby("customer_id").size().unique().tolist() == [3]


def test_pairs_are_the_same_ranking(here):
    pairs = "PREDICT BOOL(orders.product_id, 0, 14, days) FOR EACH customers.customer_id, products.product_id RANK TOP 3"
    pd.testing.assert_frame_equal(recs_assets.predict(pairs), recs_assets.predict(RANK))


def test_probabilities_of_categories(here):
    table = recs_assets.predict(
        "PREDICT LIST_DISTINCT(transactions.category, 0, 28, days) CLASSIFY FOR EACH users.user_id"
    )
    assert list(table.columns) == ["customer_id", "category", "rank", "score", "probability"]
    assert not table.duplicated(["customer_id", "category"]).any()
    # Every category for everybody.
    known = known_at_week(here)
    assert set(table["category"]) == set(known.products["category"].dropna())
    assert len(table) == known.customers["learned_from"].sum() * table["category"].nunique()


def test_numbers_and_truth_values(here):
    spend = recs_assets.predict("PREDICT SUM(order_lines.amount, 0, 28, days) FOR EACH customers.customer_id")
    assert list(spend.columns) == ["customer_id", "prediction"]
    assert (spend["prediction"] >= 0).all()  # a sum of what is never negative
    buys = recs_assets.predict("PREDICT COUNT(orders.*, 0, 28, days) > 0 FOR EACH customers.customer_id")
    assert list(buys.columns) == ["customer_id", "score", "probability"]
    assert len(buys) == len(spend)


def test_explain_says_the_query_its_sql_and_who_is_eligible(here, capsys):
    assert main(["query", f"{RANK} WHERE users.email_eligible == 1", "--explain"]) == 0
    said = capsys.readouterr().out
    known = known_at_week(here)
    eligible = int(known.customers["email_eligible"].sum())
    assert "PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 3" in said
    assert "select distinct events.customer_id" in said
    assert f"{eligible} of {known.n_customers} customers" in said
    assert "customer_product_decayed_frequency" in said


def test_a_name_that_the_shop_lacks_is_said(here, capsys):
    filtered = f"{RANK} WHERE users.segment = 'houshold'"
    sentence = "query: no customers.segment is 'houshold'; did you mean 'household'?"
    assert main(["query", filtered, "--explain"]) == 0
    assert capsys.readouterr().err == f"Warning: {sentence}\n"
    with pytest.warns(UserWarning, match="houshold") as said, pytest.raises(RecsError):
        recs_assets.predict(filtered)
    assert [str(warning.message) for warning in said] == [sentence]


def test_the_command_prints_the_table_and_the_test(here, capsys):
    assert main(["query", RANK]) == 0
    said = capsys.readouterr()
    assert "customer_id product_id" in said.out
    assert "map@12" in said.out
    assert "The week's own ranker answers." in said.err


def test_the_week_that_would_know_the_answer_is_named(here, capsys):
    """The week before was run: to run it again would not help."""
    assert (
        main(["query", "PREDICT COUNT(orders.*, 0, 28) FOR EACH users.user_id", "--as-of", "2025-07-01"]) == 1
    )
    assert "run it first (python -m recs_assets run --as-of 2025-07-07)." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([RANK, "--as-of", "2025-06-23"], "The week 2025-06-23 has no build in "),
        (
            [RANK, "--as-of", "2025-06-24"],
            "The week 2025-06-24 has no build in ",
        ),
        ([RANK, "--output", "rows.xlsx"], "rows.xlsx must end with .csv, .parquet or .jsonl"),
        ([RANK, "--output", "/no/such/rows.csv"], "There is no folder /no/such"),
        (
            ["PREDICT COUNT(orders.*, 0, 28) FOR users.user_id = 'nobody'"],
            "Query line 1, column 1: nobody is eligible at 2025-06-30; none of the ids is known then",
        ),
        (
            [f"{RANK} AS OF '2025-06-30'", "--as-of", "2025-05-05"],
            "the query is AS OF 2025-06-30, but it is asked for",
        ),
        ([RANK.replace("item_id", "itm_id")], "Query line 1, column 23: order_lines has no column itm_id"),
        ([RANK.replace("14", "90")], "Query line 1, column 45: the target looks 90 days ahead"),
        (
            [f"{RANK} WHERE COUNT(orders.*, -28, 0, days) > 999"],
            "Query line 1, column 1: nobody is eligible at 2025-06-30; loosen the WHERE",
        ),
    ],
)
def test_errors_are_one_sentence(here, capsys, arguments, expected):
    assert main(["query", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    line = next(line for line in said.err.splitlines() if line.startswith("Error: "))
    assert line.removeprefix("Error: ").startswith(expected), line


def test_a_date_that_is_none_is_refused(here):
    with pytest.raises(RecsError, match="as_of is 'soon', which is no date"):
        recs_assets.predict(RANK, "soon")


SPEND = "PREDICT SUM(order_lines.amount, 0, 4, weeks) FOR EACH users.user_id"


def test_a_few_are_answered_as_among_everybody(here):
    """The model learns from everybody whom the query could be asked about, whoever is asked for."""
    everybody = recs_assets.predict(SPEND).set_index("customer_id")["prediction"]
    two = [str(one) for one in everybody.index[:2]]
    listed = f"('{two[0]}', '{two[1]}')"
    for text in (
        SPEND.replace("EACH users.user_id", f"users.user_id IN {listed}"),
        f"{SPEND} WHERE users.user_id IN {listed};",
    ):
        found = recs_assets.predict(text).set_index("customer_id")["prediction"]
        assert found.to_dict() == everybody[two].to_dict()
    ranked = recs_assets.predict(RANK)
    pick = recs_assets.predict(RANK.replace("EACH users.user_id", f"users.user_id = '{two[0]}'"))
    pd.testing.assert_frame_equal(
        pick, ranked[ranked["customer_id"] == two[0]].reset_index(drop=True), check_categorical=False
    )


def test_any_date_and_a_longer_window_and_products_are_answered(here, tmp_path, capsys):
    """A Tuesday before the week, 35 days where the week is built for 28, the demand for each product."""
    table = recs_assets.predict(SPEND.replace("4, weeks", "35, days"), "2025-06-24")
    assert (table["prediction"] >= 0).all()
    out = tmp_path / "demand.csv"
    demand = "PREDICT SUM(order_lines.quantity, 0, 28, days) FOR EACH products.product_id"
    assert main(["query", demand, "--output", str(out)]) == 0
    written = pd.read_csv(out, dtype={"product_id": str})
    assert list(written.columns) == ["product_id", "product_name", "prediction"]
    assert written["product_id"].tolist() == known_at_week(here).products["product_id"].tolist()
    assert (written["prediction"] >= 0).all()
    assert f"{len(written)} rows are in {out}." in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["demand.csv"]


LEARNED_BEFORE = "What was learned when this was asked before answers."


@pytest.mark.parametrize("query", [RANK, "PREDICT COUNT(orders.*, 0, 28, days) = 0 FOR EACH users.user_id"])
def test_what_was_learned_answers_when_it_is_asked_again(here, query, capsys):
    """Whoever is asked for; until the build is another."""
    shutil.rmtree(here.build(WEEK).folder / "models" / "queries", ignore_errors=True)
    everybody = recs_assets.predict(query)
    some = list(everybody["customer_id"].unique()[:2])
    asked = query.replace("EACH users.user_id", f"users.user_id IN ('{some[0]}', '{some[1]}')")
    assert main(["query", asked]) == 0
    assert LEARNED_BEFORE in capsys.readouterr().err
    expected = everybody[everybody["customer_id"].isin(some)].reset_index(drop=True)
    pd.testing.assert_frame_equal(recs_assets.predict(asked), expected, check_categorical=False)
    found, task = training.prepare_query(*training.open_query(asked, None))
    assert cache.find_place(found, task).exists()
    build = here.build(WEEK).path
    os.utime(build, (build.stat().st_atime, build.stat().st_mtime + 1))
    assert not cache.find_place(found, task).exists()


def test_where_fewer_than_100_pass_the_where_everybody_is_learned_from(here, capsys, monkeypatch):
    """37 customers are too few in any case; the answer is that of the model of everybody, for those who pass."""
    narrow = f"{SPEND} WHERE users.email_eligible == 1"
    with here.build(WEEK).read() as connection:
        customers = load_known(connection, WEEK).customers.set_index("customer_id")
    assert main(["query", narrow]) == 0
    sentence = "Fewer than 100 customers pass the WHERE at an anchor, so the model is learned from, and tested on, all"
    assert sentence in capsys.readouterr().out
    everybody = recs_assets.predict(SPEND).set_index("customer_id")["prediction"]
    found = recs_assets.predict(narrow).set_index("customer_id")["prediction"]
    assert customers.loc[found.index, "email_eligible"].all()
    assert len(found) < len(everybody)
    assert found.to_dict() == everybody[found.index].to_dict()
    monkeypatch.setattr("recs_assets.training.tasks.LEAST_ELIGIBLE", 5)
    assert main(["query", narrow]) == 0
    assert "Fewer than" not in capsys.readouterr().out


def test_the_first_category_is_one_of_all(here, capsys):
    query = "PREDICT FIRST(transactions.category, 0, 28, days) FOR EACH users.user_id"
    table = recs_assets.predict(query)
    assert list(table.columns) == ["customer_id", "category", "rank", "score", "probability"]
    assert table.groupby("customer_id")["probability"].sum().to_numpy() == pytest.approx(1)
    assert (table.groupby("customer_id")["probability"].diff().dropna() <= 0).all()
    assert set(table["category"]) == set(known_at_week(here).products["category"].dropna())
    best = recs_assets.predict(query.replace("days)", "days) RANK TOP 1"))
    pd.testing.assert_frame_equal(best, table[table["rank"] == 1].reset_index(drop=True))
    assert main(["query", query]) == 0
    said = capsys.readouterr().out
    assert "class_frequency" in said
    assert "log_likelihood" in said


def test_a_table_without_rows_is_said(here, capsys):
    assert main(["query", "PREDICT COUNT(searches.*, 0, 28) FOR EACH users.user_id"]) == 1
    assert (
        "searches holds no rows before 2025-06-30, so there is nothing to learn from"
        in capsys.readouterr().err
    )
