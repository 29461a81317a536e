"""A campaign of a real week is written for every service and sent by the command."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest

from helpers import shops
from helpers.inbox import open_inbox
from helpers.services import SERVICES, check_payloads, check_shape, read_lines
from helpers.shops import ROOT, Home
from recs_assets.defs import build_definitions
from recs_assets.settings import Settings

WEEK = "2025-06-30"
FILES = dg.AssetKey(["exports", "email_weekly_email"])

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]


def test_a_campaign_is_written_for_services_and_sent(weekly: Home, tmp_path: Path) -> None:
    """c01 withdraws after the files are written: nobody sends to them."""
    home, data, campaigns = (
        weekly.copy(tmp_path / "home"),
        shops.copy(tmp_path / "data"),
        tmp_path / "campaigns",
    )
    (data / "manifest.json").unlink()
    campaigns.mkdir()
    text = (ROOT / "recs_assets/campaigns/weekly_email.yaml").read_text()
    exports = f"exports: [addresses, {', '.join(SERVICES)}]"
    (campaigns / "weekly_email.yaml").write_text(re.sub(r"(?m)^exports:.*", exports, text))
    settings = Settings(data=data, home=home.path, campaigns=campaigns)
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(partition_key=WEEK, asset_selection=[FILES]).success
    folder = home.path / "exports" / "weekly_email"
    check_payloads(folder / "current")
    written = {line["customer_id"] for line in read_lines(folder / "current/webhook_messages.jsonl")}
    assert len(written) == 33

    gone = {"customer_id": "c01", "state": "unsubscribed", "effective_at": f"{WEEK} 10:00:00"}
    shops.change(data, "consents", lambda rows: [*rows, {**dict.fromkeys(rows[0], ""), **gone}])

    def send(*options: str) -> shops.Ran:
        command = ("send", "weekly_email", "--to", "webhook", *options)
        return shops.finish(
            shops.start(
                home.path, data, command=command, campaigns=campaigns, webhook_url=inbox.url, webhook_key="k"
            )
        )

    with open_inbox(500, "lost") as inbox:
        late = send()
        assert (late.code, inbox.keys) == (1, [])
        assert (
            f"The emails of the campaign weekly_email of the week {WEEK} expired on 2025-07-14 (UTC)"
            in late.err
        )
        # The tiny shop's week is long over: as if it were not.
        for path in (folder / "current").glob("*.jsonl"):
            path.chmod(0o644)
            path.write_text(
                re.sub(r'("expires_at": ?)"[^"]*"', r'\1"2099-01-01T00:00:00Z"', path.read_text("utf-8"))
            )
        where = f"Campaign weekly_email of {WEEK}, webhook at 127.0.0.1:{inbox.server_port}: "
        done = send("--dry-run")
        assert done.code == 0, done.err
        assert done.out == f"{where}32 recipients in 1 request would be sent, 1 have withdrawn since.\n"
        assert inbox.keys == []
        done = send()
        assert done.code == 0, done.err
        receipts = folder / "receipts" / f"{WEEK}-webhook.jsonl"
        assert done.out == (
            f"{where}32 recipients in 1 request accepted, 1 have withdrawn since. Receipts: {receipts}\n"
        )
        assert set(inbox.arrivals) == written - {"c01"}
        assert set(inbox.arrivals.values()) == {1}
        [body] = inbox.taken.values()
        check_shape(body, "webhook")
        assert "32 have their receipts already" in send().out
        assert len(set(inbox.keys)) == 1
    assert "s3cret" not in receipts.read_text() + done.out + done.err
    assert send().errors == []
    wrong = shops.finish(
        shops.start(home.path, data, command=("send", "weekly_email", "--to", "klaviyo"), campaigns=campaigns)
    )
    assert wrong.errors == ["RECS_KLAVIYO_KEY is not set: set it to send to klaviyo."]
