-- Money is what was paid for the line after its discounts, with tax. What was paid back without units (returns.sql has
-- those) is taken off the lines of its order in proportion.
with meta as (
    select
        order_item_id,
        max(case when meta_key = '_product_id' then meta_value end) as product_id,
        max(case when meta_key = '_qty' then try_cast(meta_value as double) end) as quantity,
        max(case when meta_key = '_line_total' then try_cast(meta_value as double) end) as total,
        max(case when meta_key = '_line_tax' then try_cast(meta_value as double) end) as tax,
        max(case when meta_key = '_line_subtotal' then try_cast(meta_value as double) end) as subtotal,
        max(case when meta_key = '_line_subtotal_tax' then try_cast(meta_value as double) end) as subtotal_tax
    from files.woocommerce_order_itemmeta
    where meta_key in ('_product_id', '_qty', '_line_total', '_line_tax', '_line_subtotal', '_line_subtotal_tax')
    group by order_item_id
),

lines as (
    select
        items.order_id,
        items.order_item_id as line_id,
        coalesce(nullif(meta.product_id, '0'), 'name-' || md5(items.order_item_name)) as product_id,
        meta.quantity,
        meta.total + coalesce(meta.tax, 0) as amount,
        coalesce(meta.subtotal + coalesce(meta.subtotal_tax, 0), meta.total + coalesce(meta.tax, 0)) as list_amount
    from files.woocommerce_order_items as items
    inner join meta on items.order_item_id = meta.order_item_id
    where items.order_item_type = 'line_item'
),

-- Of what was paid back, what the units that came back explain.
refunds as (
    select
        refunds.parent_order_id as order_id,
        -sum(refunds.total_amount) as paid_back,
        coalesce(-sum(returned.amount), 0) as for_units
    from files.wc_orders as refunds
    left join (select order_id, sum(amount) as amount from lines where quantity < 0 group by order_id) as returned
        on refunds.id = returned.order_id
    where refunds.type = 'shop_order_refund'
    group by refunds.parent_order_id
),

orders as (
    select
        orders.id as order_id,
        case
            -- orders.sql says that all of it came back.
            when orders.status = 'wc-refunded' or refunds.order_id is null then 1
            when orders.total_amount - refunds.for_units <= 0 then 1
            else greatest(1 - (refunds.paid_back - refunds.for_units) / (orders.total_amount - refunds.for_units), 0)
        end as left_share
    from files.wc_orders as orders
    left join refunds on orders.id = refunds.order_id
    where orders.type = 'shop_order' and orders.status not in ('auto-draft', 'wc-checkout-draft', 'trash')
)

select
    lines.order_id,
    lines.line_id,
    lines.product_id,
    lines.quantity,
    round(lines.amount * orders.left_share, 4) as amount,
    round(greatest(lines.list_amount - lines.amount, 0) * orders.left_share, 4) as discount
from lines
inner join orders on lines.order_id = orders.order_id
order by lines.order_id, lines.line_id
