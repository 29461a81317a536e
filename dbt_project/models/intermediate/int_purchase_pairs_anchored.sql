{#- Column and half-life in days; none is the var's. -#}
{%- set per_purchase = {'7': 7, '28': 28, '91': 91, 'var': none} -%}
{%- set per_day = {'14': 14, '30': 30, '365': 365, 'var': none} -%}
-- Everything the features say about who bought what, summed up once: the rows of the backtest
-- are many (purchases times anchors), so no feature model reads them again.
with baskets as (

    select * from {{ ref('int_baskets_anchored') }}

),

decays as (

    -- One power per age instead of eight per purchase halves the time of this model; as
    -- decimals the weights add up to the same sum in any order.
    select
        age_days
        {%- for name, half_life in (per_purchase.items() | list + per_day.items() | list) | unique %},
        cast({{ decay('age_days', half_life) }} as decimal(18, 9)) as weight_{{ name }}
        {%- endfor %}
    from (select distinct age_days from baskets) as ages

),

purchases as (

    select
        purchases.as_of,
        purchases.customer_id,
        purchases.product_id,
        purchases.occurred_at,
        purchases.age_days,
        purchases.quantity,
        purchases.list_price,
        baskets.basket_number
    from {{ ref('int_interactions_anchored') }} as purchases
    inner join baskets
        on purchases.as_of = baskets.as_of and purchases.order_id = baskets.order_id
    where purchases.event_type = 'purchase'

),

spaced as (

    -- Two orders on one day are one occasion to buy: the second has a gap of 0.
    select
        *,
        lag(age_days) over (
            partition by as_of, customer_id, product_id
            order by occurred_at
        ) - age_days as gap_days
    from purchases

),

final as (

    select
        spaced.as_of,
        spaced.customer_id,
        spaced.product_id,
        count(*) as purchases,
        {{ count_where('spaced.gap_days is null or spaced.gap_days > 0') }} as order_days,
        {{ exact_sum('spaced.quantity', 6) }} as units,
        min(spaced.occurred_at) as first_bought_at,
        max(spaced.occurred_at) as last_bought_at,
        max(spaced.age_days) as days_since_first,
        min(spaced.age_days) as days_since_last,
        cast(sum(spaced.gap_days) as bigint) as gap_days,
        cast(sum(spaced.gap_days * spaced.gap_days) as bigint) as gap_squares,
        {{ count_where('spaced.age_days <= 7') }} as purchases_7d,
        {{ count_where('spaced.age_days <= 28') }} as purchases_28d,
        {{ count_where('spaced.age_days <= 91') }} as purchases_91d,
        {{ count_where('spaced.age_days between 29 and 56') }} as purchases_28d_before,
        -- The label window 364 days earlier, so that it starts on the same weekday.
        {{ count_where('spaced.age_days between ' ~ (365 - var('horizon_days') | int) ~ ' and 364') }}
            as purchases_year_before,
        {{ count_where('spaced.age_days <= 28 and (spaced.gap_days is null or spaced.gap_days > 0)') }}
            as order_days_28d,
        {{ count_where('spaced.age_days <= 91 and (spaced.gap_days is null or spaced.gap_days > 0)') }}
            as order_days_91d,
        {{ count_where('spaced.basket_number <= 10') }} as baskets_last_10,
        min(spaced.basket_number) as newest_basket,
        {%- for name in per_purchase %}
        cast(sum(decays.weight_{{ name }}) as double) as decayed_purchases{{ '_' ~ name if name != 'var' }},
        {%- endfor %}
        {%- for name in per_day %}
        cast(sum(case when spaced.gap_days = 0 then 0 else decays.weight_{{ name }} end) as double)
            as decayed_days{{ '_' ~ name if name != 'var' }},
        {%- endfor %}
        {{ latest('spaced.list_price', 'spaced.occurred_at') }} as last_list_price
    from spaced
    inner join decays on spaced.age_days = decays.age_days
    group by spaced.as_of, spaced.customer_id, spaced.product_id

)

select * from final
