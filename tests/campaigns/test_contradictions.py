"""Rules of a file that contradict each other are refused, with both lines named."""

from pathlib import Path

import pytest

from recs_assets.campaigns.file import CampaignError, load
from recs_assets.serving.placement import PlacementError
from recs_assets.serving.placement import load as load_placement

HEAD = """\
name: mailing
description: Twelve products.
owner: team:crm
query: PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP 12 FOR EACH users.user_id
schedule: {cron: "0 6 * * 1"}
rules:
"""


def assert_refused(path: Path, text: str, expected: str) -> None:
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(CampaignError) as caught:
        load(path)
    assert str(caught.value) == f"{path}, {expected}"


# What follows the head, from line 7 on, and the sentence.
PAIRS = {
    "pinned and excluded": (
        """\
  excluded_products: [p2, p1]
slots:
  pinned:
    - {product: P1, slot: 1}
""",
        "line 10: slots.pinned.0 contradicts rules.excluded_products.1 (mailing.yaml, line 7): the product P1 is pinned and "
        "excluded; keep one.",
    ),
    "pinned and buried": (
        """\
  min_stock: 1
slots:
  pinned: [{product: p1, slot: 1}]
  boosts:
    - {brand: Acme, factor: 2}
    - {product: p1, factor: 0.5}
""",
        "line 9: slots.pinned.0 contradicts slots.boosts.1 (mailing.yaml, line 12): the product p1 is pinned and buried; keep one.",
    ),
    "boosted and excluded": (
        """\
  excluded_brands: [acme]
slots:
  boosts: [{brand: Acme, factor: 2}]
""",
        "line 9: slots.boosts.0 contradicts rules.excluded_brands.0 (mailing.yaml, line 7): the brand Acme is boosted and excluded; "
        "keep one.",
    ),
    "boosted and buried": (
        """\
  min_stock: 1
slots:
  boosts:
    - {category: Tea, factor: 2, ends: 2026-12-24}
    - {category: tea, factor: 0.5, starts: 2026-12-24}
""",
        "line 11: slots.boosts.1 contradicts slots.boosts.0 (mailing.yaml, line 10): the category tea has the factors 2 and 0.5 on the "
        "same days; keep one.",
    ),
    "the model's order and a goal": (
        """\
  min_stock: 1
slots:
  order_by: score
  goal: revenue
""",
        "line 10: slots.goal contradicts slots.order_by (mailing.yaml, line 9): slots in the order of the model's own list cannot be in "
        "that of goal, too; keep one.",
    ),
    "the model's order and boosts": (
        """\
  min_stock: 1
slots:
  order_by: score
  boosts: [{brand: Acme, factor: 2}]
""",
        "line 10: slots.boosts contradicts slots.order_by (mailing.yaml, line 9): slots in the order of the model's own list cannot be in "
        "that of boosts, too; keep one.",
    ),
    "two limits of repeats": (
        """\
  sent_within_sends: 4
slots:
  max_repeat: 2
""",
        "line 9: slots.max_repeat contradicts rules.sent_within_sends (mailing.yaml, line 7): products of the last 4 sends may fill 2 "
        "slots, and none of the last 4 may stand in any; keep one.",
    ),
    "a floor of what is excluded": (
        """\
  excluded_categories: [tea]
slots:
  exposure: [{category: Tea, share: 0.2}]
""",
        "line 9: slots.exposure.0 contradicts rules.excluded_categories.0 (mailing.yaml, line 7): the category Tea is to have 20% of the "
        "places, and is excluded; keep one.",
    ),
    "a floor of what is buried": (
        """\
  min_stock: 1
slots:
  boosts: [{merchant: m1, factor: 0.5}]
  exposure: [{merchant: m1, share: 0.2}]
""",
        "line 10: slots.exposure.0 contradicts slots.boosts.0 (mailing.yaml, line 9): the merchant m1 is to have 20% of the places, and "
        "is buried; keep one.",
    ),
    "floors of more than all places": (
        """\
  min_stock: 1
slots:
  exposure:
    - {merchant: m1, share: 0.6}
    - {brand: Acme, share: 0.6}
    - {merchant: m2, share: 0.5}
""",
        "line 12: slots.exposure.2 contradicts slots.exposure.0 (mailing.yaml, line 10): the floors by merchant sum up to 110% of the "
        "places; lower one.",
    ),
    "a floor above a limit": (
        """\
  max_per_merchant: 2
slots:
  exposure: [{merchant: m1, share: 0.2}]
""",
        "line 9: slots.exposure.0 contradicts rules.max_per_merchant (mailing.yaml, line 7): 20% of 12 slots are more than the 2 that one "
        "merchant may have; raise the limit, or lower the floor.",
    ),
    "a floor above the default limit": (
        """\
  min_stock: 1
slots:
  exposure: [{category: Tea, share: 0.9}]
""",
        "line 9: slots.exposure.0 contradicts rules.max_per_category (mailing.yaml, line 6): 90% of 12 slots are more than the 4 that one "
        "category may have by default; raise the limit, or lower the floor.",
    ),
    "two floors of the same": (
        """\
  min_stock: 1
slots:
  exposure: [{merchant: m1, share: 0.2}, {merchant: M1, share: 0.1}]
""",
        "line 9: slots.exposure.1 contradicts slots.exposure.0 (mailing.yaml, line 9): the merchant M1 has two floors; keep one.",
    ),
    "in a segment, against what holds for everybody": (
        """\
  excluded_products: [p1]
segments:
  gold:
    slots:
      pinned: [{product: p1, slot: 1}]
""",
        "line 11: segments.gold.slots.pinned.0 contradicts rules.excluded_products.0 (mailing.yaml, line 7): the product p1 is "
        "pinned and excluded; keep one.",
    ),
}


