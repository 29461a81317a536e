"""Keys of a file that have no effect are refused, with the line that they stand on."""

from pathlib import Path

import pytest

from recs_assets.campaigns.file import CampaignError, load
from recs_assets.rules.storefront import StorefrontError
from recs_assets.settings import Settings
from recs_assets.shop import Shop

TINY = Path(__file__).resolve().parents[2] / "examples" / "tiny_shop"
HEAD = """\
name: mailing
description: Products.
owner: team:crm
query: PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP {top} FOR EACH users.user_id
schedule: {{cron: "0 6 * * 1"}}
"""
DUE = (
    "rules.due_within_days: it has no effect, because what is due again passes bought_within_days and max_repeat, and neither is "
    "set; set one, or remove the key; correct it."
)


@pytest.mark.parametrize(
    ("top", "text", "expected"),
    [
        (
            2,
            "slots:\n  exploration_share: 0.5\n",
            "line 7: slots.exploration_share: it has no effect, because a discovery_share of 0.2 is less than half of one of 2 slots; "
            "raise discovery_share, or remove the key; correct it.",
        ),
        (
            12,
            "slots:\n  k: 4\n  discovery_share: 0.1\n  discovery_floor: 0.5\n",
            "line 9: slots.discovery_floor: it has no effect, because a discovery_share of 0.1 is less than half of one of 4 slots; "
            "raise discovery_share, or remove the key; correct it.",
        ),
        (
            12,
            "slots:\n  discovery_share: 0.01\nsegments:\n  gold:\n    slots:\n      exploration_share: 0.1\n",
            "line 11: segments.gold.slots.exploration_share: it has no effect, because a discovery_share of 0.01 is less than half of "
            "one of 12 slots; raise discovery_share, or remove the key; correct it.",
        ),
        (
            12,
            "slots:\n  max_repeat: null\nrules:\n  bought_within_days: null\n  due_within_days: 5\n",
            f"line 10: {DUE}",
        ),
        # What is due at all is another question.
        (
            12,
            "slots:\n  max_repeat: null\nrules:\n  bought_within_days: null\n  only_due: true\n  due_within_days: 5\n",
            f"line 11: {DUE}",
        ),
        (
            12,
            "slots:\n  goal: {purchase: 0.5}\n  goal_strength: 2\n",
            "line 8: slots.goal_strength: it has no effect while slots.goal is purchase; set goal, or remove the key; correct it.",
        ),
        (
            12,
            "slots:\n  boosts: [{brand: Acme, factor: 1}]\n",
            "line 7: slots.boosts.0: a factor of 1 changes nothing; give another one, or remove it.",
        ),
    ],
)
def test_a_key_without_effect_is_refused(tmp_path: Path, top: int, text: str, expected: str) -> None:
    path = tmp_path / "mailing.yaml"
    path.write_text(HEAD.format(top=top) + text, encoding="utf-8")
    with pytest.raises(CampaignError) as caught:
        load(path)
    assert str(caught.value) == f"{path}, {expected}"


@pytest.mark.parametrize(
    "text",
    [
        "slots:\n  k: 3\n  exploration_share: 0.5\n",  # 20 % of 3 are a slot
        "slots:\n  k: 2\n  exploration_share: 0\n",
        "rules:\n  bought_within_days: null\n  due_within_days: 5\n",  # for max_repeat
        "slots:\n  max_repeat: null\nrules:\n  due_within_days: 5\n",  # for bought_within_days
        "slots:\n  max_repeat: null\nrules:\n  bought_within_days: null\n  due_within_days: 5\n"
        "segments:\n  gold:\n    slots: {max_repeat: 3}\n",
        "slots:\n  max_repeat: null\nrules:\n  bought_within_days: null\n  due_within_days: null\n",
        "slots:\n  order_by: score\n  goal: {purchase: 2}\n",  # which is the goal without a word
    ],
)
def test_a_key_with_effect_or_with_the_value_that_holds_anyway_is_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mailing.yaml"
    path.write_text(HEAD.format(top=12) + text, encoding="utf-8")
    assert load(path).name == "mailing"


def test_a_change_takes_what_it_leaves_without_effect_with_it(tmp_path: Path) -> None:
    path = tmp_path / "mailing.yaml"
    path.write_text(
        HEAD.format(top=12)
        + "slots:\n  exploration_share: 0.1\n  discovery_floor: 0.5\n  goal: margin\n  goal_strength: 2\n"
        + "rules:\n  due_within_days: 5\n"
    )
    whole = load(path)
    less = whole.change({"slots": {"discovery_share": 0.04}})
    assert (less.slots.discovery_slots, less.slots.exploration_share, less.slots.discovery_floor) == (
        0,
        0.05,
        0.25,
    )
    assert (
        whole.change({"slots": {"discovery_share": 0.05}}).slots.exploration_share == 0.1
    )  # 0.6 of a slot is one
    assert whole.change({"slots": {"goal": {"purchase": 3}}}).slots.goal_strength == 1
    off = {"slots": {"max_repeat": None}, "rules": {"bought_within_days": None}}
    assert whole.change(off).rules.due_within_days == 28
    assert whole.change({"slots": {"max_repeat": None}}).rules.due_within_days == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules:\n  bought_within_days: null\n  due_within_days: 5\n", f"line 3: {DUE}"),
        (
            "rules:\n  sent_within_sends: 2\n",
            "line 2: rules.sent_within_sends: it has no effect, because a page is not sent; remove the key; correct it.",
        ),
        ("rules:\n  min_prize: 5\n", "line 2: there is no rule rules.min_prize; did you mean min_price?"),
        (
            "- rules",
            "line 1: the storefront's rules is a list of keys and values (docs/rules.md); write rules: first.",
        ),
    ],
)
def test_the_storefront_names_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "pages.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StorefrontError) as caught:
        Shop.from_settings(Settings(data=TINY, home=tmp_path / "home", storefront=path))
    assert str(caught.value) == f"{path}, {expected}"
