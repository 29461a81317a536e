with brands as (

    select
        product_id,
        brand
    from {{ ref('stg_products') }}
    where brand is not null

),

bought as (

    select
        pairs.as_of,
        pairs.customer_id,
        brands.brand,
        cast(sum(pairs.purchases) as bigint) as purchases,
        {{ exact_sum('pairs.decayed_purchases', digits=18) }} as decayed_purchases,
        count(*) as distinct_products,
        min(pairs.days_since_last) as days_since_last
    from {{ ref('int_purchase_pairs_anchored') }} as pairs
    inner join brands on pairs.product_id = brands.product_id
    group by pairs.as_of, pairs.customer_id, brands.brand

),

totals as (

    select
        as_of,
        customer_id,
        sum(purchases) as purchases,
        {{ exact_sum('decayed_purchases') }} as decayed_purchases
    from bought
    group by as_of, customer_id

),

final as (

    select
        bought.as_of,
        bought.customer_id,
        bought.brand,
        bought.purchases,
        bought.decayed_purchases,
        {{ ratio('bought.purchases', 'totals.purchases') }} as share,
        {{ ratio('bought.decayed_purchases', 'totals.decayed_purchases') }} as decayed_share,
        bought.distinct_products,
        bought.days_since_last
    from bought
    inner join totals on bought.as_of = totals.as_of and bought.customer_id = totals.customer_id

)

select * from final
order by as_of, customer_id, brand
