"""The YAML of a table: what is read, and one sentence with file and line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from helpers.declared_tables import FILES, HOMES, MESSAGES, SHARED_FILES, TAGS, TICKETS, WEATHER, write_files
from recs_assets.campaigns.file import CampaignError, load
from recs_assets.declared_tables.file import RESERVED, TableError, find_carried, load_tables
from recs_assets.queries.catalogue import CATALOGUE


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (
            TICKETS.replace("time: opened_at\n", ""),
            1,
            "time: it is missing; name the column that says when a row became known, or write static: true if no row is "
            "ever added or changed; correct it.",
        ),
        (
            TICKETS + "static: true\n",
            11,
            "static: a table with a time changes; leave one of the two out; correct it.",
        ),
        (
            TICKETS.replace("key: ticket_id", "key: id"),
            2,
            "key: there is no column id; the columns are ticket_id, ",
        ),
        (
            TICKETS.replace("time: opened_at", "time: topic"),
            3,
            "time: topic is a text; it must be a time or a date; correct it.",
        ),
        (TICKETS.replace("severity: number", "severity: int"), 5, "columns.severity: "),
        (
            TICKETS.replace("{customer_id: customers, ", "{"),
            7,
            "references: customer_id must refer to customers, or have another name; correct it.",
        ),
        (
            TICKETS.replace("product_id: products}", "product_id: goods}"),
            7,
            "references: product_id must refer to products, or have another name; correct it.",
        ),
        (TICKETS.replace("{date}", "{when}"), 10, "reason: a sentence may name {date} and nothing else"),
        (
            TICKETS.replace("[agent]", "[ticket_id]"),
            9,
            "personal: ticket_id is needed to read the table; correct it.",
        ),
        (
            TICKETS.replace("topic: text", "known_at: time"),
            4,
            "columns: known_at is a column that is added to every table",
        ),
        (TICKETS + "colour: red\n", 11, "there is no key colour; did you mean columns?"),
        (
            TICKETS.replace("topic: text", "order: text"),
            4,
            "columns: order is a word of SQL; call the column otherwise, in the file or in <table>.sql",
        ),
        ("", 1, "a table is a list of keys and values (docs/your_tables.md); write description: first."),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, sentence: str):
    folder = write_files(tmp_path / "tables", tickets=text)
    with pytest.raises(TableError) as caught:
        load_tables(folder)
    assert (caught.value.path.name, caught.value.line) == ("tickets.yaml", line)
    assert caught.value.message.startswith(sentence)


def test_a_reference_leads_to_a_table_that_is_there(tmp_path: Path):
    with pytest.raises(
        TableError, match="references: tickets is no table; a column may refer to customers, products, orders"
    ):
        load_tables(write_files(tmp_path / "alone", messages=MESSAGES))
    circle = MESSAGES.replace("ticket_id: tickets", "ticket_id: messages")
    with pytest.raises(TableError, match=r"they lead in a circle \(messages -> messages\); remove one"):
        load_tables(write_files(tmp_path / "circle", messages=circle))
    tagged = "description: Of tags.\nkey: id\ntime: used_at\ncolumns: {id: text, used_at: time, tag: text}\nreferences: {tag: tags}\n"
    with pytest.raises(TableError, match="line 5: references: tags has a key of several columns"):
        load_tables(write_files(tmp_path / "several", tags=TAGS, uses=tagged))


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (
            "customers.region",
            "customers has no column region that a table may be about; there are country, locale, currency, timezone, segment.",
        ),
        (
            "customers.postcode",
            "customers.postcode says who somebody is; a table may be about country, locale, currency, timezone, segment of",
        ),
        ("customers.email", "customers.email says who somebody is; "),
        ("customers.customer_id", "customer_id is the key of customers; write customer_id: customers."),
        (
            "products.name",
            "products has no column name that a table may be about; there are category, brand, vertical, merchant_id, parent_id.",
        ),
        (
            "orders.status",
            "orders is no table whose columns a table may be about; there are customers, products, cards, holidays, homes, ",
        ),
        (
            "weather.sky",
            "weather is no table whose columns a table may be about; there are customers, products, cards, holidays, homes, ",
        ),
        ("homes.town", "homes has no column town that a table may be about; there are region."),
        ("homes.customer_id", "homes has no column customer_id that a table may be about; there are region."),
        ("tickets.ticket_id", "ticket_id is the key of tickets; write tickets alone."),
        ("tickets.agent", "tickets has no column agent that a table may be about; there are topic."),
        ("tickets.severity", "tickets has no column severity that a table may be about; there are topic."),
        ("holidays.name", "rows of holidays lead to no customer and no product, so nobody carries its name."),
        (
            "tags.tag",
            "tags has no time, so of several rows of one customer or product none is the latest; give it a time, ",
        ),
        ("households", "households has one row per customer; refer to customers."),
    ],
)
def test_a_reference_to_a_value_is_to_one_that_many_share(tmp_path: Path, reference: str, sentence: str):
    files = {**FILES, **SHARED_FILES, "weather": WEATHER.replace("homes.region", reference)}
    with pytest.raises(TableError) as caught:
        load_tables(write_files(tmp_path / "tables", **files))
    assert (caught.value.path.name, caught.value.line) == ("weather.yaml", 5)
    assert caught.value.message.startswith(f"references: {sentence}")


def test_a_sentence_about_everybody_of_a_region_is_refused(tmp_path: Path):
    files = {"homes": HOMES, "weather": WEATHER + "reason: It rains where you live\n"}
    with pytest.raises(
        TableError, match=r"line 6: reason: rows are of many at once over region, and a sentence is about"
    ):
        load_tables(write_files(tmp_path / "tables", **files))


def test_the_shipped_examples_are_read():
    folder = Path(__file__).resolve().parents[2] / "examples" / "tables"
    assert list(load_tables(folder)) == ["tickets"]
    tables = load_tables(folder / "weather_by_region")
    assert find_carried(tables["weather"], "customers", tables) == ("region", False, "homes", "region")


@pytest.mark.parametrize("name", ["orders", "price", "transactions", "visits_of_customers"])
def test_a_name_that_means_something_else_is_refused(tmp_path: Path, name: str):
    with pytest.raises(TableError, match="this name has a meaning already"):
        load_tables(write_files(tmp_path / "tables", **{name: TAGS}))


@pytest.mark.parametrize("name", ["select", "order", "table"])
def test_a_word_of_sql_is_refused_as_a_name(tmp_path: Path, name: str):
    with pytest.raises(
        TableError, match=f"{name} is a word of SQL; call the table otherwise, and name its file"
    ):
        load_tables(write_files(tmp_path / "tables", **{name: TAGS}))


def test_the_refused_words_are_those_that_need_quotes():
    """Of every keyword of DuckDB: each other one may name a table and a column of the models."""
    needed = set()
    with duckdb.connect() as connection:
        for (word,) in connection.execute("select keyword_name from duckdb_keywords()").fetchall():
            table = f"with {word} as (select 'a' as x) select of_{word}.x from {word} left join {word} as of_{word} using (x)"
            column = f"select trim({word}) as {word}, source.{word} from (select 'a' as \"{word}\") as source group by {word}"
            try:
                assert connection.execute(table).fetchall() == [("a",)]
                assert connection.execute(column).fetchall() == [("a", "a")]
            except (duckdb.Error, AssertionError):
                needed.add(word)
    assert needed == RESERVED


def test_tables_stand_after_those_that_they_refer_to(tmp_path: Path):
    tables = load_tables(write_files(tmp_path / "tables", messages=MESSAGES, tickets=TICKETS))
    assert list(tables) == ["tickets", "messages"]
    assert tables["tickets"].known_from == {"resolved_at": "resolved_at", "stars": "resolved_at"}
    assert tables["tickets"].reasons == {"": "You asked us about it on {date}"}
    assert load_tables(None) == {}
    (tmp_path / "tables" / "visits.yml").write_text(TAGS)
    with pytest.raises(TableError, match=r"it is not read; name it \.yaml"):
        load_tables(tmp_path / "tables")


def test_a_campaign_may_ask_about_it(tmp_path: Path):
    catalogue = CATALOGUE.extend(load_tables(write_files(tmp_path / "tables")))
    path = tmp_path / "askers.yaml"
    path.write_text(
        "name: askers\nowner: team:crm\ndescription: Whoever asked lately.\n"
        "query: |\n  PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 6\n"
        "  FOR EACH customers.customer_id WHERE COUNT(messages.*, -14, 0, days) > 0\n"
        'schedule:\n  cron: "0 6 * * 1"\narms: {large: 0.5, small: 0.5}\nshadows:\n  short:\n    slots: {k: 3}\n'
    )
    campaign = load(path, catalogue)
    assert campaign.lists_products
    # A changed campaign asks about the same tables.
    assert campaign.change({"slots": {"k": 3}}).target == campaign.target
    with pytest.raises(CampaignError, match=r"line 6: query: .* there is no table messages"):
        load(path)
