with found as (

    select * from {{ source('model', 'campaign_outcomes') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        step,
        outcome,
        customers
    from found

)

select * from final
order by campaign, as_of, step
