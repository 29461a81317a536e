"""What a function over a block returns, as files: JSON, with a file of Arrow per frame and an npy file per array.

Not Parquet, which forgets the categories of a frame without rows.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from recs_assets.files import add_folder
from recs_assets.schema import WarehouseError

_TYPE = "recs type"  # the key of an object that stands for something JSON has no word for


def save_result(result: object, folder: Path) -> None:
    """Write frames, arrays, dates and this project's dataclasses, in lists, tuples and dicts with keys of text.

    The folder is there in whole or not at all; where it is there already, it stays.

    Raises:
        WarehouseError: something else is in it.
    """
    with add_folder(folder) as aside:
        written = _write(result, aside)
        (aside / "result.json").write_text(json.dumps(written), "utf-8")


def load_result(folder: Path) -> Any:
    """What `save_result` wrote, with the same types.

    Raises:
        WarehouseError: it names what is no dataclass of this project.
    """
    return _read(json.loads((folder / "result.json").read_text("utf-8")), folder)


def _write(value: object, folder: Path) -> object:
    match value:
        case None | bool() | int() | float() | str():
            # NumPy's float64 is a float, too, and comes back as one.
            return value.item() if isinstance(value, np.generic) else value
        case np.generic():
            return _name("array", _save_array(np.asarray(value), folder), scalar=True)
        case pd.DataFrame():
            return _name("frame", _save_frame(value, folder))
        case np.ndarray():
            return _name("array", _save_array(value, folder))
        case date():
            return _name("date", value.isoformat())
        case list():
            return [_write(item, folder) for item in value]
        case tuple():
            return _name("tuple", [_write(item, folder) for item in value])
        case dict() if all(isinstance(key, str) for key in value) and _TYPE not in value:
            return {key: _write(item, folder) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("recs_assets."):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _name(f"{type(value).__module__}:{type(value).__qualname__}", _write(fields, folder))
    raise WarehouseError(
        f"A function over a block of customers returned a {type(value).__name__}, which cannot travel as a file: this is "
        "a fault of the program, please report it."
    )


def _read(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_read(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    if _TYPE not in value:
        return {key: _read(item, folder) for key, item in value.items()}
    kind, content = value[_TYPE], value["value"]
    if kind == "frame":
        return _load_frame(content, folder)
    if kind == "array":
        array = np.load(folder / content, allow_pickle=False)
        return array[()] if value["scalar"] else array
    if kind == "date":
        return date.fromisoformat(content)
    if kind == "tuple":
        return tuple(_read(item, folder) for item in content)
    module, _, name = kind.partition(":")
    made = getattr(importlib.import_module(module), name) if module.startswith("recs_assets.") else None
    if not dataclasses.is_dataclass(made):
        raise WarehouseError(
            f"The result of a block in {folder} is not what was written: run the week again."
        )
    return made(**_read(content, folder))


def _name(kind: str, value: object, scalar: bool = False) -> dict[str, object]:
    return {_TYPE: kind, "value": value, "scalar": scalar}


def _save_frame(frame: pd.DataFrame, folder: Path) -> dict[str, object]:
    path = _next_path(folder, "arrow")
    batch = pa.RecordBatch.from_pandas(frame)
    with pa.ipc.new_file(path, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write_batch(batch)  # also where it has no rows
    # Texts among objects would come back as pandas' own type of texts, and what is missing as NaN.
    texts = {}
    for place, kind in enumerate(frame.dtypes):
        if pd.api.types.is_object_dtype(kind) and pa.types.is_string(batch.schema.types[place]):
            values = frame.iloc[:, place]
            texts[str(place)] = any(value is None for value in values[values.isna()])
    return {"file": path.name, "texts": texts}


def _load_frame(content: dict[str, Any], folder: Path) -> pd.DataFrame:
    with pa.ipc.open_file(folder / content["file"]) as file:
        table = file.read_all()
    frame = table.to_pandas()
    for place, has_none in content["texts"].items():
        values = table.column(int(place)).to_pylist()
        texts = values if has_none else [np.nan if value is None else value for value in values]
        frame.isetitem(int(place), pd.Series(texts, index=frame.index, dtype=object))
    return frame


def _save_array(array: np.ndarray, folder: Path) -> str:
    path = _next_path(folder, "npy")
    np.save(path, array, allow_pickle=False)
    return path.name


def _next_path(folder: Path, ending: str) -> Path:
    return folder / f"{sum(1 for _ in folder.iterdir())}.{ending}"
