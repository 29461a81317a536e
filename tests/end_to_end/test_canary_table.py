"""One column of a declared table decides what is bought: it ends as the first feature, in a filter and in a reason."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from helpers import canary, shops
from helpers.shops import Home
from recs_assets.ranking.ranker import Ranker

pytestmark = [pytest.mark.slow, pytest.mark.own_week]
AS_OF = canary.WEEK.date().isoformat()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("canary")
    data = canary.write_shop(folder / "data")
    for name, file, text in (("tables", "visits", canary.VISITS), ("campaigns", "visitors", canary.CAMPAIGN)):
        (folder / name).mkdir()
        (folder / name / f"{file}.yaml").write_text(text)
    ran = shops.run(
        folder / "home",
        data,
        AS_OF,
        tables=folder / "tables",
        campaigns=folder / "campaigns",
    )
    assert ran.code == 0, ran.err
    return Home(folder / "home", {AS_OF: ran})


def _visits(home: Home) -> list[dict[str, str]]:
    return canary.read_visits(home.path.parent / "data")


def test_it_is_the_first_feature(home: Home) -> None:
    ranker = Ranker.load(home.path / "weeks" / AS_OF / "models" / "ranker")
    first = ranker.importance().iloc[0]
    assert first["feature"].startswith("visits_of_pairs.means_")
    assert first["gain_share"] > 0.15


def test_what_it_brought_is_measured(home: Home) -> None:
    [(table, verdict, low, share, sentence)] = home.query(
        "select table_name, verdict, ci_low, gain_share, sentence from recs.table_gains"
    )
    assert (table, verdict) == ("visits", "gains")
    assert low > 0.05
    assert 0.3 < share <= 1
    assert sentence.startswith("visits: +")
    assert sentence.endswith(" MAP@12, proven")


def test_a_campaign_filters_by_it(home: Home) -> None:
    since = (canary.WEEK - timedelta(days=14)).isoformat(" ")
    meant = {
        row["customer_id"]
        for row in _visits(home)
        if row["means"] == "buy" and since <= row["visited_at"] < canary.WEEK.isoformat(" ")
    }
    written = {
        customer for (customer,) in home.query("select distinct customer_id from recs.email_recommendations")
    }
    assert written <= meant
    assert len(written) > 0.9 * len(meant)
    assert 20 < len(meant) < canary.CUSTOMERS


def test_a_reason_names_it_and_is_true(home: Home) -> None:
    rows = home.query(
        "select customer_id, product_id, reason_text, reason_family from recs.customer_recommendations "
        "where reason_code = 'own_table'"
    )
    assert len(rows) > 10
    latest: dict[tuple[str, str], str] = {}
    for row in _visits(home):
        if row["visited_at"] < canary.WEEK.isoformat(" "):
            pair = row["customer_id"], row["product_id"]
            latest[pair] = max(latest.get(pair, ""), row["visited_at"])
    for customer, product, text, family in rows:
        day: date = datetime.fromisoformat(latest[customer, product]).date()
        assert text == f"You asked for this in store on {day.day} {day:%b}"
        assert family == "visits"


def test_a_trace_names_it(home: Home) -> None:
    [(rows,)] = home.query(
        "select count(*) from recs.recommendation_traces where features[1].feature like 'visits_of_pairs.means_%' "
        "and list_contains(list_transform(families, lambda moved: moved.family), 'visits')"
    )
    assert rows > 20
