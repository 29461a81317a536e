"""Files of the lake that several attempts at one task write at once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from recs_assets.locations import list_parquet, write_whole_file


def test_two_who_write_a_file_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "given" / "0.parquet"
    with ExitStack() as first, ExitStack() as second:
        ours = first.enter_context(write_whole_file(path, tmp_path))
        ours.write_text("a whole one")
        theirs = second.enter_context(write_whole_file(path, tmp_path))
        theirs.write_text("half")
        # Whoever reads the folder meanwhile: neither DuckDB nor an engine sees what is on its way.
        assert list_parquet(path.parent) == []
        assert all(aside.name.startswith(".") for aside in path.parent.iterdir())
        first.close()
        assert path.read_text() == "a whole one"
        theirs.write_text("whole, too")
    assert path.read_text() == "whole, too"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    path.write_text("before")

    def fill() -> None:
        with write_whole_file(path, tmp_path) as aside:
            aside.write_text("half")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        fill()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("0.parquet", "before")]
