"""What services are given: their documented shapes and limits, and nobody who is not to be written to."""

from __future__ import annotations

import json
import stat

import jsonschema
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.email import AS_OF, EMAILS, MUG, TEA, TEXT, make_row, make_table, small_table, write_files
from helpers.services import SERVICES, check_payloads, check_shape, read_lines, read_payloads
from recs_assets.exports import email_files
from recs_assets.exports.email import withhold
from recs_assets.exports.payloads import derive_message_id
from recs_assets.exports.rows import ExportError

NAMES = {
    "klaviyo_catalog.json": 2,
    "restricted/klaviyo_profiles.jsonl": 2,
    "braze_catalog.jsonl": 2,
    "braze_attributes.jsonl": 2,
    "restricted/mailchimp_members.jsonl": 2,
    "webhook_messages.jsonl": 2,
}


def test_the_files_for_services(tmp_path):
    manifest = write_files(tmp_path, exports=["addresses", *SERVICES])
    rows = {name: about["rows"] for name, about in manifest["files"].items()}
    assert {name: rows[name] for name in NAMES} == NAMES
    assert manifest["exports"] == ["addresses", "klaviyo", "braze", "mailchimp", "webhook"]
    current = tmp_path / "current"
    check_payloads(current)
    for path in current.rglob("*.json*"):
        assert b'"c3"' not in path.read_bytes(), f"{path.name} has a customer who is held out"
        restricted = path.parent.name == "restricted"
        assert (b"@example.com" in path.read_bytes()) == restricted, path.name
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if restricted else 0o644)


def test_a_profile_of_klaviyo(tmp_path):
    write_files(tmp_path, exports=["klaviyo"])
    found = read_payloads(tmp_path / "current/klaviyo_profiles.jsonl")
    assert found["c2"] == {
        "type": "profile",
        "attributes": {
            "external_id": "c2",
            "locale": "de-DE",
            "properties": {
                "recs_weekly_email_week": "2025-06-30",
                "recs_weekly_email_send_at": "2025-06-30T04:00:00Z",
                "recs_weekly_email_expires_at": "2025-07-28T00:00:00Z",
                "recs_weekly_email_slots": 1,
                "recs_weekly_email_1_id": "mug-01",
                "recs_weekly_email_1_title": 'Mug "Big" 🍵',
                "recs_weekly_email_1_link": "https://shop.example/mug-01?recommendation_id=x",
                "recs_weekly_email_1_image": "https://shop.example/mug-01.jpg",
                "recs_weekly_email_1_price": "12.90 EUR",
                "recs_weekly_email_1_reason": "You bought this on 8 days",
                "recs_weekly_email_1_recommendation_id": "d920b6e1494c7d757f45",
            },
        },
    }


def test_an_address_of_klaviyo_is_there_where_addresses_are_exported(tmp_path):
    write_files(tmp_path, exports=["addresses", "klaviyo"], emails=EMAILS.iloc[1:])
    assert not (tmp_path / "current/klaviyo_profiles.jsonl").exists()
    found = read_payloads(tmp_path / "current/restricted/klaviyo_profiles.jsonl")
    assert {name: profile["attributes"].get("email") for name, profile in found.items()} == {
        "c1": None,
        "c2": "c2@example.com",
    }


def test_a_value_that_is_missing_clears_what_klaviyo_had(tmp_path):
    write_files(
        tmp_path, make_table(make_row("c1", 1, MUG, image_url=None, shown_price=None)), exports=["klaviyo"]
    )
    properties = read_payloads(tmp_path / "current/klaviyo_profiles.jsonl")["c1"]["attributes"]["properties"]
    assert properties["recs_weekly_email_1_image"] == properties["recs_weekly_email_1_price"] == ""


def test_the_catalogues(tmp_path):
    mug = make_row("c2", 1, MUG, image_url=None)
    write_files(tmp_path, make_table(make_row("c1", 1, TEA), mug), exports=["klaviyo", "braze"])
    # Klaviyo requires a picture.
    assert json.loads((tmp_path / "current/klaviyo_catalog.json").read_text()) == [
        {
            "id": "tea-01",
            "title": "Assam & Co",
            "link": "https://shop.example/tea-01",
            "image_link": "https://shop.example/tea-01.jpg",
            "description": "Assam & Co",
            "price": 6.5,
            "categories": ["Tea"],
            "availability": "in_stock",
        }
    ]
    assert read_lines(tmp_path / "current/braze_catalog.jsonl") == [
        {
            "id": "mug-01",
            "title": 'Mug "Big" 🍵',
            "url": "https://shop.example/mug-01",
            "price": "12.90 EUR",
            "availability": "in_stock",
            "category": "Tea",
        },
        {
            "id": "tea-01",
            "title": "Assam & Co",
            "url": "https://shop.example/tea-01",
            "image_url": "https://shop.example/tea-01.jpg",
            "price": "8.00 EUR",
            "sale_price": "6.50 EUR",
            "availability": "in_stock",
            "category": "Tea",
        },
    ]


