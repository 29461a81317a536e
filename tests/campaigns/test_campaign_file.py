"""Campaign files: what is shipped is good, and what is wrong is one sentence with its line."""

from __future__ import annotations

import math
import re
import textwrap
from pathlib import Path

import pytest

from recs_assets.campaigns.file import FOLDER, CampaignError, load, load_folder
from recs_assets.rules.config import ItemRules, Level
from recs_assets.schema import RecsError

GOOD = """\
name: mailing
description: Twelve products.
owner: team:crm
query: |
  PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP 12
  FOR EACH users.user_id
  WHERE users.email_eligible == 1
schedule:
  cron: "0 6 * * 1"
  timezone: Europe/Berlin
rules:
  min_stock: 3
  excluded_brands: [Acme]
slots:
  discovery_share: 0.2
segments:
  gold:
    rules:
      min_price: 50
exports: [long, feed]
"""
CLASSIFY = """\
name: mailing
description: Affinity.
owner: crm@example.com
query: PREDICT LIST_DISTINCT(transactions.category, 0, 28, days) CLASSIFY FOR EACH users.user_id
schedule: {cron: 0 6 * * 1}
"""


def written(folder: Path, text: str, name: str = "mailing") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def sentence(folder: Path, text: str) -> str:
    """The error of a file, without the folder."""
    with pytest.raises(CampaignError) as caught:
        load(written(folder, text))
    return str(caught.value).removeprefix(f"{folder}/")


def test_the_shipped_campaigns_are_good():
    found = load_folder()
    assert found.errors == ()
    assert {name: (one.target.task, one.target.top, one.view) for name, one in found.campaigns.items()} == {
        "back_in_stock": ("rank", 12, "all"),
        "buy_it_again": ("rank", 50, "repeat"),
        "category_affinity": ("classify", None, "all"),
        "follow_up": ("rank", 12, "new"),
        "high_value_email": ("rank", 12, "all"),
        "try_something_new": ("rank", 12, "new"),
        "weekly_email": ("rank", 12, "all"),
        "win_back": ("rank", 12, "all"),
    }
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(found.campaigns)


def test_the_campaign_of_first_lists_is_good(tmp_path):
    """As it stands on its page; it writes to nobody who has no first list."""
    page = (FOLDER.parents[1] / "docs/first_lists.md").read_text("utf-8")
    [block] = re.findall(r"(?m)^    name: welcome\n(?:(?:    .*)?\n)*", page)
    campaign = load(written(tmp_path, textwrap.dedent(block), "welcome"))
    assert campaign.model == "first_list"
    assert (campaign.slots.discovery_slots, campaign.slots.ladder) == (0, ())


def test_the_caps_of_the_shipped_campaigns_leave_room_beside_the_weekly_email():
    """A cap counts the sends of every campaign: one a week are the weekly emails'."""
    caps = {name: one.eligibility for name, one in load_folder().campaigns.items()}
    crowded = [
        name
        for name, cap in caps.items()
        if cap.max_sends is not None and cap.max_sends <= math.ceil(cap.within_days / 7)
    ]
    assert crowded == []


def test_a_file_becomes_a_query_a_schedule_and_rules(tmp_path):
    found = load(written(tmp_path, GOOD))
    assert str(found.target) == (
        "PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 12\n"
        "FOR EACH customers.customer_id\n"
        "WHERE customers.email_eligible = 1"
    )
    assert (found.schedule.cron, found.schedule.timezone) == ("0 6 * * 1", "Europe/Berlin")
    assert found.slots.k == 12  # the query's TOP
    assert found.rule_set.items.min_stock == 3
    assert found.rule_set.of_segment("gold").items.min_price == 50
    assert found.rule_set.of_segment("gold").items.min_stock == 3
    assert found.rule_set.of_segment("").items.min_price is None


def test_a_schedule_that_is_in_time_in_some_week_is_no_fault(tmp_path):
    """The last day of a short window, a day of the month, and a day that another time zone may make the one before."""
    short = GOOD.replace("14, days", "2, days")
    for cron in ("0 6 * * 2", "0 6 31 * *", "0 6 31 * sun", "0 6 * * 3"):  # the time zone is Europe/Berlin
        assert load(written(tmp_path, short.replace("0 6 * * 1", cron))).schedule.cron == cron
    assert load(written(tmp_path, GOOD.replace("0 6 * * 1", "0 6 * * 7"))).target.top == 12


