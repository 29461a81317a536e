-- Rows between as_of and landing are not judged: they belong to a later week, and an old week
-- must not fail over them. Rows dated after landing are errors in every week, so they count.
with judged as (
    {% for table in raw_tables() + declared_tables() %}
    select
        '{{ table.name }}' as source_table,
        reject_reason as reason,
        count(*) as row_count
    from {{ ref('base_' ~ table.name) }}
    {%- if table.event_at %}
    where
        {{ table.event_at }} is null
        or {{ is_known(table.event_at) }}
        or {{ table.event_at }} > {{ newest_plausible() }}
    {%- endif %}
    group by reject_reason
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

tables as (
    {% for table in raw_tables() + declared_tables() %}
    select '{{ table.name }}' as source_table
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

totals as (

    select
        tables.source_table,
        'any' as reason,
        coalesce(sum(judged.row_count), 0) as row_count,
        -- Withdrawals that match nobody have a limit of their own (assert_withdrawals_matched). Events that
        -- mail services send beside those that count (processed, deferred), a subscription of somebody who
        -- left and earlier states of an order are no fault of the file: they are reported by name, and no
        -- share of them stops a week.
        coalesce(sum(case
            when judged.reason in ('unmatched_withdrawal', 'superseded') then 0
            when tables.source_table = 'campaign_events' and judged.reason = 'unknown_event_type' then 0
            when tables.source_table = 'consents' and judged.reason = 'orphan_customer' then 0
            when judged.reason is not null then judged.row_count
        end), 0) as rejected
    from tables
    left join judged on tables.source_table = judged.source_table
    group by tables.source_table

),

by_reason as (

    select
        judged.source_table,
        judged.reason,
        totals.row_count,
        judged.row_count as rejected
    from judged
    inner join totals on judged.source_table = totals.source_table
    where judged.reason is not null

),

counted as (

    select * from totals
    union all
    select * from by_reason

),

final as (

    select
        source_table,
        reason,
        cast(row_count as bigint) as rows,
        cast(rejected as bigint) as rejected,
        case when row_count > 0 then cast(rejected as double) / row_count else 0 end as share
    from counted

)

select * from final
order by source_table, case when reason = 'any' then 0 else 1 end, reason