def test_attributes_of_braze_fit_its_limits(tmp_path):
    long = "https://shop.example/" + "x" * 220
    row = make_row(
        "c1", 1, title="t" * 300, url=f"{long}?utm_source=newsletter&recommendation_id=12345678901234567890",
        image_url=f"{long}{'y' * 40}", reason_text="r" * 256,
    )  # fmt: skip
    write_files(tmp_path, make_table(row), exports=["braze"])
    [user] = read_payloads(tmp_path / "current/braze_attributes.jsonl").values()
    check_shape({"attributes": [user]}, "braze_users_track")
    assert user["external_id"] == "c1"
    assert user["_update_existing_only"] is True
    [item] = user["recs_weekly_email"]["items"]
    assert item["title"] == "t" * 254 + "…"
    assert item["reason"] == "r" * 254 + "…"
    assert item["url"] == long, "a link that is too long loses its tracking"
    assert "image_url" not in item, "half an address is none"


def test_merge_fields_of_mailchimp(tmp_path):
    rows = [make_row("c1", slot, TEA) for slot in range(1, 7)]
    write_files(tmp_path, make_table(*rows, make_row("c2", 1, MUG)), exports=["addresses", "mailchimp"])
    found = read_payloads(tmp_path / "current/restricted/mailchimp_members.jsonl")
    assert found["c1"]["email_address"] == "=1@example.com"
    assert list(found["c1"]["merge_fields"]) == [
        "RECS_WEEK",
        "RECS_SEND",
        *(
            f"R{slot}_{name}"
            for slot in (1, 2, 3, 4)
            for name in ("TITLE", "LINK", "IMAGE", "PRICE", "REASON")
        ),
    ]
    assert found["c1"]["merge_fields"]["R4_PRICE"] == "6.50 EUR"
    assert found["c2"]["merge_fields"]["R1_TITLE"] == 'Mug "Big" 🍵'
    assert found["c2"]["merge_fields"]["R2_TITLE"] == "", "what stood in a field is cleared"


def test_a_merge_field_is_cut_between_characters(tmp_path):
    write_files(
        tmp_path, make_table(make_row("c1", 1, reason_text="ä" * 200)), exports=["addresses", "mailchimp"]
    )
    [member] = read_payloads(tmp_path / "current/restricted/mailchimp_members.jsonl").values()
    assert member["merge_fields"]["R1_REASON"] == "ä" * 126 + "…"


@pytest.mark.parametrize(
    ("locale", "price"), [("de-DE", "ab 3.49 EUR"), ("fr", "à partir de 3.49 EUR"), (None, "from 3.49 EUR")]
)
def test_a_price_that_varies_is_in_the_language_of_its_reason(tmp_path, locale, price):
    varies = make_row("c1", 1, MUG, price_kind="varies", price_from=3.49, shown_price=3.49, locale=locale)
    write_files(tmp_path, make_table(varies), exports=["klaviyo"])
    [profile] = read_payloads(tmp_path / "current/klaviyo_profiles.jsonl").values()
    assert profile["attributes"]["properties"]["recs_weekly_email_1_price"] == price


def test_a_message_of_the_webhook(tmp_path):
    varies = make_row("c1", 1, MUG, price_kind="varies", price_from=3.49, shown_price=3.49)
    write_files(tmp_path, make_table(varies), exports=["webhook"])
    [message] = read_payloads(tmp_path / "current/webhook_messages.jsonl").values()
    assert {name: message[name] for name in ("week", "customer_id", "send_at", "arm")} == {
        "week": "2025-06-30",
        "customer_id": "c1",
        "send_at": "2025-06-30T04:00:00Z",
        "arm": "treatment",
    }
    assert message["message_id"] == derive_message_id("weekly_email", "2025-06-30", "c1")
    assert [(item["slot"], item["price"], item["price_kind"]) for item in message["items"]] == [
        (1, 3.49, "varies")
    ]


def test_whoever_withdrew_is_in_no_payload(tmp_path):
    gone = pd.DataFrame({"customer_id": ["c1"], "consent_state": ["unsubscribed"]})
    kept, _ = withhold(small_table(), gone)
    write_files(tmp_path, kept, exports=["addresses", *SERVICES])
    for name in NAMES:
        assert b'"c1"' not in (tmp_path / "current" / name).read_bytes()


def test_a_customer_is_purged_from_payloads(tmp_path):
    """Also where no Parquet file shows that they are in the version."""
    write_files(tmp_path, exports=["webhook"])
    before = read_lines(tmp_path / "current/webhook_messages.jsonl")
    assert email_files.purge(tmp_path, "c") == {}
    assert email_files.purge(tmp_path, "c1") == {"2025-06-30-r1": "2025-06-30-r1-2"}
    assert read_lines(tmp_path / "current/webhook_messages.jsonl") == before[1:]
    manifest = json.loads((tmp_path / "current/manifest.json").read_text())
    assert manifest["files"]["webhook_messages.jsonl"]["rows"] == manifest["recipients"] == 1


