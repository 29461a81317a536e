"""Files of experiments: what is wrong is one sentence with its line; who gets which arm."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.experiments import make, write
from recs_assets.experiments.file import Experiment, ExperimentError, assign, load, load_folder
from recs_assets.experiments.metrics import METRICS
from recs_assets.schema import RecsError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"


def test_a_good_file(tmp_path):
    found = load(write(tmp_path))
    assert (found.minimum_days, found.before_weeks, found.unit) == (14, 8, "customer")
    assert found.challengers == ["ranker"]
    assert found.shares == {"today": 0.7, "ranker": 0.2, "holdout": 0.1}
    assert found.arms["ranker"].change == {"model": "ranker"}
    assert found.ends.isoformat() == "2026-03-02"


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        (
            "weeks: 8\n", "weeks: 8\nminimum_days: 7\n", 6,
            "minimum_days: fewer than 14 days need a reason; write minimum_reason; correct it.",
        ),
        (
            "weeks: 8\n", "weeks: 8\nminimum_reason: a hurry\n", 6,
            "minimum_reason: it has no effect with 14 days or more; remove the key; correct it.",
        ),
        ("weeks: 8\n", "weeks: 1\n", 5, "weeks: 7 days are less than the 14 of minimum_days; correct it."),
        (
            "2026-01-05", "2026-01-07", 4,
            "starts: an experiment starts on a Monday; take 2026-01-05; correct it.",
        ),
        ("primary: revenue", "primary: revenu", 6,
         "primary: there is no metric revenu; did you mean revenue?; correct it."),
        ("primary: revenue", "primary: returns", 9,
         "guardrails.returns: it is the primary metric already; remove it here; correct it."),
        ("share: 0.7", "share: 0.8", 12, "arms: the shares add up to 1.1 and must add up to 1; correct it."),
        ("holdout:", "hold_out:", 12,
         "arms: hold_out would get what the experiment sends; for the arm that gets none write holdout; correct it."),
        ("control: today", "control: yesterday", 11,
         "control: there is no arm yesterday; the arms are today, ranker, holdout; correct it."),
        ("{share: 0.7}", "{share: 0.7, change: {model: blend}}", 13,
         "arms.today.change: today is what the others are compared with; remove it; correct it."),
        ("hypothesis", "hypotesis", 2, "there is no key hypotesis; did you mean hypothesis?"),
        ("    share: 0.2", "    shara: 0.2", 15, "there is no key arms.ranker.shara; did you mean share?"),
        ("  returns: 0.02", "  sales: 0.02", 9,
         "guardrails.sales: there is no metric sales; the metrics are revenue, margin, other_revenue, orders, buyers, "
         "order_value, click_rate, returns, unsubscribes, complaints; correct it."),
        ("control: today\n", "control: today\nlayer: {nam: email}\n", 12,
         "there is no key layer.nam; did you mean name?"),
        ("detectable: 0.05\n", "", 1, "the key detectable is missing; add it."),
        ("control: today\n", "control: today\nlayer: {name: email, begin: 0.5, end: 0.5}\n", 12,
         "layer: end must lie above begin, which is 0.5; correct it."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_its_line(tmp_path, old, new, line, sentence):
    with pytest.raises(ExperimentError) as caught:
        load(write(tmp_path, old, new))
    assert str(caught.value) == f"{tmp_path / 'ranker_first.yaml'}, line {line}: {sentence}"


def test_the_page_shows_a_file_that_is_good_and_every_key_and_metric(tmp_path):
    page = PAGE.read_text("utf-8")
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    path = tmp_path / "ranker_first.yaml"
    path.write_text(example[1], encoding="utf-8")
    load(path)
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert rows == [*Experiment.model_fields, *METRICS]


def test_fewer_days_with_a_reason(tmp_path):
    found = load(
        write(tmp_path, "weeks: 8\n", "weeks: 8\nminimum_days: 7\nminimum_reason: Christmas is over.\n")
    )
    assert (found.minimum_days, found.minimum_reason) == (7, "Christmas is over.")


def test_a_folder_needs_to_be_there(tmp_path):
    with pytest.raises(RecsError, match="There is no folder of experiments"):
        load_folder(tmp_path / "nowhere")


def test_two_experiments_of_one_key_clash(tmp_path):
    write(tmp_path, name="a")
    write(tmp_path, name="b")
    found = load_folder(tmp_path)
    assert list(found.experiments) == ["a"]
    assert [str(error) for error in found.errors] == [
        f"{tmp_path / 'b.yaml'}, line 12: arms: a changes model of weekly_email until 2026-03-02, too; give both the same "
        "layer with customers of their own, or start then."
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2026-01-05", "2026-03-02"),  # after the first
        ("{model: ranker}", "{slots: {discovery_share: 0.2}}"),  # another key
        ("weekly_email", "win_back"),  # another campaign
    ],
)
def test_experiments_that_do_not_clash(tmp_path, old, new):
    write(tmp_path, name="a")
    write(tmp_path, old, new, name="b")
    found = load_folder(tmp_path)
    assert (list(found.experiments), found.errors) == (["a", "b"], ())


@pytest.mark.parametrize(("begin", "clash"), [(0.5, False), (0.4, True)])
def test_layers_share_the_customers_out(tmp_path, begin, clash):
    layer = "control: today\nlayer: {{name: email, begin: {}, end: {}}}\n"
    write(tmp_path, "control: today\n", layer.format(0, 0.5), name="a")
    write(tmp_path, "control: today\n", layer.format(begin, 1), name="b")
    found = load_folder(tmp_path)
    assert list(found.experiments) == ["a"] if clash else ["a", "b"]
    assert [error.message for error in found.errors] == [
        "layer: a has customers from 0 to 0.5 of email until 2026-03-02; take others, or start then."
    ] * clash


def test_halves_of_a_layer_are_everybody_once():
    ids = [f"c{number}" for number in range(2000)]
    halves = [
        assign(make(name=name, layer={"name": "email", "begin": begin, "end": end}), ids)
        for name, begin, end in (("a", 0, 0.5), ("b", 0.5, 1))
    ]
    taken = [set(half["customer_id"]) for half in halves]
    assert taken[0] | taken[1] == set(ids)
    assert not taken[0] & taken[1]
    assert abs(len(taken[0]) - 1000) < 3 * math.sqrt(2000 / 4)


def test_arms_have_their_shares_and_know_nothing_of_other_experiments():
    ids = [f"c{number}" for number in range(20_000)]
    one, other = (assign(make(name=name), ids)["arm"].to_numpy() for name in ("a", "b"))
    for arm, share in make().shares.items():
        assert abs(np.mean(one == arm) - share) < 3 * math.sqrt(share * (1 - share) / 20_000)
    both = np.mean((one == "ranker") & (other == "ranker"))
    assert abs(both - 0.04) < 3 * math.sqrt(0.04 * 0.96 / 20_000)


@given(st.lists(st.text(max_size=8), unique=True, max_size=30), st.randoms())
def test_an_arm_depends_on_nobody_else(ids, random):
    alone = dict(assign(make(), ids).itertuples(index=False))
    mixed = random.sample(ids, len(ids) // 2)
    assert dict(assign(make(), mixed).itertuples(index=False)) == {name: alone[name] for name in mixed}
