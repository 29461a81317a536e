"""Blocks of customers of the tiny shop's week: what is made of them is what is made of all at once, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pydantic import SecretStr

from helpers import shops
from helpers.sail import start_sail
from helpers.servers import Server
from recs_assets.engine.blocks import describe_code, work_on_engine
from recs_assets.recommenders import REGISTRY
from recs_assets.schema import EngineError, WarehouseError
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.training.ranker import rank_customers
from recs_assets.week.block import BlockWeek, split_week
from recs_assets.week.blocks import map_blocks
from recs_assets.week.embeddings import tabulate_customer_embeddings, tabulate_product_embeddings
from recs_assets.week.fit import fit_recommender, list_customers
from recs_assets.week.week import Week

pytestmark = pytest.mark.slow
WEEK = date(2025, 6, 30)
Lists = dict[str, dict[str, pd.DataFrame]]


@pytest.fixture(scope="module")
def shop_settings(weekly: shops.Home, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a copy of the shared home."""
    return Settings(home=weekly.copy(tmp_path_factory.mktemp("blocks") / "home").path, data=shops.TINY)


def open_week(settings: Settings, **changes: object) -> Week:
    shop = Shop.from_settings(settings.model_copy(update=changes))
    return Week(shop, shop.warehouse(), WEEK)


@pytest.fixture(scope="module")
def whole(shop_settings: Settings) -> Iterator[Week]:
    week = open_week(shop_settings)
    with week.build.hold():
        yield week


def list_all(part: Week) -> Lists:
    """The lists of every recommender and of the ranker."""
    return {**{name: list_customers(part, name) for name in REGISTRY}, "ranker": rank_customers(part)}


def test_lists_of_blocks_are_the_files_that_the_week_wrote(shop_settings: Settings, whole: Week) -> None:
    week = open_week(shop_settings, block_customers=7)
    parts = list(map_blocks(list_all, week))
    assert len(parts) == 6  # of 38 customers
    for name, views in parts[0].items():
        paths = {view: week.lists_path(name, WEEK, view) for view in views}
        before = {view: path.read_bytes() for view, path in paths.items()}
        week.write_lists(name, WEEK, (part[name] for part in parts))
        assert {view: path.read_bytes() for view, path in paths.items()} == before
    assert not (week.build.folder / "blocks").exists()


def test_vectors_of_blocks_are_those_that_the_week_wrote(shop_settings: Settings, whole: Week) -> None:
    week = open_week(shop_settings, block_customers=7)
    with whole.build.read() as connection:
        published = connection.execute(
            "select model, customer_id, embedding from recs.customer_embeddings order by 1, 2"
        ).fetchall()
    rows = tabulate_customer_embeddings(week)
    made = zip(rows["model"], rows["customer_id"], map(list, rows["embedding"]), strict=True)
    assert list(made) == published
    assert tabulate_customer_embeddings(open_week(shop_settings, embedding_customers=False)).empty
    best = tabulate_product_embeddings(open_week(shop_settings, embedding_products=3))
    assert best.groupby("model")["product_id"].count().to_dict() == {"content": 3, "graph_filter": 3}


@pytest.mark.parametrize("place", [0, 17, 37])
def test_a_customer_alone_gets_the_same_lists(whole: Week, place: int) -> None:
    [*blocks] = split_week(whole, 1)
    with blocks[place].open() as alone:
        assert alone.known().n_customers == 1
        for name, views in list_all(alone).items():
            for view, rows in views.items():
                expected = whole.lists(name, WEEK, view, place, place + 1)
                pd.testing.assert_frame_equal(rows, expected, check_exact=True, obj=f"{name}, {view}")


def test_what_was_published_is_there_for_the_block_alone(whole: Week) -> None:
    count = "select count(*) from published.recs.email_recommendations"
    blocks = split_week(whole, 20)
    with whole.read_with_snapshot() as connection:
        [(rows,)] = connection.execute(count).fetchall()
    per_block = []
    for block in blocks:
        with block.open(), block.read_with_snapshot() as connection:
            per_block += connection.execute(count).fetchall()[0]
    assert len(per_block) == 2
    assert 0 not in per_block
    assert sum(per_block) == rows


