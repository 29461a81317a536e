with outcomes as (

    select * from {{ source('model', 'rule_outcomes') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        campaign,
        step,
        rule,
        removed,
        customers
    from outcomes

)

select * from final
order by as_of, campaign, step
