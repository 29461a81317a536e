"""Answers: filters on every path, the blend, the ladder, what they say. Random states are in test_filters.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from helpers.serving import (
    BEGINS,
    NOW,
    make_event,
    make_placement,
    make_product,
    open_version,
    write_products,
)
from recs_assets.serving.answer import Question, answer, answer_again
from recs_assets.serving.placement import Blend
from recs_assets.serving.state import State

SHOP = [
    make_product("p0", popularity=9.0), make_product("p1", popularity=8.0), make_product("p2", popularity=7.0),
    make_product("p3", popularity=6.0, category="Coffee"), make_product("p4", popularity=5.0, category="Coffee"),
    make_product("p5", popularity=4.0, category="Cups"),
]  # fmt: skip
ADA = ("ada", {
    "list": [("p2", 0.8), ("p4", 0.4)], "again": [("p1", 0.9), ("p2", 0.5)], "country": "DE", "segment": "vip",
    "tastes": [("Tea", 0.7), ("Coffee", 0.3)],
})  # fmt: skip
NEIGHBOURS = {"p0": ([("p1", 0.9)], [("p3", 0.5), ("p5", 0.2)]), "p3": ([], [("p5", 0.5)])}


def ask(version, state=None, find=answer, now=NOW, **question):
    found = orjson.loads(
        find(version, state or State(), Question(**{"placement": "home", **question}), now.timestamp())
    )
    return [item["product_id"] for item in found["items"]], found


@pytest.fixture
def path(tmp_path):
    write_products(tmp_path / "s.sqlite", SHOP, [ADA], NEIGHBOURS, {"vip": ["p5", "p0"]})
    return tmp_path / "s.sqlite"


def test_a_customers_list_then_their_segment_their_categories_and_everybody(path) -> None:
    ids, found = ask(open_version(path), customer_id="ada")
    assert ids == ["p2", "p4", "p5", "p0", "p1", "p3"]
    assert [item["fallback_level"] for item in found["items"]] == [
        "personal", "personal", "segment", "segment", "category", "category",
    ]  # fmt: skip
    assert [item["slot_type"] for item in found["items"]] == ["personal"] * 2 + ["fill"] * 4
    assert found["items"][0] == {
        "rank": 1, "product_id": "p2", "recommendation_id": "r-p2", "score": 1.0, "p_purchase": 0.8,
        "reason_code": "bought_often", "reason_text": "because of p2", "because_product_id": None, "source": "als",
        "slot_type": "personal", "fallback_level": "personal",
        "card": {
            "title": "p2", "url": None, "image_url": None, "price": 2.0, "price_kind": None, "price_from": None,
            "currency": None, "category": "Tea", "brand": None, "merchant_id": None,
        },
    }  # fmt: skip
    assert {name: found[name] for name in ("as_of", "model_version", "placement", "experiment", "arm")} == {
        "as_of": "2024-03-04", "model_version": "ranker 0.0.0", "placement": "home", "experiment": None, "arm": None,
    }  # fmt: skip


def test_a_list_keeps_its_order_whatever_its_probabilities(tmp_path) -> None:
    write_products(
        tmp_path / "s.sqlite", SHOP, [("ada", {"list": [("p4", 0.5), ("p1", 0.8), ("p0", 0.5), ("p3", 0.2)]})]
    )
    _, found = ask(open_version(tmp_path / "s.sqlite"), customer_id="ada", n=4)
    assert [(item["product_id"], item["score"], item["p_purchase"]) for item in found["items"]] == [
        ("p4", 0.625, 0.5), ("p1", 0.625, 0.8), ("p0", 0.625, 0.5), ("p3", 0.25, 0.2),
    ]  # fmt: skip


@pytest.mark.parametrize("who", [{}, {"customer_id": "nobody"}, {"visitor_id": "v"}, {"session_id": "s"}])
def test_a_stranger_gets_what_is_popular(path, who) -> None:
    ids, found = ask(open_version(path), **who)
    assert ids == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert {item["fallback_level"] for item in found["items"]} == {"global"}


def test_the_same_question_has_the_same_answer(path) -> None:
    question = Question("home", customer_id="ada")
    version, state = open_version(path), State()
    assert answer(version, state, question, 1.7e9) == answer(version, state, question, 1.7e9)


# -- filters ------------------------------------------------------------------------------------

PATHS = {
    "the personal list": {"customer_id": "ada"},
    "the ladder": {"customer_id": "nobody"},
    "a product's neighbours": {
        "context": ["p0"],
        "blend": Blend(together=1, similar=1),
        "customer_id": "ada",
    },
}


@pytest.mark.parametrize("question", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("kind", ["purchased", "added_to_cart", "dismissed", "add_to_cart"])
def test_what_was_bought_carted_or_dismissed_is_on_no_path(path, question, kind) -> None:
    version, state = open_version(path), State()
    before, _ = ask(version, state, **question)
    for product in before[::2]:
        state.apply("campaign_events", make_event(kind, product, customer_id=question["customer_id"]))
    after, _ = ask(version, state, **question)
    assert not set(after) & set(before[::2])
    assert set(before[1::2]) <= set(after)


@pytest.mark.parametrize("question", PATHS.values(), ids=PATHS)
def test_what_sold_out_is_on_no_path_until_it_is_back(path, question) -> None:
    version, state = open_version(path), State()
    before, _ = ask(version, state, **question)
    version.update({before[0]: {"stock": 0.0}})
    assert before[0] not in ask(version, state, **question)[0]
    version.update({before[0]: {"stock": 1.0}})
    assert ask(version, state, **question)[0] == before


def test_a_price_that_prints_as_nothing_is_not_offered_and_a_new_price_is_shown(path) -> None:
    version = open_version(path)
    version.update({"p0": {"price": 0.001}, "p1": {"price": 3.5}})
    ids, found = ask(version)
    assert ids == ["p1", "p2", "p3", "p4", "p5"]
    assert (found["items"][0]["card"]["price"], found["items"][0]["card"]["price_kind"]) == (3.5, "now")


def test_a_purchase_before_the_build_is_the_lists_own_matter(path) -> None:
    state = State()
    state.apply("campaign_events", make_event("purchased", "p2", datetime.fromtimestamp(BEGINS - 1, UTC)))
    assert ask(open_version(path), state, customer_id="ada")[0][0] == "p2"


def test_a_dismissal_ends_after_its_weeks(path) -> None:
    version, state = open_version(path, make_placement(rules={"dismissed_within_days": 14})), State()
    state.apply("campaign_events", make_event("dismissed", "p2"))
    assert "p2" not in ask(version, state, customer_id="ada", now=NOW + timedelta(days=13))[0]
    assert "p2" in ask(version, state, customer_id="ada", now=NOW + timedelta(days=15))[0]


def test_the_cart_of_the_request_comes_before_the_events(path) -> None:
    version, state = open_version(path), State()
    state.apply("campaign_events", make_event("added_to_cart", "p2"))
    assert "p2" not in ask(version, state, customer_id="ada")[0]
    assert "p2" in ask(version, state, customer_id="ada", cart=())[0]
    assert "p4" not in ask(version, state, customer_id="ada", cart=["p4"])[0]


def test_a_browser_that_signs_in_takes_its_dismissals_along(path) -> None:
    version, state = open_version(path), State()
    state.apply("campaign_events", make_event("dismissed", "p2", visitor_id="v"))
    assert "p2" in ask(version, state, customer_id="ada")[0]
    assert "p2" not in ask(version, state, customer_id="ada", visitor_id="v")[0]


@pytest.mark.parametrize("state_of", ["objected", "erased"])
def test_who_withdrew_is_answered_like_a_stranger(path, state_of) -> None:
    version, state = open_version(path), State()
    state.apply("campaign_events", make_event("dismissed", "p0"))
    state.apply("consents", {"customer_id": "ada", "state": state_of, "effective_at": NOW.isoformat()})
    question = {"placement": "home", "n": 3}
    assert ask(version, state, customer_id="ada", **question) == ask(version, State(), **question)
    # Nor is anything kept of what they do from now on.
    state.apply("campaign_events", make_event("dismissed", "p0"))
    assert state.people == 0


def test_unsubscribing_from_mail_changes_no_page(path) -> None:
    state = State()
    state.apply("consents", {"customer_id": "ada", "state": "unsubscribed", "effective_at": NOW.isoformat()})
    assert ask(open_version(path), state, customer_id="ada")[0][0] == "p2"


def test_sale_window_and_country(tmp_path) -> None:
    at = NOW.timestamp()
    shop = [
        make_product("over", end_at=at), make_product("ahead", start_at=at + 1), make_product("now", start_at=at, end_at=at + 1),
        make_product("german", countries="DE AT", popularity=0.5),
    ]  # fmt: skip
    write_products(tmp_path / "s.sqlite", shop, [("ada", {"country": "AT"}), ("bob", {"country": "US"})])
    version = open_version(tmp_path / "s.sqlite")
    assert ask(version)[0] == ["now"]
    assert ask(version, customer_id="ada")[0] == ["now", "german"]
    assert ask(version, customer_id="bob")[0] == ["now"]
    assert ask(version, customer_id="bob", country="DE")[0] == ["now", "german"]


def test_one_variant_and_one_product_of_a_title(tmp_path) -> None:
    shop = [
        make_product("s", parent_id="shirt", popularity=5.0), make_product("m", parent_id="shirt", popularity=4.0),
        make_product("tea 1", name="Tea", popularity=3.0), make_product("tea 2", name=" TEA ", popularity=2.0),
        make_product("cup"),
    ]  # fmt: skip
    write_products(tmp_path / "s.sqlite", shop)
    version, state = open_version(tmp_path / "s.sqlite"), State()
    assert ask(version)[0] == ["s", "tea 1", "cup"]
    # What is in the cart has its variants and its title there, too.
    assert ask(version, cart=["m", "tea 2"])[0] == ["cup"]
    state.apply("campaign_events", make_event("purchased", "m", visitor_id="v"))
    assert ask(version, state, visitor_id="v")[0] == ["tea 1", "cup"]


def test_categories_and_exclusions(path) -> None:
    version = open_version(path)
    assert ask(version, customer_id="ada", categories=["coffee", " TEA"])[0] == ["p2", "p4", "p0", "p1", "p3"]
    assert ask(version, categories=["Coffee"], exclude=["p3"])[0] == ["p4"]
    assert ask(version, categories=["Cars"])[0] == []  # nothing of it may be sold


def test_what_is_sensitive_is_offered_to_nobody_or_only_in_their_own_list(tmp_path) -> None:
    shop = [
        make_product("never", never_offer=True),
        make_product("quiet", never_discover=True),
        make_product("tea"),
    ]
    write_products(tmp_path / "s.sqlite", shop, [("ada", {"list": [("never", 0.9), ("quiet", 0.5)]})])
    version = open_version(tmp_path / "s.sqlite")
    assert ask(version)[0] == ["tea"]
    assert ask(version, customer_id="ada")[0] == ["quiet", "tea"]


# -- blend, rules, arms -------------------------------------------------------------------------


def test_context_and_personal_list_are_blended_by_the_formula(path) -> None:
    version = open_version(path, make_placement(blend={"personal": 0.5, "together": 1, "similar": 0.2}))
    _, found = ask(version, customer_id="ada", context=["p0", "p3"], n=4)
    # personal: p2 0.8 / 0.8, p4 0.4 / 0.8; together: p5 1 - (1 - 0.2) * (1 - 0.5); similar: p1 0.9.
    assert [(item["product_id"], item["score"], item["fallback_level"]) for item in found["items"]] == [
        ("p5", 0.6, "context"), ("p2", 0.5, "personal"), ("p4", 0.25, "personal"), ("p1", 0.18, "context"),
    ]  # fmt: skip
    assert [item["because_product_id"] for item in found["items"]] == ["p3", None, None, "p0"]
    assert found["items"][0]["recommendation_id"] == "together-p5"


def test_what_was_looked_at_counts_as_context_and_fades(path) -> None:
    version, state = open_version(path, make_placement(blend={"together": 1}, session_context=True)), State()
    state.apply("browsing_events", make_event("view", "p0", NOW - timedelta(minutes=5), session_id="s"))
    state.apply("browsing_events", make_event("view", "p3", NOW - timedelta(minutes=1), session_id="s"))
    _, found = ask(version, state, session_id="s", n=2)
    # p3 counts 1/2, p0 1/4: p5 1 - (1 - 0.25) * (1 - 0.05), p3 0.125.
    assert [(item["product_id"], item["score"]) for item in found["items"]] == [("p5", 0.2875), ("p3", 0.125)]
    _, later = ask(version, state, session_id="s", n=2, now=NOW + timedelta(minutes=40))
    assert {item["fallback_level"] for item in later["items"]} == {"global"}


def test_rules_of_a_placement(tmp_path) -> None:
    shop = [
        make_product("a", brand="X", merchant_id="m", price=10.0, cost=9.0), make_product("b", brand="X", price=10.0, cost=1.0),
        make_product("c", merchant_id="m", category="Cups", price=10.0, cost=5.0), make_product("d", category="Cups", price=1.0, cost=0.1),
    ]  # fmt: skip
    lists = [("ada", {"list": [("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.6)]})]
    write_products(tmp_path / "s.sqlite", shop, lists)

    def chosen(**keys):
        rules = {"complete": [], **keys.pop("rules", {})}
        return ask(
            open_version(tmp_path / "s.sqlite", make_placement(rules=rules, **keys)), customer_id="ada"
        )[0]

    assert chosen() == ["a", "b", "c", "d"]
    assert chosen(rules={"max_per_brand": 1}) == ["a", "c", "d"]
    assert chosen(rules={"max_per_merchant": 1}) == ["a", "b", "d"]
    assert chosen(rules={"max_per_category": 1}) == ["a", "c"]
    assert chosen(rules={"min_price": 2}) == ["a", "b", "c"]
    assert chosen(rules={"min_margin": 0.5}) == ["b", "c", "d"]
    assert chosen(rules={"excluded_brands": ["x"]}) == ["c", "d"]
    # 0.9 * 1, 0.8 * 9, 0.7 * 5, 0.6 * 0.9, each over 0.9
    assert chosen(goal="margin") == ["b", "c", "a", "d"]
    # 0.9 * 10, 0.8 * 10, 0.7 * 10, 0.6 * 1
    assert chosen(goal="revenue", goal_strength=2) == ["a", "b", "c", "d"]
    assert chosen(pinned=[{"product": "d", "slot": 2}]) == ["a", "d", "b", "c"]


BRANDS = [
    make_product("a", brand="X", category="Tea"), make_product("b", brand="Y", category="Tea"),
    make_product("c", brand="Y", category="Cups"), make_product("d", brand="Z", merchant_id="m", category="Cups"),
    make_product("e", brand="Z", category="Tea", popularity=9.0),
]  # fmt: skip
# Worth 1, 8/9, 7/9 and 4/9; e is popular alone.
BOB = ("bob", {"list": [("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.4)]})


def test_boosts_and_burials_hold_on_their_days(tmp_path) -> None:
    write_products(tmp_path / "s.sqlite", BRANDS, [BOB])
    boosts = [
        {"product": "d", "factor": 3, "starts": "2024-03-05", "ends": "2024-03-06"},
        {"brand": "x", "factor": 0.5},
        {"category": "cups", "factor": 2, "starts": "2024-03-06"},
    ]
    version = open_version(tmp_path / "s.sqlite", make_placement(boosts=boosts, rules={"complete": []}))

    def order(day: int) -> list[str]:
        return ask(
            version, customer_id="bob", n=4, now=datetime(2024, 3, 4, 12, tzinfo=UTC) + timedelta(days=day)
        )[0]

    assert order(0) == ["b", "c", "a", "d"]  # 8/9, 7/9, 1/2, 4/9
    assert order(1) == ["d", "b", "c", "a"]  # d 12/9
    assert order(2) == ["d", "c", "b", "a"]  # d 24/9, c 14/9
    assert order(3) == ["c", "b", "d", "a"]  # c 14/9, d 8/9 after its equal
    assert order(30) == order(3)


def test_a_goal_and_boosts_multiply(tmp_path) -> None:
    shop = [make_product("a", price=10.0, brand="X"), make_product("b", price=30.0, brand="Y")]
    write_products(tmp_path / "s.sqlite", shop, [("ada", {"list": [("a", 0.6), ("b", 0.3)]})])

    def first(**keys) -> str:
        version = open_version(tmp_path / "s.sqlite", make_placement(rules={"complete": []}, **keys))
        return ask(version, customer_id="ada")[0][0]

    assert first() == "a"
    assert first(goal="revenue") == "b"  # 6 against 9
    assert first(goal="revenue", boosts=[{"brand": "X", "factor": 2}]) == "a"  # 12 against 9


@pytest.mark.parametrize(
    ("exposure", "expected"),
    [
        ([], ["a", "b"]),
        # One of two places: b's, because d is least behind it.
        ([{"brand": "Z", "share": 0.5}], ["a", "d"]),
        ([{"merchant": "m", "share": 0.5}], ["a", "d"]),
        # Only what the lists propose: e, which is popular, stays where it is.
        ([{"brand": "Z", "share": 1.0}], ["a", "d"]),
        # None gives up what another counts.
        ([{"brand": "Y", "share": 0.5}, {"brand": "Z", "share": 0.5}], ["b", "d"]),
        ([{"brand": "Z", "share": 0.5}, {"brand": "Y", "share": 0.5}], ["b", "d"]),
    ],
)
def test_a_floor_of_exposure_in_an_answer(tmp_path, exposure, expected) -> None:
    write_products(tmp_path / "s.sqlite", BRANDS, [BOB])
    rules = {"complete": [], "max_per_category": None}
    version = open_version(tmp_path / "s.sqlite", make_placement(exposure=exposure, rules=rules, n=2))
    assert ask(version, customer_id="bob")[0] == expected


def test_a_floor_is_a_share_of_all_answers(tmp_path) -> None:
    """A fifth of two places each: four answers of ten have one, drawn by who looks and always the same."""
    people = [(f"c{number}", BOB[1]) for number in range(500)]
    write_products(tmp_path / "s.sqlite", BRANDS, people)
    placement = make_placement(exposure=[{"brand": "Z", "share": 0.2}], rules={"complete": []}, n=2)
    version = open_version(tmp_path / "s.sqlite", placement)
    answers = [ask(version, customer_id=name)[0] for name, _ in people]
    assert sum("d" in ids for ids in answers) == pytest.approx(200, abs=30)
    assert {tuple(ids) for ids in answers} == {("a", "b"), ("a", "d")}
    assert [ask(version, customer_id=name)[0] for name, _ in people[:50]] == answers[:50]


def test_a_price_that_changes_changes_what_the_rules_say(tmp_path) -> None:
    shop = [make_product("a", price=10.0, cost=9.0), make_product("b", price=10.0, cost=5.0)]
    write_products(tmp_path / "s.sqlite", shop, [("ada", {"list": [("a", 0.6), ("b", 0.5)]})])
    placement = make_placement(rules={"complete": [], "min_price": 2}, goal="margin")
    version = open_version(tmp_path / "s.sqlite", placement)
    assert ask(version, customer_id="ada")[0] == ["b", "a"]
    version.update({"a": {"price": 90.0}})  # a margin of 81
    assert ask(version, customer_id="ada")[0] == ["a", "b"]
    version.update({"a": {"price": 1.0}})
    assert ask(version, customer_id="ada")[0] == ["b"]


def test_discovery_brings_categories_that_are_new(path, tmp_path) -> None:
    customers = [
        ("ada", {"list": [("p0", 0.9), ("p1", 0.8), ("p2", 0.7), ("p3", 0.6)], "tastes": [("Tea", 1.0)]})
    ]
    write_products(tmp_path / "d.sqlite", SHOP, customers)

    def slots(**keys):
        version = open_version(tmp_path / "d.sqlite", make_placement(n=3, **keys))
        return [
            (item["product_id"], item["slot_type"]) for item in ask(version, customer_id="ada")[1]["items"]
        ]

    assert slots() == [("p0", "personal"), ("p1", "personal"), ("p2", "personal")]
    assert slots(discovery_share=0.34) == [("p0", "personal"), ("p1", "personal"), ("p3", "discovery")]
    assert slots(discovery_share=0.34, discovery_floor=1.0) == slots()


def test_who_is_held_out_is_answered_like_a_stranger_and_still_filtered(path) -> None:
    placement = make_placement(experiment="lift", arms={"treatment": 0.5, "holdout": 0.5})
    version, state = open_version(path, placement), State()
    by_arm: dict[str, list[list[str]]] = {}
    for number in range(40):
        ids, found = ask(version, visitor_id=f"v{number}", context=["p0"], n=3)
        by_arm.setdefault(found["arm"], []).append(ids)
        assert found["experiment"] == "lift"
    assert len(by_arm["treatment"]) > 10 < len(by_arm["holdout"])
    held = next(f"v{n}" for n in range(40) if ask(version, visitor_id=f"v{n}")[1]["arm"] == "holdout")
    state.apply("campaign_events", make_event("dismissed", "p0", visitor_id=held))
    assert ask(version, state, visitor_id=held)[0][0] == "p1"


def test_due_again_is_filtered_and_has_no_ladder(path) -> None:
    version, state = open_version(path), State()
    ids, found = ask(version, state, answer_again, customer_id="ada")
    assert (ids, found["items"][0]["source"], found["items"][0]["recommendation_id"]) == (
        ["p1", "p2"],
        "buy_it_again",
        "a-p1",
    )
    state.apply("campaign_events", make_event("purchased", "p1"))
    assert ask(version, state, answer_again, customer_id="ada")[0] == ["p2"]
    assert ask(version, state, answer_again, customer_id="nobody")[0] == []