def test_a_customer_is_purged_from_the_payloads_of_every_service(tmp_path):
    write_files(tmp_path, exports=["addresses", *SERVICES])
    email_files.purge(tmp_path, "c1")
    files = [path for path in (tmp_path / "current").rglob("*") if path.is_file()]
    assert {name.rpartition("/")[2] for name in NAMES} < {path.name for path in files}
    for path in files:
        assert b'"c1"' not in path.read_bytes(), path.name
        assert b"=1@example.com" not in path.read_bytes(), path.name
    restricted = tmp_path / "current/restricted"
    assert stat.S_IMODE(restricted.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in restricted.iterdir()} == {0o600}


def test_mailchimp_needs_addresses(tmp_path):
    with pytest.raises(ExportError, match=r"^The export mailchimp finds members by their address"):
        write_files(tmp_path, exports=["mailchimp"])
    assert not (tmp_path / "current").exists()


def test_a_profile_that_klaviyo_would_refuse_is_refused_before(tmp_path):
    rows = make_table(*(make_row("c1", slot, reason_text="r" * 9_000) for slot in range(1, 12)))
    with pytest.raises(
        ExportError, match=r"^Klaviyo takes 100,000 bytes of a recipient, and one has 10\d,\d+"
    ):
        write_files(tmp_path, rows, exports=["klaviyo"])


def test_no_recipients_are_empty_payloads(tmp_path):
    write_files(tmp_path, small_table().iloc[:0], exports=["addresses", *SERVICES])
    check_payloads(tmp_path / "current")
    assert json.loads((tmp_path / "current/klaviyo_catalog.json").read_text()) == []
    assert (tmp_path / "current/webhook_messages.jsonl").read_bytes() == b""


def test_the_schemas_refuse():
    for value, schema in (
        ({"attributes": [{"external_id": "c1", "recs.x": 1}]}, "braze_users_track"),
        ({"attributes": [{"external_id": "c1", "x": "y" * 256}]}, "braze_users_track"),
        ({"attributes": [{"external_id": str(n)} for n in range(76)]}, "braze_users_track"),
        ({"merge_fields": {"RECS_REASON": "x"}}, "mailchimp_member"),
        ({"merge_fields": {f"R{n}": "x" for n in range(26)}}, "mailchimp_member"),
        ([{"id": "1", "title": "", "link": "https://x", "description": "x", "image_link": "https://x"}], "klaviyo_catalog"),
        ({"items": [{"title": "without id"}]}, "braze_catalog_items"),
    ):  # fmt: skip
        with pytest.raises(jsonschema.ValidationError):
            check_shape(value, schema)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.tuples(TEXT, st.none() | TEXT, st.none() | TEXT), min_size=1, max_size=5),
    price=st.none() | st.floats(0, 1e6),
    customer=TEXT.filter(bool),
)
def test_every_text_fits(tmp_path_factory, texts, price, customer):
    folder = tmp_path_factory.mktemp("files")
    rows = make_table(
        *(
            make_row(customer, slot, title=title, reason_text=reason, image_url=image, shown_price=price)
            for slot, (title, reason, image) in enumerate(texts, start=1)
        )
    )
    emails = pd.DataFrame({"customer_id": [customer], "email": ["c@example.com"]})
    write_files(folder, rows, exports=["addresses", "braze", "mailchimp", "webhook"], emails=emails)
    current = folder / "current"
    for name, schema, wrap in (
        ("braze_attributes.jsonl", "braze_users_track", "attributes"),
        ("webhook_messages.jsonl", "webhook", "messages"),
    ):
        check_shape({wrap: list(read_payloads(current / name).values())}, schema)
    [member] = read_payloads(current / "restricted/mailchimp_members.jsonl").values()
    check_shape(member, "mailchimp_member")
    assert email_files.purge(folder, customer) == {f"{AS_OF}-r1": f"{AS_OF}-r1-2"}
    assert read_lines(folder / "current/webhook_messages.jsonl") == []


def test_when_a_recipient_mostly_orders(tmp_path):
    """Instead of the time of the send where a service has one time, beside it in the webhook."""
    rows = make_table(make_row("c1", best_send_at=pd.Timestamp("2025-06-30 15:00", tz="UTC")), make_row("c2"))
    services = ["klaviyo", "braze", "mailchimp", "webhook"]
    write_files(tmp_path, rows, exports=["addresses", *services])

    def read(name: str, customer: str) -> dict:
        return read_payloads(next((tmp_path / "current").rglob(f"{name}.jsonl")))[customer]

    for customer, at in (("c1", "2025-06-30T15:00:00Z"), ("c2", "2025-06-30T04:00:00Z")):
        properties = read("klaviyo_profiles", customer)["attributes"]["properties"]
        assert properties["recs_weekly_email_send_at"] == at
        assert read("braze_attributes", customer)["recs_weekly_email"]["send_at"] == at
        assert read("mailchimp_members", customer)["merge_fields"]["RECS_SEND"] == at
    messages = [read("webhook_messages", customer) for customer in ("c1", "c2")]
    assert [message["send_at"] for message in messages] == ["2025-06-30T04:00:00Z"] * 2
    assert [message["best_send_at"] for message in messages] == ["2025-06-30T15:00:00Z", None]
    check_shape({"messages": messages}, "webhook")
