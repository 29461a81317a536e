with accepted as (

    select * from {{ ref('base_exchange_rates') }}
    where reject_reason is null and {{ is_known('valid_from') }}

),

final as (

    select
        currency,
        valid_from,
        rate
    from accepted

)

select * from final
