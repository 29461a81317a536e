{%- set windows = [7, 28, 91, 182] -%}
with anchors as (
    {{ anchors() }}

),

customers as (

    -- Later customers are not known yet.
    select
        anchors.as_of,
        customers.customer_id,
        customers.joined_at
    from {{ ref('customers') }} as customers
    inner join anchors on customers.joined_at is null or customers.joined_at < anchors.as_of
    where customers.learned_from

),

by_customer as (

    select
        as_of,
        customer_id,
        count(*) as order_count,
        cast(sum(product_count) as bigint) as line_count,
        min(occurred_at) as first_order_at,
        max(occurred_at) as last_order_at,
        {%- for days in windows %}
        {{ count_where('age_days <= ' ~ days) }} as orders_{{ days }}d,
        {%- endfor %}
        {{ ratio("sum(case when age_days <= 91 then product_count end)", count_where('age_days <= 91')) }}
            as mean_basket_products_91d,
        {{ count_where('gap_days > 0') }} as gaps,
        cast(sum(gap_days) as bigint) as gap_days,
        cast(sum(gap_days * gap_days) as bigint) as gap_squares
    from {{ ref('int_baskets_anchored') }}
    group by as_of, customer_id

),

products as (

    select
        pairs.as_of,
        pairs.customer_id,
        count(*) as product_count,
        count(distinct products.category) as category_count,
        cast(sum(pairs.order_days) as bigint) as product_days,
        cast(sum(pairs.order_days_91d) as bigint) as product_days_91d,
        {{ count_where('pairs.days_since_first <= 91') }} as new_products_91d
    from {{ ref('int_purchase_pairs_anchored') }} as pairs
    left join {{ ref('stg_products') }} as products on pairs.product_id = products.product_id
    group by pairs.as_of, pairs.customer_id

),

paid as (

    select
        customer_id,
        cast(ordered_at as date) as booked_on,
        {{ exact_sum('amount', 6) }} as paid,
        {{ exact_sum('discount', 6) }} as discount,
        {{ exact_sum('quantity', 6) }} as units,
        cast(0 as double) as returned
    from {{ ref('order_lines') }}
    where learned_from and amount is not null
    group by customer_id, cast(ordered_at as date)
    union all
    select
        customer_id,
        cast(returned_at as date) as booked_on,
        cast(0 as double) as paid,
        cast(0 as double) as discount,
        cast(0 as double) as units,
        {{ exact_sum('amount', 6) }} as returned
    from {{ ref('int_returns_allocated_to_lines') }}
    where learned_from and amount is not null
    group by customer_id, cast(returned_at as date)

),

spend as (

    select
        anchors.as_of,
        paid.customer_id,
        {{ exact_sum('paid.paid - paid.returned', 6) }} as spend,
        {%- for days in windows %}
        {{ exact_sum("case when paid.booked_on >= " ~ days_before('anchors.as_of', days) ~ " then paid.paid - paid.returned else 0 end", 6) }}
            as spend_{{ days }}d,
        {%- endfor %}
        {{ exact_sum('paid.paid', 6) }} as paid,
        {{ exact_sum('paid.units', 6) }} as units,
        {{ exact_sum('paid.discount', 6) }} as discount,
        {{ exact_sum("case when paid.booked_on >= " ~ days_before('anchors.as_of', 91) ~ " then paid.paid else 0 end", 6) }}
            as paid_91d,
        {{ exact_sum("case when paid.booked_on >= " ~ days_before('anchors.as_of', 91) ~ " then paid.discount else 0 end", 6) }}
            as discount_91d,
        {{ exact_sum('paid.returned', 6) }} as returned
    from paid
    inner join anchors on paid.booked_on < anchors.as_of
    group by anchors.as_of, paid.customer_id

),

browsed as (

    select
        as_of,
        customer_id,
        cast(sum(views_28d) as bigint) as views_28d,
        cast(sum(carts_28d) as bigint) as carts_28d,
        cast(sum(wishlists_28d) as bigint) as wishlists_28d,
        {{ ratio(exact_sum('dwell_seconds_28d', 6), 'sum(dwells_28d)') }} as mean_dwell_seconds_28d,
        min(days_since_browsed) as days_since_browsed,
        cast(sum(rating_count) as bigint) as rating_count,
        {{ ratio(exact_sum('rating_sum', 6), 'sum(rating_count)') }} as mean_rating
    from {{ ref('int_browsing_pairs_anchored') }}
    group by as_of, customer_id

),

searched as (

    select
        anchors.as_of,
        searches.customer_id,
        count(*) as searches_28d
    from {{ ref('stg_searches') }} as searches
    inner join anchors
        on
            searches.searched_at < anchors.as_of
            and searches.searched_at >= {{ days_before('anchors.as_of', 28) }}
    group by anchors.as_of, searches.customer_id

),

