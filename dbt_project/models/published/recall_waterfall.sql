with stages as (

    select * from {{ source('model', 'waterfall') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        anchor,
        view,
        segment,
        k,
        source,
        stage,
        purchases,
        share
    from stages

)

select * from final
order by as_of, anchor, view, segment, k, source, stage
