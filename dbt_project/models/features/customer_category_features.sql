with anchors as (
    {{ anchors() }}

),

categories as (

    select
        product_id,
        category
    from {{ ref('stg_products') }}
    where category is not null

),

bought as (

    select
        pairs.as_of,
        pairs.customer_id,
        categories.category,
        cast(sum(pairs.purchases) as bigint) as purchases,
        cast(sum(pairs.purchases_28d) as bigint) as purchases_28d,
        cast(sum(pairs.purchases_91d) as bigint) as purchases_91d,
        {{ exact_sum('pairs.decayed_purchases', digits=18) }} as decayed_purchases,
        count(*) as distinct_products,
        min(pairs.days_since_last) as days_since_last,
        max(pairs.days_since_first) as days_since_first
    from {{ ref('int_purchase_pairs_anchored') }} as pairs
    inner join categories on pairs.product_id = categories.product_id
    group by pairs.as_of, pairs.customer_id, categories.category

),

days as (

    -- A day counts until the last of its purchases came back.
    select
        interactions.customer_id,
        categories.category,
        cast(interactions.occurred_at as date) as bought_on,
        max(coalesce(interactions.voided_at, cast('2200-01-01' as timestamp))) as voided_at
    from {{ ref('interactions') }} as interactions
    inner join categories on interactions.product_id = categories.product_id
    where interactions.event_type = 'purchase'
    group by interactions.customer_id, categories.category, cast(interactions.occurred_at as date)

),

counted as (

    select
        anchors.as_of,
        days.customer_id,
        days.category,
        count(*) as order_days
    from days
    inner join anchors on days.bought_on < anchors.as_of and days.voided_at >= anchors.as_of
    group by anchors.as_of, days.customer_id, days.category

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
        bought.category,
        bought.purchases,
        bought.purchases_28d,
        bought.purchases_91d,
        bought.decayed_purchases,
        {{ ratio('bought.purchases', 'totals.purchases') }} as share,
        {{ ratio('bought.decayed_purchases', 'totals.decayed_purchases') }} as decayed_share,
        counted.order_days,
        bought.distinct_products,
        bought.days_since_last,
        {{ ratio('bought.days_since_first - bought.days_since_last', 'counted.order_days - 1') }} as mean_gap_days,
        {{ ratio(
            'bought.days_since_last * (counted.order_days - 1)',
            '(bought.days_since_first - bought.days_since_last)'
        ) }} as due_ratio
    from bought
    inner join totals on bought.as_of = totals.as_of and bought.customer_id = totals.customer_id
    inner join counted
        on
            bought.as_of = counted.as_of
            and bought.customer_id = counted.customer_id
            and bought.category = counted.category

)

select * from final
order by as_of, customer_id, category
