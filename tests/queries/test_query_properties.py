"""Rules that hold for every query: round trips, only `QueryError` escapes, and no way to inject SQL."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recs_assets.queries.catalogue import CATALOGUE
from recs_assets.queries.compiler import compile_entities, compile_items, compile_labels, explain
from recs_assets.queries.parser import MAX_CHARACTERS, parse
from recs_assets.queries.syntax import (
    FUNCTIONS,
    UNITS,
    Aggregate,
    And,
    Column,
    Comparison,
    Literal,
    Not,
    Or,
    Query,
    QueryError,
    Window,
)

AS_OF = date(2024, 3, 4)
EACH = "FOR EACH customers.customer_id"
QUERIES = [
    "PREDICT LIST_DISTINCT(transactions.item_id WHERE item_id.price > 10, 0, 30, days) RANK TOP 12\n"
    "FOR EACH users.user_id WHERE users.email_eligible == 1",
    "PREDICT LIST_DISTINCT(transactions.vertical, 0, 30, days) CLASSIFY FOR EACH users.user_id # list\n"
    "WHERE COUNT(transactions.* WHERE category IN ('a', 'b''c'), -90, 0, days) >= 3 AS OF '2024-03-04'",
    "PREDICT BOOL(orders.product_id, 0, 14, days) FOR EACH customers.customer_id, products.product_id RANK TOP 5",
    "PREDICT SUM(order_lines.amount, 0, 90, days) > 0 AND NOT (MAX(reviews.rating, 0, 2, months) <= 2.5\n"
    "OR LAST(order_lines.brand, 0, 36, hours) STARTS WITH 'F') FOR EACH customers.customer_id\n"
    "WHERE segment NOT LIKE '%x%' AND joined_at IS NOT NULL OR country CONTAINS \"D\" AND joined_at < 2024-01-01",
]

# -- round trips ------------------------------------------------------------------------------

KEYWORDS = {
    *[
        "predict",
        "for",
        "where",
        "and",
        "or",
        "not",
        "in",
        "like",
        "contains",
        "starts",
        "ends",
        "is",
        "null",
        "as",
    ],
    *["rank", "classify", "forecast", "assuming", "true", "false", "each"],
    *(function.lower() for function in FUNCTIONS),
}
members = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
names = members.filter(lambda name: name not in KEYWORDS)
columns = st.builds(lambda first, rest: Column((first, *rest)), names, st.lists(members, max_size=3))
texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)
literals = st.builds(
    Literal,
    st.one_of(
        texts,
        st.booleans(),
        st.integers(-(10**16), 10**16),
        st.floats(allow_nan=False, allow_infinity=False),
        st.dates(),
    ),
)


def comparisons(operand):
    one = st.sampled_from(
        ["=", "!=", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "CONTAINS", "STARTS WITH", "ENDS WITH"]
    )
    return st.one_of(
        st.builds(lambda left, word, value: Comparison(left, word, (value,)), operand, one, literals),
        st.builds(
            lambda left, word, values: Comparison(left, word, tuple(values)),
            operand,
            st.sampled_from(["IN", "NOT IN"]),
            st.lists(literals, min_size=1, max_size=3),
        ),
        st.builds(Comparison, operand, st.sampled_from(["IS NULL", "IS NOT NULL"])),
    )


def chain(kind, items):
    """A chain never holds a chain of its own kind: the parser joins the two."""
    flat = [part for item in items for part in (item.items if isinstance(item, kind) else (item,))]
    return kind(tuple(flat))


def conditions(operand):
    return st.recursive(
        comparisons(operand),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(lambda items: chain(And, items), st.lists(inner, min_size=2, max_size=3)),
            st.builds(lambda items: chain(Or, items), st.lists(inner, min_size=2, max_size=3)),
        ),
        max_leaves=6,
    )


windows = st.builds(
    Window, st.one_of(st.none(), st.integers(-999, 999)), st.integers(-999, 999), st.sampled_from(UNITS)
)
aggregates = st.builds(
    Aggregate,
    st.sampled_from(FUNCTIONS),
    st.one_of(columns, names.map(lambda name: Column((name, "*")))),
    st.one_of(st.none(), conditions(columns)),
    windows,
)
modes = st.one_of(
    st.just((None, None)),
    st.just(("classify", None)),
    st.tuples(st.just("rank"), st.one_of(st.none(), st.integers(0, 2000))),
)
queries = st.builds(
    lambda target, entity, mode, where, as_of: Query(target, tuple(entity), *mode, where, as_of),
    st.one_of(aggregates, conditions(aggregates)),
    st.lists(columns, min_size=1, max_size=2),
    modes,
    st.one_of(st.none(), conditions(st.one_of(columns, aggregates))),
    st.one_of(st.none(), st.dates()),
)


@given(queries.filter(lambda query: len(str(query)) <= MAX_CHARACTERS))
@settings(max_examples=300, deadline=None)
def test_a_query_written_out_reads_as_itself(query):
    # repr tells 1 from 1.0 and from true, which are equal in Python.
    assert repr(parse(str(query))) == repr(query)


# -- only QueryError escapes ------------------------------------------------------------------

WORDS = [
    *re.findall(r"\w+|[^\w\s]+|\s+", " ".join(QUERIES)),
    "(", ")", "'", '"', "#", "\n", "NOT", "-INF", "RANK TOP", "FORECAST 2", "ASSUMING", "9" * 30, "1e999", "2024-02-30",
    "; drop table marts.customers --", "\x00", "\ud800", "ﬀ", "٣", "*", "\u2028",
]  # fmt: skip


def compile_all(text: str) -> list[tuple[str, dict]]:
    """Everything a text can become; empty when it is refused."""
    try:
        query = parse(text)
        statements = [compile_entities(query, AS_OF), compile_labels(query, AS_OF)]
        if query.mode is not None:
            statements.append(compile_items(query, AS_OF))
        assert explain(query, AS_OF)
    except QueryError:
        return []
    return statements


@given(st.text(max_size=200))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_query_or_a_query_error(text):
    compile_all(text)


@given(st.lists(st.sampled_from(WORDS), max_size=60).map("".join))
@settings(max_examples=500, deadline=None)
def test_any_words_are_a_query_or_a_query_error(text):
    compile_all(text)


@st.composite
def mutated(draw):
    """A valid query with up to four of its words replaced, removed, doubled or swapped."""
    words = re.findall(r"\w+|[^\w\s]+|\s+", draw(st.sampled_from(QUERIES)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(words) - 1))
        change = draw(st.sampled_from(["replace", "insert", "remove", "double", "swap", "case"]))
        if change == "replace":
            words[at] = draw(st.sampled_from(WORDS))
        elif change == "insert":
            words.insert(at, draw(st.one_of(st.sampled_from(WORDS), st.text(max_size=3))))
        elif change == "remove" and len(words) > 1:
            del words[at]
        elif change == "double":
            words.insert(at, words[at])
        elif change == "swap":
            words[at], words[0] = words[0], words[at]
        else:
            words[at] = words[at].swapcase()
    return "".join(words)


# Every word that SQL may hold: the catalogue's, the compiler's, and the names of parts and parameters.
SQL_WORDS = {
    *(word for table in CATALOGUE.tables.values() for word in re.findall(r"[a-z_]+", table.sql)),
    *(name for table in CATALOGUE.tables.values() for name in (table.name, *table.by_name)),
    *[
        "with",
        "distinct",
        "value",
        "label",
        "item",
        "events",
        "eligible",
        "count",
        "nullif",
        "sum",
        "min",
        "max",
        "avg",
    ],
    *["in", "not", "like", "position", "left", "right", "length", "is", "null", "true", "false"],
    *[
        "row_number",
        "over",
        "partition",
        "place",
        "placed",
        "desc",
        "group",
        "order",
        "by",
        "coalesce",
        "cast",
        "decimal",
        "double",
    ],
}
PART = re.compile(
    r"\$(v[0-9]+|as_of|until)|(past|target)_[0-9]+|later_(orders|order_lines|browsing_events|campaign_events)"
    r"|of_(customer|product|order|merchant|parent)_id(_(product|merchant|parent|customer)_id)*"
)


def assert_plain(sql: str) -> None:
    """Words of the list above, numbers and plain signs; but for the catalogue's own, no constant."""
    sql = sql.replace("'objected'", "")
    assert re.fullmatch(r"[a-z0-9_$.,()<>=+*/\s-]*", sql)
    assert not re.search(r"--|/\*", sql)
    words = set(re.findall(r"\$?[a-z_][a-z0-9_]*", sql))
    assert {word for word in words - SQL_WORDS if not PART.fullmatch(word)} == set()


