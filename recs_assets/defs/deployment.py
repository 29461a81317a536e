"""What the assets share: the partitions of a shop's weeks, owners, the writer's pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import dagster as dg

from recs_assets.campaigns.arms import check_changes
from recs_assets.campaigns.file import Folder, load_folder
from recs_assets.experiments import file as experiments
from recs_assets.schema import SettingsError
from recs_assets.shop import Shop
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week

OWNERS = ["team:data-engineering"]
# Every asset that writes the build file or the snapshot is in this pool; its limit of one
# (dagster.yaml) keeps a second run in the queue. The lock that holds even after a kill -9
# is the file lock in warehouse.py.
WRITER_POOL = "duckdb_writer"
# Of a week that was published; what a campaign publishes on another day alerts nobody again.
ALERT_KEY = dg.AssetKey(["exports", "alert"])
# Whatever day RECS_SCHEDULE names, a week is made once in seven days; a run takes no longer than four hours.
# Dagster shows what is older as stale, six hours after a run that did not happen.
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7, hours=6))


@dataclass(frozen=True)
class Deployment(Shop):
    """A shop with its weekly partitions; built once when Dagster loads the code."""

    @cached_property
    def partitions(self) -> dg.WeeklyPartitionsDefinition:
        """One partition per Monday; its key is `as_of`.

        Dagster's weeks start on Sunday unless told otherwise, and a week exists only once it
        is over unless `end_offset` says that the one that starts today counts.
        """
        return dg.WeeklyPartitionsDefinition(
            start_date=self.first_week.isoformat(),
            timezone=self.timezone,
            day_offset=1,
            end_offset=1,
        )

    def require_week(self, week: date) -> date:
        """The week, if there is a partition of it.

        Raises:
            SettingsError: it lies before the first week, or has not begun.
        """
        if self.partitions.has_partition_key(week.isoformat()):
            return week
        first = self.first_week
        if week >= first:
            raise SettingsError(f"The week {week} has not begun: run it from that Monday on.")
        if self.settings.first_week is not None:
            raise SettingsError(
                f"The week {week} lies before RECS_FIRST_WEEK ({first}): set it to that Monday or an earlier one, "
                "or unset it; it is the week of the first order then."
            )
        raise SettingsError(
            f"The week {week} lies before the week of the first order ({first}): nothing is known then; run a "
            "later one, or add the older orders."
        )

    @cached_property
    def campaigns(self) -> Folder:
        """The campaign files of the deployment, and the errors of those that are none."""
        return load_folder(self.path("campaigns"), self.catalogue)

    @cached_property
    def experiments(self) -> experiments.Folder:
        """The experiments of the deployment, and the errors of the files that are none."""
        folder = self.path("experiments")
        return check_changes(folder, experiments.load_folder(folder), self.campaigns.campaigns)

    @property
    def weekly(self) -> dict[str, Any]:
        """What every asset shares: one week per run, owners, the writer's pool."""
        return {
            "partitions_def": self.partitions,
            "backfill_policy": dg.BackfillPolicy.multi_run(),
            "owners": OWNERS,
            "pool": WRITER_POOL,
        }

    def week(
        self, warehouse: Warehouse, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext
    ) -> Week:
        """The week a step runs for."""
        return Week(self, warehouse, week_of(context))


def week_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> date:
    """The Monday a step runs for, checked: partition keys come from outside."""
    op_context = getattr(context, "op_execution_context", context)
    try:
        week = date.fromisoformat(op_context.partition_key)
    except ValueError:
        week = None
    if week is None or week.weekday() != 0:
        raise SettingsError(
            f"Partition {op_context.partition_key!r} is not a Monday: pick one of the weekly partitions."
        )
    return week
