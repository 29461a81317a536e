with events as (

    select * from {{ ref('int_interactions_anchored') }}

),

days as (

    -- Two orders on one day are one occasion to buy.
    select
        as_of,
        customer_id,
        product_id,
        occurred_on,
        max(age_days) as age_days,
        sum(case when event_type = 'purchase' then 1 else 0 end) as purchases,
        {{ exact_sum("case when event_type = 'purchase' then quantity else 0 end", 6) }} as units,
        min(case when event_type = 'purchase' then occurred_at end) as first_bought_at,
        max(case when event_type = 'purchase' then occurred_at end) as last_bought_at,
        {{ exact_sum('weight') }} as weight
    from events
    group by as_of, customer_id, product_id, occurred_on

),

pairs as (

    select
        as_of,
        customer_id,
        product_id,
        count(case when purchases > 0 then 1 end) as order_days,
        {{ exact_sum('units', 6) }} as units,
        min(first_bought_at) as first_bought_at,
        max(last_bought_at) as last_bought_at,
        {{ exact_sum("case when purchases > 0 then " ~ decay("age_days") ~ " else 0 end") }} as decayed_frequency,
        {{ exact_sum("weight * " ~ decay("age_days")) }} as signal
    from days
    group by as_of, customer_id, product_id

),

spaced as (

    select
        *,
        cast({{ days_between('first_bought_at', 'last_bought_at') }} as double)
        / nullif(order_days - 1, 0) as gap_days,
        {{ days_between('last_bought_at', 'as_of') }} as days_since_last
    from pairs

),

final as (

    select
        as_of,
        customer_id,
        product_id,
        order_days,
        units,
        first_bought_at,
        last_bought_at,
        decayed_frequency,
        round(gap_days, 6) as mean_gap_days,
        days_since_last,
        round(days_since_last / gap_days, 6) as due_ratio,
        signal
    from spaced

)

select * from final
order by as_of, customer_id, product_id
