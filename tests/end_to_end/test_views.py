"""The views on the tiny shop's finished weeks: what they show is what the run left."""

from __future__ import annotations

import csv
import io
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import shops
from helpers.views import make_app, serve
from recs_assets.app.ui.router import make_desk
from recs_assets.settings import Settings
from recs_assets.store.build import Build
from recs_assets.views import (
    chances,
    customers,
    emails,
    health,
    journey,
    lists,
    rules,
    similar,
    timeline,
    together,
)
from recs_assets.views.desk import Desk, Look, MissingError

WEEK, FIRST = date(2025, 6, 30), date(2025, 5, 5)
KEY = "a secret of the tests of views"
PATHS = (
    "", "/playground", "/playground?customer={}", "/playground?customer={}&view=new&k=20&week=2025-05-05",
    "/journey?customer={}", "/email?customer={}", "/timeline?customer={}", "/together", "/similar",
    "/similar?kind=bought+by+the+same+customers", "/rules", "/rules?lift=1&order=support",
    *(f"/data?part={part}" for part in ("models", "gates", "data", "waterfall", "rules", "forecasts")),
    "/audit", "/audit?section=rows&verdict=good", "/results", "/results?area=data&verdict=unknown",
)  # fmt: skip


@pytest.fixture(scope="module")
def published(weekly: shops.Home, tmp_path_factory: pytest.TempPathFactory) -> shops.Home:
    """The home, with a copy of the snapshot to query: DuckDB opens one file of a process in one way only."""
    home = shops.Home(tmp_path_factory.mktemp("copy"), {})
    home.snapshot.parent.mkdir()
    shutil.copyfile(weekly.snapshot, home.snapshot.with_name("analytics.duckdb"))
    home.snapshot.symlink_to("analytics.duckdb")
    return home


@pytest.fixture(scope="module")
def desk(weekly: shops.Home) -> Iterator[Desk]:
    desk = make_desk(Settings(home=weekly.path, hash_key=KEY, threads=1))
    yield desk
    desk.close()


@pytest.fixture
def look(desk: Desk) -> Iterator[Look]:
    with desk.look() as look:
        yield look


@pytest.fixture(scope="module")
def customer(weekly: shops.Home, published: shops.Home) -> str:
    """Who gets the weekly email, and of whose candidates a rule removed one."""
    removed = pd.read_parquet(weekly.path / f"weeks/{WEEK}/campaigns/weekly_email/removed.parquet")
    sent = {
        row[0]
        for row in published.query(
            "select distinct customer_id from recs.email_recommendations where as_of = '2025-06-30'"
        )
    }
    return min(sent & set(removed["customer_id"].astype(str)))


def folder_of(weekly: shops.Home, name: str) -> Path:
    return weekly.path / "weeks" / WEEK.isoformat() / name


def test_a_list_is_that_of_the_model(weekly: shops.Home, look: Look, customer: str):
    shown = lists.load_lists(look, customer, WEEK, "new", 5)
    ids = pd.read_parquet(folder_of(weekly, "ids") / f"products-{WEEK}.parquet")["product_id"]
    code = (
        pd.read_parquet(folder_of(weekly, "ids") / f"customers-{WEEK}.parquet")["customer_id"]
        .tolist()
        .index(customer)
    )
    for model in ("als", "item_knn", "ranker"):
        kept = pd.read_parquet(folder_of(weekly, "candidates") / f"{model}-{WEEK}-new.parquet")
        kept = kept[(kept["customer"] == code) & (kept["rank"] <= 5)]
        assert [row["product_id"] for row in shown[model]] == ids[kept["product"]].tolist()
        assert [row["score"] for row in shown[model]] == kept["score"].tolist()
        assert len(shown[model]) == 5
    assert next(iter(shown)) == "ranker"


def test_the_published_list_comes_first_with_its_reasons(published: shops.Home, look: Look, customer: str):
    shown = lists.load_lists(look, customer, WEEK)
    published = published.query(
        "select product_id, p_purchase, reason_text from recs.customer_recommendations "
        f"where as_of = '{WEEK}' and customer_id = '{customer}' and rank <= 10 order by rank"
    )
    rows = next(iter(shown.values()))
    assert [(row["product_id"], row["p_purchase"], row["reason"]) for row in rows] == published
    assert next(iter(shown)) == lists.PUBLISHED


