with found as (

    select * from {{ source('model', 'campaign_tests') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        anchor,
        metric,
        model,
        item,
        value,
        difference,
        ci_low,
        ci_high,
        customers,
        chosen
    from found

)

select * from final
order by campaign, as_of, metric, model, item
