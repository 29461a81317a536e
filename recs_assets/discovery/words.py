"""How well a name says what a column or a file is."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


@lru_cache
def load_words() -> dict[str, Any]:
    """The words of `words.yaml`."""
    return yaml.safe_load(Path(__file__).with_name("words.yaml").read_text("utf-8"))


@lru_cache(maxsize=4096)
def split_name(name: str) -> tuple[str, ...]:
    """The words of a name, folded.

    >>> split_name("InvoiceNo"), split_name("Kunden-Nr."), split_name("Größe_EUR"), split_name("SKUCode")
    (('invoice', 'no'), ('kunden', 'nr'), ('grosse', 'eur'), ('sku', 'code'))
    """
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name.replace("ß", "ss"))
    folded = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return tuple(re.findall(r"[a-z]+|\d+", plain))


def score_role(role: str, name: str) -> float:
    """From 0 to 1: how well a column's name says that it plays a role."""
    words = split_name(name)
    whole = "".join(words)
    best = 0.0
    for phrase in load_words()["roles"].get(role, ()):
        parts = tuple(phrase.split())
        text = "".join(parts)
        if text == whole:
            return 1.0
        share = len(text) / max(len(whole), 1)
        inside = any(words[n : n + len(parts)] == parts for n in range(len(words)))
        if inside:
            best = max(best, 0.55 + 0.35 * share)
        elif len(text) >= 5 and text in whole:
            best = max(best, 0.4 + 0.35 * share)
    return best


@lru_cache(maxsize=8192)
def score_id(entity: str, name: str, owner: str | None = None) -> float:
    """From 0 to 1: how well a column's name says that it is an id of something.

    Args:
        entity: a key of `entities`.
        name: of the column.
        owner: what the table is about: in `customers`, `id` is the customer's.
    """
    words = split_name(name)
    whole = "".join(words)
    ids, between = load_words()["id_words"], load_words()["between"]
    if whole in ids:
        return 0.85 if owner == entity else 0.0
    best = 0.0
    for word in load_words()["entities"][entity]:
        if whole == word:
            best = max(best, 0.76)
        if any(whole == word + end for end in ids) or any(whole == end + word for end in ids):
            return 1.0
        if any(whole == end + small + word for end in ids for small in between):
            return 1.0
        if words and words[0] == word and words[-1] in ids:
            best = max(best, 0.8)
        elif (
            len(word) >= 4
            and whole.startswith(word)
            and any(whole.endswith(end) for end in ids if len(end) > 1)
        ):
            best = max(best, 0.75)
        elif len(words) > 1 and words[-1] in ids and word in words:
            best = max(best, 0.7)
    return best


def score_entities(stem: str) -> dict[str, float]:
    """What a table's name says that it is about, from 0 to 1: the longest word counts most."""
    words = split_name(stem)
    whole = "".join(words)
    scores: dict[str, float] = {}
    for entity, names in load_words()["entities"].items():
        for name in names:
            score = 0.0
            if name == whole:
                score = 1.0
            elif name in words:
                # "order items": the last word says what the rows are.
                score = 0.6 + 0.3 * (words[-1] == name)
            elif len(name) >= 5 and name in whole:
                score = 0.45 + 0.4 * len(name) / len(whole)
            scores[entity] = max(scores.get(entity, 0.0), score)
    two = "".join(words[-2:])
    if two in load_words()["entities"]["line"]:
        scores["line"] = 1.0
    return scores
