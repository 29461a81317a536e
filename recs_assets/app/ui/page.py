"""What a page is: a name, a template, and a function that reads what it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from recs_assets.app.ui.state import State
from recs_assets.views.desk import Look, Row


@dataclass(frozen=True)
class Shown:
    """What a page shows.

    Attributes:
        values: for its template.
        table: what a download of it holds.
        notes: sentences on what is missing, and what makes it.
    """

    values: dict[str, Any]
    table: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """One view.

    Attributes:
        name: in its address, and of its template.
        title: as people read it.
        about: what a person can do there.
        read: from a look and the state to what is shown.
    """

    name: str
    title: str
    about: str
    read: Callable[[Look, State], Shown]
