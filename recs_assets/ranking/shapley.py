"""Exact SHAP values of LightGBM's trees from look-up tables: some hundred thousand rows a second.

What a tree says of a row depends only on which side of its few splits the row falls. So every
contribution that can occur is computed once, and a row costs one look-up per feature of each tree.
LightGBM's own `pred_contrib` walks the recursion of TreeSHAP for every row, some thousand rows a
second; `python -m benchmarks.scoring` times both.

The values are those of path-dependent TreeSHAP: Lundberg et al. 2020, "From local explanations to
global understanding with explainable AI for trees", algorithm 2. For one leaf with value v whose
path splits on the features D,

    phi_f = v (o_f - z_f) sum over S of D without f of |S|! (|D| - |S| - 1)! / |D|!
                          prod over j in S of o_j  prod over the other j of z_j

where o_j is 1 if the row passes every split on j of that path, otherwise 0, and z_j is the share of
training rows that those splits let through.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import factorial, prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import lightgbm

# Leaves of a tree share a table while it has at most so many rows: larger ones leave the cache.
TABLE_ROWS = 1 << 12
# A path with more distinct features than this would need tables of millions of rows.
MOST_ON_PATH = 20
# Rows looked up at once: their codes and contributions stay within a processor's cache.
CHUNK = 4096


@dataclass(frozen=True)
class _Split:
    """One split as a row meets it: at most `threshold` goes left, NaN where `nan_left` says."""

    feature: int
    threshold: np.float32
    nan_left: bool


@dataclass(frozen=True)
class _Leaf:
    """A leaf: its value and, per feature of its path, (splits with the side to take, share let through)."""

    value: float
    path: dict[int, tuple[list[tuple[_Split, bool]], float]]


@dataclass(frozen=True)
class _Piece:
    """Some leaves of one tree in one table.

    Attributes:
        columns: features, by column of the frame.
        steps: per feature intp[bins of the feature]: what a bin adds to the row of the table.
        table: float64[features, rows]: contributions.
    """

    columns: list[int]
    steps: list[np.ndarray]
    table: np.ndarray


class Shapley:
    """Tables of one booster.

    Args:
        booster: fitted with numeric features and without `zero_as_missing`.

    Raises:
        ValueError: the booster has other splits, or a path of more than 20 features.
    """

    def __init__(self, booster: lightgbm.Booster) -> None:
        model = booster.dump_model()
        self.n_features = model["max_feature_idx"] + 1
        self.base = 0.0
        trees = [_list_leaves(tree["tree_structure"]) for tree in model["tree_info"]]
        longest = max((len(leaf.path) for leaves in trees for leaf in leaves), default=0)
        if longest > MOST_ON_PATH:
            raise ValueError(
                f"A path splits on {longest} features, at most {MOST_ON_PATH} can be attributed: fewer leaves."
            )
        seen: dict[int, set[np.float32]] = {}
        for leaf in (leaf for leaves in trees for leaf in leaves):
            for feature, (splits, _) in leaf.path.items():
                seen.setdefault(feature, set()).update(split.threshold for split, _ in splits)
        self._thresholds = {
            feature: np.array(sorted(found), np.float32) for feature, found in sorted(seen.items())
        }
        self._pieces = []
        for leaves in trees:
            self.base += sum(leaf.value * prod(share for _, share in leaf.path.values()) for leaf in leaves)
            self._pieces += [self._build_piece(group) for group in self._group_leaves(leaves)]

    def contributions(self, X: np.ndarray, threads: int = 1) -> np.ndarray:
        """float64[n, n_features]: with `base` they add up to the raw score of each row.

        Args:
            X: float32[n, n_features], NaN where unknown.
            threads: rows are shared among so many; the result does not depend on it.
        """
        result = np.empty((len(X), self.n_features))
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(
                lambda start: self._chunk(X[start : start + CHUNK], result[start : start + CHUNK]),
                range(0, len(X), CHUNK),
            ):
                pass
        return result

    def _chunk(self, X: np.ndarray, result: np.ndarray) -> None:
        bins = {column: self._find_bins(column, X[:, column]) for column in self._thresholds}
        values = np.zeros((self.n_features, len(X)))
        row, step, value = np.empty(len(X), np.intp), np.empty(len(X), np.intp), np.empty(len(X))
        for piece in self._pieces:
            row[:] = 0
            for column, steps in zip(piece.columns, piece.steps, strict=True):
                # Every index is valid; "clip" only spares numpy a buffered copy of the result.
                np.take(steps, bins[column], out=step, mode="clip")
                row += step
            for column, contribution in zip(piece.columns, piece.table, strict=True):
                np.take(contribution, row, out=value, mode="clip")
                values[column] += value
        result[:] = values.T

    def _find_bins(self, column: int, values: np.ndarray) -> np.ndarray:
        """intp[n]: how many thresholds of the feature lie below each value; NaN after the last."""
        thresholds = self._thresholds[column]
        bins = np.searchsorted(thresholds, values, side="left")
        bins[np.isnan(values)] = len(thresholds) + 1
        return bins

    def _passes(self, feature: int, splits: list[tuple[_Split, bool]]) -> np.ndarray:
        """bool[bins]: whether a value of each bin takes the path through these splits of the feature."""
        thresholds = self._thresholds[feature]
        passes = np.ones(len(thresholds) + 2, dtype=bool)
        for split, left in splits:
            goes_left = np.arange(len(thresholds) + 2) <= np.searchsorted(thresholds, split.threshold)
            goes_left[-1] = split.nan_left
            passes &= goes_left == left
        return passes

    def _find_states(self, leaves: list[_Leaf]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Feature -> (intp[bins], bool[states, leaves]): bins that all the leaves treat alike are one state.

        A leaf whose path does not split on a feature lets every state of it pass.
        """
        states = {}
        for feature in sorted({feature for leaf in leaves for feature in leaf.path}):
            passes = [self._passes(feature, leaf.path.get(feature, ([], 1.0))[0]) for leaf in leaves]
            ways, state = np.unique(np.stack(passes, axis=1), axis=0, return_inverse=True)
            states[feature] = (state.ravel().astype(np.intp), ways)
        return states

    def _group_leaves(self, leaves: list[_Leaf]) -> Iterator[list[_Leaf]]:
        """Neighbouring leaves whose common table stays small."""
        group: list[_Leaf] = []
        splits: dict[int, set[_Split]] = {}
        for leaf in leaves:
            if not leaf.path:
                continue  # a tree without a split: all of it is base
            grown = {feature: set(passed) for feature, passed in splits.items()}
            for feature, (passed, _) in leaf.path.items():
                grown.setdefault(feature, set()).update(split for split, _ in passed)
            if group and prod(_count_states(passed) for passed in grown.values()) > TABLE_ROWS:
                yield group
                group = []
                grown = {
                    feature: {split for split, _ in passed} for feature, (passed, _) in leaf.path.items()
                }
            group.append(leaf)
            splits = grown
        if group:
            yield group

    def _build_piece(self, leaves: list[_Leaf]) -> _Piece:
        states = self._find_states(leaves)
        columns, sizes = list(states), [len(ways) for _, ways in states.values()]
        strides = [prod(sizes[place + 1 :]) for place in range(len(sizes))]
        table = np.zeros((len(columns), prod(sizes)))
        for number, leaf in enumerate(leaves):
            # Which of its own features each row of the table passes, as a binary number.
            pattern = np.zeros(sizes, dtype=np.intp)
            own = [columns.index(feature) for feature in leaf.path]
            for bit, place in enumerate(own):
                shape = [1] * len(sizes)
                shape[place] = sizes[place]
                pattern += states[columns[place]][1][:, number].reshape(shape).astype(np.intp) << bit
            phi = leaf.value * _attribute_leaf(np.array([share for _, share in leaf.path.values()]))
            for bit, place in enumerate(own):
                table[place] += phi[bit, pattern.ravel()]
        steps = [states[column][0] * np.intp(stride) for column, stride in zip(columns, strides, strict=True)]
        return _Piece(columns, steps, table)


