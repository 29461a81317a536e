"""The SQL of `customers`: whom a file has, whoever else ordered, and who of them may be written to."""

from __future__ import annotations

from dataclasses import dataclass, field

from recs_assets.discovery.consent import (
    ask_unread,
    explain_permission,
    find_consents,
    write_latest_answer,
    write_permission,
)
from recs_assets.discovery.facts import Facts
from recs_assets.discovery.roles import Role
from recs_assets.discovery.sql_parts import (
    Roles,
    join_parts,
    order_owner,
    remark,
    write_key_of,
    write_select,
    write_text_of,
    write_time_of,
)
from recs_assets.sql_text import quote_text

# Nobody has agreed by silence; the alternative stands beside it, so that an answer is one line.
_NOBODY = (
    "-- Nobody may be written to. If everybody agreed, write instead: true as email_eligible\n"
    "    false as email_eligible"
)
_TEXTS = ("email", "locale", "currency", "segment")


@dataclass
class _Draft:
    """Comments, named SELECTs and joins, as they come together."""

    notes: list[str] = field(default_factory=list)
    ctes: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    key: str = "firsts.id"

    def join(self, name: str) -> None:
        self.joins.append(f"left join {name} on {name}.id = {self.key}")


def write_customers(roles: Roles, facts: Facts, countries: dict[str, str], unread: list[str]) -> str:
    """The SELECT of `customers`.

    Args:
        roles: what the files are; `lines` is among them.
        facts: how the lines are read.
        countries: ISO codes of the countries' names.
        unread: names of files that say who may be written to, and were not understood.
    """
    own, role = roles.get("customers"), order_owner(roles, "customer_id")
    draft = _Draft()
    parts = _list_seen(roles, facts)
    if parts:
        draft.ctes += [
            "seen as (\n" + "\n    union all\n".join(parts) + "\n)",
            "firsts as (\n    select id, min(seen_at) as seen_at\n    from seen\n    group by id\n)",
        ]
    if own is None:
        draft.notes.append(
            "-- There is no file of customers: a customer is whoever ordered, known from the first time on."
        )
        if role is not None:
            draft.notes.append(remark(role, "customer_id", "country"))
        if not parts:
            return join_parts(
                *draft.notes, "select null::varchar as customer_id, false as email_eligible\nwhere false"
            )
        eligible = _write_eligible(roles, unread, draft)
        columns = ["firsts.id as customer_id", "firsts.seen_at as joined_at", eligible]
        columns += _add_address(roles, draft)
        columns += _add_country(roles, countries, draft)
        return _finish(draft, columns, "firsts")
    draft.notes.append(f"-- Customers of {own.table.name}; {own.sure:.2f} sure that it holds customers.")
    draft.notes.append(remark(own, "customer_id", "joined_at", *_TEXTS[:1], "country", *_TEXTS[1:]))
    draft.key = "coalesce(own.id, firsts.id)" if parts else "own.id"
    draft.ctes.append(_write_own(own, countries, bool(unread)))
    eligible = _write_eligible(roles, unread, draft)
    extra = [f"own.{name}" for name in _TEXTS if own.has(name)]
    extra += ["own.country"] if own.has("country") else _add_country(roles, countries, draft)
    if not parts:
        return _finish(draft, ["own.id as customer_id", "own.joined_at", eligible, *extra], "own")
    draft.notes.append(
        "-- Whoever ordered and is not in it is a customer, too, known from the first time on."
    )
    joined = "least(own.joined_at, firsts.seen_at) as joined_at"
    return _finish(
        draft,
        [f"{draft.key} as customer_id", joined, eligible, *extra],
        "own\nfull join firsts on firsts.id = own.id",
        f"where {draft.key} is not null",
    )


def _finish(draft: _Draft, columns: list[str], relation: str, rest: str = "") -> str:
    select = write_select(columns, "\n".join([relation, *draft.joins]), rest)
    return join_parts(*draft.notes, "with " + ",\n\n".join(draft.ctes) + "\n", select)


def _list_seen(roles: Roles, facts: Facts) -> list[str]:
    """SELECTs of who was seen when."""
    lines = roles["lines"]
    role, when = order_owner(roles, "customer_id"), order_owner(roles, "ordered_at")
    guests = (
        f" and lower({{}}) not in ({', '.join(quote_text(guest.lower()) for guest in facts.guests)})"
        if facts.guests
        else ""
    )
    parts = []
    if role is not None and role is when:
        parts.append(_write_seen(role, "ordered_at", guests))
    elif role is not None and when is not None:
        orders = roles["orders"]
        customer = write_key_of(role, "customer_id", "o." if role is orders else "l.")
        parts.append(
            f"    select {customer} as id, {write_time_of(when, 'ordered_at', 'o.' if when is orders else 'l.')} as seen_at\n"
            f"    from {lines.table.relation} as l\n    inner join {orders.table.relation} as o\n"
            f"        on {write_key_of(orders, 'order_id', 'o.')} = {write_key_of(lines, 'order_id', 'l.')}\n"
            f"    where {customer} is not null{guests.format(customer)}"
        )
    for kind, at in (
        ("reviews", "reviewed_at"),
        ("browsing_events", "occurred_at"),
        ("searches", "searched_at"),
    ):
        other = roles.get(kind)
        if other is not None and other.has("customer_id", at):
            parts.append(_write_seen(other, at, guests))
    return parts


