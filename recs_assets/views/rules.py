"""The association rules of the week, filtered; all of them at once as a grid."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recs_assets.views.desk import Look, Row

ORDERS = {
    "lift": "lift_shrunk desc",
    "confidence": "confidence desc",
    "support": "support desc",
    "surprise": "p_value",
}
COLUMNS, LINES = 48, 24


@dataclass(frozen=True)
class Filter:
    """Which rules.

    Attributes:
        support: the least share of baskets with both sides; `most_support` the most.
        confidence: the least share of baskets with the left side that hold the right one; `most_confidence` the most.
        lift: the least.
        category: of the right side; "" for all.
        text: in a name of either side.
    """

    support: float = 0.0
    most_support: float = 1.0
    confidence: float = 0.0
    most_confidence: float = 1.0
    lift: float = 0.0
    category: str = ""
    text: str = ""

    @property
    def sql(self) -> str:
        parts = [
            "support >= $support and support <= $most_support",
            "confidence >= $confidence and confidence <= $most_confidence and lift >= $lift",
        ]
        if self.category:
            parts.append(
                "consequent_product_id in (select product_id from recs.products where category = $category)"
            )
        if self.text:
            parts.append(
                "(contains(lower(antecedent_names), $text) or contains(lower(consequent_name), $text))"
            )
        return " and ".join(parts)

    @property
    def parameters(self) -> dict[str, Any]:
        values = asdict(self) | {"text": self.text.lower()}
        return {name: value for name, value in values.items() if f"${name}" in self.sql}


def count_rules(look: Look, wanted: Filter) -> Row:
    """rules, and the ranges of support and confidence of all rules of the week."""
    [count] = look.rows(
        f"select count(*) as rules from recs.association_rules where {wanted.sql}", wanted.parameters
    )
    [ranges] = look.rows(
        "select count(*) as all_rules, min(support) as low_support, max(support) as high_support, "
        "max(lift) as high_lift from recs.association_rules"
    )
    return {**count, **ranges}


def list_rules(look: Look, wanted: Filter, order: str = "lift", most: int = 50) -> list[Row]:
    """The first rules of a filter."""
    return look.rows(
        "select antecedent_product_ids, antecedent_names, consequent_product_id, consequent_name, baskets, "
        "antecedent_baskets, consequent_baskets, support, confidence, lift, lift_shrunk, leverage, conviction, p_value, "
        f"p_adjusted from recs.association_rules where {wanted.sql} "
        f"order by {ORDERS[order]}, baskets desc, antecedent_product_ids, consequent_product_id limit {int(most)}",
        wanted.parameters,
    )


def bin_rules(look: Look, wanted: Filter) -> list[Row]:
    """The rules of a filter counted in a grid of log support and confidence: column, line, rules, median lift, and the
    range of support and confidence of each cell's rules."""
    return look.rows(
        f"""
        with wanted as (select support, confidence, lift from recs.association_rules where {wanted.sql}),
        edges as (
            select ln(min(support)) as low, greatest(ln(max(support)) - ln(min(support)), 1e-9) as width,
                min(confidence) as least, greatest(max(confidence) - min(confidence), 1e-9) as height
            from wanted
        )
        select
            least({COLUMNS} - 1, floor((ln(support) - low) / width * {COLUMNS}))::int as "column",
            least({LINES} - 1, floor((confidence - least) / height * {LINES}))::int as line,
            count(*) as rules, median(lift) as lift,
            min(support) as low_support, max(support) as high_support,
            min(confidence) as low_confidence, max(confidence) as high_confidence
        from wanted, edges
        group by all
        order by line, "column"
        """,
        wanted.parameters,
    )