def test_a_classification_has_no_slots(tmp_path):
    assert not load(written(tmp_path, CLASSIFY)).lists_products


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("\nrules:", "\nrulez:", "mailing.yaml, line 11: there is no key rulez; did you mean rules?"),
        (
            "min_stock: 3",
            "min_stok: 3",
            "mailing.yaml, line 12: there is no rule rules.min_stok; did you mean min_stock?",
        ),
        (
            "  excluded_brands: [Acme]",
            "  horoscope: cancer",
            f"mailing.yaml, line 13: there is no rule rules.horoscope; the rules are {', '.join(ItemRules.model_fields)}.",
        ),
        (
            "min_price: 50",
            "min_prise: 50",
            "mailing.yaml, line 19: there is no rule segments.gold.rules.min_prise; did you mean min_price?",
        ),
        (
            "0 6 * * 1",
            "0 25 * * 1",
            "mailing.yaml, line 9: schedule.cron: hour is 25, but goes from 0 to 23 (it is '0 25 * * 1'); correct it.",
        ),
        (
            "14, days) RANK TOP 12\n  FOR EACH users.user_id\n  WHERE users.email_eligible == 1\nschedule:\n  cron: \"0 6 * * 1\"",
            "2, days) RANK TOP 12\n  FOR EACH users.user_id\nschedule:\n  cron: \"0 6 * * thu,sat\"",
            "mailing.yaml, line 8: schedule.cron: no week's email would be in time, because it goes out on Thursday at the "
            "earliest and the query looks 2 days ahead from Monday; take an earlier day, or a longer window; correct it.",
        ),
        (
            "Europe/Berlin",
            "Europe/Atlantis",
            "mailing.yaml, line 10: schedule.timezone: there is no time zone Europe/Atlantis; use an IANA name like "
            "Europe/Berlin (it is 'Europe/Atlantis'); correct it.",
        ),
        (
            "email_eligible == 1",
            "email_elligible == 1",
            "mailing.yaml, line 7: query: Query line 3, column 7: customers has no column email_elligible; "
            "did you mean email_eligible?",
        ),
        ("min_stock: 3", "min_stock: many", "mailing.yaml, line 12: rules.min_stock: input should be a valid number"),
        ("min_stock: 3", "min_stock: -1", "mailing.yaml, line 12: rules.min_stock: input should be greater than"),
        ("[long, feed]", "[long, fax]", "mailing.yaml, line 20: exports.1: input should be 'long'"),
        ("owner: team:crm\n", "", "mailing.yaml, line 1: the key owner is missing; add it."),
        ("team:crm", "somebody", "mailing.yaml, line 3: owner: string should match pattern"),
        ("name: mailing", "name: letter", "mailing.yaml, line 1: name: letter is in mailing.yaml; call both"),
        ("owner:", "name: twice\nowner:", "mailing.yaml, line 3: name is there twice; keep one."),
        ("\nrules:\n", "\nrules: [\n", "mailing.yaml, line 13: this is not YAML"),
        (
            "discovery_share: 0.2",
            "k: 24",
            "mailing.yaml, line 15: slots.k: 24 slots need RANK TOP 24 or more in the query; correct it.",
        ),
        ("  discovery_share: 0.2", "  pinned: [{product: a, slot: 13}]", "mailing.yaml, line 14: slots: pinned: slot 13"),
        # In the words of YAML, and nothing that is taken for something else.
        ("[Acme]", "Acme", "mailing.yaml, line 13: rules.excluded_brands: it must be a list, as in [a, b] (it is 'Acme'); correct it."),
        ("[Acme]", "[17]", "mailing.yaml, line 13: rules.excluded_brands.0: it must be a text; write it in quotes (it is 17); correct it."),
        ("[Acme]", '[" "]', "mailing.yaml, line 13: rules.excluded_brands.0: it is empty; write a name, or remove it."),
        ("min_stock: 3", "max_per_brand: true", "mailing.yaml, line 12: rules.max_per_brand: input should be a valid integer (it is True)"),
        (
            "  discovery_share: 0.2", "  pinned: [{product: a, slot: 1}, {product: A, slot: 2}]",
            "mailing.yaml, line 14: slots: pinned: a slot or a product is named twice",
        ),
        (
            "[long, feed]", "[long]\narms: {treatment: 0.9, hold_out: 0.1}",
            "mailing.yaml, line 21: arms: hold_out would get the email; for the arm that gets none write holdout",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_its_line(tmp_path, old, new, expected):
    assert GOOD.count(old) == 1
    said = sentence(tmp_path, GOOD.replace(old, new))
    assert said.startswith(expected), said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "  gold:\n", "  Gold: {}\n  gold:\n",
            "mailing.yaml, line 18: segments.gold: the name is that of Gold but for case and blanks; correct it.",
        ),
        (
            "      min_price: 50", "      max_per_category: 0",
            "mailing.yaml, line 19: segments.gold.rules.max_per_category: input should be greater than or equal to 1 (it is 0); "
            "correct it.",
        ),
        (
            "rules:\n  min_stock: 3", "view: new\nrules:\n  only_due: true",
            "mailing.yaml, line 13: rules.only_due: the view new lists what was never bought, of which nothing is due again; "
            "remove the key, or take another view; correct it.",
        ),
        (
            "    rules:\n      min_price: 50\n", "    rules:\n      only_due: true\nview: new\n",
            "mailing.yaml, line 19: segments.gold.rules.only_due: the view new lists what was never bought, of which nothing is "
            "due again; remove the key, or take another view; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  discovery_share: 0.2\nview: repeat",
            "mailing.yaml, line 15: slots.discovery_share: the view repeat lists what was bought before, and discovery what was "
            "not; remove the key, or take another view; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  exploration_share: 0.1\nview: repeat",
            "mailing.yaml, line 15: slots.exploration_share: the view repeat has no discovery slots to draw; remove the key, or take "
            "another view; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  discovery_share: 0\n  exploration_share: 0.1",
            "mailing.yaml, line 16: slots.exploration_share: it has no effect while slots.discovery_share is 0; set "
            "discovery_share, or remove the key; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  ladder: [global]\nview: repeat",
            "mailing.yaml, line 15: slots.ladder: the view repeat lists what was bought before, and the ladder fills up with "
            "what was not; remove the key, or take another view; correct it.",
        ),
        # What says something of a key that is off says nothing.
        (
            "rules:\n  min_stock: 3", "eligibility: {within_days: 14}\nrules:\n  min_stock: 3",
            "mailing.yaml, line 11: eligibility.within_days: it has no effect while eligibility.max_sends is null; set max_sends, "
            "or remove the key; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  max_repeat: null\n  repeat_sends: 3",
            "mailing.yaml, line 16: slots.repeat_sends: it has no effect while slots.max_repeat is null; set max_repeat, or remove "
            "the key; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  discovery_share: 0\n  discovery_floor: 0.3",
            "mailing.yaml, line 16: slots.discovery_floor: it has no effect while slots.discovery_share is 0; set "
            "discovery_share, or remove the key; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  goal_strength: 2",
            "mailing.yaml, line 15: slots.goal_strength: it has no effect while slots.goal is purchase; set goal, or remove the "
            "key; correct it.",
        ),
        (
            "  discovery_share: 0.2", "  goal: profit",
            "mailing.yaml, line 15: slots.goal: there is no goal profit; the goals are purchase, revenue, margin (it is 'profit'); "
            "correct it.",
        ),
        (
            "  discovery_share: 0.2", "  goal: {margin: 0}",
            "mailing.yaml, line 15: slots.goal: no goal has a weight above 0; give one a weight, as in {purchase: 1}; correct it.",
        ),
        (
            "    rules:\n      min_price: 50\n", "    eligibility: {within_days: 3}\n",
            "mailing.yaml, line 18: segments.gold.eligibility.within_days: it has no effect while eligibility.max_sends is null; "
            "set max_sends, or remove the key; correct it.",
        ),
    ],
)  # fmt: skip
def test_rules_that_contradict_each_other_are_refused(tmp_path, old, new, expected):
    assert GOOD.count(old) == 1
    assert sentence(tmp_path, GOOD.replace(old, new)) == expected


