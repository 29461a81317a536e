-- What the state of an order counts as: lists of the project, and the shop's own words before them.
-- Orders of erased customers are gone here already.
with erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

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
    from {{ ref('base_orders') }} as orders
    left join erased on orders.customer_id = erased.customer_id
    where orders.reject_reason is null and {{ is_known('orders.ordered_at') }} and erased.customer_id is null

)

select * from final
order by order_id
