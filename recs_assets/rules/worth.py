"""What customers are worth, and who of them is the last to be written to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Expected spend and code of a last recipient whom nobody comes after.
EVERYBODY = (-float("inf"), int(np.iinfo(np.int64).max))


@dataclass(frozen=True)
class Worth:
    """What customers are expected to spend in the next 364 days, as `recs.customer_values` has it.

    Attributes:
        spend: float64[n_customers], NaN where nothing is expected.
        tier: int64[n_customers], 1 to 5, 0 with it.
        last: of a block of customers, the expected spend and the code of the last one who is written to where a campaign has
            `max_recipients`; None: these are all customers.
    """

    spend: np.ndarray
    tier: np.ndarray
    last: tuple[float, int] | None = None


def find_last_recipient(spend: np.ndarray, code: np.ndarray, most: int) -> tuple[float, int]:
    """Of eligible customers, expected spend and code of the last one of `most` by spend and, of equal ones, by code; with fewer
    of them `EVERYBODY`."""
    if len(code) <= most:
        return EVERYBODY
    own = rank_spend(spend)
    last = np.lexsort((code, -own))[most - 1]
    return float(own[last]), int(code[last])


def rank_spend(spend: np.ndarray) -> np.ndarray:
    """Expected spend, below everything where nothing is expected."""
    return np.where(np.isnan(spend), -np.inf, spend)