def _count_states(splits: set[_Split]) -> int:
    """At most so many ways in which values, and NaN, pass these splits of one feature."""
    nan_is_outside = (
        len({split.threshold for split in splits}) > 1 or len({split.nan_left for split in splits}) > 1
    )
    return len({split.threshold for split in splits}) + 1 + nan_is_outside


def _attribute_leaf(share: np.ndarray) -> np.ndarray:
    """float64[d, 2^d]: the contributions to a leaf of value 1 for every pattern of passed features.

    Args:
        share: z of the d features; bit j of a pattern is o of feature j.
    """
    d = len(share)
    passed = (np.arange(1 << d) >> np.arange(d)[:, None] & 1).astype(float)
    weight = np.array([factorial(s) * factorial(d - 1 - s) / factorial(d) for s in range(d)])
    phi = np.empty((d, 1 << d))
    for f in range(d):
        # Coefficient s: the sum over subsets of size s of the products of o inside and z outside.
        polynomial = np.zeros((d, 1 << d))
        polynomial[0] = 1.0
        for j in range(d):
            if j != f:
                higher = polynomial[:-1] * passed[j]
                polynomial *= share[j]
                polynomial[1:] += higher
        phi[f] = (passed[f] - share[f]) * (weight @ polynomial)
    return phi


def _list_leaves(root: dict) -> list[_Leaf]:
    """The leaves of LightGBM's dumped tree, from left to right."""
    leaves: list[_Leaf] = []

    def walk(node: dict, path: dict[int, tuple[list[tuple[_Split, bool]], float]]) -> None:
        if "leaf_value" in node:
            leaves.append(_Leaf(node["leaf_value"], path))
            return
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise ValueError(
                f"A split is {node['decision_type']!r} with missing {node['missing_type']}: only numeric "
                "splits without zero_as_missing can be attributed."
            )
        # A float32 is at most a double exactly if it is at most the largest float32 below that.
        with np.errstate(over="ignore"):  # "every number" is the largest double
            threshold = np.float32(node["threshold"])
        if float(threshold) > node["threshold"]:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        # Without a NaN in training LightGBM reads one as zero.
        nan_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
        split = _Split(node["split_feature"], threshold, nan_left)
        for left in (True, False):
            child = node["left_child" if left else "right_child"]
            count = child["leaf_count"] if "leaf_value" in child else child["internal_count"]
            splits, share = path.get(split.feature, ([], 1.0))
            step = ([*splits, (split, left)], share * count / node["internal_count"])
            walk(child, {**path, split.feature: step})

    walk(root, {})
    return leaves
