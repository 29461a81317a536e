"""Text -> `Query`. The grammar is `grammar.lark`; this module builds nodes and words the errors."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken

from recs_assets.queries.syntax import (
    FUNCTIONS,
    UNITS,
    Aggregate,
    And,
    Column,
    Comparison,
    Condition,
    Literal,
    Not,
    Or,
    Query,
    QueryError,
    Window,
    filtered_columns,
)

MAX_CHARACTERS = 10_000
# Beyond this, functions that walk a condition would reach Python's recursion limit.
MAX_DEPTH = 50
# A longer number is not held by DuckDB's BIGINT.
MAX_DIGITS = 18

_VALUE = ("STRING", "DATE", "INT", "FLOAT", "BOOLEAN")
_TEST = ("OPERATOR", "IN", "LIKE", "CONTAINS", "STARTS", "ENDS", "IS")
# How messages call what is not a keyword; keywords are called by their own name.
_NAMES = {
    "AGGREGATION": f"an aggregation ({', '.join(FUNCTIONS)})",
    "NAME": "a table or column",
    "MEMBER": "a column",
    "STAR": "*",
    "UNIT": ", ".join(UNITS[:-1]) + f" or {UNITS[-1]}",
    "INT": "a whole number",
    "NEG_INF": "-INF",
    "STRING": "a text in quotes",
    "DATE": "a date",
    "LPAR": "an opening bracket",
    "RPAR": "a closing bracket",
    "COMMA": "a comma",
    "DOT": "a dot",
    "AS": "AS OF",
    "$END": "the end of the query",
}

_ATTRIBUTE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+", re.IGNORECASE)


class _BuildError(Exception):
    """An error found while building nodes; `parse` knows the text and makes a `QueryError` of it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def _flatten(kind: type[And] | type[Or], items: list[Condition]) -> Condition:
    """One node for a chain: `a AND (b AND c)` is `a AND b AND c`."""
    if len(items) == 1:
        return items[0]
    parts: list[Condition] = []
    for item in items:
        parts.extend(item.items if isinstance(item, And | Or) and isinstance(item, kind) else (item,))
    return kind(tuple(parts))


def _start(token: Token) -> int:
    """The character at which a token of the query's text begins."""
    return token.start_pos or 0


def _read_whole_number(token: Token) -> int:
    if len(token) > MAX_DIGITS:
        raise _BuildError(
            f"the number has more than {MAX_DIGITS} digits; write a smaller one.", _start(token)
        )
    return int(token)


def _read_date(token: Token) -> date:
    text = token.strip("'\"")
    try:
        if len(text) != len("2024-12-31"):  # fromisoformat also reads 2024-W01-1 and 20240101
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise _BuildError(f"{token} is not a date; write it as '2024-12-31'.", _start(token)) from None


class _Builder(Transformer[Token, Query]):
    """Callbacks of the parser, one per rule; it calls them bottom-up, without recursion."""

    def literal(self, children: list[Token]) -> Literal:
        (token,) = children
        value: str | int | float | bool | date
        if token.type == "STRING":
            quote = token[0]
            value = token[1:-1].replace(quote * 2, quote)
        elif token.type == "BOOLEAN":
            value = token.lower() == "true"
        elif token.type == "DATE":
            value = _read_date(token)
        elif token.type == "INT":
            value = _read_whole_number(token)
        else:
            value = float(token)
            if value in (float("inf"), float("-inf")):
                raise _BuildError("the number is too large; write a smaller one.", _start(token))
        return Literal(value, _start(token))

    def column(self, children: list[Token]) -> Column:
        return Column(tuple(part.lower() for part in children), _start(children[0]))

    def test(self, children: list[Token | Literal | str]) -> tuple[str, tuple[Literal, ...], int]:
        words = [child.upper() for child in children if isinstance(child, str)]
        values = tuple(child for child in children if isinstance(child, Literal))
        at = next(_start(child) for child in children if isinstance(child, Token))
        return " ".join(words).replace("==", "="), values, at

    def negated(self, children: list[Any]) -> str:
        return "NOT"

    def comparison(self, children: list[Any]) -> Comparison:
        operand, (operator, values, at) = children
        return Comparison(operand, operator, values, at)

    def negation(self, children: list[Condition]) -> Not:
        return Not(children[0])

    def all_(self, children: list[Condition]) -> Condition:
        return _flatten(And, children)

    def any_(self, children: list[Condition]) -> Condition:
        return _flatten(Or, children)

    def aggregate(self, children: list[Any]) -> Aggregate:
        function, column = children[:2]
        where = next((child for child in children[2:] if not isinstance(child, Token)), None)
        words = [child for child in children[2:] if isinstance(child, Token) and child.type != "WHERE"]
        start = None if words[0].type == "NEG_INF" else _read_whole_number(words[0])
        unit = words[2].lower().rstrip("s") + "s" if len(words) == 3 else "days"
        window = Window(start, _read_whole_number(words[1]), unit, _start(words[0]))
        return Aggregate(function.upper(), column, where, window, _start(function))

    def mode(self, children: list[Token]) -> tuple[Token, dict[str, Any]]:
        word = children[0]
        top = _read_whole_number(children[1]) if len(children) == 2 else None
        return word, {"mode": word.lower(), "top": top, "mode_at": _start(word)}

    def where(self, children: list[Any]) -> tuple[Token, dict[str, Any]]:
        return children[0], {"where": children[1]}

    def only(self, children: list[Any]) -> Comparison:
        return self.comparison(children)

    def as_of(self, children: list[Token]) -> tuple[Token, dict[str, Any]]:
        return children[0], {"as_of": _read_date(children[1])}

    def forecast(self, children: list[Token]) -> None:
        raise _BuildError(
            "FORECAST is not supported, because a campaign predicts one window; leave it out and give the "
            "target the window that is wanted.",
            _start(children[0]),
        )

    def assuming(self, children: list[Any]) -> None:
        raise _BuildError(
            "ASSUMING is not supported, because the shop's history does not say what would have happened; "
            "leave it out.",
            _start(children[0]),
        )

    def query(self, children: list[Any]) -> Query:
        target, *rest = children
        entity = tuple(child for child in rest if isinstance(child, Column))
        clauses: dict[str, Any] = {}
        for only in (child for child in rest if isinstance(child, Comparison)):
            entity, clauses["only"] = tuple(filtered_columns(only)), only
        for word, values in (child for child in rest if not isinstance(child, Column | Comparison)):
            if values.keys() & clauses.keys():
                raise _BuildError(f"{word.upper()} stands here a second time; leave one out.", _start(word))
            clauses |= values
        return Query(target, entity, **clauses)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", start="query", transformer=_Builder())


