"""Arms of experiments as variants of a campaign: who gets which, and what a file may change."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from helpers.experiments import make, write
from recs_assets.campaigns.arms import (
    check_changes,
    count_slots_by_arm,
    find_running,
    list_variants,
    place_arms,
)
from recs_assets.campaigns.file import FOLDER, Campaign
from recs_assets.campaigns.file import load as load_campaign
from recs_assets.campaigns.file import load_folder as load_campaigns
from recs_assets.delivery import assign_arms
from recs_assets.experiments.file import load_folder

IDS = np.array([f"c{number:03}" for number in range(400)], dtype=object)
NOBODY = pd.DataFrame({"experiment": [], "customer_id": [], "arm": []}, dtype="str")
CAMPAIGNS = load_campaigns().campaigns


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return load_campaign(FOLDER / "weekly_email.yaml")


def test_an_experiment_runs_from_its_first_week_to_the_one_before_its_end():
    one, other = make(), make(name="other", campaign="win_back")
    days = [date(2025, 12, 29), date(2026, 1, 5), date(2026, 2, 23), date(2026, 3, 2)]
    found = [[run.name for run in find_running([one, other], "weekly_email", day)] for day in days]
    assert found == [[], ["ranker_first"], ["ranker_first"], []]


def test_without_experiments_everybody_gets_the_campaign_as_it_is(campaign):
    arms = place_arms(campaign, [], IDS, NOBODY)
    assert set(arms.shown) == {"treatment"}
    [variant] = list_variants(campaign, arms)
    assert variant.campaign is campaign
    assert variant.customers.tolist() == list(range(400))
    assert arms.tabulate(np.ones(400, bool), IDS).empty


def test_the_arms_of_the_file_make_the_variants(campaign):
    arms = place_arms(campaign, [make()], IDS, NOBODY)
    drawn = assign_arms(IDS, "ranker_first", {"today": 0.7, "ranker": 0.2, "holdout": 0.1})
    assert arms.shown.tolist() == drawn.tolist()
    base, ranker = list_variants(campaign, arms)
    # Nothing is changed for the holdout: their rows are what they would have got.
    assert IDS[base.customers].tolist() == IDS[drawn != "ranker"].tolist()
    assert IDS[ranker.customers].tolist() == IDS[drawn == "ranker"].tolist()
    assert (base.campaign.model, ranker.campaign.model) == (None, "ranker")
    assert ranker.campaign.rules == campaign.rules


def test_only_those_whom_the_campaign_is_for_take_part(campaign):
    arms = place_arms(campaign, [make()], IDS[:4], NOBODY)
    asked = np.array([True, False, True, False])
    table = arms.tabulate(asked, IDS[:4])
    assert table["customer_id"].tolist() == ["c000", "c002"]
    assert table["arm"].tolist() == [arms.shown[0], arms.shown[2]]


def test_who_was_assigned_before_stays_there(campaign):
    earlier = pd.DataFrame(
        {
            "experiment": "ranker_first",
            "customer_id": ["c000", "c001", "gone"],
            "arm": ["holdout", "ranker", "today"],
        }
    )
    arms = place_arms(campaign, [make()], IDS, earlier)
    assert arms.arm["ranker_first"][:2].tolist() == ["holdout", "ranker"]
    assert arms.shown[:2].tolist() == ["holdout", "ranker"]


def test_customers_of_two_experiments_get_both_changes(campaign):
    slots = make(
        name="wide",
        arms={"today": {"share": 0.5}, "wide": {"share": 0.5, "change": {"slots": {"discovery_share": 0.5}}}},
    )
    arms = place_arms(campaign, [make(), slots], IDS, NOBODY)
    variants = list_variants(campaign, arms)
    assert [(one.campaign.model, one.campaign.slots.discovery_share) for one in variants] == [
        (None, 0.2),
        (None, 0.5),
        ("ranker", 0.2),
        ("ranker", 0.5),
    ]
    assert sorted(np.concatenate([one.customers for one in variants])) == list(range(400))
    both = variants[3].customers
    assert set(arms.arm["ranker_first"][both]) == {"ranker"}
    assert set(arms.arm["wide"][both]) == {"wide"}
    # A row names the first experiment's arm, and the holdout whoever says it.
    assert set(arms.shown[both]) == {"ranker"}
    held = arms.arm["ranker_first"] == "holdout"
    assert set(arms.shown[held]) == {"holdout"}


def test_the_holdout_of_the_campaign_itself_stays_one(campaign):
    with_arms = Campaign.model_validate(
        campaign.model_dump(exclude_unset=True) | {"arms": {"treatment": 0.5, "holdout": 0.5}}
    )
    arms = place_arms(with_arms, [make()], IDS, NOBODY)
    own = assign_arms(IDS, "weekly_email", {"treatment": 0.5, "holdout": 0.5})
    assert set(arms.shown[own == "holdout"]) == {"holdout"}


def test_customers_outside_the_layer_take_no_part(campaign):
    one = make(layer={"name": "half", "begin": 0.0, "end": 0.5})
    arms = place_arms(campaign, [one], IDS, NOBODY)
    outside = pd.isna(arms.arm["ranker_first"])
    assert 150 < outside.sum() < 250
    assert set(arms.shown[outside]) == {"treatment"}


def test_a_change_goes_into_the_keys_that_are_there(campaign):
    changed = campaign.change({"rules": {"max_per_category": 2}}, {"slots": {"k": 6}, "view": "new"})
    assert (changed.rules.max_per_category, changed.slots.k, changed.view) == (2, 6, "new")
    assert changed.rules.bought_within_days == campaign.rules.bought_within_days
    # Where the file leaves the slots to the query, another query brings its own.
    query = campaign.query.replace("TOP 12", "TOP 8")
    assert query != campaign.query
    assert campaign.change({"query": query}).slots.k == 8


def test_slots_by_arm(campaign):
    arms = {"today": {"share": 0.5}, "short": {"share": 0.5, "change": {"slots": {"k": 6}}}}
    found = count_slots_by_arm([make(arms=arms)], {"weekly_email": campaign})
    assert found == {("ranker_first", "today"): 12, ("ranker_first", "short"): 6}


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("weekly_email", "weekly_mail", 3, "campaign: there is no campaign weekly_mail; there are "),
        ("weekly_email", "category_affinity", 3, "campaign: category_affinity fills no slots, so its arms cannot differ"),
        ("{model: ranker}", "{modle: ranker}", 16, "arms.ranker.change.modle: no arm can change it; arms can change query, "),
        ("{model: ranker}", "{model: rankr}", 16, "arms.ranker.change.model: there is no model rankr; did you mean ranker?"),
        ("{model: ranker}", "{rules: {max_per_brant: 2}}", 16, "arms.ranker.change.rules.max_per_brant: extra inputs"),
        ("{model: ranker}", "{slots: {k: 500}}", 16, "arms.ranker.change: slots.k: 500 slots need RANK TOP 500"),
        ("{model: ranker}", "{query: PREDICT}", 16, "arms.ranker.change.query: Query line 1"),
        ("{model: ranker}", "{view: all}", 16, "arms.ranker.change: weekly_email says so already"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_change_is_one_sentence(tmp_path, old, new, line, sentence):
    write(tmp_path, old, new)
    found = check_changes(tmp_path, load_folder(tmp_path), CAMPAIGNS)
    assert not found.experiments
    [error] = found.errors
    assert (error.line, error.path.name) == (line, "ranker_first.yaml")
    assert error.message.startswith(sentence)


def test_an_experiment_is_not_called_like_a_campaign(tmp_path):
    write(tmp_path, name="weekly_email")
    [error] = check_changes(tmp_path, load_folder(tmp_path), CAMPAIGNS).errors
    assert error.message.startswith("name: a campaign is called weekly_email, too")


def test_arms_that_make_no_campaign_together_are_refused(tmp_path):
    write(tmp_path, "{model: ranker}", "{view: new}", "newcomers")
    write(tmp_path, "{model: ranker}", "{rules: {only_due: true}}", "due_only")
    found = check_changes(tmp_path, load_folder(tmp_path), CAMPAIGNS)
    assert list(found.experiments) == ["due_only"]
    assert found.errors[0].message.startswith(
        "arms.ranker: some customers are in arm ranker of due_only, too, and with both changes "
    )


def test_two_keys_of_one_group_may_be_changed_by_two_experiments(tmp_path):
    write(tmp_path, "{model: ranker}", "{slots: {discovery_share: 0.4}}", "wide")
    write(tmp_path, "{model: ranker}", "{slots: {max_repeat: 2}}", "fresh")
    assert list(check_changes(tmp_path, load_folder(tmp_path), CAMPAIGNS).experiments) == ["fresh", "wide"]
    write(tmp_path, "{model: ranker}", "{slots: {max_repeat: 1}}", "fresher")
    [error] = load_folder(tmp_path).errors
    assert error.message.startswith(
        "arms: fresh changes slots.max_repeat of weekly_email until 2026-03-02, too"
    )


def test_an_arm_that_the_file_lost_keeps_its_customers(campaign):
    earlier = pd.DataFrame(
        {"experiment": "ranker_first", "customer_id": ["c000", "c001"], "arm": ["holdout", "old"]}
    )
    without = make(arms={"today": {"share": 0.5}, "ranker": {"share": 0.5, "change": {"model": "ranker"}}})
    arms = place_arms(campaign, [without], IDS, earlier)
    assert arms.shown[:2].tolist() == ["holdout", "old"]
    base, _ = list_variants(campaign, arms)
    assert base.customers[:2].tolist() == [0, 1]  # as the campaign's file says


def test_arms_of_other_lengths_share_no_customers_with_another_experiment(tmp_path):
    write(tmp_path, "{model: ranker}", "{slots: {k: 6}}", "short")
    write(tmp_path, "{model: ranker}", "{view: new}", "newcomers")
    assert list(check_changes(tmp_path, load_folder(tmp_path), CAMPAIGNS).experiments) == ["newcomers"]
    [error] = check_changes(tmp_path, load_folder(tmp_path), CAMPAIGNS).errors
    assert error.message.startswith(
        "arms: short changes how many slots weekly_email has, and may share customers with newcomers"
    )


def test_an_arm_that_changes_nothing_is_found_beside_shadows(tmp_path, campaign):
    shadowed = Campaign.model_validate(
        campaign.model_dump(exclude_unset=True) | {"shadows": {"quiet": {"model": "ease"}}}
    )
    write(tmp_path, "{model: ranker}", "{view: all}")
    [error] = check_changes(tmp_path, load_folder(tmp_path), {"weekly_email": shadowed}).errors
    assert error.message.startswith("arms.ranker.change: weekly_email says so already")


@pytest.mark.parametrize(
    ("change", "share", "view"),
    [({"slots": {"discovery_share": 0}}, 0.0, "all"), ({"view": "repeat"}, 0.2, "repeat")],
)
def test_a_change_takes_along_what_it_leaves_without_an_effect(campaign, change, share, view):
    data = campaign.model_dump(exclude_unset=True)
    data["slots"] = data.get("slots", {}) | {
        "exploration_share": 0.1,
        "discovery_floor": 0.3,
        "discovery_share": 0.3,
    }
    own = Campaign.model_validate(data)
    changed = own.change(change)
    assert (changed.slots.discovery_share, changed.view) == (share, view)
    # What the change names itself is still refused.
    with pytest.raises(ValidationError):
        own.change({"slots": {"discovery_share": 0, "exploration_share": 0.1}})
