with decisions as (

    select * from {{ source('model', 'decisions') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        anchor,
        step,
        metric,
        candidate,
        incumbent,
        candidate_value,
        incumbent_value,
        difference,
        ci_low,
        ci_high,
        customers,
        promoted,
        chosen
    from decisions

)

select * from final
order by as_of, step
