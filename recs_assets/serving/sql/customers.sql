-- The customers from $first to before $last, by id. Whoever has several ids is found by each of them.
with part as (
    select * from recs.customers where customer_id >= $first and ($last is null or customer_id < $last)
),
ids as (
    select customer_id, unnest(customer_ids) as id from part
),
-- Erased since the week; of those erased before, the published tables have nobody.
erased_since as (
    select distinct customer_id from ids where id in (select id from erased)
),
answerable as (
    select customer_id, country, trim(segment) as segment from part
    where consent_state not in ('objected', 'erased') and customer_id not in (select customer_id from erased_since)
),
lists as (
    select customer_id, '[' || string_agg(
        json_array(code, score, p_purchase, source, reason_code, reason_text, because_product_id, recommendation_id)::varchar, ',' order by rank
    ) || ']' as list
    from recs.customer_recommendations join served using (product_id)
    where as_of = $as_of and customer_id in (select customer_id from part) group by customer_id
),
again as (
    select customer_id, '[' || string_agg(
        json_array(code, score, p_purchase, reason_code, reason_text, recommendation_id)::varchar, ',' order by rank
    ) || ']' as again
    from recs.buy_it_again join served using (product_id)
    where as_of = $as_of and customer_id in (select customer_id from part) group by customer_id
),
bought as (
    select distinct customer_id, product_id, ordered_at::date as day from recs.order_lines
    where ordered_at < $as_of and fully_returned_at is null and customer_id in (select customer_id from part)
),
counts as (
    select customer_id, category, count(*) as days from bought join served using (product_id)
    where category >= 0 group by customer_id, category
),
shares as (
    select customer_id, category, days / sum(days) over (partition by customer_id) as share from counts
),
tastes as (
    select customer_id, '[' || string_agg(
        json_array(category, round(share, 4))::varchar, ',' order by share desc, category
    ) || ']' as tastes
    from shares group by customer_id
),
known as (
    select customer_id, upper(trim(country)) as country, nullif(segment, '') as segment, list, again, tastes, 0 as withdrawn
    from answerable left join lists using (customer_id) left join again using (customer_id) left join tastes using (customer_id)
    union all
    -- Nothing but that they withdrew: what the shop's pages report of them is not written down.
    select customer_id, null, null, null, null, null, 1 from part
    where consent_state in ('objected', 'erased') or customer_id in (select customer_id from erased_since)
)
select id, country, segment, list, again, tastes, withdrawn, customer_id as person
from known join ids using (customer_id)
order by id
