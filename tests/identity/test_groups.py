from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.identity.groups import find_components, group_profiles

PAIRS = st.lists(st.sampled_from(list(combinations("abcdefgh", 2))), max_size=12)


def test_a_pair_that_would_bring_a_contradiction_into_a_group_is_not_joined():
    # b is alike to both, who contradict each other: the surer pair wins.
    assert group_profiles([], [("a", "b"), ("b", "c")], [("a", "c")]) == {"a": "a", "b": "a"}
    assert group_profiles([], [("b", "c"), ("a", "b")], [("c", "a")]) == {"b": "b", "c": "b"}


def test_what_the_shop_decides_wins():
    assert group_profiles([("a", "c")], [], [("a", "c")]) == {"a": "a", "c": "a"}
    assert group_profiles([], [("a", "b"), ("b", "c")], [], [("a", "c")]) == {"a": "a", "b": "a"}


def test_components():
    assert find_components([("c", "d"), ("b", "c"), ("x", "y")]) == {
        "b": "b", "c": "b", "d": "b", "x": "x", "y": "x",
    }  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(matched=PAIRS, contradictions=PAIRS, different=PAIRS)
def test_no_group_holds_a_contradiction_and_none_could_be_joined(matched, contradictions, different):
    groups = group_profiles([], matched, contradictions, different)
    apart = {*contradictions, *different}
    for left, right in apart:
        assert left not in groups or groups[left] != groups.get(right)
    for left, right in matched:
        if groups.get(left, left) != groups.get(right, right):
            ours = [p for p in "abcdefgh" if groups.get(p, p) == groups.get(left, left)]
            theirs = [p for p in "abcdefgh" if groups.get(p, p) == groups.get(right, right)]
            assert any(tuple(sorted((one, other))) in apart for one in ours for other in theirs)
