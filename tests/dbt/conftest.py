"""A shop small enough to check by hand, built with dbt once per session.

The week is 2024-03-04, the test anchor 2024-02-05. Every raw row is written out in helpers/dbt_rows.py, and what
Python would have written in helpers/dbt_model_rows.py; rows dated at or after the week's midnight try to leak into
it in every way we know of.
"""

from __future__ import annotations

import duckdb
import pytest

from helpers.dbt_build import Warehouse, create_model, create_raw

# One fault for each test that dbt runs every week.
FAULTS = (
    # A shop with words of its own.
    """update intermediate.int_order_states set counts_as = 'unknown' where counts_as = 'purchase'""",
    # 3 of 100 is above 2 %; 40 of 49 is not judged, the table is too small.
    """update intermediate.int_quarantine_shares set rows = 100, rejected = 3, share = 0.03
       where source_table = 'orders' and reason = 'any'""",
    "delete from intermediate.int_quarantine_shares where source_table = 'orders' and reason <> 'any'",
    "delete from intermediate.int_rows_rejected where source_table = 'orders'",
    """insert into intermediate.int_quarantine_shares by name
       select 'orders' as source_table, * from (values ('future_date', 1, 100), ('late_word', 2, 100)) as t (reason, rejected, rows)""",
    "comment on table raw.orders is 'orders/a.csv, orders/b.csv and 5 more'",
    # The first of the keys that hold no address is shown.
    """insert into intermediate.int_rows_rejected by name
       select 'orders' as source_table, unnest(['0-[email]', '1-good', '2-worse']) as row_key, 'late_word' as reason""",
    """update intermediate.int_quarantine_shares set rows = 49, rejected = 40, share = 0.82
       where source_table = 'order_items' and reason = 'any'""",
    # dan objected.
    "insert into marts.interactions by name select 'dan' as customer_id, 'milk' as product_id",
    """insert into recs.quarantine by name select 'orders' as source_table, 'k' as row_key, 'r' as reason,
       '{"note":"ann@example.com"}' as row_json""",
    # bob's flag is off; his first slot is missing.
    """insert into recs.email_recommendations by name
       select campaign, as_of, 'bob' as customer_id, 2 as slot, product_id, arm from recs.email_recommendations
       where campaign = 'weekly_email' limit 1""",
    # Bob has ann's address now, and somebody said no under an id that nobody has.
    "update intermediate.int_customer_addresses set address_group = 1 where customer_id = 'bob'",
    """insert into raw.consents values ('X-99', 'unsubscribed', '2024-03-01'),
       ('ina.probe@example.com', 'objected', '2024-03-01')""",
    # ham is sold out, and ann never bought it.
    """insert into recs.buy_it_again by name
       select date '2024-03-04' as as_of, 'ann' as customer_id, 2 as rank, 'ham' as product_id""",
    # Not due before half of the gap is over.
    "update recs.buy_it_again set due_ratio = 0.49 where product_id = 'milk'",
    "update recs.baskets set ordered_at = '2024-03-04 00:00:00' where order_id = 'a3'",
    # Bob's row of the email has no trace either, nor is he counted; fay's score is 0.00001 beside its parts.
    "delete from recs.recommendation_traces where product_id = 'bread'",
    # Over before it is sent.
    "update recs.email_recommendations set expires_at = send_at where campaign = 'weekly_email' and slot = 1",
    "update recs.recommendation_traces set base_score = base_score + 0.00001 where customer_id = 'fay'",
    "update recs.recall_waterfall set share = 0.76 where stage = 'listed'",
    "update recs.forecasts set window_end = '2024-03-05' where campaign = 'test_anchor'",
)


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Warehouse:
    """Raw and model tables only."""
    folder = tmp_path_factory.mktemp("dbt")
    path = folder / "build.duckdb"
    with duckdb.connect(str(path)) as connection:
        create_raw(connection)
        create_model(connection)
    return Warehouse(path, folder / "target")


@pytest.fixture(scope="session")
def build(raw: Warehouse):
    """Function: everything from staging to features, by one dbt command, on raw rows after `statements`
    and with `more` vars.
    """
    folder = raw.path.parent

    def run(name: str, command: str, *statements: str, **more: object) -> Warehouse:
        work = raw.copy_to(folder / "work")
        work.execute(*statements)
        work.dbt(command, "--selector", "prepare", **more)
        return work.move_to(folder / name)

    return run


@pytest.fixture(scope="session")
def prepared(build) -> Warehouse:
    """The shop, staging to features."""
    return build("prepared", "build")


@pytest.fixture(scope="session")
def published(prepared: Warehouse) -> Warehouse:
    """The shop, with schema recs."""
    folder = prepared.path.parent.parent
    work = prepared.copy_to(folder / "work")
    work.dbt("build", "--selector", "publish")
    return work.move_to(folder / "published")


@pytest.fixture(scope="session")
def tested(published: Warehouse) -> str:
    """dbt's output of the unit tests, and of the singular tests after one fault for each of them."""
    work = published.copy_to(published.path.parent.parent / "work")
    work.execute(*FAULTS)
    return work.dbt(
        "test",
        "--select",
        "test_type:unit",
        "test_type:singular",
        "email_recommendations_expectations",
        fails=True,
    )
