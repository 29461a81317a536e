-- Units that a refund took out of an order. The export dates refunds and not their lines: they came back by the last
-- one. Of an order that is refunded or cancelled as a whole, orders.sql says so.
with heads as (
    select
        id,
        list_max(json_extract_string(refunds, '$[*].createdAt')::timestamptz[]) as refunded_at
    from files.orders
    where __parentId is null and not coalesce(test, false)
    qualify
        row_number() over (partition by id order by updatedAt desc, refunds desc) = 1
        and displayFinancialStatus <> 'REFUNDED'
        and cancelledAt is null
        and refunded_at is not null
)

select
    regexp_extract(lines.id, '[0-9]+$') as return_id,
    regexp_extract(lines.__parentId, '[0-9]+$') as order_id,
    coalesce(
        max(nullif(regexp_extract(lines.product ->> '$.id', '[0-9]+$'), '')),
        'sku-' || max(nullif(lines.sku, '')),
        'name-' || md5(max(lines.title))
    ) as product_id,
    max(lines.quantity) - min(lines.currentQuantity) as quantity,
    max(heads.refunded_at) as returned_at
from files.orders as lines
inner join heads on lines.__parentId = heads.id
where lines.id like 'gid://shopify/LineItem/%'
group by lines.id, lines.__parentId
having max(lines.quantity) > min(lines.currentQuantity)
order by return_id
