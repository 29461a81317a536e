with rejected as (

    select * from {{ ref('int_rows_rejected') }}

),

final as (

    select *
    from rejected
    where event_at is null or {{ is_known('event_at') }}

)

select * from final
order by source_table, row_key, reason, event_at, row_json
