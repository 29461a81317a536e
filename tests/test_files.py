"""Folders that are replaced in whole, descriptions that say when they were changed."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path

import pytest

from recs_assets.files import add_folder, point, replace_folder, seal, unseal, write_whole


def test_a_folder_is_replaced_in_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    for text in ("old", "new"):
        with replace_folder(folder) as aside:
            assert list(aside.iterdir()) == []
            (aside / f"{text}.txt").write_text(text)
            assert [path.name for path in folder.glob("*")] == (["old.txt"] if text == "new" else [])
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    with replace_folder(tmp_path / "model") as aside:
        (aside / "a.txt").write_text("old")

    def fill() -> None:
        with replace_folder(tmp_path / "model") as aside:
            (aside / "b.txt").write_text("new")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fill()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "model",
        "model/a.txt",
    ]


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".model.next").mkdir()
    (tmp_path / ".model.next" / "half").touch()
    with replace_folder(tmp_path / "model") as aside:
        assert list(aside.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_of_two_who_fill_a_folder_at_once_the_first_stays_in_whole(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "result"
    with ExitStack() as first, ExitStack() as second:
        place = first.enter_context(add_folder(folder))
        (place / "a.txt").write_text("a")
        other = second.enter_context(add_folder(folder))
        (other / "b.txt").write_text("b")
        (place / "rest.txt").write_text("a")
        first.close()
        assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "rest.txt"]
        (other / "rest.txt").write_text("b")
        second.close()
    assert [(path.name, path.read_text()) for path in sorted(folder.iterdir())] == [
        ("a.txt", "a"),
        ("rest.txt", "a"),
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["result"]


def test_a_folder_that_cannot_be_put_in_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("a file")
    with pytest.raises(OSError, match="result"), add_folder(tmp_path / "result"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_sealed_description_is_what_it_was() -> None:
    text = seal({"b": [1, 0.1, None], "a": "ä"})
    assert unseal(text) == {"b": [1, 0.1, None], "a": "ä"}
    assert '"description_sha256": "' in text
    for changed in (
        text.replace("0.1", "0.2"),
        text.replace("description_sha256", "other"),
        text[:-5],
        "[]",
        "{}",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - JSON's own sentence, or ours
            unseal(changed)
    with pytest.raises(ValueError, match="JSON"):
        seal({"a": math.nan})


def test_a_link_is_switched_in_one_rename(tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / ".current.next").symlink_to("of a killed process")
    for name in ("a", "b"):
        (tmp_path / "versions" / name).touch()
        point(tmp_path / "current", tmp_path / "versions" / name)
        assert str((tmp_path / "current").readlink()) == f"versions/{name}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "versions"]


def test_a_text_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "one.json"
    write_whole(path, "one")
    assert path.read_text() == "one"

    def refuse(self: Path, target: Path) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no room"):
        write_whole(path, "two")
    assert path.read_text() == "one"
    assert [one.name for one in path.parent.iterdir()] == ["one.json"]
