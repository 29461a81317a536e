"""Campaigns in Dagster: what is loaded, what a bad file does, which job makes what and when."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from helpers import shops
from recs_assets.campaigns.file import CampaignError, load_folder
from recs_assets.cli.failures import list_failures
from recs_assets.defs import build_definitions
from recs_assets.defs.campaigns import VALIDATING, campaign_schedules
from recs_assets.settings import Settings

SHIPPED = shops.ROOT / "recs_assets" / "campaigns"
OTHERS = ("back_in_stock", "buy_it_again", "follow_up", "high_value_email", "try_something_new", "win_back")

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

BAD = {
    "unknown_key": (
        "eligibility:\n", "sender: crm\neligibility:\n",
        "unknown_key.yaml, line 10: there is no key sender; the keys are name,",
    ),
    "wrong_rule": (
        "exports: ", "rules:\n  min_stok: 3\nexports: ",
        "wrong_rule.yaml, line 14: there is no rule rules.min_stok; did you mean min_stock?",
    ),
    "bad_cron": (
        '"0 6 * * 1"', '"0 25 * * 1"',
        "bad_cron.yaml, line 9: schedule.cron: hour is 25, but goes from 0 to 23",
    ),
    "bad_query": (
        "customers.email_eligible", "customers.email_elligible",
        "bad_query.yaml, line 7: query: Query line 3, column 7: customers has no column email_elligible; "
        "did you mean email_eligible?",
    ),
}  # fmt: skip


def broken(folder: Path, name: str) -> None:
    """The shipped weekly email under another name, with one thing wrong."""
    old, new, _ = BAD[name]
    text = (SHIPPED / "weekly_email.yaml").read_text().replace("name: weekly_email", f"name: {name}")
    assert old in text
    (folder / f"{name}.yaml").write_text(text.replace(old, new, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped campaigns, to be changed."""
    target = tmp_path / "campaigns"
    target.mkdir()
    for path in SHIPPED.glob("*.yaml"):
        shutil.copy(path, target)
    return target


def loaded(home: Path, campaigns: Path = SHIPPED, data: Path = shops.TINY) -> dg.Definitions:
    return build_definitions(Settings(data=data, home=home, campaigns=campaigns))


def made_by(definitions: dg.Definitions, job: str) -> set[str]:
    keys = definitions.resolve_job_def(job).asset_layer.selected_asset_keys
    return {"/".join(key.path) for key in keys}


# -- bad files ------------------------------------------------------------------------------