mailed as (

    select
        anchors.as_of,
        mails.customer_id,
        {{ count_where("mails.event_type = 'sent'") }} as sends_28d,
        {{ count_where("mails.event_type = 'opened'") }} as opens_28d,
        {{ count_where("mails.event_type = 'clicked'") }} as clicks_28d
    from {{ ref('stg_campaign_events') }} as mails
    inner join anchors
        on
            mails.occurred_at < anchors.as_of
            and mails.occurred_at >= {{ days_before('anchors.as_of', 28) }}
    -- What has a placement was on a page of the shop.
    where mails.placement is null
    group by anchors.as_of, mails.customer_id

),

joined as (

    select
        customers.as_of,
        customers.customer_id,
        customers.joined_at,
        by_customer.order_count,
        by_customer.line_count,
        by_customer.first_order_at,
        by_customer.last_order_at,
        {%- for days in windows %}
        by_customer.orders_{{ days }}d,
        spend.spend_{{ days }}d,
        {%- endfor %}
        by_customer.mean_basket_products_91d,
        by_customer.gaps,
        by_customer.gap_days,
        by_customer.gap_squares,
        products.product_count,
        products.category_count,
        products.product_days,
        products.product_days_91d,
        products.new_products_91d,
        spend.spend,
        spend.paid,
        spend.units,
        spend.discount,
        spend.paid_91d,
        spend.discount_91d,
        spend.returned,
        browsed.views_28d,
        browsed.carts_28d,
        browsed.wishlists_28d,
        browsed.mean_dwell_seconds_28d,
        browsed.days_since_browsed,
        browsed.rating_count,
        browsed.mean_rating,
        searched.searches_28d,
        mailed.sends_28d,
        mailed.opens_28d,
        mailed.clicks_28d,
        {{ days_between('by_customer.first_order_at', 'customers.as_of') }} as days_since_first_order,
        {{ days_between('by_customer.last_order_at', 'customers.as_of') }} as days_since_last_order
    from customers
    left join by_customer
        on customers.as_of = by_customer.as_of and customers.customer_id = by_customer.customer_id
    left join products
        on customers.as_of = products.as_of and customers.customer_id = products.customer_id
    left join spend
        on customers.as_of = spend.as_of and customers.customer_id = spend.customer_id
    left join browsed
        on customers.as_of = browsed.as_of and customers.customer_id = browsed.customer_id
    left join searched
        on customers.as_of = searched.as_of and customers.customer_id = searched.customer_id
    left join mailed
        on customers.as_of = mailed.as_of and customers.customer_id = mailed.customer_id

),

final as (

    select
        as_of,
        customer_id,
        coalesce(order_count, 0) as order_count,
        coalesce(line_count, 0) as line_count,
        coalesce(product_count, 0) as product_count,
        first_order_at,
        last_order_at,
        days_since_last_order,
        coalesce(spend, 0) as spend,
        {{ ratio('line_count', 'order_count') }} as mean_basket_products,
        {{ ratio('gap_days', 'gaps') }} as mean_days_between_orders,
        case
            when coalesce(order_count, 0) = 0 then '0'
            when order_count <= 2 then '1-2'
            when order_count <= 9 then '3-9'
            else '10+'
        end as history_depth,
        {%- for days in windows %}
        coalesce(orders_{{ days }}d, 0) as orders_{{ days }}d,
        coalesce(spend_{{ days }}d, 0) as spend_{{ days }}d,
        {%- endfor %}
        {{ deviation('gaps', 'gap_days', 'gap_squares') }} as std_days_between_orders,
        {{ ratio('days_since_last_order * gaps', 'gap_days') }} as order_due_ratio,
        -- The pace of the last half year, or of the time since the first order if that is shorter.
        {{ ratio('orders_182d * ' ~ var('horizon_days') | int, 'least(days_since_first_order, 182)') }}
            as expected_orders,
        days_since_first_order as tenure_days,
        {{ days_between('joined_at', 'as_of') }} as account_age_days,
        {{ ratio('spend', 'order_count') }} as mean_basket_spend,
        mean_basket_products_91d,
        coalesce(category_count, 0) as category_count,
        {{ ratio('product_days - product_count', 'product_days') }} as repeat_share,
        {{ ratio('product_days_91d - new_products_91d', 'product_days_91d') }} as repeat_share_91d,
        {{ ratio('new_products_91d', 'orders_91d') }} as new_products_per_order_91d,
        {{ ratio('paid', 'units') }} as mean_unit_price,
        {{ ratio('discount', 'paid + discount') }} as discount_share,
        {{ ratio('discount_91d', 'paid_91d + discount_91d') }} as discount_share_91d,
        {{ ratio('returned', 'paid') }} as returns_share,
        coalesce(views_28d, 0) as views_28d,
        coalesce(carts_28d, 0) as carts_28d,
        coalesce(wishlists_28d, 0) as wishlists_28d,
        mean_dwell_seconds_28d,
        days_since_browsed,
        coalesce(searches_28d, 0) as searches_28d,
        coalesce(sends_28d, 0) as sends_28d,
        coalesce(opens_28d, 0) as opens_28d,
        coalesce(clicks_28d, 0) as clicks_28d,
        coalesce(rating_count, 0) as rating_count,
        mean_rating
    from joined

)

select * from final
order by as_of, customer_id
