"""Sensitive goods: found by words in category, name and brand, and how quiet a list is about them.

The words stand in a file (`sensitive.yaml`, or the shop's own), by topic. docs/sensitive.md explains it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

Level = Literal["never_offer", "never_discover", "never_cite", "no_counts"]


def simplify(text: str) -> str:
    """Lower case, without accents, words separated by one blank; "*" stays. Umlauts read the same however they
    are spelled.

    >>> simplify("Préservatifs/KONDOME (12 St.)"), simplify("Läusekamm"), simplify("LAEUSEKAMM")
    ('preservatifs kondome 12 st', 'lausekamm', 'lausekamm')
    """
    letters = text.casefold()
    if not letters.isascii():  # most labels are, and to look at every letter takes seconds for a catalogue
        letters = unicodedata.normalize("NFKD", letters)
        letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
        letters = letters.replace("æ", "ae").replace("œ", "oe").replace("ø", "o")
    letters = re.sub(r"([aou])e", r"\1", letters)
    return " ".join(re.sub(r"[^\w*]|_", " ", letters).split())


def _pattern(value: str) -> str:
    words = simplify(value)
    if not words.replace("*", "").strip():
        raise ValueError("a pattern needs a letter or a digit")
    return words


Patterns = tuple[Annotated[str, Field(min_length=1)], ...]


class Topic(BaseModel):
    """One kind of sensitive goods. In patterns case and accents do not matter, words are whole words, and
    `*` stands for any rest of a word."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    categories: Patterns = Field((), description="Looked for in category and vertical.")
    words: Patterns = Field((), description="Looked for in name, brand and category.")
    ignore: Patterns = Field((), description="Read as if they were not there: what only sounds like it.")
    unless: Patterns = Field((), description="With one of these words the product is another thing.")

    @field_validator("categories", "words", "ignore", "unless")
    @classmethod
    def _words(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_pattern(value) for value in values)

    def covers(self, texts: Sequence[tuple[str, str]]) -> np.ndarray:
        """bool[n]: which (shelf, label), both from `simplify`, are of this topic."""
        ignore, unless, categories, words = (
            _search(patterns) for patterns in (self.ignore, self.unless, self.categories, self.words)
        )

        def strip_ignored(text: str) -> str:
            """Without what is to be ignored; nothing of a text that says it is another thing."""
            text = text if ignore is None else ignore.sub("|", text)
            return "" if unless is not None and unless.search(text) else text

        def is_of_topic(shelf: str, label: str) -> bool:
            if (
                categories is not None
                and categories.search(shelf)
                and categories.search(strip_ignored(shelf))
            ):
                return True
            text = f"{label} | {shelf}"
            return words is not None and bool(words.search(text) and words.search(strip_ignored(text)))

        return np.fromiter((is_of_topic(*text) for text in texts), dtype=bool, count=len(texts))


class SensitiveGoods(BaseModel):
    """The file: topic -> words and levels. An empty one has no sensitive goods."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: dict[str, Topic]
    # The contexts of one week ask again about the same products.
    _latest: tuple[list[tuple[str, str]], Sensitive] | None = PrivateAttr(None)

    def classify(self, products: pd.DataFrame) -> Sensitive:
        """Which of the products are sensitive.

        Args:
            products: columns name, brand, category and, if there, vertical; missing values are empty.
        """

        def joined(*names: str) -> list[str]:
            some = [products[name].astype("str").fillna("") for name in names if name in products]
            return some[0].str.cat(some[1:], sep=" | ").tolist()

        texts = list(zip(joined("category", "vertical"), joined("name", "brand"), strict=True))
        if self._latest is None or self._latest[0] != texts:
            self._latest = texts, self._classify(texts)
        return self._latest[1]

    def table(self, products: pd.DataFrame) -> pd.DataFrame:
        """What `classify` finds, for people: topic, levels, category, product (name) and how many products
        are called so, by topic in the order of the file."""
        found = self.classify(products)
        here = np.flatnonzero(found.topic >= 0)
        levels = [", ".join(level for level in get_args(Level) if getattr(found, level)[row]) for row in here]
        rows = pd.DataFrame(
            {
                "number": found.topic[here],
                "topic": [found.topics[number] for number in found.topic[here]],
                "levels": levels,
                "category": products["category"].fillna("").to_numpy()[here],
                "product": products["name"].fillna("").to_numpy()[here],
            }
        )
        counted = rows.groupby(list(rows), as_index=False).size()
        return counted.drop(columns="number").rename(columns={"size": "products"})

    def _classify(self, texts: list[tuple[str, str]]) -> Sensitive:
        unique = list(dict.fromkeys(texts))
        number = {text: code for code, text in enumerate(unique)}
        code = np.fromiter((number[text] for text in texts), dtype=np.int64, count=len(texts))
        read = [(simplify(shelf), simplify(label)) for shelf, label in unique]
        topic = np.full(len(read), -1, dtype=np.int64)
        levels = {level: np.zeros(len(read), dtype=bool) for level in get_args(Level)}
        for place, words in enumerate(self.topics.values()):
            covered = words.covers(read)
            topic[covered & (topic < 0)] = place
            for level in words.levels:
                levels[level] |= covered
        return Sensitive(
            tuple(self.topics), topic[code], **{name: values[code] for name, values in levels.items()}
        )


@dataclass(frozen=True)
class Sensitive:
    """Sensitive goods among a shop's products.

    Attributes:
        topics: names.
        topic: int64[n_products], position in `topics` of the first that covers it, -1 none.
        never_offer: bool[n_products], is in no list.
        never_discover: bool[n_products], only in lists of who bought of its topic and category before.
        never_cite: bool[n_products], is no reason for another product.
        no_counts: bool[n_products], its purchases are neither counted nor dated in a sentence.
    """

    topics: tuple[str, ...]
    topic: np.ndarray
    never_offer: np.ndarray
    never_discover: np.ndarray
    never_cite: np.ndarray
    no_counts: np.ndarray


def _search(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for patterns in text from `simplify`, whose words are separated by blanks."""
    if not patterns:
        return None
    parts = "|".join(
        re.escape(pattern).replace(r"\*", r"[^\s|]*").replace(r"\ ", " ") for pattern in patterns
    )
    return re.compile(rf"(?<![^\s|])(?:{parts})(?![^\s|])")
