"""At most three questions for somebody new: those whose answers say most about what customers go on to buy.

A question offers values of one facet: the categories or brands that most customers buy, or two of the categories
("rather tea or coffee"). No value is offered twice. What a customer would answer is the value that most of every other of
their shopping days is of; what the answer says is measured on the purchases between, as the mutual information of answer and
product in bits a purchase. Answers of anybody say something in a small shop: the same answers, shuffled among customers who
answered alike so far, tell how much of it is chance, which is taken off; and no question is asked that says no more than some
question does in one of the shuffles (the largest statistic of all, as Westfall and Young, Resampling-based multiple testing,
1993). Questions are taken one after the other, each with what it says beyond those before it (Rashid et al., Getting to know
you: learning new user preferences in recommender systems, 2002).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import xlogy

from recs_assets.contracts import model_columns
from recs_assets.known.interactions import Known
from recs_assets.names import fold
from recs_assets.week.week import Week

QUESTIONS, OPTIONS, PAIRS_OF = 3, 8, 6
FACETS = ("category", "brand")
# Products told apart; all others are one.
PRODUCTS = 200
# Below so many bits a purchase a question is not worth a customer's time.
LEAST_BITS = 0.005
# Where nothing says anything, a first question is asked in one of SHUFFLES + 1 shops.
SHUFFLES, SEED = 99, 0
# Bounds the work: pairs of customer and product that are measured; of a shop with more, those of customers drawn at random.
PAIRS = 500_000
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


@dataclass(frozen=True)
class Sample:
    """Purchases that questions are measured on: one row per customer and product told apart.

    Attributes:
        people: int64[n], codes of the customers, ascending.
        person: int64[n_rows], position among `people`.
        target: int64[n_rows], number of the product.
        days: float64[n_rows], purchases.
    """

    people: np.ndarray
    person: np.ndarray
    target: np.ndarray
    days: np.ndarray

    def measure_bits(self, groups: np.ndarray) -> float:
        """What the group of its customer says of a purchase: mutual information in bits.

        Args:
            groups: int64[n], a number of every person's group from 0 on.
        """
        if not len(self.days):
            return 0.0
        width = PRODUCTS + 1
        cells = groups[self.person] * width + self.target
        table = np.bincount(cells, self.days, (groups.max() + 1) * width).reshape(-1, width)
        n = table.sum()
        parts = (xlogy(table, table), *(-xlogy(counts, counts) for counts in (table.sum(0), table.sum(1))))
        return float((sum(part.sum() for part in parts) + xlogy(n, n)) / (n * np.log(2)))


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
        question (number, from 1), question_id (`name_question`), kind, facet, option (number, from 1), text of the question, answer
        (the value), bits (what the question says beyond the earlier ones and beyond chance, a purchase), customers (who would give
        this answer).
    """
    customer, product, answering = _split_purchases(known)
    if sensitive is None:
        sensitive = np.zeros(known.n_products, dtype=bool)
    choices = [
        _count_values(known, sensitive, facet, customer[answering], product[answering]) for facet in FACETS
    ]
    rng = np.random.default_rng(SEED)
    sample = _draw_sample(known, customer[~answering], product[~answering], rng)
    active = np.unique(customer[~answering])
    cells, offered, rows = np.zeros(len(sample.people), dtype=np.int64), set(), []
    for number in range(1, QUESTIONS + 1):
        questions = list(_list_questions(choices, offered, known.n_customers))
        best, bits = _find_best(
            sample, cells, [question.answers[sample.people] for question in questions], rng
        )
        if best is None:
            break
        question = questions[best]
        cells = np.unique(_join(cells, question.answers[sample.people]), return_inverse=True)[1]
        offered |= {(question.facet, value) for value in question.options}
        answered = np.bincount(question.answers[active], minlength=len(question.options) + 1)
        name, text = name_question(question.kind, question.facet, question.options), TEXTS[question.kind]
        rows += [
            (number, name, question.kind, question.facet, option + 1, text, value, round(bits, 6), answered[option])
            for option, value in enumerate(question.options)
        ]  # fmt: skip
    columns = ["question", "question_id", "kind", "facet", "option", "text", "answer", "bits", "customers"]
    return pd.DataFrame(rows, columns=columns)


def name_question(kind: str, facet: str, options: Collection[str]) -> str:
    """The same in every week that asks the same: the kind, and a hash of the facet and the options in whatever order.

    >>> name_question("pair", "category", ["Tea", "Coffee"]) == name_question("pair", "category", ["coffee", " Tea"])
    True
    """
    asked = "\n".join([facet, *sorted(map(fold, options))])
    return f"{kind}-{blake2b(asked.encode(), digest_size=6).hexdigest()}"


