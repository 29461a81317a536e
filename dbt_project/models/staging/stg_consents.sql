with accepted as (

    select * from {{ ref('base_consents') }} where reject_reason is null and {{ is_known('effective_at') }}

),

final as (

    select
        customer_id,
        state,
        effective_at
    from accepted

)

select * from final
