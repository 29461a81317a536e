with events as (

    select * from {{ ref('stg_campaign_events') }}

),

customers as (

    select * from {{ ref('recs_customers') }}

),

final as (

    -- People who are gone leave their events, too.
    select
        events.event_id,
        events.campaign,
        events.customer_id,
        events.product_id,
        events.event_type,
        events.occurred_at,
        events.arm
    from events
    inner join customers on events.customer_id = customers.customer_id

)

select * from final
order by occurred_at, event_id
