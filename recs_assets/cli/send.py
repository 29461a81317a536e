"""The command that gives a campaign to an email service: `send`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from recs_assets.schema import SettingsError

SERVICES = ("klaviyo", "braze", "mailchimp", "webhook")


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the commands of this module."""
    send = add("send", help="send a campaign's current files to an email service (docs/services.md)")
    send.add_argument("name", metavar="CAMPAIGN", help="of its file")
    send.add_argument("--to", required=True, choices=SERVICES, help="a service that the campaign exports for")
    send.add_argument("--dry-run", action="store_true", help="say how many would be sent, and send nothing")
    send.add_argument(
        "--changed",
        action="store_true",
        help="also to those who were sent something else of this week before; default: only to those without a receipt",
    )
    send.add_argument(
        "--rate", type=float, metavar="N", help="requests per second; default: the service's own"
    )
    send.add_argument(
        "--check",
        action="store_true",
        help="send nothing; ask klaviyo or mailchimp what became of what was sent before",
    )
    send.set_defaults(execute=run_send)


def run_send(parsed: argparse.Namespace) -> int:
    """Send, and print what became of it; 0 where the service took everybody.

    Raises:
        CampaignError: the campaign's file has a mistake.
        ExportError, GateError, SourceError, WarehouseError: see `send_campaign`.
        SettingsError: there is no such campaign; the rate is none.
    """
    from recs_assets.campaigns.file import load_folder
    from recs_assets.exports.jobs import check_jobs
    from recs_assets.exports.sending import Sent, find_week
    from recs_assets.operations.campaign_files import files_folder
    from recs_assets.operations.send_campaign import describe, open_receiver, send_campaign
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop
    from recs_assets.week.week import Week

    if parsed.rate is not None and not 0 < parsed.rate <= 10_000:
        raise SettingsError(f"--rate {parsed.rate:g}: give requests per second, above 0.")
    shop = Shop.from_settings(Settings())
    campaigns = load_folder(shop.path("campaigns"), shop.catalogue)
    for error in campaigns.errors:
        if error.path.stem == parsed.name:
            raise error
    if parsed.name not in campaigns.campaigns:
        raise SettingsError(
            f"There is no campaign {parsed.name} in {shop.path('campaigns')}; there are "
            f"{', '.join(campaigns.campaigns) or 'none'}."
        )
    warehouse = shop.warehouse()
    week = Week(shop, warehouse, warehouse.newest_published())

    folder = files_folder(warehouse, campaigns.campaigns[parsed.name])
    receiver = open_receiver(shop.settings, parsed.to)
    if parsed.check:
        jobs = check_jobs(folder, find_week(folder, parsed.name), receiver, parsed.rate)
        print("\n".join(map(str, jobs)) or f"Nothing of this week was sent to {parsed.to}.")
        return 1 if any(job.failed for job in jobs) else 0

    def report(sent: Sent) -> None:
        if sys.stderr.isatty():
            print(f"\r{sent.accepted} accepted, {sent.refused} refused", end="", file=sys.stderr, flush=True)

    if (made := find_week(folder, parsed.name)) != week.as_of.isoformat():
        print(f"The files are of the week {made}; the newest published week is {week.as_of}.", flush=True)
    sent = send_campaign(
        week,
        campaigns.campaigns[parsed.name],
        parsed.to,
        changed=parsed.changed,
        dry=parsed.dry_run,
        rate=parsed.rate,
        progress=report,
    )
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(describe(sent, dry=parsed.dry_run))
    return 1 if sent.refused else 0
