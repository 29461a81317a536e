"""The tiny shop's week from files to tables and caches, the way a user runs it."""

from __future__ import annotations

import json
import re
from datetime import date

import duckdb
import pytest

from helpers import shops
from helpers.shops import PUBLISHED, Home
from recs_assets.cli.main import main
from recs_assets.known.load import load_known, load_truth
from recs_assets.recommenders.artefacts import read_lists
from recs_assets.store.warehouse import Warehouse

WEEK = "2025-06-30"
EARLIER = "2025-05-05"
GRAIN = {
    "email_recommendations": "campaign, as_of, customer_id, slot",
    "campaign_outcomes": "campaign, as_of, outcome",
    "campaign_predictions": "campaign, as_of, customer_id, rank",
    "campaign_tests": "campaign, as_of, metric, model, item",
    "campaign_customers": "as_of, campaign, customer_id",
    "campaign_events": "event_id",
    "campaign_traces": "campaign, as_of, customer_id, product_id",
    "rule_price_tags": "campaign, as_of, rule",
    "goal_frontier": "campaign, as_of, step",
    "buy_it_again": "as_of, customer_id, rank",
    "customer_recommendations": "as_of, customer_id, rank",
    "follow_ups": "as_of, horizon, level, item, rank",
    "frequently_bought_together": "as_of, product_id, rank",
    "similar_products": "as_of, product_id, rank",
    "association_rules": "as_of, antecedent_product_ids, consequent_product_id",
    "model_metrics": "as_of, anchor, view, segment, recommender, metric, k",
    "recommendation_traces": "as_of, customer_id, product_id",
    "model_decisions": "as_of, step",
    "rule_outcomes": "as_of, campaign, step",
    "gates": "as_of, gate, subject",
    "data_audit": "as_of, section, subject, measure",
    "customer_segments": "customer_id",
    "customer_values": "customer_id",
    "value_methods": "as_of, days, method",
    "questionnaire": "question, option",
    "monitor": "as_of, area, metric, subject",
    "monitor_distributions": "as_of, subject, bin",
    "forecasts": "as_of, campaign, forecast_as_of",
    "backtest": "as_of, view, recommender, metric, k",
    "table_gains": "as_of, table_name",
    "product_embeddings": "model, product_id",
    "customer_embeddings": "model, customer_id",
    "recall_waterfall": "as_of, anchor, view, segment, k, source, stage",
    "attributions": "order_id, line_id",
    "recommendation_results": "as_of, channel, campaign, dimension, value",
    "recommended_revenue": "week, purchases",
    "customers": "customer_id",
    "customer_identities": "profile_id",
    "customer_matches": "profile_id, other_profile_id",
    "products": "product_id",
    "not_products": "product_id",
    "order_lines": "order_id, line_id",
    "baskets": "order_id",
}
# The README of the tiny shop: erased, not eligible, objected, unsubscribed, not known yet, without an address.
NO_EMAIL = {"c34", "c35", "c36", "c37", "c32", "c38"}
# Ended, not started, sold out.
NOT_OFFERED = {"tea-05", "mug-05", "honey-04"}


# -- what is printed ------------------------------------------------------------------------


def test_the_run_says_what_it_did(weekly: Home) -> None:
    out = weekly.ran[WEEK].out
    assert f"Week {WEEK}, source canonical" in out
    assert f"Published: {weekly.snapshot} (schema recs; any DuckDB client, read-only)" in out
    assert (
        f"Sent:      Week {WEEK}: 34 of 35 eligible customers (of 38) got an email list. Campaigns: "
        "category_affinity (35), weekly_email (34)."
    ) in out
    for start in (
        "Made by:   Lists made by ",
        r"Expected:  weekly_email \d+ purchases within 14 days \(\d+ to \d+\)\.",
        "Look at:   ",
    ):
        assert re.search(f"^{start}", out, flags=re.MULTILINE), start
    # What was landed, and how its rows were judged, is said as soon as it is known.
    assert re.search(r"^Landed:\n  customers +40 rows  \d{4}-\d\d-\d\d to ", out, flags=re.MULTILINE)
    assert "Gate freshness: " in out
    assert "Audit: No: 895 purchases of 36 customers and 28 products are too few to recommend from." in out
    assert "  look  orders: 19 days without rows where the rhythm has some (2025-06-10 to 2025-06-28; " in out
    assert re.search(r"^  [\d,]+ of [\d,]+ rows are in quarantine", out, flags=re.MULTILINE)
    first_list = re.search(r"^\[ *\d+/\d+\] recommenders__", out, flags=re.MULTILINE).start()
    assert out.index("Landed:") < out.index("Audit: ") < first_list
    assert len(re.findall(r"^  slot \d: .+ - \S.+$", out, flags=re.MULTILINE)) == 3
    assert (
        "Consent:   Of 4 withdrawals 4 match a customer, 0 are of people who are gone, 0 match no customer."
    ) in out
    assert re.search(r"^\[(\d+)/\1\] exports__\w+ done in", out, flags=re.MULTILINE)
    assert weekly.ran[WEEK].err == ""


