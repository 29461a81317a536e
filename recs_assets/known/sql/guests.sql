with baskets as (
    select order_id, (row_number() over (order by order_id) - 1)::integer as code from marts.baskets
)
select products.code as product, baskets.code as basket,
       (interactions.occurred_on - date '1970-01-01')::integer as day
from intermediate.int_interactions_anchored as interactions
join known_products as products using (product_id)
join baskets using (order_id)
where interactions.as_of = $anchor and interactions.customer_id is null
order by day, product, basket
