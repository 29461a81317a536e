with accepted as (

    select *
    from {{ ref('base_order_items') }}
    where reject_reason is null and not is_credit and {{ is_known('ordered_at') }}

),

final as (

    select
        order_id,
        line_id,
        product_id,
        quantity,
        amount,
        coalesce(discount, 0) as discount
    from accepted

)

select * from final
