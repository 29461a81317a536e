with lines as (

    select * from {{ ref('int_order_lines_purchased') }}

),

returns as (

    select * from {{ ref('int_returns_netted_to_lines') }}

),

netted as (

    select
        lines.*,
        coalesce(returns.returned_quantity, 0) as returned_quantity,
        -- Zero when wholly returned, whatever is left of 0.3 - 0.1 - 0.2.
        case
            when returns.fully_returned_at is not null then 0
            else lines.quantity - coalesce(returns.returned_quantity, 0)
        end as net_quantity,
        returns.fully_returned_at
    from lines
    left join returns on lines.order_id = returns.order_id and lines.line_id = returns.line_id

),

final as (

    select
        order_id,
        line_id,
        customer_id,
        product_id,
        ordered_at,
        quantity,
        returned_quantity,
        cast(net_quantity as double) as net_quantity,
        amount,
        {{ round_to('amount * net_quantity / quantity', 6) }} as net_amount,
        discount,
        {{ round_to('amount / quantity', 6) }} as unit_price,
        currency,
        order_amount,
        fully_returned_at,
        learned_from
    from netted

)

select * from final
order by order_id, line_id