def _write_seen(role: Role, at: str, guests: str) -> str:
    customer = write_key_of(role, "customer_id")
    return (
        f"    select {customer} as id, {write_time_of(role, at)} as seen_at\n    from {role.table.relation}\n"
        f"    where {customer} is not null{guests.format(customer)}"
    )


def _write_own(own: Role, countries: dict[str, str], is_unread: bool) -> str:
    """The named SELECT of the file of customers."""
    joined = write_time_of(own, "joined_at") if own.has("joined_at") else "null::timestamp"
    said = "" if is_unread else write_permission(own.table)
    columns = [
        f"{write_key_of(own, 'customer_id')} as id",
        f"{joined} as joined_at",
        *([f"{said} as may_write"] if said else []),
        *[f"{write_text_of(own, name)} as {name}" for name in _TEXTS if own.has(name)],
        *([f"{_write_country(own.name('country'), countries)} as country"] if own.has("country") else []),
    ]
    return (
        "own as (\n    select\n        " + ",\n        ".join(columns) + f"\n    from {own.table.relation}\n)"
    )


def _write_eligible(roles: Roles, unread: list[str], draft: _Draft) -> str:
    """SQL of `email_eligible`: a yes that the files say; nobody has agreed by silence."""
    own, role, answers = roles.get("customers"), order_owner(roles, "customer_id"), roles.get("consents")
    if unread:
        draft.notes.append(ask_unread(unread))
        return "false as email_eligible"
    # What orders say of consent: a no always, a yes where no file of customers says who agreed.
    agreed = own is not None and bool(find_consents(own.table))
    asked = [] if own is None else [write_permission(own.table)]
    if own is not None:
        draft.notes.append(explain_permission(own.table))
    conditions = ["coalesce(own.may_write, false)"] if any(asked) else []
    said = "" if role is None else write_permission(role.table, not agreed)
    if role is not None and said:
        draft.notes.append(explain_permission(role.table, not agreed))
        customer = write_key_of(role, "customer_id")
        draft.ctes.append(
            "permissions as (\n    -- One no in a customer's rows is a no.\n"
            f"    select {customer} as id, bool_and({said}) as may_write\n    from {role.table.relation}\n    group by 1\n)"
        )
        draft.join("permissions")
        # Of whom neither says anything, nothing is known.
        conditions.append(f"coalesce(permissions.may_write, {'true' if conditions else 'false'})")
    if conditions:
        return f"{' and '.join(conditions)} as email_eligible"
    latest = None if answers is None else write_latest_answer(answers)
    if answers is not None and latest is not None:
        draft.notes.append(
            f"-- 0.80 sure: only whose latest state in {answers.table.name} is a yes may be written to."
        )
        draft.ctes.append(latest)
        draft.join("answers")
        return "coalesce(answers.may_write, false) as email_eligible"
    why = (
        f"Nothing in the files says who agreed ({answers.table.name} says only who did not)"
        if answers is not None
        else "Nothing in the files says who agreed"
    )
    draft.notes.append(
        f"-- Question: may everybody be written to? {why}, so nobody may and emails are empty; the line to change if "
        "everybody agreed stands at email_eligible in customers.sql."
    )
    return _NOBODY


def _add_address(roles: Roles, draft: _Draft) -> list[str]:
    """Addresses that stand in the orders."""
    role = order_owner(roles, "email")
    if role is None or role is not order_owner(roles, "customer_id"):
        return []
    customer = write_key_of(role, "customer_id")
    draft.ctes.append(
        f"addresses as (\n    select {customer} as id, max({role.name('email')}) as email\n"
        f"    from {role.table.relation}\n    group by 1\n)"
    )
    draft.join("addresses")
    return ["addresses.email"]


def _add_country(roles: Roles, countries: dict[str, str], draft: _Draft) -> list[str]:
    """The country that most rows of a customer's orders have."""
    place = next(
        (roles[kind] for kind in ("orders", "lines") if kind in roles and roles[kind].has("country")), None
    )
    if place is None or place is not order_owner(roles, "customer_id"):
        return []
    customer = write_key_of(place, "customer_id")
    draft.notes.append("-- A customer's country is that of most of their rows.")
    draft.ctes.append(
        "countries as (\n    select id, arg_max(country, {'uses': uses, 'country': country}) as country\n    from (\n"
        f"        select {customer} as id, {place.name('country')} as country, count(*) as uses\n        from {place.table.relation}\n"
        "        group by all\n    )\n    group by id\n)"
    )
    draft.join("countries")
    return [f"{_write_country('countries.country', countries)} as country"]


def _write_country(column: str, countries: dict[str, str]) -> str:
    other = {name: code for name, code in countries.items() if name != code}
    if not other:
        return column
    names, codes = ", ".join(map(quote_text, other)), ", ".join(map(quote_text, other.values()))
    return f"coalesce(map([{names}], [{codes}])[{column}], {column})"
