-- What somebody did who was not signed in is nobody's history, so it stands in no table after this.
with accepted as (

    select *
    from {{ ref('base_browsing_events') }}
    where reject_reason is null and customer_id is not null and {{ is_known('occurred_at') }}

),

final as (

    select
        event_id,
        customer_id,
        product_id,
        event_type,
        occurred_at,
        duration_seconds,
        {{ without_emails('referrer') }} as referrer,
        device
    from accepted

)

select * from final
