with products as (
    select product_id, row_number() over (order by product_id) - 1 as code from marts.products
)
select code, greatest(start_at::date, $sent) - date '1970-01-01' as first,
    (end_at - interval 1 microsecond)::date - date '1970-01-01' as last
from staging.stg_promotions join products using (product_id)
where announced_at < $week and end_at >= $sent + interval 1 day and start_at < $end
  and end_at > start_at and coalesce(reach, 1) >= 1
  and (list_contains($own, kind) or regexp_matches(kind, $words))
order by code, first desc, last
