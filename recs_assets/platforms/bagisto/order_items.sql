-- A configurable product and the variant that was chosen are two rows; the price is on the first, which is the line.
-- Money is what was paid, with tax, after discounts. What was paid back without units (returns.sql has those) is taken
-- off the lines of its order in proportion.
with adjustments as (
    select order_id, sum(adjustment_refund) as paid_back from files.refunds group by order_id
),

lines as (
    select
        lines.order_id,
        lines.id as line_id,
        coalesce(products.parent_id, lines.product_id, 'name-' || md5(lines.name)) as product_id,
        lines.qty_ordered - coalesce(lines.qty_canceled, 0) as quantity,
        (lines.qty_ordered - coalesce(lines.qty_canceled, 0)) / lines.qty_ordered
        * case
            when orders.status = 'closed' or orders.grand_total <= 0 then 1
            else greatest(1 - coalesce(adjustments.paid_back, 0) / orders.grand_total, 0)
        end as share,
        lines.total + coalesce(lines.tax_amount, 0) - coalesce(lines.discount_amount, 0) as amount,
        coalesce(lines.discount_amount, 0) as discount
    from files.order_items as lines
    inner join files.orders as orders on lines.order_id = orders.id
    left join files.products as products on lines.product_id = products.id
    left join adjustments on lines.order_id = adjustments.order_id
    where lines.parent_id is null and lines.qty_ordered > 0
)

select
    order_id,
    line_id,
    product_id,
    quantity,
    round(amount * share, 4) as amount,
    round(discount * share, 4) as discount
from lines
where quantity > 0
order by order_id, line_id
