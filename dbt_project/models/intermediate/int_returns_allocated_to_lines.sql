-- Returns name an order and a product, not a line. Lay the units ordered end to end, line by
-- line, and the units returned end to end, oldest first: where the two rulers overlap, that
-- return took those units from that line. Units beyond what was ordered overlap nothing.
-- What a negative line took back, and an order whose later rows say that it is no purchase any
-- more, are netted like returns, from their own time on.
with booked as (

    select
        'return' as kind,
        return_id,
        order_id,
        product_id,
        quantity,
        returned_at
    from {{ ref('stg_returns') }}
    union all
    select
        case when credit_order_id = order_id then 'correction' else 'credit' end as kind,
        credit_order_id as return_id,
        order_id,
        product_id,
        quantity,
        credited_at as returned_at
    from {{ ref('int_credits_allocated_to_orders') }}
    union all
    select
        'undone' as kind,
        orders.order_id as return_id,
        orders.order_id,
        lines.product_id,
        {{ exact_sum('lines.quantity', 6) }} as quantity,
        orders.undone_at as returned_at
    from {{ ref('int_orders_judged') }} as orders
    inner join {{ ref('int_order_lines_purchased') }} as lines on orders.order_id = lines.order_id
    where orders.undone_at is not null
    group by orders.order_id, lines.product_id, orders.undone_at

),

returns as (

    select
        *,
        sum(quantity) over (
            partition by order_id, product_id
            order by returned_at, kind, return_id
            rows between unbounded preceding and current row
        ) as returned_to
    from booked

),

returned as (

    select distinct
        order_id,
        product_id
    from returns

),

lines as (

    select
        lines.*,
        sum(lines.quantity) over (
            partition by lines.order_id, lines.product_id
            order by lines.line_id
            rows between unbounded preceding and current row
        ) as ordered_to
    from {{ ref('int_order_lines_purchased') }} as lines
    inner join returned on lines.order_id = returned.order_id and lines.product_id = returned.product_id

),

overlapped as (

    select
        returns.kind,
        returns.return_id,
        lines.order_id,
        lines.line_id,
        lines.customer_id,
        lines.product_id,
        lines.ordered_at,
        lines.learned_from,
        returns.returned_at,
        lines.quantity as ordered_quantity,
        lines.amount as ordered_amount,
        -- Six decimals: 0.1 kg and 0.2 kg returned must add up to the 0.3 kg ordered.
        {{ round_to(
            'least(lines.ordered_to, returns.returned_to)'
            ~ ' - greatest(lines.ordered_to - lines.quantity, returns.returned_to - returns.quantity)', 6
        ) }} as quantity
    from lines
    inner join returns on lines.order_id = returns.order_id and lines.product_id = returns.product_id

),

final as (

    select
        kind,
        return_id,
        order_id,
        line_id,
        customer_id,
        product_id,
        ordered_at,
        returned_at,
        quantity,
        {{ round_to('ordered_amount * quantity / ordered_quantity', 6) }} as amount,
        learned_from
    from overlapped
    where quantity > 0

)

select * from final
order by order_id, line_id, kind, return_id
