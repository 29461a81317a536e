"""A shop's folder: what lies in it stands in place of what the code ships."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from recs_assets.campaigns.file import load_folder
from recs_assets.schema import SettingsError
from recs_assets.settings import Settings
from recs_assets.shop import SHIPPED, Shop, pack_shop, unpack_shop
from recs_assets.sources.source import OWN_FILES, SHOPS, load_source

TINY = Path(__file__).resolve().parents[1] / "examples" / "tiny_shop"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("RECS_"):
            monkeypatch.delenv(name)


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """The folder of a shop with the canonical tables, which wants other gates and one campaign."""
    folder = tmp_path / "shops" / "acme"
    (folder / "campaigns").mkdir(parents=True)
    (folder / "source.toml").write_text('timezone = "Europe/Rome"\nhorizon_days = 14\nlocale = "it"\n')
    gates = yaml.safe_load(SHIPPED["gates"].read_text()) | {"min_customers": 7}
    (folder / "gates.yaml").write_text(yaml.safe_dump(gates))
    shutil.copy(SHIPPED["campaigns"] / "weekly_email.yaml", folder / "campaigns")
    return folder


def shop(folder: Path, **values: object) -> Shop:
    return Shop.from_settings(Settings(data=TINY, shops=folder.parent, home=folder.parent / "home", **values))


def test_without_a_folder_everything_is_as_shipped() -> None:
    plain = Shop.from_settings(Settings(data=TINY))
    assert {setting: plain.path(setting) for setting in SHIPPED} == SHIPPED
    assert all(path.exists() for path in SHIPPED.values())
    assert {setting + path.suffix for setting, path in SHIPPED.items()} == set(OWN_FILES) - {
        "tables"
    }  # read with the files that they are about


@pytest.mark.parametrize("source", ["auto", "acme"])
def test_the_folder_of_a_shop_comes_before_what_is_shipped(acme: Path, source: str) -> None:
    own = shop(acme, source=source)
    assert (own.source.name, own.timezone, own.horizon_days) == ("acme", "Europe/Rome", 14)
    assert own.gates.min_customers == 7
    assert own.sentences.default == "it"
    assert list(load_folder(own.path("campaigns")).campaigns) == ["weekly_email"]
    assert own.path("storefront") == SHIPPED["storefront"]


def test_a_setting_comes_before_the_folder_of_the_shop(acme: Path) -> None:
    own = shop(acme, gates=SHIPPED["gates"], campaigns=SHIPPED["campaigns"])
    assert own.gates.min_customers == 20
    assert own.path("campaigns") == SHIPPED["campaigns"]


def test_a_file_that_nobody_reads_is_refused(acme: Path) -> None:
    (acme / "gates.yaml").rename(acme / "gate.yaml")
    with pytest.raises(SettingsError) as raised:
        shop(acme)
    assert str(raised.value) == (
        "source 'acme': gate.yaml is not read; rename it to one of campaigns, experiments, placements, tables, texts, gates.yaml, "
        "monitor.yaml, sensitive.yaml, storefront.yaml, or remove it."
    )


def test_a_shop_with_thresholds_alone_lacks_its_source_toml(acme: Path) -> None:
    (acme / "source.toml").unlink()
    with pytest.raises(SettingsError, match=r"^source 'acme' \(source.toml\): the file is missing in "):
        shop(acme)


def test_two_shops_with_canonical_tables_need_a_name(acme: Path) -> None:
    shutil.copytree(acme, acme.with_name("bolt"))
    with pytest.raises(SettingsError) as raised:
        shop(acme)
    assert str(raised.value) == f"{TINY} holds the files of acme and bolt: say which in RECS_SOURCE."
    assert shop(acme, source="bolt").source.name == "bolt"


def test_one_source_toml_is_enough(acme: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(TINY, data)
    (data / "source.toml").write_text('timezone = "UTC"\n')
    with pytest.raises(SettingsError) as raised:
        Shop.from_settings(Settings(data=data, shops=acme.parent))
    assert str(raised.value) == (
        f"source.toml: there is one in {acme} and one in {data}; keep the first, and remove the other."
    )


def test_what_is_shipped_names_no_shop() -> None:
    """What goes through Complete Journey's till and is no product stands in that shop's folder alone."""
    words = load_source(SHOPS / "completejourney").words.not_products.categories
    assert "COUPON/MISC ITEMS" in words
    for path in SHIPPED["campaigns"].glob("*.yaml"):
        text = path.read_text().upper()
        assert not [word for word in words if word in text], path.name


def test_a_shop_travels_without_secrets_and_places(acme: Path, tmp_path: Path) -> None:
    (acme / "tables").mkdir()
    shutil.copy(TINY.parent / "tables" / "tickets.yaml", acme / "tables")
    data = shutil.copytree(TINY, tmp_path / "data")
    (data / "tickets.csv").touch()
    secrets = {
        "hash_key": "a key that nobody may read",
        "engine": "sc://engine:15002/;token=secret",
        "redis_url": "redis://user:password@cache/0",
    }
    here = Shop.from_settings(
        Settings(
            source="acme", data=data, shops=acme.parent, home=tmp_path / "home", block_customers=5, threads=3, seed=7,
            **secrets,
        )
    )  # fmt: skip
    packed = json.dumps(pack_shop(here, tmp_path / "lake"))
    for told in (*secrets.values(), str(data), str(tmp_path / "home")):
        assert told not in packed
    shutil.rmtree(acme)
    there = unpack_shop(json.loads(packed), tmp_path / "lake", tmp_path / "there")
    assert there.gates.min_customers == 7
    assert there.path("campaigns") == tmp_path / "lake" / "campaigns"
    assert there.path("monitor") == SHIPPED["monitor"]
    assert (there.timezone, there.horizon_days, there.settings.seed, there.settings.threads) == (
        "Europe/Rome", 14, 7, 1,
    )  # fmt: skip
    assert there.settings.home == tmp_path / "there"
    assert there.settings.hash_key is None
    assert there.settings.block_customers is None
    assert there.source.words == here.source.words
    assert there.source.tables == here.source.tables
    assert there.sentences == here.sentences