def validate(folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("RECS_", "DAGSTER_"))
    }
    environment |= {
        "RECS_CAMPAIGNS": str(folder), "RECS_HOME": str(home), "RECS_DATA": str(shops.TINY),
        "DAGSTER_HOME": str(home / "dagster"),
    }  # fmt: skip
    (home / "dagster").mkdir(parents=True)
    dagster = Path(sys.executable).with_name("dagster")
    return subprocess.run(
        [str(dagster), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=shops.ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_validate_fails_with_a_sentence_per_bad_file(folder: Path, tmp_path: Path) -> None:
    """The real command: with the four files it fails, without them it does not."""
    for name in BAD:
        broken(folder, name)
    failed = validate(folder, tmp_path / "home")
    said = " ".join((failed.stdout + failed.stderr).split())
    assert failed.returncode == 1
    for _, _, sentence in BAD.values():
        assert sentence in said
    # A sentence is enough: what is wrong is not in the code that noticed it.
    assert "Validation failed for code location recs_assets: Error: " in said
    assert not re.search(r"Stack Trace|Traceback|File \"|system frames", said)
    for name in BAD:
        (folder / f"{name}.yaml").unlink()
    passed = validate(folder, tmp_path / "again")
    assert passed.returncode == 0, passed.stderr


@pytest.mark.parametrize("name", BAD)
def test_each_bad_file_fails_validation_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    broken(folder, name)
    monkeypatch.setenv(VALIDATING, "1")
    with pytest.raises(CampaignError) as error:
        loaded(tmp_path, folder)
    assert BAD[name][2] in str(error.value)
    assert str(error.value).count("\n") == 0


def test_a_bad_file_leaves_the_others_alone(folder: Path, tmp_path: Path) -> None:
    broken(folder, "wrong_rule")
    definitions = loaded(tmp_path, folder)
    graph = definitions.resolve_asset_graph()
    bad = graph.get(dg.AssetKey(["campaigns", "wrong_rule"]))
    assert "there is no rule rules.min_stok; did you mean min_stock?" in bad.description
    made = made_by(definitions, "weekly")
    assert {"campaigns/weekly_email", "campaigns/category_affinity"} <= made
    assert "campaigns/wrong_rule" not in made
    assert "campaign_wrong_rule" not in {job.name for job in definitions.resolve_all_job_defs()}
    result = dg.materialize(
        [graph.assets_def_for_key(dg.AssetKey(["campaigns", "wrong_rule"]))],
        partition_key="2025-06-30",
        raise_on_error=False,
    )
    assert not result.success


@pytest.mark.slow
def test_the_command_names_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    broken(folder, "bad_cron")
    for name, sentence in (("bad_cron", BAD["bad_cron"][2]), ("nobody", "There is no campaign nobody in ")):
        ran = shops.finish(
            shops.start(tmp_path / "home", shops.TINY, None, ("campaign", name), campaigns=folder)
        )
        assert ran.code == 1
        assert sentence in ran.errors[0]


def test_a_campaign_of_a_week_that_is_not_published_is_refused(tmp_path: Path) -> None:
    """Nothing of it is made, and its files stay."""
    job = loaded(tmp_path).resolve_job_def("campaign_win_back")
    result = job.execute_in_process(partition_key="2025-06-30", raise_on_error=False)
    [sentence] = list_failures(result)
    assert sentence == (
        f"campaigns__win_back: Nothing is published yet at {tmp_path / 'published/recs.duckdb'}: run a week first."
    )
    assert not (tmp_path / "weeks/2025-06-30/campaigns").exists()


# -- jobs and schedules ---------------------------------------------------------------------


def test_mondays_campaigns_are_in_the_weekly_run_and_the_others_have_their_own(tmp_path: Path) -> None:
    definitions = loaded(tmp_path)
    weekly = made_by(definitions, "weekly")
    assert {"campaigns/weekly_email", "campaigns/category_affinity"} <= weekly
    assert {"exports/email_weekly_email", "exports/predictions_category_affinity"} <= weekly
    assert not weekly & {f"campaigns/{name}" for name in OTHERS}
    assert not weekly & {f"exports/email_{name}" for name in OTHERS}
    own = made_by(definitions, "campaign_win_back")
    assert {name for name in own if name.startswith("campaigns/")} == {"campaigns/win_back"}
    assert {name for name in own if name.startswith("exports/")} == {
        "exports/email_win_back",
        "exports/serving_store",
        "exports/user_cache",
    }
    assert {"model/email_selection", "recs/email_recommendations", "published/recs_duckdb"} <= own
    assert not [name for name in own if name.startswith(("raw/", "marts/", "recommenders/"))]
    schedules = {one.name: one for one in definitions.get_repository_def().schedule_defs}
    assert set(schedules) == {"every_monday", "every_night", *(f"campaign_{name}" for name in OTHERS)}
    assert schedules["campaign_buy_it_again"].cron_schedule == "0 6 * * 3"
    assert schedules["campaign_buy_it_again"].execution_timezone == "UTC"


def test_a_campaigns_schedule_waits_for_a_published_week(tmp_path: Path) -> None:
    definitions = loaded(tmp_path)
    schedule = definitions.resolve_schedule_def("campaign_win_back")
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2025, 7, 1, 6, tzinfo=UTC),
        repository_def=definitions.get_repository_def(),
    )
    assert "Nothing is published yet" in schedule.evaluate_tick(context).skip_message


def test_a_schedule_is_skipped_once_its_window_is_over() -> None:
    """buy_it_again goes out on Wednesdays and looks 28 days ahead: the week of 2 June lasts until 30 June."""
    deployment = SimpleNamespace(
        timezone="UTC",
        campaigns=load_folder(SHIPPED),
        warehouse=lambda: SimpleNamespace(newest_published=lambda: date(2025, 6, 2)),
    )
    schedule = next(one for one in campaign_schedules(deployment) if one.name == "campaign_buy_it_again")

    def tick(month: int, day: int) -> dg.RunRequest | dg.SkipReason:
        return schedule(
            dg.build_schedule_context(scheduled_execution_time=datetime(2025, month, day, 6, tzinfo=UTC))
        )

    assert tick(6, 25).partition_key == "2025-06-02"
    skipped = tick(7, 2)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message.startswith(
        "The campaign buy_it_again of the week 2025-06-02 would go out on 2025-07-02 at 06:00 (UTC), when the 28 days "
        "that its query looks ahead are over"
    )


def test_nothing_is_sent_by_itself_unless_a_setting_says_so(folder: Path, tmp_path: Path) -> None:
    """And then the job of a campaign sends that one alone."""
    for name in ("weekly_email", "win_back", "buy_it_again"):
        text = (folder / f"{name}.yaml").read_text()
        (folder / f"{name}.yaml").write_text(re.sub(r"(?m)^exports:.*", "exports: [long, webhook]", text))
    plain = loaded(tmp_path, folder)
    assert not [key for key in made_by(plain, "weekly") if "/sent_" in key]
    settings = Settings(data=shops.TINY, home=tmp_path, campaigns=folder, send_to="klaviyo webhook")
    sending = build_definitions(settings)
    found = {
        job: {key for key in made_by(sending, job) if "/sent_" in key}
        for job in ("weekly", "campaign_weekly_email", "campaign_win_back", "campaign_high_value_email")
    }
    assert found == {
        "weekly": {"exports/sent_weekly_email"},
        "campaign_weekly_email": {"exports/sent_weekly_email"},
        "campaign_win_back": {"exports/sent_win_back"},
        "campaign_high_value_email": set(),
    }
