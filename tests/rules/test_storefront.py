"""A page of the shop: for everybody, and as long as it gets."""

import numpy as np

from helpers.rules import N, flags, lists, make_known, make_rules, mark_sensitive, pairs, score_lists, sent
from recs_assets.config import read_yaml
from recs_assets.rules.config import Pin
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select
from recs_assets.rules.storefront import Storefront
from recs_assets.settings import PROJECT_ROOT


def test_a_list_of_a_page_may_be_short_and_asks_for_no_consent() -> None:
    known = make_known(customers=3)
    known.customers["email_eligible"] = False
    context = Context(known, consent_state=np.array(["unsubscribed", "objected", "subscribed"], dtype=object))
    candidates, rules = score_lists({0: [3, 1], 1: [0, 1, 2, 3]}), make_rules(k=3)
    assert lists(select(candidates, context, rules)) == {}
    page = select(candidates, context, rules, placement="page")
    assert lists(page) == {0: [3, 1], 1: [0, 1, 2]}
    assert page.rows["slot"].tolist() == [1, 2, 1, 2, 3]
    assert page.suppressed.to_dict("list") == {"customer": [2], "reason": ["too_few_products"]}


def test_a_short_list_keeps_its_pinned_product_and_its_order() -> None:
    rules = make_rules(k=5, pinned=(Pin(product="p005", slot=4),), max_repeat=4)
    context = Context(make_known(), sends=sent((0, 1, 7)))
    page = select(score_lists({0: [2, 1]}), context, rules, placement="page")
    assert lists(page) == {0: [2, 1, 5]}
    assert page.rows["slot_type"].tolist() == ["personal", "personal", "pinned"]
    assert page.rows["sent_before"].tolist() == ["no", "yes", "no"]


def test_a_page_obeys_every_rule_of_products_and_pairs() -> None:
    context = Context(
        make_known(unavailable={0}, customers=1),
        rejected=pairs(1),
        country=np.array([0]),
        sellable=np.array([flags(True, True, False), flags(rest=False)]),
        parent=np.array([-1, -1, -1, 8, 8, -1]),
        sensitive=mark_sensitive(never_offer=[5]),
    )
    rules = make_rules(k=6, not_rejected=True, one_per_parent=True, sensitive=True)
    page = select(score_lists({0: range(N)}), context, rules, placement="page")
    assert lists(page) == {0: [3]}
    taken = page.removed[page.removed > 0].to_dict()
    assert taken == {"available": 1, "sellable": 1, "sensitive": 1, "rejected": 1, "one_per_parent": 1}


def test_the_shipped_storefront_file_keeps_what_an_email_keeps_out() -> None:
    rules = read_yaml(
        PROJECT_ROOT / "recs_assets" / "rules" / "storefront.yaml", Storefront, "The rules"
    ).rule_set(20)
    assert (rules.items.sensitive, rules.items.not_rejected, rules.items.one_per_parent) == (True, True, True)
    assert (rules.items.min_stock, rules.items.bought_within_days, rules.slots.k) == (1, None, 20)
    # Nothing is added, spread out or held back by what was sent.
    assert (rules.slots.ladder, rules.slots.discovery_share, rules.slots.mmr_lambda) == ((), 0, 1)
    assert rules.slots.max_repeat is None
