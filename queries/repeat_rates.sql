-- Which categories are bought again? Customers, and how many of them bought one and the same product of the
-- category on two days or more.
with pairs as (

    select
        customer_id,
        product_id,
        count(distinct cast(ordered_at as date)) as days
    from recs.order_lines
    where net_quantity > 0 and customer_id is not null
    group by customer_id, product_id

)

select
    coalesce(products.category, '(none)') as category,
    count(distinct pairs.product_id) as products_sold,
    count(distinct pairs.customer_id) as customers,
    count(distinct case when pairs.days >= 2 then pairs.customer_id end) as repeat_customers,
    round(
        count(distinct case when pairs.days >= 2 then pairs.customer_id end)
        / count(distinct pairs.customer_id), 3
    ) as repeat_share
from pairs
inner join recs.products on pairs.product_id = products.product_id and products.is_product
group by products.category
order by repeat_share desc, customers desc, category;