def _split_purchases(known: Known) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer and product of every purchase of whom models may learn from, and which of them answer: every other day of a
    customer, so that a basket is on one side."""
    learned = known.customers["learned_from"].to_numpy(dtype=bool)
    kept = known.purchased & learned[known.events.customer]
    customer, day = known.events.customer[kept].astype(np.int64), known.events.day[kept].astype(np.int64)
    days = pd.DataFrame({"customer": customer, "day": day})
    place = days.groupby("customer")["day"].rank(method="dense").to_numpy().astype(np.int64)
    return customer, known.events.product[kept].astype(np.int64), place % 2 == 1


def _draw_sample(known: Known, customer: np.ndarray, product: np.ndarray, rng: np.random.Generator) -> Sample:
    count = np.bincount(product, minlength=known.n_products)
    best = np.argsort(-count, kind="stable")[:PRODUCTS]
    number = np.full(known.n_products, PRODUCTS, dtype=np.int64)
    number[best] = np.arange(len(best))
    pairs, days = np.unique(customer * (PRODUCTS + 1) + number[product], return_counts=True)
    customer, target = pairs // (PRODUCTS + 1), pairs % (PRODUCTS + 1)
    people, size = np.unique(customer, return_counts=True)
    if len(pairs) > PAIRS:
        order = rng.permutation(len(people))
        people = np.sort(people[order[np.cumsum(size[order]) <= PAIRS]])
        kept = np.isin(customer, people)
        customer, target, days = customer[kept], target[kept], days[kept]
    return Sample(people, np.searchsorted(people, customer), target, days.astype(np.float64))


def _count_values(
    known: Known, sensitive: np.ndarray, facet: str, customer: np.ndarray, product: np.ndarray
) -> tuple[str, np.ndarray, pd.DataFrame]:
    """Facet, its values (spellings of one are one), and how often who bought which: customer, label (position among the values), n."""
    values = known.products[facet].astype("string").str.strip().fillna("").to_numpy(dtype=object)
    folded = np.array([fold(value) for value in values], dtype=str)
    _, first, number = np.unique(folded, return_index=True, return_inverse=True)
    labels = values[first]
    delicate = np.bincount(number, sensitive, len(labels)) >= np.bincount(number, minlength=len(labels)) / 2
    spoken = (labels != "") & ~delicate
    counts = pd.DataFrame({"customer": customer, "label": number[product]})
    counts = counts[spoken[counts["label"]]].groupby(["customer", "label"]).size().reset_index(name="n")
    return facet, labels, counts


def _list_questions(
    choices: list[tuple[str, np.ndarray, pd.DataFrame]], offered: set[tuple[str, str]], n_customers: int
) -> Iterator[Question]:
    """Of the values that were not offered yet, those that most customers bought."""
    for facet, labels, counts in choices:
        buyers = np.bincount(counts["label"], minlength=len(labels))
        buyers[[(facet, label) in offered for label in labels]] = 0
        best = [int(label) for label in np.argsort(-buyers, kind="stable")[:OPTIONS] if buyers[label]]
        place = np.full(len(labels), -1)
        place[best] = np.arange(len(best))
        own = counts[place[counts["label"]] >= 0]
        bought = np.zeros((n_customers, len(best)))
        bought[own["customer"], place[own["label"]]] = own["n"]
        asked = [(facet, tuple(range(len(best))))] if len(best) > 1 else []
        if facet == "category":
            asked += [("pair", pair) for pair in combinations(range(len(best[:PAIRS_OF])), 2)]
        for kind, options in asked:
            times = bought[:, options]
            # Of equal ones the first.
            answers = np.where(times.any(axis=1), times.argmax(axis=1), len(options))
            yield Question(kind, facet, tuple(str(labels[best[option]]) for option in options), answers)


def _find_best(
    sample: Sample, cells: np.ndarray, answers: list[np.ndarray], rng: np.random.Generator
) -> tuple[int | None, float]:
    """Which answers say most beyond chance, and how many bits; None where what they say may be chance, or is little.

    Args:
        sample: what it is measured on.
        cells: int64[n], who answered alike so far.
        answers: per question int64[n].
        rng: shuffles.
    """
    if not answers or not len(sample.people):
        return None, 0.0
    so_far, by_cell = sample.measure_bits(cells), np.argsort(cells, kind="stable")
    bits = np.empty((SHUFFLES + 1, len(answers)))
    giver = np.arange(len(cells))
    for row in bits:
        row[:] = [sample.measure_bits(_join(cells, given[giver])) - so_far for given in answers]
        # All questions are shuffled alike, so that the best of them is compared with the best by chance.
        giver[by_cell] = np.lexsort((rng.random(len(cells)), cells))
    surplus = bits - bits.mean(axis=0)
    best = int(np.argmax(surplus[0]))  # of equal ones the first
    gain = float(bits[0, best] - bits[1:, best].mean())
    proven = surplus[0, best] > surplus[1:].max()
    return (best, gain) if proven and gain >= LEAST_BITS else (None, 0.0)


def _join(cells: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """int64[n]: number of the combination of both."""
    return cells * (OPTIONS + 1) + answers
