"""Where each service is, what it is sent, and what its answers mean."""

from __future__ import annotations

import json

import pytest

from helpers.email import EMAILS, SENT, write_files
from helpers.inbox import open_inbox
from helpers.sending import FAST, QUICK, everybody, find_receipts, send_to, write_campaign
from helpers.services import check_shape
from recs_assets.exports.jobs import check_jobs
from recs_assets.exports.rows import ExportError
from recs_assets.exports.sending import send
from recs_assets.exports.services import Access, Braze, Klaviyo, Mailchimp, Webhook


def test_klaviyo_takes_a_job(tmp_path):
    write_files(tmp_path, exports=["addresses", "klaviyo"])
    with open_inbox(default=202) as inbox:
        inbox.answer = lambda body: {"data": {"type": "profile-bulk-import-job", "id": "job-1"}}
        sent = send_to(inbox, tmp_path, Klaviyo, "pk_1")
        assert sent.accepted == 2
        assert inbox.paths == [("POST", "/hook/s3cret/api/profile-bulk-import-jobs")]
        assert inbox.headers[0]["Authorization"] == "Klaviyo-API-Key pk_1"
        assert inbox.headers[0]["revision"] == "2026-04-15"
        assert inbox.headers[0]["Content-Type"] == "application/vnd.api+json"
        [body] = inbox.taken.values()
        check_shape(body, "klaviyo_profile_bulk_import_job")
        assert body["data"]["attributes"]["profiles"]["data"][1]["attributes"]["email"] == "c2@example.com"
    assert {line["job"] for line in find_receipts(tmp_path, "klaviyo").values()} == {"job-1"}


def test_klaviyo_is_asked_what_became_of_its_jobs(tmp_path):
    write_campaign(tmp_path, 3, exports=["klaviyo"])
    with open_inbox(default=202) as inbox:
        inbox.answer = lambda body: {"data": {"id": "job/1"}}
        send_to(inbox, tmp_path, Klaviyo, "pk_1")
        inbox.default = 200
        facts = {"status": "complete", "total_count": 3, "completed_count": 2, "failed_count": 1}
        inbox.answer = lambda body: {"data": {"id": "job/1", "attributes": facts}}
        receiver = Klaviyo(Access(url=inbox.url, key="pk_1"))
        [job] = check_jobs(tmp_path, "2025-06-30", receiver, FAST, QUICK)
        assert inbox.paths[-1] == ("GET", "/hook/s3cret/api/profile-bulk-import-jobs/job%2F1")
        assert inbox.headers[-1]["revision"] == "2026-04-15"
    assert str(job) == ("Job job/1: complete, 2 of 3 recipients done, 1 failed. Its own report says which.")


def test_mailchimp_is_asked_what_became_of_its_batches(tmp_path):
    write_files(tmp_path, exports=["addresses", "mailchimp"])
    receiver = Mailchimp(Access(url="http://127.0.0.1:1", key="m-us19", list="9e67587f52"))
    assert check_jobs(tmp_path, "2025-06-30", receiver) == []
    with open_inbox() as inbox:
        inbox.answer = lambda body: {
            "id": "b1", "status": "finished", "total_operations": 2, "finished_operations": 2, "errored_operations": 1,
        }  # fmt: skip
        receiver = Mailchimp(Access(url=inbox.url, key="m-us19", list="9e67587f52"))
        send(tmp_path, "weekly_email", receiver, patience=QUICK, rate=FAST, now=SENT)
        [job] = check_jobs(tmp_path, "2025-06-30", receiver, FAST, QUICK)
        assert (job.job, job.recipients, job.state, job.done, job.failed) == ("b1", 2, "finished", 1, 1)
        inbox.steps.append(404)
        with pytest.raises(ExportError, match="answers 404 when asked for job b1: ask later"):
            check_jobs(tmp_path, "2025-06-30", receiver, FAST, QUICK)
    with pytest.raises(ExportError, match="has no jobs to ask for"):
        Webhook(Access(url="http://127.0.0.1:1")).make_job_request("x")


def test_braze_says_whom_it_did_not_take(tmp_path):
    write_campaign(tmp_path, 160, exports=["braze"])
    with open_inbox(default=201) as inbox:
        error = {"type": "'external_id' is required", "input_array": "attributes", "index": 3}
        inbox.answer = lambda body: {"message": "success", "errors": [error]}
        sent = send_to(inbox, tmp_path, Braze, "b-key")
        assert (sent.accepted, sent.refused, sent.requests) == (157, 3, 3)
        assert set(inbox.paths) == {("POST", "/hook/s3cret/users/track")}
        assert [len(body["attributes"]) for body in inbox.taken.values()] == [75, 75, 10]
        for body in inbox.taken.values():
            check_shape(body, "braze_users_track")
    found = find_receipts(tmp_path, "braze")
    assert [name for name, line in found.items() if line["status"] == "refused"] == [
        "c0003",
        "c0078",
        "c0153",
    ]


