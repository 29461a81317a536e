-- How much there is now, and not since when: it is booked right before the newest week that the orders allow, which so
-- knows it, as no earlier week does.
with stocked as (
    select
        coalesce(parents."ID", products."ID") as product_id,
        -- A product with variations has its stock in them, or is out of it as a whole.
        products."In stock?" = '0' as is_out,
        products."Stock" as stock,
        coalesce(products."Backorders allowed?", '0') <> '0' as is_always_there
    from files.products as products
    left join files.products as parents
        on
            products."Type" like '%variation%'
            and (products."Parent" = 'id:' || parents."ID" or products."Parent" = nullif(parents."SKU", ''))
    where products."Type" not like '%variable%'
)

select
    product_id,
    (select date_trunc('week', max("Order Date") + interval 1 day) - interval 1 second from files.orders) as counted_at,
    sum(case when is_out then 0 else greatest(stock, 0) end) as stock
from stocked
group by product_id
having not bool_or(is_always_there and not is_out) and bool_and(is_out or stock is not null)
order by product_id