@given(mutated())
@settings(max_examples=600, deadline=None)
@example(QUERIES[3])
def test_a_mutated_query_compiles_to_plain_sql_or_is_refused(database, text):
    for sql, parameters in compile_all(text):
        assert_plain(sql)
        database.execute(sql, parameters).fetchall()


VALUES = {
    "text": ["'milk'", "'a%'", "''", '"it\'s"'],
    "number": ["1", "-2.5", "1e3"],
    "time": ["'2024-01-31'", "2023-12-05", "'2024-03-01 10:00:00'"],
    "boolean": ["true", "0"],
}


@st.composite
def comparisons_of(draw, column: str, kind: str):
    """A comparison that is right for a column of that kind."""
    values = draw(st.lists(st.sampled_from(VALUES[kind]), min_size=2, max_size=2))
    tests = ["= {0}", "!= {0}", "IS NULL", "IS NOT NULL"]
    if kind != "boolean":
        tests += ["< {0}", "<= {0}", "> {0}", ">= {0}", "IN ({0}, {1})", "NOT IN ({0}, {1})"]
    if kind == "text":
        tests += ["LIKE {0}", "NOT LIKE {0}", "CONTAINS {0}", "STARTS WITH {0}", "ENDS WITH {0}"]
    text = f"{column} {draw(st.sampled_from(tests)).format(*values)}"
    return draw(st.sampled_from(["{}", "NOT {}", "({})"])).format(text)


