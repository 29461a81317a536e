"""From pairs to people: groups of profiles that no contradiction is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def find_components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Profile -> the smallest id that it is connected with, of all profiles in pairs."""
    parent: dict[str, str] = {}

    def find(profile: str) -> str:
        root = profile
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[profile] != root:
            parent[profile], profile = root, parent[profile]
        return root

    for left, right in pairs:
        first, second = sorted((find(left), find(right)))
        parent[second] = first
    return {profile: find(profile) for profile in list(parent)}


def group_profiles(
    decided: Sequence[tuple[str, str]],
    matched: Sequence[tuple[str, str]],
    contradictions: Iterable[tuple[str, str]],
    different: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Join pairs one after the other, but for those that would bring a contradiction into a group.

    Args:
        decided: pairs that the shop says are one person: joined whatever contradicts.
        matched: other pairs, the surest first.
        contradictions: pairs that cannot be one person by what they hold, in either order.
        different: pairs that the shop says are two people.

    Returns:
        Profile -> the smallest id of its group, of every profile in a pair that was joined.
    """
    apart: dict[str, set[str]] = {}
    for left, right in [*contradictions, *different]:
        apart.setdefault(left, set()).add(right)
        apart.setdefault(right, set()).add(left)
    group_of: dict[str, str] = {}
    members: dict[str, list[str]] = {}

    def find(profile: str) -> str:
        if profile not in group_of:
            group_of[profile], members[profile] = profile, [profile]
        return group_of[profile]

    def join(left: str, right: str) -> None:
        first, second = sorted((find(left), find(right)))
        if first != second:
            for member in members.pop(second):
                group_of[member] = first
                members[first].append(member)

    for left, right in decided:
        join(left, right)
    for left, right in matched:
        first, second = find(left), find(right)
        few, many = sorted((members[first], members[second]), key=len)
        within = set(many)
        if first != second and not any(apart.get(member, set()) & within for member in few):
            join(left, right)
    return {profile: group for profile, group in group_of.items() if len(members[group]) > 1}
