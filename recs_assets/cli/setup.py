"""Commands around an installation: `prepare` and `settings`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the commands of this module."""
    add("settings", help="print every setting, its value and its meaning").set_defaults(
        execute=print_settings
    )
    add(
        "prepare", help="write the dbt manifest and Dagster's configuration (make setup calls it)"
    ).set_defaults(execute=prepare)


def prepare(parsed: argparse.Namespace) -> int:
    """Write what a clean checkout lacks: Dagster's home with its configuration, dbt's manifest."""
    from recs_assets.cli.job import dagster_home
    from recs_assets.defs.dbt import dbt_project
    from recs_assets.schema import RecsError
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop

    home = dagster_home(Settings())
    try:
        shop = Shop.from_settings(Settings())
    except RecsError:
        shop = None  # a clean checkout needs no files of a shop yet; a run says what is wrong with them
    project = dbt_project(shop)
    project.preparer.prepare(project)
    print(f"Dagster keeps its runs in {home}; the dbt manifest is at {project.manifest_path}.")
    return 0


def print_settings(parsed: argparse.Namespace) -> int:
    """Print every setting; secrets print as stars."""
    from recs_assets.settings import Settings

    current = Settings()
    for name, field in Settings.model_fields.items():
        print(f"RECS_{name.upper()}={getattr(current, name)}\n    {field.description}")
    return 0