@st.composite
def columns_of(draw, table: str, kinds: tuple[str, ...] = ("text", "number", "time", "boolean")):
    """A column of a table, or one that it reaches over foreign keys, and its kind."""
    path, fields = [table], CATALOGUE.tables[table].fields
    while True:
        keys = [one for one in fields if one.references is not None]
        if not keys or len(path) > 3 or draw(st.integers(0, 2)):
            fields = [one for one in fields if one.kind in kinds]
            if not fields:
                return draw(columns_of(table, kinds))
            one = draw(st.sampled_from(fields))
            return ".".join([*path, one.name]), one.kind
        key = draw(st.sampled_from(keys))
        path.append(key.name)
        fields = CATALOGUE.tables[key.references].fields


@st.composite
def aggregations(draw, ahead: bool):
    """An aggregation and the kind of its value."""
    table = draw(
        st.sampled_from(
            [table.name for table in CATALOGUE.tables.values() if table.has_events_of("customers")]
        )
    )
    function = draw(st.sampled_from([one for one in FUNCTIONS if one != "LIST_DISTINCT"]))
    column, kind = draw(columns_of(table, ("number",) if function in ("SUM", "AVG") else tuple(VALUES)))
    if function in ("COUNT", "BOOL") and draw(st.booleans()):
        column = f"{table}.*"
    where = ""
    if draw(st.booleans()):
        filtered = [draw(comparisons_of(*draw(columns_of(table)))) for _ in range(draw(st.integers(1, 3)))]
        where = " WHERE " + draw(st.sampled_from([" AND ", " OR "])).join(filtered)
    start, end = sorted(draw(st.lists(st.integers(0, 60), min_size=2, max_size=2, unique=True)))
    window = f"{start}, {end}" if ahead else f"{draw(st.sampled_from([-end, '-INF']))}, {-start}"
    text = f"{function}({column}{where}, {window}, {draw(st.sampled_from(UNITS))})"
    if function in ("COUNT", "COUNT_DISTINCT"):
        kind = "number"
    return text, "boolean" if function == "BOOL" else kind


@st.composite
def valid_queries(draw):
    """A query that means something in the catalogue."""
    if draw(st.booleans()):
        conditions = [
            draw(comparisons_of(*draw(aggregations(ahead=True)))) for _ in range(draw(st.integers(1, 3)))
        ]
        target = draw(st.sampled_from([" AND ", " OR "])).join(conditions)
    else:
        group = draw(st.sampled_from(["category", "brand", "vertical"]))
        where = draw(
            st.sampled_from(["", " WHERE " + draw(comparisons_of(*draw(columns_of("order_lines"))))])
        )
        target = f"LIST_DISTINCT(order_lines.{group}{where}, 0, 30) CLASSIFY"
    past = [draw(comparisons_of(*draw(aggregations(ahead=False)))) for _ in range(draw(st.integers(0, 2)))]
    where = [*past, draw(comparisons_of(*draw(columns_of("customers"))))]
    return f"PREDICT {target} {EACH} WHERE {draw(st.sampled_from([' AND ', ' OR '])).join(where)}"


