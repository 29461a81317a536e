with allocated as (

    select
        order_id,
        line_id,
        {{ exact_sum('quantity', 6) }} as returned_quantity,
        max(returned_at) as last_returned_at
    from {{ ref('int_returns_allocated_to_lines') }}
    group by order_id, line_id

),

lines as (

    select * from {{ ref('int_order_lines_purchased') }}

),

final as (

    select
        allocated.order_id,
        allocated.line_id,
        least(allocated.returned_quantity, lines.quantity) as returned_quantity,
        case
            when allocated.returned_quantity >= {{ round_to('lines.quantity', 6) }} then allocated.last_returned_at
        end as fully_returned_at
    from allocated
    inner join lines on allocated.order_id = lines.order_id and allocated.line_id = lines.line_id

)

select * from final
order by order_id, line_id
