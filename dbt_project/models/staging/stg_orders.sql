with accepted as (

    select * from {{ ref('base_orders') }} where reject_reason is null and {{ is_known('ordered_at') }}

),

final as (

    select
        order_id,
        customer_id,
        ordered_at,
        status,
        currency,
        updated_at
    from accepted

)

select * from final
