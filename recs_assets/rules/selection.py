"""What the rules chose: who gets which products, who gets none and why, and what each rule took out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recs_assets.rules.context import EVIDENCE
from recs_assets.rules.items import NAMES, ORDER, PASSED
from recs_assets.rules.recipients import REASONS
from recs_assets.rules.slots import LEVELS, SLOT_TYPES

TOO_FEW = "too_few_products"
# The table of what rules took out. A run writes it and does not read it again: the views answer "why not this
# product?" from it.
REMOVED = "removed"
# The same of what could have stood in the slots that were drawn, for `evaluate-policy`.
DRAWS = "draws"
SENT_BEFORE = ("no", "yes", *EVIDENCE[1:])
# Columns of a selection beside customer and slot.
CELLS = {
    "product": np.int32, "score": np.float32, "p_purchase": np.float32, "source": np.int16, "type": np.int8,
    "level": np.int8, "sent_before": np.int8, "propensity": np.float64,
}  # fmt: skip
# Columns of `Selection.draws`.
DRAW_COLUMNS = {
    "customer": np.int32, "slot": np.int16, "product": np.int32, "p_purchase": np.float32, "probability": np.float64,
}  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """Who gets what, who gets nothing and why, and what each rule took out.

    Attributes:
        rows: columns customer int32, slot int16 from 1, product int32, score float32 (as it came; 0
            for rows that were not among the candidates), p_purchase float32 (NaN unknown), source
            category, slot_type category (`SLOT_TYPES`), fallback_level category (`LEVELS`: where the
            product came from; a pinned product that was no candidate: "global"), sent_before category
            (`SENT_BEFORE`: not in the previous sends; in them; in them, with this evidence since),
            propensity float64 (probability with which the product stands there, below 1 in a drawn slot);
            sorted by customer, slot. Every customer of an email has all slots.
        suppressed: customer int32, reason str (`recipients.REASONS` or "too_few_products"), sorted.
        removed: rule -> candidates of eligible customers it took out, in the order of the rules. A row
            that several rules refuse counts for the first of them; a limit's counts are the candidates
            it closed while their customer still had slots to fill.
        traced: customer int32, product int32, rule str of every such candidate; None unless asked for.
        draws: what could have stood in every drawn slot, customer by customer, the product that would stand there
            undrawn first: customer int32, slot int16, product int32, p_purchase float32, probability float64.
        reserves: None unless asked for. The rows and after them, slots k + 1, k + 2, ..., every customer's
            next admissible products, best first, as many as there are; the columns of `rows`, and for
            every limit that is on "<name>" (int32 group, -1 none) and "<name>_most": of one group no list
            may hold more.
    """

    rows: pd.DataFrame
    suppressed: pd.DataFrame
    removed: pd.Series
    traced: pd.DataFrame | None
    draws: pd.DataFrame
    reserves: pd.DataFrame | None = None

    @cached_property
    def counts(self) -> pd.Series:
        """Customers per outcome: "selected" and every reason; the sum is the customers asked for."""
        reasons = self.suppressed["reason"].value_counts().reindex([*REASONS, TOO_FEW], fill_value=0)
        return pd.concat([pd.Series({"selected": self.rows["customer"].nunique()}), reasons]).rename(
            "customers"
        )


@dataclass(frozen=True)
class Part:
    """One block's result: codes of customers with a list and of those short of one, the cells of the
    lists by slot (product -1: empty), removed rows, the columns of `Selection.draws` and of `Selection.reserves`."""

    customers: np.ndarray
    short: np.ndarray
    cells: dict[str | int, np.ndarray]
    removed: np.ndarray
    traced: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    draws: dict[str, np.ndarray]
    reserves: dict[str, np.ndarray]


def assemble(
    parts: Sequence[Part],
    sources: Sequence[str],
    reason: np.ndarray,
    customers: np.ndarray,
    trace: bool,
    reserves: int,
) -> Selection:
    def join(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
        return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype)

    who = join([part.customers for part in parts], np.int32)
    order = np.argsort(who)  # blocks of segments lie side by side

    def collect(name: str) -> np.ndarray:
        return np.concatenate([part.cells[name] for part in parts])[order]

    filled = collect("product") >= 0 if parts else np.empty((0, 0), dtype=bool)
    rows = _name_columns(
        {
            "customer": np.repeat(who[order], filled.sum(axis=1)),
            "slot": filled.cumsum(axis=1)[filled].astype(np.int16),
            **{
                name: collect(name)[filled].astype(dtype) if parts else np.empty(0, dtype)
                for name, dtype in CELLS.items()
            },
        },
        sources,
    )
    excluded = customers[reason[customers] >= 0]
    short = join([part.short for part in parts], np.int64)
    names = np.array(REASONS, dtype=object)
    suppressed = pd.DataFrame(
        {
            "customer": np.concatenate([excluded, short]).astype(np.int32),
            "reason": pd.Series([*names[reason[excluded]], *[TOO_FEW] * len(short)], dtype="str"),
        }
    ).sort_values("customer", ignore_index=True)
    total = np.sum([part.removed for part in parts], axis=0) if parts else np.zeros(PASSED, dtype=np.int64)
    listed = [number for number, rule in enumerate(ORDER) if rule.kind != "slots" or rule.name == "exposure"]
    removed = pd.Series(total[listed], index=[NAMES[number] for number in listed], name="removed")
    drawn = {name: join([part.draws[name] for part in parts], kind) for name, kind in DRAW_COLUMNS.items()}
    draws = pd.DataFrame(drawn).sort_values("customer", kind="stable", ignore_index=True)
    traced = None
    if trace:
        lines = [
            join([part.traced[i] for part in parts], dtype)
            for i, dtype in enumerate((np.int32, np.int32, np.int8))
        ]
        by_customer = np.argsort(lines[0], kind="stable")
        names = np.array(NAMES, dtype=object)
        traced = pd.DataFrame(
            {
                "customer": lines[0][by_customer],
                "product": lines[1][by_customer],
                "rule": pd.Series(names[lines[2][by_customer]], dtype="str"),
            }
        )
    if not reserves:
        return Selection(rows, suppressed, removed, traced, draws)
    tables = [pd.DataFrame(part.reserves) for part in parts if part.reserves]
    after = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    after = after.reindex(
        columns=[
            "customer",
            "slot",
            *CELLS,
            "min_stock",
            # In the order of the rules, whoever was filled first.
            *(column for column in (*NAMES, *(f"{name}_most" for name in NAMES)) if column in after),
        ]
    )
    held = [name for name in after if name in NAMES]
    after = after.fillna(dict.fromkeys(held, -1) | {f"{name}_most": 0 for name in held})
    after = after.sort_values(["customer", "slot"], ignore_index=True).astype(
        CELLS
        | {"customer": np.int32, "slot": np.int16, "min_stock": float}
        | {name: np.int32 for limit in held for name in (limit, f"{limit}_most")}
    )
    named = _name_columns({name: after[name].to_numpy() for name in ("customer", "slot", *CELLS)}, sources)
    rest = after.drop(columns=["customer", "slot", *CELLS])
    return Selection(rows, suppressed, removed, traced, draws, pd.concat([named, rest], axis=1))


def _name_columns(columns: dict[str, np.ndarray], sources: Sequence[str]) -> pd.DataFrame:
    """The columns of `Selection.rows`, names in place of positions."""
    names = {
        "source": ("source", list(sources)),
        "type": ("slot_type", list(SLOT_TYPES)),
        "level": ("fallback_level", list(LEVELS)),
        "sent_before": ("sent_before", list(SENT_BEFORE)),
    }
    return pd.DataFrame(
        {
            names[name][0] if name in names else name: pd.Categorical.from_codes(
                values, categories=names[name][1]
            )
            if name in names
            else values
            for name, values in columns.items()
        }
    )