def test_an_earlier_anchor_knows_nobody_who_came_later(published: shops.Home, look: Look):
    joined = dict(
        published.query("select customer_id, coalesce(joined_at, first_order_at)::date from recs.customers")
    )
    anchors = look.kept.anchors()
    assert anchors[0] == WEEK
    assert len(anchors) >= 4
    counts = []
    for anchor in anchors:
        known = pd.read_parquet(look.kept.ids("customer", anchor))["customer_id"]
        assert all(joined[one] is None or joined[one] < anchor for one in known)
        counts.append(len(known))
    assert counts == sorted(counts, reverse=True)


def test_similar_customers_are_the_models_neighbours(weekly: shops.Home, look: Look, customer: str):
    found = customers.find_similar(look, customer, 3)
    ids = pd.read_parquet(folder_of(weekly, "ids") / f"customers-{WEEK}.parquet")["customer_id"].tolist()
    with np.load(folder_of(weekly, "models") / "user_knn" / "arrays.npz") as arrays:
        row = slice(*arrays["similar_.indptr"][ids.index(customer) :][:2])
        weights = dict(zip(arrays["similar_.indices"][row], arrays["similar_.data"][row], strict=True))
    best = sorted(weights, key=lambda code: (-weights[code], code))[:3]
    assert {one["customer_id"] for one in found} == {ids[code] for code in best}
    assert found[0]["similarity"] == pytest.approx(weights[best[0]])


def test_what_the_rules_removed_is_what_they_counted(weekly: shops.Home, published: shops.Home):
    removed = pd.read_parquet(folder_of(weekly, "campaigns") / "weekly_email" / "removed.parquet")
    counted = published.query(
        "select rule, removed from recs.rule_outcomes "
        f"where as_of = '{WEEK}' and campaign = 'weekly_email' and removed > 0"
    )
    assert removed["rule"].value_counts().to_dict() == dict(counted) != {}
    assert removed["customer_id"].astype(str).is_monotonic_increasing


def test_a_sent_product_has_its_slot_and_passed_every_rule(look: Look, customer: str):
    slots = journey.list_products(look, customer, "weekly_email")["slots"]
    found = journey.load_journey(look, customer, slots[0]["product_id"], "weekly_email")
    assert found["answer"].startswith("It is sent: slot 1, as ")
    assert {rule["said"] for rule in found["rules"]} == {"passed"}
    assert found["sources"]
    assert found["trace"]["features"]


def test_a_removed_product_says_why_not(look: Look, customer: str):
    [first, *_] = journey.list_products(look, customer, "weekly_email")["removed"]
    found = journey.load_journey(look, customer, first["product_id"], "weekly_email")
    rule = first["rule"]
    assert found["answer"].startswith(f"The rule {rule.replace('_', ' ')} took it out: what passes it: ")
    said = {row["rule"]: row["said"] for row in found["rules"]}
    assert said[rule] == "removed it"
    assert list(said.values()) == ["passed"] * list(said).index(rule) + ["removed it"] + ["not asked"] * (
        len(said) - list(said).index(rule) - 1
    )


def test_a_product_that_is_none_is_said_to_be_none(look: Look, customer: str):
    found = journey.load_journey(look, customer, "no such product", "weekly_email")
    assert found["answer"] == "The catalogue of this week has no such product."


def test_the_evolution_marks_what_was_bought_within_four_weeks(
    published: shops.Home, look: Look, customer: str
):
    evolution = timeline.load_evolution(look, customer, "repurchase", 5)
    days = [day["day"] for day in evolution["days"]]
    assert days == sorted(days)
    assert days[-1] == WEEK
    assert evolution["days"][-1]["hits"] is None
    bought = set(
        published.query(
            f"select product_id, ordered_at::date from recs.order_lines where customer_id = '{customer}'"
        )
    )
    for row in timeline.evolution_as_table(evolution):
        then = any(
            product == row["product_id"] and 0 <= (day - row["day"]).days < 28 for product, day in bought
        )
        assert row["bought_within_28_days"] == then


