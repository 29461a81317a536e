"""What `init` proposes of the shop's own words: what is no product, what states of orders mean, who buys wholesale.

The words are those with which every week detects the same (`dbt_project/dbt_project.yml`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project" / "dbt_project.yml"


@lru_cache
def _load_variables() -> dict[str, Any]:
    return yaml.safe_load(_PROJECT.read_text("utf-8"))["vars"]


@dataclass(frozen=True)
class Suspect:
    """A product that may be none: its id, its name, how sure that is, and by which signs."""

    product_id: str
    name: str
    sure: float
    signs: tuple[str, ...]


def fold(text: str) -> str:
    """Letters and digits in lower case and without accents, one blank between words, as dbt's macro `folded` has it."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter)
    )
    return re.sub(r"[\W_]+", " ", plain).strip()


def _make_pattern(phrases: Iterable[str]) -> str:
    found = [
        " ".join(re.findall(r"\*?[^\W_]+\*?", phrase.lower())).replace("*", "[^ ]*") for phrase in phrases
    ]
    return "(" + "|".join(phrase for phrase in found if phrase) + ")"


def find_no_products(con: duckdb.DuckDBPyConnection) -> list[Suspect]:
    """Products of the landed tables that look like none, the surest first.

    Args:
        con: connection with `raw.products` and `raw.order_items`.
    """
    variables = _load_variables()
    words = [word for listed in variables["not_product_words"].values() for word in listed]
    whole = words + [word for listed in variables["not_product_names"].values() for word in listed]
    holds = re.compile(f".* {_make_pattern(words)} .*")
    one = _make_pattern(whole)
    is_word = re.compile(f"{one}( {one})*")
    rows = con.execute(
        r"""
        with shapes as (
            select regexp_replace(regexp_replace(product_id, '\p{L}+', 'a', 'g'), '\p{N}+', '9', 'g') as shape, count(*) as products,
                sum(count(*)) over () as all_products,
                sum(count(*) filter (regexp_matches(product_id, '[0-9]'))) over () as numbered
            from raw.products group by 1
        ),
        sold as (
            select product_id, count(distinct order_id) as baskets, quantile_cont(amount / quantity, 0.9) / quantile_cont(amount / quantity, 0.1) as spread
            from raw.order_items where quantity > 0 and amount > 0 group by 1
        ),
        usual as (select coalesce(median(spread), 1) as spread from sold)
        select product_id, coalesce(name, ''), shapes.products < 0.02 * shapes.all_products
                or (not contains(shape, '9') and shapes.numbered >= 0.8 * shapes.all_products), coalesce(sold.spread, 1) > greatest(3, 1.5 * usual.spread),
            coalesce(sold.baskets, 0)
        from raw.products
        join shapes on shape = regexp_replace(regexp_replace(product_id, '\p{L}+', 'a', 'g'), '\p{N}+', '9', 'g')
        cross join usual
        left join sold using (product_id)
        order by 5 desc, 1
        """
    ).fetchall()
    found = []
    for product, name, odd_id, varying, _ in rows:
        folded, folded_id = fold(name), fold(product)
        signs = [
            sign
            for sign, holds_true in (
                ("its name holds a word for what is no product", bool(holds.fullmatch(f" {folded} "))),
                ("its name is such a word", bool(is_word.fullmatch(folded))),
                (
                    "its id is such a word",
                    bool(holds.fullmatch(f" {folded_id} ") or is_word.fullmatch(folded_id)),
                ),
                ("its id is made otherwise than others", odd_id),
                ("its price varies", varying),
            )
            if holds_true
        ]
        named = any("word" in sign for sign in signs)
        others = [sign for sign in signs if "word" not in sign]
        if named and len(signs) > 1:
            found.append(Suspect(product, name, min(0.98, 0.7 + 0.1 * len(signs)), tuple(signs)))
        elif len(others) == 2 or named:
            found.append(Suspect(product, name, 0.5, tuple(signs)))
    return sorted(found, key=lambda suspect: -round(suspect.sure, 2))


def explain_states(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int, str]]:
    """States of the landed orders, how many orders are in each, and `purchase`, `not_a_purchase` or `unknown`."""
    variables = _load_variables()

    def key(state: str) -> str:
        return fold(re.sub(r"^wc-", "", state.strip().lower()))

    known = {
        fold(word): kind
        for kind, listed in (("purchase", "purchase_states"), ("not_a_purchase", "not_a_purchase"))
        for word in variables[listed]
    }
    rows = con.execute(
        "select status, count(*) from raw.orders where status is not null group by 1 order by 2 desc, 1"
    ).fetchall()
    return [(state, count, known.get(key(state), "unknown")) for state, count in rows]


def count_wholesale(con: duckdb.DuckDBPyConnection) -> int:
    """Customers of the landed tables who buy as no person does: two of the three signs of `Wholesale`, at its defaults."""
    from recs_assets.sources.declaration import Wholesale

    limits = Wholesale()
    return con.execute(
        """
        with lines as (
            select customer_id, order_id, quantity, amount from raw.order_items join raw.orders using (order_id)
            where quantity > 0 and nullif(trim(customer_id), '') is not null
        ),
        orders as (select customer_id, order_id, sum(amount) as amount, count(*) as lines from lines group by all),
        buyers as (
            select customer_id, units, spend, sizes
            from (select customer_id, median(quantity) as units from lines group by 1)
            join (select customer_id, median(amount) as spend, median(lines) as sizes from orders group by 1) using (customer_id)
        ),
        usual as (select median(units) as units, median(spend) as spend, median(sizes) as sizes, count(*) as buyers from buyers)
        select count(*) from buyers cross join usual
        where usual.buyers >= ? and (
            (buyers.units >= greatest(? * usual.units, ?))::integer + (buyers.spend >= ? * usual.spend)::integer
            + (buyers.sizes >= ? * usual.sizes)::integer
        ) >= 2
        """,
        [
            limits.least_customers,
            limits.units_per_line,
            limits.least_units,
            limits.spend_per_order,
            limits.lines_per_order,
        ],
    ).fetchone()[0]
