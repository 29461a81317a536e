select customer_id, product_id from intermediate.int_interactions_anchored
where as_of = $anchor and event_type in ('add_to_cart', 'purchase')
group by customer_id, product_id
having max(occurred_at) filter (where event_type = 'add_to_cart') >= $anchor - interval 28 day
   and max(occurred_at) filter (where event_type = 'add_to_cart')
       > coalesce(max(occurred_at) filter (where event_type = 'purchase'), timestamp '1970-01-01')
order by all