def test_the_summary_shows_the_evaluation_when_asked(
    weekly: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECS_HOME", str(weekly.path))
    monkeypatch.setenv("RECS_DATA", str(shops.TINY))
    assert main(["summary", "--evaluation"]) == 0
    assert "| popularity |" in capsys.readouterr().out


# -- tables ---------------------------------------------------------------------------------


def test_every_table_is_there_with_its_grain_first(weekly: Home) -> None:
    found = dict(weekly.query("select table_name, comment from duckdb_tables() where schema_name = 'recs'"))
    assert set(found) == PUBLISHED
    for table, comment in found.items():
        assert (comment or "").startswith("One row per "), table


def test_every_column_is_explained(weekly: Home) -> None:
    assert (
        weekly.query(
            "select table_name, column_name from duckdb_columns() where schema_name = 'recs' "
            "and (comment is null or length(comment) < 8)"
        )
        == []
    )


@pytest.mark.parametrize(("table", "key"), GRAIN.items())
def test_the_grain_holds(weekly: Home, table: str, key: str) -> None:
    [(rows, keys)] = weekly.query(f"select count(*), count(distinct ({key})) from recs.{table}")
    assert rows == keys
    # The tiny shop sells goods alone: nothing there may be taken for postage or a fee. And nobody bought within
    # days of the few events that it has. It declares no tables of its own, and nobody has two profiles.
    empty = ("not_products", "attributions", "table_gains", "customer_identities", "customer_matches")
    assert (rows == 0) == (table in empty)


def test_a_goal_is_swept_from_purchases_to_value(weekly: Home) -> None:
    rows = weekly.query(
        "select goal, strength, recipients, purchases, revenue, margin, purchases_gained from recs.goal_frontier "
        f"where campaign = 'weekly_email' and segment = 'all' and as_of = '{WEEK}' order by step"
    )
    sweep = [0, 0.5, 1, 1.5, 2]
    assert [row[:2] for row in rows] == [
        ("as_said", None),
        *(("revenue", strength) for strength in sweep),
        ("revenue_alone", None),
        *(("margin", strength) for strength in sweep),
        ("margin_alone", None),
    ]
    # The campaign's file has no goal of its own, and everything costs 60 % of its price, to the cent.
    assert rows[0][2:] == rows[1][2:] == rows[7][2:]
    for _, _, recipients, purchases, revenue, margin, _ in rows:
        assert recipients == rows[0][2] > 0
        assert abs(margin - 0.4 * revenue) <= 0.005 * purchases + 1e-9


def test_weekly_tables_hold_both_weeks_and_the_others_the_newest(weekly: Home) -> None:
    for table in (
        "email_recommendations",
        "buy_it_again",
        "customer_recommendations",
        "frequently_bought_together",
        "similar_products",
        "model_metrics",
    ):
        assert weekly.query(f"select distinct as_of from recs.{table} order by 1") == [
            (date(2025, 5, 5),),
            (date(2025, 6, 30),),
        ]
    assert weekly.query("select distinct as_of from recs.association_rules") == [(date(2025, 6, 30),)]


def test_no_number_is_infinite_or_nan(weekly: Home) -> None:
    for table, column in weekly.query(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name = 'recs' and data_type in ('DOUBLE', 'FLOAT')"
    ):
        assert weekly.query(f'select count(*) from recs.{table} where not isfinite("{column}")') == [(0,)]


# -- the email ------------------------------------------------------------------------------


def test_everybody_who_may_be_written_to_has_twelve_slots(weekly: Home) -> None:
    listed = dict(
        weekly.query(
            "select customer_id, list(slot order by slot) from recs.email_recommendations "
            f"where as_of = '{WEEK}' and campaign = 'weekly_email' group by 1"
        )
    )
    assert set(listed) == {f"c{number:02d}" for number in range(1, 41)} - NO_EMAIL
    assert all(slots == list(range(1, 13)) for slots in listed.values())
    assert (
        listed.keys()
        == {
            customer
            for (customer,) in weekly.query("select customer_id from recs.customers where email_eligible")
        }
        - NO_EMAIL
    )


def test_outcomes_account_for_every_customer(weekly: Home) -> None:
    """38 customers known at the week and one erased: c34."""
    found = weekly.query(
        "select campaign, outcome, customers from recs.campaign_outcomes "
        f"where as_of = '{WEEK}' and customers > 0 order by campaign, step"
    )
    assert found == [
        ("category_affinity", "selected", 35),
        ("category_affinity", "erased", 1),
        ("category_affinity", "not_in_audience", 3),
        ("weekly_email", "selected", 34),
        ("weekly_email", "erased", 1),
        ("weekly_email", "objected", 1),
        ("weekly_email", "unsubscribed", 1),
        ("weekly_email", "no_consent", 1),
        ("weekly_email", "no_address", 1),
    ]
    assert weekly.query("select count(*) from recs.customers") == [(38,)]


def test_every_selected_customer_has_twelve_unique_products_that_may_be_sold(weekly: Home) -> None:
    assert weekly.query(
        "select distinct count(*), count(distinct product_id) from recs.email_recommendations "
        "group by campaign, as_of, customer_id"
    ) == [(12, 12)]


def test_each_slot_says_where_it_came_from(weekly: Home) -> None:
    """Two discovery slots at most (20 % of 12), of categories the customer never bought from."""
    counts = weekly.query(
        "select max(n) from (select count(*) as n from recs.email_recommendations "
        "where slot_type = 'discovery' group by campaign, as_of, customer_id)"
    )
    assert counts[0][0] in (1, 2)
    assert (
        weekly.query(
            "select * from recs.email_recommendations as email join recs.order_lines as lines "
            "on email.customer_id = lines.customer_id and lines.ordered_at < email.as_of "
            "and lines.net_quantity > 0 "
            "join recs.products as bought on lines.product_id = bought.product_id "
            f"where email.as_of = '{WEEK}' and slot_type = 'discovery' and bought.category = email.category"
        )
        == []
    )
    # Every one has a probability and says what it is close to, where that may be said.
    found = weekly.query(
        "select reason_code, reason_text like '%' || because.product_name || '%', p_purchase > 0 "
        "from recs.email_recommendations as email "
        "left join recs.products as because on because.product_id = email.because_product_id "
        "where slot_type = 'discovery'"
    )
    assert set(found) <= {("new_for_you", None, True), ("new_for_you_close_to", True, True)}
    assert ("new_for_you", None, True) in found
    assert weekly.query(
        "select count(*) from recs.email_recommendations where slot_type = 'personal' and fallback_level <> 'personal'"
    ) == [(0,)]


def test_an_email_row_says_whether_it_would_be_a_first_purchase(weekly: Home) -> None:
    wrong = """
        from recs.email_recommendations as email
        where bought_before <> exists (
            from recs.interactions as bought
            where bought.customer_id = email.customer_id and bought.product_id = email.product_id
              and event_type = 'purchase'
        )
    """
    assert weekly.query(f"select count(*) {wrong} and as_of = '{WEEK}'") == [(0,)]
    [(first, again)] = weekly.query(
        "select count(*) filter (where not bought_before), count(*) filter (where bought_before) "
        f"from recs.email_recommendations where as_of = '{WEEK}'"
    )
    assert min(first, again) > 20


def test_last_sends_are_not_repeated_without_evidence(weekly: Home) -> None:
    """The week of 2025-05-05 was the weekly email's only send before 2025-06-30."""
    before = "select customer_id, product_id from recs.email_recommendations where as_of = '2025-05-05'"
    [(repeats, said)] = weekly.query(
        f"select count(*), count(*) filter (where sent_before <> 'no') from recs.email_recommendations "
        f"where as_of = '{WEEK}' and (customer_id, product_id) in ({before})"
    )
    assert repeats == said > 0
    [(most,)] = weekly.query(
        "select max(n) from (select count(*) as n from recs.email_recommendations "
        f"where as_of = '{WEEK}' and sent_before = 'yes' group by customer_id)"
    )
    assert most <= 4


def test_category_affinities_are_probabilities_of_every_category(weekly: Home) -> None:
    rows = weekly.query(
        "select customer_id, count(*), min(probability), max(probability) from recs.campaign_predictions "
        "where campaign = 'category_affinity' group by 1"
    )
    assert len(rows) == 35
    assert all(number == 6 and 0 < low <= high < 1 for _, number, low, high in rows)
    # Of the newest week only: a probability is a forecast, not a record.
    assert weekly.query("select distinct as_of from recs.campaign_predictions") == [(date(2025, 6, 30),)]


def test_the_emails_files_leave_out_who_withdrew_since(weekly: Home) -> None:
    """c05 unsubscribes a day after the week begins: in the table, and in no file."""
    current = weekly.path / "exports" / "weekly_email" / "current"
    manifest = json.loads((current / "manifest.json").read_text())
    assert (manifest["as_of"], manifest["recipients"], manifest["rows"]) == (WEEK, 33, 33 * 12)
    with duckdb.connect() as connection:
        listed = connection.execute(
            f"select customer_id, count(*), min(send_at at time zone 'UTC')::varchar, any_value(email_hash), "
            f"min(expires_at at time zone 'UTC')::date::varchar from '{current / 'long.parquet'}' group by 1"
        ).fetchall()
    assert len(listed) == 33
    assert "c05" not in {row[0] for row in listed}
    # Monday 06:00 UTC, no key for hashes, and 14 days that an offer's end may cut short.
    assert {row[1:4] for row in listed} == {(12, "2025-06-30 06:00:00", None)}
    assert max(row[4] for row in listed) <= "2025-07-14"


def test_category_affinities_leave_as_files(weekly: Home) -> None:
    """Of 35 customers with six categories each, c05 withdrew since."""
    current = weekly.path / "exports" / "category_affinity" / "current"
    assert json.loads((current / "manifest.json").read_text())["rows"] == 34 * 6
    lines = (current / "long.csv").read_text().splitlines()
    assert lines[0].startswith('"as_of","campaign","customer_id","item","rank",')
    assert len(lines) == 1 + 34 * 6
    assert not [line for line in lines if '"c05"' in line]


def test_the_erased_customer_is_nowhere(weekly: Home) -> None:
    for table, column in weekly.query(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name = 'recs' and column_name = 'customer_id'"
    ):
        assert weekly.query(f"select count(*) from recs.{table} where {column} = 'c34'") == [(0,)], table


def tables_with(home: Home, customer: str) -> set[str]:
    """Of the week's build file, every table and view that has rows of a customer."""
    with duckdb.connect(str(home.path / "weeks" / WEEK / "build.duckdb"), read_only=True) as build:
        places = build.execute(
            "select schema_name, table_name from duckdb_columns() where column_name = 'customer_id'"
        ).fetchall()
        return {
            f"{schema}.{table}"
            for schema, table in places
            if build.execute(
                f'select count(*) from "{schema}"."{table}" where customer_id = ?', [customer]
            ).fetchall()
            > [(0,)]
        }


def test_the_erased_are_in_no_table_but_the_files_own(weekly: Home) -> None:
    """c34, erased on 2025-05-15; `forget` is what takes the raw rows away too."""
    found = tables_with(weekly, "c34")
    assert {table for table in found if not table.startswith(("raw.", "base.", "staging."))} == {
        "intermediate.int_consents_resolved"  # says that they are erased
    }
    assert "marts.customers" in tables_with(weekly, "c01")


def test_nothing_is_learned_from_whoever_objected(weekly: Home) -> None:
    """c37, objected on 2025-04-10 with seven orders: no email, in no matrix, in no label."""
    found = tables_with(weekly, "c37")
    assert found & {"marts.customers", "marts.order_lines"} == {"marts.customers", "marts.order_lines"}
    assert not [table for table in found if table.startswith("features.")]
    assert not found & {"marts.interactions", "model.customer_embeddings", "recs.customer_embeddings"}
    assert "intermediate.int_interactions_anchored" not in found
    assert weekly.query("select count(*) from recs.email_recommendations where customer_id = 'c37'") == [(0,)]

    warehouse = Warehouse(weekly.path, threads=1)
    week = date.fromisoformat(WEEK)
    with warehouse.build(week).read() as build:
        anchors = [
            day for (day,) in build.execute("select distinct as_of from features.product_features").fetchall()
        ]
        bought = build.execute(
            "select count(*) from marts.order_lines where customer_id = 'c37' and ordered_at >= ?",
            [min(anchors)],
        ).fetchall()
    assert bought > [(0,)]  # there was something to learn
    assert len(anchors) >= 4
    learned = 0
    for anchor in anchors:
        with warehouse.build(week).read() as build:
            known = load_known(build, anchor)
            truth = load_truth(build, known, 28)
        ids = known.customers["customer_id"].tolist()
        code = ids.index("c37")
        assert (known.events.customer != code).all()
        assert truth[code].nnz == 0
        if anchor < week:
            listed = read_lists(
                warehouse.build(week).folder / "candidates" / f"popularity-{anchor}-all.parquet", known
            )
            assert code not in set(listed["customer"])  # nor in the frames, without a label
            assert ids.index("c01") in set(listed["customer"])
        learned += truth[ids.index("c01")].nnz
    assert learned > 0


@pytest.mark.parametrize("table", ["email_recommendations", "customer_recommendations", "buy_it_again"])
def test_nothing_is_offered_that_cannot_be_sold(weekly: Home, table: str) -> None:
    offered = {
        product
        for (product,) in weekly.query(f"select distinct product_id from recs.{table} where as_of = '{WEEK}'")
    }
    assert offered
    assert offered & NOT_OFFERED == set()


def test_an_email_holds_at_most_four_of_a_category_and_nothing_just_bought(weekly: Home) -> None:
    assert (
        weekly.query(
            "select as_of, customer_id, category from recs.email_recommendations "
            "group by all having count(*) > 4"
        )
        == []
    )
    assert (
        weekly.query(
            "select * from recs.email_recommendations as email join recs.order_lines as lines "
            "using (customer_id, product_id) where email.as_of = '2025-06-30' "
            "and lines.ordered_at >= timestamp '2025-06-28'"
        )
        == []
    )


def test_buy_it_again_holds_own_purchases_only(weekly: Home) -> None:
    assert (
        weekly.query(
            "select again.* from recs.buy_it_again as again anti join recs.order_lines as lines "
            "on again.customer_id = lines.customer_id "
            "and coalesce(again.replaces_product_id, again.product_id) = lines.product_id "
            "and lines.ordered_at < again.as_of and lines.net_quantity > 0"
        )
        == []
    )
    [(longest,)] = weekly.query(
        "select max(n) from (select count(*) as n from recs.buy_it_again group by as_of, customer_id)"
    )
    assert longest <= 50


def test_buy_it_again_holds_what_is_due(weekly: Home) -> None:
    rows = weekly.query(
        "select order_days, days_since_last, expected_gap_days, expected_next_date, last_bought_at::date, "
        "due_ratio, p_repeat, reason_code, reason_text, replaces_product_id from recs.buy_it_again"
    )
    assert rows
    for days, silence, gap, due_on, last, due, probability, code, text, replaced in rows:
        assert due == pytest.approx((silence + 28) / gap)
        assert due >= 0.5
        assert abs((due_on - last).days - gap) <= 0.5
        assert 0 < probability < 1
        assert (code in ("replaces_variant", "replaces_same_brand")) == (replaced is not None)
        if code == "bought_once":
            assert days == 1
            assert text.startswith("Von Ihnen am ")  # c01 to c40 read German
    # tea-05 ended in March; the other teas of its brand are offered in its place.
    assert {replaced for *_, replaced in rows} - {None} <= NOT_OFFERED


def test_buy_it_again_is_evaluated_in_the_repeat_view(weekly: Home) -> None:
    assert weekly.query(
        "select distinct view from recs.model_metrics where recommender = 'buy_it_again' and as_of = '2025-06-30'"
    ) == [("repeat",)]
    assert weekly.query("select distinct view from recs.backtest where recommender = 'buy_it_again'") == [
        ("repeat",)
    ]


@pytest.mark.parametrize("table", ["email_recommendations", "customer_recommendations"])
def test_every_row_has_a_source_and_a_reason_from_before_the_week(weekly: Home, table: str) -> None:
    assert (
        weekly.query(
            f"select * from recs.{table} where source is null or trim(source) = '' "
            "or reason_code is null or reason_text is null or length(trim(reason_text)) < 8 "
            "or because_at >= as_of"
        )
        == []
    )
    # A reason names a product only where there is one, and then a known one.
    assert (
        weekly.query(
            f"select because_product_id from recs.{table} where because_product_id is not null "
            "and because_product_id not in (select product_id from recs.products)"
        )
        == []
    )
    [(texts,)] = weekly.query(f"select count(distinct reason_text) from recs.{table}")
    assert texts > 20  # not one sentence for all


def test_nothing_dated_in_the_week_or_after_is_published(weekly: Home) -> None:
    for table, column in weekly.query(
        "select table_name, column_name from duckdb_columns() where schema_name = 'recs' "
        "and data_type in ('TIMESTAMP', 'DATE') and table_name <> 'publish_log' "
        # Plans and the first day after a window: not events.
        "and column_name not in ('as_of', 'start_at', 'end_at', 'window_end', 'expected_next_date')"
    ):
        [(latest,)] = weekly.query(f'select max("{column}")::date from recs.{table}')
        assert latest is None or latest < date(2025, 6, 30), (table, column)
