-- Returns name an order and a product, not a line. Lay the units ordered end to end, line by
-- line, and the units returned end to end, oldest first: where the two rulers overlap, that
-- return took those units from that line. Units beyond what was ordered overlap nothing.
with returns as (

    select
        *,
        sum(quantity) over (
            partition by order_id, product_id
            order by returned_at, return_id
            rows between unbounded preceding and current row
        ) as returned_to
    from {{ ref('stg_returns') }}

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
        round(
            least(lines.ordered_to, returns.returned_to)
            - greatest(lines.ordered_to - lines.quantity, returns.returned_to - returns.quantity),
            6
        ) as quantity
    from lines
    inner join returns on lines.order_id = returns.order_id and lines.product_id = returns.product_id

),

final as (

    select
        return_id,
        order_id,
        line_id,
        customer_id,
        product_id,
        ordered_at,
        returned_at,
        quantity,
        round(ordered_amount * quantity / ordered_quantity, 6) as amount,
        learned_from
    from overlapped
    where quantity > 0

)

select * from final
order by order_id, line_id, return_id
