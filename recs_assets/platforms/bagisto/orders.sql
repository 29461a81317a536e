-- A guest is the customer with their address, else the hash of it. A closed order is one that was refunded as a whole: it
-- was a purchase until then.
with by_address as (
    select lower(trim(email)) as address, min(id) as customer_id from files.customers
    where email <> '' group by 1
),

refunded as (
    select order_id, max(created_at) as refunded_at from files.refunds group by order_id
),

placed as (
    select
        orders.id as order_id,
        coalesce(
            orders.customer_id, by_address.customer_id, md5(nullif(lower(trim(orders.customer_email)), ''))
        ) as customer_id,
        orders.created_at as ordered_at,
        orders.status,
        orders.order_currency_code as currency,
        refunded.refunded_at
    from files.orders as orders
    left join by_address on lower(trim(orders.customer_email)) = by_address.address
    left join refunded on orders.id = refunded.order_id
)

select
    order_id,
    customer_id,
    ordered_at,
    'completed' as status,
    currency,
    ordered_at as updated_at
from placed
where status = 'closed' and refunded_at > ordered_at
union all
select
    order_id,
    customer_id,
    ordered_at,
    status,
    currency,
    case when status = 'closed' then coalesce(refunded_at, ordered_at) else ordered_at end as updated_at
from placed
order by order_id, updated_at
