"""Send a campaign's current files to a service, after one more look at who withdrew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from recs_assets.campaigns.file import Campaign
from recs_assets.exports.http_calls import Patience
from recs_assets.exports.sending import Sent, send
from recs_assets.exports.services import RECEIVERS, Access, Receiver
from recs_assets.operations.campaign_files import files_folder, find_withdrawn_now
from recs_assets.week.week import Week


def open_receiver(settings: Any, service: str) -> Receiver:
    """A service as the deployment's settings describe it.

    Args:
        settings: `settings.Settings`.
        service: its name.

    Raises:
        ExportError: a setting is missing, or is none that can be used.
    """
    values = {name: getattr(settings, f"{service}_{name}", None) for name in Access.__dataclass_fields__}
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in values.items()
    }
    return RECEIVERS[service](Access(**plain))


def send_campaign(
    week: Week,
    campaign: Campaign,
    service: str,
    *,
    changed: bool = False,
    dry: bool = False,
    rate: float | None = None,
    patience: Patience | None = None,
    progress: Callable[[Sent], None] = lambda sent: None,
) -> Sent:
    """Send the files of a campaign to a service (`exports.sending.send`), but not to whoever has withdrawn since,
    nor what has expired.

    Args:
        week: the newest published.
        campaign: whose files.
        service: its name.
        changed: see `send`.
        dry: see `send`.
        rate: see `send`.
        patience: see `send`.
        progress: see `send`.

    Raises:
        ExportError: see `open_receiver` and `send`.
        GateError: more withdrawals match no customer than the shop allows.
        SourceError, SettingsError: a file of the shop cannot be read.
        WarehouseError: the week has no build; somebody else sends the campaign.
    """
    receiver = open_receiver(week.settings, service)
    withdrawn = set(find_withdrawn_now(week)["customer_id"])
    return send(
        files_folder(week.warehouse, campaign),
        campaign.name,
        receiver,
        withdrawn=withdrawn,
        changed=changed,
        dry=dry,
        rate=rate,
        patience=patience,
        progress=progress,
    )


def describe(sent: Sent, dry: bool = False) -> str:
    """What became of it, in sentences without a customer."""
    told = f"{sent.accepted} recipients in {sent.requests} request{'' if sent.requests == 1 else 's'}"
    parts = [
        f"Campaign {sent.campaign} of {sent.week}, {sent.service} at {sent.host}: "
        + (f"{told} would be sent" if dry else f"{told} accepted")
    ]
    parts += [f"{sent.refused} refused"] if sent.refused else []
    parts += [f"{sent.before} have their receipts already"] if sent.before else []
    parts += [f"{sent.withdrawn} have withdrawn since"] if sent.withdrawn else []
    parts += (
        [f"{sent.expired} not sent, because something of their email has expired"] if sent.expired else []
    )
    text = ", ".join(parts) + "."
    if sent.uncertain:
        text += (
            f" Of {sent.uncertain}, an earlier request whose answer never came may have arrived, and could not be made again as "
            "it was."
        )
    if sent.changed and dry:
        text += f" {sent.changed} have been sent something else before; --changed sends them what is new."
    return text if dry else f"{text} Receipts: {sent.receipts}"
