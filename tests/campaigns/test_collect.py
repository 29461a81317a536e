"""What a week's campaigns amount to when their tables are put together."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from recs_assets.campaigns.collect import Now, count_slots, reconcile
from recs_assets.campaigns.made import Made, list_folders
from recs_assets.campaigns.sending import find_best_times
from recs_assets.quality.expectations import published_expectations
from recs_assets.repeats.hours import Habit, OrderHours
from recs_assets.schema import ArtefactError

COLUMNS = {part: ["campaign"] for part in ("selection", "predictions", "traces", "people", "outcomes")}


def now() -> Now:
    """Four customers, one of whom withdrew since; one product is gone."""
    customers = pd.DataFrame(
        {
            "customer_id": ["ann", "bob", "cay", "new"],
            "email_eligible": [True, False, True, True],
            "address": [1, -1, 1, -1],
            "last_day": [9, 10, 10, -1],
        }
    )
    addresses = pd.DataFrame(
        {"customer_id": ["ann", "bob", "cay"], "email": ["ann@mail.example", "b@x", None]}
    )
    return Now(customers, {"milk"}, 1, addresses)


def reconciled(home: Path, hash_key: SecretStr | None = None) -> dict[str, pd.DataFrame]:
    return reconcile(list_folders(home / "campaigns"), date(2025, 6, 30), now(), COLUMNS, hash_key)


def made(**tables: pd.DataFrame) -> Made:
    none = {
        name: pd.DataFrame()
        for name in ("selection", "predictions", "rules", "price_tags", "tests", "traces")
    }
    if "selection" in tables:
        tables["selection"] = tables["selection"].assign(reserve=False)
    return Made({**none, **tables}, {"chosen": "query"})


def test_outcomes_add_up_whatever_happened_since(tmp_path: Path) -> None:
    """Bob withdrew, cay's product is gone, new was not known: ann alone keeps her slot."""
    who = ["ann", "bob", "cay"]
    products = ["milk", "milk", "tea"]
    chosen = pd.DataFrame({"customer_id": who, "slot": 1, "product_id": products, "arm": "treatment"})
    everybody = pd.DataFrame({"customer_id": who, "outcome": "selected"})
    made(selection=chosen, outcomes=everybody, traces=chosen).write(tmp_path / "campaigns" / "mail")
    predictions = pd.DataFrame({"customer_id": ["ann", "gone"], "item": ["dairy", "tea"], "rank": 1})
    outcomes = pd.DataFrame({"customer_id": who, "outcome": ["selected", *["not_in_audience"] * 2]})
    made(predictions=predictions, outcomes=outcomes).write(tmp_path / "campaigns" / "affinity")
    (tmp_path / "campaigns" / ".affinity-1").mkdir()  # left by a killed run
    found = reconciled(tmp_path)
    assert found["selection"][["campaign", "customer_id"]].to_numpy().tolist() == [["mail", "ann"]]
    assert found["traces"]["customer_id"].tolist() == ["ann"]
    assert found["predictions"].read_all().to_pylist() == [
        {"customer_id": "ann", "item": "dairy", "rank": 1, "campaign": "affinity", "as_of": date(2025, 6, 30)}
    ]
    counts = found["outcomes"]
    counts = counts[counts["customers"] > 0]
    assert counts[["campaign", "outcome", "customers"]].to_numpy().tolist() == [
        ["affinity", "selected", 1],
        ["affinity", "erased", 1],
        ["affinity", "not_in_audience", 2],
        ["affinity", "not_known_then", 1],
        ["mail", "selected", 1],
        ["mail", "erased", 1],
        ["mail", "withdrawn_since", 1],
        ["mail", "product_gone_since", 1],
        ["mail", "not_known_then", 1],
    ]


def test_predictions_of_all_campaigns_stay_whatever_the_first_one_has(tmp_path: Path) -> None:
    """Of the first campaign nobody is a customer any more, and the other one predicts no item."""
    nobody = pd.DataFrame({"customer_id": ["gone"], "item": ["tea"], "rank": 1, "prediction": [0.5]})
    spend = pd.DataFrame({"customer_id": ["ann"], "item": [None], "rank": 1, "prediction": [2.5]})
    outcomes = pd.DataFrame({"customer_id": ["ann"], "outcome": ["selected"]})
    made(predictions=nobody, outcomes=outcomes).write(tmp_path / "campaigns" / "affinity")
    made(predictions=spend, outcomes=outcomes).write(tmp_path / "campaigns" / "spend")
    rows = reconciled(tmp_path)["predictions"].read_all().to_pylist()
    assert rows == [
        {
            "customer_id": "ann",
            "item": None,
            "rank": 1,
            "prediction": 2.5,
            "campaign": "spend",
            "as_of": date(2025, 6, 30),
        }
    ]


def test_who_is_held_out_is_an_outcome_of_its_own_and_keeps_the_rows_and_a_hash(tmp_path: Path) -> None:
    """Bob is held out, too, but withdrew since: that comes first. One arm each."""
    who = ["ann", "bob", "new"]
    chosen = pd.DataFrame({"customer_id": who, "slot": 1, "product_id": "milk"})
    chosen["arm"] = ["holdout", "holdout", "treatment"]
    everybody = pd.DataFrame(
        {"customer_id": [*who, "cay"], "outcome": ["holdout", "holdout", "selected", "not_in_audience"]}
    )
    made(selection=chosen, outcomes=everybody).write(tmp_path / "campaigns" / "mail")
    found = reconciled(tmp_path, SecretStr("a secret for tests only"))
    # echo -n ann@mail.example | openssl dgst -sha256 -hmac "a secret for tests only"
    rows = found["selection"].astype(object)
    shown = rows.where(rows.notna(), None)[["customer_id", "arm", "email_hash"]]
    assert shown.to_numpy().tolist() == [
        ["ann", "holdout", "682dbefff956aec6238a7054a0ee4181c9113a99f587bc7b4af61ff14697624f"],
        ["new", "treatment", None],
    ]
    counts = found["outcomes"].set_index("outcome")["customers"]
    assert counts[counts > 0].to_dict() == {
        "selected": 1,
        "erased": 1,
        "not_in_audience": 1,
        "withdrawn_since": 1,
        "holdout": 1,
    }


