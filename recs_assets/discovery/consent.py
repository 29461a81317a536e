"""What files say of who may be written to. One no counts more than any yes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recs_assets.discovery.facts import write_time
from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.roles import Role, write_id
from recs_assets.discovery.words import load_words, score_entities, score_role, split_name
from recs_assets.sql_text import quote, quote_text


def is_withdrawal(name: str) -> bool:
    """Whether a column's name says that who has something in it may not be written to.

    >>> is_withdrawal("unsubscribed"), is_withdrawal("HasOptedOutOfEmail"), is_withdrawal("Newsletter abgemeldet")
    (True, True, True)
    >>> is_withdrawal("newsletter"), is_withdrawal("unsubscribe_url"), is_withdrawal("sms_opt_out")
    (False, False, False)
    """
    return not _is_beside(name) and score_role("withdrawal", name) > 0.5


def is_consent(name: str) -> bool:
    """Whether a column's name says that only who has a yes in it may be written to."""
    return (
        not _is_beside(name)
        and not is_withdrawal(name)
        and max(score_role("email_eligible", name), score_role("permission", name)) > 0.5
    )


def _is_beside(name: str) -> bool:
    """Whether a name is of another channel, or of something about a consent that is no answer."""
    return bool(set(split_name(name)) & set(load_words()["beside_consent"]))


def find_withdrawals(table: FoundTable) -> list[FoundColumn]:
    """The columns whose values take a consent back."""
    return [column for column in table.columns if column.filled and is_withdrawal(column.name)]


def find_consents(table: FoundTable) -> list[FoundColumn]:
    """The columns that say who agreed: by name, or because some of few values are words of taking back.

    A time of agreement counts where nothing else says it. A column without any value was agreed to by nobody.
    """
    told = set(map(str.lower, load_words()["withdrawn_values"]))
    found = [
        column
        for column in table.columns
        if (is_consent(column.name) and (column.is_time or column.type == "BOOLEAN" or column.distinct <= 12))
        or (
            column.type == "VARCHAR"
            and 0 < column.distinct <= 12
            and not _is_beside(column.name)
            and not is_withdrawal(column.name)
            and told & {value.strip().lower() for value in column.samples}
        )
    ]
    answers = [column for column in found if not column.is_time]
    return answers or found


def write_consent(column: FoundColumn, alias: str = "") -> str:
    """SQL: whether a row agrees."""
    name = f"{alias}{quote(column.name)}"
    if column.type == "BOOLEAN":
        return f"coalesce({name}, false)"
    if column.is_time:
        return f"{name} is not null"
    return f"coalesce(lower(trim({name}::varchar)) in ({_list('yes_values')}), false)"


def write_no_withdrawal(column: FoundColumn, alias: str = "") -> str:
    """SQL: whether a row takes nothing back; what is not a plain no, such as a reason, does."""
    name = f"{alias}{quote(column.name)}"
    if column.type == "BOOLEAN":
        return f"not coalesce({name}, false)"
    if column.is_time:
        return f"{name} is null"
    return f"coalesce(lower(trim({name}::varchar)) in ({_list('no_values')}), true)"


def _list(words: str) -> str:
    return ", ".join(quote_text(word) for word in load_words()[words])


def write_permission(table: FoundTable, with_consents: bool = True, alias: str = "") -> str:
    """SQL: whether a row of a table says that its person may be written to; empty where it says nothing."""
    consents = [write_consent(column, alias) for column in find_consents(table)] if with_consents else []
    return " and ".join(
        [*consents, *[write_no_withdrawal(column, alias) for column in find_withdrawals(table)]]
    )


def write_latest_answer(role: Role) -> str | None:
    """A named SELECT of what each customer said last; None where a file of consents knows no yes."""
    state = role.guesses["state"].column
    yes = {word.lower() for word in load_words()["yes_values"]}
    if not yes & {value.strip().lower() for value in state.samples}:
        return None
    when = write_time(role.guesses["effective_at"].column)
    said = write_consent(state)
    # Of two answers at one moment the no counts.
    return (
        f"answers as (\n    select {write_id(role.guesses['customer_id'].column)} as id,\n"
        f"        arg_max({said}, {{'at': {when}, 'no': not {said}}}) as may_write\n"
        f"    from {role.table.relation}\n    group by 1\n)"
    )


def explain_permission(table: FoundTable, with_consents: bool = True) -> str:
    """Comments: what is taken for consent, and what is asked."""
    lines = []
    for column in find_consents(table) if with_consents else []:
        how = "a time" if column.is_time else "a word for yes"
        lines.append(
            f"-- 0.80 sure: {column.name!r} of {table.name} says who agreed: only who has {how} in it may be written to."
        )
        if column.is_time or score_role("email_eligible", column.name) < 0.75:
            lines.append(f"-- Question: is {column.name!r} the consent to emails?")
    for column in find_withdrawals(table):
        lines.append(
            f"-- 0.80 sure: {column.name!r} of {table.name} says who may not be written to: whoever has "
            f"{'a time' if column.is_time else 'something but a no'} in it."
        )
        lines.append(f"-- Question: does {column.name!r} say who may not be written to?")
    return "\n".join(lines)


def list_unread(tables: Iterable[FoundTable]) -> list[str]:
    """Of tables that nobody reads, those that say who may be written to: the names of their files."""
    return [
        table.name
        for table in tables
        if score_entities(table.stem).get("consent", 0.0) >= 0.5
        or find_withdrawals(table)
        or find_consents(table)
    ]


def ask_unread(names: Sequence[str]) -> str:
    """The question about such tables."""
    return (
        f"-- Question: who may be written to? {', '.join(names)} says something of it and was not understood, so nobody may "
        "until you write it into email_eligible."
    )
