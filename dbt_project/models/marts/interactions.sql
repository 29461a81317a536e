with customers as (

    -- Without the erased.
    select customer_id from {{ ref('customers') }} where learned_from

),

not_products as (

    select product_id from {{ ref('products') }} where not is_product

),

purchases as (

    -- One row per order and product: two lines of one product are one decision to buy it.
    select
        customer_id,
        product_id,
        order_id,
        'purchase' as event_type,
        ordered_at as occurred_at,
        ordered_at as known_from,
        {{ exact_sum('quantity', 6) }} as quantity,
        cast({{ var('weight_purchase') }} as double) as weight,
        case when count(fully_returned_at) = count(*) then max(fully_returned_at) end as voided_at,
        -- Two lines at two prices: the higher one, as for the price of the product.
        {{ round_to('max((amount + discount) / quantity)', 6) }} as list_price,
        cast(null as double) as rating,
        cast(null as double) as duration_seconds
    from {{ ref('order_lines') }}
    where learned_from
    group by customer_id, product_id, order_id, ordered_at

),

reviews as (

    select
        customer_id,
        product_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        'review' as event_type,
        reviewed_at as occurred_at,
        reviewed_at as known_from,
        cast(1 as double) as quantity,
        cast({{ var('weight_review_step') }} as double) * (rating - 3) as weight,
        cast(null as timestamp) as voided_at,
        cast(null as double) as list_price,
        rating,
        cast(null as double) as duration_seconds
    from {{ ref('stg_reviews') }}

),

browsing as (

    select
        customer_id,
        product_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        event_type,
        occurred_at,
        known_from,
        cast(1 as double) as quantity,
        cast(
            case event_type
                when 'view' then {{ var('weight_view') }}
                when 'add_to_cart' then {{ var('weight_add_to_cart') }}
                when 'add_to_wishlist' then {{ var('weight_add_to_wishlist') }}
            end as double
        ) as weight,
        known_until as voided_at,
        cast(null as double) as list_price,
        cast(null as double) as rating,
        duration_seconds
    from {{ ref('int_browsing_events_attributed') }}
    where customer_id is not null

),

events as (

    select * from purchases
    union all
    select * from reviews
    union all
    select * from browsing

),

final as (

    select events.*
    from events
    left join customers on events.customer_id = customers.customer_id
    left join not_products on events.product_id = not_products.product_id
    where
        not_products.product_id is null
        -- What a guest bought belongs to products and baskets, and to nobody's history.
        and (customers.customer_id is not null or events.customer_id is null)

)

select * from final
order by customer_id, occurred_at, product_id, event_type, order_id, weight
