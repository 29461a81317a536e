with products as (

    select
        features.as_of,
        products.category,
        count(*) as products,
        {{ count_where('features.purchases_91d > 0') }} as products_sold_91d,
        cast(sum(features.purchases) as bigint) as purchases,
        cast(sum(features.purchases_7d) as bigint) as purchases_7d,
        cast(sum(features.purchases_28d) as bigint) as purchases_28d,
        cast(sum(features.purchases_91d) as bigint) as purchases_91d,
        cast(sum(features.purchases_28d_before) as bigint) as purchases_28d_before,
        cast(sum(features.purchases_year_before) as bigint) as purchases_year_before,
        {{ ratio(exact_sum('features.price', 6), 'count(features.price)') }} as mean_price
    from {{ ref('product_features') }} as features
    inner join {{ ref('stg_products') }} as products on features.product_id = products.product_id
    where products.category is not null
    group by features.as_of, products.category

),

buyers as (

    select
        as_of,
        category,
        count(*) as buyers,
        {{ count_where('order_days >= 2') }} as repeat_buyers,
        {{ count_where('purchases_28d > 0') }} as buyers_28d,
        cast(sum(order_days - 1) as bigint) as gaps,
        {{ exact_sum('mean_gap_days * (order_days - 1)', 3) }} as gap_days,
        {{ ratio('sum(distinct_products)', 'count(*)') }} as products_per_buyer
    from {{ ref('customer_category_features') }}
    group by as_of, category

),

shops as (

    select
        as_of,
        sum(purchases_91d) as purchases_91d
    from products
    group by as_of

),

final as (

    select
        products.as_of,
        products.category,
        products.products,
        products.products_sold_91d,
        products.purchases,
        products.purchases_7d,
        products.purchases_28d,
        products.purchases_91d,
        products.purchases_28d_before,
        products.purchases_year_before,
        {{ ratio('products.purchases_28d + 1', 'products.purchases_28d_before + 1') }} as trend_28d_before,
        {{ ratio('products.purchases_91d', 'shops.purchases_91d') }} as share_91d,
        products.mean_price,
        coalesce(buyers.buyers, 0) as buyers,
        coalesce(buyers.buyers_28d, 0) as buyers_28d,
        {{ ratio('buyers.repeat_buyers', 'buyers.buyers') }} as repeat_buyer_share,
        {{ ratio('buyers.gap_days', 'buyers.gaps') }} as mean_gap_days,
        buyers.products_per_buyer
    from products
    inner join shops on products.as_of = shops.as_of
    left join buyers on products.as_of = buyers.as_of and products.category = buyers.category

)

select * from final
order by as_of, category