def test_a_campaign_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    """It does not say who is held out, so nobody in it may be read as sent."""
    rows = pd.DataFrame({"customer_id": ["ann"], "slot": 1, "product_id": ["milk"]})
    outcomes = pd.DataFrame({"customer_id": ["ann"], "outcome": "selected"})
    made(selection=rows, outcomes=outcomes).write(tmp_path / "campaigns" / "mail")
    with pytest.raises(ArtefactError, match="does not say who is held out: make the campaign again"):
        reconciled(tmp_path)


def test_accounts_that_share_an_address_by_now_get_one_email(tmp_path: Path) -> None:
    """Cay bought a day after ann."""
    chosen = pd.DataFrame({"customer_id": ["ann", "cay"], "slot": 1, "product_id": "milk"})
    chosen["arm"] = "treatment"
    everybody = pd.DataFrame({"customer_id": ["ann", "cay"], "outcome": "selected"})
    made(selection=chosen, outcomes=everybody).write(tmp_path / "campaigns" / "mail")
    found = reconciled(tmp_path)
    assert found["selection"]["customer_id"].tolist() == ["cay"]
    counts = found["outcomes"].set_index("outcome")["customers"]
    assert counts[["selected", "same_address"]].to_dict() == {"selected": 1, "same_address": 1}


def test_a_campaign_made_again_replaces_its_own_rows_only(tmp_path: Path) -> None:
    outcomes = pd.DataFrame({"customer_id": ["ann"], "outcome": "selected"})
    for name, product in (("mail", "milk"), ("other", "milk"), ("mail", "milk")):
        rows = pd.DataFrame({"customer_id": ["ann"], "slot": 1, "product_id": [product], "arm": "treatment"})
        made(selection=rows, outcomes=outcomes).write(tmp_path / "campaigns" / name)
    found = reconciled(tmp_path)["selection"]
    assert found["campaign"].tolist() == ["mail", "other"]


def test_the_week_knows_the_slots_of_what_was_made_of_it(tmp_path: Path) -> None:
    """The shop's own folder names an email of three slots; the week holds the shipped one of twelve, too."""
    for name, slots in (("own", 3), ("weekly_email", 12), ("affinity", 0)):
        Made({"outcomes": pd.DataFrame()}, {"slots": slots}).write(tmp_path / name)
    (tmp_path / ".own-1").mkdir()  # left by a killed run
    assert count_slots(list_folders(tmp_path)) == 12
    expected = published_expectations("email_recommendations", count_slots(list_folders(tmp_path)))
    assert [part.arguments for part in expected if part.arguments.get("column") == "slot"][-1] == {
        "column": "slot", "min_value": 1, "max_value": 12,
    }  # fmt: skip


def test_a_week_without_campaigns_has_no_slots(tmp_path: Path) -> None:
    assert count_slots(list_folders(tmp_path / "campaigns")) == 0


def test_slots_that_an_earlier_version_did_not_write_are_asked_for(tmp_path: Path) -> None:
    Made({"outcomes": pd.DataFrame()}, {"as_of": "2025-06-30"}).write(tmp_path / "mail")
    with pytest.raises(
        ArtefactError,
        match=r"how many slots it fills: .*\(python -m recs_assets campaign mail --as-of 2025-06-30\)",
    ):
        count_slots(list_folders(tmp_path))


def test_when_recipients_mostly_order(tmp_path: Path) -> None:
    """Of a send at 06:00 in Berlin: Ann at 9, Bob at 20, when his offer is over, a stranger when everybody does."""
    counts = np.zeros((2, 24), dtype=np.float32)
    counts[0, [9, 10, 11]] = 5
    counts[1, [20, 21, 22]] = 5
    everybody = np.zeros(24)
    everybody[12:15] = 90
    hours = OrderHours(pd.Index(["ann", "bob"]), counts, everybody, Habit(1.0))
    send_at, end = pd.Timestamp("2025-06-30 04:00", tz="UTC"), pd.Timestamp("2025-07-14", tz="UTC")
    rows = pd.DataFrame(
        {
            "customer_id": ["ann", "ann", "bob", "new"],
            "send_at": send_at,
            "expires_at": [end, end, pd.Timestamp("2025-06-30 12:00", tz="UTC"), end],
        }
    )
    found = find_best_times(rows, hours, "Europe/Berlin")
    assert found.dt.strftime("%d %H:%M").tolist() == ["30 07:00", "30 07:00", "30 04:00", "30 10:00"]
    assert str(found.dtype) == "datetime64[us, UTC]"
    # A send within an hour is not before itself.
    late = rows.assign(send_at=send_at + pd.Timedelta("5h30min"))
    assert find_best_times(late, hours, "Europe/Berlin").dt.strftime("%H:%M").tolist()[:2] == ["09:30"] * 2
    for nothing in (None, replace(hours, habit=None)):
        none = find_best_times(rows, nothing, "Europe/Berlin")
        assert none.isna().all()
        assert none.dtype == found.dtype
