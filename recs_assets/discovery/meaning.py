"""What each file and column is, by its name and by what it holds."""

from __future__ import annotations

import duckdb

from recs_assets.discovery.consent import is_consent
from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.roles import Guess, Role, can_be_id, is_epoch, write_id
from recs_assets.discovery.same_kind import join_lines
from recs_assets.discovery.value_roles import fill_gaps, find_product_code, guess_lines
from recs_assets.discovery.words import score_entities, score_id, score_role
from recs_assets.sql_text import quote

# Of each kind of table: what it is about, the ids that may stand in it, and the other columns.
KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "lines": (
        "line",
        ("order", "line", "product", "customer"),
        (
            "ordered_at", "quantity", "unit_price", "amount", "discount", "status", "currency", "country", "name", "category",
            "vertical", "brand", "email", "description",
        ),
    ),
    "orders": (
        "order",
        ("order", "customer"),
        ("ordered_at", "updated_at", "status", "currency", "order_total", "country", "email"),
    ),
    "customers": (
        "customer",
        ("customer",),
        ("joined_at", "email", "email_eligible", "country", "locale", "currency", "segment"),
    ),
    "products": (
        "product",
        ("product", "parent"),
        ("name", "brand", "category", "vertical", "price", "cost", "url", "image_url", "description", "stock", "currency"),
    ),
    "reviews": ("review", ("review", "customer", "product"), ("rating", "reviewed_at", "title", "body")),
    "browsing_events": (
        "event",
        ("event", "customer", "product"),
        ("event_type", "occurred_at", "session_id", "visitor_id", "device", "referrer"),
    ),
    "searches": ("search", ("search", "customer"), ("query", "searched_at")),
    "inventory": ("stock", ("product",), ("stock", "counted_at")),
    "returns": ("return", ("return", "order", "product"), ("quantity", "returned_at", "reason")),
    "promotions": ("promotion", ("promotion", "product"), ("kind", "starts_at", "ends_at")),
    "consents": ("consent", ("customer",), ("state", "effective_at")),
}  # fmt: skip
_TIMES = {
    "ordered_at", "updated_at", "joined_at", "reviewed_at", "occurred_at", "searched_at", "counted_at", "returned_at",
    "effective_at", "starts_at", "ends_at",
}  # fmt: skip
_NUMBERS = {"quantity", "unit_price", "amount", "discount", "order_total", "price", "cost", "stock", "rating"}
_CODES = {"status", "currency", "country", "locale", "event_type", "state", "kind", "device"}
_ID_ROLES = {"parent": "parent_id"}
# What a table of a kind cannot be without; `|` between those of which one is enough.
_NEEDED = {
    "lines": ("product_id|name", "quantity|amount|unit_price", "order_id|customer_id"),
    "orders": ("order_id", "ordered_at"),
    "customers": ("customer_id",),
    "products": ("product_id",),
    "reviews": ("product_id", "rating"),
    "browsing_events": ("product_id", "event_type", "occurred_at"),
    "searches": ("query", "searched_at"),
    "inventory": ("product_id", "stock"),
    "returns": ("order_id", "product_id", "quantity", "returned_at"),
    "promotions": ("product_id", "starts_at", "ends_at"),
    "consents": ("customer_id", "state", "effective_at"),
}
# These are in every shop; others are what they are only if the file's name or one telling column says so.
_ANYWHERE = ("lines", "orders", "customers", "products")
_DISTINCTIVE = {
    "reviews": "rating",
    "browsing_events": "event_type",
    "searches": "query",
    "inventory": "stock",
}
_LEAST_SURE = 0.5
UNSURE = 0.75


def understand(
    con: duckdb.DuckDBPyConnection, tables: list[FoundTable]
) -> tuple[dict[str, Role], list[FoundTable]]:
    """What the tables are.

    Args:
        con: connection that has them as `files.<stem>`.
        tables: that were found; what is put together of several is added.

    Returns:
        By kind, the table that is one, and the tables that are none.
    """
    candidates = sorted(
        (role for table in tables for kind in KINDS if (role := _try_kind(con, table, kind)) is not None),
        key=lambda role: (-round(role.sure, 3), role.table.stem, role.kind),
    )
    taken: dict[str, Role] = {}
    used: set[str] = set()
    for role in candidates:
        if role.kind not in taken and role.table.stem not in used:
            taken[role.kind] = role
            used.add(role.table.stem)
    if "lines" not in taken:
        # Where no name tells, what the values do: that is asked, and never taken before a name.
        for table in tables:
            if table.stem not in used and (
                role := guess_lines(con, table, _assign_names(con, table, "lines"))
            ):
                taken["lines"] = role
                used.add(table.stem)
                break
    _link(con, taken)
    for role in taken.values():
        fill_gaps(role)
    if "lines" in taken:
        find_product_code(con, taken["lines"])
    _know_customers_by_address(taken)
    if "lines" in taken:
        others = [role for role in candidates if role.kind == "lines" and role.table.stem not in used]
        others = [role for role in others if _is_channel(role, taken)]
        for role in others:
            find_product_code(con, role)
        used |= {table.stem for table in join_lines(con, taken, others, tables)}
        used.add(taken["lines"].table.stem)
    return taken, [table for table in tables if table.stem not in used]


