"""The command `experiment`: whether one can find what it looks for, and what those that run say."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from recs_assets.schema import SettingsError

if TYPE_CHECKING:
    from recs_assets.experiments.file import Experiment
    from recs_assets.shop import Shop
    from recs_assets.store.warehouse import Warehouse


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command of this module."""
    experiment = add(
        "experiment", help="plan an experiment, or say what those that run have found (docs/experiments.md)"
    )
    parts = experiment.add_subparsers(dest="part", required=True)
    plan = parts.add_parser("plan", help="power, customers and weeks, from the shop's own past")
    plan.add_argument(
        "name", metavar="NAME_OR_FILE", help="of an experiment of the folder, or a file like it"
    )
    plan.set_defaults(execute=plan_experiment)
    verdicts = parts.add_parser("verdicts", help="what the published week says of every arm")
    verdicts.set_defaults(execute=print_verdicts)


def plan_experiment(parsed: argparse.Namespace) -> int:
    """Print what an experiment could find, week by week, and one sentence.

    Raises:
        SettingsError: there is no such experiment.
        ExperimentError: its file is wrong.
        WarehouseError: nothing is published yet, or the week has no build.
    """
    from recs_assets.campaigns.arms import load_past
    from recs_assets.cli.ask import markdown_table
    from recs_assets.experiments.plan import plan
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop
    from recs_assets.week.week import Week

    shop = Shop.from_settings(Settings())
    experiment = find_experiment(shop, parsed.name)
    warehouse = shop.warehouse()
    week = Week(shop, warehouse, warehouse.newest_published())
    found = plan(experiment, load_past(week, experiment))
    rows = [tuple(row) for row in found.table.itertuples(index=False, name=None)]
    print(markdown_table(list(found.table), rows))
    print(f"\n{found.sentence}")
    return 0


def find_experiment(shop: Shop, name: str) -> Experiment:
    """An experiment of the shop's folder by its name, or that of a file."""
    from recs_assets.campaigns.arms import check_changes
    from recs_assets.campaigns.file import load_folder as load_campaigns
    from recs_assets.experiments.file import Folder, load, load_folder

    campaigns = load_campaigns(shop.path("campaigns"), shop.catalogue).campaigns
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise SettingsError(f"There is no file {path}: name one, or an experiment of the folder.")
        found = check_changes(path.parent, Folder({path.stem: load(path)}, ()), campaigns)
    else:
        folder = shop.path("experiments")
        found = check_changes(folder, load_folder(folder), campaigns)
    for error in found.errors:
        if error.path.stem == Path(name).stem:
            raise error
    if (stem := Path(name).stem) not in found.experiments:
        names = ", ".join(found.experiments) or "none"
        raise SettingsError(
            f"There is no experiment {name} in {shop.path('experiments')}; there are {names}."
        )
    return found.experiments[stem]


def print_verdicts(parsed: argparse.Namespace) -> int:
    """Print one line per arm that is compared."""
    from recs_assets.settings import Settings
    from recs_assets.shop import open_warehouse

    for line in list_verdicts(open_warehouse(Settings())) or ["No experiment runs."]:
        print(line)
    return 0


def list_verdicts(warehouse: Warehouse) -> list[str]:
    """What the published week says of every challenger, in sentences."""
    with warehouse.snapshot() as connection:
        rows = connection.execute(
            """
            select experiment, arm, sentence from recs.experiments
            where as_of = (select max(as_of) from recs.publish_log) and verdict is not null order by experiment, arm
            """
        ).fetchall()
    return [f"Experiment {name}, {arm}: {sentence}" for name, arm, sentence in rows]
