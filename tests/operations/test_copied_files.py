"""Copies of the campaigns' files follow `forget` and `rollback`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pandas as pd
from pydantic import SecretStr

from helpers.email import make_row, make_table
from helpers.forgetting import WEEKS, deployment
from recs_assets.exports.email_files import write_exports
from recs_assets.operations.copy_files import copy_campaigns, list_folders
from recs_assets.operations.embedding_files import write_embeddings
from recs_assets.operations.forget import forget
from recs_assets.operations.rollback import rollback
from recs_assets.settings import Settings
from recs_assets.shop import open_warehouse

NAMES = ("customer-a", "customer-b")


def copy_deployment(tmp_path: Path) -> Settings:
    """A deployment of two people whose campaign was copied to a folder and a database."""
    settings, _ = deployment(tmp_path / "home", NAMES)
    settings = settings.model_copy(
        update={
            "export_storage": f"file://{tmp_path}/store",
            "export_database": SecretStr(f"sqlite:///{tmp_path}/rows.db"),
        }
    )
    write(settings.home, WEEKS[1], "r1")
    copy_campaigns(list_folders(settings.home), settings)
    return settings


def write(home: Path, week: date, run: str) -> None:
    times = {"send_at": pd.Timestamp(week, tz="UTC"), "expires_at": pd.Timestamp("2024-04-01", tz="UTC")}
    rows = make_table(*(make_row(name, as_of=week, run_id=run, **times) for name in NAMES))
    write_exports(home / "exports/weekly_email", ["long", "webhook"], rows, as_of=week, run_id=run)


def in_database(tmp_path: Path) -> list[tuple]:
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        return connection.execute(
            "select as_of, customer_id from email_recommendations order by 2"
        ).fetchall()


def in_store(tmp_path: Path) -> dict[str, bytes]:
    store = tmp_path / "store"
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_copies_forget_too(tmp_path: Path) -> None:
    settings = copy_deployment(tmp_path)
    assert in_database(tmp_path) == [("2024-03-11", "customer-a"), ("2024-03-11", "customer-b")]
    assert [name for name, text in in_store(tmp_path).items() if b"customer-a" in text]
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert in_database(tmp_path) == [("2024-03-11", "customer-b")]
    found = in_store(tmp_path)
    assert not [name for name, text in found.items() if b"customer-a" in text]
    assert b"customer-b" in found["weekly_email/versions/2024-03-11-r1-2/webhook_messages.jsonl"]


def test_copies_go_back_too(tmp_path: Path) -> None:
    settings = copy_deployment(tmp_path)

    def export(week: date, run_id: str) -> dict[str, str]:
        write(settings.home, week, run_id)
        return {"weekly_email": f"{week}-{run_id}"}

    rollback(settings, "1.2.3", export=export)
    assert in_database(tmp_path) == [("2024-03-04", "customer-a"), ("2024-03-04", "customer-b")]
    pointer = json.loads(in_store(tmp_path)["weekly_email/current.json"])
    assert pointer["version"] == "2024-03-04-run-0004"


def vectors_in_database(tmp_path: Path) -> list[tuple]:
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        return connection.execute(
            "select as_of, customer_id, embedding from customer_embeddings order by 2"
        ).fetchall()


def test_vectors_of_customers_forget_and_go_back(tmp_path: Path) -> None:
    settings = copy_deployment(tmp_path)
    warehouse = open_warehouse(settings)
    write_embeddings(warehouse, WEEKS[1], "run-0011", 3)
    copy_campaigns(list_folders(settings.home), settings)
    file = "embedding-tables/versions/2024-03-11-run-0011/customer_embeddings.parquet"
    assert file in in_store(tmp_path)
    vector = "[0.5,-0.25]"
    assert vectors_in_database(tmp_path) == [
        ("2024-03-11", "customer-a", vector),
        ("2024-03-11", "customer-b", vector),
    ]
    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    folder = "exports/embedding-tables/versions/2024-03-11-run-0011"
    assert done.rewritten[folder] == f"{folder}-2"
    assert vectors_in_database(tmp_path) == [("2024-03-11", "customer-b", vector)]
    assert not [name for name, text in in_store(tmp_path).items() if b"customer-a" in text]
    said = rollback(settings, "1.2.3").splitlines()
    assert not [line for line in said if "embedding" in line]
    assert vectors_in_database(tmp_path) == [("2024-03-04", "customer-b", vector)]
    assert json.loads(in_store(tmp_path)["embedding-tables/current.json"])["as_of"] == "2024-03-04"


def test_a_rollback_says_that_copies_stay(tmp_path: Path) -> None:
    settings = copy_deployment(tmp_path)
    settings = settings.model_copy(update={"export_database": SecretStr("sqlite:////no/such/folder/x.db")})
    said = rollback(settings, "1.2.3").splitlines()
    assert said[-1].startswith(
        "Copies of the campaigns' files stay as they were. RECS_EXPORT_DATABASE: the database"
    )
    # Withdrawn without a new version: the store names none.
    assert "weekly_email/current.json" not in in_store(tmp_path)
    assert in_database(tmp_path) == [("2024-03-11", "customer-a"), ("2024-03-11", "customer-b")]
