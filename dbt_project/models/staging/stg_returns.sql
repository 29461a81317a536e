with accepted as (

    select * from {{ ref('base_returns') }} where reject_reason is null and {{ is_known('returned_at') }}

),

final as (

    select
        return_id,
        order_id,
        product_id,
        quantity,
        returned_at,
        reason
    from accepted

)

select * from final
