with purchases as (

    select * from {{ ref('int_purchase_pairs_anchored') }} where customer_id is not null

),

browsing as (

    select * from {{ ref('int_browsing_pairs_anchored') }}

),

recommended as (

    -- A click alone is no event here: with a row of its own, what is not known of the pair would read as none.
    select * from {{ ref('int_recommendation_pairs_anchored') }} where shown_28d > 0

),

customers as (

    select
        as_of,
        customer_id,
        order_count
    from {{ ref('customer_features') }}

),

products as (

    select
        as_of,
        product_id,
        price,
        repurchase_gap_days
    from {{ ref('product_features') }}

),

returned as (

    select
        anchors.as_of,
        returns.customer_id,
        returns.product_id,
        {{ exact_sum('returns.quantity', 6) }} as quantity
    from {{ ref('int_returns_allocated_to_lines') }} as returns
    inner join (
        {{ anchors() }}
    ) as anchors on returns.returned_at < anchors.as_of
    where returns.learned_from
    group by anchors.as_of, returns.customer_id, returns.product_id

),

pairs as (

    select
        coalesce(purchases.as_of, browsing.as_of, recommended.as_of) as as_of,
        coalesce(purchases.customer_id, browsing.customer_id, recommended.customer_id) as customer_id,
        coalesce(purchases.product_id, browsing.product_id, recommended.product_id) as product_id,
        purchases.purchases,
        purchases.order_days,
        purchases.units,
        purchases.first_bought_at,
        purchases.last_bought_at,
        purchases.days_since_first,
        purchases.days_since_last,
        purchases.gap_days,
        purchases.gap_squares,
        purchases.order_days_28d,
        purchases.order_days_91d,
        purchases.baskets_last_10,
        purchases.newest_basket,
        purchases.decayed_days,
        purchases.decayed_days_14,
        purchases.decayed_days_30,
        purchases.decayed_days_365,
        purchases.last_list_price,
        browsing.views_7d,
        browsing.views_28d,
        browsing.views,
        browsing.carts_7d,
        browsing.carts_28d,
        browsing.wishlists_7d,
        browsing.wishlists_28d,
        browsing.last_carted_at,
        browsing.days_since_browsed,
        browsing.dwell_seconds_28d,
        browsing.rating_count,
        browsing.rating_sum,
        -- Null where it was not shown: nobody was asked.
        recommended.shown_not_clicked_28d,
        -- Every purchase weighs the same (marts.interactions).
        {{ round_to(
            "coalesce(purchases.decayed_purchases * " ~ var('weight_purchase') ~ ", 0) + coalesce(browsing.signal, 0)", 9
        ) }} as signal
    from purchases
    full outer join browsing
        on
            purchases.as_of = browsing.as_of
            and purchases.customer_id = browsing.customer_id
            and purchases.product_id = browsing.product_id
    full outer join recommended
        on
            coalesce(purchases.as_of, browsing.as_of) = recommended.as_of
            and coalesce(purchases.customer_id, browsing.customer_id) = recommended.customer_id
            and coalesce(purchases.product_id, browsing.product_id) = recommended.product_id

),

spaced as (

    select
        pairs.*,
        customers.order_count,
        products.price,
        returned.quantity as units_returned,
        -- The product's usual gap counts as one gap of the customer's own.
        (coalesce(pairs.gap_days, 0) + products.repurchase_gap_days) / pairs.order_days as expected_gap_days
    from pairs
    left join customers on pairs.as_of = customers.as_of and pairs.customer_id = customers.customer_id
    left join products on pairs.as_of = products.as_of and pairs.product_id = products.product_id
    left join returned
        on
            pairs.as_of = returned.as_of
            and pairs.customer_id = returned.customer_id
            and pairs.product_id = returned.product_id

),

final as (

    select
        as_of,
        customer_id,
        product_id,
        coalesce(order_days, 0) as order_days,
        coalesce(units, 0) as units,
        first_bought_at,
        last_bought_at,
        coalesce(decayed_days, 0) as decayed_frequency,
        {{ ratio('gap_days', 'order_days - 1') }} as mean_gap_days,
        days_since_last,
        {{ ratio('days_since_last * (order_days - 1)', 'gap_days') }} as due_ratio,
        signal,
        cast(coalesce(purchases, 0) as integer) as purchases,
        cast(coalesce(order_days_28d, 0) as integer) as order_days_28d,
        cast(coalesce(order_days_91d, 0) as integer) as order_days_91d,
        cast(coalesce(decayed_days_14, 0) as float) as decayed_frequency_14,
        cast(coalesce(decayed_days_30, 0) as float) as decayed_frequency_30,
        cast(coalesce(decayed_days_365, 0) as float) as decayed_frequency_365,
        cast({{ ratio('coalesce(purchases, 0)', 'order_count') }} as float) as basket_share,
        cast({{ ratio('coalesce(baskets_last_10, 0)', 'least(order_count, 10)') }} as float) as basket_share_last_10,
        cast(newest_basket - 1 as integer) as baskets_since_last,
        cast(days_since_first as integer) as days_since_first,
        cast({{ deviation('(order_days - 1)', 'gap_days', 'gap_squares') }} as float) as std_gap_days,
        cast({{ round_to('expected_gap_days', 6) }} as float) as expected_gap_days,
        cast({{ round_to('days_since_last / expected_gap_days', 6) }} as float) as expected_due_ratio,
        cast({{ ratio('units', 'purchases') }} as float) as units_per_purchase,
        cast({{ round_to('last_list_price', 6) }} as float) as last_price,
        cast({{ ratio('price', 'last_list_price') }} as float) as price_ratio,
        cast(coalesce(units_returned, 0) as float) as units_returned,
        cast({{ ratio('rating_sum', 'rating_count') }} as float) as mean_rating,
        cast(coalesce(views_7d, 0) as integer) as views_7d,
        cast(coalesce(views_28d, 0) as integer) as views_28d,
        cast(coalesce(views, 0) as integer) as views,
        cast(coalesce(carts_7d, 0) as integer) as carts_7d,
        cast(coalesce(carts_28d, 0) as integer) as carts_28d,
        cast(coalesce(wishlists_7d, 0) as integer) as wishlists_7d,
        cast(coalesce(wishlists_28d, 0) as integer) as wishlists_28d,
        cast(coalesce(dwell_seconds_28d, 0) as float) as dwell_seconds_28d,
        cast(days_since_browsed as integer) as days_since_browsed,
        cast(shown_not_clicked_28d as integer) as shown_not_clicked_28d,
        coalesce(carts_28d, 0) > 0 and (last_bought_at is null or last_carted_at > last_bought_at) as in_cart
    from spaced

)

select * from final
order by as_of, customer_id, product_id
