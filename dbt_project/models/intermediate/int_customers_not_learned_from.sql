-- Whose rows teach no model anything: who objected, and who is no person but a till or a reseller
-- that is booked as one customer.
with objected as (

    select
        customer_id,
        consent_state as reason
    from {{ ref('int_consents_resolved') }}
    where consent_state = 'objected'

),

many_orders as (

    select
        customer_id,
        'too_many_orders' as reason
    from {{ ref('stg_orders') }}
    group by customer_id
    having count(*) > {{ var('max_customer_orders') }}

),

final as (

    select
        coalesce(objected.customer_id, many_orders.customer_id) as customer_id,
        coalesce(objected.reason, many_orders.reason) as reason
    from objected
    full outer join many_orders on objected.customer_id = many_orders.customer_id

)

select * from final
order by customer_id
