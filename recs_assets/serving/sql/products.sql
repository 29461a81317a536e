with days as (
    select product_id, coalesce(customer_id, order_id) as buyer, ordered_at::date as day
    from recs.order_lines
    where ordered_at < $as_of and learned_from and fully_returned_at is null
    group by all
),
popular as (
    select product_id, round(sum(pow(0.5, date_diff('day', day, $as_of) / $half_life)), 6) as popularity
    from days group by product_id
)
select
    (row_number() over (order by product_id) - 1)::integer as code,
    product_id, product_name as name, category, vertical, brand, merchant_id, parent_id, url, image_url, price, list_price,
    price_kind, price_from, currency, cost, start_at, end_at,
    regexp_replace(
        case when json_valid(attributes) then json_extract_string(attributes, '$.countries') end, '[^A-Za-z]+', ' ', 'g'
    ) as countries,
    coalesce(popularity, 0) as popularity
from recs.products left join popular using (product_id)
where is_product
order by product_id
