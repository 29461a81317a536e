with anchors as (
    {{ anchors() }}

),

products as (

    select
        anchors.as_of,
        products.product_id,
        products.price as catalogue_price,
        (products.start_at is null or products.start_at <= anchors.as_of)
        and (products.end_at is null or products.end_at > anchors.as_of) as is_on_sale
    from {{ ref('stg_products') }} as products
    cross join anchors

),

purchases as (

    select * from {{ ref('int_interactions_anchored') }} where event_type = 'purchase'

),

buyers as (

    select
        as_of,
        product_id,
        customer_id,
        count(*) as purchases,
        count(distinct occurred_on) as order_days,
        count(case when age_days <= 7 then 1 end) as purchases_7d,
        count(case when age_days <= 28 then 1 end) as purchases_28d,
        count(case when age_days <= 91 then 1 end) as purchases_91d,
        {{ exact_sum(decay('age_days')) }} as decayed_purchases,
        min(occurred_at) as first_sold_at,
        max(occurred_at) as last_sold_at
    from purchases
    group by as_of, product_id, customer_id

),

sold as (

    select
        as_of,
        product_id,
        count(*) as buyers,
        sum(purchases) as purchases,
        sum(purchases_7d) as purchases_7d,
        sum(purchases_28d) as purchases_28d,
        sum(purchases_91d) as purchases_91d,
        {{ exact_sum('decayed_purchases') }} as decayed_purchases,
        round(cast(count(case when order_days >= 2 then 1 end) as double) / count(*), 6) as repeat_buyer_share,
        min(first_sold_at) as first_sold_at,
        max(last_sold_at) as last_sold_at
    from buyers
    group by as_of, product_id

),

priced as (

    -- Prices of purchases that were returned later count: they were the prices of their day.
    select
        anchors.as_of,
        lines.product_id,
        lines.ordered_at,
        (lines.amount + lines.discount) / lines.quantity as list_price
    from {{ ref('order_lines') }} as lines
    inner join anchors on lines.ordered_at < anchors.as_of

),

last_priced as (

    select
        as_of,
        product_id,
        max(ordered_at) as ordered_at
    from priced
    group by as_of, product_id

),

last_price as (

    select
        priced.as_of,
        priced.product_id,
        max(priced.list_price) as price
    from priced
    inner join last_priced
        on
            priced.as_of = last_priced.as_of
            and priced.product_id = last_priced.product_id
            and priced.ordered_at = last_priced.ordered_at
    group by priced.as_of, priced.product_id

),

counts as (

    select
        anchors.as_of,
        inventory.product_id,
        inventory.stock,
        row_number() over (
            partition by anchors.as_of, inventory.product_id
            order by inventory.counted_at desc
        ) as newest_first
    from {{ ref('stg_inventory') }} as inventory
    inner join anchors on inventory.counted_at < anchors.as_of

),

final as (

    select
        products.as_of,
        products.product_id,
        coalesce(sold.buyers, 0) as buyers,
        cast(coalesce(sold.purchases, 0) as bigint) as purchases,
        cast(coalesce(sold.purchases_7d, 0) as bigint) as purchases_7d,
        cast(coalesce(sold.purchases_28d, 0) as bigint) as purchases_28d,
        cast(coalesce(sold.purchases_91d, 0) as bigint) as purchases_91d,
        coalesce(sold.decayed_purchases, 0) as decayed_purchases,
        sold.repeat_buyer_share,
        sold.first_sold_at,
        sold.last_sold_at,
        coalesce(products.catalogue_price, round(last_price.price, 2)) as price,
        counts.stock,
        products.is_on_sale and (counts.stock is null or counts.stock >= 1) as available
    from products
    left join sold
        on products.as_of = sold.as_of and products.product_id = sold.product_id
    left join last_price
        on products.as_of = last_price.as_of and products.product_id = last_price.product_id
    left join counts
        on
            products.as_of = counts.as_of
            and products.product_id = counts.product_id
            and counts.newest_first = 1

)

select * from final
order by as_of, product_id
