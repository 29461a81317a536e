"""Requests generated from a description in OpenAPI: some that fit it, some with a flaw. Whether one fits is judged by
jsonschema, not by the server."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

FORMATS = FormatChecker(formats=())
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)", re.ASCII)


@FORMATS.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value.upper())
    return _TIME.fullmatch(value.upper()) is not None


def pin(schema: Any) -> Any:
    """The schema with patterns that end where the text ends: Python's $ lets a line feed follow."""
    if isinstance(schema, dict):
        return {
            key: value.removesuffix("$") + r"\Z" if key == "pattern" else pin(value)
            for key, value in schema.items()
        }
    return [pin(value) for value in schema] if isinstance(schema, list) else schema


def fits(schema: dict[str, Any], value: Any) -> bool:
    return Draft202012Validator(pin(schema), format_checker=FORMATS).is_valid(value)


# -- values -------------------------------------------------------------------------------------


def draw_value(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema, of the kinds that pydantic writes."""
    if "anyOf" in schema:
        return st.one_of(*map(draw_value, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    return _DRAW[schema["type"]](schema)


def _draw_text(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))
        return times.map(datetime.isoformat)
    most = schema.get("maxLength", 80)
    if "pattern" not in schema:
        return st.text(min_size=schema.get("minLength", 0), max_size=most)
    found = st.from_regex(pin(schema)["pattern"])
    # Of the shop in a part of the cases, or nothing would ever be found.
    known = [name for name in ("p0", "p1", "ada", "home", "cart", "Tea", "de") if fits(schema, name)]
    return st.one_of(st.sampled_from(known), found.map(lambda text: text[:most])) if known else found


def _draw_number(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema["type"] == "integer":
        return st.integers(low, high)
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def _draw_list(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    most = min(schema.get("maxItems", 4), schema.get("minItems", 0) + 4)
    return st.lists(draw_value(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)


def _draw_object(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: draw_value(field) for name, field in schema["properties"].items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    )


_DRAW: dict[str, Any] = {
    "string": _draw_text,
    "integer": _draw_number,
    "number": _draw_number,
    "array": _draw_list,
    "object": _draw_object,
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
}
# What stands where it should not. Whole floats are integers to some and none to others.
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: value != int(value)),
    st.text(max_size=300), st.sampled_from(["", "1", "true", "null", "\x00", "a\n", "x" * 201, "0001-01-01", [], {}, [[]]]),
)  # fmt: skip


def list_places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a value of JSON."""
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from list_places(part, (*at, key))


@st.composite
def draw_flawed(draw: st.DrawFn, schema: dict[str, Any]) -> Any:
    """A value that fits but for one place, where something odd stands, or nothing, or something more. It may still fit."""
    value = copy.deepcopy(draw(draw_value(schema)))
    place = draw(st.sampled_from(list(list_places(value))))
    if not place:
        return draw(st.one_of(ODD, st.just({**value, "more": 1})))
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    how = draw(st.sampled_from(["replace", "drop", "add"]))
    if how == "drop":
        del holder[place[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder[draw(st.text(max_size=60))] = draw(ODD)
    else:
        holder[place[-1]] = draw(ODD)
    return value


# -- requests -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """A request, and whether it is as described.

    Attributes:
        address: path and query.
        body: of JSON; None: none is sent.
        fits: None where that cannot be said of it.
    """

    address: str
    body: Any
    fits: bool | None


@st.composite
def draw_request(draw: st.DrawFn, path: str, operation: dict[str, Any]) -> Request:
    """A request to an endpoint; of its parameters, or of its body, one may be flawed."""
    fit: bool | None = True
    parts: list[str] = []
    flawed = draw(st.booleans())
    asked = [item for item in operation.get("parameters", ()) if item["in"] == "query"]
    wrong = draw(st.sampled_from([None, *(item["name"] for item in asked)])) if flawed else None
    for item in operation.get("parameters", ()):
        name, schema = item["name"], item["schema"]
        if item["in"] == "path":
            value = draw(draw_value(schema))
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        elif name == wrong:
            text = draw(
                st.text(max_size=220) | st.sampled_from(["", "0", "-1", "101", "a,b", "1.5", "null", "a\n"])
            )
            fit = _judge(schema, text)
            parts.append(f"{name}={quote(text, safe='')}")
        elif item["required"] or draw(st.booleans()):
            value = draw(draw_value(schema))
            many = value if isinstance(value, list) else [value]
            if draw(st.booleans()):
                many = [",".join(map(str, many))]
            parts += [f"{name}={quote(str(each), safe=',')}" for each in many]
    if flawed and wrong is None and asked:
        extra = draw(
            st.text(min_size=1, max_size=60).filter(lambda text: text not in {item["name"] for item in asked})
        )
        parts.append(f"{quote(extra, safe='')}=1")
        fit = False
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = draw(draw_flawed(schema) if flawed else draw_value(schema))
        fit = fits(schema, body)
    return Request(path + ("?" + "&".join(parts) if parts else ""), body, fit)


def _judge(schema: dict[str, Any], text: str) -> bool | None:
    """Whether a text is a parameter of a schema; None of what some take for a number and others do not."""
    if schema["type"] == "array":
        return fits(schema, [part for part in text.split(",") if part])
    if schema["type"] != "integer":
        return fits(schema, text)
    if re.fullmatch(r"0|[1-9]\d*", text, re.ASCII):
        return fits(schema, int(text))
    try:
        float(text)
    except ValueError:
        return False
    return None