@given(valid_queries())
@settings(max_examples=200, deadline=None)
def test_a_query_that_means_something_runs(database, text):
    query = parse(text)
    eligible = [customer for (customer,) in database.execute(*compile_entities(query, AS_OF)).fetchall()]
    labels = database.execute(*compile_labels(query, AS_OF)).fetchall()
    assert_plain(compile_labels(query, AS_OF)[0])
    if query.mode is None:
        assert [customer for customer, _ in labels] == eligible
        assert {label for _, label in labels} <= {True, False}
    else:
        items = database.execute(*compile_items(query, AS_OF)).fetchall()
        assert {customer for customer, _ in labels} <= set(eligible)
        assert {item for _, item in labels} <= {item for (item,) in items}


# -- injection --------------------------------------------------------------------------------

NASTY = [
    "'; drop table marts.customers; --",
    "' or '1'='1",
    '" or ""="',
    "$as_of",
    "$v1",
    "{known}",
    "x' /* ",
    "\\'",
    "%",
    "#",
    "\x00",
    "?",
    ":1",
]


def with_text(value: str) -> str:
    quoted = str(Literal(value))
    return (
        f"PREDICT LIST_DISTINCT(order_lines.product_id WHERE brand = {quoted} OR category LIKE {quoted} OR vertical IN "
        f"({quoted}, {quoted}) OR product_id CONTAINS {quoted}, 0, 30, days) RANK TOP 12 {EACH}\n"
        f"WHERE segment STARTS WITH {quoted} OR country ENDS WITH {quoted} OR locale != {quoted} OR segment IS NULL"
    )


@given(texts)
@settings(max_examples=150, deadline=None)
@example(NASTY[0])
@example(NASTY[1])
@example(NASTY[5])
@example(NASTY[10])
def test_a_text_is_only_ever_a_parameter(database, value):
    harmless, written = parse(with_text("x")), parse(with_text(value))
    for compiled in (compile_entities, compile_labels, compile_items):
        sql, parameters = compiled(written, AS_OF)
        expected_sql, expected = compiled(harmless, AS_OF)
        assert sql == expected_sql
        assert parameters == {name: value if one == "x" else one for name, one in expected.items()}
        database.execute(sql, parameters).fetchall()
    assert database.execute("select count(*) from marts.customers").fetchall() == [(6,)]


@pytest.mark.parametrize("value", NASTY)
def test_a_nasty_text_finds_exactly_itself(value, make_database, rows):
    """The value reaches the comparison unchanged: the one customer who has it is found, nobody else."""
    changed = {**rows, "marts.customers": rows["marts.customers"].assign(segment=["ordinary"] * 5 + [value])}
    shop = make_database(changed)
    for operator in ("=", "STARTS WITH", "ENDS WITH", "CONTAINS"):
        query = parse(f"PREDICT COUNT(orders.*, 0, 7) {EACH} WHERE segment {operator} {Literal(value)}")
        assert shop.execute(*compile_entities(query, AS_OF)).fetchall() == [("fay",)]


@given(st.one_of(st.sampled_from(NASTY), st.text(max_size=20), names))
@settings(max_examples=300, deadline=None)
def test_a_name_that_is_not_in_the_catalogue_never_reaches_sql(name):
    for text in (
        f"PREDICT COUNT({name}.*, 0, 7) {EACH}",
        f"PREDICT SUM(orders.{name}, 0, 7) {EACH}",
        f"PREDICT COUNT(orders.* WHERE {name} = 1, 0, 7) {EACH}",
        f"PREDICT COUNT(orders.*, 0, 7, {name}) {EACH}",
        f"PREDICT COUNT(orders.*, 0, 7) FOR EACH {name}.customer_id",
        f"PREDICT {name}(orders.*, 0, 7) {EACH}",
        f"PREDICT COUNT(orders.*, 0, 7) {EACH} WHERE customers.{name} = 'x'",
    ):
        for sql, _ in compile_all(text):
            assert_plain(sql)
