"""Forgetting a person under all of their ids, also if it was killed on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.forgetting import KEY, NOW, WEEKS, deployment
from recs_assets.operations.forget import forget
from recs_assets.operations.unfinished import FOLDER
from recs_assets.schema import RecsError
from recs_assets.sources.suppression import Suppression
from recs_assets.store.warehouse import Warehouse


def name_people(warehouse: Warehouse, number: int, people: dict[str, str]) -> None:
    """Publish whose the profiles are in one of the two weeks."""
    week = WEEKS[number]
    rows = ", ".join(f"('{profile}', '{person}')" for profile, person in people.items())
    with warehouse.build(week).write() as connection:
        connection.execute("create schema if not exists model")
        for schema in ("model", "recs"):
            connection.execute(
                f"create or replace table {schema}.customer_identities as from (values {rows}) as rows (profile_id, customer_id)"
            )
    warehouse.publish(week, f"run-people-{number}", NOW, "1.2.3")


def find_any(folder: Path, *names: str) -> list[str]:
    """Files that hold one of the names as bytes."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(name.encode() in path.read_bytes() for name in names)
    ]


def test_a_person_is_forgotten_under_all_of_their_ids(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, warehouse = deployment(home, ("customer-a", "customer-b", "customer-c"))
    week = WEEKS[1]
    with warehouse.build(week).write() as connection:
        connection.execute("create schema model")
        for schema in ("model", "recs"):
            connection.execute(
                f"create table {schema}.customer_identities as select unnest(['customer-a', 'customer-b']) as profile_id, "
                "'customer-a' as customer_id"
            )
        connection.execute(
            "create table recs.customer_matches as select 'customer-b' as profile_id, 'customer-c' as other_profile_id"
        )
        connection.execute(
            "create or replace table recs.customers as from (values ('customer-a', ['customer-a', 'customer-b']), "
            "('customer-c', ['customer-c'])) as rows (customer_id, customer_ids)"
        )
    warehouse.publish(week, "run-2", NOW, "1.2.3")
    done = forget(settings, "customer-b", tmp_path / "dagster", "1.2.3")
    assert done.since is None
    assert done.weeks == tuple(WEEKS)
    suppression = Suppression(home, KEY)
    assert suppression.find_erased(["customer-a", "customer-b", "customer-c"]) == ["customer-a", "customer-b"]
    with warehouse.snapshot() as connection:
        assert connection.execute("from recs.customers").fetchall() == [("customer-c", ["customer-c"])]
        assert connection.execute("from recs.customer_identities").fetchall() == []
        assert connection.execute("from recs.customer_matches").fetchall() == []
    for path in home.rglob("*"):
        if path.is_file():
            assert b"customer-a" not in path.read_bytes()
            assert b"customer-b" not in path.read_bytes()
    assert forget(settings, "customer-b", tmp_path / "dagster", "1.2.3").since is not None


def test_an_id_that_no_longer_leads_takes_all_along(tmp_path: Path) -> None:
    """The person was called by customer-a; then an older profile was found."""
    settings, warehouse = deployment(
        tmp_path / "home", ("customer-a", "customer-b", "customer-z", "customer-x")
    )
    name_people(warehouse, 0, {"customer-a": "customer-a", "customer-b": "customer-a"})
    name_people(warehouse, 1, dict.fromkeys(("customer-a", "customer-b", "customer-z"), "customer-z"))
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert find_any(tmp_path, "customer-a", "customer-b", "customer-z") == []
    with warehouse.snapshot() as connection:
        assert connection.execute("from recs.customers").fetchall() == [("customer-x",)]


# Kills the process where the second id of the person, or what the first id's rewritten files make way for, begins.
KILLED = """
import os, signal, sys
from pathlib import Path
from recs_assets.operations import forget as erasure
from recs_assets.settings import Settings

home, data, given, where, calls = *sys.argv[1:5], []
whole = getattr(erasure, where)

def until_the_second(*arguments):
    calls.append(where)
    if len(calls) == (2 if where == "_forget_id" else 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments)

setattr(erasure, where, until_the_second)
settings = Settings(home=home, data=data, hash_key="a secret for tests only", threads=1, retention_weeks=3)
erasure.forget(settings, given, Path(home).parent / "dagster", "1.2.3")
"""


@pytest.mark.parametrize("where", ["_forget_id", "_delete", "_rewrite"])
@pytest.mark.parametrize("again", ["customer-a", "customer-b"])
def test_a_killed_one_is_finished_by_any_of_the_ids(tmp_path: Path, where: str, again: str) -> None:
    """The address of customer-b is in a log and nowhere else known any more, once the weeks are gone."""
    home = tmp_path / "home"
    settings, warehouse = deployment(home, ("customer-a", "customer-b", "customer-x"))
    for number in (0, 1):
        name_people(warehouse, number, {"customer-a": "customer-a", "customer-b": "customer-a"})
    (home / "logs").mkdir()
    with warehouse.build(WEEKS[0]).write() as connection:
        connection.execute(
            "update raw.customers set email = 'her.other@mail.example' where customer_id = 'customer-b'"
        )
    (home / "logs" / "x.log").write_text("her.other@mail.example bounced")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), str(settings.data), "customer-b", where],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    assert find_any(home / "published", "customer-b")
    [kept] = (home / FOLDER).iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600

    done = forget(settings, again, tmp_path / "dagster", "1.2.3")
    assert done.since is None
    assert find_any(tmp_path, "customer-a", "customer-b", "her.other") == []
    assert not (home / FOLDER).exists()
    assert Suppression(home, KEY).find_erased(["customer-a", "customer-b", "customer-x"]) == [
        "customer-a",
        "customer-b",
    ]
    with warehouse.snapshot() as connection:
        assert connection.execute("from recs.customers").fetchall() == [("customer-x",)]
    assert forget(settings, again, tmp_path / "dagster", "1.2.3").since is not None


def test_what_an_interrupted_one_wrote_down_must_be_readable(tmp_path: Path) -> None:
    settings, _ = deployment(tmp_path, ("customer-a",))
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "x.json").write_text("[{")
    with pytest.raises(
        RecsError, match=r"x\.json says which ids an interrupted forget is about and cannot be read"
    ):
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
