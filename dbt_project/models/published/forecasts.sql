with predicted as (

    select * from {{ source('model', 'forecasts') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        forecast_as_of,
        window_end,
        customers,
        rows,
        forecast_purchases,
        actual_purchases,
        forecast_revenue,
        actual_revenue
    from predicted

)

select * from final
order by as_of, campaign, forecast_as_of
