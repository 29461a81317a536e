{{ config(meta={'dagster': {'ref': {'name': 'int_quarantine_shares'}}}) }}
-- Fails with one sentence that names each raw table with too many rejected rows. The sentence
-- is raised by the database, because dbt reports only the number of failing rows.
with offending as (

    select
        source_table || ': ' || rejected || ' of ' || rows || ' rows ('
        || round(100 * share, 2) || ' %)' as finding
    from {{ ref('int_quarantine_shares') }}
    where
        reason = 'any'
        and rows >= {{ var('min_rows_judged') }}
        and share > {{ var('max_quarantined_share') }}

),

message as (

    select
        'More raw rows were rejected than the allowed {{ (var("max_quarantined_share") | float * 100) | round(2) }} %. '
        || string_agg(finding, '; ' order by finding)
        || '. The rows and reasons are in intermediate.int_rows_rejected; correct the files or raise '
        || 'RECS_MAX_QUARANTINED_SHARE.' as sentence
    from offending

)

select sentence
from message
where {{ fail_with('sentence') }} is not null
