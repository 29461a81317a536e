with found as (

    select * from {{ source('model', 'campaign_customers') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        customer_id,
        outcome
    from found

)

select * from final
order by campaign, as_of, customer_id
