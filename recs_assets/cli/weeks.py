"""Commands that start a job in Dagster: `run`, `nightly`, `backtest` and `campaign`."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from recs_assets.schema import SettingsError, WarehouseError

if TYPE_CHECKING:
    from recs_assets.settings import Settings

UNTOUCHED = "what was published before is untouched"
UNSERVED = "the server answers from what it had"


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the commands of this module."""
    run = add("run", help="materialise one week through Dagster")
    run.add_argument(
        "--as-of", type=date.fromisoformat, help="a Monday; default: the newest the orders lead up to"
    )
    run.set_defaults(execute=lambda parsed: run_week(parsed.as_of))

    nightly = add("nightly", help="refresh what the server answers from, as of today, without a refit")
    nightly.add_argument(
        "--day", type=date.fromisoformat, help="default: today, or the day after a week that is long past"
    )
    nightly.set_defaults(execute=lambda parsed: run_nightly(parsed.day))

    backtest = add("backtest", help="evaluate every model at several test anchors")
    backtest.add_argument("--as-of", type=date.fromisoformat, help="as for run")
    backtest.add_argument("--folds", type=int, default=3, help="test anchors, one horizon apart (default 3)")
    backtest.set_defaults(execute=lambda parsed: run_backtest(parsed.as_of, parsed.folds))

    campaign = add("campaign", help="make one campaign of a week that was run, and publish it")
    campaign.add_argument("name", metavar="NAME", help="of its file")
    campaign.add_argument("--as-of", type=date.fromisoformat, help="a Monday; default: the newest published")
    campaign.set_defaults(execute=lambda parsed: run_campaign(parsed.name, parsed.as_of))


def run_week(as_of: date | None) -> int:
    """Materialise every asset of one week and print the summary; 0 when all of it succeeded.

    A file of a campaign or an experiment with a mistake is reported and left out.
    """
    settings = _announce()
    from recs_assets.cli.job import run_job
    from recs_assets.cli.summary import print_summary
    from recs_assets.defs.deployment import Deployment

    deployment = Deployment.from_settings(settings)
    for error in (*deployment.campaigns.errors, *deployment.experiments.errors):
        print(f"Left out: {error}", file=sys.stderr)
    if run_job("weekly", settings, as_of, UNTOUCHED) is None:
        return 1
    print_summary()
    return 0


def run_nightly(day: date | None) -> int:
    """Refresh what the server answers from, as of a day after the published week; 0 on success.

    Raises:
        SettingsError: the day has not begun.
        WarehouseError: nothing is published yet, or the day does not lie after the week.
    """
    settings = _announce()
    from recs_assets.cli.job import dagster_home, run_partition
    from recs_assets.defs.deployment import Deployment
    from recs_assets.defs.nightly import choose_day

    dagster_home(settings)
    deployment = Deployment.from_settings(settings)
    deployment.suppression()
    week = deployment.warehouse().newest_published()
    chosen = choose_day(deployment, week, day)
    if not run_partition("nightly", deployment, chosen, f"Day {chosen} after week {week}", UNSERVED):
        return 1
    print(f"The server answers from the day {chosen}; snapshot and emails are those of the week {week}.")
    return 0


def run_campaign(name: str, as_of: date | None) -> int:
    """Make one campaign of a week that was built, and publish it; 0 on success.

    Raises:
        CampaignError: the campaign's file has a mistake.
        LateError: the email would go out when its days are over.
        SettingsError: there is no such campaign.
        WarehouseError: nothing is published yet, or not the week, or it has no build.
    """
    settings = _announce()
    from recs_assets.campaigns.made import find_folder, read_facts
    from recs_assets.campaigns.messages import list_messages, list_rules
    from recs_assets.campaigns.sending import check_send_time
    from recs_assets.cli.job import run_job
    from recs_assets.defs.deployment import Deployment
    from recs_assets.evaluation.facts import load_consent_sentences
    from recs_assets.week.week import Week

    deployment = Deployment.from_settings(settings)
    for error in deployment.campaigns.errors:
        if error.path.stem == name:
            raise error
    if name not in deployment.campaigns.campaigns:
        raise SettingsError(
            f"There is no campaign {name} in {deployment.path('campaigns')}; there are "
            f"{', '.join(deployment.campaigns.campaigns) or 'none'}."
        )
    warehouse = deployment.warehouse()
    week = as_of or warehouse.newest_published()
    if week.weekday() == 0 and not warehouse.build(week).path.exists():
        raise WarehouseError(
            f"The week {week} has no build in {warehouse.home}: run it first (python -m recs_assets run --as-of {week})."
        )
    if week.weekday() == 0:
        warehouse.require_published(week)
    check_send_time(deployment.campaigns.campaigns[name], deployment, week)
    done = run_job(f"campaign_{name}", settings, week, UNTOUCHED)
    if done is None:
        return 1
    with warehouse.snapshot() as connection:
        outcomes = connection.execute(
            """
            select outcome, customers from recs.campaign_outcomes
            where campaign = ? and as_of = ? and customers > 0 order by step
            """,
            [name, done],
        ).fetchall()
    print(f"Campaign {name} of {done}: " + ", ".join(f"{count} {what}" for what, count in outcomes) + ".")
    facts = read_facts(find_folder(Week(deployment, warehouse, done), name))
    for text in (*list_rules(facts), *list_messages(facts)):
        print(text)
    with warehouse.snapshot() as connection:
        sentences = load_consent_sentences(connection, done)
    for sentence in sentences:
        print(f"Consent: {sentence}")
    return 0


def run_backtest(as_of: date | None, folds: int) -> int:
    """Evaluate every model at `folds` test anchors, one horizon apart, and print the table; 0 on success.

    Works in `<home>/backtest`: the week's own build, models and snapshot are not touched.
    """
    settings = _announce()
    from recs_assets.cli.job import run_job
    from recs_assets.defs.deployment import Deployment
    from recs_assets.settings import Settings
    from recs_assets.sources.suppression import SUPPRESSED

    main, settings = settings.home, Settings(home=settings.home / "backtest", backtest_folds=folds)
    if (main / SUPPRESSED).exists():
        settings.home.mkdir(exist_ok=True)
        shutil.copyfile(main / SUPPRESSED, settings.home / SUPPRESSED)
    week = run_job("backtest", settings, as_of, "nothing was written outside the backtest's own folder")
    if week is None:
        return 1
    with Deployment.from_settings(settings).warehouse().build(week).read() as connection:
        table = connection.execute(
            """
            select view, recommender, value, baseline, difference, ci_low, ci_high, folds, customers
            from model.backtest where metric = 'map' order by view, value desc, recommender
            """
        ).df()
        chosen = connection.execute("select max(chosen) from model.decisions").fetchall()[0][0]
    print(f"MAP@12, mean over customers of {folds} test anchors; difference to the best single recommender")
    print("with its paired 95 % bootstrap interval:\n")
    print(table.to_string(index=False, float_format="{:.4f}".format))
    print(f"\nThe simplest model that none is proven to beat: {chosen}")
    return 0


def _announce() -> Settings:
    """Read the settings and say so: importing Dagster, which comes next, takes seconds."""
    from recs_assets.settings import Settings

    settings = Settings()
    data = settings.data if settings.data is not None or settings.source != "auto" else settings.data_dir()
    print(f"Reading settings and definitions (data: {data or settings.source}).", flush=True)
    return settings
