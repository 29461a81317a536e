"""Macros of dbt that are written anew for Spark say there what they say in DuckDB. The engine is Sail."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
import pytest
from pyarrow import parquet

from helpers.sail import start_sail
from helpers.shops import ROOT
from recs_assets.plain_text import plain_text

MACROS = ROOT / "dbt_project" / "macros"
VARS = {"guest_ids": [" ΕΠΙΣΚΕΠΤΗΣ "], "shop_currency": "SEK"}
# Unicode's blanks (category Zs), which DuckDB trims, and what it does not.
BLANKS = (
    "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
# Upper-case letters of Unicode 16 and 17, which Spark 4.1 and Sail know and DuckDB 1.5 does not: docs/scale.md.
NEW_LETTERS = {
    0x1C89, 0xA7CB, 0xA7CC, 0xA7CE, 0xA7D2, 0xA7D4, 0xA7DA, 0xA7DC, *range(0x10D50, 0x10D66), *range(0x16EA0, 0x16EB9)
}  # fmt: skip
TEXTS = [
    "C34\u00a0", f"{BLANKS}C35{BLANKS}", BLANKS, "", None, "\tC36\n", "C 37", "\u200bC38", "NULL\u3000", "n\u0130l", "\u2013", "Nu\u212al",
    "\u0130PTAL - ED\u0130LD\u0130", "ΟΔΟΣ", "οδος", "ΕΠΙΣΚΕΠΤΗΣ", "επισκεπτησ\u2009", "Straße", "ǅ", "erased\u00a0", "Kr.", "zŁ", "K\u010c",
    "usd", "us dollar\u00a0", "usß", "руБ", "x\u00a0@y.de", "x y@y.de", "x\v@y.de", "a,b@c.de", "o'b\\c",
]  # fmt: skip


def list_texts() -> list[str | None]:
    """The texts above, all letters that have a case and all signs that may be blanks, and texts at random of what is special."""
    letters = [chr(code) for code in range(1, sys.maxunicode + 1) if code not in NEW_LETTERS]
    known = [
        letter
        for letter in letters
        if letter.lower() != letter.upper() or unicodedata.category(letter) in ("Zs", "Zl", "Zp", "Cc", "Cf")
    ]
    some = random.Random(18)
    special = [*BLANKS, *"aAzZ09\t\n'\\İΣσςßé\u0301ǅ\u212aſıŁč–@.", "null", "kr", "\U0001f600"]
    mixed = ["".join(some.choices(special, k=some.randint(1, 8))) for _ in range(5_000)]
    return [*TEXTS, *mixed, *(f"{letter}b{letter}" for letter in known)]


def load_macros(engine: str) -> Any:
    """The macros as dbt calls them on an engine, `duckdb` or `spark`."""
    texts = [
        (MACROS / f"{name}.sql").read_text("utf-8")
        for name in ("text", "words", "currencies", "consent", "spark")
    ]
    # Without dbt's own statement of Jinja.
    source = re.sub(r"{% materialization .*?{% endmaterialization %}", "", "".join(texts), flags=re.S)
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)

    def dispatch(name: str, package: str) -> Callable[..., str]:
        return getattr(recs, f"{engine}__{name}", None) or getattr(recs, f"duckdb__{name}")

    recs = SimpleNamespace()
    environment.globals |= {
        "recs": recs,
        "adapter": SimpleNamespace(dispatch=dispatch),
        "return": lambda value: value,
        "var": VARS.get,
        "modules": SimpleNamespace(re=re),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of backslashes in Jinja's literals
        module = environment.from_string(source).module
    recs.__dict__.update(vars(module))
    return recs


# What is asked of a text x.
EXPRESSIONS: dict[str, Callable[[Any], str]] = {
    "clean_text": lambda macros: macros.clean_text("x"),
    "clean_code": lambda macros: macros.clean_code("x"),
    "lower_case": lambda macros: macros.lower_case("x"),
    "stated": lambda macros: macros.stated(macros.clean_text("x")),
    "customer_or_guest": lambda macros: macros.customer_or_guest("x"),
    "currency_code": lambda macros: macros.currency_code("x"),
    # What DuckDB computes on the engine, too.
    **{
        name: lambda macros, name=name: getattr(macros, name)("x")
        for name in (
            "plain_text",
            "folded",
            "squeezed",
            "id_shape",
            "event_type_of",
            "event_withdrawal",
            "address_key",
            "address_kind",
            "withdrawal_address",
            "plain_id",
            "without_emails",
        )
    },
    "holds_email": lambda macros: f"cast({macros.holds_email('x')} as varchar(5))",
    "is_declared": lambda macros: (
        f"cast({macros.lower_case('x')} in ({macros.sql_texts(['ΟΔΟΣ', 'İPTAL'], fold=True)}) as varchar(5))"
    ),
}
ASK = """
import json, sys
from pyspark import cloudpickle
from pyspark.sql.functions import arrow_udf
from pyspark.sql.types import StringType
from recs_assets.engine.session import connect, in_duckdb, ship_functions
ship_functions(cloudpickle)
address, folder, asked = sys.argv[1], sys.argv[2], json.loads(sys.stdin.read())
with connect(address) as session:
    session.conf.set("spark.sql.ansi.enabled", "false")  # as dbt-spark does
    session.udf.register("in_duckdb", arrow_udf(in_duckdb, StringType()))
    for name, (rows, select) in asked.items():
        session.read.parquet(f"{folder}/{rows}.parquet").createOrReplaceTempView("texts")
        session.sql(select).toPandas().to_json(f"{folder}/{name}.json", orient="values")
