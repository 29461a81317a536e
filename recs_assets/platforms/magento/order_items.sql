-- A configurable product and the variant that was chosen are two rows; the price is on the first, which is the line. The
-- price of a bundle may be on its parts. Money is what was paid, with tax, after discounts. What was paid back without
-- units (returns.sql has those) is taken off the lines of its order in proportion.
with amounts as (
    select
        *,
        row_total + coalesce(tax_amount, 0) + coalesce(discount_tax_compensation_amount, 0)
        - coalesce(discount_amount, 0) as amount
    from files.sales_order_item
),

parts as (
    select
        parent_item_id,
        sum(amount) as amount,
        sum(discount_amount) as discount
    from amounts
    where parent_item_id is not null
    group by parent_item_id
    having sum(amount) > 0
),

variants as (
    select product_id, min(parent_id) as parent_id from files.catalog_product_super_link group by product_id
),

adjustments as (
    select
        order_id,
        sum(adjustment_positive) as paid_back
    from files.sales_creditmemo
    group by order_id
),

lines as (
    select
        lines.order_id,
        lines.item_id as line_id,
        coalesce(variants.parent_id, lines.product_id, 'name-' || md5(lines.name)) as product_id,
        lines.qty_ordered - coalesce(lines.qty_canceled, 0) as quantity,
        (lines.qty_ordered - coalesce(lines.qty_canceled, 0)) / lines.qty_ordered
        * case
            when orders.state = 'closed' or orders.grand_total <= 0 then 1
            else greatest(1 - coalesce(adjustments.paid_back, 0) / orders.grand_total, 0)
        end as share,
        coalesce(parts.amount, lines.amount) as amount,
        coalesce(parts.discount, lines.discount_amount, 0) as discount,
        orders.state
    from amounts as lines
    inner join files.sales_order as orders on lines.order_id = orders.entity_id
    left join parts on lines.item_id = parts.parent_item_id
    left join variants on lines.product_id = variants.product_id
    left join adjustments on lines.order_id = adjustments.order_id
    where lines.parent_item_id is null and lines.qty_ordered > 0
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