@pytest.mark.parametrize(("text", "expected"), PAIRS.values(), ids=PAIRS)
def test_two_keys_that_contradict_each_other(tmp_path, text, expected):
    assert_refused(tmp_path / "mailing.yaml", text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "  excluded_products: [p2]\nslots: {pinned: [{product: p1, slot: 1}]}\n",
        # One after the other; a boost of a pinned product; a boost within an excluded brand's category.
        "  excluded_brands: [x]\nslots: {boosts: [{category: x, factor: 2}]}\n",
        "  min_stock: 1\nslots: {pinned: [{product: p1, slot: 1}], boosts: [{product: p1, factor: 2}]}\n",
        "  min_stock: 1\nslots: {boosts: [{brand: x, factor: 2, ends: 2026-12-24}, {brand: x, factor: 0.5, starts: 2026-12-25}]}\n",
        # On its own days the burial is refused when the campaign is made.
        "  min_stock: 1\nslots: {boosts: [{brand: x, factor: 0.5, ends: 2020-01-01}], exposure: [{brand: x, share: 0.2}]}\n",
        # The limit of repeats is a default, and looks further back than what is never sent again.
        "  sent_within_sends: 4\n",
        "  sent_within_sends: 2\nslots: {max_repeat: 2}\n",
        "  max_per_merchant: 2\nslots: {exposure: [{merchant: m1, share: 0.16}, {brand: x, share: 0.9}]}\n",
        # A segment's own list replaces the one for everybody.
        "  excluded_products: [p1]\nsegments: {gold: {rules: {excluded_products: []}, slots: {pinned: [{product: p1, slot: 1}]}}}\n",
    ],
)
def test_what_only_looks_like_a_contradiction(tmp_path, text):
    path = tmp_path / "mailing.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    load(path)