def test_segments_by_recency_frequency_and_money_have_the_names_of_the_audit(tmp_path):
    text = GOOD.replace("segments:\n  gold:", "segment_by: rfm\nsegments:\n  loyl:")
    assert sentence(tmp_path, text) == (
        "mailing.yaml, line 18: segments.loyl: there is no segment loyl by rfm; did you mean loyal?; correct it."
    )
    found = load(written(tmp_path, text.replace("loyl", "At_Risk")))
    assert found.rule_set.segment_by == "rfm"
    text = text.replace("rfm", "value").replace("loyl", "tier5")
    assert sentence(tmp_path, text) == (
        "mailing.yaml, line 18: segments.tier5: there is no segment tier5 by value; did you mean tier_5?; correct it."
    )
    assert load(written(tmp_path, text.replace("tier5", "tier_5"))).rule_set.segment_by == "value"


def test_what_a_segment_leaves_out_is_as_for_everybody(tmp_path):
    text = GOOD.replace("rules:\n  min_stock: 3", "eligibility: {max_sends: 3}\nrules:\n  min_stock: 3")
    text = text.replace("    rules:\n      min_price: 50\n", "    eligibility: {within_days: 3}\n")
    written(tmp_path, text)
    [found] = load_folder(tmp_path).campaigns.values()
    assert found.rule_set.of_segment("gold").eligibility.model_dump() == {
        "max_sends": 3, "within_days": 3, "min_value_tier": None, "max_recipients": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [
        "rules: {min_stock: 2}",
        "slots: {discovery_share: 0.1}",
        "view: new",
        "eligibility: {max_sends: 3}",
        "utm_source: crm",
    ],
)
def test_a_query_without_products_refuses_what_is_about_products(tmp_path, key):
    said = sentence(tmp_path, f"{CLASSIFY}{key}\n")
    name = key.partition(":")[0]
    assert said == (
        f"mailing.yaml, line 6: {name}: the query ranks no products, so it has no {name}; remove the key; correct it."
    )


