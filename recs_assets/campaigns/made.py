"""What a campaign made of a week: tables and facts, and the folder that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recs_assets.delivery import HOLDOUT
from recs_assets.files import replace_folder
from recs_assets.rules.recipients import REASONS
from recs_assets.rules.selection import DRAWS, REMOVED, TOO_FEW
from recs_assets.schema import ArtefactError
from recs_assets.week.week import Week

# What may become of a customer. The last three are found when the week's tables are put together.
SELECTED, NOTHING, NOT_ANSWERED = "selected", "nothing_predicted", "query_not_answered"
REFUSED = "rules_contradict"
WITHDRAWN, UNAVAILABLE, JOINED_LATER = "withdrawn_since", "product_gone_since", "not_known_then"
OUTCOMES = (
    SELECTED, *REASONS, TOO_FEW, HOLDOUT, NOTHING, NOT_ANSWERED, REFUSED, WITHDRAWN, UNAVAILABLE, JOINED_LATER,
)  # fmt: skip
FACTS = "campaign.json"
ROW_GROUP = 100_000
PREDICTIONS = "predictions"  # the largest of all: some hundred rows of each customer
# What `Made.read` leaves alone: what views read by themselves, and what is read a part at a time (`iterate_predictions`).
_APART = (REMOVED, DRAWS, PREDICTIONS)


@dataclass(frozen=True)
class Made:
    """What a campaign made of a week.

    Attributes:
        tables: name -> rows with ids: selection (customer_id, slot, product_id, ..., reserve: whether the row stands
            by for a slot, and its limits: `rules.selection.Selection.reserves`), predictions
            (customer_id, item, rank, ...), outcomes (customer_id, outcome: one row per customer),
            rules (step, rule, removed, customers), price_tags, tests, traces (of filled slots), draws
            (customer_id, slot, product_id, ...: `rules.selection.Selection.draws`). All but outcomes may be empty, and
            then have no columns.
        facts: JSON; all but `slots` (of an email; 0 where none is filled) for people.
    """

    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any]

    @property
    def filled(self) -> pd.DataFrame:
        """The rows of the selection that fill a slot."""
        rows = self.tables["selection"]
        return rows[~rows["reserve"]].reset_index(drop=True) if len(rows) else rows

    def write(self, folder: Path) -> None:
        """One Parquet file per table and `campaign.json`, under `folder`, replaced in whole."""
        with replace_folder(folder) as aside:
            for name, rows in self.tables.items():
                rows.to_parquet(aside / f"{name}.parquet", index=False, row_group_size=ROW_GROUP)
            facts = json.dumps(self.facts, indent=1, sort_keys=True)
            (aside / FACTS).write_text(facts, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Made:
        """What `write` wrote, without the predictions.

        Raises:
            ArtefactError: a file is missing or broken.
        """
        names = sorted(path.stem for path in folder.glob("*.parquet"))
        tables = {name: read_table(folder, name) for name in names if name not in _APART}
        return cls(tables, read_facts(folder))


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """One table of what lies under `folder`; without rows and columns where there is none.

    Raises:
        ArtefactError: the file is broken.
    """
    path = folder / f"{name}.parquet"
    try:
        return pd.read_parquet(path) if path.exists() else pd.DataFrame()
    except (OSError, ValueError) as error:
        raise _explain_unreadable(folder, error) from error


def read_prediction_schema(folder: Path) -> pa.Schema:
    """The columns of the predictions of what lies under `folder`; none where nothing is predicted.

    Raises:
        ArtefactError: the file is missing or broken.
    """
    try:
        return pq.read_schema(folder / f"{PREDICTIONS}.parquet").remove_metadata()
    except (OSError, ValueError) as error:
        raise _explain_unreadable(folder, error) from error


def iterate_predictions(folder: Path) -> Iterator[pa.RecordBatch]:
    """The predictions of what lies under `folder`, some rows at a time.

    Raises:
        ArtefactError: the file is missing or broken.
    """
    try:
        with pq.ParquetFile(folder / f"{PREDICTIONS}.parquet") as file:
            yield from file.iter_batches(ROW_GROUP)
    except (OSError, ValueError) as error:
        raise _explain_unreadable(folder, error) from error


def read_facts(folder: Path) -> dict[str, Any]:
    """`Made.facts` of what lies under `folder`.

    Raises:
        ArtefactError: the file is missing or broken.
    """
    try:
        return json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _explain_unreadable(folder, error) from error


def read_slots(folder: Path) -> int:
    """The slots of an email that was made; 0 of a campaign that filled none.

    Raises:
        ArtefactError: its facts cannot be read, or are of an earlier version.
    """
    facts = read_facts(folder)
    if "slots" not in facts:
        raise ask_to_make_again(folder, facts.get("as_of"), "how many slots it fills")
    return facts["slots"]


def list_folders(folder: Path) -> list[Path]:
    """The folders of all campaigns below one, by name, without what a killed run left."""
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def ask_to_make_again(folder: Path, as_of: date | str | None, lacking: str) -> ArtefactError:
    """The error of a campaign that an earlier version made."""
    return ArtefactError(
        f"{folder} was made by an earlier version of recs_assets and does not say {lacking}: make the campaign again "
        f"(python -m recs_assets campaign {folder.name} --as-of {as_of}), or run the week again."
    )


def _explain_unreadable(folder: Path, error: Exception) -> ArtefactError:
    return ArtefactError(f"{folder} cannot be read ({error}): materialise the campaign again.")


def find_folder(week: Week, name: str) -> Path:
    return week.build.folder / "campaigns" / name


def tabulate_outcomes(customers: pd.DataFrame, outcome: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": customers["customer_id"].to_numpy(), "outcome": outcome})
