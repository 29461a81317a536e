-- Money is what was paid and kept, with tax. `Item Cost` is without tax; the order says how much tax there was. Units
-- that came back are taken off the quantity by the export, without a date; whatever else was paid back is taken off in
-- proportion.
with copies as (
    select
        *,
        -- A line in two of the files is one: the one with fewer units left.
        row_number() over (
            partition by "Order Number", "Item #"
            order by "Quantity (- Refund)", "Order Refund Amount" desc, "Item Name", "Item Cost"
        ) as copy
    from files.orders
),

-- What the catalogue calls what a line names; a variation is its product's.
catalogue as (
    select
        products."Name" as name,
        nullif(trim(products."SKU"), '') as sku,
        coalesce(parents."ID", products."ID") as product_id
    from files.products as products
    left join files.products as parents
        on
            products."Type" like '%variation%'
            and (products."Parent" = 'id:' || parents."ID" or products."Parent" = nullif(parents."SKU", ''))
),

by_sku as (
    select sku, min(product_id) as product_id from catalogue where sku is not null
    group by sku having count(distinct product_id) = 1
),

by_name as (
    select name, min(product_id) as product_id from catalogue group by name having count(distinct product_id) = 1
),

lines as (
    select
        copies."Order Number" as order_id,
        copies."Item #"::varchar as line_id,
        coalesce(
            by_sku.product_id,
            by_name.product_id,
            'sku-' || nullif(trim(copies."SKU"), ''),
            'name-' || md5(copies."Item Name")
        ) as product_id,
        copies."Quantity (- Refund)" as quantity,
        copies."Item Cost" * copies."Quantity (- Refund)" as kept,
        copies."Order Subtotal Amount" as subtotal,
        coalesce(copies."Cart Discount Amount", 0) as discount,
        coalesce(copies."Order Refund Amount", 0) as refund,
        copies."Order Total Amount" as total,
        1 + coalesce(copies."Order Total Tax Amount", 0) / nullif(
            copies."Order Subtotal Amount" - coalesce(copies."Cart Discount Amount", 0)
            + coalesce(copies."Order Shipping Amount", 0),
            0
        ) as with_tax
    from copies
    left join by_sku on nullif(trim(copies."SKU"), '') = by_sku.sku
    left join by_name on copies."Item Name" = by_name.name
    where copies.copy = 1 and copies."Item Name" is not null
),

paid as (
    select
        *,
        sum(kept) over (partition by order_id) as all_kept,
        -- Of what was paid back, what the units that are gone do not explain.
        greatest(refund - greatest(subtotal - discount - sum(kept) over (partition by order_id), 0) * with_tax, 0) as rest,
        greatest(subtotal - discount - sum(kept) over (partition by order_id), 0) * with_tax as returned
    from lines
),

shares as (
    select
        *,
        -- Where nothing came back the lines come to the order's goods after discounts, whatever `Item Cost` leaves out.
        coalesce(case when refund = 0 then (subtotal - discount) / nullif(all_kept, 0) end, 1) as scale,
        case when rest > 0 and total > returned then greatest(1 - rest / (total - returned), 0) else 1 end as left_share
    from paid
)

select
    order_id,
    line_id,
    product_id,
    quantity,
    round(kept * scale * coalesce(with_tax, 1) * left_share, 4) as amount,
    round(
        coalesce(kept * scale / nullif(subtotal - discount, 0) * discount * coalesce(with_tax, 1) * left_share, 0), 4
    ) as discount
from shares
where quantity > 0
order by order_id, line_id
