-- How much there is now, and not since when: it is booked right before the newest week that the orders allow, which so
-- knows it, as no earlier week does. What is sold beyond its stock, or is not counted, is always there.
with variants as (
    select product_id, min(parent_id) as parent_id from files.catalog_product_super_link group by product_id
),

stocked as (
    select
        coalesce(variants.parent_id, products.entity_id) as product_id,
        case
            when stock.is_in_stock = 0 then 0
            when (stock.manage_stock = 1 or stock.use_config_manage_stock = 1) and stock.backorders = 0
                then greatest(stock.qty, 0)
        end as stock
    from files.catalog_product_entity as products
    inner join files.cataloginventory_stock_item as stock on products.entity_id = stock.product_id and stock.stock_id = '1'
    left join variants on products.entity_id = variants.product_id
    where products.type_id in ('simple', 'virtual', 'downloadable')
)

select
    product_id,
    (select date_trunc('week', max(created_at) + interval 1 day) - interval 1 second from files.sales_order) as counted_at,
    sum(stock) as stock
from stocked
group by product_id
having count(stock) = count(*)
order by product_id
