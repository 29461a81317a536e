with verdicts as (

    select * from {{ source('model', 'gates') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        as_of,
        gate,
        subject,
        value,
        limit_low,
        limit_high,
        previous_value,
        passed,
        overridden,
        reason,
        sentence
    from verdicts

)

select * from final
order by as_of, gate, subject