"""


@pytest.fixture(scope="module")
def texts() -> pa.Table:
    values = list_texts()
    return pa.table({"place": range(len(values)), "x": pa.array(values, pa.string())})


@pytest.fixture(scope="module")
def answers(
    texts: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], list[Any]]]:
    """What Sail makes of the texts and times, by the name of what was asked."""
    folder, macros = tmp_path_factory.mktemp("sail"), load_macros("spark")
    parquet.write_table(texts, folder / "texts.parquet")
    news = pa.table({"place": sorted(NEW_LETTERS), "x": [chr(code) for code in sorted(NEW_LETTERS)]})
    parquet.write_table(news, folder / "news.parquet")
    columns = ", ".join(f"{ask(macros)} as {name}" for name, ask in EXPRESSIONS.items())
    asked = {
        "texts": ("texts", f"select {columns} from texts order by place"),
        "news": ("news", f"select place from texts where {macros.lower_case('x')} <> x order by place"),
        "times": ("texts", select_seconds(macros.spark__datediff)),
        "nothing": (
            "texts",
            "select "
            + ", ".join(
                f"{expression} as c{place}" for place, expression in enumerate([*STOPS, IS_INFINITE])
            ),
        ),
    }
    sail = start_sail()
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ASK, sail.url, folder],
            cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    finally:
        sail.kill()
    assert done.returncode == 0, done.stderr
    return lambda name: json.loads((folder / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_text_is_on_an_engine_what_it_is_in_duckdb(
    texts: pa.Table, answers: Callable[[str], list[Any]], name: str
) -> None:
    place = list(EXPRESSIONS).index(name)
    with duckdb.connect() as connection:
        connection.create_function("plain_text", plain_text, ["VARCHAR"], "VARCHAR")
        expected = connection.execute(
            f"select x, {EXPRESSIONS[name](load_macros('duckdb'))} from texts order by place"
        ).fetchall()
    different = [
        (text, ours, theirs[place])
        for (text, ours), theirs in zip(expected, answers("texts"), strict=True)
        if ours != theirs[place]
    ]
    assert different == []


def test_what_blanks_and_cases_are_read_as() -> None:
    macros = load_macros("duckdb")
    with duckdb.connect() as connection:

        def read(name: str, text: str) -> str | None:
            [(value,)] = connection.execute(
                f"select {EXPRESSIONS[name](macros)} from (select $1 as x)", [text]
            ).fetchall()
            return value

        assert [read("clean_text", text) for text in ("C34\u00a0", f"{BLANKS}C35", BLANKS, "\tC36")] == [
            "C34", "C35", None, "\tC36"
        ]  # fmt: skip
        assert read("clean_code", "Erased\u00a0") == "erased"
        assert read("clean_code", "ΣΕ ΟΔΟΣ") == "σε_οδοσ"
        assert read("stated", "n\u0130l\u3000") is None
        assert [read("customer_or_guest", text) for text in ("επισκεπτησ", "ΕΠΙΣΚΕΠΤΗΣ", "C1")] == [
            None,
            None,
            "C1",
        ]
        assert [read("currency_code", text) for text in ("zŁ", "kr.", "Eur", "руБ", "US dollar")] == [
            "PLN", "SEK", "EUR", "руб", "USD"
        ]  # fmt: skip


def test_letters_that_duckdb_does_not_know_keep_their_case_there_only(
    answers: Callable[[str], list[Any]],
) -> None:
    """The difference that remains; where DuckDB knows them, the list gets shorter and the page, too."""
    with duckdb.connect() as connection:
        codes = connection.execute(
            "select code from (select unnest($1) as code) where lower(chr(code)) <> chr(code)",
            [sorted(NEW_LETTERS)],
        ).fetchall()
    assert codes == []
    assert {code for (code,) in answers("news")} == NEW_LETTERS


# Moments whose fractions decide, each with the next one.
TIMES = (
    ("2024-01-01 00:00:00.9", "2024-01-08 00:00:00.1"),
    ("2024-01-08 00:00:00.1", "2024-01-01 00:00:00.9"),
    ("2024-01-01 00:00:00.999999", "2024-01-01 00:00:01"),
    ("1969-12-31 23:59:59.5", "1970-01-01 00:00:00.4"),
    ("2024-01-01 00:00:00", "2024-01-29 00:00:00"),
)


def select_seconds(datediff: Callable[[str, str, str], str]) -> str:
    days = datediff("cast('2024-02-28' as date)", "cast('2024-03-01' as date)", "day")
    seconds = [
        datediff(f"cast('{first}' as timestamp)", f"cast('{second}' as timestamp)", "second")
        for first, second in TIMES
    ]
    return f"select {', '.join(f'{count} as count{place}' for place, count in enumerate([*seconds, days]))}"


def test_units_between_times_are_counted_alike(answers: Callable[[str], list[Any]]) -> None:
    with duckdb.connect() as connection:
        ours = connection.execute(
            select_seconds(lambda a, b, unit: f"datediff('{unit}', {a}, {b})")
        ).fetchall()
    assert ours == [(604800, -604800, 1, 1, 28 * 86400, 2)]
    assert answers("times") == [list(row) for row in ours]


# Without spark.sql.ansi.enabled, which dbt-spark takes away.
STOPS = ("cast('a' as int)", "cast('2024-13-01' as date)", "cast(12345 as decimal(3, 1))")
IS_INFINITE = "cast('1' as double) / cast('0' as double)"


def test_what_cannot_be_computed_is_null_on_an_engine_only(answers: Callable[[str], list[Any]]) -> None:
    """The difference that remains (docs/scale.md)."""
    assert answers("nothing") == [[None, None, None, None]]
    with duckdb.connect() as connection:
        for expression in STOPS:
            with pytest.raises(duckdb.ConversionException):
                connection.execute(f"select {expression}")
        assert connection.execute(f"select {IS_INFINITE}").fetchall() == [(float("inf"),)]


def test_models_change_no_case_and_trim_nothing_themselves() -> None:
    """The dispatched macros do it."""
    found = []
    for path in [*MACROS.glob("*.sql"), *MACROS.parent.glob("models/**/*.sql")]:
        if path.name == "spark.sql":
            continue
        sql = re.sub(r"{#.*?#}", "", path.read_text("utf-8"), flags=re.S)
        sql = re.sub(r"{% macro duckdb__.*?{%- endmacro %}", "", sql, flags=re.S)
        words = re.findall(
            r"\b(?:[lrb]?trim|lower|upper|initcap|datediff)\b ?\(", sql.replace("dbt.datediff(", "")
        )
        found += [f"{path.name}: {word}" for word in words]
    assert found == []
