"""Whether two things go together more than chance would give."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc

# That what a list or a sentence rests on is beyond chance.
CONFIDENCE = 0.95


def find_beyond_chance(
    count: np.ndarray, buyers: np.ndarray, expected: np.ndarray, doubt: float = 1 - CONFIDENCE
) -> np.ndarray:
    """bool[n]: the lower end of the share's one-sided interval (Clopper and Pearson's, exact) is above `expected`.

    That is where chance alone gives as many, `count` of `buyers` or more, less often than `doubt`.

    Args:
        count: 1 or more.
        buyers: of whom they are.
        expected: their share by chance.
        doubt: how often chance may give as many; as it is, of each pair alone.

    >>> find_beyond_chance(np.array([3, 3]), np.array([6, 6]), np.array([0.478, 0.05]))
    array([False,  True])
    """
    return betainc(count, buyers - count + 1, expected) < doubt


def find_pairs_beyond_chance(
    both: np.ndarray, left: np.ndarray, right: np.ndarray, total: int, products: int
) -> np.ndarray:
    """bool[n]: the two products of a pair go together more often than chance would give, and provably so.

    A list shows the best of all the pairs that a product could be in. So chance may give as many only in `1 - CONFIDENCE`
    of all products, whichever of their pairs is looked at (Bonferroni's correction). The binomial tail stands for the
    hypergeometric one, which is lighter (Hoeffding, 1963); that of the product bought less is the closer one, and either order of
    a pair gives the same.

    Args:
        both: baskets or customers with both products; 1 or more.
        left: with the one.
        right: with the other.
        total: of all.
        products: that a product could be in a pair with.

    >>> find_pairs_beyond_chance(np.array([5, 9]), np.array([10, 10]), np.array([50, 50]), total=100, products=20)
    array([False,  True])
    """
    fewer, more = np.minimum(left, right), np.maximum(left, right)
    return find_beyond_chance(both, fewer, more / max(1, total), (1 - CONFIDENCE) / max(1, products))
