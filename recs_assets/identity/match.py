"""Match the profiles of a week: which are one person, and which somebody should look at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from recs_assets.identity.compare import CONTRADICTION, OWN, SAME_EMAIL, SAME_PHONE, list_words
from recs_assets.identity.groups import find_components, group_profiles
from recs_assets.identity.normalise import (
    normalise_birth_date,
    normalise_email,
    normalise_name,
    normalise_phones,
    normalise_postcode,
    own_part,
)
from recs_assets.identity.score import score_pairs
from recs_assets.sources.declaration import Identity

if TYPE_CHECKING:
    import duckdb

# Columns of `load_profiles` that profiles are compared by.
RAW = ("email", "phone", "first_name", "last_name", "postcode", "birth_date")
COMPARED = ("email", "email_local", "phone", "first_name", "last_name", "name_key", "postcode", "birth_date")
# An address or number of more profiles is an office's, a till's or a form's: it says nothing of who somebody is.
MOST_PROFILES = 100
# Of the pairs of one person, how many agree in address or number: declared, for the prior of the scores.
EXACT_SHARE = 0.6
_PAIR = ["profile_id_l", "profile_id_r"]


@dataclass(frozen=True)
class Matched:
    """What matching came to.

    Attributes:
        identities: profile_id, customer_id (whose it is: the oldest profile of the person, then the smallest id), joined_at
            left out; rows of people with several profiles alone, by profile_id.
        pairs: profile_id, other_profile_id (the larger), status (one_person, review, different), matched_by (shop, email,
            phone, score), probability, agree, differ, after `mark_parted` also parted_at; by the two ids.
        profiles: how many were looked at.
    """

    identities: pd.DataFrame
    pairs: pd.DataFrame
    profiles: int

    @property
    def people(self) -> int:
        """How many people the profiles are."""
        return self.profiles - len(self.identities) + self.identities["customer_id"].nunique()

    @property
    def waiting(self) -> int:
        """Pairs that wait for review."""
        return int((self.pairs["status"] == "review").sum())

    @property
    def sentence(self) -> str:
        """What a run says of it; empty where every profile is a person and nothing waits."""
        if not len(self.identities) and not self.waiting:
            return ""
        said = f"{_format_count(self.profiles, 'profile')} are {_format_count(self.people, 'person')}"
        if not self.waiting:
            return f"{said}."
        return f"{said}; {_format_count(self.waiting, 'pair')} {'waits' if self.waiting == 1 else 'wait'} for review (recs.customer_matches)."


def _format_count(count: int, what: str) -> str:
    return f"{count:,} {what if count == 1 else 'people' if what == 'person' else what + 's'}"


def load_profiles(
    connection: duckdb.DuckDBPyConnection, as_of: date, guest_ids: Collection[str] = ()
) -> pd.DataFrame:
    """Profiles of `raw.customers` that are known at a week, by id: profile_id, joined_at, country and `RAW`.

    Of an id that stands twice the first row counts, as in dbt's `base_customers`. A row for all guests is nobody.
    """
    return connection.execute(
        f"""
        select trim(customer_id) as profile_id, joined_at, country, {", ".join(RAW)}
        from raw.customers
        where trim(customer_id) <> '' and (joined_at is null or joined_at < $as_of)
            and regexp_matches(customer_id, '[\\p{{L}}\\p{{N}}]')
            and not list_contains(list_transform($nobody::varchar[], guest -> lower(guest)), lower(trim(customer_id)))
        qualify row_number() over (
            partition by trim(customer_id) order by joined_at nulls first, {", ".join(f"{c} nulls last" for c in RAW)}
        ) = 1
        order by profile_id
        """,
        {"as_of": as_of, "nobody": [guest.strip() for guest in guest_ids]},
    ).df()


def match_profiles(connection: duckdb.DuckDBPyConnection, profiles: pd.DataFrame, rules: Identity) -> Matched:
    """Find which profiles are one person.

    Args:
        connection: to an empty database in memory, whose number of threads is set to one.
        profiles: of `load_profiles`, each profile_id once, by id.
        rules: of the shop.

    Returns:
        The same for the same rows and rules, in bits.
    """
    known = set(profiles["profile_id"])
    decided = _keep_known(rules.same, known)
    different = [
        pair for group in rules.different for pair in _list_pairs([id_ for id_ in group if id_ in known])
    ]
    found = pd.DataFrame(
        {
            **dict.fromkeys([*_PAIR, "matched_by", "agree", "differ"], pd.Series(dtype=str)),
            "probability": pd.Series(dtype=float),
            "contradiction": pd.Series(dtype=bool),
        }
    )
    contradictions: list[tuple[str, str]] = []
    if rules.match and profiles[list(RAW)].notna().any(axis=None):
        connection.execute("set threads = 1")
        _create_compared(connection, profiles)
        found = _find_pairs(connection, rules)
        accepted = found[found["matched_by"].notna()]
        contradictions = _find_contradictions(connection, decided, _to_pairs(accepted))
    accepted = found[found["matched_by"].notna()]
    groups = group_profiles(decided, _to_pairs(accepted), contradictions, different)
    identities = _name_people(profiles, groups)
    pairs = _judge_pairs(found, identities, decided, different)
    return Matched(identities, pairs, len(profiles))


def mark_parted(matched: Matched, earlier: pd.DataFrame, known: Collection[str]) -> Matched:
    """The same with `parted_at` of pairs that were one person and are two: where nothing else is known of one, it waits for review.

    Args:
        matched: of this week.
        earlier: profile_id, other_profile_id and parted_at of pairs that were one person.
        known: the profiles of this week.
    """
    person = dict(zip(matched.identities["profile_id"], matched.identities["customer_id"], strict=True))
    parted = {
        (left, right): moment
        for left, right, moment in earlier.itertuples(index=False)
        if left in known and right in known and person.get(left, left) != person.get(right, right)
    }
    names = ["profile_id", "other_profile_id"]
    there = list(matched.pairs[names].itertuples(index=False, name=None))
    missing = pd.DataFrame(sorted(parted.keys() - set(there)), columns=names).assign(status="review")
    pairs = pd.concat([matched.pairs, missing], ignore_index=True) if len(missing) else matched.pairs.copy()
    moments = [parted.get(pair) for pair in pairs[names].itertuples(index=False, name=None)]
    pairs["parted_at"] = pd.Series(pd.to_datetime(pd.Series(moments, dtype=object)), index=pairs.index)
    return replace(matched, pairs=pairs.sort_values(names, ignore_index=True))


def _list_pairs(ids: list[str]) -> list[tuple[str, str]]:
    return [(left, right) for at, left in enumerate(ids) for right in ids[at + 1 :]]


def _keep_known(groups: Collection[Collection[str]], known: set[str]) -> list[tuple[str, str]]:
    """Each group's ids, linked to its first, of those that are there."""
    pairs = []
    for group in groups:
        ids = [id_ for id_ in group if id_ in known]
        pairs += [(ids[0], other) for other in ids[1:]]
    return pairs


