"""The page of the API: parameters and errors of every endpoint, made from the models; shown without an external host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from recs_assets.app import models

Endpoint = Callable[..., Any]
# What the guard answers, whatever is asked.
GUARDED = {
    403: "The asker is not of this machine, and no keys are set.",
    413: "Too many bytes.",
    429: "Too many requests from one address.",
}
WITH_KEY = {
    **GUARDED,
    401: "No key, or one that this server does not have.",
    403: "A key of another role; without keys, an asker who is not of this machine.",
}
NOT_READY = {503: "Nothing is published yet."}
ASKED = {**WITH_KEY, 422: "A parameter is missing, unknown, or not what it must be."}
SENT = {
    **WITH_KEY,
    400: "The body is no JSON.",
    415: "The body is not sent as application/json.",
    422: "A field is missing, unknown, or not what it must be.",
}
NO_PLACEMENT = "There is no such placement."


def list_failures(codes: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint, as FastAPI wants them."""
    return {code: {"model": models.Failure, "description": text} for code, text in sorted(codes.items())}


def describe(
    app: FastAPI,
    path: str,
    query: type[BaseModel],
    *ids: str,
    answer: type[BaseModel],
    missing: str = NO_PLACEMENT,
) -> Callable[[Endpoint], Endpoint]:
    """Add an endpoint that is asked with parameters.

    Args:
        app: gets it.
        path: of it.
        query: its parameters.
        ids: parameters of the path.
        answer: what it answers with.
        missing: what a 404 means.
    """
    schema = query.model_json_schema(ref_template="#/components/schemas/{model}")
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **models.ID_BOUNDS},
        }
        for name in ids
    ]
    for name, field in schema["properties"].items():
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": field.get("description", ""),
                "schema": _describe_parameter(field),
            }
        )
    return app.get(
        path,
        response_model=answer,
        responses={
            304: {"description": "The asker has this answer."},
            **list_failures({**ASKED, **NOT_READY, 404: missing}),
        },
        openapi_extra={"parameters": parameters},
        tags=["lists"],
    )


def _describe_parameter(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: there is no null in an address, and no comma within an item of a list."""
    schema = {key: value for key, value in field.items() if key not in ("title", "description")}
    kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
    for kind in kinds:  # one: no parameter has several
        schema = {**schema, **kind}
    if schema.get("default", ()) is None:
        del schema["default"]
    if schema["type"] == "array":
        schema["items"] = {**schema["items"], "pattern": models.IN_A_LIST}
    return schema


def describe_body(
    app: FastAPI, method: str, path: str, body: type[BaseModel], answer: type[BaseModel]
) -> Callable[[Endpoint], Endpoint]:
    """Add an endpoint that is asked with a body.

    Args:
        app: gets it.
        method: POST or PUT.
        path: of it.
        body: what is sent.
        answer: what it answers with.
    """
    accepted = answer is models.Accepted
    schema = body.model_json_schema()
    definitions = schema.pop("$defs", {})
    more = {503: "What was sent cannot be written down."} if accepted else {**NOT_READY, 404: NO_PLACEMENT}
    return app.api_route(
        path,
        methods=[method],
        response_model=answer,
        status_code=202 if accepted else 200,
        responses=list_failures({**SENT, **more}),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _inline(schema, definitions)}},
            }
        },
        tags=["reports" if accepted else "lists"],
    )


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with what it refers to in its place."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inline(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
        return {key: _inline(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inline(value, definitions) for value in schema]
    return schema


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>recs_assets: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/reference.css">
</head>
<body>
<main id="reference"><h1>The API</h1><noscript>The description is at <a href="/openapi.json">/openapi.json</a>.</noscript></main>
<script src="/static/reference.js"></script>
</body>
</html>
"""


def add_page(app: FastAPI) -> None:
    """`/docs`: the description at `/openapi.json`, to be read and tried."""

    @app.get("/docs", include_in_schema=False)
    async def docs(_: Request) -> Response:
        return Response(PAGE, media_type="text/html")
