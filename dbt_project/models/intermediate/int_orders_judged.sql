-- What the state of an order counts as: lists of the project, and the shop's own words before them.
-- Orders of erased customers are gone here already.
with erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

),

orders as (

    {{ by_person(ref('base_orders')) }}
    where profiles.reject_reason is null and {{ is_known('profiles.ordered_at') }}

),

final as (

    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        orders.status,
        orders.currency,
        orders.counts_as,
        orders.undone_at
    from orders
    left join erased on orders.customer_id = erased.customer_id
    where erased.customer_id is null

)

select * from final
order by order_id
