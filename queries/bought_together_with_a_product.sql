-- What is bought together with one product, how often, and how much more than by chance (lift)?
-- Replace the product of the first lines; here: the one whose pair stands in most baskets.
with one_product as (

    select product_id
    from recs.frequently_bought_together
    where as_of = (select max(as_of) from recs.frequently_bought_together)
    order by baskets desc, product_id
    limit 1

)

select
    together.product_name,
    together.rank,
    together.neighbour_name,
    together.baskets,
    round(together.support, 5) as support,
    round(together.confidence, 3) as confidence,
    round(together.lift, 2) as lift,
    products.price as neighbour_price
from recs.frequently_bought_together as together
inner join one_product on together.product_id = one_product.product_id
left join recs.products on together.neighbour_id = products.product_id
where together.as_of = (select max(as_of) from recs.frequently_bought_together)
order by together.rank;
