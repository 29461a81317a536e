"""What steps get from Dagster: the deployment's files, under the one-writer lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field

from recs_assets.defs.dbt import outwait_orphans
from recs_assets.defs.deployment import Deployment
from recs_assets.store.lock import writer_lock
from recs_assets.store.warehouse import Warehouse


def warehouse_resource(deployment: Deployment) -> dg.ConfigurableResource[Warehouse]:
    """The resource `warehouse` of a deployment.

    Dagster shows a resource's configuration, so no secret is part of it: the key that erased customers
    are remembered by stays with the deployment.
    """

    class WarehouseResource(dg.ConfigurableResource[Warehouse]):
        """The build and snapshot files, held under the one-writer lock for the whole run."""

        home: str = Field(description="Folder of build files, models, snapshots and caches (RECS_HOME).")
        threads: int = Field(description="Threads of DuckDB (RECS_THREADS).")
        memory_limit: str = Field(description="DuckDB's memory limit (RECS_MEMORY_LIMIT).")
        retention_weeks: int = Field(description="Snapshots that are kept (RECS_RETENTION_WEEKS).")
        writer_wait_seconds: float = Field(
            description="How long a run waits for another run's lock (RECS_WRITER_WAIT_SECONDS)."
        )

        @contextmanager
        def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Warehouse]:
            warehouse = Warehouse(
                Path(self.home),
                self.threads,
                self.memory_limit,
                retention=self.retention_weeks,
                lake=deployment.settings.lake,
            )
            deployment.suppression()  # a missing key is one error here and one per raw table later
            wait = self.writer_wait_seconds
            with writer_lock(warehouse.lock_path, wait, context.log.info):
                for folder in (warehouse.home / "weeks", warehouse.nights):
                    outwait_orphans(folder, wait, context.log.info)
                yield warehouse

    settings = deployment.settings
    return WarehouseResource(
        home=str(settings.home),
        threads=settings.threads,
        memory_limit=settings.memory_limit,
        retention_weeks=settings.retention_weeks,
        writer_wait_seconds=settings.writer_wait_seconds,
    )
