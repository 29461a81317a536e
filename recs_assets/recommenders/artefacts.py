"""Fitted recommenders and candidate lists as files, without pickle.

A model folder holds `arrays.npz` (plain arrays) and `model.json` (what they are, the data
window, the sha256 of the arrays and of itself). Anything that does not match is refused, never executed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from recs_assets.files import replace_folder, seal, sha256, unseal
from recs_assets.known.facts import Fact, pack, unpack
from recs_assets.known.interactions import Events, Known
from recs_assets.recommenders.base import Recommender
from recs_assets.schema import ArtefactError

FORMAT = 1
# Rows read at once: one customer's are in a group or two, which takes a millisecond.
LIST_ROWS = 100_000


def save_model(recommender: Recommender, folder: Path) -> str:
    """Write every fitted array (attributes ending in `_`) to `folder`, replaced in whole; returns the sha256."""
    fitted: dict[str, Fact] = {}
    for name, value in sorted(vars(recommender).items()):
        if not name.endswith("_") or name == "known_":
            continue
        if sparse.issparse(value):
            fitted[name] = value
        elif isinstance(value, np.ndarray | np.generic | int | float):
            fitted[name] = np.asarray(value)
        else:
            raise ArtefactError(
                f"{recommender.name}.{name} is a {type(value).__name__}: fitted state must be arrays or sparse matrices."
            )
        if fitted[name].dtype == object:
            raise ArtefactError(
                f"{recommender.name}.{name} holds Python objects, which cannot be stored safely."
            )
    arrays, shapes = pack(fitted)
    known = recommender.known_
    with replace_folder(folder) as aside:
        np.savez(aside / "arrays.npz", allow_pickle=False, **arrays)
        digest = sha256(aside / "arrays.npz")
        description = {
            "format": FORMAT,
            "recommender": recommender.name,
            "as_of": known.as_of.isoformat(),
            "fingerprint": known.fingerprint,
            "first_day": int(known.events.day.min()) if len(known.events) else None,
            "last_day": int(known.events.day.max()) if len(known.events) else None,
            "events": len(known.events),
            "parameters": recommender.params(),
            "sparse": shapes,
            "sha256": digest,
        }
        (aside / "model.json").write_text(seal(description))
    return digest


def load_model(recommender: Recommender, folder: Path, known: Known, *, attached: bool = True) -> Recommender:
    """Fill an unfitted recommender with the stored arrays, and with the parameters they were made with.

    Args:
        recommender: unfitted.
        folder: of `save_model`.
        known: what it was fitted on; its ids are enough (`read_ids`) where `attached` is False.
        attached: with the customers' own side; False: without, for those who `attach` a block or carry over next, so
            that nothing is read of all customers but what others need of them.

    Raises:
        ArtefactError: when the files are missing, were changed, or belong to other data.
    """
    try:
        description = unseal((folder / "model.json").read_text())
        digest = sha256(folder / "arrays.npz")
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"The model in {folder} cannot be read ({error}): materialise recommenders/{recommender.name} again."
        ) from error
    if description.get("sha256") != digest or description.get("format") != FORMAT:
        raise ArtefactError(
            f"The model in {folder} is not what was written (sha256 {digest[:12]}...): it was changed or cut short; "
            f"materialise recommenders/{recommender.name} again."
        )
    if description["fingerprint"] != known.fingerprint or description["recommender"] != recommender.name:
        raise ArtefactError(
            f"The model in {folder} was fitted on other customers or products than the marts now hold: "
            f"materialise recommenders/{recommender.name} again."
        )
    try:
        recommender.set_params(**description.get("parameters", {}))
    except ValueError as error:
        raise ArtefactError(
            f"The model in {folder} was made by another version ({error}): "
            f"materialise recommenders/{recommender.name} again."
        ) from error
    recommender.known_ = known
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        for name, value in unpack(
            arrays, description["sparse"], () if attached else recommender.attached
        ).items():
            setattr(recommender, name, value)
    if attached and not all(hasattr(recommender, name) for name in recommender.attached):
        recommender._attach(known)  # an earlier version kept less
    return recommender


def read_parameters(folder: Path) -> dict[str, float]:
    """The parameters a stored recommender was made with.

    Raises:
        ArtefactError: there is none, or its description was changed.
    """
    try:
        return dict(unseal((folder / "model.json").read_text()).get("parameters", {}))
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"The model in {folder} cannot be read ({error}): materialise recommenders/{folder.name} again."
        ) from error


def ids_path(folder: Path, kind: str, anchor: date) -> Path:
    """The file of the ids of "customer", "fit_customer" or "product" at an anchor."""
    return folder / f"{kind}s-{anchor.isoformat()}.parquet"


def write_ids(known: Known, folder: Path) -> None:
    """Keep which id each code of an anchor stands for: `customers-<anchor>.parquet` and
    `products-<anchor>.parquet`, row number = code, for who reads lists and models without the build file.

    Nothing is written where the same ids are there already.
    """
    _write_id_file(known.customers["customer_id"], known, ids_path(folder, "customer", known.as_of))
    _write_id_file(known.products["product_id"], known, ids_path(folder, "product", known.as_of))


def write_fit_ids(sample: Known | None, folder: Path, anchor: date) -> None:
    """Keep whom the models of an anchor were fitted on, where that was a sample: `fit_customers-<anchor>.parquet`."""
    path = ids_path(folder, "fit_customer", anchor)
    if sample is None:
        path.unlink(missing_ok=True)
    else:
        _write_id_file(sample.customers["customer_id"], sample, path)


def _write_id_file(ids: pd.Series, known: Known, path: Path) -> None:
    if path.exists() and read_fingerprint(path) == known.fingerprint:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({str(ids.name): pa.array(ids, pa.string())}, metadata={"fingerprint": known.fingerprint})
    aside = path.with_suffix(".next")
    pq.write_table(table, aside, compression="zstd", row_group_size=LIST_ROWS)
    aside.replace(path)


def read_ids(folder: Path, anchor: date, *, of_fit: bool = False) -> Known:
    """Of what was known at an anchor, the ids that `write_ids` kept: enough to load a model for a block, or to carry it over.

    Args:
        folder: of `write_ids`.
        anchor: of it.
        of_fit: of the customers, those whom the models were fitted on (`write_fit_ids`).

    Raises:
        ArtefactError: they are not there.
    """
    ids = {}
    for name in ("customer", "product"):
        path = ids_path(folder, name, anchor)
        if of_fit and name == "customer" and (sampled := ids_path(folder, "fit_customer", anchor)).exists():
            path = sampled
        try:
            ids[name] = pd.DataFrame({f"{name}_id": pq.read_table(path)[f"{name}_id"].to_pandas()})
        except (OSError, pa.ArrowInvalid) as error:
            raise ArtefactError(
                f"The ids that {anchor} knew cannot be read ({path}: {error}), because an earlier version made the week or "
                f"it is gone: run it again (python -m recs_assets run --as-of {anchor})."
            ) from error
    return Known(anchor, ids["customer"], ids["product"], Events.none())


def read_fingerprint(path: Path) -> str:
    """Of the id maps that a file of lists or ids was made from; empty where it says none."""
    return (pq.read_schema(path).metadata or {}).get(b"fingerprint", b"").decode()


def write_lists(lists: pd.DataFrame, known: Known, path: Path) -> None:
    """Write a candidate list frame (codes), by ascending customers, as Parquet, stamped with the id maps'
    fingerprint."""
    with append_lists(known, path) as append:
        append(lists)


@contextmanager
def append_lists(known: Known, path: Path) -> Generator[Callable[[pd.DataFrame], None]]:
    """Write lists in parts of ascending customers, the first of which says what the columns are: the file is the one that
    `write_lists` makes of all parts, and takes its place at the end. Beside the parts it holds a group of rows in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".next")
    with ExitStack() as stack:
        stack.callback(aside.unlink, missing_ok=True)
        waiting: list[pa.Table] = []
        writer: pq.ParquetWriter | None = None

        def write(rows: int | None = None) -> None:
            """Write so many of the waiting rows, in whole groups; None: all."""
            nonlocal waiting, writer
            table = pa.concat_tables(waiting).unify_dictionaries().combine_chunks()
            file = writer or stack.enter_context(pq.ParquetWriter(aside, table.schema, compression="zstd"))
            file.write_table(table.slice(0, rows), row_group_size=LIST_ROWS)
            writer = file
            waiting = [] if rows is None else [table.slice(rows)]

        def append(lists: pd.DataFrame) -> None:
            table = pa.Table.from_pandas(lists, preserve_index=False)
            waiting.append(table.replace_schema_metadata({"fingerprint": known.fingerprint}))
            count = sum(len(table) for table in waiting)
            if count >= 2 * LIST_ROWS:
                write(count // LIST_ROWS * LIST_ROWS)

        yield append
        if waiting and (writer is None or any(len(table) for table in waiting)):
            write()
        if writer is not None:
            writer.close()
            aside.replace(path)


def read_lists(path: Path, known: Known, first: int = 0, last: int | None = None) -> pd.DataFrame:
    """Read the lists of customer codes `[first, last)`.

    Raises:
        ArtefactError: when the file is missing or its codes come from other id maps.
    """
    name = path.name.split("-")[0]
    try:
        stamp = read_fingerprint(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtefactError(
            f"The candidate lists {path} cannot be read ({error}): materialise recommenders/{name} for this week."
        ) from error
    if stamp != known.fingerprint:
        raise ArtefactError(
            f"The candidate lists {path} were made from other customers or products than the marts now hold: "
            f"materialise recommenders/{name} again."
        )
    filters = [("customer", ">=", first)] + ([("customer", "<", last)] if last is not None else [])
    return pq.read_table(path, filters=filters).to_pandas()
