with accepted as (

    select *
    from {{ ref('base_customers') }}
    where reject_reason is null and (joined_at is null or {{ is_known('joined_at') }})

),

final as (

    select
        customer_id,
        joined_at,
        email,
        email_eligible,
        country,
        locale,
        currency,
        timezone,
        segment
    from accepted

)

select * from final
