-- Lines of orders that count as purchases, of customers that may still be remembered.
with orders as (

    select * from {{ ref('int_orders_judged') }}

),

lines as (

    select * from {{ ref('stg_order_items') }}

),

erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

),

not_learned_from as (

    select customer_id from {{ ref('int_customers_not_learned_from') }}

),

bulk_orders as (

    -- Nobody's shopping: a school's, a reseller's, a stocktaking.
    select order_id
    from lines
    group by order_id
    having count(*) > {{ var('wholesale').order_lines }}

),

purchases as (

    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        coalesce(orders.currency, shop.currency) as currency,
        {{ exchange_rate('orders.currency', 'shop', 'rates') }} as rate
    from orders
    cross join {{ ref('int_shop_currency') }} as shop
    left join {{ ref('int_exchange_rates') }} as rates
        on
            orders.currency = rates.currency
            and orders.ordered_at >= rates.valid_from
            and orders.ordered_at < rates.valid_until
    left join erased on orders.customer_id = erased.customer_id
    where
        erased.customer_id is null
        -- One that was undone counts until then (int_returns_allocated_to_lines).
        and (orders.counts_as = 'purchase' or orders.undone_at is not null)

),

final as (

    select
        lines.order_id,
        lines.line_id,
        purchases.customer_id,
        lines.product_id,
        purchases.ordered_at,
        lines.quantity,
        {{ convert_amount('lines.amount', 'purchases.rate') }} as amount,
        {{ convert_amount('lines.discount', 'purchases.rate') }} as discount,
        purchases.currency,
        lines.amount as order_amount,
        bulk_orders.order_id is null and not_learned_from.customer_id is null as learned_from
    from lines
    inner join purchases on lines.order_id = purchases.order_id
    left join bulk_orders on lines.order_id = bulk_orders.order_id
    left join not_learned_from on purchases.customer_id = not_learned_from.customer_id

)

select * from final