def test_the_catalogue_of_braze_comes_first(tmp_path):
    write_files(tmp_path, exports=["braze"])
    with open_inbox(default=201) as inbox:
        receiver = Braze(Access(url=inbox.url, key="b", catalog="my shop"))
        sent = send(tmp_path, "weekly_email", receiver, patience=QUICK, rate=FAST, now=SENT)
        assert (sent.accepted, sent.requests) == (2, 1)
        assert inbox.paths == [
            ("PUT", "/hook/s3cret/catalogs/my%20shop/items"),
            ("POST", "/hook/s3cret/users/track"),
        ]
        items, _ = inbox.taken.values()
        check_shape(items, "braze_catalog_items")
    assert len(receiver.make_catalog_requests([{"id": str(n)} for n in range(101)])) == 3


def test_a_catalogue_that_is_not_there_stops_before_anybody(tmp_path):
    write_files(tmp_path, exports=["braze"])
    with open_inbox(404, default=201) as inbox:
        receiver = Braze(Access(url=inbox.url, key="b", catalog="shop"))
        with pytest.raises(ExportError, match=r"answers 404 to its catalogue .* nobody was sent anything"):
            send(tmp_path, "weekly_email", receiver, patience=QUICK, rate=FAST, now=SENT)


def test_mailchimp_takes_a_batch_of_changes(tmp_path):
    emails = EMAILS.assign(email=["C1@Example.com ", "c2@example.com", "c3@example.com"])
    write_files(tmp_path, exports=["addresses", "mailchimp"], emails=emails)
    with open_inbox() as inbox:
        inbox.answer = lambda body: {"id": "b1", "status": "pending"}
        receiver = Mailchimp(Access(url=inbox.url, key="m-us19", list="9e67587f52"))
        assert send(tmp_path, "weekly_email", receiver, patience=QUICK, rate=FAST, now=SENT).accepted == 2
        [body] = inbox.taken.values()
        check_shape(body, "mailchimp_batch")
        first, second = body["operations"]
        # MD5 of c1@example.com.
        assert first["path"] == "/lists/9e67587f52/members/1bfa5856737195cad9f4c1e5077006f0"
        assert (first["method"], first["operation_id"]) == ("PATCH", "c1")
        assert set(json.loads(second["body"])) == {"merge_fields"}, "nobody's subscription is touched"
        check_shape(json.loads(second["body"]), "mailchimp_member")
    assert {line["job"] for line in find_receipts(tmp_path, "mailchimp").values()} == {"b1"}


def test_a_request_is_no_larger_than_a_service_takes(tmp_path):
    write_campaign(tmp_path, 40)

    class Narrow(Webhook):
        most_bytes = 5_000

    with open_inbox() as inbox:
        assert send_to(inbox, tmp_path, Narrow).accepted == 40
        sizes = [int(headers["Content-Length"]) for headers in inbox.headers]
        assert max(sizes) <= 5_000
        assert len(sizes) > 5
        assert inbox.arrivals == everybody(40)


@pytest.mark.parametrize(
    ("kind", "access", "said"),
    [
        (Webhook, {}, "RECS_WEBHOOK_URL is not set: set it to send to webhook."),
        (Webhook, {"url": "http://crm.example/hook"}, "RECS_WEBHOOK_URL is no address of HTTPS"),
        (Webhook, {"url": "ftp://crm.example"}, "RECS_WEBHOOK_URL is no address of HTTPS"),
        (Klaviyo, {}, "RECS_KLAVIYO_KEY is not set"),
        (Braze, {"key": "b"}, "RECS_BRAZE_URL is not set"),
        (Mailchimp, {"list": "9e67587f52"}, "RECS_MAILCHIMP_KEY is not set"),
        (Mailchimp, {"key": "m", "list": "9e67587f52"}, "RECS_MAILCHIMP_KEY does not end with a data centre"),
        (Mailchimp, {"key": "m-us19", "list": "../x"}, "RECS_MAILCHIMP_LIST is no id of an audience"),
    ],
)
def test_what_a_service_needs(kind, access, said):
    with pytest.raises(ExportError, match=f"^{said}"):
        kind(Access(**access))


def test_where_services_are():
    assert Klaviyo(Access(key="k")).host == "a.klaviyo.com"
    assert Mailchimp(Access(key="m-us19", list="a1")).host == "us19.api.mailchimp.com"
    access = Access(key="secret", url="https://secret.example")
    assert "secret" not in repr(access) + repr(Klaviyo(Access(key="secret")).make_request("c", "w", [])[1])