def test_a_block_knows_its_own_anchor_alone(whole: Week) -> None:
    with split_week(whole, 20)[1].open() as block:
        with pytest.raises(WarehouseError, match="hold no anchor"):
            block.known(whole.anchors[1])
        assert block.anchors == [WEEK]
        assert block.model_week is block
        assert block.first_code == 20
    assert not block.build.path.exists()


def test_a_block_is_not_cut_again(whole: Week, shop_settings: Settings) -> None:
    week = open_week(shop_settings, block_customers=20)
    parts = list(map_blocks(lambda part: list(map_blocks(lambda inner: inner, part)), week))
    assert [[type(inner) for inner in part] for part in parts] == [[BlockWeek]] * 2


def test_without_the_setting_the_week_itself_is_the_block(whole: Week) -> None:
    [part] = map_blocks(lambda part, *words, **named: (part, words, named), whole, "a", b=1)
    assert part == (whole, ("a",), {"b": 1})


def test_what_a_sample_taught_lists_the_same_by_blocks(weekly: shops.Home, tmp_path: Path) -> None:
    """RECS_FIT_CUSTOMERS: 15 of the 38 customers teach."""
    settings = Settings(home=weekly.copy(tmp_path / "home").path, data=shops.TINY, fit_customers=15)
    written = []
    for week in (open_week(settings), open_week(settings, block_customers=20)):
        files = {}
        with week.build.hold():
            for name in ("user_knn", "lightfm", "segment_popularity"):
                fit_recommender(week, name, week.parameters(name))
                for anchor in week.anchors_of(name):
                    path = week.lists_path(name, anchor, "new")
                    files[name, anchor] = path.read_bytes()
        assert week.load_for_blocks("user_knn").known_.n_customers == 15
        written.append(files)
    assert len(written[0]) > 3
    assert written[0] == written[1]


@pytest.fixture(scope="module")
def sail() -> Iterator[Server]:
    server = start_sail()
    yield server
    server.kill()


@pytest.fixture
def week_on_engine(shop_settings: Settings, sail: Server, tmp_path: Path) -> Iterator[Week]:
    """Its blocks of 20 customers are worked on by Sail; nothing of it stays in the lake."""
    lake = tmp_path / "lake"
    yield open_week(shop_settings, block_customers=20, engine=SecretStr(sail.url), lake=lake)
    assert [path for path in lake.rglob("*") if path.is_file()] == []


def test_blocks_on_an_engine_list_the_same(
    week_on_engine: Week, whole: Week, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "recs_assets.week.share"):
        lists = {
            "als": list(map_blocks(list_customers, week_on_engine, "als")),
            "ranker": list(map_blocks(rank_customers, week_on_engine)),
        }
    for name, parts in lists.items():
        assert len(parts) == 2
        for view in parts[0]:
            rows = pd.concat([part[view] for part in parts], ignore_index=True)
            pd.testing.assert_frame_equal(
                rows, whole.lists(name, WEEK, view), check_exact=True, obj=f"{name}, {view}"
            )
    said = [record.message.split(" blocks done")[0] for record in caplog.records]
    assert said == [
        f"{function}: {done} of 2"
        for function in ("recs_assets.week.fit:list_customers", "recs_assets.training.ranker:rank_customers")
        for done in (1, 2)
    ]


def test_a_block_that_fails_on_a_worker_fails_the_week_in_a_sentence(week_on_engine: Week) -> None:
    with pytest.raises(EngineError) as raised:
        list(map_blocks(list_customers, week_on_engine, "no_such_recommender"))
    assert str(raised.value).split(" of the customers ")[1] == (
        "failed on the engine: KeyError (the worker's log says where)."
    )


def test_what_is_no_function_of_a_module_is_refused(week_on_engine: Week) -> None:
    with pytest.raises(WarehouseError, match="is no function of a module"):
        list(map_blocks(lambda part: None, week_on_engine))


def test_a_worker_with_another_version_does_nothing(sail: Server, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as raised:
        list(work_on_engine(sail.url, tmp_path, "os:listdir", 2, "recs_assets 0.0.1"))
    assert str(raised.value) == (
        f"A worker of the engine has {describe_code()}, and this machine recs_assets 0.0.1: install the same there."
    )
