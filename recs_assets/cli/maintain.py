"""Commands between two weeks: `rollback` and `forget`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from datetime import date

from recs_assets import __version__
from recs_assets.schema import RecsError


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the commands of this module."""
    back = add("rollback", help="switch snapshot, cache and the campaigns' files back to an older version")
    back.add_argument(
        "--to",
        type=date.fromisoformat,
        metavar="WEEK",
        help="its newest version that is not the current one; default: the newest of the week before",
    )
    back.set_defaults(execute=rollback)
    purge = add("forget", help="purge a customer from everything this project keeps")
    purge.add_argument("customer_id", metavar="CUSTOMER_ID", help="as in the raw files")
    purge.add_argument(
        "--no-run",
        action="store_true",
        help="leave it to the next run to make the deleted tables and models again",
    )
    purge.set_defaults(execute=forget)


def rollback(parsed: argparse.Namespace) -> int:
    """Switch back, and write the campaigns' files of that week again."""
    from recs_assets.campaigns.file import load_folder
    from recs_assets.operations.campaign_files import rewrite_files
    from recs_assets.operations.rollback import rollback
    from recs_assets.operations.serving_store import write_serving_store
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop
    from recs_assets.week.week import Week

    settings = Settings()

    def export(as_of: date, run_id: str) -> Mapping[str, str | RecsError]:
        shop = Shop.from_settings(settings)
        campaigns = load_folder(shop.path("campaigns"), shop.catalogue).exporting
        return rewrite_files(Week(shop, shop.warehouse(), as_of), campaigns, run_id)

    def serve(as_of: date, run_id: str) -> str:
        return write_serving_store(Shop.from_settings(settings), as_of, run_id)["version"]

    print(rollback(settings, __version__, parsed.to, export, serve))
    return 0


def forget(parsed: argparse.Namespace) -> int:
    """Purge a customer, then run the published week again where it held them."""
    from recs_assets.cli.job import dagster_home
    from recs_assets.cli.weeks import run_week
    from recs_assets.operations.forget import forget
    from recs_assets.settings import Settings
    from recs_assets.shop import open_warehouse

    settings = Settings()
    done = forget(settings, parsed.customer_id, dagster_home(settings), __version__)
    print(done, flush=True)
    warehouse = open_warehouse(settings)
    if parsed.no_run or not warehouse.snapshot_path.exists():
        return 0
    week = warehouse.newest_published()
    if week not in done.weeks:
        return 0
    print(f"Week {week} again, without the customer.", flush=True)
    return run_week(week)
