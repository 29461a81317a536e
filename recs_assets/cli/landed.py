"""What a run has landed and what its audit found, as soon as Dagster knows it."""

from __future__ import annotations

import dagster as dg

from recs_assets.defs.audit import AUDIT
from recs_assets.defs.gates import LANDING_GATE
from recs_assets.defs.ingest import NOTES
from recs_assets.defs.metadata import PERIOD
from recs_assets.defs.results import model_key
from recs_assets.schema import RAW_TABLES

# Longest text of a gate that passed, in characters.
SHORT = 120


class LandedReport:
    """Collects the events of a run and gives lines for people: the landed tables, the gate, the audit."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._periods: dict[str, str] = {}
        self._gates: list[str] = []
        self._notes: list[str] = []

    def read(self, event: dg.DagsterEvent) -> list[str]:
        """The lines that this event completes; none in most cases."""
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            return self._read_asset(event.step_materialization_data.materialization)
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if event.step_key == LANDING_GATE:
                text = check.description or ""
                if check.passed and len(text) > SHORT:  # a sentence per table, all of them good news
                    text = "passed."
                self._gates.append(f"Gate {check.check_name}: {text}")
            return []
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and event.step_key == LANDING_GATE:
            return [*self.tables(), *self._gates]
        return []

    def _read_asset(self, asset: dg.AssetMaterialization) -> list[str]:
        metadata = {name: value.value for name, value in asset.metadata.items()}
        if AUDIT in metadata:
            first, *others = metadata[AUDIT]
            return [f"Audit: {first}", *(f"  {line}" for line in others)]
        if asset.asset_key == model_key("customer_identities"):
            return [f"People: {note}" for note in metadata.get(NOTES, [])]
        if len(asset.asset_key.path) == 2 and asset.asset_key.path[0] == "raw":
            for table in asset.asset_key.path[1:]:
                self._rows[table] = metadata["dagster/row_count"]
                self._notes += metadata.get(NOTES, [])
                if PERIOD in metadata:
                    self._periods[table] = metadata[PERIOD]
        return []

    def tables(self) -> list[str]:
        """One line per landed table with rows, and one that names the empty ones."""
        width = max(map(len, self._rows), default=0)
        # The canonical ones first, in their order.
        names = list(
            dict.fromkeys([*(name for name in RAW_TABLES if name in self._rows), *sorted(self._rows)])
        )
        lines = ["Landed:"]
        for table in names:
            if count := self._rows.get(table):
                period = f"  {self._periods[table]}" if table in self._periods else ""
                lines.append(f"  {table:<{width}} {count:>11,} rows{period}")
        if empty := [table for table in names if self._rows.get(table) == 0]:
            lines.append(f"  no rows of {', '.join(empty)}")
        lines += [f"  {note}" for note in self._notes]
        return lines
