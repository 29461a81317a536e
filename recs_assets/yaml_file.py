"""A file that a person writes in YAML, read as a typed model: every error is one sentence with the file and the line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from recs_assets.schema import RecsError

Model = TypeVar("Model", bound=BaseModel)
# Of a key: the keys around it, then itself.
Place = tuple[str, ...]

MAX_BYTES = 65_536  # of one file; the longest that is shipped has 885
# What pydantic says of these in the words of Python, in those of YAML.
PLAIN = {
    "tuple_type": "it must be a list, as in [a, b]",
    "model_type": "it must hold keys and values; where there are none, remove the key",
    "dict_type": "it must hold keys and values; where there are none, remove the key",
    "string_type": "it must be a text; write it in quotes",
}


class FileError(RecsError):
    """A file cannot be used.

    Attributes:
        path: the file.
        line: from 1.
        message: the sentence without file and line.
    """

    def __init__(self, path: Path, line: int, message: str) -> None:
        self.path, self.line, self.message = path, line, message
        super().__init__(f"{path}, line {line}: {message}")


class ContradictionError(ValueError):
    """Two keys of a file contradict each other, or one contradicts what it is about; raised by a model's check.

    Attributes:
        places: of the two keys; None: of what the key is about.
        why: the rest of the sentence.
    """

    def __init__(self, places: tuple[Place, Place | None], why: str) -> None:
        self.places, self.why = places, why
        super().__init__(self.write(None))

    def write(self, source: tuple[Path, Lines] | None) -> str:
        """The sentence, with the line of the second key where the file is known."""
        first, second = self.places
        if second is None:
            return f"{'.'.join(first)}: {self.why}."
        where = "" if source is None else f" ({source[0].name}, line {source[1].find(second)})"
        return f"{'.'.join(first)} contradicts {'.'.join(second)}{where}: {self.why}."

    def write_with_line(self, source: tuple[Path, Lines] | None) -> str:
        """The sentence, with both lines."""
        where = "" if source is None else f"{source[0].name}, line {source[1].find(self.places[0])}: "
        return where + self.write(source)


def read_each(
    folder: Path, load: Callable[[Path], Model], error: type[FileError]
) -> tuple[dict[str, Model], tuple[FileError, ...]]:
    """Every `*.yaml` of a folder, by its name and in the order of the names; a bad file is an error beside the good ones."""
    models, errors = {}, []
    for path in sorted(folder.glob("*.yaml")):
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise error(path, 1, f"it is a link that leads out of {folder}; copy the file there.")
            models[path.stem] = load(path)
        except error as problem:
            errors.append(problem)
    return models, tuple(errors)


def read(
    path: Path, what: tuple[str, str], error: type[FileError], first: str = "name"
) -> tuple[Mapping[str, Any], Lines]:
    """Keys and values of a file, and the lines that they stand on.

    Args:
        path: of the file.
        what: such a file in a sentence, as in "a campaign", and the page about it.
        error: is raised.
        first: the key that somebody with an empty file should begin with.

    Raises:
        FileError: `error`: the file is no YAML of keys and values, too large, or has a key twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error(path, 1, f"the file is larger than {MAX_BYTES:,} bytes; shorten it.")
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        lines = Lines(path, root, error)
    except RecursionError:
        raise error(
            path, 1, "its keys and values are nested too deeply, or hold themselves; repair it."
        ) from None
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = 1 if mark is None else mark.line + 1
        raise error(path, line, f"this is not YAML ({problem.problem}); correct it.") from problem
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as problem:
        reason = " ".join(str(problem).split())
        raise error(path, 1, f"the file cannot be read ({reason}); repair it.") from problem
    if not isinstance(data, Mapping):
        raise error(path, 1, f"{what[0]} is a list of keys and values ({what[1]}); write {first}: first.")
    return data, lines


