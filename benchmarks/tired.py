"""Logs of what customers were shown and clicked, with a known fatigue: the trial of `experiments.fatigue`.

What makes it hard is all there: some open every email and some none; lists hold what the customers like and what the
list only thinks that they like; the list's view changes from week to week, partly for good reasons; who clicked has
often bought and is not shown the product again; what was on three lists in a row rests for a week.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

CUSTOMERS, PRODUCTS, WEEKS, SLOTS = 800, 30, 8, 10
LOOKED = 0.9  # of those who look at a slot, so many look at the next
CLICKED, MOST = 0.06, 0.9  # the chance of a click on what is liked as usual, and at most
BOUGHT, IN_A_ROW = 0.5, 3


def draw_log(rng: np.random.Generator, factor: float, wobble: float = 0.1) -> pd.DataFrame:
    """The rows that `measure_fatigue` reads.

    Args:
        rng: of everything.
        factor: by which each further showing multiplies the chance of a click.
        wobble: how far the list's view of a product moves from week to week for no reason, as a standard deviation of
            its logarithm.
    """
    shape = CUSTOMERS, PRODUCTS
    known, unknown, wrong = rng.normal(0, 0.7, shape), rng.normal(0, 0.5, shape), rng.normal(0, 0.4, shape)
    opens = rng.beta(1, 2, CUSTOMERS)
    seen, in_a_row = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    gone = np.zeros(shape, dtype=bool)
    who, slot = np.repeat(np.arange(CUSTOMERS), SLOTS), np.tile(np.arange(1, SLOTS + 1), CUSTOMERS)
    weeks = []
    for week in range(WEEKS):
        now = known + rng.normal(0, 0.2, shape)
        score = now + wrong + rng.normal(0, wobble, shape)
        what = np.argsort(np.where(gone | (in_a_row >= IN_A_ROW), np.inf, -score), axis=1)[:, :SLOTS].ravel()
        chance = (
            CLICKED
            * np.exp(now + unknown - 0.5)[who, what]
            * LOOKED ** (slot - 1)
            * factor ** seen[who, what]
        )
        opened = (rng.random(CUSTOMERS) < opens)[who]
        clicked = opened & (rng.random(len(who)) < np.minimum(chance, MOST))
        rows = {"customer": who, "product": what, "week": week, "slot": slot}
        rows |= {
            "p_purchase": 0.02 * np.exp(score[who, what]),
            "times": seen[who, what] + 1,
            "clicked": clicked,
        }
        weeks.append(pd.DataFrame(rows)[opened])
        seen[who, what] += opened
        listed = np.zeros(shape, dtype=bool)
        listed[who, what] = True
        in_a_row = np.where(listed, in_a_row + 1, 0)
        gone[who, what] |= clicked & (rng.random(len(who)) < BOUGHT)
    return pd.concat(weeks, ignore_index=True)
