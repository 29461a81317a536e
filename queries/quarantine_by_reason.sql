-- Which raw rows were left out, why, and since when?
select
    source_table,
    reason,
    count(*) as row_count,
    min(event_at) as first_dated,
    max(event_at) as last_dated,
    min(row_key) as for_example
from recs.quarantine
group by source_table, reason
order by row_count desc, source_table, reason;
