select customer_id, product_id, dismissed_at::date as day
from intermediate.int_recommendation_pairs_anchored
where as_of = $anchor and dismissed_at is not null
order by all
