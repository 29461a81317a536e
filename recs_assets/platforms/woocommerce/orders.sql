-- Times are in UTC. Who was signed in has the number of their account; a guest is the account with their address, else
-- the hash of it. A refunded order was a purchase until its refund.
with by_address as (
    select lower(trim(user_email)) as address, min("ID") as user_id from files.users
    where user_email <> '' group by 1
),

refunds as (
    select parent_order_id as order_id, max(date_created_gmt) as refunded_at from files.wc_orders
    where type = 'shop_order_refund' group by 1
),

placed as (
    select
        orders.id as order_id,
        coalesce(
            nullif(orders.customer_id, '0'), by_address.user_id, md5(nullif(lower(trim(orders.billing_email)), ''))
        ) as customer_id,
        timezone('UTC', orders.date_created_gmt) as ordered_at,
        orders.status,
        orders.currency,
        timezone('UTC', refunds.refunded_at) as refunded_at
    from files.wc_orders as orders
    left join by_address on lower(trim(orders.billing_email)) = by_address.address
    left join refunds on orders.id = refunds.order_id
    -- What nobody has sent off is no order yet, and has no date.
    where orders.type = 'shop_order' and orders.status not in ('auto-draft', 'wc-checkout-draft', 'trash')
)

select
    order_id,
    customer_id,
    ordered_at,
    'wc-completed' as status,
    currency,
    ordered_at as updated_at
from placed
where status = 'wc-refunded' and refunded_at > ordered_at
union all
select
    order_id,
    customer_id,
    ordered_at,
    status,
    currency,
    case when status = 'wc-refunded' then coalesce(refunded_at, ordered_at) else ordered_at end as updated_at
from placed
order by order_id, updated_at
