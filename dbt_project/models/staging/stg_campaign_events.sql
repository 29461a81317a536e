with accepted as (

    select *
    from {{ ref('base_campaign_events') }}
    where reject_reason is null and {{ is_known('occurred_at') }}

),

final as (

    select
        event_id,
        campaign,
        customer_id,
        product_id,
        event_type,
        occurred_at,
        arm
    from accepted

)

select * from final