def _is_channel(role: Role, taken: dict[str, Role]) -> bool:
    """Whether a further table that could be lines of orders is one: it is called so, and numbers its orders."""
    scores = score_entities(role.table.stem)
    named = max(scores.get("order", 0.0), scores.get("line", 0.0))
    return (
        role.sure >= UNSURE
        and named >= 0.5
        and named == max(scores.values())
        and role.has("order_id")
        and (role.has("ordered_at") or "orders" in taken)
        and taken["lines"].has("order_id")
    )


def _know_customers_by_address(taken: dict[str, Role]) -> None:
    """Where orders name who ordered by an address alone, it stands for the customer, also in the file of customers."""
    orders = [taken[kind] for kind in ("orders", "lines") if kind in taken]
    if any(role.has("customer_id") for role in orders):
        return
    placed = next((role for role in orders if role.has("email")), None)
    if placed is None:
        return
    customers = taken.get("customers")
    for role in (placed, customers):
        if role is not None and role.has("email"):
            column = role.guesses["email"].column
            column.is_address = True
            role.guesses["customer_id"] = Guess(
                column, 0.9, "which is all that tells who ordered; an address is no id, so it is hashed"
            )


def _try_kind(con: duckdb.DuckDBPyConnection, table: FoundTable, kind: str) -> Role | None:
    """The table as one of a kind; None where it cannot be."""
    entity, ids, columns = KINDS[kind]
    named = score_entities(table.stem)
    role = _assign_names(con, table, kind)
    if not _holds_together(role):
        return None
    wanted = _NEEDED[kind]
    covered = [
        max((role.guesses[name].sure for name in need.split("|") if name in role.guesses), default=0.0)
        for need in wanted
    ]
    if min(covered) == 0:
        return None
    distinctive = role.guesses.get(_DISTINCTIVE.get(kind, ""))
    if (
        kind not in _ANYWHERE
        and named.get(entity, 0.0) < 0.5
        and (distinctive is None or distinctive.sure < 0.9)
    ):
        return None
    share = len(role.guesses) / (len(ids) + len(columns))
    role.sure = min(0.99, 0.45 * named.get(entity, 0.0) + 0.4 * sum(covered) / len(covered) + 0.3 * share)
    if kind == "lines":
        # A file of sales or invoices holds lines wherever it names products.
        named_well = max(named.get("order", 0.0), named.get("line", 0.0))
        role.sure = min(0.99, max(role.sure, 0.2 * named_well + 0.8 * sum(covered) / len(covered)))
    return role if role.sure >= 0.35 else None


def _assign_names(con: duckdb.DuckDBPyConnection, table: FoundTable, kind: str) -> Role:
    """The columns of a table that names of columns tell, the best first, none twice."""
    entity, ids, columns = KINDS[kind]
    role = Role(table, kind, 0.0)
    scored: list[tuple[float, str, FoundColumn]] = []
    for column in table.columns:
        for other in ids:
            score = (
                score_id(other, column.name, entity)
                if other != "parent"
                else score_role("parent_id", column.name)
            )
            if score and can_be_id(column) and not _holds_objects(con, table, column):
                scored.append((score, f"{other}_id", column))
        for name in columns:
            score = score_role(name, column.name)
            if score and _can_be(con, table, column, name):
                scored.append((score, name, column))
    taken: set[str] = set()
    for score, name, column in sorted(
        scored, key=lambda item: (-item[0], table.columns.index(item[2]), item[1])
    ):
        if name not in role.guesses and column.name not in taken and score >= _LEAST_SURE:
            role.guesses[name] = Guess(column, min(0.98, score), f"by its name {column.name!r}")
            taken.add(column.name)
    if "name" in columns and "name" not in role.guesses and "description" in role.guesses:
        role.guesses["name"] = role.guesses.pop("description")
    return role


