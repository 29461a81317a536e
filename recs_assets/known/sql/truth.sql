-- Follows codes.sql.
select distinct customers.code::integer as customer, products.code::integer as product
from marts.order_lines
join customers using (customer_id)
join products using (product_id)
where ordered_at >= $anchor and ordered_at < $end and learned_from
  and product_id in (select product_id from marts.products where is_product)
  and (fully_returned_at is null or fully_returned_at >= $end)
order by 1, 2
