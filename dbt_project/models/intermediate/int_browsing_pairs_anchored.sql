-- What the features say about who looked at, reviewed, carted or wished for what.
with events as (

    select * from {{ ref('int_interactions_anchored') }} where event_type <> 'purchase'

),

final as (

    select
        as_of,
        customer_id,
        product_id,
        {{ count_where("event_type = 'view' and age_days <= 7") }} as views_7d,
        {{ count_where("event_type = 'view' and age_days <= 28") }} as views_28d,
        {{ count_where("event_type = 'add_to_cart' and age_days <= 7") }} as carts_7d,
        {{ count_where("event_type = 'add_to_cart' and age_days <= 28") }} as carts_28d,
        {{ count_where("event_type = 'add_to_wishlist' and age_days <= 7") }} as wishlists_7d,
        {{ count_where("event_type = 'add_to_wishlist' and age_days <= 28") }} as wishlists_28d,
        {{ count_where("event_type = 'view'") }} as views,
        max(case when event_type = 'add_to_cart' then occurred_at end) as last_carted_at,
        min(case when event_type in ('view', 'add_to_cart', 'add_to_wishlist') then age_days end)
            as days_since_browsed,
        {{ exact_sum('case when age_days <= 28 then duration_seconds end', 6) }} as dwell_seconds_28d,
        count(case when age_days <= 28 then duration_seconds end) as dwells_28d,
        count(rating) as rating_count,
        {{ exact_sum('rating', 6) }} as rating_sum,
        {{ exact_sum('weight * ' ~ decay('age_days')) }} as signal
    from events
    group by as_of, customer_id, product_id

)

select * from final