def _to_pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(frame[_PAIR].itertuples(index=False, name=None))


def _create_compared(connection: duckdb.DuckDBPyConnection, profiles: pd.DataFrame) -> None:
    """Create the table `compared`: profile_id and `COMPARED`, of the profiles of which anything is known."""

    def each(column: str, normalise: Callable[[Any], Any] = lambda value: value) -> list:
        values = profiles[column].astype(object).where(profiles[column].notna(), None)
        known = {value: normalise(value) for value in values.unique()}
        return [known[value] for value in values]

    days = pd.to_datetime(profiles["birth_date"])
    frame = pd.DataFrame(
        dtype=object,
        data={
            "profile_id": profiles["profile_id"],
            "email": each("email", normalise_email),
            "phone": normalise_phones(each("phone"), each("country")),
            "first_name": each("first_name", normalise_name),
            "last_name": each("last_name", normalise_name),
            "postcode": each("postcode", normalise_postcode),
            "birth_date": [None if pd.isna(day) else normalise_birth_date(day.date()) for day in days],
        },
    )
    frame["email_local"] = [
        own_part(email, first, last)
        for email, first, last in zip(frame["email"], frame["first_name"], frame["last_name"], strict=True)
    ]
    connection.register("frame", frame)
    connection.execute(
        f"""
        create table compared as
        with typed as (
            select profile_id, birth_date::date as birth_date,
                {
            ", ".join(
                f"{column}::varchar as {column}"
                for column in COMPARED
                if column not in ("birth_date", "name_key")
            )
        }
            from frame
        )
        select * replace (
            {
            ", ".join(
                f"case when count(*) over (partition by {column}) <= {MOST_PROFILES} then {column} end as {column}"
                for column in ("email", "email_local", "phone")
            )
        }
            ),
            case when first_name is not null and last_name is not null
                then least(first_name, last_name) || ' ' || greatest(first_name, last_name) end as name_key
        from typed
        where coalesce(email, phone, first_name, last_name) is not null
        order by profile_id
        """
    )
    connection.unregister("frame")