def _can_be(con: duckdb.DuckDBPyConnection, table: FoundTable, column: FoundColumn, role: str) -> bool:
    """Whether what a column holds can be of a role."""
    if not column.filled:
        return False
    if role in _TIMES:
        return column.is_time or is_epoch(column) is not None
    if role in _NUMBERS:
        if not column.is_number:
            return False
        return role != "rating" or (column.least >= 0 and column.most <= 10)
    if role == "email_eligible":
        return is_consent(column.name) and (column.type == "BOOLEAN" or column.distinct <= 12)
    if role in _CODES:
        return column.type in ("VARCHAR", "BIGINT") and column.distinct <= max(60, 300 * (role == "country"))
    if column.type != "VARCHAR":
        return False
    if role == "email":
        return _share_with(con, table, column, "@") > 0.5
    if role == "name":
        return _share_with(con, table, column, "@") < 0.1 and _share_with(con, table, column, "://") < 0.1
    return role not in ("url", "image_url") or _share_with(con, table, column, "/") > 0.3


def _holds_objects(con: duckdb.DuckDBPyConnection, table: FoundTable, column: FoundColumn) -> bool:
    """Whether a column holds objects of JSON: a buyer with number and address is no id, and {"id": null} nobody's."""
    return column.type == "VARCHAR" and _share_with(con, table, column, "{") > 0.5


def _share_with(con: duckdb.DuckDBPyConnection, table: FoundTable, column: FoundColumn, sign: str) -> float:
    name = quote(column.name)
    return con.execute(
        f"select coalesce(avg(contains({name}, ?)::integer), 0) from (select {name} from {table.relation} where {name} is not null limit 1000)",
        [sign],
    ).fetchone()[0]


def _holds_together(role: Role) -> bool:
    """Whether the ids of a table are as unique as its kind asks."""
    guesses = role.guesses
    if role.kind in ("customers", "products", "orders"):
        key = {"customers": "customer_id", "products": "product_id", "orders": "order_id"}[role.kind]
        if key not in guesses:
            return False
        column = guesses[key].column
        unique = column.filled >= 0.98 * column.rows and column.distinct >= 0.98 * column.filled
        guesses[key].how += (
            ", and its values are unique" if column.is_unique else ", and its values are nearly unique"
        )
        return unique
    if role.kind == "lines":
        order = guesses.get("order_id")
        if order is not None and order.column.is_unique and not {"customer_id", "email"} & set(guesses):
            return False
        return not ("product_id" in guesses and guesses["product_id"].column.is_unique and order is None)
    return True


def measure_inclusion(
    con: duckdb.DuckDBPyConnection,
    child: FoundTable,
    column: FoundColumn,
    parent: FoundTable,
    key: FoundColumn,
) -> float:
    """Which share of a column's values is found in another table's column."""
    found, total = con.execute(
        f"with child as (select distinct {write_id(column)} as v from {child.relation}), "
        f"parent as (select distinct {write_id(key)} as v from {parent.relation}) "
        "select count(*) filter (v in (select v from parent where v is not null)), count(*) from child where v is not null"
    ).fetchone()
    return found / total if total else 0.0


# Which column of a table refers to which other table.
_OWNERS = (("product", "products"), ("customer", "customers"), ("order", "orders"))


def _link(con: duckdb.DuckDBPyConnection, taken: dict[str, Role]) -> None:
    """Choose the columns that refer to other tables by what is found there, too."""
    for entity, owner_kind in _OWNERS:
        owner = taken.get(owner_kind)
        if owner is None:
            continue
        keys = [column for column in owner.table.columns if column.is_unique and can_be_id(column)]
        key_name = f"{entity}_id"
        for kind, role in taken.items():
            if kind == owner_kind or entity not in KINDS[kind][1]:
                continue
            best: tuple[float, FoundColumn, FoundColumn, float] | None = None
            for column in role.table.columns:
                named = score_id(entity, column.name, KINDS[kind][0])
                if not can_be_id(column) or (not named and column.distinct < 20):
                    continue
                # A column called "article" is a name where nothing else is, and here something is.
                if any(
                    guess.column is column and name not in (key_name, "name") and guess.sure > 0.8
                    for name, guess in role.guesses.items()
                ):
                    continue
                for key in keys:
                    included = measure_inclusion(con, role.table, column, owner.table, key)
                    score = 0.45 * named + 0.25 * score_id(entity, key.name, entity) + 0.3 * included
                    if (
                        included > 0.5
                        and (named or (included > 0.95 and column.type == "VARCHAR"))
                        and (best is None or score > best[0] + 1e-9)
                    ):
                        best = score, column, key, included
            if best is None:
                continue
            score, column, key, included = best
            how = f"{included:.0%} of its values are in {key.name!r} of {owner.table.name}"
            for name in [name for name, guess in role.guesses.items() if guess.column is column]:
                del role.guesses[name]
            role.guesses[key_name] = Guess(column, min(0.99, 0.4 + 0.6 * score), how)
            if kind == "lines" or "lines" not in taken:
                # The key is what the lines refer to.
                owner.guesses[key_name] = Guess(
                    key,
                    min(0.99, max(0.6, score)),
                    f"its values are unique, and {role.table.name} refers to them",
                )
