with accepted as (

    {{ by_person(ref('base_campaign_events')) }}
    where profiles.reject_reason is null and {{ is_known('profiles.occurred_at') }}

),

final as (

    select
        event_id,
        campaign,
        customer_id,
        product_id,
        event_type,
        occurred_at,
        arm,
        recommendation_id,
        session_id,
        visitor_id,
        placement,
        position,
        experiment
    from accepted

)

select * from final