def check(
    path: Path,
    data: Mapping[str, Any],
    lines: Lines,
    kind: type[Model],
    error: type[FileError],
    context: object = None,
) -> Model:
    """The content as a model whose `name`, if it has one, is the file's; `context` is what its checks may ask.

    Raises:
        FileError: `error`, the first thing that is wrong, with its line.
    """
    try:
        model = kind.model_validate(data, context=context)
    except ValidationError as problem:
        cause = problem.errors()[0].get("ctx", {}).get("error")
        if isinstance(cause, ContradictionError):
            raise error(path, lines.find(cause.places[0]), cause.write((path, lines))) from problem
        place, message = _find_first(problem, kind)
        raise error(path, lines.find(place), message) from problem
    if "name" in kind.model_fields and model.name != path.stem:
        raise error(
            path,
            lines.find(("name",)),
            f"name: {model.name} is in {path.name}; call both {path.stem} or both {model.name}.",
        )
    return model


class Lines:
    """Lines of keys by their path, out of YAML's own marks; refuses a key that is there twice."""

    def __init__(self, path: Path, root: yaml.Node | None, error: type[FileError]) -> None:
        self._path, self._error = path, error
        self._at: dict[tuple[str, ...], int] = {(): 1}
        self._text: dict[tuple[str, ...], yaml.ScalarNode] = {}
        if root is not None:
            self._walk(root, ())

    def _walk(self, node: yaml.Node, place: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*place, str(key.value))
                line = key.start_mark.line + 1
                if here in self._at:
                    raise self._error(self._path, line, f"{'.'.join(here)} is there twice; keep one.")
                self._at[here] = line
                self._walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                here = (*place, str(number))
                self._at[here] = value.start_mark.line + 1
                self._walk(value, here)
        else:
            self._text[place] = node

    def find(self, place: tuple[str, ...]) -> int:
        """Line of the key, or of the nearest key around it."""
        while place not in self._at:
            place = place[:-1]
        return self._at[place]

    def find_text(self, key: str, line: int | None) -> int:
        """Line of the file that holds a line of a key's text."""
        node = self._text.get((key,))
        if node is None or line is None:
            return self.find((key,))
        # A block begins on the line after its mark; other text on the mark's own line.
        return node.start_mark.line + line + (1 if node.style in ("|", ">") else 0)


def _find_first(error: ValidationError, kind: type[BaseModel]) -> tuple[tuple[str, ...], str]:
    """Place and sentence of the first error; an unknown key comes before what it may have caused."""
    every = error.errors()
    first = next((detail for detail in every if detail["type"] == "extra_forbidden"), every[0])
    place = tuple(str(part) for part in first["loc"])
    name = ".".join(place)
    if first["type"] == "extra_forbidden":
        *around, key = place
        known = _list_keys(around, kind)
        near = difflib.get_close_matches(key, known, n=1)
        what = "rule" if around and around[-1] == "rules" else "key"
        hint = f"did you mean {near[0]}?" if near else f"the {what}s are {', '.join(known)}."
        return place, f"there is no {what} {name}; {hint}"
    if first["type"] == "missing":
        return place, f"the key {name} is missing; add it."
    if first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] == r"\S":
        return place, f"{name}: it is empty; write a name, or remove it."
    message = PLAIN.get(first["type"]) or first["msg"].replace("Value error, ", "")
    if not place:
        # A check of the whole says its key first.
        key, _, message = message.partition(": ")
        place, name = tuple(key.split(".")), key
    shown = "" if isinstance(first["input"], Mapping | BaseModel | list) else f" (it is {first['input']!r})"
    return place, f"{name}: {message[:1].lower()}{message[1:].rstrip('.')}{shown}; correct it."


def _list_keys(place: list[str], kind: type[BaseModel]) -> list[str]:
    """The keys that may stand at a place of the file."""
    model: Any = kind
    for part in place:
        if get_origin(model) is dict:  # and this part is one of its keys
            model = get_args(model)[1]
        elif not part.isdigit():
            annotation = model.model_fields[part].annotation
            model = get_args(annotation)[0] if get_origin(annotation) in (tuple, UnionType) else annotation
    return list(model.model_fields)
