with anchors as (
    {{ anchors() }}

),

products as (

    select
        anchors.as_of,
        products.product_id,
        products.category,
        products.start_at,
        priced.price,
        products.is_product,
        (products.start_at is null or products.start_at <= anchors.as_of)
        and (products.end_at is null or products.end_at > anchors.as_of) as is_on_sale
    from {{ ref('products') }} as products
    cross join anchors
    left join {{ ref('int_product_prices_anchored') }} as priced
        on anchors.as_of = priced.as_of and products.product_id = priced.product_id

),

pairs as (

    select * from {{ ref('int_purchase_pairs_anchored') }}

),

sold as (

    -- Guests buy, but who they are, and whether they come back, is not known: their purchases count,
    -- as one row without a customer, and they are no buyers.
    select
        as_of,
        product_id,
        count(customer_id) as buyers,
        {{ count_where('customer_id is not null and purchases_7d > 0') }} as buyers_7d,
        {{ count_where('customer_id is not null and purchases_28d > 0') }} as buyers_28d,
        {{ count_where('customer_id is not null and purchases_91d > 0') }} as buyers_91d,
        {{ count_where('customer_id is not null and days_since_first <= 28') }} as new_buyers_28d,
        {{ count_where('customer_id is not null and order_days >= 2') }} as repeat_buyers,
        cast(sum(purchases) as bigint) as purchases,
        cast(sum(purchases_7d) as bigint) as purchases_7d,
        cast(sum(purchases_28d) as bigint) as purchases_28d,
        cast(sum(purchases_91d) as bigint) as purchases_91d,
        cast(sum(purchases_28d_before) as bigint) as purchases_28d_before,
        cast(sum(purchases_year_before) as bigint) as purchases_year_before,
        {{ exact_sum('decayed_purchases') }} as decayed_purchases,
        {{ exact_sum('decayed_purchases_7', digits=18) }} as decayed_purchases_7,
        {{ exact_sum('decayed_purchases_28', digits=18) }} as decayed_purchases_28,
        {{ exact_sum('decayed_purchases_91', digits=18) }} as decayed_purchases_91,
        coalesce(cast(sum(case when customer_id is not null then gap_days end) as bigint), 0) as gap_days,
        coalesce(cast(sum(case when customer_id is not null then order_days - 1 end) as bigint), 0) as gaps,
        min(first_bought_at) as first_sold_at,
        max(last_bought_at) as last_sold_at
    from pairs
    group by as_of, product_id

),

opened as (

    -- Before the shop's first sale nothing is known, which is not the same as no sales.
    select
        as_of,
        min(first_sold_at) as first_sold_at
    from sold
    group by as_of

),

paid as (

    -- Prices of purchases that were returned later count: they were the prices of their day.
    select
        product_id,
        cast(ordered_at as date) as sold_on,
        {{ exact_sum('quantity', 6) }} as units,
        {{ exact_sum('case when amount is not null then quantity end', 6) }} as quantity,
        {{ exact_sum('amount', 6) }} as amount,
        {{ exact_sum('discount', 6) }} as discount
    from {{ ref('order_lines') }}
    where learned_from
    group by product_id, cast(ordered_at as date)

),

prices as (

    select
        anchors.as_of,
        paid.product_id,
        {{ exact_sum('paid.units', 6) }} as units,
        {%- for days in [28, 91] %}
        {%- for column in ['amount', 'discount', 'quantity'] %}
        {{ exact_sum("case when paid.sold_on >= " ~ days_before('anchors.as_of', days) ~ " then paid." ~ column ~ " end", 6) }}
            as {{ column }}_{{ days }}d{{ ',' if not (days == 91 and loop.last) }}
        {%- endfor %}
        {%- endfor %}
    from paid
    inner join anchors on paid.sold_on < anchors.as_of
    group by anchors.as_of, paid.product_id

),

