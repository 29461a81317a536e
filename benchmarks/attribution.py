"""How long attribution takes: 1,000,000 customers, 8 weeks, 12 products per email, and what happened to them.

    python -m benchmarks.attribution [CUSTOMERS]

Of every ten customers one is held out. Every email is reported as sent, a fifth is opened, 2 % are clicked once, and
every customer sees three rows of the home page per week; one in ten buys per week, two lines each.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from recs_assets.experiments.attribution import Windows, attribute

AS_OF = date(2025, 3, 3)
WEEKS = [AS_OF - timedelta(weeks=weeks) for weeks in range(8, 0, -1)]
PRODUCTS = 20_000
# Of a list's rows, beside keys and ids. hash() spreads them as lots would, the same in every run.
LISTS = """
    select
        date '{week}' as as_of, 'c' || customer as customer_id, slot + 1 as {rank}, '{table}' || customer || '-' || slot as row,
        'p' || (power(hash(customer, slot, '{week}{table}') % 1000000 / 1e6, 2) * {products})::integer as product_id,
        (['ranker', 'ease', 'als', 'popularity'])[1 + (hash(customer, slot) % 4)::integer] as source,
        (['again', 'together', 'popular'])[1 + (hash(slot, customer) % 3)::integer] as reason_code,
        left(sha256('{table}{week}' || customer || '-' || slot), 20) as recommendation_id
    from range({customers}) as customers (customer) cross join range(12) as slots (slot)
    where {condition}
    order by customer_id, slot
"""
EMAIL = """
    select
        'weekly' as campaign, as_of, customer_id, slot::integer as slot, product_id, source, reason_code, recommendation_id,
        if(slot in (4, 8), 'discovery', 'personal') as slot_type, if(hash(customer_id) % 2 = 0, 'a', 'b') as arm,
        timezone('UTC', as_of + interval 8 hour) as send_at
    from ({lists})
"""
EVENT = """
    select
        '{kind}' || row_number() over () || '-{week}' as event_id, 'weekly' as campaign, customer_id, {product} as product_id,
        '{kind}' as event_type, as_of + interval 8 hour + to_seconds((hash(customer_id, as_of, '{kind}') % {span})::bigint) as occurred_at,
        null::varchar as arm, {row} as recommendation_id, {session} as session_id, {placement} as placement, null::timestamp as known_until
    from {source} where {condition}
