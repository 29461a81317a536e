-- Lines of orders that count as purchases, of customers that may still be remembered.
with orders as (

    select * from {{ ref('stg_orders') }}

),

lines as (

    select * from {{ ref('stg_order_items') }}

),

erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

),

purchases as (

    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at
    from orders
    left join erased on orders.customer_id = erased.customer_id
    where
        erased.customer_id is null
        and orders.status not in (
            {%- for status in var('not_a_purchase') %}'{{ status }}'{{ ', ' if not loop.last }}{% endfor -%}
        )

),

final as (

    select
        lines.order_id,
        lines.line_id,
        purchases.customer_id,
        lines.product_id,
        purchases.ordered_at,
        lines.quantity,
        lines.amount,
        lines.discount
    from lines
    inner join purchases on lines.order_id = purchases.order_id

)

select * from final
