with anchors as (
    {{ anchors() }}

),

customers as (

    -- Objected customers are not trained on; later ones are not known yet.
    select
        anchors.as_of,
        customers.customer_id
    from {{ ref('customers') }} as customers
    inner join anchors on customers.joined_at is null or customers.joined_at < anchors.as_of
    where customers.consent_state <> 'objected'

),

purchases as (

    select * from {{ ref('int_interactions_anchored') }} where event_type = 'purchase'

),

orders as (

    select
        as_of,
        customer_id,
        order_id,
        occurred_at,
        occurred_on,
        count(*) as product_count
    from purchases
    group by as_of, customer_id, order_id, occurred_at, occurred_on

),

by_customer as (

    select
        as_of,
        customer_id,
        count(*) as order_count,
        sum(product_count) as line_count,
        min(occurred_at) as first_order_at,
        max(occurred_at) as last_order_at,
        count(distinct occurred_on) as order_days
    from orders
    group by as_of, customer_id

),

products as (

    select
        as_of,
        customer_id,
        count(distinct product_id) as product_count
    from purchases
    group by as_of, customer_id

),

paid as (

    select
        anchors.as_of,
        lines.customer_id,
        lines.amount
    from {{ ref('order_lines') }} as lines
    inner join anchors on lines.ordered_at < anchors.as_of
    union all
    select
        anchors.as_of,
        returns.customer_id,
        -returns.amount as amount
    from {{ ref('int_returns_allocated_to_lines') }} as returns
    inner join anchors on returns.returned_at < anchors.as_of

),

spend as (

    select
        as_of,
        customer_id,
        {{ exact_sum('amount', 6) }} as spend
    from paid
    group by as_of, customer_id

),

final as (

    select
        customers.as_of,
        customers.customer_id,
        coalesce(by_customer.order_count, 0) as order_count,
        cast(coalesce(by_customer.line_count, 0) as bigint) as line_count,
        coalesce(products.product_count, 0) as product_count,
        by_customer.first_order_at,
        by_customer.last_order_at,
        {{ days_between('by_customer.last_order_at', 'customers.as_of') }} as days_since_last_order,
        coalesce(spend.spend, 0) as spend,
        round(cast(by_customer.line_count as double) / by_customer.order_count, 6) as mean_basket_products,
        round(
            cast({{ days_between('by_customer.first_order_at', 'by_customer.last_order_at') }} as double)
            / nullif(by_customer.order_days - 1, 0),
            6
        ) as mean_days_between_orders,
        case
            when coalesce(by_customer.order_count, 0) = 0 then '0'
            when by_customer.order_count <= 2 then '1-2'
            when by_customer.order_count <= 9 then '3-9'
            else '10+'
        end as history_depth
    from customers
    left join by_customer
        on customers.as_of = by_customer.as_of and customers.customer_id = by_customer.customer_id
    left join products
        on customers.as_of = products.as_of and customers.customer_id = products.customer_id
    left join spend
        on customers.as_of = spend.as_of and customers.customer_id = spend.customer_id

)

select * from final
order by as_of, customer_id
