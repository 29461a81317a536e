with metrics as (

    select * from {{ source('model', 'metrics') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        anchor,
        view,
        segment,
        recommender,
        metric,
        k,
        value,
        ci_low,
        ci_high,
        customers
    from metrics

)

select * from final
order by as_of, anchor, view, segment, recommender, metric, k
