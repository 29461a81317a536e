-- The orders a customer kept, as each anchor knows them, counted back from the newest.
with orders as (

    select
        as_of,
        customer_id,
        order_id,
        occurred_at,
        occurred_on,
        age_days,
        count(*) as product_count
    from {{ ref('int_interactions_anchored') }}
    where event_type = 'purchase'
    group by as_of, customer_id, order_id, occurred_at, occurred_on, age_days

),

final as (

    select
        *,
        cast(row_number() over (
            partition by as_of, customer_id
            order by occurred_at desc, order_id desc
        ) as bigint) as basket_number,
        lag(age_days) over (
            partition by as_of, customer_id
            order by occurred_at, order_id
        ) - age_days as gap_days
    from orders

)

select * from final