"""
NAMED = "event_id, campaign, customer_id, product_id, event_type, occurred_at, arm, recommendation_id, session_id, placement, known_until"


def write_shop(folder: Path, customers: int) -> None:
    """Write build.duckdb and recs.duckdb."""
    connection = duckdb.connect(
        config={"threads": 2, "memory_limit": "4GB", "temp_directory": str(folder / "tmp")}
    )
    connection.execute(f"attach '{folder}/build.duckdb' as build; attach '{folder}/recs.duckdb' as published")
    connection.execute("create schema published.recs; use build")
    for schema in ("intermediate", "marts", "model"):
        connection.execute(f"create schema {schema}")
    connection.execute(
        "create table marts.customers as select 'c' || range as customer_id, 'segment ' || range % 5 as segment "
        f"from range({customers})"
    )
    connection.execute(
        "create table marts.products as select 'p' || range as product_id, null::varchar as parent_id, "
        f"'category ' || range % 40 as category, 3.0::double as cost, true as is_product from range({PRODUCTS + 1})"
    )
    connection.execute(
        "create table model.nightly_recommendations (recommendation_id varchar, list varchar, as_of date, "
        "customer_id varchar, product_id varchar, rank integer)"
    )
    events = "intermediate.int_campaign_events_attributed"
    for place, week in enumerate(WEEKS):
        into = ("create table {} as" if place == 0 else "insert into {}").format
        names = {"week": week, "products": PRODUCTS, "customers": customers}
        for table, condition in (
            ("email_recommendations", "hash(customer, 'arm') % 10 > 0"),
            ("email_holdout", "hash(customer, 'arm') % 10 = 0"),
        ):
            lists = LISTS.format(**names, table=table, rank="slot", condition=condition)
            connection.execute(f"{into(f'published.recs.{table}')} {EMAIL.format(lists=lists)}")
        lists = LISTS.format(**names, table="home", rank="rank", condition="true")
        connection.execute(
            f"{into('published.recs.customer_recommendations')} select * exclude (row) from ({lists})"
        )
        mails = (
            f"(select * from published.recs.email_recommendations where as_of = date '{week}' and slot = 1)"
        )
        pages = f"(select * from published.recs.customer_recommendations where as_of = date '{week}' and rank <= 3)"
        email = {
            "product": "null::varchar",
            "row": "null::varchar",
            "session": "null::varchar",
            "placement": "null::varchar",
            "source": mails,
            "week": week,
        }
        parts = [
            EVENT.format(**email, kind="sent", span=60, condition="true"),
            EVENT.format(**email, kind="opened", span=500_000, condition="hash(customer_id, as_of) % 5 = 0"),
            EVENT.format(
                **email | {"row": "recommendation_id", "product": "product_id", "session": "'s' || customer_id || as_of"},
                kind="clicked", span=500_000, condition="hash(customer_id, as_of) % 50 = 0",
            ),
            EVENT.format(
                **email | {"row": "recommendation_id", "product": "product_id", "session": "'s' || customer_id || as_of", "placement": "'home'", "source": pages},
                kind="shown", span=500_000, condition="true",
            ),
        ]  # fmt: skip
        connection.execute(f"{into(events)} select {NAMED} from ({' union all '.join(parts)})")
        # Every second line is a product of the email's first slots, the other one any.
        connection.execute(
            f"""
            {into("marts.order_lines")}
            select
                'o' || customer_id || '-{week}' as order_id, slot::varchar as line_id, customer_id,
                if(slot = 1, product_id, 'p' || hash(customer_id, '{week}') % {PRODUCTS}) as product_id,
                as_of + interval 9 hour + to_seconds((hash(customer_id, as_of, 'buys') % 500000)::bigint) as ordered_at,
                10.0::double as amount, if(hash(customer_id, as_of) % 30 = 7, 0.0, 10.0)::double as net_amount,
                if(hash(customer_id, as_of) % 30 = 7, 0.0, 1.0)::double as net_quantity
            from published.recs.email_recommendations
            where as_of = date '{week}' and slot <= 2 and hash(customer_id, as_of, 'buyer') % 10 = 0
            """
        )
        connection.execute(
            f"""
            {into("intermediate.int_browsing_events_attributed")}
            select
                event_id || 'v' as event_id, customer_id, product_id,
                if(hash(event_id) % 3 = 0, 'add_to_cart', 'view') as event_type, occurred_at + interval 2 minute as occurred_at,
                (hash(event_id) % 90)::double as duration_seconds, null::timestamp as known_until
            from {events} where occurred_at >= date '{week}' and (event_type = 'clicked' or hash(event_id) % 5 = 0) and product_id is not null
            """
        )
    connection.close()


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, customers)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connection = duckdb.connect(
            str(folder / "build.duckdb"),
            read_only=True,
            config={"threads": 2, "memory_limit": "4GB", "temp_directory": str(folder / "tmp")},
        )
        connection.execute(f"attach '{folder}/recs.duckdb' as published (read_only)")
        started = time.perf_counter()
        results = attribute(connection, AS_OF, "UTC", Windows())
        seconds = time.perf_counter() - started
        connection.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(
        f"{customers:,} customers: {len(results.attributions):,} attributed lines, {len(results.results):,} results, "
        f"{seconds:.1f} s, at most {peak / 2**20:.2f} GB (making the shop took {before / 2**20:.2f} GB)\n"
    )


if __name__ == "__main__":
    main()
