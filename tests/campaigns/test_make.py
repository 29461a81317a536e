"""Who makes a campaign's lists, and what its filled slots are worth at the test anchor."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recs_assets.campaigns.context import list_unknown_storefront_names
from recs_assets.campaigns.email import Email
from recs_assets.campaigns.file import FOLDER, load
from recs_assets.campaigns.lists import choose_model
from recs_assets.campaigns.made import Made
from recs_assets.campaigns.measure import describe_worth, measure_slots
from recs_assets.campaigns.messages import list_messages, list_rules, list_warnings
from recs_assets.campaigns.predictions import _close_ranks, admit_predictions
from recs_assets.campaigns.sending import LateError, check_send_time, count_days_between_sends
from recs_assets.rules.config import Level
from recs_assets.rules.review import list_rules_in_force
from recs_assets.rules.selection import Selection
from recs_assets.rules.sensitive import SensitiveGoods
from recs_assets.rules.storefront import Storefront
from recs_assets.schema import ArtefactError

SPREAD = np.linspace(0, 1, 200)


@pytest.mark.parametrize(
    ("values", "chosen", "said"),
    [
        # Level with the list of user_knn, which is simpler.
        ({"query": 0.21, "user_knn": 0.2, "popularity": 0.0}, "user_knn",
         "The campaign's lists are made by user_knn: its map@12 of 0.7000 beats popularity's 0.5000"),
        ({"query": 0.3, "user_knn": 0.2, "popularity": 0.0}, "query",
         "The campaign's lists are made by query: its map@12 of 0.8000 beats user_knn's 0.7000"),
        ({"query": 0.0, "user_knn": 0.0, "popularity": 0.0}, "popularity",
         "The campaign's lists are made by popularity, the simplest model: none of user_knn, query is proven to beat it."),
        # Of the recommenders that the week's lists do not consider, too, one may be better.
        ({"query": 0.1, "ease": 0.2, "popularity": 0.0}, "ease", "made by ease"),
    ],
)  # fmt: skip
def test_campaigns_take_the_simplest_model_that_no_other_is_proven_to_beat(values, chosen, said):
    noise = np.tile([0.2, -0.2], 100)
    compared = {
        name: SPREAD + more + (noise if name == "query" and more < 0.25 else 0)
        for name, more in values.items()
    }
    found, sentence = choose_model(compared, 1)
    assert found == chosen
    assert said in sentence


@pytest.mark.parametrize("compared", [{}, {"query": np.zeros(3), "popularity": np.zeros(3)}])
def test_without_a_hit_in_the_test_the_query_makes_the_lists(compared):
    found, sentence = choose_model(compared, 1)
    assert found == "query"
    assert "nobody bought anything" in sentence


def test_an_email_that_earns_nothing_names_the_rule_that_costs_most():
    tags = pd.DataFrame(
        {
            "rule": ["all_rules", "discovery", "one_per_title"],
            "purchases": 40.0,
            "purchases_without": [50.0, 48.0, 41.0],
            "purchases_gained": [-10.0, -8.0, -1.0],
        }
    )
    sent = pd.DataFrame(
        [("as_sent", 0.15, np.nan, np.nan, np.nan), ("as_sent less repurchase", 0.2, -0.05, -0.07, -0.03)],
        columns=["model", "value", "difference", "ci_low", "ci_high"],
    )
    assert describe_worth(sent, tags) == (
        "The email as sent is worse than a list of what each customer bought often and lately: MAP@12 0.1500 "
        "against 0.2000, difference -0.0500 (-0.0700 to -0.0300); its rules change 50 purchases by -10 (-20.0%). The rule "
        "that costs most is slots.discovery_share: without it 8 purchases more than 40.",
        False,
    )
    text, proven = describe_worth(sent.assign(ci_high=0.01), tags)
    assert text.startswith("The email as sent is not proven to beat a list of what each")
    assert not proven
    better = sent.assign(difference=0.05, ci_low=0.01, ci_high=0.09)
    assert describe_worth(better, tags) == (
        "The email as sent beats a list of what each customer bought often and lately: MAP@12 0.2500 against 0.2000, "
        "difference 0.0500 (0.0100 to 0.0900); its rules change 50 purchases by -10 (-20.0%).",
        True,
    )
    assert "None of its rules costs purchases" in describe_worth(sent, tags.assign(purchases_gained=1.0))[0]
    assert describe_worth(sent[:1], tags) == ("", True)


def test_days_between_sends():
    shop = SimpleNamespace(timezone="UTC")
    found = {
        name: count_days_between_sends(load(FOLDER / f"{name}.yaml"), shop, date(2025, 6, 2))
        for name in ("weekly_email", "try_something_new", "win_back")
    }
    assert found == {"weekly_email": 7, "try_something_new": 7, "win_back": 31}  # 1 July to 1 August


def test_slots_at_the_test_anchor_by_hand():
    """Two customers, two slots each: 0 buys her personal product, 1 his discovery; the two products of
    customer 0 are the same text, those of customer 1 have nothing in common."""
    rows = pd.DataFrame(
        {
            "customer": [0, 0, 1, 1],
            "slot": [1, 2, 1, 2],
            "product": [0, 1, 0, 2],
            "slot_type": ["personal", "discovery", "personal", "discovery"],
        }
    )
    truth = sparse.csr_matrix(np.array([[1, 0, 0], [0, 0, 1]], dtype=np.float32))
    factors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    choice = Selection(rows, pd.DataFrame(), pd.Series(dtype=int), None)
    table, measured = measure_slots(choice, truth, factors, seed=1)
    assert measured == {
        "precision_all": 0.5, "hit_rate_all": 1.0,
        "precision_discovery": 0.5, "hit_rate_discovery": 0.5,
        "precision_personal": 0.5, "hit_rate_personal": 0.5,
        "diversity_all": 0.5,
    }  # fmt: skip
    between = table[(table["metric"] == "precision") & (table["item"] == "discovery")].iloc[0]
    assert between["difference"] == 0  # -1 for one, +1 for the other
    assert between["ci_low"] == -1
    assert between["ci_high"] == 1


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


def test_a_campaign_whose_window_is_over_when_it_goes_out_is_refused():
    """win_back goes out on the 1st at 06:00 and looks 28 days ahead: of 2 June, that is until 30 June."""
    campaign, shop = load(FOLDER / "win_back.yaml"), SimpleNamespace(timezone="UTC")
    assert check_send_time(campaign, shop, date(2025, 6, 9)) == datetime(2025, 7, 1, 6, tzinfo=UTC)
    with pytest.raises(LateError) as error:
        check_send_time(campaign, shop, date(2025, 6, 2))
    assert str(error.value).startswith(
        "The campaign win_back of the week 2025-06-02 would go out on 2025-07-01 at 06:00 (UTC), when the 28 days "
        "that its query looks ahead are over: make it of a later week, or change schedule.cron or the window"
    )
    # A later tick of the schedule, with no newer week to be made of: over at the end of the window, not before.
    last = datetime(2025, 7, 6, 23, 59, tzinfo=UTC)
    assert check_send_time(campaign, shop, date(2025, 6, 9), now=last) == last
    with pytest.raises(LateError, match="2025-07-07 at 00:00"):
        check_send_time(campaign, shop, date(2025, 6, 9), now=datetime(2025, 7, 7, tzinfo=UTC))
    # The window ends at midnight of the shop's own clock.
    with pytest.raises(LateError):
        check_send_time(
            campaign,
            SimpleNamespace(timezone="Asia/Tokyo"),
            date(2025, 6, 9),
            now=datetime(2025, 7, 6, 15, tzinfo=UTC),
        )


def test_what_is_no_longer_sold_when_the_email_goes_out_is_not_admitted():
    """Sent on Thursday at 06:00: so long after the week, and so long after the anchor that its rules are tried at."""
    week, test = date(2025, 6, 2), date(2025, 5, 5)
    ends = {
        "over": "2025-06-05 05:59",
        "over at the send": "2025-06-05 06:00",
        "on for a minute": "2025-06-05 06:01",
        "over in May": "2025-05-08 06:00",
        "no end": None,
        "filtered out": None,
    }
    ids = list(ends)
    email = SimpleNamespace(
        delay=timedelta(days=3, hours=6),
        products=pd.DataFrame({"sale_end": pd.to_datetime(pd.Series(ends))}),
        # A product of the future is not known at the earlier anchor.
        week=SimpleNamespace(
            known=lambda anchor: SimpleNamespace(
                products=pd.DataFrame({"product_id": ids if anchor == week else ids[:0:-1]})
            )
        ),
        task=SimpleNamespace(
            admit_products=lambda anchor: np.array(
                [name != "filtered out" for name in (ids if anchor == week else ids[:0:-1])]
            )
        ),
    )
    admitted = Email._admit_products(email, week)
    assert dict(zip(ids, admitted.tolist(), strict=True)) == {
        "over": False,
        "over at the send": False,
        "on for a minute": True,
        "over in May": False,
        "no end": True,
        "filtered out": False,
    }
    admitted = Email._admit_products(email, test)
    assert dict(zip(ids[:0:-1], admitted.tolist(), strict=True)) == {
        "filtered out": False,
        "no end": True,
        "over in May": False,
        "on for a minute": True,
        "over at the send": True,
    }


def test_what_fills_a_slot_follows_the_view(tmp_path):
    text = (FOLDER / "weekly_email.yaml").read_text().replace("name: weekly_email", "name: it")
    text += "segments:\n  regular:\n    rules:\n      bought_within_days: 3\n      max_per_brand: 1\n"
    found = {}
    for view in ("all", "new", "repeat"):
        path = tmp_path / "it.yaml"
        path.write_text(f"{text}view: {view}\n")
        found[view] = load(path).rule_set
    days = {view: rules.items.bought_within_days for view, rules in found.items()}
    assert days == {"all": 1, "new": 36_500, "repeat": 1}
    # Nothing that was bought before is new because it is due again.
    assert {view: rules.items.due_within_days for view, rules in found.items()} == {
        "all": 28, "new": None, "repeat": 28,
    }  # fmt: skip
    segment = {view: rules.of_segment("regular").items for view, rules in found.items()}
    assert {view: items.bought_within_days for view, items in segment.items()} == {
        "all": 3, "new": 36_500, "repeat": 3,
    }  # fmt: skip
    assert {items.max_per_brand for items in segment.values()} == {1}
    every: tuple[Level, ...] = ("segment", "category", "global")
    assert {view: rules.of_segment("regular").slots.ladder for view, rules in found.items()} == {
        "all": every, "new": every, "repeat": (),
    }  # fmt: skip
    assert found["repeat"].slots.discovery_slots == 0


def test_predictions_leave_out_what_lists_leave_out(build_known):
    """OTHER TOBACCO holds a candle, too; of GROCERY one product is tobacco; c1 bought beer, and c2 bread."""
    goods = SensitiveGoods.model_validate(
        {
            "topics": {
                "tobacco": {"levels": ["never_offer"], "words": ["cigarette*", "tobacco"]},
                "alcohol": {"levels": ["never_discover"], "words": ["beer", "pils"]},
            }
        }
    )
    products = [
        (product, name, None, category, None, 1.0, True)
        for product, name, category in [
            ("p1", "Pack of 20", "CIGARETTES"), ("p2", "Candle", "OTHER TOBACCO"), ("p3", "Cigarettes", "GROCERY"),
            ("p4", "Bread", "GROCERY"), ("p5", "Pils", "BEER"), ("p6", "Pils", "DRINKS"), ("p7", "Water", "DRINKS"),
        ]
    ]  # fmt: skip
    known = build_known(
        [("o1", "c1", 28, ["p5"]), ("o2", "c2", 28, ["p4"])],
        [("c1", None, None), ("c2", None, None)],
        products,
    )

    def admit(item, values):
        rows = [(customer, value) for customer in ("c1", "c2") for value in values]
        table = pd.DataFrame(rows, columns=["customer_id", item])
        return table[admit_predictions(table, item, known, goods)].groupby("customer_id")[item].agg(list)

    categories = ["CIGARETTES", "OTHER TOBACCO", "GROCERY", "BEER", "DRINKS", "TOYS"]
    assert admit("category", categories).to_dict() == {
        "c1": ["GROCERY", "BEER", "DRINKS", "TOYS"], "c2": ["GROCERY", "DRINKS", "TOYS"],
    }  # fmt: skip
    assert admit("product_id", ["p2", "p3", "p4", "p5", "p6", "p7"]).to_dict() == {
        "c1": ["p4", "p5", "p7"], "c2": ["p4", "p7"],
    }  # fmt: skip


def test_ranks_close_up():
    table = pd.DataFrame({"customer_id": ["c1", "c1", "c2"], "rank": [2, 5, 3]})
    assert _close_ranks(table)["rank"].tolist() == [1, 2, 1]


def test_names_in_the_rules_of_pages_that_the_shop_lacks_are_said(build_known, tmp_path):
    known = build_known([], [("c1", None, None)], [("p1", "Decaf", "Acme", "Coffee", None, 1.0, True)])
    shop = SimpleNamespace(
        storefront=Storefront.model_validate(
            {"rules": {"excluded_categories": ["Cofee"], "excluded_brands": ["ACME"]}}
        ),
        path=lambda setting: tmp_path / "pages.yaml",
    )
    build = tmp_path / "build.duckdb"
    week = SimpleNamespace(known=lambda: known, build=SimpleNamespace(path=build), shop=shop)
    assert list_unknown_storefront_names(week) == []
    build.touch()
    assert list_unknown_storefront_names(week) == [
        "pages.yaml: excluded_categories: the shop has no 'Cofee'; did you mean 'Coffee'?",
        "pages.yaml: excluded_brands: the shop has no 'ACME'; 'Acme' is taken for it.",
    ]


def test_what_a_run_says_of_a_campaign():
    facts = {
        "problems": ["excluded_categories: the shop has no 'cofee'; did you mean 'Coffee'?"],
        "notes": ["rules.max_per_category: 4 is raised to 12, because ..."],
        "shortage": "without rules.min_stock 3 of 4 that were looked at would have one",
    }
    assert list_messages(facts) == [
        "excluded_categories: the shop has no 'cofee'; did you mean 'Coffee'?",
        "Without rules.min_stock 3 of 4 that were looked at would have one.",
        "rules.max_per_category: 4 is raised to 12, because ...",
    ]
    # A note needs no attention, nor does an email that earns what it should.
    assert list_warnings(facts) == list_messages(facts)[:2]
    assert list_warnings({"earns": True, "worth": "It beats."}) == []
    assert list_warnings({"earns": False, "worth": "It does not."}) == ["It does not."]
    assert list_messages({"problem": "", "shortage": None}) == []
    # A shop of one category has none to predict: nobody gets a prediction, and the run says why.
    problem = (
        "Query line 1, column 59: category has 1 value here; a list takes 2 to 5000, so use another column."
    )
    assert list_messages({"problem": problem, "problems": []}) == [f"Its query cannot be answered. {problem}"]


def test_the_campaign_command_says_every_rule_in_force_and_which_are_defaults():
    rules = load(FOLDER / "try_something_new.yaml").rule_set
    lines = list_rules({"rules": list_rules_in_force(rules)})
    assert lines[0] == "Rules in force (* is a default):"
    assert {
        "  slots.mmr_lambda: 0.8", "  slots.discovery_share: 0.35", "  rules.max_per_category: 2", "  slots.max_repeat: 4 *",
        "  rules.one_per_title: true *", "  rules.min_price: null *",
    } <= set(lines)  # fmt: skip
    assert list_rules({"problem": ""}) == []