def test_an_empty_file_and_a_list_are_no_campaigns(tmp_path):
    for text in ("", "- name: mailing\n"):
        assert sentence(tmp_path, text).startswith(
            "mailing.yaml, line 1: a campaign is a list of keys and values"
        )


def test_a_bad_file_leaves_the_others_alone(tmp_path):
    written(tmp_path, GOOD)
    written(tmp_path, GOOD.replace("mailing", "broken").replace("RANK", "RNAK"), "broken")
    written(tmp_path, CLASSIFY.replace("mailing", "other"), "other")
    found = load_folder(tmp_path)
    assert sorted(found.campaigns) == ["mailing", "other"]
    assert [(error.path.name, error.line) for error in found.errors] == [("broken.yaml", 5)]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RecsError, match="no folder of campaigns"):
        load_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: caf\xe9\n", "the file cannot be read ('utf-8' codec can't decode byte 0xe9"),
        (b"name: a\0b\n", "the file cannot be read (unacceptable character #x0000: special characters"),
        (b"name: 2024-13-45\n", "the file cannot be read (month must be in 1..12); repair it."),
        (b"[" * 5000, "its keys and values are nested too deeply, or hold themselves; repair it."),
        (b"&a [*a]\n", "its keys and values are nested too deeply, or hold themselves; repair it."),
        (b"# long\n" * 20_000, "the file is larger than 65,536 bytes; shorten it."),
        (
            b"!!python/object/apply:os.system ['true']\n",
            "this is not YAML (could not determine a constructor",
        ),
        (b"? [1]\n: 2\n", "this is not YAML (found unhashable key); correct it."),
    ],
)
def test_whatever_stands_in_a_file_is_one_sentence(tmp_path, content, said):
    (tmp_path / "hostile.yaml").write_bytes(content)
    [error] = load_folder(tmp_path).errors
    assert error.message.startswith(said)
    assert "\n" not in str(error)


