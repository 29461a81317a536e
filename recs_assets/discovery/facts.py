"""What decides how lines become orders, asked of the data: numbers of orders, cancellations, guests, money."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from recs_assets.discovery.found import FoundColumn
from recs_assets.discovery.roles import Role, is_epoch, write_id
from recs_assets.sql_text import quote

# What exports write where nobody is signed in.
GUEST_WORDS = (
    "guest", "gast", "invite", "invité", "invitado", "ospite", "anonymous", "anonym", "anonyme", "anonimo", "anónimo",
    "anoniem", "0", "-1", "999999", "00000", "unknown", "unbekannt", "kein kunde", "walk-in", "walkin", "laufkunde",
    "diverse", "no customer", "none", "guest checkout", "guest user", "guest customer", "walk in", "walk in customer", "walk-in customer",
    "gastkunde", "gastbestellung", "barverkauf", "client invité", "client invite", "client de passage", "client comptoir",
    "cliente invitado", "cliente anónimo", "cliente anonimo", "cliente ospite", "cliente occasionale", "consumidor final", "gastklant",
)  # fmt: skip
_CENT = 0.011


@dataclass
class Facts:
    """How the lines of a shop are read.

    `order_id` is SQL of the order of a line. `money` is how a line's amount comes about: `total` (a column), `unit`
    (units times a price), `catalogue` (units times the product's price) or `none`. `prefixes` begin the numbers of
    cancellations. `credit` is SQL of whether a line gives money back though its units are positive. `has_line_ids` says that the lines of an order are numbered.
    """

    order_id: str = ""
    order_note: str = ""
    money: str = "none"
    money_note: str = ""
    money_sure: float = 0.0
    money_question: str = ""
    prefixes: tuple[str, ...] = ()
    negative_lines: int = 0
    credit: str = ""
    credit_lines: int = 0
    guests: tuple[str, ...] = ()
    guest_share: float = 0.0
    doubled_lines: int = 0
    has_line_ids: bool = False
    questions: list[str] = field(default_factory=list)

    def sign_units(self, units: str) -> str:
        """SQL of units, negative where a line gives money back."""
        return f"case when {self.credit} then -{units} else {units} end" if self.credit_lines else units


def write_time(column: FoundColumn, alias: str = "") -> str:
    """SQL of a time, local to the shop."""
    name = f"{alias}{quote(column.name)}"
    ticks = is_epoch(column)
    if ticks is not None:
        return (
            f"to_timestamp({name} / {ticks})::timestamp" if ticks > 1 else f"to_timestamp({name})::timestamp"
        )
    return f"{name}::timestamp" if column.type == "TIMESTAMPTZ" else name


def gather_facts(con: duckdb.DuckDBPyConnection, roles: dict[str, Role]) -> Facts:
    """Ask the lines what they are.

    Args:
        con: connection with the tables.
        roles: as `meaning.understand` gives them, with `lines`.
    """
    facts = Facts()
    lines, orders = roles["lines"], roles.get("orders")
    _find_order_id(con, lines, orders, facts)
    find_money(con, lines, orders, roles.get("products"), facts)
    relation = lines.table.relation
    if lines.has("quantity"):
        _find_credit(con, lines, facts)
        quantity = facts.sign_units(lines.name("quantity"))
        facts.negative_lines = con.execute(
            f"select count(*) from {relation} where {quantity} < 0"
        ).fetchone()[0]
        if facts.negative_lines:
            rows = con.execute(
                f"select left({facts.order_id}, 1) as p, count(*) filter ({quantity} < 0), count(*) from {relation} group by 1 order by 1"
            ).fetchall()
            facts.prefixes = tuple(
                p
                for p, negative, total in rows
                if p and p.isalpha() and negative >= 0.9 * total and negative >= 3
            )
            if len(facts.prefixes) == len([p for p, _, _ in rows]):
                facts.prefixes = ()
    role = orders if orders is not None and orders.has("customer_id") else lines
    if role.has("customer_id"):
        customer = write_id(role.guesses["customer_id"].column)
        words = ", ".join(f"'{word}'" for word in GUEST_WORDS)
        total, empty = con.execute(
            f"select count(*), count(*) filter ({customer} is null) from {role.table.relation}"
        ).fetchone()
        found = con.execute(
            f"select {customer}, count(*) from {role.table.relation} where lower({customer}) in ({words}) group by 1 order by 2 desc, 1"
        ).fetchall()
        # Customer 0 of three orders is a customer.
        facts.guests = tuple(value for value, count in found if not value.isdigit() or count >= 0.02 * total)
        named = sum(count for value, count in found if value in facts.guests)
        facts.guest_share = (empty + named) / total if total else 0.0
    if lines.has("line_id"):
        line = write_id(lines.guesses["line_id"].column)
        facts.has_line_ids = con.execute(
            f"select count(*) = count(distinct ({facts.order_id}, {line})) and bool_and({line} is not null) from {relation}"
        ).fetchone()[0]
        if not facts.has_line_ids:
            del lines.guesses["line_id"]
    columns = ", ".join(quote(guess.column.name) for guess in lines.guesses.values())
    facts.doubled_lines = con.execute(
        f"select coalesce(sum(n - 1), 0)::bigint from (select count(*) as n from {relation} group by {columns} having count(*) > 1)"
    ).fetchone()[0]
    return facts


def _find_credit(con: duckdb.DuckDBPyConnection, lines: Role, facts: Facts) -> None:
    """Lines with positive units and negative money: a credit note if the money is that of the units, or if the product is
    sold for money elsewhere. Else it is a voucher, and no product."""
    name = {"total": "amount", "unit": "unit_price"}.get(facts.money)
    if name is None or not lines.has("quantity", name):
        return
    quantity, money = lines.name("quantity"), lines.name(name)
    negative = f"{quantity} > 0 and {money} < 0"
    relation = lines.table.relation
    if name == "amount" and lines.has("unit_price"):
        price = lines.name("unit_price")
        condition = (
            f"{negative} and abs({money} + {quantity} * {price}) <= {_CENT} * greatest(1, abs({money}) / 100)"
        )
    else:
        product = write_id(lines.guesses["product_id" if lines.has("product_id") else "name"].column)
        sold = f"select {product} from {relation} where {quantity} > 0 and {money} > 0"
        condition = f"{negative} and {product} in ({sold})"
    facts.credit_lines = con.execute(f"select count(*) from {relation} where {condition}").fetchone()[0]
    facts.credit = condition


def _find_order_id(con: duckdb.DuckDBPyConnection, lines: Role, orders: Role | None, facts: Facts) -> None:
    relation = lines.table.relation
    customer = write_id(lines.guesses["customer_id"].column) if lines.has("customer_id") else None
    when = write_time(lines.guesses["ordered_at"].column) if lines.has("ordered_at") else None
    if not lines.has("order_id"):
        day = f", strftime({when}, '%Y-%m-%d %H:%M')" if when else ""
        facts.order_id = f"concat_ws(' ', {customer}{day})"
        facts.order_note = (
            "-- 0.60 sure: nothing numbers the orders, so what a customer bought at one time is one."
        )
        return
    facts.order_id = write_id(lines.guesses["order_id"].column)
    if orders is not None or customer is None:
        return
    shared = con.execute(
        f"select coalesce(avg((n > 1)::integer), 0) from (select count(distinct {customer}) as n from {relation} group by {facts.order_id})"
    ).fetchone()[0]
    if shared > 0.01:
        facts.order_id = f"concat_ws('-', {facts.order_id}, {customer})"
        facts.order_note = f"-- 0.80 sure: {shared:.0%} of the numbers of orders belong to several customers, so number and customer together are the order."


def find_money(
    con: duckdb.DuckDBPyConnection, lines: Role, orders: Role | None, products: Role | None, facts: Facts
) -> None:
    """Write into `facts` how the amount of a line comes about."""
    relation = lines.table.relation
    quantity = lines.name("quantity") if lines.has("quantity") else "1"
    if lines.has("unit_price", "amount"):
        price, amount = lines.name("unit_price"), lines.name("amount")
        share = con.execute(
            f"select avg((abs({quantity} * {price} - {amount}) <= {_CENT} * greatest(1, abs({amount}) / 100))::integer) from {relation} "
            f"where {price} is not null and {amount} is not null"
        ).fetchone()[0]
        facts.money, facts.money_sure = "total", 0.95 if share is not None and share > 0.9 else 0.8
        facts.money_note = (
            f"amount is {amount}: units times {price} are equal to it in {share or 0:.0%} of the lines"
        )
        return
    name = "amount" if lines.has("amount") else "unit_price" if lines.has("unit_price") else None
    if name is None:
        has_price = products is not None and products.has("price")
        facts.money = "catalogue" if has_price else "none"
        facts.money_sure = 0.4 if has_price else 0.2
        facts.money_question = (
            "what was paid for a line? The lines name no money; units times the catalogue's price of today stand in."
            if has_price
            else "what was paid for a line? Nothing in the files says so, and 0 stands in."
        )
        return
    column = lines.guesses[name].column
    per_unit, per_line = _compare_spread(con, lines, quantity, quote(column.name))
    total = _compare_totals(con, lines, orders, quantity, quote(column.name), facts.order_id)
    if total is not None and max(total) > 0.8:
        facts.money = "unit" if total[0] >= total[1] else "total"
        facts.money_sure = 0.97
        facts.money_note = f"{quote(column.name)} is {'per unit' if facts.money == 'unit' else 'the whole line'}: so {max(total):.0%} of the orders come to their total"
    elif per_unit is not None and per_line is not None and abs(per_unit - per_line) > 0.02:
        facts.money = "unit" if per_unit < per_line else "total"
        facts.money_sure = 0.93
        facts.money_note = (
            f"{quote(column.name)} is {'per unit' if facts.money == 'unit' else 'the whole line'}: of one product it "
            f"{'stays the same' if facts.money == 'unit' else 'grows'} with the units"
        )
    else:
        facts.money = "unit" if name == "unit_price" else "total"
        facts.money_sure = 0.7
        facts.money_note = f"{quote(column.name)} is {'per unit' if facts.money == 'unit' else 'the whole line'}, by its name"
        if lines.has("quantity"):
            facts.money_question = (
                f"is {column.name} the price of one unit, or of the whole line? The values do not tell."
            )
    # The column is read by the role of what it turned out to be.
    wanted = "unit_price" if facts.money == "unit" else "amount"
    if wanted != name:
        lines.guesses[wanted] = lines.guesses.pop(name)


def _compare_spread(
    con: duckdb.DuckDBPyConnection, lines: Role, quantity: str, money: str
) -> tuple[float | None, float | None]:
    """How much the money, and the money per unit, vary within a product that is sold in several quantities."""
    if not lines.has("quantity") or not lines.has("product_id"):
        return None, None
    product = write_id(lines.guesses["product_id"].column)
    return con.execute(
        f"select median(a), median(b) from (select stddev_pop(m) / avg(m) as a, stddev_pop(m / q) / avg(m / q) as b "
        f"from (select {product} as p, {quantity}::double as q, {money}::double as m from {lines.table.relation} where {quantity} > 0 and {money} > 0) "
        f"group by p having count(distinct q) > 1)"
    ).fetchone()


def _compare_totals(
    con: duckdb.DuckDBPyConnection, lines: Role, orders: Role | None, quantity: str, money: str, order_id: str
) -> tuple[float, float] | None:
    """Shares of orders whose total is the sum of units times money, and of money."""
    if orders is None or not orders.has("order_total", "order_id"):
        return None
    key = write_id(orders.guesses["order_id"].column)
    total = orders.name("order_total")
    return con.execute(
        f"with sums as (select {order_id} as o, sum({quantity} * {money}) as u, sum({money}) as l from {lines.table.relation} group by 1) "
        f"select coalesce(avg((abs(u - t) < 0.02 + 0.001 * abs(t))::integer), 0), coalesce(avg((abs(l - t) < 0.02 + 0.001 * abs(t))::integer), 0) "
        f"from sums join (select {key} as o, {total} as t from {orders.table.relation}) using (o)"
    ).fetchone()
