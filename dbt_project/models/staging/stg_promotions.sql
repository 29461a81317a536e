with accepted as (

    select * from {{ ref('base_promotions') }} where reject_reason is null and {{ is_known('announced_at') }}

),

final as (

    select
        promotion_id,
        product_id,
        kind,
        announced_at,
        start_at,
        end_at,
        reach
    from accepted

)

select * from final
