"""Settings: read from the environment, checked once, every one explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from recs_assets.schema import SettingsError
from recs_assets.settings import PROJECT_ROOT, Settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("RECS_"):
            monkeypatch.delenv(name)


def test_the_defaults() -> None:
    settings = Settings()
    assert settings.source == "auto"
    assert settings.home == PROJECT_ROOT / ".recs"
    assert settings.schedule == "0 6 * * 1"
    assert settings.first_week is None  # the week of the first order
    assert settings.max_quarantined_share == 0.02
    assert settings.max_basket_lines == 200
    assert (settings.timezone, settings.horizon_days) == (None, None)


def test_the_environment_overrides_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECS_HOME", str(tmp_path))
    monkeypatch.setenv("RECS_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("RECS_HORIZON_DAYS", "14")
    monkeypatch.setenv("RECS_UNHEARD_OF", "1")  # another program's, or a newer version's
    settings = Settings()
    assert (settings.home, settings.timezone, settings.horizon_days) == (tmp_path, "Europe/Berlin", 14)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE", "../secrets"),
        ("SOURCE", "Canonical"),
        ("TIMEZONE", "Berlin"),
        ("TIMEZONE", "../../etc/passwd"),
        ("HORIZON_DAYS", "10"),
        ("HORIZON_DAYS", "0"),
        ("FIRST_WEEK", "2025-06-17"),
        ("MAX_QUARANTINED_SHARE", "2"),
        ("MEMORY_LIMIT", "lots"),
        ("RETENTION_WEEKS", "0"),
        ("THREADS", "0"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RECS_{name}", value)
    with pytest.raises(SettingsError) as raised:
        Settings()
    assert str(raised.value).startswith(f"RECS_{name}: ")
    assert value in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_override_of_the_gates_needs_its_reason(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    monkeypatch.setenv("RECS_GATE_OVERRIDE", reason)
    with pytest.raises(SettingsError, match=r"^RECS_GATE_OVERRIDE: an override needs its reason; unset"):
        Settings()


def test_the_data_must_lie_in_its_root(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "elsewhere").mkdir()
    inside = Settings(data=tmp_path / "shop", data_root=tmp_path)
    assert inside.data_dir() == (tmp_path / "shop").resolve()
    (tmp_path / "shop" / "link").symlink_to(tmp_path / "elsewhere")
    for outside in (
        tmp_path / "elsewhere",
        tmp_path / "shop" / ".." / "elsewhere",
        tmp_path / "shop" / "link",
    ):
        with pytest.raises(
            SettingsError, match=r"lies outside RECS_DATA_ROOT .*: move it or change the root\."
        ):
            Settings(data=outside, data_root=tmp_path / "shop").data_dir()


def test_the_data_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("")
    for wrong in (tmp_path / "nothing", tmp_path / "orders.csv"):
        with pytest.raises(
            SettingsError, match=r"is not a folder: point it at the folder with the raw files\."
        ):
            Settings(data=wrong).data_dir()


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValidationError):
        Settings().seed = 1


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    clean = {name: value for name, value in os.environ.items() if not name.startswith("RECS_")}
    return subprocess.run(
        [sys.executable, "-m", "recs_assets", *arguments],
        cwd=PROJECT_ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_prints_every_setting_with_its_meaning() -> None:
    done = cli("settings")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for name, field in Settings.model_fields.items():
        place = next(n for n, line in enumerate(lines) if line.startswith(f"RECS_{name.upper()}="))
        assert field.description
        assert len(field.description) > 15
        assert lines[place + 1].strip() == field.description


def test_a_wrong_setting_is_one_plain_sentence() -> None:
    done = cli("settings", RECS_FIRST_WEEK="2025-06-17")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [error] = done.stderr.splitlines()
    assert error.startswith("Error: RECS_FIRST_WEEK: ")
    assert "must be a Monday" in error


def test_the_secret_is_never_printed() -> None:
    done = cli("settings", RECS_HASH_KEY="a secret of the shop")
    assert "RECS_HASH_KEY=**********" in done.stdout
    assert "a secret of the shop" not in done.stdout + done.stderr
    short = cli("settings", RECS_HASH_KEY="tiny-secret")
    assert short.returncode == 1
    assert "RECS_HASH_KEY: it is shorter than 16 characters" in short.stderr
    assert "tiny-secret" not in short.stderr


@pytest.mark.parametrize(
    "address",
    [
        "sc://myhost;token=SECRET",
        "sc://127.0.0.1:15999/token=SECRET",
        "sc://myhost:65536/;token=SECRET",
        "SECRET",
    ],
)
def test_an_address_of_the_engine_that_is_none_is_refused_unquoted(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("RECS_ENGINE", address)
    with pytest.raises(SettingsError) as raised:
        Settings()
    assert str(raised.value) == (
        "RECS_ENGINE: it is no address of Spark Connect; write sc://host:port or sc://host:port/;token=...;name=value, "
        "with / = ? # in a value as %2F %3D %3F %23."
    )


def test_an_address_of_the_engine_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECS_ENGINE", "sc://myhost:443/;token=a%3D;x-shop=1")
    engine = Settings().engine
    assert engine is not None
    assert engine.get_secret_value() == "sc://myhost:443/;token=a%3D;x-shop=1"


def test_the_lake_is_a_folder_or_a_part_of_a_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECS_LAKE", "s3://me:password@bucket/recs")
    with pytest.raises(SettingsError, match=r"^RECS_LAKE: .* may hold no user or password") as raised:
        Settings()
    assert "password@" not in str(raised.value)
    monkeypatch.setenv("RECS_LAKE", "s3://bucket/recs/")
    assert Settings().lake == "s3://bucket/recs"
    monkeypatch.chdir(tmp_path)
    for name, folder in (("lake", tmp_path / "lake"), ("/mnt/recs", Path("/mnt/recs")), ("", None)):
        monkeypatch.setenv("RECS_LAKE", name)
        assert Settings().lake == folder
