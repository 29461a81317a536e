-- What the state of an order counts as: lists of the project, and the shop's own words before them.
with final as (

    select
        order_id,
        customer_id,
        ordered_at,
        status,
        currency,
        counts_as,
        undone_at
    from {{ ref('base_orders') }}
    where reject_reason is null and {{ is_known('ordered_at') }}

)

select * from final
order by order_id
