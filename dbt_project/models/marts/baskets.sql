with lines as (

    select * from {{ ref('order_lines') }}

),

final as (

    select
        order_id,
        customer_id,
        ordered_at,
        count(case when net_quantity > 0 then line_id end) as line_count,
        count(distinct case when net_quantity > 0 then product_id end) as product_count,
        {{ exact_sum('net_quantity', 6) }} as units,
        {{ exact_sum('net_amount', 6) }} as amount
    from lines
    group by order_id, customer_id, ordered_at

)

select * from final
order by order_id
