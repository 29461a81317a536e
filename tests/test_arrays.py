"""Array tools against the plain way to do the same."""

import doctest

import numpy as np
import pytest
from scipy import sparse

from recs_assets import arrays
from recs_assets.arrays import (
    PairIndex,
    argmax_rows,
    argsort_best_first,
    encode_pairs,
    find_largest,
    find_runs,
    find_sorted,
    is_stored,
    list_entries,
    mark_ends,
    mark_starts,
    mix_bits,
    multiply_grid,
    rank_within,
    round_to_grid,
    split_blocks,
    sum_runs,
)

NOTHING = np.empty(0, dtype=np.int64)


def test_examples():
    results = doctest.testmod(arrays)
    assert results.failed == 0
    assert results.attempted > 0


def test_runs_of_one_key_and_of_two():
    key, day = np.array([4, 4, 4, 9, 2, 2]), np.array([1, 1, 3, 3, 3, 3])
    assert mark_starts(key).tolist() == [True, False, False, True, True, False]
    assert mark_ends(key).tolist() == [False, False, True, True, False, True]
    starts, length = find_runs(key, day)
    assert starts.tolist() == [0, 2, 3, 4]
    assert length.tolist() == [2, 1, 1, 2]
    assert sum_runs(np.arange(6.0), starts).tolist() == [1.0, 2.0, 3.0, 9.0]
    assert rank_within(key).tolist() == [1, 2, 3, 1, 1, 2]


def test_nothing_has_no_runs():
    assert len(mark_starts(NOTHING)) == len(mark_ends(NOTHING, NOTHING)) == len(rank_within(NOTHING)) == 0
    starts, length = find_runs(NOTHING)
    assert len(starts) == len(length) == len(sum_runs(np.empty(0), starts)) == 0


def test_pairs_are_found_as_a_dictionary_finds_them():
    rng = np.random.default_rng(5)
    matrix = sparse.random(40, 30, 0.2, format="csr", random_state=1)
    matrix.sort_indices()
    entries = {
        pair: place
        for place, pair in enumerate(zip(*map(np.ndarray.tolist, list_entries(matrix)), strict=True))
    }
    rows, columns = rng.integers(0, 40, 500).astype(np.int32), rng.integers(0, 30, 500).astype(np.int32)
    wanted = [entries.get(pair, -1) for pair in zip(rows.tolist(), columns.tolist(), strict=True)]
    assert -1 in wanted
    assert PairIndex.of(matrix).find(rows, columns).tolist() == wanted
    assert is_stored(matrix, rows, columns).tolist() == [place >= 0 for place in wanted]


def test_pairs_beyond_32_bits_stay_apart():
    key = encode_pairs(np.array([100_000], np.int32), np.array([7], np.int32), 100_000)
    assert key.tolist() == [10_000_000_007]
    assert [part.tolist() for part in np.divmod(key, 100_000)] == [[100_000], [7]]


def test_nothing_is_found_where_nothing_is_stored():
    empty = sparse.csr_matrix((3, 0))
    assert find_sorted(NOTHING, np.array([1, 2])).tolist() == [-1, -1]
    assert PairIndex.of(empty).find(np.array([0]), np.array([0])).tolist() == [-1]
    assert is_stored(sparse.csr_matrix((3, 4)), np.array([1]), np.array([2])).tolist() == [False]


def test_the_largest_entry_of_a_row_has_the_smaller_column():
    matrix = sparse.csr_matrix(np.array([[0, 5, 5, 1], [0, 0, 0, 0], [2, 0, 0, 3]]))
    assert argmax_rows(matrix).tolist() == [1, -1, 3]


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_blocks_hold_every_member_that_counts_once(most):
    counts = np.random.default_rng(most).integers(0, 6, 50)
    blocks = list(split_blocks(counts, most))
    members = [member for start, stop in blocks for member in range(start, stop)]
    assert members == sorted(set(members))
    assert {member for member in range(50) if counts[member]} <= set(members)
    assert all(counts[start:stop].sum() <= most or stop == start + 1 for start, stop in blocks)
    assert all(counts[start:stop].sum() > 0 for start, stop in blocks)


def test_mixed_bits_are_those_of_splitmix64():
    # The first outputs of the reference implementation for state 0: it mixes n * 0x9E3779B97F4A7C15.
    states = np.array([1, 2], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [hex(value) for value in mix_bits(states).tolist()] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_find_largest_holds_every_tie_of_the_kth():
    rng = np.random.default_rng(0)
    for width, k in [(3, 5), (50, 7), (1000, 3), (5000, 100)]:
        scores = rng.integers(0, 40, size=(20, width)).astype(np.float32)
        scores[rng.random((20, width)) < 0.3] = -np.inf
        scores[0] = -np.inf
        rows, columns = find_largest(scores, k)
        got = np.zeros_like(scores, dtype=bool)
        got[rows, columns] = True
        ordered = -np.sort(-scores, axis=1)
        kth = ordered[:, min(k, width) - 1][:, None]
        assert (got | ~((scores >= kth) & (scores > -np.inf))).all()
        assert not (got & (scores == -np.inf)).any()


def test_products_on_the_grid_are_exact_whatever_the_order():
    rng = np.random.default_rng(0)
    left, right = round_to_grid(rng.normal(size=(70, 129))), round_to_grid(rng.normal(size=(90, 129)) * 1e-6)
    whole = multiply_grid(left, right)
    np.testing.assert_array_equal(whole, multiply_grid(left[:, ::-1], right[:, ::-1]))
    np.testing.assert_array_equal(whole[33:34], multiply_grid(left[33:34], right))
    np.testing.assert_array_equal(whole, multiply_grid(right, left).T)
    exact = [
        [sum(a * b for a, b in zip(u, v, strict=True)) for v in right[:3].tolist()] for u in left[:3].tolist()
    ]
    np.testing.assert_array_equal(whole[:3, :3], np.float32(exact))
    empty = np.full((1, 3), np.nan)
    assert np.isnan(round_to_grid(empty)).all()
    assert round_to_grid(np.zeros((1, 3))).tolist() == [[0, 0, 0]]


def test_best_first_is_the_sort_by_three_keys():
    draw = np.random.default_rng(3)
    extremes = np.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, 1.5, -1.5], dtype=np.float32)
    for size in (0, 1, 2, 5_000):
        group = draw.choice([0, 1, 7, 2**31 - 1], size)
        item = draw.permutation(2**31 - 1 - np.arange(size))
        value = draw.choice(extremes, size)
        np.testing.assert_array_equal(
            argsort_best_first(group, item, value), np.lexsort((item, -value, group))
        )
