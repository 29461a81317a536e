with found as (

    select * from {{ source('model', 'rule_price_tags') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        anchor,
        step,
        rule,
        kind,
        customers,
        customers_changed,
        purchases,
        purchases_without,
        purchases_gained,
        purchases_low,
        purchases_high,
        purchases_alone,
        alone_gained,
        alone_low,
        alone_high,
        margin,
        margin_without,
        margin_gained,
        margin_low,
        margin_high
    from found

)

select * from final
order by campaign, as_of, step
