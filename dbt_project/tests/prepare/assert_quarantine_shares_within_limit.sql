{{ config(meta={'dagster': {'ref': {'name': 'int_quarantine_shares'}}}) }}
-- Fails with one sentence that names each raw table with too many rejected rows, its files, the reasons and
-- one row. The sentence is raised by the database, because dbt reports only the number of failing rows.
with shares as (

    select * from {{ ref('int_quarantine_shares') }}

),

offending as (

    select
        source_table,
        rejected,
        rows,
        share
    from shares
    where
        reason = 'any'
        and rows >= {{ var('min_rows_judged') }}
        and share > {{ var('max_quarantined_share') }}

),

reasons as (

    select
        source_table,
        {{ joined_text("rejected || ' ' || reason", ', ', 'rejected desc, reason') }} as reasons
    from shares
    where reason not in ('any', 'superseded')
    group by source_table

),

-- No customer's id and no address: a log needs neither.
examples as (
    {% for table in raw_tables() + declared_tables() if 'customer_id' not in table.key %}
    select
        source_table,
        min(row_key) as row_key
    from {{ ref('int_rows_rejected') }}
    where source_table = '{{ table.name }}' and row_key not like '%@%' and row_key not like '%[email]%'
    group by source_table
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

files as (
    {% for table in raw_tables() + declared_tables() %}
    select
        '{{ table.name }}' as source_table,
        {{ landed_from(table.name) }} as names
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

findings as (

    select
        offending.source_table || ': ' || offending.rejected || ' of ' || offending.rows || ' rows ('
        || round(100 * offending.share, 2) || ' %)'
        || coalesce(' of ' || files.names, '')
        || coalesce(', ' || reasons.reasons, '')
        || coalesce(', for example the row ' || examples.row_key, '') as finding
    from offending
    left join files on offending.source_table = files.source_table
    left join reasons on offending.source_table = reasons.source_table
    left join examples on offending.source_table = examples.source_table

),

message as (

    select
        'More raw rows were rejected than the allowed {{ (var("max_quarantined_share") | float * 100) | round(2) }} %. '
        || {{ joined_text('finding', '; ', 'finding') }}
        || '. All rows and reasons are in intermediate.int_rows_rejected of the build file of the week; correct the '
        || 'files or raise RECS_MAX_QUARANTINED_SHARE.' as sentence
    from findings

)

select sentence
from message
where {{ fail_with('sentence') }} is not null
