"""Settings that are read from a YAML file beside the code that uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from recs_assets.schema import SettingsError

Config = TypeVar("Config", bound=BaseModel)


def read_yaml(path: Path, kind: type[Config], what: str) -> Config:
    """The file as a checked model.

    Args:
        path: of the file.
        kind: the model.
        what: names the content in errors, as the first words of a sentence.

    Raises:
        SettingsError: no such file, not YAML, or a value that is refused; names file and key.
    """
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{what} cannot be read from {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        raise SettingsError(f"{path}: {key}: {first['msg']}. Correct the file.") from error
