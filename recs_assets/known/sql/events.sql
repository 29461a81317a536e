with baskets as (
    select order_id, (row_number() over (order by order_id) - 1)::integer as code from marts.baskets
)
select customers.code as customer, products.code as product,
       coalesce(baskets.code, -1)::integer as basket,
       (interactions.occurred_on - date '1970-01-01')::integer as day,
       (list_position($kinds, interactions.event_type) - 1)::tinyint as kind,
       interactions.quantity::float as quantity, interactions.weight::float as weight
from intermediate.int_interactions_anchored as interactions
join known_customers as customers using (customer_id)
join known_products as products using (product_id)
left join baskets using (order_id)
where interactions.as_of = $anchor
order by day, customer, product, kind, basket, quantity, weight
