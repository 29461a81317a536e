with compared as (

    select * from {{ source('model', 'backtest') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        view,
        recommender,
        metric,
        k,
        folds,
        customers,
        value,
        baseline,
        difference,
        ci_low,
        ci_high
    from compared

)

select * from final
order by as_of, view, recommender, metric, k
