with events as (

    select * from {{ ref('int_campaign_events_attributed') }}

),

customers as (

    select * from {{ ref('recs_customers') }}

),

final as (

    -- People who are gone leave their events, too. Where a browser is shared, what is done without signing in
    -- is nobody's.
    select
        events.event_id,
        events.campaign,
        case when events.known_until is null then events.customer_id end as customer_id,
        events.visitor_id,
        events.product_id,
        events.event_type,
        events.occurred_at,
        events.arm,
        events.experiment,
        events.placement,
        events.position,
        events.session_id,
        events.recommendation_id
    from events
    left join customers on events.customer_id = customers.customer_id
    where events.customer_id is null or customers.customer_id is not null

)

select * from final
order by occurred_at, event_id
