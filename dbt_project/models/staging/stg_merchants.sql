with accepted as (

    select * from {{ ref('base_merchants') }} where reject_reason is null

),

final as (

    select
        merchant_id,
        name,
        country
    from accepted

)

select * from final
