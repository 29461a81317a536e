"""At most three questions for somebody new: those whose answers say most about what customers go on to buy.

A question offers values of one facet: the categories or brands that most customers buy, or two of the categories
("rather tea or coffee"). What a customer would answer is the value that most of every other of their purchases are of;
what the answer says is measured on the purchases between, as the mutual information of answer and product in bits a
purchase, less its bias in small samples (Miller and Madow, 1955). Questions are taken one after the other, each with what
it says beyond those before it (Rashid et al., Getting to know you: learning new user preferences in recommender systems, 2002).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from recs_assets.contracts import model_columns
from recs_assets.known.interactions import Known
from recs_assets.week.week import Week

QUESTIONS, OPTIONS, PAIRS_OF = 3, 8, 6
FACETS = ("category", "brand")
# Products told apart; all others are one.
PRODUCTS = 200
# Below so many bits a purchase a question is not worth a customer's time.
LEAST_BITS = 0.005
TEXTS = {
    "category": "Which of these do you like?",
    "brand": "Which of these brands do you like?",
    "pair": "Rather this or that?",
}


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        kind: category, brand or pair.
        facet: of the answers.
        options: values of the facet.
        answers: int64[n_customers], position among the options that a customer would answer; their number: none of them.
    """

    kind: str
    facet: str
    options: tuple[str, ...]
    answers: np.ndarray


def tabulate_questionnaire(week: Week) -> pd.DataFrame:
    """The rows of `model.questionnaire`. Nobody is asked whether they like sensitive goods."""
    known = week.known()
    sensitive = week.shop.sensitive.classify(known.products).topic >= 0
    rows = choose_questions(known, sensitive).assign(as_of=week.as_of)
    return rows[list(model_columns("questionnaire"))]


def choose_questions(known: Known, sensitive: np.ndarray | None = None) -> pd.DataFrame:
    """The questions, best first.

    Args:
        known: of the whole shop.
        sensitive: bool[n_products]; no question names a category or brand that half of such products, or more, are of. None: none are.

    Returns:
        question (number, from 1), kind, facet, option (number, from 1), text of the question, answer (the value), bits (what the
        question says beyond the earlier ones, a purchase), customers (who would give this answer).
    """
    customer, product, answering = _split_purchases(known)
    if sensitive is None:
        sensitive = np.zeros(known.n_products, dtype=bool)
    candidates = list(_list_questions(known, sensitive, customer[answering], product[answering]))
    measured = ~answering
    who, target = customer[measured], _number_targets(known, product[measured])
    cells, taken, rows = np.zeros(known.n_customers, dtype=np.int64), 0, []
    so_far = _measure_bits(cells[who], target)
    while candidates and taken < QUESTIONS:
        joint = [_join(cells, question.answers) for question in candidates]
        bits = [_measure_bits(cell[who], target) - so_far for cell in joint]
        best = int(np.argmax(bits))  # of equal ones the first
        if not bits[best] >= LEAST_BITS:
            break
        question, cells = candidates.pop(best), joint[best]
        so_far += bits[best]
        taken += 1
        answered = np.bincount(question.answers[np.unique(who)], minlength=len(question.options) + 1)
        rows += [
            (taken, question.kind, question.facet, number + 1, TEXTS[question.kind], value, round(bits[best], 6), answered[number])
            for number, value in enumerate(question.options)
        ]  # fmt: skip
    columns = ["question", "kind", "facet", "option", "text", "answer", "bits", "customers"]
    return pd.DataFrame(rows, columns=columns)


def _split_purchases(known: Known) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer and product of every purchase of whom models may learn from, and which of them answer: every other day of a
    customer, so that a basket is on one side."""
    learned = known.customers["learned_from"].to_numpy(dtype=bool)
    kept = known.purchased & learned[known.events.customer]
    customer, day = known.events.customer[kept].astype(np.int64), known.events.day[kept].astype(np.int64)
    days = pd.DataFrame({"customer": customer, "day": day})
    place = days.groupby("customer")["day"].rank(method="dense").to_numpy().astype(np.int64)
    return customer, known.events.product[kept].astype(np.int64), place % 2 == 1


def _list_questions(
    known: Known, sensitive: np.ndarray, customer: np.ndarray, product: np.ndarray
) -> Iterator[Question]:
    for facet in FACETS:
        values = known.products[facet].astype("string").str.strip().fillna("").to_numpy(dtype=object)
        labels, number = np.unique(values.astype(str), return_inverse=True)
        counts = pd.DataFrame({"customer": customer, "label": number[product]})
        delicate = (
            np.bincount(number, sensitive, len(labels)) >= np.bincount(number, minlength=len(labels)) / 2
        )
        spoken = (labels != "") & ~delicate
        counts = counts[spoken[counts["label"]]].groupby(["customer", "label"]).size().reset_index(name="n")
        buyers = np.bincount(counts["label"], minlength=len(labels))
        best = [int(label) for label in np.argsort(-buyers, kind="stable")[:OPTIONS] if buyers[label]]
        if len(best) < 2:
            continue
        yield _ask(facet, facet, labels, best, counts, known.n_customers)
        if facet == "category":
            for pair in combinations(best[:PAIRS_OF], 2):
                yield _ask("pair", facet, labels, list(pair), counts, known.n_customers)


def _ask(
    kind: str, facet: str, labels: np.ndarray, options: list[int], counts: pd.DataFrame, n_customers: int
) -> Question:
    """A question and its answers: the option with most purchases, of equal ones the first."""
    bought = np.zeros((n_customers, len(options)))
    for place, label in enumerate(options):
        own = counts[counts["label"] == label]
        bought[own["customer"], place] = own["n"]
    answers = np.where(bought.any(axis=1), bought.argmax(axis=1), len(options))
    return Question(kind, facet, tuple(str(labels[label]) for label in options), answers.astype(np.int64))


def _number_targets(known: Known, product: np.ndarray) -> np.ndarray:
    """int64: number of the product among the best sellers, or of all others."""
    count = np.bincount(product, minlength=known.n_products)
    best = np.argsort(-count, kind="stable")[:PRODUCTS]
    number = np.full(known.n_products, PRODUCTS, dtype=np.int64)
    number[best] = np.arange(len(best))
    return number[product]


def _join(cells: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """int64[n_customers]: number of the combination of both."""
    return np.unique(cells * (OPTIONS + 1) + answers, return_inverse=True)[1]


def _measure_bits(cells: np.ndarray, targets: np.ndarray) -> float:
    """Mutual information in bits, less the bias of so many cells in so few rows."""
    if not len(cells):
        return 0.0
    joint = np.unique(cells * (PRODUCTS + 1) + targets, return_counts=True)[1]
    parts = [np.unique(values, return_counts=True)[1] for values in (cells, targets)]
    n = len(cells)

    def entropy(counts: np.ndarray) -> float:
        share = counts / n
        # Sorted, so that the order of the cells does not touch the last digit.
        return float(-np.sort(share * np.log2(share)).sum()) + (len(counts) - 1) / (2 * n * np.log(2))

    return entropy(parts[0]) + entropy(parts[1]) - entropy(joint)
