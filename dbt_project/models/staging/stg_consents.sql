with accepted as (

    {{ by_person(ref('base_consents')) }}
    where profiles.reject_reason is null and {{ is_known('profiles.effective_at') }}

),

final as (

    select
        customer_id,
        state,
        effective_at
    from accepted

)

select * from final
