with accepted as (

    {{ by_person(ref('base_preferences')) }}
    where profiles.reject_reason is null and {{ is_known('profiles.answered_at') }}

),

final as (

    select
        customer_id,
        question,
        facet,
        answer,
        answered_at
    from accepted

)

select * from final
