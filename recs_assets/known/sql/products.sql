create temp table known_products as
select products.product_id, name, brand, category, vertical, attributes, description,
       features.price, products.start_at, products.parent_id, features.stock,
       features.available,
       (row_number() over (order by products.product_id) - 1)::integer as code
from marts.products
join features.product_features as features
  on features.product_id = products.product_id and features.as_of = $anchor
