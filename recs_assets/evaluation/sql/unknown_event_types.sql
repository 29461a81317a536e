with types as (
    select json_extract_string(row_json, '$.event_type') as type
    from intermediate.int_rows_rejected
    where source_table = 'campaign_events' and reason = 'unknown_event_type'
      and event_at < $week
)
select case when regexp_matches(type, '^[a-z_]{1,40}$') then type else 'other' end, count(*)
from types group by 1 order by 2 desc, 1
