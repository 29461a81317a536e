"""Categories: what they earn, what has none, and what is called by several names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from itertools import combinations
from typing import TYPE_CHECKING

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.words import count, share
from recs_assets.sources.declared import list_some

if TYPE_CHECKING:
    import duckdb

SHOWN = 10
NAMED = 3
# Of 1: as alike as this two names are taken for one, misspelt.
ALIKE = 0.9
SHORTEST = 5
# More names than this are compared only where they begin with the same two letters.
MOST_COMPARED = 600
LOOK_MISSING = 0.05
LOOK_SEVERAL = 0.01


def judge_categories(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """The mix, missing and inconsistent categories."""
    [(products, named)] = connection.execute(
        "select count(*), count(category) from marts.products where is_product"
    ).fetchall()
    if not products:
        return []
    missing = 1 - named / products
    sentence = f"{products - named:,} of {count(products, 'product')} ({share(missing)}) have no category"
    if named == products:
        sentence = "Every product has a category"
    elif missing >= LOOK_MISSING:
        sentence += ": lists of a category, rules about variety and reasons leave them out"
    findings = [
        Finding(
            "categories", SHOP, "missing", missing, "share", "look" if missing >= LOOK_MISSING else "good", f"{sentence}."
        )
    ]  # fmt: skip
    if not named:
        return findings
    sizes = dict(
        connection.execute(
            "select category, count(*) from marts.products where is_product and category is not null group by all order by 1"
        ).fetchall()
    )
    return [
        *findings,
        *_describe_mix(connection, len(sizes)),
        *_judge_names(sizes),
        *_judge_several(connection),
    ]


def _describe_mix(connection: duckdb.DuckDBPyConnection, categories: int) -> list[Finding]:
    """Share of revenue of the largest categories, and how many there are."""
    rows = connection.execute(
        """
        select category, sum(net_amount::decimal(38, 6))::double as revenue
        from marts.order_lines join marts.products using (product_id)
        where is_product and net_amount is not null group by all order by revenue desc, category nulls last
        """
    ).fetchall()
    total = sum(revenue for _, revenue in rows)
    findings = [
        Finding("categories", SHOP, "categories", categories, "categories", "good", f"There are {count(categories, 'category', 'categories')}.")
    ]  # fmt: skip
    if total <= 0:
        return findings
    for category, revenue in [row for row in rows if row[0] is not None][:SHOWN]:
        part = revenue / total
        findings.append(
            Finding("categories", category, "revenue_share", part, "share", "good", f"{category}: {share(part)} of the revenue.")
        )  # fmt: skip
    return findings


def _judge_names(sizes: Mapping[str, int]) -> list[Finding]:
    """Categories that are one, written in several ways."""
    spelt = find_spellings(sizes)
    alike = find_alike(sizes)
    findings = []
    for measure, pairs, text in (
        ("spellings", spelt, "written in several ways (case, accents, blanks or marks)"),
        ("near_duplicates", alike, "called almost the same"),
    ):
        sentence = f"No categories are {text}."
        if pairs:
            shown = list_some(
                [" / ".join(f"{name} ({sizes[name]})" for name in names) for names in pairs], NAMED
            )
            what = (
                "1 category is"
                if measure == "spellings" and len(pairs) == 1
                else f"{len(pairs)} categories are"
            )
            if measure == "near_duplicates":
                what = (
                    "1 pair of categories is" if len(pairs) == 1 else f"{len(pairs)} pairs of categories are"
                )
            sentence = (
                f"{what} {text}: {shown}. Give each one name, or their products do not find each other."
            )
        findings.append(
            Finding(
                "categories", SHOP, measure, len(pairs), "categories", "look" if pairs else "good", sentence
            )
        )
    return findings


def fold(name: str) -> str:
    """A name without case, accents, blanks and marks.

    >>> fold("Café & Tee "), fold("cafe-and-tee")
    ('cafeandtee', 'cafeandtee')
    """
    plain = unicodedata.normalize("NFKD", name.replace("&", " and ").casefold())
    return re.sub(r"[^\w]|_", "", "".join(sign for sign in plain if not unicodedata.combining(sign)))


def find_spellings(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that differ in case, accents, blanks and marks only, as groups.

    >>> find_spellings(["Tea", "tea ", "Coffee"])
    [('Tea', 'tea ')]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(fold(name), []).append(name)
    return [tuple(group) for key, group in sorted(groups.items()) if len(group) > 1 and key]


def find_alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that are almost the same: a letter more or less, a word misspelt. Numbers must agree.

    >>> find_alike(["Herbal tea", "Herbal teas", "Size 10", "Size 12"])
    [('Herbal tea', 'Herbal teas')]
    """
    first: dict[str, str] = {}
    for name in sorted(names):
        first.setdefault(fold(name), name)
    keys = [key for key in sorted(first) if len(key) >= SHORTEST]
    blocks = {"": keys}
    if len(keys) > MOST_COMPARED:
        blocks = {}
        for key in keys:
            blocks.setdefault(key[:2], []).append(key)
    pairs = []
    for block in blocks.values():
        for one, other in combinations(block, 2):
            # Two times the shorter over both is the most that the ratio can be.
            if 2 * min(len(one), len(other)) < ALIKE * (len(one) + len(other)):
                continue
            if re.findall(r"\d+", one) != re.findall(r"\d+", other):
                continue
            matcher = SequenceMatcher(None, one, other, autojunk=False)
            if matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE:
                pairs.append((first[one], first[other]))
    return sorted(pairs)


def _judge_several(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Products whose rows name several categories, and names of products that stand in several."""
    [(products, moved)] = connection.execute(
        """
        with products as (
            select count(distinct trim(category)) as categories from raw.products
            where nullif(trim(category), '') is not null group by trim(product_id)
        )
        select count(*), count(*) filter (categories > 1) from products
        """
    ).fetchall()
    [(names, split, example)] = connection.execute(
        """
        with names as (
            select min(name) as name, count(*) as products, list(distinct category order by category) as categories from marts.products
            where is_product and category is not null and name is not null group by lower(trim(name))
        )
        select count(*), count(*) filter (len(categories) > 1),
            arg_min(name || ': ' || array_to_string(categories[:3], ', '), (-products, name)) filter (len(categories) > 1)
        from names
        """
    ).fetchall()
    findings = []
    for measure, number, of, noun, verb, text in (
        ("several_of_a_product", moved, products, "product", "has", "rows in several categories; the last row of the file counts"),
        ("several_of_a_name", split, names, "name", "stands for", f"products in several categories (such as {example})"),
    ):  # fmt: skip
        part = number / of if of else 0.0
        plural = {"has": "have", "stands for": "stand for"}[verb]
        sentence = (
            f"{count(number, noun)} ({share(part)}) {verb if number == 1 else plural} {text}."
            if number
            else f"No {noun} {verb} {re.split(' [(]|;', text)[0]}."
        )
        findings.append(
            Finding(
                "categories", SHOP, measure, number, f"{noun}s", "look" if part >= LOOK_SEVERAL and number else "good", sentence
            )
        )  # fmt: skip
    return findings
