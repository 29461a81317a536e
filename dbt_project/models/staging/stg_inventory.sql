with accepted as (

    select * from {{ ref('base_inventory') }} where reject_reason is null and {{ is_known('counted_at') }}

),

final as (

    select
        product_id,
        counted_at,
        stock
    from accepted

)

select * from final