def parse(text: str) -> Query:
    """Read a predictive query.

    Args:
        text: at most `MAX_CHARACTERS`; `#` starts a comment. Keywords and names may be written in
            upper or lower case.

    Returns:
        The query as written: names are not yet looked up (`validation.validate` does that).

    Raises:
        QueryError: with line, column and what was expected there.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"A query has at most {MAX_CHARACTERS:,} characters and this one {len(text):,}; shorten it."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("this is half a character; write it again.", text, error.start) from None
    running: Any = _parser().parse_interactive(text)
    tokens: list[Token] = []
    try:
        for token in running.iter_parse():
            tokens.append(token)
        query: Query = running.feed_eof(running.lexer_thread.state.last_token)
    except UnexpectedInput as error:
        raise _make_error(error, text, _list_accepted(tokens, error)) from None
    except _BuildError as problem:
        raise QueryError(str(problem), text, problem.at) from None
    _refuse_depth(query, text)
    return replace(query, text=text)


def _refuse_depth(query: Query, text: str) -> None:
    """Refuse conditions nested deeper than `MAX_DEPTH`, without recursion."""
    waiting: list[tuple[Column | Aggregate | Condition | None, int]] = [(query.target, 0), (query.where, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise QueryError(
                f"Conditions may be nested {MAX_DEPTH} deep and these are deeper; simplify them.", text
            )
        inside: tuple[Column | Aggregate | Condition | None, ...]
        if isinstance(node, And | Or):
            inside = node.items
        elif isinstance(node, Not):
            inside = (node.item,)
        elif isinstance(node, Comparison):
            inside = (node.operand,)
        else:
            inside = (node.where,) if isinstance(node, Aggregate) else ()
        waiting.extend((child, depth + 1) for child in inside)


def _list_accepted(tokens: list[Token], error: UnexpectedInput) -> set[str]:
    """Terminals that could have stood where the error is.

    The parser that met the error may have closed rules for the token it then refused, and no longer
    knows what could have continued them; a second one that has read only what came before does.
    """
    again: Any = _parser().parse_interactive()
    for token in tokens:
        if token is not getattr(error, "token", None):
            again.feed_token(token)
    accepted: set[str] = again.accepts()
    return accepted


def _make_error(error: UnexpectedInput, text: str, accepted: set[str]) -> QueryError:
    """What stood there, what could have stood there instead, and the nearest keyword."""
    expected = _describe(accepted)
    at, hint = error.pos_in_stream or 0, ""
    if "NAME" not in accepted and "AGGREGATION" in accepted and (attribute := _ATTRIBUTE.match(text, at)):
        return QueryError(
            f"{attribute[0]} is an attribute, and attributes are not predicted; predict what happens in a window, as "
            "COUNT(orders.*, 0, 28, days) does, and name attributes in the WHERE.",
            text,
            at,
        )
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        at = error.token.end_pos or 0
        found = "nothing more"
    elif isinstance(error, UnexpectedToken):
        found = str(error.token)
        near = difflib.get_close_matches(found.upper(), _list_keywords(accepted), n=1, cutoff=0.7)
        hint = f" (did you mean {near[0]}?)" if near else ""
    else:
        found = (text[at:].split() or [text[at]])[0]
        if found[0] in "\"'":
            hint = " (a text must end with the same quote on the same line)"
        elif found[0] in "“”„‘’‚`´":
            hint = " (write straight quotes)"
    shown = found if len(found) <= 40 else found[:40] + "..."
    wanted = expected[0] if len(expected) == 1 else ", ".join(expected[:-1]) + f" or {expected[-1]}"
    return QueryError(f"expected {wanted}, but found {shown}{hint}.", text, at, expected)


def _describe(accepted: set[str]) -> tuple[str, ...]:
    """Terminals of the grammar in words, in one order whatever order a set has."""
    names = set()
    for terminal in accepted - {"SEMICOLON"}:
        if terminal in _TEST or (terminal == "_NOT" and "OPERATOR" in accepted):
            names.add("an operator (=, !=, <, IN, LIKE, IS NULL, ...)")
        elif terminal in _VALUE and "BOOLEAN" in accepted:
            names.add("a value (a text in quotes, a number, a date, true or false)")
        else:
            names.add(_NAMES.get(terminal, terminal.lstrip("_")))
    return tuple(sorted(names, key=lambda name: (name.isupper(), name)))


def _list_keywords(accepted: set[str]) -> list[str]:
    words = [terminal.lstrip("_") for terminal in accepted if terminal not in _NAMES]
    if "AGGREGATION" in accepted:
        words.extend(FUNCTIONS)
    if "UNIT" in accepted:
        words.extend(unit.upper() for unit in UNITS)
    return sorted(words)