def test_the_days_of_lists_are_those_of_all_kept_weeks(look: Look):
    kept = look.files_by_day
    assert {files.week for files in kept.values()} == {WEEK, FIRST}
    assert kept[FIRST].week == FIRST
    assert set(look.kept.anchors()) < set(kept)
    assert len([day for day in kept if day < WEEK]) >= 4


def test_a_place_of_a_list_has_the_share_that_was_bought(
    weekly: shops.Home, published: shops.Home, look: Look
):
    anchor = look.kept.anchors()[1]
    bought = published.query(
        "select distinct customer_id, product_id from recs.order_lines join recs.products using (product_id) "
        f"where is_product and learned_from and ordered_at >= '{anchor}' and ordered_at < '{WEEK}' "
        f"and (fully_returned_at is null or fully_returned_at >= '{WEEK}')"
    )
    names = {
        kind: pd.read_parquet(look.kept.ids(kind, anchor)).iloc[:, 0].tolist()
        for kind in ("customer", "product")
    }
    rows = pd.read_parquet(folder_of(weekly, "candidates") / f"repurchase-{anchor}-all.parquet")
    rows = rows[rows["rank"] <= chances.PLACES]
    pairs = set(bought)
    hits = [
        (names["customer"][customer], names["product"][product]) in pairs
        for customer, product in zip(rows["customer"], rows["product"], strict=True)
    ]
    found = chances.load_chances(look, look.kept, "all")["repurchase"]
    counts = rows.groupby("rank").size()
    assert len(found) == len(counts)
    assert sorted(found, reverse=True) == found
    assert sum(share * count for share, count in zip(found, counts, strict=True)) == pytest.approx(sum(hits))
    assert sum(hits) > 0
    assert found[0] > found[-1]


def test_a_cart_is_answered_by_rules_of_its_products_alone(published: shops.Home, look: Look):
    [(antecedent, consequent)] = published.query(
        "select antecedent_product_ids[1], consequent_product_id from recs.association_rules "
        "where len(antecedent_product_ids) = 1 order by baskets desc, 1, 2 limit 1"
    )
    rows = together.list_together(look, [antecedent])
    assert consequent in {row["product_id"] for row in rows}
    assert {tuple(row["because_ids"]) for row in rows} == {(antecedent,)}
    assert together.list_together(look, [antecedent, consequent]) != rows
    gap = together.list_gaps(look, [antecedent], [consequent])[consequent]
    assert 0 < gap["same_day"] <= 1
    assert 0 <= gap["median_days"] <= together.MOST_DAYS


def test_the_map_of_rules_counts_every_rule_once(look: Look):
    wanted = rules.Filter(confidence=0.2)
    count = rules.count_rules(look, wanted)
    cells = rules.bin_rules(look, wanted)
    assert 0 < count["rules"] < count["all_rules"]
    assert sum(cell["rules"] for cell in cells) == count["rules"]
    one = cells[0]
    inside = rules.Filter(
        support=one["low_support"], most_support=one["high_support"], confidence=one["low_confidence"],
        most_confidence=one["high_confidence"],
    )  # fmt: skip
    assert rules.count_rules(look, inside)["rules"] == one["rules"]


def test_products_are_most_like_themselves(published: shops.Home, look: Look):
    [(product, neighbour)] = published.query(
        "select product_id, neighbour_id from recs.similar_products where rank = 1 order by score desc, 1, 2 limit 1"
    )
    for kind in similar.KINDS:
        ids = [product, *similar.list_neighbours(look, product, kind, 3)]
        matrix = similar.load_matrix(look, ids, kind)
        assert [matrix[at][at] for at in range(len(ids))] == [1.0] * len(ids)
        assert matrix[0][1:] == [row[0] for row in matrix[1:]]
    assert similar.list_neighbours(look, product, "reads alike", 1) == [neighbour]


