"""The columns of the published tables, as dbt's contracts declare them.

A published column is declared once, in the yml beside its model (`dbt_project/models/published/<model>.yml`): name,
type, description, tests. Everything else reads it there: the types in which Python writes the tables of schema
`model`, the models' SELECT (the macro `written_columns`), the columns of the email's files, the page
docs/email.md, and the table of the holdout, which has the columns of the email (`python -m
recs_assets.contracts` writes its yml).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MODELS = Path(__file__).resolve().parents[1] / "dbt_project" / "models"
FOLDER = MODELS / "published"
# Who fills a column: the model itself in SQL, or the export at its last look; the others come from Python.
DBT, EXPORT = "dbt", "export"
EMAIL = "email_recommendations"
# Table -> the one whose columns it has, too.
TWINS = {"email_holdout": EMAIL}
_COLUMNS = "    columns:\n"


def _load(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


@cache
def _load_columns(model: str) -> tuple[dict[str, Any], ...]:
    (declaration,) = _load(FOLDER / f"{model}.yml")["models"]
    return tuple(declaration["columns"])


@cache
def _sources() -> dict[str, dict[str, Any]]:
    (source,) = _load(FOLDER / "_model__sources.yml")["sources"]
    return {table["name"]: table for table in source["tables"]}


def columns(model: str) -> dict[str, str]:
    """Name -> type of every column of a published model, in order."""
    return {column["name"]: column["data_type"] for column in _load_columns(model)}


def shorten_types(model: str) -> dict[str, str]:
    """As `columns`, with the types as files and pages call them, such as TIMESTAMPTZ."""
    return {
        name: type_.upper().replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
        for name, type_ in columns(model).items()
    }


def descriptions(model: str) -> dict[str, str]:
    """Name -> meaning of every column; the blocks of `column_docs.md` are put in."""
    blocks = dict(
        re.findall(
            r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}",
            (MODELS / "column_docs.md").read_text("utf-8"),
            re.DOTALL,
        )
    )
    named = {column["name"]: column["description"] for column in _load_columns(model)}
    return {
        name: re.sub(r"{{ doc\('(\w+)'\) }}", lambda block: blocks[block[1]], text)
        for name, text in named.items()
    }


def _load_meta(model: str) -> dict[str, dict[str, Any]]:
    return {column["name"]: column.get("config", {}).get("meta", {}) for column in _load_columns(model)}


def find_fillers(model: str) -> dict[str, str]:
    """Name -> who fills it: `dbt`, `export`, or what else its declaration says; `python` where it says nothing."""
    return {name: meta.get("filled", "python") for name, meta in _load_meta(model).items()}


def list_staying_columns(model: str) -> frozenset[str]:
    """Columns whose value stays when another product takes the slot: those of the recipient and of the send."""
    return frozenset(name for name, meta in _load_meta(model).items() if meta.get("stays", False))


def model_tables() -> tuple[str, ...]:
    """The tables of schema `model` that dbt publishes."""
    return tuple(_sources())


def model_columns(table: str) -> dict[str, str]:
    """Name -> type of the columns with which Python writes a table of schema `model`: those of the published
    models that are made of it, without what dbt and the export fill, then those that no model publishes."""
    declared = _sources()[table]
    published = declared.get("config", {}).get("meta", {}).get("published_as", [table])
    written = {
        name: type_
        for model in published
        for name, type_ in columns(model).items()
        if find_fillers(model)[name] not in (DBT, EXPORT)
    }
    return written | {column["name"]: column["data_type"] for column in declared.get("columns", ())}


def write_twin(text: str, model: str) -> str:
    """The yml of a table that has the columns of another, with these columns written anew."""
    _, own = (FOLDER / f"{TWINS[model]}.yml").read_text("utf-8").split(_COLUMNS)
    return text.split(_COLUMNS)[0] + _COLUMNS + own


if __name__ == "__main__":
    for twin in TWINS:
        path = FOLDER / f"{twin}.yml"
        path.write_text(write_twin(path.read_text("utf-8"), twin), "utf-8")