# What follows the head, from line 7 on, and the sentence.
TIERS = {
    "a segment below the tiers for everybody": (
        """\
  min_stock: 1
eligibility: {min_value_tier: 4}
segment_by: value
segments:
  tier_4: {slots: {goal: revenue}}
  Tier_2: {slots: {goal: revenue}}
""",
        "line 12: segments.Tier_2 contradicts eligibility.min_value_tier (mailing.yaml, line 8): nobody of Tier_2 is in tier 4 or a "
        "higher one; lower min_value_tier, or remove the segment.",
    ),
    "a segment's own tier above it": (
        """\
  min_stock: 1
segment_by: value
segments:
  tier_3:
    eligibility: {min_value_tier: 5}
""",
        "line 11: segments.tier_3.eligibility.min_value_tier contradicts segments.tier_3 (mailing.yaml, line 10): nobody of tier_3 is "
        "in tier 5 or a higher one; lower min_value_tier, or remove the segment.",
    ),
    "who has no tier": (
        """\
  min_stock: 1
eligibility: {min_value_tier: 1}
segment_by: value
segments:
  no_tier: {slots: {goal: revenue}}
""",
        "line 11: segments.no_tier contradicts eligibility.min_value_tier (mailing.yaml, line 8): nobody of no_tier is in tier 1 or a "
        "higher one; lower min_value_tier, or remove the segment.",
    ),
    "what else a segment says that gets nothing": (
        """\
  excluded_products: [p1]
eligibility: {min_value_tier: 3}
segment_by: value
segments:
  tier_1: {slots: {pinned: [{product: p1, slot: 1}]}}
""",
        "line 11: segments.tier_1 contradicts eligibility.min_value_tier (mailing.yaml, line 8): nobody of tier_1 is in tier 3 or a "
        "higher one; lower min_value_tier, or remove the segment.",
    ),
    "a tier that everybody of the segment has": (
        """\
  min_stock: 1
segment_by: value
segments:
  tier_5:
    eligibility: {min_value_tier: 4}
""",
        "line 11: segments.tier_5.eligibility.min_value_tier: it has no effect, because everybody of tier_5 is in tier 4 or a higher "
        "one; remove the key; correct it.",
    ),
    "tiers without segments": (
        "  min_stock: 1\nsegment_by: value\n",
        "line 8: segment_by: it has no effect without segments; name some, or remove the key; correct it.",
    ),
    "groups without segments": (
        "  min_stock: 1\nsegment_by: rfm\nsegments: {}\n",
        "line 8: segment_by: it has no effect without segments; name some, or remove the key; correct it.",
    ),
}


@pytest.mark.parametrize(("text", "expected"), TIERS.values(), ids=TIERS)
def test_tiers_of_value_that_nobody_of_a_segment_has(tmp_path, text, expected):
    assert_refused(tmp_path / "mailing.yaml", text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "eligibility: {min_value_tier: 4}\nsegment_by: value\nsegments: {tier_4: {slots: {goal: revenue}}}\n",
        # A segment lets itself in, beside those of the tiers for everybody.
        "eligibility: {min_value_tier: 4}\nsegment_by: value\nsegments: {tier_2: {eligibility: {min_value_tier: 2}}}\n",
        "eligibility: {min_value_tier: 4}\nsegment_by: value\nsegments: {no_tier: {eligibility: {min_value_tier: null}}}\n",
        # The shop's own segments say nothing of tiers.
        "eligibility: {min_value_tier: 4}\nsegments: {tier_2: {eligibility: {min_value_tier: 5}}}\n",
        "segment_by: shop\n",
    ],
)
def test_tiers_of_value_that_somebody_has(tmp_path, text):
    path = tmp_path / "mailing.yaml"
    path.write_text(HEAD + "  min_stock: 1\n" + text, encoding="utf-8")
    load(path)


def test_a_placement(tmp_path):
    path = tmp_path / "cart.yaml"
    path.write_text(
        "name: cart\ndescription: The cart.\nblend: {personal: 1}\nrules:\n  excluded_products: [p1]\n"
        "pinned:\n  - {product: p1, slot: 1}\n"
    )
    with pytest.raises(PlacementError) as caught:
        load_placement(path)
    assert str(caught.value) == (
        f"{path}, line 7: pinned.0 contradicts rules.excluded_products.0 (cart.yaml, line 5): the product p1 is pinned and "
        "excluded; keep one."
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            "boosts:\n  - {brand: Acme, factor: 2}\n",
            "line 8: boosts.0 contradicts rules.excluded_brands.0 (cart.yaml, line 6): the brand Acme is boosted and excluded; keep one.",
        ),
        (
            "exposure: [{brand: acme, share: 0.2}]\n",
            "line 7: exposure.0 contradicts rules.excluded_brands.0 (cart.yaml, line 6): the brand acme is to have 20% of the places, and "
            "is excluded; keep one.",
        ),
        (
            "boosts: [{product: p1, factor: 0.5}]\npinned: [{product: p1, slot: 1}]\n",
            "line 8: pinned.0 contradicts boosts.0 (cart.yaml, line 7): the product p1 is pinned and buried; keep one.",
        ),
    ],
)
def test_boosts_and_floors_of_a_placement(tmp_path, keys, said):
    path = tmp_path / "cart.yaml"
    path.write_text(
        f"name: cart\ndescription: The cart.\nblend: {{personal: 1}}\nn: 8\nrules:\n  excluded_brands: [acme]\n{keys}"
    )
    with pytest.raises(PlacementError) as caught:
        load_placement(path)
    assert str(caught.value) == f"{path}, {said}"
