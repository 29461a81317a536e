-- Follows codes.sql.
select customers.code::integer as customer, products.code::integer as product,
    (ordered_at::date - date '1970-01-01')::integer as day,
    coalesce(fully_returned_at::date - date '1970-01-01', 2147483647)::integer as gone,
    count(*)::double as lines, coalesce(sum(amount::decimal(38, 6)), 0)::double as amount
from marts.order_lines
join customers using (customer_id)
join products using (product_id)
where ordered_at < $anchor and learned_from
  and product_id in (select product_id from marts.products where is_product)
group by all order by all
