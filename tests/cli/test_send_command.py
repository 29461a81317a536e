"""`send`: one sentence where something is wrong, before anything is sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.forgetting import TINY, deployment
from helpers.inbox import open_inbox
from helpers.sending import write_campaign
from helpers.shops import ROOT
from recs_assets.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published week, a campaign that exports for two services, and its files."""
    deployment(tmp_path / "home", ("customer-a",))
    campaigns = tmp_path / "campaigns"
    campaigns.mkdir()
    text = (ROOT / "recs_assets/campaigns/weekly_email.yaml").read_text()
    text = re.sub(r"(?m)^exports:.*", "exports: [webhook, klaviyo]", text)
    (campaigns / "weekly_email.yaml").write_text(text)
    (campaigns / "broken.yaml").write_text(text.replace("name: weekly_email", "name: broken\nsender: crm"))
    for name, value in {"HOME": tmp_path / "home", "DATA": TINY, "CAMPAIGNS": campaigns}.items():
        monkeypatch.setenv(f"RECS_{name}", str(value))
    folder = tmp_path / "home/exports/weekly_email"
    write_campaign(folder, 3, exports=["webhook", "klaviyo"])
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["weekly_mail", "--to", "webhook"], "There is no campaign weekly_mail in"),
        (["broken", "--to", "webhook"], "broken.yaml, line 2: there is no key sender"),
        (["weekly_email", "--to", "webhook"], "RECS_WEBHOOK_URL is not set: set it to send to webhook."),
        (["weekly_email", "--to", "klaviyo", "--dry-run"], "RECS_KLAVIYO_KEY is not set"),
        (["weekly_email", "--to", "webhook", "--rate", "0"], "--rate 0: give requests per second, above 0."),
        (["weekly_email", "--to", "webhook", "--rate", "nan"], "--rate nan: give requests per second"),
    ],
)
def test_what_is_wrong_is_one_sentence(home, capsys, options, said):
    assert main(["send", *options]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("Error: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_nothing_is_sent_where_nobody_can_look_at_consent(home, capsys, monkeypatch):
    """The week's build knows no consent: this one is written by hand."""
    with open_inbox() as inbox:
        monkeypatch.setenv("RECS_WEBHOOK_URL", inbox.url)
        assert main(["send", "weekly_email", "--to", "webhook"]) == 1
        assert inbox.keys == []
    printed = capsys.readouterr()
    assert re.match(r"Error: The week's build file has no view .*: run the week again\.\n", printed.err)
    assert printed.out == (
        "The files are of the week 2025-06-30; the newest published week is 2024-03-11.\n"
    ), "said before anything is sent"
    assert not (home / "receipts").exists()


def test_jobs_are_asked_for(home, capsys, monkeypatch):
    monkeypatch.setenv("RECS_KLAVIYO_KEY", "pk_1")
    assert main(["send", "weekly_email", "--to", "klaviyo", "--check"]) == 0
    assert capsys.readouterr().out == "Nothing of this week was sent to klaviyo.\n"
    receipt = '{"customer_id": "c0001", "status": "accepted", "batch": "k", "payload": "d", "job": "j1"}\n'
    (home / "receipts").mkdir()
    (home / "receipts/2025-06-30-klaviyo.jsonl").write_text(receipt)
    with open_inbox() as inbox:
        monkeypatch.setenv("RECS_KLAVIYO_URL", inbox.url)
        inbox.answer = lambda body: {"data": {"attributes": {"status": "queued", "completed_count": None}}}
        assert main(["send", "weekly_email", "--to", "klaviyo", "--check"]) == 0
    assert capsys.readouterr().out == "Job j1: queued, 0 of 1 recipients done, 0 failed.\n"
