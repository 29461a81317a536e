-- Whose a visitor is: the first customer who signed in there, known from that moment on. Once a second one
-- signs in, the browser is shared, and what is done there without signing in is nobody's again. Of the erased
-- only the visitor is left, so that what they did unknown is not taken for a stranger's.
with events as (

    select
        visitor_id,
        customer_id,
        occurred_at
    from {{ ref('stg_browsing_events') }}
    union all
    select
        visitor_id,
        customer_id,
        occurred_at
    from {{ ref('stg_campaign_events') }}

),

customers as (

    select
        visitor_id,
        customer_id,
        min(occurred_at) as signed_in_at
    from events
    where visitor_id is not null and customer_id is not null
    group by visitor_id, customer_id

),

placed as (

    select
        *,
        row_number() over (partition by visitor_id order by signed_in_at, customer_id) as place
    from customers

),

erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

),

final as (

    select
        placed.visitor_id,
        max(case when placed.place = 1 and erased.customer_id is null then placed.customer_id end)
            as customer_id,
        max(case when placed.place = 1 then placed.signed_in_at end) as identified_at,
        max(case when placed.place = 2 then placed.signed_in_at end) as shared_at
    from placed
    left join erased on placed.customer_id = erased.customer_id
    group by placed.visitor_id

)

select * from final
order by visitor_id