returned as (

    select
        anchors.as_of,
        returns.product_id,
        {{ exact_sum('returns.quantity', 6) }} as quantity
    from {{ ref('int_returns_allocated_to_lines') }} as returns
    inner join anchors on returns.returned_at < anchors.as_of
    where returns.learned_from
    group by anchors.as_of, returns.product_id

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

browsed as (

    select
        as_of,
        product_id,
        cast(sum(views_7d) as bigint) as views_7d,
        cast(sum(views_28d) as bigint) as views_28d,
        cast(sum(carts_28d) as bigint) as carts_28d,
        cast(sum(wishlists_28d) as bigint) as wishlists_28d,
        cast(sum(rating_count) as bigint) as rating_count,
        {{ exact_sum('rating_sum', 6) }} as rating_sum
    from {{ ref('int_browsing_pairs_anchored') }}
    group by as_of, product_id

),

recommended as (

    -- By customer, so that nobody who sees a page ten times counts ten times.
    select
        as_of,
        product_id,
        {{ ratio(count_where('clicked_91d > 0'), 'count(*)') }} as click_share_91d
    from {{ ref('int_recommendation_pairs_anchored') }}
    where shown_91d > 0
    group by as_of, product_id

),

joined as (

    select
        products.as_of,
        products.product_id,
        products.category,
        products.start_at,
        products.is_on_sale,
        products.is_product,
        products.price,
        coalesce(sold.buyers, 0) as buyers,
        coalesce(sold.buyers_7d, 0) as buyers_7d,
        coalesce(sold.buyers_28d, 0) as buyers_28d,
        coalesce(sold.buyers_91d, 0) as buyers_91d,
        coalesce(sold.new_buyers_28d, 0) as new_buyers_28d,
        coalesce(sold.repeat_buyers, 0) as repeat_buyers,
        coalesce(sold.purchases, 0) as purchases,
        coalesce(sold.purchases_7d, 0) as purchases_7d,
        coalesce(sold.purchases_28d, 0) as purchases_28d,
        coalesce(sold.purchases_91d, 0) as purchases_91d,
        coalesce(sold.purchases_28d_before, 0) as purchases_28d_before,
        case
            when opened.first_sold_at < cast({{ days_before('products.as_of', 364) }} as timestamp)
                then coalesce(sold.purchases_year_before, 0)
        end as purchases_year_before,
        coalesce(sold.decayed_purchases, 0) as decayed_purchases,
        coalesce(sold.decayed_purchases_7, 0) as decayed_purchases_7,
        coalesce(sold.decayed_purchases_28, 0) as decayed_purchases_28,
        coalesce(sold.decayed_purchases_91, 0) as decayed_purchases_91,
        coalesce(sold.gap_days, 0) as gap_days,
        coalesce(sold.gaps, 0) as gaps,
        sold.first_sold_at,
        sold.last_sold_at,
        prices.units,
        {{ ratio('prices.amount_28d', 'prices.quantity_28d') }} as unit_price_28d,
        {{ ratio('prices.amount_91d', 'prices.quantity_91d') }} as unit_price_91d,
        {{ ratio('prices.amount_91d + prices.discount_91d', 'prices.quantity_91d') }} as list_price_91d,
        {{ ratio('prices.discount_28d', 'prices.amount_28d + prices.discount_28d') }} as discount_share_28d,
        {{ ratio('prices.discount_91d', 'prices.amount_91d + prices.discount_91d') }} as discount_share_91d,
        {{ ratio('coalesce(returned.quantity, 0)', 'prices.units') }} as return_rate,
        counts.stock,
        coalesce(browsed.views_7d, 0) as views_7d,
        coalesce(browsed.views_28d, 0) as views_28d,
        coalesce(browsed.carts_28d, 0) as carts_28d,
        coalesce(browsed.wishlists_28d, 0) as wishlists_28d,
        coalesce(browsed.rating_count, 0) as rating_count,
        browsed.rating_sum,
        recommended.click_share_91d
    from products
    left join opened on products.as_of = opened.as_of
    left join sold
        on products.as_of = sold.as_of and products.product_id = sold.product_id
    left join prices
        on products.as_of = prices.as_of and products.product_id = prices.product_id
    left join returned
        on products.as_of = returned.as_of and products.product_id = returned.product_id
    left join browsed
        on products.as_of = browsed.as_of and products.product_id = browsed.product_id
    left join recommended
        on products.as_of = recommended.as_of and products.product_id = recommended.product_id
    left join counts
        on
            products.as_of = counts.as_of
            and products.product_id = counts.product_id
            and counts.newest_first = 1

),

shops as (

    select
        as_of,
        {{ ratio('sum(repeat_buyers)', 'sum(buyers)') }} as repeat_buyer_share,
        {{ ratio('sum(gap_days)', 'sum(gaps)') }} as gap_days,
        {{ ratio(exact_sum('rating_sum', 6), 'sum(rating_count)') }} as rating
    from joined
    group by as_of

),

categories as (

    -- Products without a category form one of their own here.
    select
        as_of,
        category,
        cast(sum(purchases_91d) as bigint) as purchases_91d,
        {{ ratio('sum(repeat_buyers)', 'sum(buyers)') }} as repeat_buyer_share,
        {{ ratio('sum(gap_days)', 'sum(gaps)') }} as gap_days,
        {{ ratio(exact_sum('price', 6), 'count(price)') }} as price
    from joined
    group by as_of, category

),

final as (

    select
        joined.as_of,
        joined.product_id,
        joined.buyers,
        joined.purchases,
        joined.purchases_7d,
        joined.purchases_28d,
        joined.purchases_91d,
        joined.decayed_purchases,
        {{ ratio('joined.repeat_buyers', 'joined.buyers') }} as repeat_buyer_share,
        joined.first_sold_at,
        joined.last_sold_at,
        joined.price,
        joined.stock,
        joined.is_product and joined.is_on_sale and (joined.stock is null or joined.stock >= 1) as available,
        joined.buyers_7d,
        joined.buyers_28d,
        joined.buyers_91d,
        {{ ratio('joined.new_buyers_28d', 'joined.buyers_28d') }} as new_buyer_share_28d,
        joined.purchases_28d_before,
        joined.purchases_year_before,
        joined.decayed_purchases_7,
        joined.decayed_purchases_28,
        joined.decayed_purchases_91,
        -- One purchase on either side, so that rare products do not jump between 0 and infinity.
        {{ ratio('joined.purchases_7d + 1', 'joined.purchases_28d / 4e0 + 1') }} as trend_7d,
        {{ ratio('joined.purchases_28d + 1', 'joined.purchases_91d * 28 / 91e0 + 1') }} as trend_28d,
        {{ ratio('joined.purchases_28d + 1', 'joined.purchases_28d_before + 1') }} as trend_28d_before,
        {{ round_to(
            '(joined.repeat_buyers + 10 * coalesce(categories.repeat_buyer_share, shops.repeat_buyer_share))'
            ~ ' / (joined.buyers + 10)', 6
        ) }} as repeat_rate,
        {{ ratio('joined.gap_days', 'joined.gaps') }} as mean_gap_days,
        {{ round_to(
            '(joined.gap_days + 5 * coalesce(categories.gap_days, shops.gap_days)) / (joined.gaps + 5)', 6
        ) }} as repurchase_gap_days,
        {{ days_between('joined.first_sold_at', 'joined.as_of') }} as days_since_first_sale,
        {{ days_between('joined.last_sold_at', 'joined.as_of') }} as days_since_last_sale,
        {{ days_between('joined.start_at', 'joined.as_of') }} as days_on_sale,
        coalesce(
            greatest(
                {{ days_between('coalesce(joined.start_at, joined.first_sold_at)', 'joined.as_of') }},
                {{ days_between('coalesce(joined.first_sold_at, joined.start_at)', 'joined.as_of') }}
            ) <= 28,
            false
        ) as is_new_arrival,
        joined.unit_price_91d,
        {{ ratio('joined.price', 'joined.list_price_91d') }} as price_ratio_91d,
        {{ ratio('joined.unit_price_28d', 'joined.unit_price_91d') }} as unit_price_ratio_28d,
        {{ ratio('joined.price', 'categories.price') }} as price_to_category,
        joined.discount_share_28d,
        joined.discount_share_91d,
        joined.return_rate,
        joined.rating_count,
        {{ ratio('joined.rating_sum', 'joined.rating_count') }} as mean_rating,
        {{ round_to('(coalesce(joined.rating_sum, 0) + 5 * shops.rating) / (joined.rating_count + 5)', 6) }} as rating,
        joined.views_7d,
        joined.views_28d,
        joined.carts_28d,
        joined.wishlists_28d,
        {{ ratio('joined.purchases_91d', 'categories.purchases_91d') }} as category_share_91d,
        joined.click_share_91d
    from joined
    left join shops on joined.as_of = shops.as_of
    left join categories
        on joined.as_of = categories.as_of and joined.category is not distinct from categories.category

)

select * from final
order by as_of, product_id
