with days as (
    select segment, lines.customer_id, product_id, ordered_at::date as day
    from recs.order_lines as lines join recs.customers using (customer_id)
    where ordered_at < $as_of and lines.learned_from and fully_returned_at is null and trim(segment) <> ''
    group by all
),
popular as (
    select trim(segment) as segment, product_id,
        round(sum(pow(0.5, date_diff('day', day, $as_of) / $half_life)), 6) as popularity
    from days group by all
)
select segment, to_json(list(code order by popularity desc, code)) as products
from (
    from popular join served using (product_id)
    qualify row_number() over (partition by segment order by popularity desc, code) <= $most
)
group by segment order by segment
