"""The command line: what it prints, and one sentence where something is wrong."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from recs_assets.cli.main import main
from recs_assets.store.warehouse import Warehouse

WEEK = date(2024, 3, 4)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment that has published one small table."""
    house = Warehouse(tmp_path / "home", threads=1, memory_limit="512MB")
    with house.build(WEEK).write() as connection:
        connection.execute("create schema recs")
        connection.execute(
            "create table recs.products as select * from (values ('p1', 'Tea | green', 2.5), "
            "('p2', 'Mug\nblue', null), ('p3', null, 1234567.25)) as t (product_id, product_name, price)"
        )
    house.publish(WEEK, "run-0000-1111", datetime(2024, 3, 4), "1.2.3")
    monkeypatch.setenv("RECS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


TABLE = """\
| product_id | product_name | price      |
| ---------- | ------------ | ---------- |
| p1         | Tea \\| green | 2.5        |
| p2         | Mug blue     |            |
| p3         |              | 1234567.25 |

3 rows
"""


def test_sql_prints_a_table_that_is_markdown_and_can_be_read(home, tmp_path, capsys):
    query = "select product_id, product_name, price::double as price from recs.products order by 1"
    assert main(["sql", query]) == 0
    assert capsys.readouterr().out == TABLE
    (tmp_path / "my query.sql").write_text(f"-- What is sold?\n{query};\n")
    assert main(["sql", str(tmp_path / "my query.sql")]) == 0
    assert capsys.readouterr().out == TABLE
    assert main(["sql", "select count(*) as n from recs.products where price > 9e9"]) == 0
    assert capsys.readouterr().out == "| n   |\n| --- |\n| 0   |\n\n1 row\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nothing.sql", "nothing.sql is no file of SQL: name one, or write the query in quotes."),
        ("product", "product is no file of SQL: name one, or write the query in quotes."),
        ("select * frm x", 'The query cannot be answered (Parser Error: syntax error at or near "x"): correct it'),
        ("select * from recs.prodcts", "The query cannot be answered (Catalog Error: Table with name prodcts does"),
        ("select 'x'::integer", "The query cannot be answered (Conversion Error: Could not convert string 'x' to"),
        ("delete from recs.products", "The query cannot be answered (Invalid Input Error: Cannot execute statement"),
        ("create table recs.t as select 1", "The query cannot be answered (Invalid Input Error: Cannot execute"),
        ("copy recs.products to 'out.csv'", "The query cannot be answered (Permission Error: Cannot access file"),
        ("select * from read_text('/etc/passwd')", "The query cannot be answered (Permission Error: "),
        ("attach 'other.duckdb'", "The query cannot be answered (Permission Error: "),
    ],
)  # fmt: skip
def test_sql_that_cannot_be_answered_is_one_sentence(home, capsys, text, sentence):
    assert main(["sql", text]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"Error: {sentence}")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith(".\n")


def test_sql_before_anything_is_published_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECS_HOME", str(tmp_path))
    assert main(["sql", "select 1"]) == 1
    assert capsys.readouterr().err.startswith("Error: Nothing is published yet")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RECS_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert main(["prepare"]) == 1
    assert capsys.readouterr().err == (
        f"Error: {tmp_path}/file/dagster cannot be used (Not a directory): choose another place, or repair it.\n"
    )
