"""Reasons in words: each distinct sentence is written once, in the customer's language."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from recs_assets.reasons.evidence import Evidence
from recs_assets.reasons.ladder import CODES, NONE, Rows
from recs_assets.reasons.sentences import OWN_TABLE, PLACEHOLDERS, Sentences

# Code -> what its sentence may name.
NAMED = {**PLACEHOLDERS, OWN_TABLE: ("date",)}

DAYS_OF_A_MONTH = 365.25 / 12


@cache
def load_shipped_sentences() -> Sentences:
    return Sentences.load()


def write_reasons(rows: pd.DataFrame, parts: Sequence[Rows], sentences: Sentences) -> pd.DataFrame:
    """The rows with a fresh index and reason_code, reason_text, because_product, because_day.

    Args:
        rows: of the parts, in their order.
        parts: blocks of rows that have their reasons.
        sentences: of the shop.
    """
    result = rows.reset_index(drop=True)
    code, because, day = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("code", "because", "day")
    )
    result["reason_code"] = pd.Categorical.from_codes(code, categories=list(CODES))
    result["reason_text"] = write_sentences(parts, sentences)
    result["because_product"] = because
    result["because_day"] = np.where(because < 0, NONE, day).astype(np.int32)
    return result


def write_sentences(parts: Sequence[Rows], sentences: Sentences) -> pd.Series:
    """The sentence of every row; "" where no reason holds."""
    evidence = parts[0].evidence
    code, because, day, days, products, customers, table = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("code", "because", "day", "days", "products", "customers", "table")
    )
    locale = evidence.known.customers.get("locale")
    language, tags = sentences.tags(locale, evidence.known.n_customers)
    subject = np.full(len(code), NONE, dtype=np.int64)  # what the sentence names
    when, count = np.full(len(code), NONE, dtype=np.int64), np.zeros(len(code), dtype=np.int64)
    for position in np.unique(code[code >= 0]):
        here, named = np.flatnonzero(code == position), NAMED[CODES[position]]
        if "product" in named:
            subject[here] = because[here]
        elif "category" in named or "brand" in named:
            subject[here] = getattr(evidence, "category" if "category" in named else "brand")[products[here]]
        if "date" in named:
            when[here] = day[here]
        if "days" in named or "months" in named:
            count[here] = days[here]
    spoken = language[customers]
    frame = pd.DataFrame(
        {"code": code, "subject": subject, "when": when, "count": count, "tag": spoken, "table": table}
    )
    group = frame.groupby(list(frame), sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    texts = [
        _write_sentence(evidence, sentences, tags[spoken[row]], CODES[code[row]], products[row], because[row],
                        int(when[row]), int(count[row]), int(table[row])) if code[row] >= 0 else ""
        for row in first
    ]  # fmt: skip
    return pd.Series(pd.array(texts, dtype="str").take(group))


def _write_sentence(
    evidence: Evidence,
    sentences: Sentences,
    tag: str,
    code: str,
    product: int,
    because: int,
    day: int,
    days: int,
    table: int,
) -> str:
    named, known, values = NAMED[code], evidence.known, {}
    if "product" in named:
        values["product"] = evidence.title[1][because]
    for column in ("category", "brand"):
        if column in named:
            values[column] = known.products[column].iloc[product]
    if "date" in named and day >= 0:
        values["date"] = sentences.day(day, known.as_of, tag)
    if "days" in named:
        values["days"] = sentences.number(days, tag)
    if "months" in named:
        values["months"] = sentences.number(round(days / DAYS_OF_A_MONTH), tag)
    if code == OWN_TABLE:
        return sentences.own_sentence(tuple(known.own_tables)[table], tag, **values)
    return sentences.sentence(code, tag, **values)
