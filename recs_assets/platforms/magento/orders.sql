-- A guest is the customer with their address, else the hash of it. A closed order is one that was
-- refunded as a whole: it was a purchase until then.
with by_address as (
    select lower(trim(email)) as address, min(entity_id) as customer_id from files.customer_entity
    where email <> '' group by 1
),

refunds as (
    select order_id, max(created_at) as refunded_at from files.sales_creditmemo group by order_id
),

placed as (
    select
        orders.entity_id as order_id,
        coalesce(
            orders.customer_id, by_address.customer_id, md5(nullif(lower(trim(orders.customer_email)), ''))
        ) as customer_id,
        orders.created_at as ordered_at,
        orders.state,
        orders.order_currency_code as currency,
        refunds.refunded_at as refunded_at
    from files.sales_order as orders
    left join by_address on lower(trim(orders.customer_email)) = by_address.address
    left join refunds on orders.entity_id = refunds.order_id
)

select
    order_id,
    customer_id,
    ordered_at,
    'complete' as status,
    currency,
    ordered_at as updated_at
from placed
where state = 'closed' and refunded_at > ordered_at
union all
select
    order_id,
    customer_id,
    ordered_at,
    state as status,
    currency,
    case when state = 'closed' then coalesce(refunded_at, ordered_at) else ordered_at end as updated_at
from placed
order by order_id, updated_at
