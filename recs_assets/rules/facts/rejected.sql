select customer_id, product_id from intermediate.int_interactions_anchored
where as_of = $anchor and event_type = 'review'
group by customer_id, product_id having arg_max(rating, (occurred_at, -rating)) <= 2
union
select customer_id, product_id from intermediate.int_returns_allocated_to_lines
where returned_at < $anchor and kind in ('return', 'credit') and customer_id is not null
    and customer_id not in (select customer_id from marts.customers where consent_state = 'objected')
order by all