def test_a_link_out_of_the_folder_is_no_campaign(tmp_path):
    folder = tmp_path / "campaigns"
    folder.mkdir()
    written(tmp_path, GOOD)
    (folder / "mailing.yaml").symlink_to(tmp_path / "mailing.yaml")
    [error] = load_folder(folder).errors
    assert error.message == f"it is a link that leads out of {folder}; copy the file there."
    # A link within the folder is how Kubernetes mounts one.
    (folder / "mailing.yaml").unlink()
    (folder / "..data").mkdir()
    written(folder / "..data", GOOD)
    (folder / "mailing.yaml").symlink_to(Path("..data") / "mailing.yaml")
    assert list(load_folder(folder).campaigns) == ["mailing"]


ARMS = "arms: {{treatment: {0}, holdout: {1}}}\n"


def test_arms_and_utm_source_of_a_file(tmp_path):
    found = load(written(tmp_path, GOOD + ARMS.format(0.9, 0.1) + "utm_source: crm\n"))
    assert (found.arms, found.utm_source) == ({"treatment": 0.9, "holdout": 0.1}, "crm")
    plain = load(written(tmp_path, GOOD))
    assert (plain.arms, plain.utm_source) == ({}, "newsletter")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            ARMS.format(0.9, 0.2),
            "mailing.yaml, line 21: arms: the shares add up to 1.1 and must add up to 1; correct it.",
        ),
        (
            "arms: {holdout: 1}\n",
            "mailing.yaml, line 21: arms: with holdout alone nobody gets the email; name another arm; correct it.",
        ),
        (
            ARMS.format(1.0, 0),
            "mailing.yaml, line 21: arms.holdout: input should be greater than 0 (it is 0); correct it.",
        ),
        (
            "utm_source: a&b\n",
            "mailing.yaml, line 21: utm_source: string should match pattern "
            "'^[A-Za-z0-9._-]{1,64}$' (it is 'a&b'); correct it.",
        ),
    ],
)
def test_arms_and_utm_sources_that_are_refused(tmp_path, text, said):
    assert sentence(tmp_path, GOOD + text) == said


def test_what_fills_a_slot_follows_the_view(tmp_path):
    text = (FOLDER / "weekly_email.yaml").read_text().replace("name: weekly_email", "name: it")
    text += "segments:\n  regular:\n    rules:\n      bought_within_days: 3\n      max_per_brand: 1\n"
    rule_sets = {}
    for view in ("all", "new", "repeat"):
        path = tmp_path / "it.yaml"
        path.write_text(f"{text}view: {view}\n")
        rule_sets[view] = load(path).rule_set
    days = {view: rules.items.bought_within_days for view, rules in rule_sets.items()}
    assert days == {"all": 1, "new": 36_500, "repeat": 1}
    # Nothing that was bought before is new because it is due again.
    assert {view: rules.items.due_within_days for view, rules in rule_sets.items()} == {
        "all": 28, "new": None, "repeat": 28,
    }  # fmt: skip
    segment = {view: rules.of_segment("regular").items for view, rules in rule_sets.items()}
    assert {view: items.bought_within_days for view, items in segment.items()} == {
        "all": 3, "new": 36_500, "repeat": 3,
    }  # fmt: skip
    assert {items.max_per_brand for items in segment.values()} == {1}
    every: tuple[Level, ...] = ("segment", "category", "global")
    assert {view: rules.of_segment("regular").slots.ladder for view, rules in rule_sets.items()} == {
        "all": every, "new": every, "repeat": (),
    }  # fmt: skip
    assert rule_sets["repeat"].slots.discovery_slots == 0


@pytest.mark.parametrize(
    ("shadow", "sentence"),
    [
        ("{exports: [long]}", "no shadow can change exports; it can change query, view, model, "),
        ("{model: rankr}", "there is no model rankr; did you mean ranker?"),
        ("{slots: {k: 500}}", "slots.k: 500 slots need RANK TOP 500 or more in the query"),
        ("{view: all}", "that is what the campaign says already; change something, or remove it"),
    ],
)
def test_a_shadow_is_a_campaign_itself(tmp_path, shadow, sentence):
    text = (FOLDER / "weekly_email.yaml").read_text("utf-8")
    path = tmp_path / "weekly_email.yaml"
    path.write_text(f"{text}shadows:\n  quiet: {shadow}\n", encoding="utf-8")
    with pytest.raises(CampaignError, match=f"shadows[^:]*: .*{re.escape(sentence)}"):
        load(path)