def test_a_preview_holds_one_recipient(look: Look, customer: str):
    page = emails.preview(look, "weekly_email", look.name(customer))
    slots = emails.list_slots(look, "weekly_email", customer)
    assert page.count('<div class="mail"') == 1
    assert "<img" not in page
    assert page.count("<img") < emails.preview(look, "weekly_email", look.name(customer), True).count("<img")
    assert page.count('<p class="title">') == len(slots) > 0
    with pytest.raises(MissingError, match="Nobody is called so"):
        emails.preview(look, "weekly_email", "nobody")


def test_figures_of_models_are_those_of_the_newest_week(weekly: shops.Home, look: Look):
    rows = health.list_metrics(look, "all", "map", 12)
    values = [row["value"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert {row["as_of"] for row in health.list_over_weeks(look, "all", "map", 12)} == {FIRST, WEEK}


@pytest.fixture(scope="module")
def address(weekly: shops.Home) -> Iterator[str]:
    with serve(make_app(weekly.path, hash_key=KEY, threads=1)) as address:
        yield address + "/ui"


def fetch(address: str) -> tuple[str, str]:
    """The text and the kind of an answer."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode(), answer.headers["content-type"]


def test_no_page_needs_the_build_file_or_shows_an_id(
    published: shops.Home, desk: Desk, address: str, customer: str, monkeypatch: pytest.MonkeyPatch
):
    def refuse(build: Build) -> None:
        raise AssertionError("a view opened the build file")

    monkeypatch.setattr(Build, "read", refuse)
    monkeypatch.setattr(Build, "write", refuse)
    ids = {row[0] for row in published.query("select customer_id from recs.customers")}
    called = urllib.parse.quote(desk.pseudonyms.name(customer))
    for path in PATHS:
        page, kind = fetch(address + path.format(called))
        assert kind == "text/html; charset=utf-8"
        assert "<h1>" in page
        assert ids & set(re.findall(r"\w+", page)) == set(), path
        if path in ("", "/playground"):
            continue
        table, kind = fetch(address + path.format(called) + ("&" if "?" in path else "?") + "format=csv")
        assert kind == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(table)))
        assert rows, path
        assert ids & set(re.findall(r"\w+", table)) == set(), path


def test_who_knows_an_id_finds_the_customer_and_the_address_keeps_it_secret(
    address: str, desk: Desk, customer: str
):
    form = urllib.parse.urlencode({"page": "timeline", "customer": customer, "rest": "?k=5"}).encode()
    with urllib.request.urlopen(f"{address}/find", form, timeout=60) as answer:
        assert (
            answer.url
            == f"{address}/timeline?k=5&customer={urllib.parse.quote(desk.pseudonyms.name(customer), safe='~')}"
        )


def test_a_query_that_cannot_be_read_is_answered_with_its_sentence(address: str):
    page = fetch(f"{address}/playground/answer?query=nonsense")[0]
    assert "Query line 1, column 1: expected PREDICT, but found nonsense." in page


def test_nothing_published_is_said(tmp_path: Path):
    with serve(make_app(tmp_path, threads=1)) as address:
        for path in ("", "/playground", "/rules", "/data"):
            assert "Nothing is published yet." in fetch(f"{address}/ui{path}")[0]


def test_a_week_without_its_files_says_what_is_missing(
    weekly: shops.Home, desk: Desk, tmp_path: Path, customer: str
):
    shutil.copytree(weekly.path / "published", tmp_path / "published", symlinks=True)
    with serve(make_app(tmp_path, hash_key=KEY, threads=1)) as address:
        called = urllib.parse.quote(desk.pseudonyms.name(customer))
        page = fetch(f"{address}/ui/playground?customer={called}")[0]
        assert "The files of the week 2025-06-30 are not kept any more" in page
        assert "<h3>published</h3>" in page
        for path in ("journey", "timeline", "similar", "data?part=forecasts"):
            assert "<h1>" in fetch(f"{address}/ui/{path}{'&' if '?' in path else '?'}customer={called}")[0]
