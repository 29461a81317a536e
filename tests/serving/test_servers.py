"""The store in real servers: the same answers as from the file, whole versions, nobody who was purged."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from helpers.serving import NOW, make_placement, make_product, write_version
from recs_assets.exports.rows import ExportError
from recs_assets.serving.answer import Question, answer, answer_again
from recs_assets.serving.servers import Postgres, Redis, ServerVersions, copy_version
from recs_assets.serving.service import open_service
from recs_assets.serving.store import BLOCK, ServingError

pytestmark = pytest.mark.slow

SHOP = [make_product(f"p{number:04}", popularity=float(number % 97)) for number in range(BLOCK + 10)]
ADA = (
    "ada",
    {
        "list": [("p0002", 0.8), ("p4100", 0.4)],
        "again": [("p0003", 0.5)],
        "segment": "vip",
        "tastes": [("Tea", 1.0)],
    },
)
NEIGHBOURS = {"p0002": ([("p0005", 0.9)], [("p0007", 0.5)])}
QUESTIONS = [
    Question("home", customer_id="ada", context=("p0002",)), Question("home", customer_id="nobody", n=30),
    Question("home", customer_id="ada", categories=("Tea",), n=40),
]  # fmt: skip


@pytest.fixture(params=["redis", "postgres"])
def server(request):
    if request.param == "redis":
        started = request.getfixturevalue("redis_server")
        yield Redis(started.url, prefix="test:serving")
        return
    started = request.getfixturevalue("postgres_server")
    postgres = Postgres(started.url)
    yield postgres
    postgres.close()


def write(home: Path, name: str, customers=(ADA,), shop=SHOP) -> Path:
    write_version(home, name, shop, customers, NEIGHBOURS, {"vip": ["p0009"]})
    return home / "serving"


def start(home: Path, versions=None):
    placement = make_placement(blend={"personal": 1, "together": 1, "similar": 0.5})
    return open_service(home, {"home": placement}, lambda: lambda _: False, 8, versions, clock=lambda: NOW)


def ask(service) -> list[bytes]:
    now = service.require()
    asked = [answer(now.version, now.state, question, NOW.timestamp()) for question in QUESTIONS]
    return [*asked, answer_again(now.version, now.state, QUESTIONS[0], NOW.timestamp())]


def without_id(answers: list[bytes]) -> list[dict]:
    """An answer's own id names the version, which in a server is the version and how often it was purged."""
    return [
        {name: value for name, value in orjson.loads(found).items() if name != "recommendation_id"}
        for found in answers
    ]


def test_answers_are_those_of_the_file(server, tmp_path: Path) -> None:
    copy_version(write(tmp_path, "v1"), "v1", server)
    files, copied = start(tmp_path), start(tmp_path, ServerVersions(server))
    assert without_id(ask(copied)) == without_id(ask(files))
    files.close()
    copied.close()


def test_a_switch_a_purge_and_a_copy_that_is_cut_off(server, tmp_path: Path) -> None:
    copy_version(write(tmp_path, "v1"), "v1", server)
    service = start(tmp_path, ServerVersions(server))
    old = service.require()
    copy_version(write(tmp_path, "v2", [ADA, ("bob", {})]), "v2", server)
    assert service.is_behind
    # A request that began with the old version ends with it.
    assert orjson.loads(answer(old.version, old.state, QUESTIONS[0], NOW.timestamp()))["items"]
    service.switch(service.prepare())
    assert (service.now.version.name, server.count("ada"), server.count("bob")) == ("v2#0", 2, 1)

    def cut():
        yield "about", "about", b"{}"
        raise OSError("the disk")

    with pytest.raises((OSError, ExportError)):
        server.write("v3", cut())
    assert server.find_current() == "v2#0"
    assert not service.is_behind
    assert (server.purge("ada"), server.count("ada"), server.find_current()) == (2, 0, "v2#1")
    assert service.is_behind  # it reads the log again
    service.switch(service.prepare())
    items = orjson.loads(ask(service)[0])["items"]
    assert {item["fallback_level"] for item in items} <= {"context", "category", "global"}
    service.close()


def test_nothing_published_and_a_version_that_is_gone(server, tmp_path: Path) -> None:
    versions = ServerVersions(server)
    if server.find_current() is None:
        assert start(tmp_path, versions).now is None
    with pytest.raises(ServingError, match="materialise exports/serving_store again"):
        versions.open("v9#0")


@pytest.mark.parametrize(
    "closed", [Redis("redis://:hunter22@127.0.0.1:1/0"), Postgres("postgresql://me:hunter22@127.0.0.1:1/x")],
    ids=["redis", "postgres"],
)  # fmt: skip
def test_a_server_that_is_away_is_one_sentence_without_its_password(closed) -> None:
    with pytest.raises(ExportError, match="refused or went away") as caught:
        closed.get("v", "about", "about")
    assert "hunter22" not in str(caught.value)
    assert ServerVersions(closed).find_current() is None