def _find_pairs(connection: duckdb.DuckDBPyConnection, rules: Identity) -> pd.DataFrame:
    """Pairs with what agrees, the surest first; matched_by is null where they are not accepted."""
    connection.execute(
        """
        create table exact as
        select l.profile_id as profile_id_l, r.profile_id as profile_id_r
        from compared l join compared r on l.email = r.email and l.profile_id < r.profile_id
        union
        select l.profile_id, r.profile_id
        from compared l join compared r on l.phone = r.phone and l.profile_id < r.profile_id
        """
    )
    exact, named = connection.execute(
        "select (select count(*) from exact), (select count(*) from compared where name_key is not null)"
    ).fetchall()[0]
    connection.execute("create table scored (profile_id_l varchar, profile_id_r varchar, probability double)")
    if named > 1:
        score_pairs(connection, "compared", max(1.0, exact / EXACT_SHARE), rules.suggest)
    return connection.execute(
        f"""
        with pairs as (
            select profile_id_l, profile_id_r, probability from exact full join scored using (profile_id_l, profile_id_r)
        ),
        {_both_sides("pairs", "probability")},
        judged as (
            select *, {CONTRADICTION} as contradiction, {SAME_EMAIL} as by_email, {SAME_PHONE} as by_phone, {OWN} as own
            from both_sides
        )
        select profile_id_l, profile_id_r, probability, contradiction,
            case when contradiction then null when by_email then 'email' when by_phone then 'phone'
                when probability >= $accept and own then 'score' end as matched_by,
            {list_words(True)} as agree, {list_words(False)} as differ
        from judged
        order by case matched_by when 'email' then 0 when 'phone' then 1 when 'score' then 2 else 3 end,
            probability desc nulls last, profile_id_l, profile_id_r
        """,
        {"accept": rules.accept},
    ).df()


def _both_sides(pairs: str, *columns: str) -> str:
    """SQL of a CTE `both_sides`: pairs with what is compared of either."""
    selected = ", ".join(f"{side}.{column} as {column}_{side}" for side in "lr" for column in COMPARED)
    others = "".join(f", {pairs}.{column}" for column in columns)
    return (
        f"both_sides as (select {pairs}.profile_id_l, {pairs}.profile_id_r, {selected}{others} from {pairs} "
        f"join compared l on {pairs}.profile_id_l = l.profile_id join compared r on {pairs}.profile_id_r = r.profile_id)"
    )


def _find_contradictions(
    connection: duckdb.DuckDBPyConnection, decided: list[tuple[str, str]], accepted: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Pairs that contradict each other, of all that would come together if every accepted pair were joined."""
    components = find_components([*decided, *accepted])
    together = pd.DataFrame({"profile_id": list(components), "component": list(components.values())})
    connection.register("together", together.astype(str))
    found = connection.execute(
        f"""
        with pairs as (
            select a.profile_id as profile_id_l, b.profile_id as profile_id_r
            from together a join together b on a.component = b.component and a.profile_id < b.profile_id
        ),
        {_both_sides("pairs")}
        select profile_id_l, profile_id_r from both_sides where {CONTRADICTION} order by all
        """
    ).fetchall()
    connection.unregister("together")
    return found


def _name_people(profiles: pd.DataFrame, groups: dict[str, str]) -> pd.DataFrame:
    """profile_id and customer_id of every profile in a group: the person is called by their oldest profile."""
    members = profiles.loc[profiles["profile_id"].isin(groups.keys()), ["profile_id", "joined_at"]].copy()
    members["group"] = members["profile_id"].map(groups)
    # Without a time of joining a profile was always there.
    members = members.sort_values(["group", "joined_at", "profile_id"], na_position="first")
    members["customer_id"] = members.groupby("group")["profile_id"].transform("first")
    named = members[["profile_id", "customer_id"]].astype(str)
    return named.sort_values("profile_id", ignore_index=True)


def _judge_pairs(
    found: pd.DataFrame,
    identities: pd.DataFrame,
    decided: list[tuple[str, str]],
    different: list[tuple[str, str]],
) -> pd.DataFrame:
    """Every pair with what became of it; a pair that the shop decided is there even if nothing else is known of it."""
    apart = {tuple(sorted(pair)) for pair in different}
    same = {tuple(sorted(pair)) for pair in decided}
    there = set(_to_pairs(found))
    missing = pd.DataFrame(sorted((same | apart) - there), columns=_PAIR)
    pairs = pd.concat([found, missing], ignore_index=True) if len(missing) else found.copy()
    person = identities.set_index("profile_id")["customer_id"]
    left, right = pairs["profile_id_l"].map(person), pairs["profile_id_r"].map(person)
    key = list(zip(pairs["profile_id_l"], pairs["profile_id_r"], strict=True))
    pairs["status"] = [
        "different" if pair in apart else "one_person" if joined else "review"
        for pair, joined in zip(key, (left.notna() & (left == right)).tolist(), strict=True)
    ]
    pairs.loc[[pair in apart or pair in same for pair in key], "matched_by"] = "shop"
    pairs = pairs.rename(columns={"profile_id_l": "profile_id", "profile_id_r": "other_profile_id"})
    columns = ["profile_id", "other_profile_id", "status", "matched_by", "probability", "agree", "differ"]
    return pairs[columns].sort_values(["profile_id", "other_profile_id"], ignore_index=True)
