-- Which categories are bought again? Share of a product's buyers who bought it on two or more days.
with pairs as (

    select
        product_id,
        customer_id,
        count(distinct cast(ordered_at as date)) as days
    from recs.order_lines
    where net_quantity > 0
    group by product_id, customer_id

),

by_product as (

    select
        product_id,
        count(*) as buyers,
        count(case when days >= 2 then 1 end) as repeat_buyers
    from pairs
    group by product_id

)

select
    coalesce(products.category, '(none)') as category,
    count(*) as products_sold,
    sum(by_product.buyers) as buyers,
    sum(by_product.repeat_buyers) as repeat_buyers,
    round(sum(by_product.repeat_buyers) / sum(by_product.buyers), 3) as repeat_share
from by_product
inner join recs.products on by_product.product_id = products.product_id
group by products.category
order by repeat_share desc, buyers desc, category;
