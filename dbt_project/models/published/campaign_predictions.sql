with found as (

    select * from {{ source('model', 'campaign_predictions') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        customer_id,
        item,
        rank,
        score,
        probability,
        prediction
    from found

)

select * from final
order by campaign, as_of, customer_id, rank
