"""What a run says of a campaign."""

from __future__ import annotations

from recs_assets.campaigns.file import FOLDER, load
from recs_assets.campaigns.messages import list_messages, list_rules, list_warnings
from recs_assets.rules.review import list_rules_in_force


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
