"""The codes of helpers/known.py's shop, and what its customers are recommended: p1 is code 0, c1 is code 0."""

from __future__ import annotations

import numpy as np

P1, P2, P3, P4, P5, P6, P7, P8 = range(8)
C1, C2, C3, C4, C5, C6 = range(6)


def list_scores(lists, customer):
    part = lists[lists["customer"] == customer]
    return list(zip(part["product"].tolist(), part["score"].tolist(), strict=True))


def everybody(known):
    return np.arange(known.n_customers)
