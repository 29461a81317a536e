-- Money is what was paid, with tax: the amount before discounts, less what each discount took off this line, and the
-- taxes where prices come without. Units that were taken out of an order without a refund were never bought.
with heads as (
    select
        id,
        bool_and(taxesIncluded) as has_taxes_included,
        bool_or(coalesce(json_array_length(refunds), 0) > 0) as has_refunds
    from files.orders
    where __parentId is null and not coalesce(test, false)
    group by id
),

-- A line in two of the files is one; the newer of them has fewer units, if it differs.
lines as (
    select
        lines.id,
        lines.__parentId as parent_id,
        any_value(heads.has_taxes_included order by lines.id) as has_taxes_included,
        coalesce(
            max(nullif(regexp_extract(lines.product ->> '$.id', '[0-9]+$'), '')),
            'sku-' || max(nullif(lines.sku, '')),
            'name-' || md5(max(lines.title))
        ) as product_id,
        max(lines.quantity) as quantity,
        case
            when any_value(heads.has_refunds order by lines.id) then max(lines.quantity)
            else min(coalesce(lines.currentQuantity, lines.quantity))
        end as kept_quantity,
        max((lines.originalTotalSet ->> '$.shopMoney.amount')::double) as original,
        max(
            coalesce(
                list_sum(json_extract_string(lines.discountAllocations, '$[*].allocatedAmountSet.shopMoney.amount')::double[]),
                0
            )
        ) as discount,
        max(
            coalesce(
                list_sum(json_extract_string(lines.taxLines, '$[*].priceSet.shopMoney.amount')::double[]),
                0
            )
        ) as tax
    from files.orders as lines
    inner join heads on lines.__parentId = heads.id
    where lines.id like 'gid://shopify/LineItem/%'
    group by lines.id, lines.__parentId
)

select
    regexp_extract(parent_id, '[0-9]+$') as order_id,
    regexp_extract(id, '[0-9]+$') as line_id,
    product_id,
    kept_quantity as quantity,
    round(
        (original - discount + case when has_taxes_included then 0 else tax end) * kept_quantity / quantity, 4
    ) as amount,
    round(discount * kept_quantity / quantity, 4) as discount
from lines
where kept_quantity > 0
order by order_id, line_id
