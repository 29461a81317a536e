with pairs as (
    select 'similar' as kind, product_id, rank, neighbour_id, score, reason_text, recommendation_id as id from recs.similar_products
    where as_of = $as_of
    union all
    select 'together', product_id, rank, neighbour_id, score, reason_text, recommendation_id as id from recs.frequently_bought_together
    where as_of = $as_of
),
coded as (
    select own.code, kind, json_array(other.code, round(score, 6), reason_text, id)::varchar as line, rank
    from pairs join served as own using (product_id) join served as other on other.product_id = neighbour_id
)
select code,
    '[' || string_agg(line, ',' order by rank) filter (where kind = 'similar') || ']' as similar,
    '[' || string_agg(line, ',' order by rank) filter (where kind = 'together') || ']' as together
from coded group by code order by code
