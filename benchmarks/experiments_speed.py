"""How long a week's tables of experiments and shadows take: 1,000,000 customers, 8 weeks, every metric.

    python -m benchmarks.experiments_speed [CUSTOMERS]

The shop is that of `benchmarks.attribution`, with an experiment of three arms that has run for 8 weeks and one week of
shadows.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.attribution import AS_OF, WEEKS, write_shop
from recs_assets.experiments.file import Experiment, assign
from recs_assets.experiments.report import report
from recs_assets.experiments.shadows import load_shadow_results

EXPERIMENT = Experiment.model_validate(
    {
        "name": "speed", "hypothesis": "It is fast.", "campaign": "weekly", "starts": WEEKS[0], "weeks": 8,
        "primary": "revenue", "guardrails": {"unsubscribes": 0, "returns": 0.02}, "detectable": 0.05,
        "control": "today",
        "arms": {
            "today": {"share": 0.7}, "new": {"share": 0.2, "change": {"model": "blend"}}, "holdout": {"share": 0.1},
        },
    }
)  # fmt: skip


def complete_shop(folder: Path, customers: int) -> None:
    """Add what experiments read beside what attribution reads."""
    connection = duckdb.connect(
        config={"threads": 2, "memory_limit": "4GB", "temp_directory": str(folder / "tmp")}
    )
    connection.execute(
        f"attach '{folder}/build.duckdb' as build; attach '{folder}/recs.duckdb' as published; use build"
    )
    connection.execute("create schema if not exists staging")
    connection.execute(
        "create table staging.stg_consent_changes as select customer_id, 'unsubscribed' as state, true as is_readable, "
        f"date '{WEEKS[1]}'::timestamp as effective_at from marts.customers where hash(customer_id, 'no') % 100 = 0"
    )
    connection.execute(
        "create table marts.baskets as select order_id, customer_id, min(ordered_at) as ordered_at, sum(net_quantity) as units "
        "from marts.order_lines group by all"
    )
    connection.execute("alter table marts.customers add column country varchar")
    connection.execute(
        "update marts.customers set country = (['DE', 'FR', 'NL'])[1 + (hash(customer_id) % 3)::integer]"
    )
    for table in ("email_recommendations", "email_holdout"):
        connection.execute(f"alter table published.recs.{table} add column window_days integer default 7")
        connection.execute(f"alter table published.recs.{table} add column p_purchase double default 0.1")
        connection.execute(f"alter table published.recs.{table} add column price double default 10.0")
    people = assign(EXPERIMENT, [f"c{number}" for number in range(customers)])
    connection.register("people", people)
    connection.execute(
        "create table published.recs.assignments as select 'speed' as experiment, 'weekly' as campaign, customer_id, arm, "
        f"date '{WEEKS[0]}' as assigned_at from people"
    )
    connection.execute(
        "create table published.recs.shadow_recommendations as select campaign, 'quiet' as shadow, as_of, 7 as window_days, customer_id, "
        f"product_id from published.recs.email_recommendations where as_of = date '{WEEKS[-1]}' and slot > 3"
    )
    connection.close()


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, customers)
        complete_shop(folder, customers)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connection = duckdb.connect(
            str(folder / "build.duckdb"),
            read_only=True,
            config={"threads": 2, "memory_limit": "2GB", "temp_directory": str(folder / "tmp")},
        )
        connection.execute(f"attach '{folder}/recs.duckdb' as published (read_only)")
        nobody = pd.DataFrame(columns=["experiment", "customer_id", "arm"], dtype="str")
        slots = {("speed", arm): 12 for arm in EXPERIMENT.arms}
        started = time.perf_counter()
        tables = report(connection, AS_OF, {"speed": EXPERIMENT}, nobody, slots)
        middle = time.perf_counter()
        shadows = load_shadow_results(connection, AS_OF)
        ended = time.perf_counter()
        connection.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(
        f"{customers:,} customers: experiments {middle - started:.1f} s ({len(tables['experiment_results']):,} results), shadows "
        f"{ended - middle:.1f} s ({len(shadows)} results), at most {peak / 2**20:.2f} GB (making the shop took {before / 2**20:.2f} GB)\n"
    )


if __name__ == "__main__":
    main()
